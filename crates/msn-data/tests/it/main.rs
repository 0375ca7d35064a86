//! Behaviour of the crate as its users see it, on small folders and on real data.
#![allow(clippy::print_stderr)]

mod real;
