//! Everything that can go wrong, with the file and a way out.

use camino::Utf8PathBuf;

use crate::{Color, Size};

/// Why a source can't be read or a video can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The path does not exist, or the system refuses it.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file or folder.
        path: Utf8PathBuf,
        /// The system's reason.
        reason: std::io::Error,
    },
    /// A folder without a single frame file.
    #[error(
        "no frames in {folder}: looked for files ending in .jpg, .jpeg, .png, .tif, .tiff or .bmp ({others} other entries)"
    )]
    NoFrames {
        /// The folder that was opened as a video.
        folder: Utf8PathBuf,
        /// Entries that are no frames.
        others: usize,
    },
    /// The path is neither a folder nor an ordinary file: a pipe, a device.
    #[error("{path} is neither a folder of frames nor a file: copy it to a file first")]
    NotAFile {
        /// The pipe, device or socket.
        path: Utf8PathBuf,
    },
    /// A file of no bytes.
    #[error("{path} is empty (0 bytes): copy it again from its source")]
    EmptyFile {
        /// The file, of 0 bytes.
        path: Utf8PathBuf,
    },
    /// A single picture where a folder or a video was expected.
    #[error("{path} is a single picture: give the folder that holds it")]
    SinglePicture {
        /// The picture file.
        path: Utf8PathBuf,
    },
    /// The container can't be recognised or its header is broken.
    #[error("{path} cannot be opened as a video: {reason}; `ffprobe` on it shows more")]
    NotAVideo {
        /// The file that FFmpeg refuses.
        path: Utf8PathBuf,
        /// FFmpeg's reason.
        reason: String,
    },
    /// A media file without a picture stream, e.g. audio alone.
    #[error("{path} holds no video stream ({streams} other streams): give a file with pictures")]
    NoVideoStream {
        /// The media file.
        path: Utf8PathBuf,
        /// Streams of other kinds.
        streams: usize,
    },
    /// The FFmpeg at hand has no decoder for the stream.
    #[error(
        "{path} is coded as {codec}, which this build of FFmpeg cannot decode: re-encode it, e.g. as h264"
    )]
    MissingCodec {
        /// The video file.
        path: Utf8PathBuf,
        /// The codec's name.
        codec: String,
    },
    /// Not one frame could be decoded.
    #[error("{path} gives no frame at all ({lost} lost): {reason}")]
    NothingDecoded {
        /// The file or folder.
        path: Utf8PathBuf,
        /// Frames known to be lost.
        lost: usize,
        /// The first reason met.
        reason: String,
    },
    /// A video file while this crate was built without its feature `ffmpeg`.
    #[error(
        "{path} is a video file, but video files need the feature `ffmpeg` of msn-video, which this build lacks: build with it, or extract the frames into a folder"
    )]
    WithoutFfmpeg {
        /// The video file.
        path: Utf8PathBuf,
    },
    /// Resampling a source whose frames have no times.
    #[error(
        "{path} has no times for its frames, so it cannot be resampled: read it frame by frame"
    )]
    NoTimes {
        /// The folder of frames, or the file without timestamps.
        path: Utf8PathBuf,
    },
    /// A rate that is not a positive number of frames a second.
    #[error("a rate of {rate_hz} Hz is out of range: give one {range}")]
    BadRate {
        /// The rate, Hz.
        rate_hz: f64,
        /// What is accepted.
        range: &'static str,
    },
    /// A stretch whose ends are not two numbers in order.
    #[error(
        "a stretch from {low} to {high} is none: give the value of black, then a greater one of white"
    )]
    BadStretch {
        /// The value of black.
        low: f64,
        /// The value of white.
        high: f64,
    },
    /// An empty or unaddressable size.
    #[error(
        "a picture of {size} pixels is impossible: both sides must be at least 1 and the whole must fit in memory"
    )]
    BadSize {
        /// The size that is impossible.
        size: Size,
    },
    /// A picture whose number of values does not fit its size.
    #[error("a {size} picture ({color:?}) needs {wanted} values, got {got}")]
    BadPicture {
        /// Size of the picture.
        size: Size,
        /// Colour of the picture.
        color: Color,
        /// Values needed.
        wanted: usize,
        /// Values given.
        got: usize,
    },
    /// A picture of another size than the video being written.
    #[error("{path} is {wanted}, but a picture of {got} was to be written: resize it first")]
    WrongSize {
        /// The video that is being written.
        path: Utf8PathBuf,
        /// The video's size.
        wanted: Size,
        /// The picture's size.
        got: Size,
    },
    /// The resizer or a converter refuses.
    #[error("cannot resize a picture from {from} to {to}: {reason}")]
    Resize {
        /// Size before.
        from: Size,
        /// Size wanted.
        to: Size,
        /// The library's reason.
        reason: String,
    },
    /// A video can't be written.
    #[error("cannot write {path}: {reason}")]
    Unwritable {
        /// The video that was to be written.
        path: Utf8PathBuf,
        /// The reason of the system or of FFmpeg.
        reason: String,
    },
}
