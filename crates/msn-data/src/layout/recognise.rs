//! Which layout a folder is in.

use camino::Utf8Path;
use msn_video::is_frame_file;

use super::DatasetLayout;
use crate::DataError;
use crate::folder::{Listing, extension, has_folder, list};

/// The layout of a folder.
pub(super) fn recognise(root: &Utf8Path) -> Result<DatasetLayout, DataError> {
    let listing = list(root, "give the folder of a data set")?;
    if let Some(layout) = layout_of(root, &listing)? {
        return Ok(layout);
    }
    Err(unrecognised(root, &listing))
}

fn layout_of(root: &Utf8Path, listing: &Listing) -> Result<Option<DatasetLayout>, DataError> {
    let has = |name: &str| has_folder(root, name);
    if has("training/frames") || (has("testing/frames") && !has("training/videos")) {
        return Ok(Some(DatasetLayout::Frames));
    }
    if has("training/videos") || has("testing/videos") {
        return Ok(Some(DatasetLayout::ShanghaiTechOriginal));
    }
    if has("training_videos") || has("testing_videos") {
        return Ok(Some(DatasetLayout::AvenueOriginal));
    }
    if has("videos/train") || has("videos/test") {
        return Ok(Some(DatasetLayout::NwpuCampus));
    }
    if listing
        .folders
        .iter()
        .any(|folder| numbered(folder, "Scene"))
    {
        return Ok(Some(DatasetLayout::UbNormal));
    }
    if has("Train") || has("Test") {
        return ucsd_or_street_scene(root);
    }
    if has("train") || has("test") {
        return Ok(Some(DatasetLayout::Own));
    }
    Ok(None)
}

/// Whether a folder is named by a word and a number.
pub(super) fn numbered(folder: &Utf8Path, word: &str) -> bool {
    folder
        .file_name()
        .and_then(|name| name.strip_prefix(word))
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit()))
}

/// Street Scene took UCSD's names; its frames are JPEG, its labels text.
fn ucsd_or_street_scene(root: &Utf8Path) -> Result<Option<DatasetLayout>, DataError> {
    let mut numbered_folders = Vec::new();
    for split in ["Test", "Train"] {
        if !has_folder(root, split) {
            continue;
        }
        let listing = list(&root.join(split), "clips were looked for there")?;
        if listing.files.iter().any(|file| extension(file) == "m") {
            return Ok(Some(DatasetLayout::UcsdOriginal));
        }
        if listing.files.iter().any(|file| is_box_text(file)) {
            return Ok(Some(DatasetLayout::StreetScene));
        }
        let clips = listing.folders.into_iter();
        numbered_folders.extend(clips.filter(|folder| numbered(folder, split)));
    }
    let Some(clip) = numbered_folders.first() else {
        return Ok(None);
    };
    let files = list(clip, "frames were looked for there")?.files;
    let street = files
        .iter()
        .any(|file| is_box_text(file) || matches!(extension(file).as_str(), "jpg" | "jpeg"));
    Ok(Some(if street {
        DatasetLayout::StreetScene
    } else {
        DatasetLayout::UcsdOriginal
    }))
}

fn is_box_text(file: &Utf8Path) -> bool {
    file.as_str().ends_with("_gt.txt")
}

/// Says what a folder is instead, and what to do.
fn unrecognised(root: &Utf8Path, listing: &Listing) -> DataError {
    let sets: Vec<&str> = listing
        .folders
        .iter()
        .filter(|folder| {
            list(folder, "a data set was looked for there")
                .and_then(|inner| layout_of(folder, &inner))
                .is_ok_and(|layout| layout.is_some())
        })
        .filter_map(|folder| folder.file_name())
        .collect();
    let (reason, way_out) = if !sets.is_empty() {
        (
            "it is none itself".to_owned(),
            format!("give one of the data sets in it: {}", sets.join(", ")),
        )
    } else if listing.files.iter().any(|file| is_frame_file(file)) {
        (
            "it holds pictures, so it is one video".to_owned(),
            "give a folder with train/ and test/, and put this one into one of them".to_owned(),
        )
    } else if listing.files.is_empty() && listing.folders.is_empty() {
        (
            "it is empty".to_owned(),
            "put normal videos into train/ and others into test/".to_owned(),
        )
    } else {
        let expected: Vec<&str> = DatasetLayout::ALL
            .iter()
            .map(|layout| layout.expects())
            .collect();
        (
            format!("looked for {}", expected.join(", ")),
            "put normal videos into train/ and others into test/, or name the layout with --layout"
                .to_owned(),
        )
    };
    DataError::Unrecognised {
        path: root.to_owned(),
        reason,
        way_out,
    }
}
