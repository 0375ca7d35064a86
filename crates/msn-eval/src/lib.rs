//! Scoring with MSN-net: from frames to scores, calibration, both protocols and reports.
//!
//! A [`Scorer`] turns frames into [`FrameScore`]s through any [`msn_model::Predictor`], one stream
//! per video with flat memory. [`evaluate`] makes the figures of both protocols of scored, labelled
//! videos:
//!
//! * `legacy`, what papers print: `lambda norm(-psnr) + (1 - lambda) mean norm(distance)`, min-max
//!   normalised over each test video;
//! * `fair`, what a product can do: in a causal tube of the error the window that lies furthest above
//!   what is usual for as much texture, standardised by held-out normal frames.
//!
//! [`self_test`] puts anomalies into held-out normal footage and says which are found: a criterion for
//! settings that needs no test label.

mod error;
mod events;
mod fair;
mod files;
mod memory;
mod overlay;
mod protocol;
mod regions;
mod report;
mod scoring;
mod selftest;
mod spool;

pub use error::EvalError;
pub use events::{EventCard, clock};
pub use fair::{Fair, standardise};
pub use files::{scores_csv, write_file, write_file_from};
pub use memory::{ItemCard, MEMORY_FORMAT, MemoryCard, Patch, PoolCard, SurveyOptions, survey};
pub use overlay::{HeatMaps, Overlay, write_overlay};
pub use protocol::{
    DataCard, ErrorFigures, EvalOptions, Evaluation, KindFigures, LAMBDA, LabelCard, Priors,
    Protocol, VideoScores, evaluate,
};
pub use regions::{JudgedRegions, RegionCard, RegionJudge};
pub use report::{Picture, curve_svg, memory_page, report};
pub use scoring::{FrameScore, ScoredFrame, Scorer, Seen, Stream};
pub use selftest::{Injected, InjectedFigures, LightFigures, SelfTest, self_test};
pub use spool::ScoreSpool;
