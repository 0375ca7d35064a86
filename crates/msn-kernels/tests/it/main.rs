//! The kernels against their definitions in f64, on every instruction set of the machine.

mod addressing;
mod convolution;
mod elementwise;
mod joint;
mod network;
mod parity;
mod support;
