//! What can go wrong with data, in one sentence each: what, where, a way out.

use camino::Utf8PathBuf;

/// An error of this crate. Every message names the file and where in it the error is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder is not there.
    #[error("{path} does not exist: {looked_for}")]
    Missing {
        /// The path that was looked for.
        path: Utf8PathBuf,
        /// What should have been there.
        looked_for: String,
    },
    /// A folder holds nothing that can be used.
    #[error("{path} holds no {looked_for}")]
    Empty {
        /// The folder that was searched.
        path: Utf8PathBuf,
        /// What was looked for in it.
        looked_for: String,
    },
    /// A folder is in no layout that is known.
    #[error("{path} is in no known layout ({reason}): {way_out}")]
    Unrecognised {
        /// The folder that was opened as a data set.
        path: Utf8PathBuf,
        /// What was found.
        reason: String,
        /// What to do.
        way_out: String,
    },
    /// The system refused to read or write.
    #[error("{path} can't be {action}: {source}")]
    Io {
        /// The file or folder.
        path: Utf8PathBuf,
        /// `read`, `written`, `listed`.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] crate::WriteError),
    /// A label file is damaged or of an unknown variant.
    #[error("labels {path} can't be used: {reason}")]
    Label {
        /// The label file or folder.
        path: Utf8PathBuf,
        /// What is wrong, where in the file, and what was expected.
        reason: crate::LabelError,
    },
    /// Labels for more or fewer frames than there are.
    #[error(
        "labels {labels} have {labelled} frames, but {video} has {frames}: \
         give the labels that belong to these frames"
    )]
    LabelLength {
        /// The label file.
        labels: Utf8PathBuf,
        /// Frames that it labels.
        labelled: usize,
        /// The video, or the folder of the videos.
        video: Utf8PathBuf,
        /// Frames of the video or videos.
        frames: usize,
    },
    /// A label outside its video.
    #[error("labels {labels} name {what}, but {video} {video_has}")]
    LabelRange {
        /// The label file.
        labels: Utf8PathBuf,
        /// The frames or seconds named, with the line where there is one.
        what: String,
        /// The video that the labels are for.
        video: Utf8PathBuf,
        /// Its length, in words: `has 180 frames`.
        video_has: String,
    },
    /// Labels for another number of videos than there are.
    #[error(
        "labels {labels} are for {labelled} videos, but {videos} holds {found}: \
         a video or a label is missing"
    )]
    LabelCount {
        /// The label file or folder.
        labels: Utf8PathBuf,
        /// Videos that it labels.
        labelled: usize,
        /// The folder of the test videos.
        videos: Utf8PathBuf,
        /// Test videos that are there.
        found: usize,
    },
    /// A label for a video that is not there.
    #[error("labels {labels} name the video `{video}`, but {looked_in} holds no such video")]
    LabelVideo {
        /// The label file.
        labels: Utf8PathBuf,
        /// The video's name in the labels.
        video: String,
        /// The folder of the test videos.
        looked_in: Utf8PathBuf,
    },
    /// A test video without a label where others have one.
    #[error("{video} has no label in {labels}, where other test videos have one")]
    Unlabelled {
        /// The test video.
        video: Utf8PathBuf,
        /// The label file or folder.
        labels: Utf8PathBuf,
    },
    /// Too many frames of a folder of frames can't be read.
    #[error(
        "{path} has {lost} of {frames} frames that can't be read (first: {reason}); \
         up to 5 % are skipped, more is an error: repair or remove the video"
    )]
    TooManyLost {
        /// The folder of frames.
        path: Utf8PathBuf,
        /// Frames lost.
        lost: usize,
        /// Frames in all.
        frames: usize,
        /// Why the first one was lost.
        reason: String,
    },
    /// No video is long enough for a clip.
    #[error(
        "none of {videos} videos holds a clip: it takes {needed} unbroken frames, the longest \
         run has {longest}; use longer videos, fewer past frames or a smaller stride"
    )]
    NoClip {
        /// Videos in all.
        videos: usize,
        /// Frames of a clip with its target.
        needed: usize,
        /// Frames of the longest run.
        longest: usize,
    },
    /// A data sheet or a manifest that can't be used.
    #[error("{path} can't be used: {reason}")]
    Sheet {
        /// The data sheet, the manifest, or the owners' list.
        path: Utf8PathBuf,
        /// What is wrong and where.
        reason: SheetError,
    },
    /// Frames that were there can't be read any more.
    #[error("{path} has changed while it was in use ({reason}): run again")]
    Gone {
        /// The source, or the file of its frames.
        path: Utf8PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A pattern or a name on the command line that fits nothing.
    #[error("`{pattern}` {reason}")]
    Source {
        /// The pattern or path as given.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// An error of the video reader, which names its file.
    #[error(transparent)]
    Video(#[from] msn_video::VideoError),
}

impl DataError {
    /// An input or output error with its path.
    pub(crate) fn io(
        path: impl Into<Utf8PathBuf>,
        action: &'static str,
        source: std::io::Error,
    ) -> Self {
        Self::Io {
            path: path.into(),
            action,
            source,
        }
    }

    /// A label file that can't be used, and why.
    pub(crate) fn label(
        path: impl Into<Utf8PathBuf>,
        reason: impl Into<crate::LabelError>,
    ) -> Self {
        Self::Label {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// Why a data sheet, a manifest or a list of videos can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SheetError {
    /// It is no text.
    #[error("{0}")]
    Text(#[from] crate::LabelError),
    /// It is no TOML, or has other keys or values; with the line.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// It can't be written as TOML.
    #[error("{0}")]
    Write(#[from] toml::ser::Error),
    /// A version of the format that is not known.
    #[error("its version is {found}, this program reads versions 1 to {newest}")]
    Version {
        /// The version of the file.
        found: u32,
        /// The newest one that is read.
        newest: u32,
    },
    /// A rate that no video has.
    #[error("rate_hz is {0}; frames a second above 0 were expected")]
    Rate(f64),
    /// A video in both parts of a split.
    #[error("`{0}` is both in train and in calibration")]
    InBoth(String),
    /// A line that is no name of a video of UBnormal.
    #[error(
        "line {line}: `{name}` is no name of a video; `normal_scene_1_scenario_1` was expected"
    )]
    VideoName {
        /// Its number, from 1.
        line: usize,
        /// What stands there.
        name: String,
    },
}

impl SheetError {
    /// This error with the file that it is about.
    pub(crate) fn of(self, path: impl Into<Utf8PathBuf>) -> DataError {
        DataError::Sheet {
            path: path.into(),
            reason: self,
        }
    }
}
