//! Why the CPU's network can't be built or run.

use msn_kernels::{Isa, Precision, Shape};

use crate::{ConfigError, TensorError, plan::SIDE_MULTIPLE};

/// Why the CPU's network can't be built or run.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum CpuError {
    /// Settings out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Tensors that do not fit the settings.
    #[error("{0}; check width, frames, channels, items and pools")]
    Tensor(#[from] TensorError),
    /// Products that the instruction set does not have.
    #[error(
        "the instruction set {isa} has no products in {precision}, which AVX-512 BF16 has; compute in f32"
    )]
    Precision {
        /// The instruction set.
        isa: Isa,
        /// The precision that it lacks.
        precision: Precision,
    },
    /// Training in less than f32.
    #[error("the kernels train in f32, not in {precision}")]
    TrainingPrecision {
        /// The precision.
        precision: Precision,
    },
    /// Frames that can't be halved three times.
    #[error(
        "frames are {height} x {width}, but sides are multiples of {SIDE_MULTIPLE} and at least {SIDE_MULTIPLE}; resize them"
    )]
    FrameSize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// An input of another length than its shape.
    #[error("{what} has {found} values, {shape:?} has {expected}")]
    InputSize {
        /// The input or the target.
        what: &'static str,
        /// The shape it should have.
        shape: Shape,
        /// Values of the shape.
        expected: usize,
        /// Values that it has.
        found: usize,
    },
}
