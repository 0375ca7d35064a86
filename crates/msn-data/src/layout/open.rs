//! The videos of a data set in each layout.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::is_frame_file;

use super::recognise::numbered;
use super::{DatasetLayout, FoundVideos};
use crate::folder::{has_folder, list};
use crate::{DataError, SheetError, Video, natural_order};

/// Finds the videos.
pub(super) fn open(layout: DatasetLayout, root: &Utf8Path) -> Result<FoundVideos, DataError> {
    list(root, "give the folder of a data set")?;
    if layout == DatasetLayout::UbNormal {
        return ubnormal(root);
    }
    let (train, test) = match layout {
        DatasetLayout::UcsdOriginal | DatasetLayout::StreetScene => ("Train", "Test"),
        DatasetLayout::AvenueOriginal => ("training_videos", "testing_videos"),
        DatasetLayout::ShanghaiTechOriginal => (
            either(root, "training/videos", "training/frames"),
            either(root, "testing/frames", "testing/videos"),
        ),
        DatasetLayout::NwpuCampus => ("videos/train", "videos/test"),
        DatasetLayout::Own => ("train", "test"),
        DatasetLayout::Frames | DatasetLayout::UbNormal => ("training/frames", "testing/frames"),
    };
    let read = |name: &'static str| -> Result<Vec<Video>, DataError> {
        let path = root.join(name);
        if !has_folder(root, name) {
            return Ok(Vec::new());
        }
        match layout {
            DatasetLayout::Frames => frame_folders(&path, |_| true),
            DatasetLayout::UcsdOriginal | DatasetLayout::StreetScene => {
                frame_folders(&path, |folder| numbered(folder, name))
            }
            DatasetLayout::Own => footage(&path),
            _ if name.ends_with("frames") => frame_folders(&path, |_| true),
            _ => video_files(&path),
        }
    };
    let mut split = FoundVideos {
        train: read(train)?,
        test: read(test)?,
        test_folder: root.join(test),
        warnings: Vec::new(),
    };
    match (split.train.is_empty(), split.test.is_empty()) {
        (true, true) => Err(DataError::Missing {
            path: root.join(train),
            looked_for: format!(
                "layout `{layout}` has its training videos there and its test videos in {test}"
            ),
        }),
        (no_train, no_test) => {
            for (missing, name, what) in [(no_train, train, "train"), (no_test, test, "test")] {
                if missing {
                    let path = root.join(name);
                    split
                        .warnings
                        .push(format!("{path} does not exist: there are no {what} videos"));
                }
            }
            Ok(split)
        }
    }
}

fn either(root: &Utf8Path, first: &'static str, second: &'static str) -> &'static str {
    if !has_folder(root, first) && has_folder(root, second) {
        second
    } else {
        first
    }
}

/// Every folder of frames in a folder that is wanted.
fn frame_folders(
    path: &Utf8Path,
    wanted: impl Fn(&Utf8Path) -> bool,
) -> Result<Vec<Video>, DataError> {
    let listing = list(
        path,
        "a folder of frames for each video was looked for there",
    )?;
    let videos: Vec<Video> = listing
        .folders
        .into_iter()
        .filter(|folder| wanted(folder))
        .map(|source| Video::new(source.file_name().unwrap_or_default(), &source))
        .collect();
    some(videos, path, "folder of frames")
}

/// Every video file in a folder.
fn video_files(path: &Utf8Path) -> Result<Vec<Video>, DataError> {
    let listing = list(path, "videos were looked for there")?;
    let videos: Vec<Video> = listing
        .files
        .into_iter()
        .filter(|file| msn_video::is_video_file(file))
        .map(|source| Video::new(source.file_stem().unwrap_or_default(), &source))
        .collect();
    some(videos, path, "video file")
}

/// Every video file and folder of frames under a folder, named by its path in it.
fn footage(path: &Utf8Path) -> Result<Vec<Video>, DataError> {
    let videos: Vec<Video> = crate::sources::under(path)?
        .iter()
        .map(|source| {
            let name = source.strip_prefix(path).unwrap_or(source);
            let parts: Vec<&str> = name.components().map(|c| c.as_str()).collect();
            Video::new(parts.join("/"), source)
        })
        .collect();
    some(videos, path, "video file or folder of frames")
}

fn some(videos: Vec<Video>, path: &Utf8Path, what: &str) -> Result<Vec<Video>, DataError> {
    if !videos.is_empty() {
        return Ok(videos);
    }
    let listing = list(path, "videos were looked for there")?;
    let pictures = listing.files.iter().any(|file| is_frame_file(file));
    let hint = if pictures {
        " (the pictures in it lack a folder for each video)"
    } else {
        ""
    };
    Err(DataError::Empty {
        path: path.to_owned(),
        looked_for: format!("{what}{hint}"),
    })
}

/// UBnormal: the owners' lists have the split.
fn ubnormal(root: &Utf8Path) -> Result<FoundVideos, DataError> {
    let train = ubnormal_videos(root, &["normal_training_video_names.txt"])?;
    let test = ubnormal_videos(
        root,
        &[
            "normal_test_video_names.txt",
            "abnormal_test_video_names.txt",
        ],
    )?;
    Ok(FoundVideos {
        train,
        test,
        test_folder: root.to_owned(),
        warnings: Vec::new(),
    })
}

fn ubnormal_videos(root: &Utf8Path, lists: &[&str]) -> Result<Vec<Video>, DataError> {
    let mut videos = Vec::new();
    for name in lists {
        let path = ubnormal_list(root, name)?;
        let text = crate::regions::read_text(&path)?;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let scene = line.split('_').nth(2).filter(|s| s.parse::<u32>().is_ok());
            let scene = scene.ok_or_else(|| {
                let (line, name) = (index + 1, line.to_owned());
                SheetError::VideoName { line, name }.of(&path)
            })?;
            let source = root.join(format!("Scene{scene}/{line}.mp4"));
            if !source.is_file() {
                return Err(DataError::Missing {
                    path: source,
                    looked_for: format!("{path} names it (line {}: `{line}`)", index + 1),
                });
            }
            videos.push(Video::new(line, source));
        }
    }
    videos.sort_by(|a, b| natural_order(&a.name, &b.name));
    Ok(videos)
}

fn ubnormal_list(root: &Utf8Path, name: &str) -> Result<Utf8PathBuf, DataError> {
    ["", "scripts"]
        .iter()
        .map(|folder| root.join(folder).join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| DataError::Missing {
            path: root.join("scripts").join(name),
            looked_for: "the owners publish the split as lists in the folder scripts/ of \
                         github.com/lilygeorgescu/UBnormal; put that folder there"
                .to_owned(),
        })
}
