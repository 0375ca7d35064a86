//! Training of MSN-net: settings, loop, golden cases.
//!
//! [`train`] learns a network from loaded videos on any autodiff backend and tells a watcher of
//! every step; the same settings, data and seed give the same network again on one CPU backend,
//! also where a [`Checkpoint`] lies between two halves of a training.
//! [`verify`] compares a network's evaluation and one training step with a golden case.

mod budget;
mod checkpoint;
mod cpu;
mod engine;
mod feed;
mod held_out;
mod parity;
mod prefetch;
mod random;
mod settings;
mod step;
mod train;

pub use checkpoint::{Checkpoint, CheckpointError, Newest};
pub use cpu::CpuEngine;
pub use engine::{BurnEngine, Engine, EngineState, StepNumbers};
pub use feed::Feed;
pub use held_out::{Best, EpochReport};
pub use parity::{ParityError, ROUNDING, Row, Verdict, verify};
pub use settings::{Choose, Preset, Settings, SettingsError, TrainSettings};
pub use step::Adam;
pub use train::{Event, Progress, StepReport, TrainError, finish, train};
