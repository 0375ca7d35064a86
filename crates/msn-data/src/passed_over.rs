//! What lies among footage and is not used, and why.

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Serialize, Serializer};

/// A file or folder that was found and is not used; a folder stands for all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// The file or folder. Of a name that is not UTF-8, what can't be read is replaced.
    pub path: Utf8PathBuf,
    /// Why it is not used, and what to do.
    pub reason: Reason,
}

/// Why a file or folder is not used. Its text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// A link to what is used anyway.
    #[error("a link to {of}, which counts once")]
    Link {
        /// What it leads to.
        of: Utf8PathBuf,
    },
    /// The same file as one that is used.
    #[error("the same file as {of}, which counts once")]
    SameFile {
        /// The one that is used.
        of: Utf8PathBuf,
    },
    /// A folder of pictures that are those of another.
    #[error("{shared} of its {pictures} pictures are files of {of} too, which counts once")]
    SamePictures {
        /// The folder that is used.
        of: Utf8PathBuf,
        /// Pictures that are files of both.
        shared: usize,
        /// All its pictures.
        pictures: usize,
    },
    /// A link to nothing.
    #[error("a link to nothing")]
    Nowhere,
    /// A name that is not UTF-8.
    #[error("its name is not UTF-8: rename it")]
    NotUtf8,
    /// A hidden file or folder, or one of the system.
    #[error("hidden, or of the system")]
    Hidden,
    /// A pipe, a socket or a device.
    #[error("no ordinary file: copy it to one")]
    Special,
    /// A folder that may not be looked into.
    #[error("it can't be listed ({0})")]
    Unlisted(String),
    /// Pictures in a folder of video files.
    #[error(
        "pictures beside video files are taken for snapshots: give pictures that are frames a \
         folder of their own"
    )]
    BesideVideos,
    /// Pictures where videos are expected.
    #[error("a picture where videos are expected: put the frames of a video into a folder")]
    LoosePicture,
    /// A video file where folders of frames are expected.
    #[error("a video file, where this layout has folders of frames")]
    LooseVideo,
    /// A folder where video files are expected.
    #[error("a folder, where this layout has video files")]
    LooseFolder,
    /// Footage of one's own outside of `train` and `test`.
    #[error("only train/ and test/ are used: put it into one of them")]
    Outside,
    /// A picture of a kind that is not read as a frame.
    #[error("a {0} picture: frames are JPEG, PNG, TIFF or BMP")]
    OtherPicture(&'static str),
    /// A transfer that is not done, or a backup.
    #[error("an unfinished transfer or a backup, by its ending: rename it if it is whole")]
    Leftover,
    /// A file that may hold labels and is not read.
    #[error("found and not read, though it may hold labels: {0}")]
    Labels(String),
    /// Neither video nor picture.
    #[error("neither a video nor a picture")]
    NoFootage,
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is passed over: {}", self.path, self.reason)
    }
}

impl PassedOver {
    pub(crate) fn new(path: impl Into<Utf8PathBuf>, reason: Reason) -> Self {
        let path = path.into();
        Self { path, reason }
    }

    /// Whether it may be footage or labels that a user meant, and not something else that lies
    /// there.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        !matches!(self.reason, Reason::NoFootage | Reason::Hidden)
    }

    /// A sentence for each reason in `all`: the first file of it, and how many more there are.
    #[must_use]
    pub fn sentences(all: &[Self]) -> Vec<String> {
        let mut groups: Vec<(&Self, usize)> = Vec::new();
        for one in all {
            let same = |first: &Self| match (&first.reason, &one.reason) {
                // Each has its own advice.
                (Reason::Labels(a), Reason::Labels(b)) => a == b,
                (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
            };
            match groups.iter_mut().find(|(first, _)| same(first)) {
                Some((_, more)) => *more += 1,
                None => groups.push((one, 0)),
            }
        }
        let sentence = |(first, more): (&Self, usize)| match more {
            0 => first.to_string(),
            _ => format!(
                "{} and {more} more are passed over: {}",
                first.path, first.reason
            ),
        };
        groups.into_iter().map(sentence).collect()
    }
}
