//! The crate from outside: golden cases, laws, files.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod golden;
