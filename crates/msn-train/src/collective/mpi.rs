//! MPI, the launcher and network of most clusters.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mpi::{
    Threading,
    collective::SystemOperation,
    environment::Universe,
    topology::SimpleCommunicator,
    traits::{Communicator as _, CommunicatorCollectives as _},
};
use msn_kernels::Collective;

/// What `MPI_Abort` is given where a rank leaves without a word.
const LEFT: i32 = 1;

/// This process among those that `mpirun`, `srun` or another launcher started.
///
/// Calls are made from whichever thread runs the step, one at a time. They do not fail: where a rank
/// or its connection is gone, MPI ends all of them, and the launcher says which.
pub struct Mpi {
    /// `None` once it is finalised.
    universe: Mutex<Option<Universe>>,
    rank: usize,
    world_size: usize,
    local_rank: usize,
}

/// MPI that can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MpiError {
    /// It was started before.
    #[error("MPI was started before in this process: it starts once")]
    Started,
    /// The library lets one thread alone call it.
    #[error(
        "this MPI library lets the main thread alone call it, not whichever thread runs a step: build it with MPI_THREAD_SERIALIZED"
    )]
    Threads,
}

impl Mpi {
    /// Meets the other ranks. Once in a process.
    ///
    /// # Errors
    /// [`MpiError`].
    pub fn start() -> Result<Self, MpiError> {
        let started = mpi::initialize_with_threading(Threading::Serialized);
        let (universe, threading) = started.ok_or(MpiError::Started)?;
        if threading < Threading::Serialized {
            return Err(MpiError::Threads);
        }
        let world = universe.world();
        // Ranks that share memory are those of one machine.
        let local = world.split_shared(world.rank());
        let number = |n: i32| usize::try_from(n).unwrap_or_default();
        Ok(Self {
            rank: number(world.rank()),
            world_size: number(world.size()),
            local_rank: number(local.rank()),
            universe: Mutex::new(Some(universe)),
        })
    }

    /// The number of this rank among those of its machine, from 0: which of the machine's devices
    /// it takes.
    pub fn local_rank(&self) -> usize {
        self.local_rank
    }

    /// Leaves in peace. Waits until all ranks do.
    pub fn finalize(&self) {
        drop(self.lock().take());
    }

    /// Ends all ranks at once, this one with an exit code.
    pub fn abort(&self, code: i32) -> ! {
        SimpleCommunicator::world().abort(code)
    }

    /// Name and version of the MPI library.
    pub fn library() -> String {
        let text = mpi::environment::library_version().unwrap_or_default();
        text.trim_end_matches('\0').trim().to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Universe>> {
        self.universe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mpi")
            .field("rank", &self.rank)
            .field("world_size", &self.world_size)
            .finish_non_exhaustive()
    }
}

/// A rank that goes without [`Mpi::finalize`], by a panic or an error, ends all others: they would
/// wait for it forever.
impl Drop for Mpi {
    fn drop(&mut self) {
        if self.lock().is_some() {
            self.abort(LEFT);
        }
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    /// By `MPI_Allreduce`, whose every element is one tree of additions, whichever way the library
    /// takes; addition commutes bit for bit, so all ranks have the same bits. Its traffic does not
    /// grow with the number of ranks, as that of a gather would. How the tree is built is the
    /// library's: another number of ranks or another library rounds otherwise.
    fn all_reduce_sum(&self, values: &mut [f32]) {
        let _turn = self.lock();
        let own = values.to_vec();
        SimpleCommunicator::world().all_reduce_into(&own[..], values, SystemOperation::sum());
    }

    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>> {
        let _turn = self.lock();
        let mut all = vec![0.0; own.len() * self.world_size];
        SimpleCommunicator::world().all_gather_into(own, &mut all[..]);
        let of_rank = |i: usize| all[i * own.len()..(i + 1) * own.len()].to_vec();
        (0..self.world_size).map(of_rank).collect()
    }
}
