//! `cargo xtask bench`: the benches in release mode, and the comparison with other frameworks.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use cargo_metadata::TargetKind;
use clap::Args;
use xshell::cmd;

use crate::launch::feature_arguments;
use crate::{cargo, setup};

#[derive(Args)]
pub struct Arguments {
    /// Compare the networks with PyTorch, ONNX Runtime and OpenVINO instead
    #[arg(long)]
    vs_torch: bool,
    /// Build without FFmpeg: no video files
    #[arg(long)]
    no_ffmpeg: bool,
    /// Build only, and print where the program lies: it runs by itself on another machine
    #[arg(long)]
    no_run: bool,
    /// Arguments for the benches: `[FILTER] [--device D...] [--short] [--threads N] [--out DIR]`
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    args: Vec<OsString>,
}

/// Builds the benches and runs them.
pub fn command(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.no_ffmpeg {
        setup::ensure(setup::BUILD)?;
    }
    let shell = cargo::shell()?;
    let args = &arguments.args;
    let build = cmd!(shell, "cargo bench --no-run -p benches --bench msn");
    let build = build.args(feature_arguments(args, arguments.no_ffmpeg));
    let program = cargo::program(build, &TargetKind::Bench, "msn")?;
    if arguments.no_run {
        println!("{}", program.display());
        return Ok(ExitCode::SUCCESS);
    }
    let command = if arguments.vs_torch {
        let python = shell.var_os("PYTHON").unwrap_or_else(|| "python3".into());
        cmd!(shell, "{python} benches/vs_torch/compare.py {program}")
    } else {
        cmd!(shell, "{program}")
    };
    command.args(args).run()?;
    Ok(ExitCode::SUCCESS)
}
