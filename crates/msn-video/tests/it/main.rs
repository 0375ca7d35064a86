//! The crate from outside: real files, broken files, folders, times.
//!
//! Small videos are written by the tests; the third-party videos in `../shared/data/video` beside
//! the workspace are used where they are there.

#![allow(clippy::disallowed_methods, clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "ffmpeg")]
mod ahead;
mod broken;
#[cfg(feature = "ffmpeg")]
mod corpus;
mod folders;
mod foreign;
#[cfg(feature = "ffmpeg")]
mod mjpeg;
#[cfg(feature = "ffmpeg")]
mod quiet;
#[cfg(feature = "ffmpeg")]
mod recorders;
#[cfg(feature = "ffmpeg")]
mod resampled;
mod scene;
#[cfg(feature = "ffmpeg")]
mod videos;
