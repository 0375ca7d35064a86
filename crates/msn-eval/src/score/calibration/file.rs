//! Calibration files: JSON with a version and the network that it was measured with.

use camino::Utf8Path;
use msn_data::{ReadError, WriteError};
use msn_model::{Weights, fingerprint};
use serde::{Serialize, de::Error as _};
use serde_json::Value;

use super::{CALIBRATION_FORMAT, Calibration, CalibrationError};

/// The version before, whose fingerprint is of tensors alone.
const FIRST_FORMAT: &str = "msn-calibration-1";

/// What a calibration file holds.
pub(super) struct CalibrationFile {
    calibration: Calibration,
    made_with: String,
    /// Whether `made_with` is of tensors alone.
    is_first: bool,
}

impl CalibrationFile {
    pub fn read(path: &Utf8Path) -> Result<Self, CalibrationError> {
        let bytes = std::fs::read(path).map_err(ReadError::at(path))?;
        let content = |source| CalibrationError::Content {
            path: path.to_owned(),
            source,
        };
        let mut value: Value = serde_json::from_slice(&bytes).map_err(content)?;
        let mut take = |key: &str| value.as_object_mut().and_then(|all| all.remove(key));
        let is_first = match take("format") {
            Some(Value::String(found)) if found == CALIBRATION_FORMAT => false,
            Some(Value::String(found)) if found == FIRST_FORMAT => true,
            found => {
                return Err(CalibrationError::Version {
                    path: path.to_owned(),
                    found: match found {
                        Some(Value::String(found)) => found,
                        Some(other) => other.to_string(),
                        None => "no version".to_owned(),
                    },
                });
            }
        };
        let missing = || serde_json::Error::custom("`weights`, a fingerprint, is missing");
        let made_with = match take("weights") {
            Some(Value::String(made_with)) => made_with,
            _ => return Err(content(missing())),
        };
        Ok(Self {
            calibration: serde_json::from_value(value).map_err(content)?,
            made_with,
            is_first,
        })
    }

    /// The calibration in the file `path`, where it was measured with these weights, which were read
    /// from `weights_path`. One of the first version counts only where it lies `in_run`, whose
    /// weights were written with it.
    pub fn of(
        self,
        path: &Utf8Path,
        weights_path: &Utf8Path,
        weights: &Weights,
        in_run: bool,
    ) -> Result<Calibration, CalibrationError> {
        let found = match self.is_first {
            true => fingerprint(&weights.tensors),
            false => weights.fingerprint(),
        };
        if self.made_with != found {
            return Err(CalibrationError::OtherWeights {
                path: path.to_owned(),
                weights: weights_path.to_owned(),
                made_with: self.made_with,
                found,
            });
        }
        if self.is_first && !in_run {
            return Err(CalibrationError::SettingsUnknown {
                path: path.to_owned(),
                weights: weights_path.to_owned(),
            });
        }
        Ok(self.calibration)
    }
}

/// Writes a calibration of these weights whole or not at all; folders are made.
pub(super) fn write(
    calibration: &Calibration,
    path: &Utf8Path,
    weights: &Weights,
) -> Result<(), CalibrationError> {
    #[derive(Serialize)]
    struct File<'a> {
        format: &'a str,
        weights: String,
        #[serde(flatten)]
        calibration: &'a Calibration,
    }
    let file = File {
        format: CALIBRATION_FORMAT,
        weights: weights.fingerprint(),
        calibration,
    };
    let text = serde_json::to_value(calibration)
        // JSON has null for numbers that are not finite, which nothing could read again.
        .and_then(serde_json::from_value::<Calibration>)
        .and_then(|_| serde_json::to_string_pretty(&file));
    let text = text.map_err(|source| CalibrationError::Content {
        path: path.to_owned(),
        source,
    })?;
    let folder = path.parent().filter(|folder| !folder.as_str().is_empty());
    if let Some(folder) = folder {
        std::fs::create_dir_all(folder).map_err(WriteError::at(folder))?;
    }
    Ok(msn_data::write_atomically(path, (text + "\n").as_bytes())?)
}
