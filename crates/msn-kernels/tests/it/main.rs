//! The kernels against their definitions in f64, on every instruction set of the machine.

mod addressing;
mod collective;
mod convolution;
mod elementwise;
mod support;
