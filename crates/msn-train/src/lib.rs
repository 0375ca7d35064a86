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
mod exchange;
mod feed;
mod group;
mod held_out;
mod member;
mod nodes;
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
pub use group::DeviceGroup;
pub use held_out::{Best, EpochReport};
pub use member::{FallibleCollective, Link, Member, Together};
pub use nodes::{Join, Node, NodeError, Orchestrator, orchestrate};
pub use parity::{ParityError, ROUNDING, Row, Verdict, verify};
pub use settings::{Choose, Preset, Settings, SettingsError, TrainSettings};
pub use step::Adam;
pub use train::{Event, Place, Progress, StepReport, TrainError, finish, train, train_at};
