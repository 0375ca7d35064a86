//! The crate from outside.

mod calibrating;
mod formats;
