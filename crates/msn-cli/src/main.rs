//! The command `msn`: video anomaly detection from the command line.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the program that speaks to users"
)]

mod args;
mod data;
mod device;
mod doctor;
mod dry_run;
mod engine;
mod eval;
mod figures;
mod highlights;
mod label;
mod log;
mod memory;
mod metrics;
mod picture;
mod pytorch;
mod ranks;
mod run;
mod runs;
mod saving;
mod score;
mod selftest;
mod signal;
mod strip;
mod tensorboard;
mod train;
mod verify;
mod weights;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::{
    args::{Cli, Command},
    signal::Interrupted,
};

/// A mistake in how the program was called, as opposed to one in the data: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);

/// Something was compared and did not hold: exit code 1, and everything has been said.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub(crate) struct Failed;

/// An error that all ranks of a training have, and rank 0 alone prints.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OnAllRanks(pub anyhow::Error);

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        // `println!` has no other way to say that a reader such as `head` has seen enough.
        let text = panic.payload_as_str().unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            std::process::exit(0);
        }
        eprintln!(
            "error: internal: {panic}; this is a bug in msn, please report it with the command"
        );
    }));
    let cli = Cli::parse();
    let (code, all_know) = match run(cli) {
        Ok(()) => (0, true),
        Err(error) if error.is::<Failed>() => (1, false),
        Err(error) if broken_pipe(&error) => (0, true),
        Err(error) => {
            let all_know = error.is::<Interrupted>() || error.is::<OnAllRanks>();
            if !all_know || ranks::is_first() {
                eprintln!("error: {}{error}", ranks::label());
            }
            (exit_code(&error), all_know)
        }
    };
    ranks::leave(code, all_know);
    ExitCode::from(code)
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(OnAllRanks(error)) = error.downcast_ref() {
        return exit_code(error);
    }
    match error.downcast_ref::<Interrupted>() {
        Some(interrupted) => 128 + interrupted.signal,
        None if error.is::<Usage>() => 2,
        None => 1,
    }
}

/// Whether a reader such as `head` has seen enough.
fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(cli: Cli) -> Result<()> {
    if let Some(threads) = cli.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads.get())
            .build_global()?;
    }
    match cli.command {
        Command::Train(args) => train::train(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Score(args) => score::score(&args),
        Command::Selftest(args) => selftest::selftest(&args),
        Command::Verify(args) => verify::verify(&args),
        Command::Metrics(args) => metrics::metrics(&args),
        Command::Memory(command) => memory::memory(&command),
        Command::Weights(command) => weights::weights(&command),
        Command::Data(command) => data::data(&command),
        Command::Runs(args) => runs::runs(&args),
        Command::Doctor(args) => doctor::doctor(&args),
    }
}
