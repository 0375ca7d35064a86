//! Video files and frame folders as sized grey or RGB frames with times.

#[cfg(feature = "ffmpeg")]
mod container;
mod error;
#[cfg(feature = "ffmpeg")]
mod file;
mod folder;
mod frame;
mod info;
#[cfg(feature = "ffmpeg")]
mod layout;
#[cfg(feature = "ffmpeg")]
mod ledger;
#[cfg(feature = "ffmpeg")]
mod luma;
#[cfg(feature = "ffmpeg")]
mod orientation;
mod picture;
#[cfg(feature = "ffmpeg")]
mod planes;
mod reader;
mod resample;
mod resize;
mod still;
#[cfg(feature = "ffmpeg")]
mod unpack;
#[cfg(feature = "ffmpeg")]
mod writer;

pub use error::VideoError;
pub use folder::frame_files;
pub use frame::{Frame, Item, Lost};
pub use info::{Info, Losses, SourceKind};
pub use picture::{Color, Picture, Size};
pub use reader::{Options, Reader, open};
pub use resample::Resampled;
pub use resize::Resizer;
#[cfg(feature = "ffmpeg")]
pub use writer::VideoWriter;

/// Endings of video files, compared without regard to case.
const VIDEO_ENDINGS: [&str; 30] = [
    "264", "265", "3g2", "3gp", "asf", "avi", "divx", "dv", "flv", "h264", "h265", "hevc", "ivf",
    "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "mxf", "ogv", "ts",
    "vob", "webm", "wmv", "y4m",
];

/// True if a name ends as video files do (`.avi`, `.mp4`, `.mkv`, ...) and is not hidden.
///
/// A help for listing folders: [`open`] itself goes by content.
pub fn is_video_file(path: impl AsRef<camino::Utf8Path>) -> bool {
    let path = path.as_ref();
    !path.file_name().is_some_and(|name| name.starts_with('.'))
        && path.extension().is_some_and(|e| {
            VIDEO_ENDINGS
                .iter()
                .any(|ending| e.eq_ignore_ascii_case(ending))
        })
}
