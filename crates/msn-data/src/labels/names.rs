//! Which label file belongs to which video.

use camino::{Utf8Path, Utf8PathBuf};

use crate::{DataError, Video};

/// A video's name without its folders and the extension of its file.
pub(crate) fn stem_of(video: &Video) -> &str {
    let path = Utf8Path::new(&video.name);
    // Its file may end in anything, or in nothing.
    let is_file = path.file_name() == video.source.file_name() && video.source.is_file();
    if is_file || msn_video::is_video_file(path) {
        path.file_stem().unwrap_or(&video.name)
    } else {
        path.file_name().unwrap_or(&video.name)
    }
}

/// The folder of the test videos, for messages.
pub(crate) fn folder_of(test: &[Video]) -> Utf8PathBuf {
    test.first()
        .and_then(|video| video.source.parent())
        .unwrap_or(Utf8Path::new("."))
        .to_owned()
}

/// What names of one video have in common: `1_label`, `01` and `001_gt` are the same.
fn key(stem: &str) -> String {
    let stem = stem
        .strip_suffix("_label")
        .or_else(|| stem.strip_suffix("_gt"))
        .unwrap_or(stem);
    let mut key = String::new();
    let mut in_number = false;
    let mut zeros = 0;
    for c in stem.chars() {
        if c == '0' && !in_number {
            zeros += 1;
            continue;
        }
        if c.is_ascii_digit() {
            in_number = true;
        } else {
            if zeros > 0 && !in_number {
                key.push('0');
            }
            in_number = false;
        }
        zeros = 0;
        key.push(c);
    }
    if zeros > 0 && !in_number {
        key.push('0');
    }
    key
}

/// Whether two names are of one video: the same but for folders, the ending of a video file, leading
/// zeros of numbers, and `_label` or `_gt` at the end.
#[must_use]
pub fn is_same_video(a: &str, b: &str) -> bool {
    let stem = |name: &str| {
        let path = Utf8Path::new(name);
        let stem = match msn_video::is_video_file(path) {
            true => path.file_stem(),
            false => path.file_name(),
        };
        key(stem.unwrap_or(name))
    };
    stem(a) == stem(b)
}

/// The label file of each video, in the order of the videos.
///
/// Exact names come first, then names that differ in leading zeros and in `_label` or `_gt`.
/// Every file must have its video and every video its file; `labels` is named where not.
pub(crate) fn assign(
    files: &[Utf8PathBuf],
    test: &[Video],
    labels: &Utf8Path,
) -> Result<Vec<Utf8PathBuf>, DataError> {
    let mut left: Vec<&Utf8PathBuf> = files.iter().collect();
    let mut found: Vec<Option<Utf8PathBuf>> = vec![None; test.len()];
    let rules: [fn(&str, &str) -> bool; 2] = [|a, b| a == b, |a, b| key(a) == key(b)];
    for same in rules {
        for (video, place) in test.iter().zip(&mut found) {
            if place.is_some() {
                continue;
            }
            let stem = stem_of(video);
            let at = left.iter().position(|file| same(stem_of_file(file), stem));
            *place = at.map(|at| left.remove(at).clone());
        }
    }
    if let Some(file) = left.first() {
        return Err(DataError::LabelVideo {
            labels: labels.to_owned(),
            video: stem_of_file(file).to_owned(),
            looked_in: folder_of(test),
        });
    }
    test.iter()
        .zip(found)
        .map(|(video, file)| {
            file.ok_or_else(|| DataError::Unlabelled {
                video: video.source.clone(),
                labels: labels.to_owned(),
            })
        })
        .collect()
}

/// A label file's name without its extension, if it has one of a label file.
fn stem_of_file(file: &Utf8Path) -> &str {
    match file.extension() {
        Some("npy" | "mat" | "txt") => file.file_stem(),
        _ => file.file_name(),
    }
    .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn videos(names: &[&str]) -> Vec<Video> {
        names
            .iter()
            .map(|name| Video::new(*name, format!("test/{name}")))
            .collect()
    }

    fn paths(names: &[&str]) -> Vec<Utf8PathBuf> {
        names
            .iter()
            .map(|name| format!("gt/{name}").into())
            .collect()
    }

    #[test]
    fn labels_find_their_videos_by_number() {
        let test = videos(&["01", "02", "10"]);
        let files = paths(&["1_label.mat", "10_label.mat", "2_label.mat"]);
        assert_eq!(
            assign(&files, &test, "gt".into()).unwrap(),
            paths(&["1_label.mat", "2_label.mat", "10_label.mat"])
        );
    }

    #[test]
    fn exact_names_come_first() {
        let test = videos(&["cam/1.mp4", "cam/01.mp4"]);
        let files = paths(&["01.npy", "1.npy"]);
        assert_eq!(
            assign(&files, &test, "gt".into()).unwrap(),
            paths(&["1.npy", "01.npy"])
        );
    }

    #[test]
    fn a_label_or_a_video_too_many_is_an_error() {
        let test = videos(&["01", "02"]);
        let many = assign(&paths(&["01.npy", "02.npy", "03.npy"]), &test, "gt".into());
        assert!(matches!(many, Err(DataError::LabelVideo { video, .. }) if video == "03"));
        let few = assign(&paths(&["01.npy"]), &test, "gt".into());
        assert!(matches!(few, Err(DataError::Unlabelled { video, .. }) if video == "test/02"));
    }

    #[test]
    fn keys_keep_zeros_that_count() {
        assert_eq!(key("01_0014"), "1_14");
        assert_eq!(key("a0_b00"), "a0_b0");
        assert_eq!(key("10_label"), "10");
        assert_ne!(key("1"), key("10"));
    }
}
