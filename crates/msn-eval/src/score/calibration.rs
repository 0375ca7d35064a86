//! What the anomaly score is standardised by, and the file that carries it.
//!
//! A calibration belongs to one network and one camera and lies in a file of its own, so that a
//! network can have several and making one leaves the weights as they are: `calibration.json` in a
//! run folder, `NAME.calibration.json` beside weights `NAME.safetensors`. Weights files written
//! before carry it in their metadata, which is read where no such file is there.

mod embedded;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};
use msn_model::{Tensors, Weights};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::embedded::Embedded;
use super::{alarm::AlarmThreshold, baseline::Baseline};
use crate::fingerprint::fingerprint;

/// Version of the files that this crate writes and reads.
pub const CALIBRATION_FORMAT: &str = "msn-calibration-1";

/// Settings of the anomaly score and the statistics of normal frames that standardise it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Fingerprint of the tensors that it was measured with; none where it was read from the
    /// metadata of the weights themselves.
    #[serde(default)]
    pub weights: Option<String>,
    /// Side of the square window over which the local contrast of the error
    /// ([`FrameMaps::contrast`](crate::FrameMaps::contrast)) is averaged, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// Errors of normal windows.
    pub baseline: Baseline,
    /// Median over frames of the largest window's excess over the baseline.
    pub median: f64,
    /// Median absolute deviation of the same, above 0.
    pub mad: f64,
    /// Frames behind the two.
    pub frames: usize,
    /// 99.5th percentile of the standardised map over frames: where components begin.
    pub map_threshold: f64,
    /// Where events begin; none in older weights files.
    #[serde(default)]
    pub alarm: Option<AlarmThreshold>,
}

/// A calibration that can't be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The system can't read it.
    #[error("can't read {path}: {source}")]
    Read {
        /// Path of the calibration file.
        path: Utf8PathBuf,
        /// What the system says of it.
        source: std::io::Error,
    },
    /// The system can't write it.
    #[error("can't write {path}: {source}")]
    Write {
        /// Path of the calibration file, or of the folder it is to lie in.
        path: Utf8PathBuf,
        /// What the system says of it.
        source: std::io::Error,
    },
    /// It is no calibration, or a damaged one.
    #[error("{path} is no calibration ({source}): `msn weights calibrate` makes one")]
    Content {
        /// Path of the calibration file.
        path: Utf8PathBuf,
        /// Where its JSON is not that of a calibration.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{path} is of format {found}, and this version reads {CALIBRATION_FORMAT}: `msn weights calibrate` makes a new one"
    )]
    Version {
        /// Path of the calibration file.
        path: Utf8PathBuf,
        /// The `format` that it states.
        found: String,
    },
    /// The one in the metadata of a weights file is damaged.
    #[error(
        "{path}: the calibration in its metadata can't be read ({source}): `msn weights calibrate` makes one in a file of its own"
    )]
    Embedded {
        /// Path of the weights file.
        path: Utf8PathBuf,
        /// Where the metadata is not that of a calibration.
        source: serde_json::Error,
    },
    /// It was measured with another network.
    #[error(
        "{path} was made with other weights than {weights} (tensors {made_with}, not {found}): `msn weights calibrate` makes one for these"
    )]
    OtherWeights {
        /// Path of the calibration file.
        path: Utf8PathBuf,
        /// Path of the weights file.
        weights: Utf8PathBuf,
        /// Fingerprint in the calibration.
        made_with: String,
        /// Fingerprint of the weights.
        found: String,
    },
}

impl Calibration {
    /// Name of a run folder's calibration.
    pub const RUN_FILE: &str = "calibration.json";

    /// The file beside a weights file: `NAME.calibration.json` beside `NAME.safetensors`.
    pub fn beside(weights: &Utf8Path) -> Utf8PathBuf {
        let name = weights.file_stem().unwrap_or("weights");
        weights.with_file_name(format!("{name}.calibration.json"))
    }

    /// A score before it is standardised, standardised: 0 is a median normal frame, 1 a robust
    /// standard deviation more.
    pub fn standardise(&self, excess: f64) -> f64 {
        (excess - self.median) / (1.4826 * self.mad)
    }

    /// The same, said to belong to these tensors.
    #[must_use]
    pub fn for_tensors(self, tensors: &Tensors) -> Self {
        Self {
            weights: Some(fingerprint(tensors)),
            ..self
        }
    }

    /// Reads a calibration file.
    ///
    /// # Errors
    /// [`CalibrationError::Read`], [`CalibrationError::Content`], [`CalibrationError::Version`].
    pub fn read(path: &Utf8Path) -> Result<Self, CalibrationError> {
        let bytes = std::fs::read(path).map_err(|source| CalibrationError::Read {
            path: path.to_owned(),
            source,
        })?;
        let content = |source| CalibrationError::Content {
            path: path.to_owned(),
            source,
        };
        let mut value: Value = serde_json::from_slice(&bytes).map_err(content)?;
        let format = value.as_object_mut().and_then(|all| all.remove("format"));
        match format {
            Some(Value::String(found)) if found == CALIBRATION_FORMAT => {
                serde_json::from_value(value).map_err(content)
            }
            found => Err(CalibrationError::Version {
                path: path.to_owned(),
                found: match found {
                    Some(Value::String(found)) => found,
                    Some(other) => other.to_string(),
                    None => "no version".to_owned(),
                },
            }),
        }
    }

    /// Writes it as a file whole or not at all; folders are made.
    ///
    /// # Errors
    /// [`CalibrationError::Write`], or [`CalibrationError::Content`] for a number that JSON lacks.
    pub fn write(&self, path: &Utf8Path) -> Result<(), CalibrationError> {
        #[derive(Serialize)]
        struct File<'a> {
            format: &'a str,
            #[serde(flatten)]
            calibration: &'a Calibration,
        }
        let file = File {
            format: CALIBRATION_FORMAT,
            calibration: self,
        };
        let text = serde_json::to_string_pretty(&file).and_then(|text| {
            // JSON writes numbers that are not finite as null, which nothing could read again.
            let mut value: Value = serde_json::from_str(&text)?;
            value.as_object_mut().and_then(|all| all.remove("format"));
            serde_json::from_value::<Self>(value)?;
            Ok(text + "\n")
        });
        let text = text.map_err(|source| CalibrationError::Content {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().filter(|folder| !folder.as_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).map_err(|source| CalibrationError::Write {
                path: folder.to_owned(),
                source,
            })?;
        }
        msn_data::write_atomically(path, text.as_bytes()).map_err(|error| CalibrationError::Write {
            path: error.path,
            source: error.source,
        })
    }

    /// Reads the calibration file `path` for weights that were read from the file `weights_path`.
    ///
    /// # Errors
    /// Those of [`read`](Self::read), and [`CalibrationError::OtherWeights`].
    pub fn read_for(
        path: &Utf8Path,
        weights_path: &Utf8Path,
        weights: &Weights,
    ) -> Result<Self, CalibrationError> {
        let calibration = Self::read(path)?;
        let found = fingerprint(&weights.tensors);
        match &calibration.weights {
            Some(made_with) if *made_with != found => Err(CalibrationError::OtherWeights {
                path: path.to_owned(),
                weights: weights_path.to_owned(),
                made_with: made_with.clone(),
                found,
            }),
            _ => Ok(calibration),
        }
    }

    /// The calibration of weights that were read from the file `weights_path`: that of the run
    /// folder `run`, where one is given and has one, else the file beside the weights, else the one
    /// in their metadata, else none.
    ///
    /// # Errors
    /// Those of [`read_for`](Self::read_for), and [`CalibrationError::Embedded`].
    pub fn find(
        weights_path: &Utf8Path,
        weights: &Weights,
        run: Option<&Utf8Path>,
    ) -> Result<Option<Self>, CalibrationError> {
        let of_run = run.map(|run| run.join(Self::RUN_FILE));
        let files = of_run.into_iter().chain([Self::beside(weights_path)]);
        match files.into_iter().find(|file| file.exists()) {
            Some(file) => Self::read_for(&file, weights_path, weights).map(Some),
            None => Self::embedded(weights_path, weights),
        }
    }

    /// The one in the metadata of weights that were written before calibrations had files.
    fn embedded(
        weights_path: &Utf8Path,
        weights: &Weights,
    ) -> Result<Option<Self>, CalibrationError> {
        let Some(value) = &weights.meta.calibration else {
            return Ok(None);
        };
        Embedded::read(value).map_err(|source| CalibrationError::Embedded {
            path: weights_path.to_owned(),
            source,
        })
    }
}
