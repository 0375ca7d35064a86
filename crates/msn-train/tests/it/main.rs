//! Golden cases and training, on flex and ndarray.
#![allow(missing_docs, clippy::print_stderr)]

mod devices;
mod engines;
mod nodes;
mod parity;
