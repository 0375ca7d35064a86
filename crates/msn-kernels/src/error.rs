//! Names that stand for nothing.

use thiserror::Error;

/// A name that is none of an [`Isa`](crate::Isa) or a [`Precision`](crate::Precision).
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// An instruction set that the processor lacks, or none at all.
    #[error("this processor's sets are {}", available.join(", "))]
    Isa {
        /// The names of those that it has.
        available: Vec<&'static str>,
    },
    /// No precision.
    #[error("give f32 or bf16")]
    Precision,
}
