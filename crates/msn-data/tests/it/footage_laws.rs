//! Whatever lies in a folder is used once, or named.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use msn_data::Video;
use msn_video::{FileIdentity, frame_files};
use proptest::prelude::*;

use crate::tiny::Tiny;

const FOLDERS: [&str; 6] = [
    "train",
    "train/d",
    "train/d/e",
    "train/.h",
    "test",
    "test/f",
];
const ENDINGS: [&str; 9] = [
    "mp4", "dav", "bin", "jpg", "png", "", "txt", "mp4.part", "csv",
];

#[derive(Clone, Debug)]
enum Made {
    File { content: usize, ending: usize },
    Link { to: usize },
    HardLink { to: usize },
    FolderLink { to: usize },
    NotUtf8,
}

fn made() -> impl Strategy<Value = Vec<(usize, Made)>> {
    let made = prop_oneof![
        5 => (0..4_usize, 0..ENDINGS.len())
            .prop_map(|(content, ending)| Made::File { content, ending }),
        2 => any::<usize>().prop_map(|to| Made::Link { to }),
        1 => any::<usize>().prop_map(|to| Made::HardLink { to }),
        1 => any::<usize>().prop_map(|to| Made::FolderLink { to }),
        1 => Just(Made::NotUtf8),
    ];
    proptest::collection::vec((0..FOLDERS.len(), made), 0..14)
}

/// Makes a tree; every file has bytes of its own.
fn make(tiny: &Tiny, all: &[(usize, Made)]) {
    for folder in FOLDERS {
        std::fs::create_dir_all(tiny.root.join(folder)).unwrap();
    }
    let mp4 = |n: usize| [&b"\0\0\0\x18ftypmp42"[..], &n.to_le_bytes()].concat();
    tiny.write("train/real.mp4", mp4(1000))
        .write("test/real.mp4", mp4(1001));
    let mut files = vec![
        tiny.root.join("train/real.mp4"),
        tiny.root.join("test/real.mp4"),
    ];
    for (index, (folder, made)) in all.iter().enumerate() {
        let folder = tiny.root.join(FOLDERS[*folder]);
        match made {
            Made::File { content, ending } => {
                let bytes = match content {
                    0 => mp4(index),
                    1 => [&b"\x89PNG\r\n\x1A\n"[..], &index.to_le_bytes()].concat(),
                    2 => format!("text {index}").into_bytes(),
                    _ => Vec::new(),
                };
                let dot = if ENDINGS[*ending].is_empty() { "" } else { "." };
                let path = folder.join(format!("n{index}{dot}{}", ENDINGS[*ending]));
                std::fs::write(&path, bytes).unwrap();
                files.push(path);
            }
            Made::Link { to } | Made::HardLink { to } => {
                let target = &files[to % files.len()];
                let ending = target
                    .extension()
                    .map_or(String::new(), |e| format!(".{e}"));
                let path = folder.join(format!("n{index}{ending}"));
                match made {
                    Made::Link { .. } => std::os::unix::fs::symlink(target, &path).unwrap(),
                    _ => std::fs::hard_link(target, &path).unwrap(),
                }
            }
            Made::FolderLink { to } => {
                let to = ["", FOLDERS[to % FOLDERS.len()]][to % 2];
                let path = folder.join(format!("n{index}"));
                std::os::unix::fs::symlink(tiny.root.join(to), path).unwrap();
            }
            Made::NotUtf8 => {
                let name = OsString::from_vec(format!("n{index}").bytes().chain([0xFF]).collect());
                std::fs::write(folder.as_std_path().join(name), "").unwrap();
            }
        }
    }
}

/// All that is no folder and no link to one, by its own path.
fn entries(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            entries(&entry.path(), all);
        } else if !entry.path().is_dir() {
            all.push(entry.path());
        }
    }
}

fn files_of(video: &Video) -> Vec<camino::Utf8PathBuf> {
    match video.source.is_dir() {
        true => frame_files(&video.source).unwrap(),
        false => vec![video.source.clone()],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn each_file_is_used_once_or_named(all in made()) {
        let tiny = Tiny::new("set");
        make(&tiny, &all);
        let set = tiny.open().unwrap();
        let used: Vec<_> = set.train.iter().chain(&set.test).flat_map(files_of).collect();
        // No real file twice, so that none is both trained on and held out.
        let identities: BTreeSet<_> =
            used.iter().filter_map(|file| FileIdentity::of(file).ok()).collect();
        prop_assert_eq!(identities.len(), used.len(), "{:?}", used);
        // Nothing without a word.
        let mut found = Vec::new();
        entries(tiny.root.join("train").as_std_path(), &mut found);
        entries(tiny.root.join("test").as_std_path(), &mut found);
        for path in found {
            let path = path.to_string_lossy().into_owned();
            let is_used = used.iter().any(|file| *file == path);
            let mut above = camino::Utf8Path::new(&path).ancestors();
            let is_named = above.any(|p| set.passed_over.iter().any(|o| o.path == p));
            prop_assert!(is_used || is_named, "{} of {:?}", path, set.passed_over);
        }
        // The same folder says the same again.
        prop_assert_eq!(tiny.open().unwrap().passed_over, set.passed_over);
        let argument = [tiny.root.join("train").to_string()];
        prop_assert!(msn_data::find_sources(&argument).is_ok());
    }
}
