//! The command `msn`: video anomaly detection from the command line.

#[macro_use]
mod speech;

mod ablate;
mod args;
mod command_line;
mod data;
mod device;
mod doctor;
mod dry_run;
mod engine;
mod eval;
mod evaluation;

mod label;
mod memory;
mod metrics;
mod progress;
mod pytorch;
mod ranks;
mod runs;
mod score;
mod selected_device;
mod selftest;
mod signal;
mod text;
mod train;
mod verify;
mod weights;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use msn_run::RunError;
use msn_train::TrainError;

use crate::{
    args::{Cli, Command},
    signal::Interrupted,
};

/// A mistake in how the program was called, as opposed to one in the data: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub String);

/// Something was compared and did not hold: exit code 1, and the reason is printed already.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub(crate) struct Failed;

/// Exit code of a panic, as Rust has it.
const PANICKED: u8 = 101;

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!(
            "error: {}internal: {panic}; this is a bug in msn, please report it with the command",
            ranks::label()
        );
    }));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version come this way, too.
        Err(error) => {
            let code = match error.print() {
                Err(failed) if !error.use_stderr() && !is_broken_pipe(&failed) => 1,
                _ => u8::try_from(error.exit_code()).unwrap_or(2),
            };
            return ExitCode::from(code);
        }
    };
    let run_and_flush = || {
        run(cli)?;
        speech::flushed().map_err(|e| anyhow::anyhow!("can't write to standard output: {e}"))
    };
    // A rank that panics ends the others, which would wait for it.
    let ended = std::panic::catch_unwind(run_and_flush);
    let Ok(ended) = ended else {
        ranks::leave(PANICKED, false);
        return ExitCode::from(PANICKED);
    };
    let (code, all_know) = match ended {
        Ok(()) => (0, true),
        Err(error) if broken_pipe(&error) => (0, true),
        Err(error) => {
            let all_know = is_on_all_ranks(&error);
            if !error.is::<Failed>() && (!all_know || ranks::is_first()) {
                eprintln!("error: {}{error}", ranks::label());
            }
            (exit_code(&error), all_know)
        }
    };
    ranks::leave(code, all_know);
    ExitCode::from(code)
}

/// 2 for a mistake in the command, 128 + signal for work that a signal ended, else 1.
fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(interrupted) = error.downcast_ref::<Interrupted>() {
        return 128 + interrupted.signal;
    }
    let usage = match error.downcast_ref::<RunError>() {
        Some(
            RunError::OverlayOverSource { .. }
            | RunError::OutputFolder { .. }
            | RunError::OutputOverInput { .. },
        ) => true,
        _ => {
            error.is::<Usage>()
                || matches!(train_error(error), Some(TrainError::UnevenBatch { .. }))
        }
    };
    if usage { 2 } else { 1 }
}

/// Whether all ranks of a training end with this error, which rank 0 prints.
fn is_on_all_ranks(error: &anyhow::Error) -> bool {
    error.is::<Interrupted>() || train_error(error).is_some_and(TrainError::is_on_all_ranks)
}

/// What ended the training steps, if they did.
fn train_error(error: &anyhow::Error) -> Option<&TrainError> {
    match error.downcast_ref::<RunError>() {
        Some(RunError::Train(error)) => Some(error),
        Some(RunError::Diverged { source, .. }) => Some(source),
        _ => error.downcast_ref(),
    }
}

/// Whether a reader such as `head` has seen enough.
fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(is_broken_pipe))
}

fn is_broken_pipe(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::BrokenPipe
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
        Command::Ablate(args) => ablate::ablate(&args),
        Command::Runs(args) => runs::runs(&args),
        Command::Doctor(args) => doctor::doctor(&args),
    }
}
