//! `cargo xtask train`, `eval` and `ablate`: build `msn`, then become it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use cargo_metadata::TargetKind;
use clap::Args;
use xshell::cmd;

use crate::{cargo, setup, step};

const BINARY: &str = "msn";

/// Of the weights that the project carries those with the best metrics.
const MODEL: &str = "models/ped2-width32.safetensors";

#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
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

/// Builds `msn` for the devices that the arguments name and runs `msn <subcommand> <args>`.
pub fn command(subcommand: &str, arguments: &Arguments) -> Result<ExitCode> {
    let args = &arguments.args;
    let msn = build(&device_features(args), arguments.no_default_features)?;
    step(&format!("msn {subcommand}"));
    let mut command = Command::new(msn);
    command.arg(subcommand);
    if subcommand == "eval" && is_data_alone(args) {
        command.arg(cargo::root().join(MODEL));
    }
    hand_over(command.args(args))
}

/// Whether `msn eval` is given a folder that is no run, and nothing to evaluate it with.
fn is_data_alone(args: &[OsString]) -> bool {
    let is_place = |arg: &&OsString| !arg.as_encoded_bytes().starts_with(b"-");
    let mut places = args.iter().take_while(is_place).map(Path::new);
    match (places.next(), places.next()) {
        (Some(data), None) => data.is_dir() && !data.join("run.json").exists(),
        _ => false,
    }
}

/// Builds the release binary and returns where it lies.
fn build(devices: &[&str], no_default_features: bool) -> Result<PathBuf> {
    if !no_default_features {
        setup::ensure(&setup::BUILD)?;
    }
    let shell = cargo::shell()?;
    let arguments = feature_arguments(devices, no_default_features);
    let command = cmd!(shell, "cargo build --release -p msn-cli {arguments...}");
    step(&command.to_string());
    cargo::programs(command, &TargetKind::Bin)?
        .into_iter()
        .find_map(|(name, path)| (name == BINARY).then_some(path))
        .with_context(|| format!("package msn-cli made no program named {BINARY}"))
}

/// Cargo's options for a program of this workspace with `devices` beside its default ones.
pub fn feature_arguments(devices: &[&str], no_default_features: bool) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut features = devices.to_vec();
    if no_default_features {
        arguments.push("--no-default-features".to_owned());
        features.insert(0, "flex");
    }
    if !features.is_empty() {
        arguments.extend(["--features".to_owned(), features.join(",")]);
    }
    arguments
}

/// Features for the devices that follow `--device`. msn knows those that need no feature, and
/// refuses what it does not know.
pub fn device_features(args: &[OsString]) -> Vec<&'static str> {
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string_lossy().to_lowercase())
        .collect();
    let devices = args.iter().skip_while(|arg| !arg.starts_with("--device"));
    let devices: Vec<&str> = devices.flat_map(|arg| arg.split([',', '=', ' '])).collect();
    let kind = |device: &str| device.split([':', '-']).next().map(str::to_owned);
    let kinds: Vec<_> = devices.iter().filter_map(|device| kind(device)).collect();
    let features = ["cuda", "ndarray", "wgpu"].into_iter();
    features
        .filter(|feature| kinds.iter().any(|kind| kind == feature))
        .collect()
}

/// Runs `command` in this process' place, so that signals and the exit code are its own.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    Err(command.exec()).with_context(|| format!("cannot start {command:?}"))
}

#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn devices_choose_features() {
        let features =
            |line, without| feature_arguments(&device_features(&words(line)), without).join(" ");
        assert_eq!(features("data", false), "");
        assert_eq!(features("data --device flex", false), "");
        assert_eq!(features("data --device", false), "");
        assert_eq!(features("--device CUDA:1 data", false), "--features cuda");
        assert_eq!(
            features("d --device=ndarray --device wgpu --device ndarray", false),
            "--features ndarray,wgpu"
        );
        let list = "--device flex,cuda:0";
        assert_eq!(features(list, false), "--features cuda");
        let several = "filter --device flex wgpu --short";
        assert_eq!(features(several, false), "--features wgpu");
        assert_eq!(
            features("d --device cuda", true),
            "--no-default-features --features flex,cuda"
        );
    }

    #[test]
    fn a_data_folder_alone_is_evaluated_with_the_weights_at_hand() {
        let folder = env!("CARGO_MANIFEST_DIR");
        let alone = |line: &str| is_data_alone(&words(line));
        assert!(alone(folder));
        assert!(alone(&format!("{folder} --json")));
        assert!(!alone(&format!("{folder} {folder}")));
        assert!(!alone("no-such-folder"));
        assert!(!alone("--help"));
        assert!(!alone(""));
    }
}
