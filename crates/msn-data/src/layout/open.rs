//! The videos of a data set in each layout.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{EntryKind, FolderEntry, FrameListing, Media, list_folder, media};

use super::recognise::numbered;
use super::{DatasetLayout, FoundVideos};
use crate::folder::{has_folder, is_dropping, list};
use crate::passed_over::{PassedOver, Reason};
use crate::walk::{Found, PicturesInRoot, each_once, walk};
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
    let mut parts = Vec::new();
    // What is tested is not trained on, where neither is a link to the other.
    for name in [test, train] {
        let path = root.join(name);
        parts.push(match has_folder(root, name) {
            false => Found::default(),
            true => match layout {
                DatasetLayout::UcsdOriginal | DatasetLayout::StreetScene => some(
                    flat(&path, Expected::Folders(&|f| numbered(f, name)))?,
                    &path,
                )?,
                DatasetLayout::Own => some(walk(&path, PicturesInRoot::Loose)?, &path)?,
                _ if name.ends_with("frames") => {
                    some(flat(&path, Expected::Folders(&|_| true))?, &path)?
                }
                _ => some(flat(&path, Expected::Files)?, &path)?,
            },
        });
    }
    let (mut videos, mut passed_over) = each_once(parts);
    if layout == DatasetLayout::Own {
        passed_over.extend(outside(root)?);
    }
    let named = |sources: Vec<Utf8PathBuf>, part: &str| -> Vec<Video> {
        let sources = sources.into_iter();
        sources
            .map(|source| Video::new(video_name(layout, &source, &root.join(part)), source))
            .collect()
    };
    let trained = videos.pop().unwrap_or_default();
    let tested = videos.pop().unwrap_or_default();
    let mut split = FoundVideos {
        train: named(trained, train),
        test: named(tested, test),
        test_folder: root.join(test),
        passed_over,
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
                    let why = match path.exists() {
                        true => "has none of its own",
                        false => "does not exist",
                    };
                    split
                        .warnings
                        .push(format!("{path} {why}: there are no {what} videos"));
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

/// A video's name: its path under its part of one's own footage, else the folder's name or the
/// file's without its ending.
fn video_name(layout: DatasetLayout, source: &Utf8Path, part: &Utf8Path) -> String {
    if layout == DatasetLayout::Own {
        let name = source.strip_prefix(part).unwrap_or(source);
        let parts: Vec<&str> = name.components().map(|c| c.as_str()).collect();
        return parts.join("/");
    }
    match source.is_dir() {
        true => source.file_name(),
        false => source.file_stem(),
    }
    .unwrap_or_default()
    .to_owned()
}

/// What a folder of a published layout holds.
enum Expected<'a> {
    /// A folder of frames for each video, of those that are wanted.
    Folders(&'a dyn Fn(&Utf8Path) -> bool),
    /// Video files.
    Files,
}

/// The videos directly in a folder.
fn flat(path: &Utf8Path, expected: Expected<'_>) -> Result<Found, DataError> {
    let listing = list_folder(path).map_err(|e| DataError::io(path, "listed", e))?;
    let mut found = Found::default();
    for name in listing.not_utf8 {
        found.pass_over(name, Reason::NotUtf8);
    }
    for entry in listing.entries {
        if is_dropping(entry.name()) {
            continue;
        }
        if entry.name().starts_with('.') {
            found.pass_over(entry.path, Reason::Hidden);
            continue;
        }
        match (entry.kind, &expected) {
            (EntryKind::Folder, Expected::Folders(wanted)) if wanted(&entry.path) => {
                add_frames(&mut found, &entry)?;
            }
            // Masks and the like lie among them.
            (EntryKind::Folder, Expected::Folders(_)) => {}
            (EntryKind::Folder, Expected::Files) => {
                found.pass_over(entry.path, Reason::LooseFolder);
            }
            (EntryKind::Special, _) => found.pass_over(entry.path, Reason::Special),
            (EntryKind::Nowhere, _) => found.pass_over(entry.path, Reason::Nowhere),
            (EntryKind::File, _) => match (media(&entry), &expected) {
                (Some(Media::Video), Expected::Files) => {
                    found.add_file(&entry.path, entry.identity.clone(), entry.is_link);
                }
                (Some(Media::Video), _) => found.pass_over(entry.path, Reason::LooseVideo),
                (Some(Media::Picture), _) => found.pass_over(entry.path, Reason::LoosePicture),
                (Some(Media::OtherPicture(kind)), _) => {
                    found.pass_over(entry.path, Reason::OtherPicture(kind));
                }
                (Some(Media::Leftover), _) => found.pass_over(entry.path, Reason::Leftover),
                (None, _) => {}
            },
        }
    }
    Ok(found)
}

/// Adds a folder of frames; one without any is a video that can't be read, unless it is a link.
fn add_frames(found: &mut Found, folder: &FolderEntry) -> Result<(), DataError> {
    let path = &folder.path;
    let inside = list_folder(path).map_err(|e| DataError::io(path, "listed", e))?;
    for name in &inside.not_utf8 {
        found.pass_over(name, Reason::NotUtf8);
    }
    for entry in &inside.entries {
        match media(entry) {
            Some(Media::Video) => found.pass_over(&entry.path, Reason::LooseVideo),
            Some(Media::OtherPicture(kind)) => {
                found.pass_over(&entry.path, Reason::OtherPicture(kind));
            }
            Some(Media::Leftover) => found.pass_over(&entry.path, Reason::Leftover),
            Some(Media::Picture) | None => {}
        }
    }
    let before = found.candidates.len();
    found.add_frames(path, FrameListing::of(&inside), folder.is_link);
    if found.candidates.len() == before {
        match folder.is_link {
            true => {
                let of = path.canonicalize_utf8().unwrap_or(path.clone());
                found.pass_over(path, Reason::Link { of });
            }
            false => found.add_file(path, None, false),
        }
    }
    Ok(())
}

/// Footage in a folder with `train` and `test` that lies outside of both.
fn outside(root: &Utf8Path) -> Result<Vec<PassedOver>, DataError> {
    let listing = list_folder(root).map_err(|e| DataError::io(root, "listed", e))?;
    let mut found = Found::default();
    for name in listing.not_utf8 {
        found.pass_over(name, Reason::NotUtf8);
    }
    for entry in listing.entries {
        if !entry.name().starts_with('.')
            && matches!(media(&entry), Some(Media::Video | Media::Picture))
        {
            found.pass_over(entry.path, Reason::Outside);
        }
    }
    Ok(found.passed_over)
}

/// What was found in a folder, if there is any video.
fn some(found: Found, path: &Utf8Path) -> Result<Found, DataError> {
    if !found.candidates.is_empty() {
        return Ok(found);
    }
    let pictures = |p: &PassedOver| p.reason == Reason::LoosePicture;
    let hint = match found.passed_over.iter().find(|p| p.is_notable()) {
        _ if found.passed_over.iter().any(pictures) => {
            " (the pictures in it lack a folder for each video)".to_owned()
        }
        Some(first) => format!(" ({first})"),
        None => String::new(),
    };
    Err(DataError::Empty {
        path: path.to_owned(),
        looked_for: format!("video file or folder of frames{hint}"),
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
        ..FoundVideos::default()
    })
}

fn ubnormal_videos(root: &Utf8Path, lists: &[&str]) -> Result<Vec<Video>, DataError> {
    let mut videos = Vec::new();
    for name in lists {
        let path = ubnormal_list(root, name)?;
        let text = crate::text::read_text(&path)?;
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
