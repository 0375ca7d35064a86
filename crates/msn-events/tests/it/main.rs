//! The crate from outside: laws of detection, calibration and metrics.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod calibration;
mod detection;
mod drawn;
mod metrics;
mod sequences;
