use camino::Utf8PathBuf;
use msn_data::{ReadError, WriteError};

use super::CALIBRATION_FORMAT;

/// A calibration that can't be read, written or used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The system can't read the file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system can't write the file, or make its folder.
    #[error(transparent)]
    Write(#[from] WriteError),
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
        "{path} was made with another network than {weights} (fingerprint {made_with}, not {found}): tensors, settings or input differ; `msn weights calibrate` makes one for this network"
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
    /// It is of the first version, which names tensors alone, and lies where nothing else says with
    /// which settings of the network it was measured.
    #[error(
        "{path} is of an earlier version, which does not say with which settings (such as top_k) the network of {weights} was calibrated: `msn weights calibrate` makes a new one, or name the run folder that it was made in"
    )]
    SettingsUnknown {
        /// Path of the calibration file.
        path: Utf8PathBuf,
        /// Path of the weights file, whose tensors are those of the calibration.
        weights: Utf8PathBuf,
    },
}
