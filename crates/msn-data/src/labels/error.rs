//! Why labels can't be used.

use camino::Utf8PathBuf;

use super::arrays::ArrayError;
use super::events::EventTableError;
use super::mat::MatError;
use super::matlab::MatlabError;
use super::npy::NpyError;
use super::tracks::TracksError;
use super::ucf::UcfError;

/// Why a label file can't be used: what is wrong, where in the file, and what was expected.
/// [`DataError::Label`](crate::DataError::Label) names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// An array file of NumPy.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// Arrays that are no labels of the videos.
    #[error(transparent)]
    Array(#[from] ArrayError),
    /// A MAT file.
    #[error(transparent)]
    Mat(#[from] MatError),
    /// Spans from MATLAB.
    #[error(transparent)]
    Matlab(#[from] MatlabError),
    /// A table of events.
    #[error(transparent)]
    Events(#[from] EventTableError),
    /// A text of tracks.
    #[error(transparent)]
    Tracks(#[from] TracksError),
    /// The annotation of UCF-Crime.
    #[error(transparent)]
    Ucf(#[from] UcfError),
    /// A text in another encoding.
    #[error("it is no text in UTF-8 or UTF-16: save it as UTF-8")]
    NotText,
    /// Something else where a text was expected.
    #[error("it is no text but {0}")]
    OtherKind(&'static str),
    /// A file of another kind.
    #[error(
        "labels of all videos are a .npy, .npz, .mat, .m or .csv, or UCF-Crime's .txt; name the \
         folder where each video has its own file"
    )]
    UnknownFormat,
    /// Spans to write of which some count frames and some seconds.
    #[error("some spans are in frames and some in seconds")]
    MixedExtents,
    /// Seconds for a video without times.
    #[error(
        "{video} has no times and no rate, so labels in seconds can't be used: give start_frame and \
         end_frame instead, or a rate in dataset.toml"
    )]
    NoTimes {
        /// The video that the labels are for.
        video: Utf8PathBuf,
    },
    /// A picture that can't be decoded.
    #[error("it can't be decoded ({0})")]
    Picture(#[from] image::ImageError),
    /// A mask of another shape than height x width.
    #[error("element {number} of `volLabel` is an array of {shape:?}; height x width was expected")]
    MaskShape {
        /// The element, from 1.
        number: usize,
        /// Lengths along its dimensions.
        shape: Vec<usize>,
    },
    /// Masks with sides beyond those of pictures.
    #[error("its masks are larger than any picture")]
    LargeMask,
    /// A picture without an object that its tracks have there.
    #[error("it lacks object {object}, which {tracks} has there")]
    NoObject {
        /// The object's grey value.
        object: u8,
        /// The text of the tracks.
        tracks: Utf8PathBuf,
    },
}
