//! What the anomaly score is standardised by, and the file that carries it.
//!
//! A calibration belongs to one network and one camera and lies in a file of its own, so that a
//! network can have several and making one leaves the weights as they are: `calibration.json` in a
//! run folder, `NAME.calibration.json` beside weights `NAME.safetensors`. Weights files written
//! before carry it in their metadata, which is read where no such file is there.

mod embedded;
mod error;
mod file;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};
use msn_model::Weights;
use serde::{Deserialize, Serialize};

pub use self::error::CalibrationError;
use self::{embedded::Embedded, file::CalibrationFile};
use super::{alarm::AlarmThreshold, baseline::Baseline};

/// Version of the files that this crate writes. Each names the network that it was measured with by
/// [`Weights::fingerprint`].
pub const CALIBRATION_FORMAT: &str = "msn-calibration-2";

/// Settings of the anomaly score and the statistics of normal frames that standardise it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
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

    /// Reads the calibration file `path` for weights that were read from the file `weights_path`.
    ///
    /// # Errors
    /// [`CalibrationError`], but for `Write` and `Embedded`.
    pub fn read_for(
        path: &Utf8Path,
        weights_path: &Utf8Path,
        weights: &Weights,
    ) -> Result<Self, CalibrationError> {
        CalibrationFile::read(path)?.of(path, weights_path, weights, false)
    }

    /// Writes it as a file whole or not at all, measured with these weights; folders are made.
    ///
    /// # Errors
    /// [`CalibrationError::Write`], or [`CalibrationError::Content`] for a number that JSON lacks.
    pub fn write(&self, path: &Utf8Path, weights: &Weights) -> Result<(), CalibrationError> {
        file::write(self, path, weights)
    }

    /// The calibration of weights that were read from the file `weights_path`: that of the run
    /// folder `run`, where one is given and has one, else the file beside the weights, else the one
    /// in their metadata, else none.
    ///
    /// # Errors
    /// [`CalibrationError`], but for `Write`.
    pub fn find(
        weights_path: &Utf8Path,
        weights: &Weights,
        run: Option<&Utf8Path>,
    ) -> Result<Option<Self>, CalibrationError> {
        let of_run = run.map(|run| run.join(Self::RUN_FILE));
        let files = of_run.into_iter().chain([Self::beside(weights_path)]);
        match files.into_iter().find(|file| file.exists()) {
            Some(file) => CalibrationFile::read(&file)?
                .of(&file, weights_path, weights, run.is_some())
                .map(Some),
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
