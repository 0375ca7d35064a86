//! `run.json`: what a run was made of.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::RunError;

/// The format of `run.json` that this version writes.
pub const RUN_FORMAT: &str = "msn-run-2";

/// The format before, whose calibration split is called `held_out`.
const RUN_FORMAT_1: &str = "msn-run-1";

/// `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunCard {
    /// [`RUN_FORMAT`].
    pub format: String,
    /// The command that began the run.
    pub command: String,
    /// The run's seed.
    pub seed: u64,
    /// The device, as [`crate::Devices::name`] has it.
    pub device: String,
    /// The CPU kernels, where they computed.
    #[serde(default)]
    pub kernels: Option<String>,
    /// Steps after which the training was resumed.
    #[serde(default)]
    pub resumed_at: Vec<usize>,
    /// Whether the folder is one of `v1`, `v2`, ..., at the newest complete of which `latest` points.
    #[serde(default)]
    pub numbered: bool,
    /// What was trained on.
    pub data: RunData,
    /// Versions of what computed, by name.
    pub versions: BTreeMap<String, String>,
    /// Seconds from the start to the finished evaluation, of the last process alone where the run was
    /// resumed; `None` while training.
    pub seconds: Option<f64>,
}

/// The data a run was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunData {
    /// The data set's name.
    pub name: String,
    /// Its folder, absolute.
    pub path: Utf8PathBuf,
    /// Hash of the decoded training frames.
    pub hash: String,
    /// Training videos, the calibration split included.
    pub training_videos: usize,
    /// Their frames.
    pub training_frames: usize,
    /// Names of the videos, with frames where only a part is meant, of the calibration split: normal
    /// footage that is not trained on. They validate each epoch and calibrate the anomaly score.
    #[serde(alias = "held_out")]
    pub calibration_split: Vec<String>,
    /// The layout it was read in; none in older runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<String>,
    /// The file or folder of labels that was asked for, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Utf8PathBuf>,
    /// Frames a second of its folders of frames, where they were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_hz: Option<f64>,
}

impl RunCard {
    /// Reads `run.json`, also of the format before.
    ///
    /// # Errors
    /// [`RunError::Read`], [`RunError::Card`] or [`RunError::CardFormat`].
    pub fn read(path: &Utf8Path) -> Result<Self, RunError> {
        let text = std::fs::read_to_string(path).map_err(RunError::read(path))?;
        let card = |source| RunError::Card {
            path: path.to_owned(),
            source,
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(card)?;
        if let Some(format) = value["format"].as_str()
            && ![RUN_FORMAT, RUN_FORMAT_1].contains(&format)
        {
            return Err(RunError::CardFormat {
                path: path.to_owned(),
                format: format.to_owned(),
            });
        }
        let mut read: Self = serde_json::from_value(value).map_err(card)?;
        // What is written from now on is of the present format.
        read.format = RUN_FORMAT.into();
        Ok(read)
    }
}

/// Versions of what computes, by name.
pub fn versions() -> BTreeMap<String, String> {
    let entries = [
        ("msn", env!("CARGO_PKG_VERSION")),
        ("burn", BURN),
        ("target", std::env::consts::ARCH),
        ("os", std::env::consts::OS),
    ];
    entries.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
}

/// The workspace's version of Burn, which is pinned.
pub(crate) const BURN: &str = "0.21.0";

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{
        "format": "msn-run-1", "command": "msn train d", "seed": 3, "device": "flex",
        "data": { "name": "d", "path": "/d", "hash": "0", "training_videos": 4,
            "training_frames": 40, "held_out": ["02.mp4"] },
        "versions": { "msn": "0.1.0" }, "seconds": 1.5
    }"#;

    fn read(text: &str) -> Result<RunCard, RunError> {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(dir.path()).unwrap().join("run.json");
        std::fs::write(&path, text).unwrap();
        RunCard::read(&path)
    }

    #[test]
    fn the_format_before_is_read_and_written_as_the_present_one() {
        let card = read(OLD).unwrap();
        assert_eq!(card.data.calibration_split, ["02.mp4"]);
        let now = serde_json::to_string(&card).unwrap();
        assert!(now.contains("msn-run-2") && now.contains("calibration_split"));
        assert_eq!(read(&now).unwrap(), card);
    }

    #[test]
    fn a_later_format_is_refused_by_name() {
        let error = read(&OLD.replace("msn-run-1", "msn-run-9")).unwrap_err();
        assert!(matches!(error, RunError::CardFormat { .. }), "{error}");
        assert!(error.to_string().contains("msn-run-9"), "{error}");
        let error = read("{").unwrap_err();
        assert!(matches!(error, RunError::Card { .. }), "{error}");
    }
}
