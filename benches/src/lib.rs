//! What the benches share: devices, timing through criterion, and the table of all of them.
//!
//! A *subject* is a piece of work (`inference, cpu 128 px`), a *variant* a way to do it (`fast`,
//! `flex`). The first variant of a subject is its baseline; the table gives medians and ratios to
//! it. Every variant asserts that it computes what the baseline computes before it is timed.
#![allow(clippy::print_stdout)]

mod device;
mod harness;
mod machine;

pub use device::{Device, DeviceNameError, PerDevice};
pub use harness::{Harness, Options};
pub use machine::Machine;
