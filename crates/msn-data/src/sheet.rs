//! Data sheets: what is known of a data set, one TOML file for each.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::text::decode;
use crate::{DataError, DatasetLayout, SheetError};

/// Format that this version reads.
const VERSION: u32 = 1;

/// The sheets of public data sets, by the names of their files.
const PUBLIC: [(&str, &str); 7] = [
    ("ped1.toml", include_str!("../datasets/ped1.toml")),
    ("ped2.toml", include_str!("../datasets/ped2.toml")),
    ("avenue.toml", include_str!("../datasets/avenue.toml")),
    (
        "shanghaitech.toml",
        include_str!("../datasets/shanghaitech.toml"),
    ),
    ("ubnormal.toml", include_str!("../datasets/ubnormal.toml")),
    (
        "street-scene.toml",
        include_str!("../datasets/street-scene.toml"),
    ),
    (
        "nwpu-campus.toml",
        include_str!("../datasets/nwpu-campus.toml"),
    ),
];

/// What is known of a data set: how it lies on disk, its counts, its traps and terms.
///
/// Numbers that are not known for certain are left out. One's own footage may have a sheet too:
/// `dataset.toml` in its folder, with any of these keys (`version` and `name` are required).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sheet {
    /// Version of the format: 1.
    pub version: u32,
    /// The data set's name.
    pub name: String,
    /// Names of folders under which it circulates; compared without regard to case and signs.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Layouts in which it circulates.
    #[serde(default)]
    pub layouts: Vec<DatasetLayout>,
    /// Frames a second, where neither files nor folders have one.
    pub rate_hz: Option<f64>,
    /// Width of the pictures in pixels.
    pub width: Option<u32>,
    /// Height of the pictures in pixels.
    pub height: Option<u32>,
    /// Training videos.
    #[serde(default)]
    pub train: Counts,
    /// Test videos.
    #[serde(default)]
    pub test: Counts,
    /// Versions of the frame labels that circulate.
    #[serde(default)]
    pub labels: Vec<LabelVersion>,
    /// Where the owners publish it.
    pub source: Option<String>,
    /// Terms of use, in the owners' words or that there are none.
    pub terms: Option<String>,
    /// The publication to cite.
    pub citation: Option<String>,
    /// What to look out for.
    #[serde(default)]
    pub traps: Vec<String>,
}

/// Counts of a part of a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Videos.
    pub videos: Option<usize>,
    /// Frames of all videos.
    pub frames: Option<usize>,
}

/// A version of a data set's frame labels, known by its count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelVersion {
    /// Anomalous test frames.
    pub anomalous: usize,
    /// Where it comes from.
    pub note: String,
}

impl Sheet {
    /// The sheets of the public data sets that this crate knows.
    ///
    /// # Errors
    /// [`DataError::Sheet`] never occurs for a released crate: tests read every sheet.
    pub fn public() -> Result<Vec<Self>, DataError> {
        PUBLIC
            .iter()
            .map(|(file, text)| Self::parse(text, Utf8Path::new(file)))
            .collect()
    }

    /// Reads a sheet. `path` names it in errors.
    ///
    /// # Errors
    /// [`DataError::Sheet`] for text that is no sheet, with the line.
    pub fn parse(text: &str, path: &Utf8Path) -> Result<Self, DataError> {
        let sheet: Self = toml::from_str(text).map_err(|e| SheetError::from(e).of(path))?;
        if sheet.version != VERSION {
            let (found, newest) = (sheet.version, VERSION);
            return Err(SheetError::Version { found, newest }.of(path));
        }
        if let Some(rate) = sheet.rate_hz
            && !(rate.is_finite() && rate > 0.0)
        {
            return Err(SheetError::Rate(rate).of(path));
        }
        Ok(sheet)
    }

    /// The sheet of a data set: `dataset.toml` in its folder, or the public one of its name.
    pub(crate) fn find(root: &Utf8Path, name: &str) -> Result<Option<Self>, DataError> {
        let path: Utf8PathBuf = root.join("dataset.toml");
        match std::fs::read(&path) {
            Ok(bytes) => {
                let text = decode(&bytes).map_err(|e| SheetError::from(e).of(&path))?;
                return Self::parse(&text, &path).map(Some);
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(DataError::io(path, "read", e)),
        }
        let name = plain(name);
        let mut sheets = Self::public()?.into_iter();
        Ok(sheets.find(|sheet| sheet.folders.iter().any(|folder| plain(folder) == name)))
    }
}

/// A name in small letters and digits alone.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_public_sheet_is_read() {
        let sheets = Sheet::public().unwrap();
        assert_eq!(sheets.len(), PUBLIC.len());
        for sheet in &sheets {
            assert!(
                !sheet.folders.is_empty() && !sheet.layouts.is_empty(),
                "{}",
                sheet.name
            );
            assert!(
                sheet.source.is_some() && sheet.citation.is_some(),
                "{}",
                sheet.name
            );
        }
    }

    #[test]
    fn sheets_are_found_by_the_folders_name() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for (name, expected) in [
            ("ped2", Some("UCSD Ped2")),
            ("UCSDped2", Some("UCSD Ped2")),
            ("Street_Scene", Some("Street Scene")),
            ("garage", None),
        ] {
            let sheet = Sheet::find(root, name).unwrap();
            assert_eq!(sheet.map(|s| s.name).as_deref(), expected, "{name}");
        }
        std::fs::write(
            root.join("dataset.toml"),
            "version = 1\nname = \"Garage\"\nrate_hz = 12.5\n",
        )
        .unwrap();
        let sheet = Sheet::find(root, "ped2").unwrap().unwrap();
        assert_eq!((sheet.name.as_str(), sheet.rate_hz), ("Garage", Some(12.5)));
    }

    #[test]
    fn wrong_sheets_are_refused_with_the_place() {
        for (text, part) in [
            ("name = \"a\"", "version"),
            ("version = 2\nname = \"a\"", "its version is 2"),
            (
                "version = 1\nname = \"a\"\nrate = 3",
                "unknown field `rate`",
            ),
            ("version = 1\nname = \"a\"\nrate_hz = 0.0", "rate_hz is 0"),
            (
                "version = 1\nname = \"a\"\nlayouts = [\"x\"]",
                "`x` is no layout",
            ),
        ] {
            let error = Sheet::parse(text, "dataset.toml".into())
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(part) && error.contains("dataset.toml"),
                "{error}"
            );
        }
    }
}
