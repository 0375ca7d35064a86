//! Files that may hold labels and are not read, and what to do with each.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::FileIdentity;

use super::find::LabelSearch;
use crate::folder::{extension, list};
use crate::passed_over::{PassedOver, Reason};
use crate::{DataError, DatasetLayout};

/// What is read, for those who have something else.
const WAY_OUT: &str = "labels are read from events.csv in the data set's folder, with the columns \
                       video,start,end,kind (docs/data.md)";

/// Files in the data set's own folders that may hold labels and are none of `read`.
pub(crate) fn unread(
    search: &LabelSearch<'_>,
    read: &[Utf8PathBuf],
) -> Result<Vec<PassedOver>, DataError> {
    let of_reader: Vec<FileIdentity> = read
        .iter()
        .filter_map(|path| FileIdentity::of(path).ok())
        .collect();
    let mut found = Vec::new();
    for folder in search.folders() {
        if read.iter().any(|path| path == folder) {
            continue;
        }
        for path in list(folder, "labels were looked for there")?.files {
            // Where names have no case, `Events.csv` is read as `events.csv`.
            let is_read = FileIdentity::of(&path).is_ok_and(|id| of_reader.contains(&id));
            let advice = match is_read {
                true => None,
                false => advice(search, &path),
            };
            found.extend(advice.map(|a| PassedOver::new(path, Reason::Labels(a))));
        }
    }
    Ok(found)
}

/// What to do with a file that may hold labels; nothing for one that does not look like it.
fn advice(search: &LabelSearch<'_>, path: &Utf8Path) -> Option<String> {
    if let Some(advice) = event_table(path) {
        return Some(advice);
    }
    let named = is_named_as_labels(path.file_stem().unwrap_or_default());
    let ending = extension(path);
    match ending.as_str() {
        "npy" | "npz" if named || path.parent() == Some(search.test_folder) => Some(
            "give it with --labels if it has those of all test videos, or put one for each video \
             into test_frame_mask/"
                .to_owned(),
        ),
        "mat" | "m" if named => Some(
            "give it with --labels; read are the cell `gt` of spans, and UCSD's script".to_owned(),
        ),
        // The owners' lists of the split, and boxes that are read with their videos.
        "txt" if path.as_str().ends_with("_video_names.txt") => None,
        "txt" if search.layout != DatasetLayout::Own && path.as_str().ends_with("_gt.txt") => None,
        "csv" | "tsv" | "json" | "jsonl" | "txt" | "xml" | "yaml" | "yml" | "pkl" | "pickle"
        | "xls" | "xlsx" | "ods" | "h5" | "hdf5" | "srt" | "vtt"
            if named =>
        {
            Some(WAY_OUT.to_owned())
        }
        _ => None,
    }
}

/// What to do with a table of events in another place than the data set's folder, or under a name
/// in other letters.
pub(crate) fn event_table(path: &Utf8Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default();
    if name == "events.csv" {
        return Some("move it into the data set's folder, beside train/ and test/".to_owned());
    }
    let plain = name.to_ascii_lowercase();
    let stem = plain
        .strip_suffix(".csv")
        .or_else(|| plain.strip_suffix(".txt"))?;
    let stem = stem.strip_suffix(".csv").unwrap_or(stem);
    matches!(stem, "events" | "event").then(|| {
        "name it events.csv, in small letters, in the data set's folder, beside train/ and test/"
            .to_owned()
    })
}

/// Whether a name has one of the words that label files are named by.
fn is_named_as_labels(stem: &str) -> bool {
    const PARTS: [&str; 9] = [
        "label",
        "annot",
        "anomal",
        "abnormal",
        "event",
        "truth",
        "groundtruth",
        "mask",
        "track",
    ];
    const WORDS: [&str; 2] = ["gt", "gts"];
    let stem = stem.to_ascii_lowercase();
    PARTS.iter().any(|part| stem.contains(part))
        || stem
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_files_are_known_by_their_names() {
        for name in [
            "gt_label",
            "GT",
            "Test_gt",
            "annotations",
            "AnomalyLabels",
            "ground_truth",
        ] {
            assert!(is_named_as_labels(name), "{name}");
        }
        for name in [
            "readme", "length", "settings", "split", "dataset", "gtx1080",
        ] {
            assert!(!is_named_as_labels(name), "{name}");
        }
        for name in [
            "a/Events.csv",
            "EVENTS.CSV",
            "events.csv.txt",
            "test/events.csv",
            "events.txt",
        ] {
            assert!(event_table(name.into()).is_some(), "{name}");
        }
        assert_eq!(event_table("scores.csv".into()), None);
    }
}
