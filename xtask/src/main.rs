//! Development commands of the workspace: `cargo xtask <command>`.
//!
//! Builds in seconds: no Burn, no FFmpeg. Everything heavy happens in the cargo processes that
//! it starts.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod cargo;
mod check;
mod launch;
mod setup;
mod stage;
mod suite;
mod tools;

use std::process::ExitCode;

use clap::Parser;

/// Development commands of the workspace.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
enum Command {
    /// Check what a build needs beyond Rust (FFmpeg, libclang; MPI for tests) and install it where possible
    Setup,
    /// Build `msn` in release mode and run `msn train` with the arguments as they are
    Train(launch::Arguments),
    /// Build `msn` in release mode and run `msn eval` with the arguments as they are
    Eval(launch::Arguments),
    /// Build `msn` in release mode and run `msn ablate` with the arguments as they are
    Ablate(launch::Arguments),
    /// Run all tests, cheapest first
    Test {
        /// Leave out the slow stages: doc tests, examples, feature checks
        #[arg(long)]
        quick: bool,
    },
    /// Check the invariants of the workspace: flow of dependencies, names, bans
    Check,
    /// Everything that must be green before a change is merged; what .ci/run calls
    Ci {
        /// Run only these stages
        #[arg(long, value_name = "NAME", num_args = 1..)]
        stage: Vec<String>,
        /// List the stages and stop
        #[arg(long)]
        list: bool,
    },
    /// Run the benches over every compiled backend; write one table
    Bench(bench::Arguments),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Setup => setup::command(),
        Command::Train(arguments) => launch::command("train", &arguments),
        Command::Eval(arguments) => launch::command("eval", &arguments),
        Command::Ablate(arguments) => launch::command("ablate", &arguments),
        Command::Test { quick } => suite::test_command(quick),
        Command::Check => suite::check_command(),
        Command::Ci { stage, list } => suite::ci_command(&stage, list),
        Command::Bench(arguments) => bench::command(&arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// One short line about what happens next.
fn step(line: &str) {
    eprintln!("xtask: {line}");
}
