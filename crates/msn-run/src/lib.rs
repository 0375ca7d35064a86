//! MSN-net from footage to results, as functions: [`train`] a network on a data set's normal videos,
//! [`evaluate`] it on the test videos, [`score`] other footage, [`calibrate`] it for another camera.
//!
//! A training leaves a [`RunFolder`]; everything after it starts from a [`Model`], read from such a
//! folder or from bare weights. Where networks are computed is the caller's matter ([`Devices`]), and
//! so is what is shown and when to stop ([`Observer`]): this crate prints nothing, reads no
//! environment and knows no backend.
//!
//! The example `train_and_score` does it all in twenty lines.

mod alarms;
mod calibrate;
mod card;
mod checkpoints;
mod devices;
mod error;
mod estimate;
mod evaluate;
mod files;
mod folder;
mod footage;
mod highlights;
mod lock;
mod memory;
mod model;
mod observer;
mod picture;
mod recorder;
mod score;
mod selftest;
mod strip;
mod summary;
mod tables;
mod tensorboard;
mod train;

pub use alarms::{ReportRequest, write_report};
pub use calibrate::{NormalFootage, calibrate};
pub use card::{RUN_FORMAT, RunCard, RunData, versions};
pub use checkpoints::CheckpointSchedule;
pub use devices::{BurnDevice, DeviceError, Devices};
pub use error::RunError;
pub use estimate::{TrainingEstimate, estimate};
pub use evaluate::{EvaluateRequest, evaluate, overlay_paths};
pub use folder::{RunFolder, RunLocation};
pub use footage::TestSet;
pub use lock::RunLock;
pub use memory::{run_memory, survey_memory};
pub use model::Model;
pub use observer::{Notice, NoticeLevel, Observer, Quiet};
pub use score::{ScoreRequest, ScoreSummary, score, score_to_file};
pub use selftest::self_test;
pub use summary::RunSummary;
pub use train::{TrainOutcome, TrainRequest, train};
