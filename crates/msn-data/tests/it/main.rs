//! Behaviour of the crate as its users see it, on small folders and on real data.
#![allow(clippy::print_stderr)]
// A video of one unbroken run is a list of one range.
#![allow(clippy::single_range_in_vec_init)]

mod bad_input;
mod checking;
mod footage;
#[cfg(unix)]
mod footage_laws;
mod frame_store;
mod labels;
mod laws;
mod layouts;
mod numbers;
mod real;
#[cfg(feature = "ffmpeg")]
mod recorders;
mod sources;
mod tiny;
