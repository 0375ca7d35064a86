//! Training of MSN-net: settings, loop, checkpoints, golden cases.
//!
//! [`train`] learns a network from loaded videos with an [`Engine`], on any autodiff backend of Burn
//! ([`BurnEngine`]) or on the project's CPU kernels ([`CpuEngine`]), and an [`TrainObserver`] hears of
//! every step; the same settings, data and seed give the same network again on one CPU backend, also
//! where a [`Checkpoint`] lies between two halves of a training. Several processes can share it, each
//! with a device of its own: engines that are given a collective, such as `Mpi` (feature `mpi`), split
//! every batch.
//!
//! [`verify`] compares a network's evaluation and one training step with a golden case.

mod budget;
mod checkpoint;
mod collective;
mod engine;
mod error;
mod feed;
mod optimise;
mod parity;
mod prefetch;
mod progress;
mod random;
mod ranks;
mod report;
mod schedule;
mod settings;
mod settings_help;
mod statistics;
mod train;
mod validation;

pub use checkpoint::{Checkpoint, CheckpointError, Newest};
pub use collective::{DataParallel, SingleProcess, any_rank};
#[cfg(feature = "mpi")]
pub use collective::{Mpi, MpiError};
pub use engine::{BurnEngine, CpuEngine, Engine, EngineState, StepNumbers};
pub use error::TrainError;
pub use feed::Feed;
pub use parity::{ContentError, ParityError, ROUNDING, Row, Verdict, verify};
pub use progress::Progress;
pub use ranks::{same_footage, same_settings};
pub use report::{StepReport, TrainEvent, TrainObserver};
pub use settings::{Choose, Preset, Settings, SettingsError, TrainSettings, ValueError};
pub use settings_help::SettingHelp;
pub use statistics::finish;
pub use train::train;
pub use validation::{Best, EpochReport};
