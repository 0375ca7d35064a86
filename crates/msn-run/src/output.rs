//! Names of outputs, and what they must not replace.

use std::collections::{HashMap, HashSet};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::RunError;

/// Bytes of a part of a path that file systems take, less room for endings and temporary names.
const LONGEST: usize = 200;

/// Whether a file may be written: it is no folder, and none of the inputs.
///
/// # Errors
/// [`RunError::OutputFolder`] or [`RunError::OutputOverInput`].
pub fn check_output<'a>(
    out: &Utf8Path,
    inputs: impl IntoIterator<Item = &'a Utf8Path>,
) -> Result<(), RunError> {
    if out.is_dir() {
        return Err(RunError::OutputFolder {
            path: out.to_owned(),
        });
    }
    // What is not there yet replaces nothing.
    let Ok(real) = out.canonicalize_utf8() else {
        return Ok(());
    };
    let same = |input: &&Utf8Path| input.canonicalize_utf8().is_ok_and(|input| input == real);
    match inputs.into_iter().find(same) {
        Some(input) => Err(RunError::OutputOverInput {
            path: out.to_owned(),
            input: input.to_owned(),
        }),
        None => Ok(()),
    }
}

/// Paths below a folder for files about videos of these names: `cam1/01.mp4` becomes
/// `cam1/01.ENDING`. No two are alike, letter case aside, whatever the names are; none leaves the
/// folder, and no part is longer than file systems take.
pub fn file_names(names: &[&str], ending: &str) -> Vec<Utf8PathBuf> {
    let mut stems: HashMap<String, usize> = HashMap::new();
    for name in names {
        *stems.entry(stem(name).to_lowercase()).or_default() += 1;
    }
    let mut taken = HashSet::new();
    let mut unique = |name: &&str| {
        // Of two that differ in their endings alone both keep them.
        let plain = match stems.get(&stem(name).to_lowercase()) {
            Some(1) => stem(name),
            _ => name,
        };
        let path = below_folder(plain);
        let mut candidate = Utf8PathBuf::from(format!("{path}.{ending}"));
        let mut number = 1;
        while !taken.insert(candidate.as_str().to_lowercase()) {
            number += 1;
            candidate = Utf8PathBuf::from(format!("{path} ({number}).{ending}"));
        }
        candidate
    };
    names.iter().map(&mut unique).collect()
}

/// A video's name without the ending of a video file.
fn stem(name: &str) -> &str {
    let path = Utf8Path::new(name);
    match path.extension() {
        Some(ending) if msn_video::is_video_file(path) => &name[..name.len() - ending.len() - 1],
        _ => name,
    }
}

/// A name as a path that stays below a folder.
fn below_folder(name: &str) -> Utf8PathBuf {
    let parts = Utf8Path::new(name).components();
    let safe = parts.filter_map(|part| match part {
        Utf8Component::Normal(part) => Some(bounded(part)),
        Utf8Component::ParentDir => Some("_".to_owned()),
        _ => None,
    });
    let path: Utf8PathBuf = safe.collect();
    match path.as_str().is_empty() {
        true => "_".into(),
        false => path,
    }
}

/// A part of a path that is not too long: its beginning and a checksum of all of it.
fn bounded(part: &str) -> String {
    if part.len() <= LONGEST {
        return part.to_owned();
    }
    let mut end = LONGEST - 9;
    while !part.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}~{:08x}", &part[..end], crc32c::crc32c(part.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(names: &[&str]) -> Vec<String> {
        let paths = file_names(names, "mp4").into_iter();
        paths.map(Utf8PathBuf::into_string).collect()
    }

    #[test]
    fn videos_keep_their_names_where_they_can() {
        assert_eq!(
            of(&["01.mp4", "02.avi", "Test003"]),
            ["01.mp4", "02.mp4", "Test003.mp4"]
        );
        assert_eq!(of(&["01.mp4", "01.avi"]), ["01.mp4.mp4", "01.avi.mp4"]);
        assert_eq!(
            of(&["cam1/01.mp4", "cam2/01.mp4"]),
            ["cam1/01.mp4", "cam2/01.mp4"]
        );
        assert_eq!(
            of(&["/etc/a.mp4", "../a.avi", ".."]),
            ["etc/a.mp4", "_/a.mp4", "_.mp4"]
        );
        assert_eq!(
            of(&["A", "a", "a (2)"]),
            ["A.mp4", "a (2).mp4", "a (2) (2).mp4"]
        );
        let long = ["door".repeat(90) + "-1.mp4", "door".repeat(90) + "-2.mp4"];
        let cut = of(&[&long[0], &long[1]]);
        assert!(cut[0] != cut[1] && cut.iter().all(|name| name.len() < 255));
    }

    proptest! {
        #[test]
        fn names_are_unique_short_and_below_the_folder(
            names in prop::collection::vec("(\\.\\./|/|a|A|é|x{150}|\\.mp4|\\.avi| \\(2\\)){0,6}", 0..12),
        ) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let found = file_names(&names, "mp4");
            prop_assert_eq!(found.len(), names.len());
            let mut all: Vec<_> = found.iter().map(|p| p.as_str().to_lowercase()).collect();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), names.len());
            for path in &found {
                prop_assert!(path.components().all(|part| matches!(part, Utf8Component::Normal(_))));
                prop_assert!(path.components().all(|part| part.as_str().len() < 256), "{}", path);
            }
        }
    }

    #[test]
    fn inputs_and_folders_are_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let video = dir.join("v.mp4");
        std::fs::write(&video, "").unwrap();
        let weights = dir.join("w");
        let check = |out: &Utf8Path| check_output(out, [weights.as_path(), &video]);
        check(&dir.join("new.csv")).unwrap();
        let error = check(&video).unwrap_err();
        assert!(matches!(error, RunError::OutputOverInput { .. }), "{error}");
        let error = check(&dir.join("../").join(dir.file_name().unwrap()).join("v.mp4"));
        assert!(matches!(error, Err(RunError::OutputOverInput { .. })));
        let error = check(dir).unwrap_err();
        assert!(matches!(error, RunError::OutputFolder { .. }), "{error}");
    }
}
