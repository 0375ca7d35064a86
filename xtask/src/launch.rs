//! `cargo xtask train`, `eval` and `ablate`: build `msn`, then become it.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use cargo_metadata::TargetKind;
use clap::Args;
use xshell::cmd;

use crate::{cargo, setup, step};

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
    if !arguments.no_default_features {
        setup::ensure(setup::BUILD)?;
    }
    let shell = cargo::shell()?;
    let build = cmd!(shell, "cargo build --release -p msn-cli");
    let build = build.args(feature_arguments(args, arguments.no_default_features));
    let msn = cargo::program(build, &TargetKind::Bin, "msn")?;
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

/// Cargo's options for a program of this workspace: its default features, or one device without
/// FFmpeg, and what the devices behind `--device` in `args` need. msn knows those that need no
/// feature, and refuses what it does not know.
pub fn feature_arguments(args: &[OsString], no_default_features: bool) -> Vec<String> {
    let args = args.iter().map(|arg| arg.to_string_lossy().to_lowercase());
    let args: Vec<String> = args.skip_while(|a| !a.starts_with("--device")).collect();
    let devices = args.iter().flat_map(|arg| arg.split([',', '=']));
    let kinds: Vec<_> = devices.filter_map(|d| d.split([':', '-']).next()).collect();
    let features = ["cuda", "ndarray", "wgpu"].into_iter();
    let features = features.filter(|feature| kinds.contains(feature));
    let always = no_default_features.then_some(["--no-default-features", "--features=flex"]);
    let options = always.into_iter().flatten().map(str::to_owned);
    options
        .chain(features.map(|f| format!("--features={f}")))
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
        let features = |line, without| feature_arguments(&words(line), without).join(" ");
        assert_eq!(features("data", false), "");
        assert_eq!(features("data --device flex", false), "");
        assert_eq!(features("data --device", false), "");
        assert_eq!(features("--device CUDA:1 data", false), "--features=cuda");
        assert_eq!(
            features("d --device=ndarray --device wgpu --device ndarray", false),
            "--features=ndarray --features=wgpu"
        );
        let list = "--device flex,cuda:0";
        assert_eq!(features(list, false), "--features=cuda");
        let several = "filter --device flex wgpu --short";
        assert_eq!(features(several, false), "--features=wgpu");
        assert_eq!(
            features("d --device cuda", true),
            "--no-default-features --features=flex --features=cuda"
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
