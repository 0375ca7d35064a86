//! Golden cases and training, on flex and ndarray.
#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::exit,
    clippy::print_stderr
)]

mod engines;
#[cfg(all(unix, feature = "mpi"))]
mod mpi;
mod parity;
mod ranks;
mod resuming;
