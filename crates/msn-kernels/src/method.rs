//! How a network of these kernels computes.

use crate::conv::Algorithm;
use crate::isa::Isa;
use crate::precision::Precision;

/// How convolutions are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// The instruction set.
    pub isa: Isa,
    /// Direct, or by Winograd's algorithm.
    pub algorithm: Algorithm,
    /// Precision of the factors; gradients are computed in `f32` alone.
    pub precision: Precision,
}

impl Method {
    /// `algorithm` in `f32` on the fastest instruction set of the machine.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            isa: Isa::detect(),
            algorithm,
            precision: Precision::F32,
        }
    }
}

impl From<Algorithm> for Method {
    fn from(algorithm: Algorithm) -> Self {
        Self::new(algorithm)
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::new(Algorithm::Fastest)
    }
}
