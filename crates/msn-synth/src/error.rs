//! What can go wrong while a synthetic scene is written.

use camino::{Utf8Path, Utf8PathBuf};

/// Why no synthetic scene was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// An option lies outside its range.
    #[error("cannot make a synthetic scene with {option}: ask for {expected}")]
    OutOfRange {
        /// The option and its value.
        option: String,
        /// The range, with its unit.
        expected: &'static str,
    },
    /// The target holds something that is no part of a synthetic scene.
    #[error(
        "{path} holds {found}, which is not part of a synthetic scene: name a new or empty folder"
    )]
    NotOurs {
        /// The target folder, or what stands in its place.
        path: Utf8PathBuf,
        /// What was found there.
        found: String,
    },
    /// Videos were asked for in a build without FFmpeg.
    #[error(
        "{path} cannot be written as videos, because this build has no FFmpeg: ask for frame folders"
    )]
    NoFfmpeg {
        /// The target folder.
        path: Utf8PathBuf,
    },
    /// The system refused to read or write.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The options could not be written as TOML.
    #[error("cannot write {path}: {source}")]
    Options {
        /// The file of the options.
        path: Utf8PathBuf,
        /// The serialiser's reason.
        source: toml::ser::Error,
    },
    /// A frame could not be written as a picture.
    #[error("cannot write the frame {path}: {source}")]
    Frame {
        /// The picture's file.
        path: Utf8PathBuf,
        /// The encoder's reason.
        source: image::ImageError,
    },
    /// A video could not be written.
    #[error("cannot write the video {path}: {source}")]
    Video {
        /// The video file.
        path: Utf8PathBuf,
        /// The encoder's reason.
        source: msn_video::VideoError,
    },
}

/// An error of the system, with what was tried and on which path.
pub(crate) fn io<'a>(
    action: &'static str,
    path: &'a Utf8Path,
) -> impl FnOnce(std::io::Error) -> SynthError + 'a {
    move |source| SynthError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
