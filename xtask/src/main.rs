//! Development commands of the workspace: `cargo xtask <command>`.
//!
//! Builds in seconds: no Burn, no FFmpeg. Everything heavy happens in the cargo processes that
//! it starts.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod ablate;
mod bench;
mod cargo;
mod check;
mod launch;
mod matrix;
mod setup;
mod stage;
mod suite;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser};

/// Development commands of the workspace.
#[derive(Parser)]
#[command(name = "xtask", bin_name = "cargo xtask")]
enum Command {
    /// Check what a build needs beyond Rust (FFmpeg, libclang) and install it where possible
    Setup,
    /// Build `msn` in release mode and run `msn train` with the arguments as they are
    Train(Launch),
    /// Build `msn` in release mode and run `msn eval` with the arguments as they are
    Eval(Launch),
    /// Run all tests, cheapest first
    Test {
        /// Leave out the slow stages: doc tests, examples, feature checks
        #[arg(long)]
        quick: bool,
    },
    /// Prove the invariants of the workspace from cargo metadata and the sources
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
    Bench(bench::BenchArgs),
    /// Train a grid of settings and seeds; write a table and a plot
    Ablate(ablate::AblateArgs),
}

#[derive(Args)]
#[command(disable_help_flag = true)]
struct Launch {
    /// Build without default features, so without FFmpeg: sources are frame folders only
    /// (must stand before the arguments for msn)
    #[arg(long)]
    no_default_features: bool,
    /// Arguments for msn
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    args: Vec<OsString>,
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Setup => setup::command(),
        Command::Train(l) => launch::command("train", l.no_default_features, &l.args),
        Command::Eval(l) => launch::command("eval", l.no_default_features, &l.args),
        Command::Test { quick } => suite::test(quick),
        Command::Check => check::command(),
        Command::Ci { stage, list } => suite::ci(&stage, list),
        Command::Bench(args) => bench::command(&args),
        Command::Ablate(args) => ablate::command(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// One short line about what happens next.
fn step(line: &str) {
    eprintln!("xtask: {line}");
}
