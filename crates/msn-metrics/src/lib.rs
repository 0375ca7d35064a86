//! Metrics of video anomaly detection. Plain `f64`, no tensors, no model.

mod bootstrap;
mod error;
mod figures;
pub mod fixture;
mod frame;
mod prior;
mod ranking;
pub mod reference;
pub mod regions;
mod table;
mod treatment;
mod video;

pub use bootstrap::{Bootstrap, Figure};
pub use error::MetricsError;
pub use figures::{FrameFigures, frame_figures};
pub use frame::{
    MacroAuc, PrPoint, RocPoint, average_precision, equal_error_rate, macro_auc_pad,
    macro_auc_skip, micro_auc, pr_curve, roc_curve, video_auc,
};
pub use prior::{Prior, PriorRow, prior_rows};
pub use table::{VideoScores, read_scores_csv};
pub use treatment::{min_max, smooth_gaussian};
pub use video::{ScoredVideo, check};
