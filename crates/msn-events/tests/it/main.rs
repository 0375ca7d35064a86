//! The crate from outside: laws of detection, calibration and figures.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod calibration;
mod detection;
mod drawn;
mod figures;
mod sequences;
