//! The processes of a training: how this one was started, and how it leaves the others.

use std::sync::Arc;

use anyhow::Result;
use msn_kernels::Collective;
use msn_train::{SingleProcess, any_rank};

use crate::Usage;

/// Variables that launchers set for the processes that they start: how many there are.
/// `SLURM_NTASKS` would not do: it is set for the one process of a batch script as well.
const WORLD_SIZE: [(&str, &str); 3] = [
    ("mpirun", "OMPI_COMM_WORLD_SIZE"),
    ("an MPI launcher", "PMI_SIZE"),
    ("srun", "SLURM_STEP_NUM_TASKS"),
];

/// This process among those of a training.
#[derive(Clone, Debug)]
pub(crate) struct Ranks {
    pub collective: Arc<dyn Collective>,
    /// Its number among the processes of this machine.
    pub local_rank: usize,
}

impl Ranks {
    /// Meets the other processes, where a launcher started several.
    ///
    /// # Errors
    /// [`Usage`] where they can't meet.
    pub fn start() -> Result<Self> {
        let launched = WORLD_SIZE.into_iter().find_map(|(launcher, variable)| {
            let count: usize = std::env::var(variable).ok()?.parse().ok()?;
            Some((launcher, count))
        });
        match launched {
            Some((launcher, count)) if count > 1 => several(launcher, count),
            _ => Ok(Self {
                collective: Arc::new(SingleProcess),
                local_rank: 0,
            }),
        }
    }

    pub fn world_size(&self) -> usize {
        self.collective.world_size()
    }

    /// Whether this is rank 0, which writes and prints.
    pub fn is_first(&self) -> bool {
        self.collective.rank() == 0
    }

    /// Whether any rank says so; all must call it.
    pub fn any(&self, own: bool) -> bool {
        any_rank(self.collective.as_ref(), own)
    }

    /// Does work on rank 0 and, once it is done, on all others.
    pub fn first_alone<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.is_first() {
            let done = work()?;
            self.any(false);
            return Ok(done);
        }
        self.any(false);
        work()
    }

    /// The largest of what ranks give, a whole number below 2^24; all must call it.
    pub fn largest(&self, own: u8) -> u8 {
        let all = self.collective.all_gather(&[f32::from(own)]);
        all.iter().flatten().fold(0.0, |a: f32, &b| a.max(b)) as u8
    }
}

/// Never dropped: however the program ends, [`leave`] is what the other ranks hear of it.
#[cfg(feature = "mpi")]
static MPI: std::sync::OnceLock<Arc<msn_train::Mpi>> = std::sync::OnceLock::new();

#[cfg(feature = "mpi")]
fn several(launcher: &str, count: usize) -> Result<Ranks> {
    let mpi = Arc::new(msn_train::Mpi::start()?);
    let mpi = MPI.get_or_init(|| mpi);
    if mpi.world_size() != count {
        return Err(Usage(format!(
            "{launcher} started {count} processes, but MPI sees {}: with Slurm, give srun --mpi=pmix",
            mpi.world_size()
        ))
        .into());
    }
    Ok(Ranks {
        local_rank: mpi.local_rank(),
        collective: mpi.clone(),
    })
}

#[cfg(not(feature = "mpi"))]
fn several(launcher: &str, count: usize) -> Result<Ranks> {
    Err(Usage(format!(
        "{launcher} started {count} processes, but this msn is built without MPI and would train {count} times into one folder: build it with `--features mpi`"
    ))
    .into())
}

/// What an error of this process begins with: nothing where it is the only one.
pub(crate) fn label() -> String {
    #[cfg(feature = "mpi")]
    if let Some(mpi) = MPI.get() {
        return format!("rank {} of {}: ", mpi.rank(), mpi.world_size());
    }
    String::new()
}

/// Whether this process is the only one, or rank 0 of several.
pub(crate) fn is_first() -> bool {
    #[cfg(feature = "mpi")]
    if let Some(mpi) = MPI.get() {
        return mpi.rank() == 0;
    }
    true
}

/// Leaves the other ranks, where there are any: after an end that all know of it waits for them;
/// after one of this process alone it ends them.
pub(crate) fn leave(code: u8, all_know: bool) {
    #[cfg(feature = "mpi")]
    if let Some(mpi) = MPI.get() {
        if all_know {
            mpi.finalize();
        } else {
            mpi.abort(i32::from(code));
        }
    }
    #[cfg(not(feature = "mpi"))]
    let _ = (code, all_know);
}
