//! Training in several processes, each with a device and a part of every batch.
//!
//! What the processes (*ranks*) reduce goes through [`msn_kernels::Collective`], sums and gathers of
//! flat f32. Here are its implementations, [`SingleProcess`] and, with the cargo feature `mpi`,
//! `Mpi`; on Burn the mean over ranks as an operation with a gradient ([`DataParallel`]); and exact
//! messages of bytes and whole numbers, which decisions are made of.

mod exact;
mod mean;
#[cfg(feature = "mpi")]
mod mpi;

use msn_kernels::Collective;

pub use exact::any_rank;
pub(crate) use exact::{broadcast_bytes, gather_bytes, gather_u64};
pub use mean::DataParallel;
pub(crate) use mean::average;
#[cfg(feature = "mpi")]
pub use mpi::{Mpi, MpiError};

/// A training in one process: nothing is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct SingleProcess;

impl Collective for SingleProcess {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }

    fn all_reduce_sum(&self, _: &mut [f32]) {}

    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>> {
        vec![own.to_vec()]
    }
}
