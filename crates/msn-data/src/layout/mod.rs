//! Layouts of data sets on disk.

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::folder::{self, has_folder, is_picture, list};
use crate::{DataError, Video};

/// How a data set lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// `training/frames/01/000.jpg`, `testing/frames/01/000.jpg`.
    Frames,
    /// `train/` and `test/` with video files or folders of frames.
    Own,
}

impl Layout {
    /// All layouts, in the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Frames, Self::Own];

    fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::Own => "own",
        }
    }

    /// The folder of the training videos and that of the test videos.
    fn folders(self) -> (&'static str, &'static str) {
        match self {
            Self::Frames => ("training/frames", "testing/frames"),
            Self::Own => ("train", "test"),
        }
    }

    fn fits(self, root: &Utf8Path) -> bool {
        let (train, test) = self.folders();
        has_folder(root, train) || has_folder(root, test)
    }

    /// Finds out in which layout a folder is.
    pub(crate) fn recognise(root: &Utf8Path) -> Result<Self, DataError> {
        let listing = list(root, "give the folder of a data set")?;
        if let Some(layout) = Self::ALL.into_iter().find(|layout| layout.fits(root)) {
            return Ok(layout);
        }
        let expected: Vec<String> = Self::ALL
            .iter()
            .map(|layout| format!("{} for `{layout}`", layout.folders().0))
            .collect();
        let reason = if listing.files.iter().any(|f| is_picture(f)) {
            "it holds pictures, so it is one video".to_owned()
        } else {
            format!("looked for {}", expected.join(", "))
        };
        Err(DataError::Unrecognised {
            path: root.to_owned(),
            reason,
            way_out: "put normal videos into train/ and others into test/, \
                      or name the layout with --layout"
                .to_owned(),
        })
    }

    pub(crate) fn open(self, root: &Utf8Path) -> Result<Split, DataError> {
        let (train, test) = self.folders();
        let read = |name: &str| {
            if !has_folder(root, name) {
                return Ok(Vec::new());
            }
            match self {
                Self::Frames => frame_folders(&root.join(name)),
                Self::Own => footage(&root.join(name)),
            }
        };
        let split = Split {
            train: read(train)?,
            test: read(test)?,
            test_folder: root.join(test),
        };
        if split.train.is_empty() && split.test.is_empty() {
            return Err(DataError::Missing {
                path: root.join(train),
                looked_for: format!(
                    "layout `{self}` has its training videos there and its test videos in {test}"
                ),
            });
        }
        Ok(split)
    }
}

/// The videos of a data set.
pub(crate) struct Split {
    pub train: Vec<Video>,
    pub test: Vec<Video>,
    pub test_folder: Utf8PathBuf,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = Self::ALL.iter().map(|layout| layout.name()).collect();
        Self::ALL
            .into_iter()
            .find(|layout| layout.name() == text)
            .ok_or_else(|| format!("`{text}` is no layout; there are {}", names.join(", ")))
    }
}

/// Every folder of frames in a folder.
fn frame_folders(path: &Utf8Path) -> Result<Vec<Video>, DataError> {
    let listing = list(path, "a folder of frames for each video was looked for there")?;
    let videos: Vec<Video> = listing
        .folders
        .into_iter()
        .map(|source| Video::new(source.file_name().unwrap_or_default(), &source))
        .collect();
    if videos.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            looked_for: "folder of frames".to_owned(),
        });
    }
    Ok(videos)
}

/// Every video file and folder of frames under a folder, named by its path in it.
fn footage(path: &Utf8Path) -> Result<Vec<Video>, DataError> {
    let mut sources = Vec::new();
    gather(path, &mut sources, 0)?;
    sources.sort_by(|a, b| crate::natural_order(a.as_str(), b.as_str()));
    let videos: Vec<Video> = sources
        .iter()
        .map(|source| {
            let name = source.strip_prefix(path).unwrap_or(source);
            let parts: Vec<&str> = name.components().map(|c| c.as_str()).collect();
            Video::new(parts.join("/"), source)
        })
        .collect();
    if videos.is_empty() {
        return Err(DataError::Empty {
            path: path.to_owned(),
            looked_for: "video file or folder of frames".to_owned(),
        });
    }
    Ok(videos)
}

/// Folders nested deeper are taken for a loop of links.
const DEEPEST: usize = 16;

fn gather(path: &Utf8Path, found: &mut Vec<Utf8PathBuf>, depth: usize) -> Result<(), DataError> {
    let listing = list(path, "videos were looked for there")?;
    for file in listing.files {
        if msn_video::is_video_file(&file) {
            found.push(file);
        }
    }
    for inner in listing.folders {
        let name = inner.file_name().unwrap_or_default();
        if name.starts_with('.') || depth == DEEPEST {
            continue;
        }
        let holds_pictures = folder::list(&inner, "videos were looked for there")?
            .files
            .iter()
            .any(|file| is_picture(file));
        if holds_pictures {
            found.push(inner);
        } else {
            gather(&inner, found, depth + 1)?;
        }
    }
    Ok(())
}
