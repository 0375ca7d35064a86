//! The laws of ranks in processes that `mpirun` starts: this test program once more, as a rank.

use std::{
    process::{Command, Output, Stdio},
    sync::Arc,
};

use msn_kernels::Collective;
use msn_train::{Mpi, MpiError};

use crate::ranks::LAWS;

/// Open MPI's variable for the number of ranks.
const WORLD_SIZE: &str = "OMPI_COMM_WORLD_SIZE";

/// Runs a test of this program as so many ranks, on as few cores as there are and as root where the
/// tests are; `None` where there is no `mpirun`.
fn mpirun(ranks: &str, test: &str) -> Option<Output> {
    let mut command = Command::new("mpirun");
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        // Ranks that wait leave the cores to those that compute.
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .args(["--oversubscribe", "-n", ranks])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(output),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no mpirun");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn laws_hold(ranks: &str) {
    let Some(output) = mpirun(ranks, "mpi::as_a_rank") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for rank in 0..ranks.parse().unwrap() {
        assert!(
            text.contains(&format!("rank {rank}: {} laws", LAWS.len())),
            "{text}"
        );
    }
}

#[test]
fn laws_hold_on_two_ranks() {
    laws_hold("2");
}

#[test]
fn laws_hold_on_three_ranks() {
    laws_hold("3");
}

#[test]
fn a_rank_that_panics_ends_all() {
    let Some(output) = mpirun("2", "mpi::as_a_rank_that_panics") else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains("this one ends here"), "{text}");
    assert!(!text.contains("rank 0 goes on"), "{text}");
}

#[test]
#[ignore = "is what mpirun starts"]
fn as_a_rank() {
    if std::env::var_os(WORLD_SIZE).is_none() {
        return;
    }
    let mpi = Arc::new(Mpi::start().unwrap());
    assert!(matches!(Mpi::start(), Err(MpiError::Started)));
    assert_eq!(mpi.local_rank(), mpi.rank(), "all are on this machine");
    assert!(Mpi::library().contains("MPI"), "{}", Mpi::library());
    let collective: Arc<dyn Collective> = mpi.clone();
    for (name, law) in LAWS {
        eprintln!("rank {}: {name}", mpi.rank());
        law(&collective);
    }
    eprintln!("rank {}: {} laws", mpi.rank(), LAWS.len());
    mpi.finalize();
}

#[test]
#[ignore = "is what mpirun starts"]
fn as_a_rank_that_panics() {
    if std::env::var_os(WORLD_SIZE).is_none() {
        return;
    }
    let mpi = Mpi::start().unwrap();
    assert_eq!(mpi.rank(), 0, "this one ends here");
    mpi.all_gather(&[1.0]);
    eprintln!("rank 0 goes on");
    mpi.finalize();
}
