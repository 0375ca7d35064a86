//! Video files and frame folders as sized grey or RGB frames with times.
//!
//! [`open`] takes a video file or a folder of pictures and gives an iterator of [`Item`]s: a
//! [`Frame`] with its index, time and [`Picture`], or the index of one that was [`Lost`]. All
//! frames of a source have one size and colour ([`Options`]). What the source is stands in
//! [`Info`], what could not be decoded in [`DecodeErrors`]. [`open_ahead`] does the same on a thread of its
//! own.
//!
//! ```
//! use msn_video::{Color, Item, Options, Size, open};
//!
//! fn mean_brightness(path: &camino::Utf8Path) -> Result<f64, msn_video::VideoError> {
//!     let size = Size::new(64, 64);
//!     let mut reader = open(path, &Options { size: Some(size), color: Color::Grey, ..Options::default() })?;
//!     let (mut sum, mut pixels) = (0.0, 0.0);
//!     for item in reader.by_ref() {
//!         if let Item::Frame(frame) = item? {
//!             sum += frame.picture.pixels.iter().map(|&v| f64::from(v)).sum::<f64>();
//!             pixels += 64.0 * 64.0;
//!         }
//!     }
//!     if !reader.decode_errors().is_empty() {
//!         println!("{path}: {}", reader.decode_errors());
//!     }
//!     Ok(sum / pixels)
//! }
//! ```
//!
//! # Pictures
//! The whole picture is squashed to the target size by an antialiased triangle filter
//! ([`Resizer`]), the same for every source. Grey is BT.601 luma in full range,
//! `0.299 R + 0.587 G + 0.114 B`, made at the source's size and then resized:
//! - BT.601 video (and video that names no matrix, as FFmpeg takes it): its Y, expanded from
//!   16..235 to 0..255 where the range is limited or not named.
//! - Video in another matrix (BT.709, BT.2020, FCC, SMPTE 240M): Y plus what that matrix' colour
//!   differences add to BT.601 luma, which is going through RGB without clipping there. Each
//!   chroma sample counts for all pixels it covers.
//! - RGB, palettes and pictures from files: the sum above, rounded.
//!
//! Colours outside of RGB (as test patterns have) are clipped by a conversion to RGB, not by
//! luma; there grey differs from a frame folder extracted as RGB. [`Color::Rgb`] of planar video
//! is made from the three planes after resizing them. More than 8 bits are rounded to 8, or
//! spread over them by a [`Stretch`]. Chroma is taken as centred, whatever its siting. Transfer characteristics are not converted.
//!
//! # Times and indices
//! [`Frame::seconds`] is the frame's presentation time from the container, counted from where
//! players count: the file's start, which is the earliest of its sound and pictures, or the first
//! frame where the container has none or a later one. So pictures that begin 5 s after the sound
//! are at 5 s. [`Info::start_seconds`] is that time in the container's count. Frames of raw streams and
//! of folders have none. Edit lists are applied, so hidden frames do not come. Timestamps that
//! jump or go back are passed on and noted. [`Reader::resampled`] gives a fixed rate; which files
//! need one is what [`pace`] finds out.
//!
//! [`Frame::index`] counts lost frames too. A damaged file of a folder is lost at its index. A JPEG,
//! also one in a video, is lost unless its data is whole, whatever its end marker says. In a video, a
//! failure of the decoder costs the frame whose timestamp is then passed over; it is lost at its
//! index in order of presentation. A recording that begins between two key frames loses the frames
//! before the first one. Frames with damaged parts that the decoder conceals are given,
//! as the `ffmpeg` program gives them, and counted in [`DecodeErrors::damaged`]; with several threads
//! what is made up may differ from run to run.
//!
//! # What is not carried over
//! Rotation and mirroring by multiples of 90 degrees are applied. Named in [`Info::notes`] where
//! they occur, and otherwise ignored: other rotations, sample aspect ratios, interlacing (both
//! fields make one picture), transparency, further video streams. Cover pictures are no video.
//! Of a TIFF with several pages the first counts.
//!
//! # Limits
//! A file is recognised by its content, not its name. FFmpeg opens the given file alone: playlists
//! and text are refused. Frames above 67,108,864 pixels (8192 by 8192) are lost. FFmpeg's log is
//! switched off for the whole process at first use. Without the feature `ffmpeg` a video file is
//! [`VideoError::WithoutFfmpeg`].

mod ahead;
#[cfg(feature = "ffmpeg")]
mod container;
mod content;
mod error;
#[cfg(feature = "ffmpeg")]
mod file;
mod folder;
mod frame;
mod frame_order;
mod info;
mod jpeg;
mod listing;
#[cfg(feature = "ffmpeg")]
mod luma;
mod natural;
#[cfg(feature = "ffmpeg")]
mod orientation;
mod pace;
mod paced;
#[cfg(feature = "ffmpeg")]
mod packet_tracker;
mod picture;
#[cfg(feature = "ffmpeg")]
mod pixel_layout;
#[cfg(feature = "ffmpeg")]
mod planes;
#[cfg(feature = "ffmpeg")]
mod properties;
mod reader;
mod resample;
mod resize;
mod still;
#[cfg(feature = "ffmpeg")]
mod stream;
mod stretch;
mod tiff;
#[cfg(feature = "ffmpeg")]
mod unpack;
#[cfg(feature = "ffmpeg")]
mod writer;

pub use ahead::{ReadAhead, open_ahead};
pub use content::Content;
pub use error::VideoError;
pub use folder::{FrameListing, Media, frame_files, frame_listing, is_frame_file, media};
pub use frame::{Frame, Item, Lost};
pub use frame_order::FrameOrder;
pub use info::{DecodeErrors, Info, SourceKind};
pub use listing::{EntryKind, FileIdentity, FolderEntry, FolderListing, list_folder};
pub use natural::natural_order;
pub use pace::{Pace, is_cut, pace, same_rate};
pub use paced::PacedReader;
pub use picture::{Color, Picture, Size};
pub use reader::{Options, Reader, measure_levels, open};
pub use resample::Resampled;
pub use resize::Resizer;
pub use stretch::{Levels, Stretch};
#[cfg(feature = "ffmpeg")]
pub use writer::VideoWriter;

/// The version of FFmpeg's libavcodec that this is linked with; `None` without FFmpeg.
pub fn ffmpeg_version() -> Option<String> {
    #[cfg(feature = "ffmpeg")]
    {
        let packed = ffmpeg_next::codec::version();
        let [major, minor, micro] = [packed >> 16, packed >> 8 & 0xff, packed & 0xff];
        Some(format!("libavcodec {major}.{minor}.{micro}"))
    }
    #[cfg(not(feature = "ffmpeg"))]
    {
        None
    }
}

/// Endings of video files, compared without regard to case.
const VIDEO_ENDINGS: [&str; 32] = [
    "264", "265", "3g2", "3gp", "asf", "avi", "dav", "divx", "dv", "flv", "h264", "h265", "hevc",
    "ivf", "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv",
    "qt", "ts", "vob", "webm", "wmv", "y4m",
];

/// True if a name ends as video files do (`.avi`, `.mp4`, `.mkv`, ...) and is not hidden.
///
/// A help for listing folders, where [`media`] knows files of other endings by their content.
/// [`open`] itself goes by content.
pub fn is_video_file(path: impl AsRef<camino::Utf8Path>) -> bool {
    let path = path.as_ref();
    !path.file_name().is_some_and(|name| name.starts_with('.'))
        && path.extension().is_some_and(|e| {
            VIDEO_ENDINGS
                .iter()
                .any(|ending| e.eq_ignore_ascii_case(ending))
        })
}
