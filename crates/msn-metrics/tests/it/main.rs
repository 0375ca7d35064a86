//! The crate from outside: golden cases, laws, files.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod drawn;
mod frame_laws;
mod golden;
mod intervals;
mod masks;
mod priors;
mod region_laws;
mod tables;
mod treatments;
