//! How well a detector of anomalies in video does: frame-level AUC, average precision and equal
//! error rate, region- and track-level RBDC and TBDC, each with an interval. Plain `f64`, no
//! tensors, no model: scores of any method will do.
//!
//! # Frames
//! A [`ScoredVideo`] holds a label and a score for each scored frame; higher is more anomalous.
//! [`frame_metrics`] gives all metrics at once:
//!
//! | metric | what |
//! |---|---|
//! | [`micro_auc`] | area under the ROC curve over the frames of all videos joined, ties counting half |
//! | [`macro_auc_skip`] | mean over videos of the AUC in each; videos with one class are left out and counted |
//! | [`macro_auc_pad`] | the same with one normal and one anomalous frame added to each min-max normalised video |
//! | [`average_precision`] | step-wise sum over distinct scores, ties taken together |
//! | [`equal_error_rate`] | where false positive and false negative rate meet on the ROC curve's segments |
//!
//! A metric that is undefined (one class only, nothing to find) is `None`, never a number.
//! [`roc_curve`] and [`pr_curve`] give the points.
//!
//! # Intervals
//! Frames of a video are not independent, so a [`Bootstrap`] draws whole videos: 95 % percentile
//! intervals, 2,000 resamples, seeded. Frames are sorted once; 40,000 frames take about half a
//! second.
//!
//! # Regions and tracks
//! [`regions`] holds RBDC and TBDC, the components of a score map, and tracks made of masks.
//!
//! # Against nothing
//! [`prior_rows`] gives the metrics of three scores that never look at a pixel: a constant, the
//! position in the video, the distance to its nearer end. A metric that does not clear them by
//! its interval ([`Estimate::clears`]) says little. [`min_max`] and [`smooth_gaussian`] are the
//! treatments of the legacy protocol; smoothing is never zero-padded, so a constant stays one.
//!
//! # Statistics
//! [`stats`] holds quantiles.
//!
//! # Files
//! [`read_scores_csv`] reads the scores of any method; [`fixture`] reads golden cases. Every
//! score that is NaN or infinite is refused with its video and frame.
//!
//! # Example
//! ```
//! use msn_metrics::{Bootstrap, ScoredVideo, frame_metrics};
//!
//! # fn main() -> Result<(), msn_metrics::MetricsError> {
//! let videos = [
//!     ScoredVideo {
//!         name: "01".into(),
//!         labels: vec![false, false, true, true],
//!         scores: vec![0.1, 0.4, 0.35, 0.8],
//!     },
//!     ScoredVideo {
//!         name: "02".into(),
//!         labels: vec![false, true],
//!         scores: vec![0.2, 0.9],
//!     },
//! ];
//! let metrics = frame_metrics(&videos, &Bootstrap::default())?;
//! let auc = metrics.micro_auc.expect("both classes are there");
//! assert_eq!(auc.value, 8.0 / 9.0);
//! assert!(auc.low <= auc.value && auc.value <= auc.high);
//! # Ok(())
//! # }
//! ```
//!
//! The plain twins of the fast metrics are in [`mod@reference`]; tests compare the two.

mod bootstrap;
mod error;
pub mod fixture;
mod frame;
mod frame_metrics;
mod prior;
mod ranking;
pub mod reference;
pub mod regions;
pub mod stats;
mod table;
mod treatment;
mod video;

pub use bootstrap::{Bootstrap, Estimate};
pub use error::{FixtureError, MetricsError};
pub use frame::{
    MacroAuc, PrPoint, RocPoint, average_precision, equal_error_rate, macro_auc_pad,
    macro_auc_skip, micro_auc, pr_curve, roc_curve, video_auc,
};
pub use frame_metrics::{
    FrameMetrics, MetricDifferences, frame_metrics, metric_differences, micro_auc_difference,
};
pub use prior::{Prior, PriorRow, prior_rows};
pub use table::{
    LABEL_NAMES, SCORE_NAMES, TableScores, keep_common_frames, read_score_table, read_scores_csv,
};
pub use treatment::{MinMax, min_max, smooth_gaussian};
pub use video::{ScoredVideo, check};
