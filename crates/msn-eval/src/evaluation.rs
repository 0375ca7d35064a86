//! `eval.json`: what an evaluation of a test set says.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use msn_metrics::{Estimate, FrameMetrics};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EventSummary, RegionSummary};

/// The frame-level metrics of one protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProtocolMetrics {
    /// AUC over the frames of all videos joined.
    pub micro_auc: Option<Estimate>,
    /// Mean of each video's AUC, one-class videos left out.
    pub macro_auc_skip: Option<Estimate>,
    /// Mean of each padded video's AUC.
    pub macro_auc_pad: Option<Estimate>,
    /// Average precision.
    pub average_precision: Option<Estimate>,
    /// Where false positive and false negative rate meet.
    pub equal_error_rate: Option<Estimate>,
}

impl From<FrameMetrics> for ProtocolMetrics {
    fn from(f: FrameMetrics) -> Self {
        Self {
            micro_auc: f.micro_auc,
            macro_auc_skip: f.macro_auc_skip,
            macro_auc_pad: f.macro_auc_pad,
            average_precision: f.average_precision,
            equal_error_rate: f.equal_error_rate,
        }
    }
}

/// Frame-level metrics over normal frames and those of some kinds of anomaly alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindMetrics {
    /// Scored frames of the kind.
    pub frames: usize,
    /// Micro AUC of the legacy score.
    pub legacy_micro_auc: Option<Estimate>,
    /// Micro AUC of the fair score.
    pub fair_micro_auc: Option<Estimate>,
}

/// What was measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// The data set's name.
    pub name: String,
    /// Hash of the decoded test frames.
    pub hash: String,
    /// Test videos.
    pub videos: usize,
    /// Their frames.
    pub frames: usize,
    /// Frames with a score.
    pub scored_frames: usize,
    /// Scored frames that are anomalous.
    pub anomalous_scored_frames: usize,
    /// The labels in use.
    pub labels: Option<LabelCard>,
}

/// Which version of the labels is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCard {
    /// Their format.
    pub format: String,
    /// Their files.
    pub files: Vec<String>,
    /// Hash of what was used.
    pub hash: String,
    /// Anomalous frames, scored or not.
    pub anomalous_frames: usize,
}

/// Metrics of scores that never look at a pixel, by protocol and name.
pub type Priors = BTreeMap<String, BTreeMap<String, ProtocolMetrics>>;

/// Metrics of the prediction error alone as a score, nothing normalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionErrorMetrics {
    /// Its metrics.
    pub metrics: ProtocolMetrics,
    /// Difference of the fair score's micro AUC to this one's, over the same resamples.
    pub fair_difference: Option<Estimate>,
}

/// Version of `eval.json` that this crate writes; [`Evaluation::read`] reads `msn-eval-1` as well.
pub const EVALUATION_FORMAT: &str = "msn-eval-2";

/// `eval.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// [`EVALUATION_FORMAT`].
    pub format: String,
    /// Scores normalised over each test video, which looks at the whole of it.
    pub legacy: ProtocolMetrics,
    /// Scores standardised by the calibration; null for weights without one.
    pub fair: Option<ProtocolMetrics>,
    /// Standard deviation in frames of the Gaussian smoothing of legacy scores; null for none.
    pub smoothing: Option<f64>,
    /// Videos that macro AUC (skip) leaves out.
    pub skipped_videos: usize,
    /// By kind of anomaly, where labels name kinds.
    pub kinds: BTreeMap<String, KindMetrics>,
    /// By protocol (`legacy`, `fair`) and prior.
    pub priors: Priors,
    /// The prediction error alone: `patch`, the largest window's mean square, and `psnr`.
    #[serde(default)]
    pub prediction_error: BTreeMap<String, PredictionErrorMetrics>,
    /// Area under the curve of found boxes by the fair score's map, where true regions are known.
    #[serde(default)]
    pub rbdc: Option<Estimate>,
    /// The same of found tracks.
    #[serde(default)]
    pub tbdc: Option<Estimate>,
    /// What the two were measured on.
    #[serde(default)]
    pub regions: Option<RegionSummary>,
    /// Events of the fair score at the calibrated threshold; null without one.
    #[serde(default)]
    pub events: Option<EventSummary>,
    /// The test set.
    pub data: DataCard,
    /// The command that made this.
    pub command: String,
    /// The run's seed, where it is known.
    pub seed: Option<u64>,
}

/// An `eval.json` that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    /// The system can't read it.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no evaluation, or a damaged one.
    #[error("{path} is no evaluation ({source}): `msn eval` makes one")]
    Content {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is of another version.
    #[error(
        "{path} is of format {found}, and this version reads {EVALUATION_FORMAT} and {FIRST_FORMAT}: `msn eval` makes a new one"
    )]
    Version {
        /// The file.
        path: Utf8PathBuf,
        /// Its format.
        found: String,
    },
}

/// The version before [`EVALUATION_FORMAT`].
const FIRST_FORMAT: &str = "msn-eval-1";

impl Evaluation {
    /// Reads an `eval.json` of this version or the one before.
    ///
    /// # Errors
    /// [`EvaluationError`] names the file.
    pub fn read(path: &Utf8Path) -> Result<Self, EvaluationError> {
        let bytes = std::fs::read(path).map_err(|source| EvaluationError::Read {
            path: path.to_owned(),
            source,
        })?;
        let content = |source| EvaluationError::Content {
            path: path.to_owned(),
            source,
        };
        let mut value: Value = serde_json::from_slice(&bytes).map_err(content)?;
        match value["format"].as_str() {
            Some(EVALUATION_FORMAT) => {}
            Some(FIRST_FORMAT) => upgrade(&mut value),
            found => {
                return Err(EvaluationError::Version {
                    path: path.to_owned(),
                    found: found.unwrap_or("no version").to_owned(),
                });
            }
        }
        serde_json::from_value(value).map_err(content)
    }
}

/// Renames what had other names in the first version.
fn upgrade(value: &mut Value) {
    value["format"] = EVALUATION_FORMAT.into();
    rename(value, "errors", "prediction_error");
    let errors = value.get_mut("prediction_error");
    for (_, error) in errors.and_then(Value::as_object_mut).into_iter().flatten() {
        rename(error, "figures", "metrics");
        rename(error, "fair_ahead", "fair_difference");
    }
    if let Some(events) = value.get_mut("events") {
        rename(events, "figures", "metrics");
    }
}

/// Renames a field of an object, where it has one of that name.
pub(crate) fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(all) = value.as_object_mut()
        && let Some(part) = all.remove(from)
    {
        all.insert(to.to_owned(), part);
    }
}
