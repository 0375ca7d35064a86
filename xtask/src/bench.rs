//! `cargo xtask bench`: the benches in release mode, and the comparison with other frameworks.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{cargo, setup, step};

const PACKAGE: &str = "benches";
const TARGET: &str = "msn";
const SCRIPT: &str = "benches/vs_torch/compare.py";

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub struct BenchArgs {
    /// Only subjects or variants that contain this
    filter: Option<String>,
    /// Backends of Burn [default: flex and ndarray]
    #[arg(long, value_name = "D", num_args = 1..)]
    device: Vec<String>,
    /// Small sizes and few samples: to see that everything runs
    #[arg(long)]
    short: bool,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Compare the networks with PyTorch, ONNX Runtime and OpenVINO instead
    #[arg(long)]
    vs_torch: bool,
    /// Where the tables go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    out: PathBuf,
    /// Build without FFmpeg: no video files
    #[arg(long)]
    no_ffmpeg: bool,
    /// Build only, and print where the program lies: it runs by itself on another machine
    #[arg(long)]
    no_run: bool,
}

/// Builds the benches and runs them.
pub fn command(args: &BenchArgs) -> Result<ExitCode> {
    if !args.no_ffmpeg {
        setup::ensure()?;
    }
    let arguments = build_arguments(args);
    step(&format!("cargo bench {}", arguments.join(" ")));
    let program = cargo::build(cargo::command("bench").args(&arguments))?
        .into_iter()
        .find(|built| built.kind == "bench" && built.name == TARGET)
        .map(|built| built.executable)
        .with_context(|| format!("package {PACKAGE} made no bench named {TARGET}"))?;
    if args.no_run {
        println!("{}", program.display());
        return Ok(ExitCode::SUCCESS);
    }
    let mut command = if args.vs_torch {
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(python);
        command.arg(cargo::root().join(SCRIPT)).arg(&program);
        command
    } else {
        let mut command = Command::new(&program);
        command.args(&args.filter);
        for device in &args.device {
            command.args(["--device", device]);
        }
        command
    };
    command.arg("--out").arg(&args.out);
    if args.short {
        command.arg("--short");
    }
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    cargo::run(command.current_dir(cargo::root()))?;
    Ok(ExitCode::SUCCESS)
}

fn build_arguments(args: &BenchArgs) -> Vec<String> {
    let mut features = Vec::new();
    if args.no_ffmpeg {
        features.push("flex");
    }
    for device in &args.device {
        match device.split(':').next().unwrap_or_default() {
            "cuda" => features.push("cuda"),
            "wgpu" => features.push("wgpu"),
            "ndarray" if args.no_ffmpeg => features.push("ndarray"),
            // The program knows the rest, and names what it knows where it does not.
            _ => {}
        }
    }
    let mut arguments: Vec<String> = ["--no-run", "-p", PACKAGE, "--bench", TARGET]
        .map(str::to_owned)
        .into();
    if args.no_ffmpeg {
        arguments.push("--no-default-features".to_owned());
    }
    if !features.is_empty() {
        features.dedup();
        arguments.extend(["--features".to_owned(), features.join(",")]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: BenchArgs,
    }

    fn built(line: &str) -> String {
        let line = std::iter::once("bench").chain(line.split_whitespace());
        build_arguments(&Line::parse_from(line).args).join(" ")
    }

    #[test]
    fn devices_become_features() {
        let plain = "--no-run -p benches --bench msn";
        assert_eq!(built(""), plain);
        assert_eq!(built("--device flex ndarray"), plain);
        assert_eq!(
            built("--no-ffmpeg --device flex cuda:0"),
            format!("{plain} --no-default-features --features flex,cuda")
        );
    }
}
