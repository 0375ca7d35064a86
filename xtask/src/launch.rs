//! `cargo xtask train` and `cargo xtask eval`: build `msn`, then become it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::{cargo, setup, step};

const PACKAGE: &str = "msn-cli";
const BINARY: &str = "msn";

/// Of the weights that the project carries those with the best figures.
const MODEL: &str = "models/ped2-width32.safetensors";

/// Builds `msn` for the devices that `args` name and runs `msn <subcommand> <args>`.
pub fn command(subcommand: &str, no_default_features: bool, args: &[OsString]) -> Result<ExitCode> {
    let msn = build(&devices(args), no_default_features)?;
    step(&format!("msn {subcommand}"));
    let mut command = Command::new(msn);
    command.arg(subcommand);
    if subcommand == "eval" && is_data_alone(args) {
        command.arg(cargo::root().join(MODEL));
    }
    command.args(args);
    hand_over(&mut command)
}

/// Whether `msn eval` is given a folder that is no run, and nothing to evaluate it with.
fn is_data_alone(args: &[OsString]) -> bool {
    let is_place = |arg: &OsString| !arg.as_encoded_bytes().starts_with(b"-");
    let mut places = args.iter().take_while(|arg| is_place(arg));
    match (places.next().map(Path::new), places.next()) {
        (Some(data), None) => data.is_dir() && !data.join("run.json").exists(),
        _ => false,
    }
}

/// Builds the release binary for `devices` and returns where it lies.
pub fn build(devices: &[String], no_default_features: bool) -> Result<PathBuf> {
    if !no_default_features {
        setup::ensure()?;
    }
    let arguments = build_arguments(devices, no_default_features);
    step(&format!("cargo build {}", arguments.join(" ")));
    cargo::build(cargo::command("build").args(&arguments))?
        .into_iter()
        .find(|built| built.kind == "bin" && built.name == BINARY)
        .map(|built| built.executable)
        .with_context(|| format!("package {PACKAGE} made no program named {BINARY}"))
}

fn build_arguments(devices: &[String], no_default_features: bool) -> Vec<String> {
    let mut features: Vec<&str> = Vec::new();
    if no_default_features {
        features.push("flex");
    }
    for device in devices {
        let feature = match device.split([':', '-']).next().unwrap_or_default() {
            "cuda" => "cuda",
            "wgpu" => "wgpu",
            "ndarray" => "ndarray",
            // msn knows the rest, and names what it knows where it does not.
            _ => continue,
        };
        if !features.contains(&feature) {
            features.push(feature);
        }
    }
    let mut arguments: Vec<String> = ["--release", "-p", PACKAGE]
        .into_iter()
        .map(str::to_owned)
        .collect();
    if no_default_features {
        arguments.push("--no-default-features".to_owned());
    }
    if !features.is_empty() {
        arguments.extend(["--features".to_owned(), features.join(",")]);
    }
    arguments
}

/// Values of `--device`, which may be given several times and hold a list each.
fn devices(args: &[OsString]) -> Vec<String> {
    let mut found = Vec::new();
    let mut args = args.iter().map(OsString::as_os_str);
    while let Some(arg) = args.next() {
        let value = if arg == "--device" {
            args.next().map(OsStr::to_string_lossy)
        } else {
            let arg = arg.to_string_lossy();
            arg.strip_prefix("--device=")
                .map(|value| value.to_owned().into())
        };
        if let Some(value) = value {
            found.extend(value.split(',').map(|v| v.trim().to_ascii_lowercase()));
        }
    }
    found
}

/// Runs `command` in this process' place, so that signals and the exit code are its own.
#[cfg(unix)]
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start {}", cargo::shown(command)))
}

#[cfg(not(unix))]
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", cargo::shown(command)))?;
    let code = status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str, no_default_features: bool) -> String {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        build_arguments(&devices(&args), no_default_features).join(" ")
    }

    #[test]
    fn devices_choose_features() {
        assert_eq!(arguments("data", false), "--release -p msn-cli");
        assert_eq!(
            arguments("data --device flex", false),
            "--release -p msn-cli"
        );
        assert_eq!(
            arguments("--device cuda:1 data", false),
            "--release -p msn-cli --features cuda"
        );
        assert_eq!(
            arguments(
                "data --device=ndarray --device wgpu --device ndarray",
                false
            ),
            "--release -p msn-cli --features ndarray,wgpu"
        );
        assert_eq!(
            arguments("data --device cuda:0,cuda:1", false),
            "--release -p msn-cli --features cuda"
        );
    }

    #[test]
    fn a_data_folder_alone_is_evaluated_with_the_weights_at_hand() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let folder = env!("CARGO_MANIFEST_DIR");
        assert!(is_data_alone(&args(&[folder])));
        assert!(is_data_alone(&args(&[folder, "--json"])));
        assert!(!is_data_alone(&args(&[folder, folder])));
        assert!(!is_data_alone(&args(&["no-such-folder"])));
        assert!(!is_data_alone(&args(&["--help"])));
        assert!(!is_data_alone(&[]));
    }

    #[test]
    fn without_default_features_a_device_stays() {
        assert_eq!(
            arguments("data", true),
            "--release -p msn-cli --no-default-features --features flex"
        );
    }

    #[test]
    fn a_device_option_without_value_is_left_to_msn() {
        assert_eq!(arguments("data --device", false), "--release -p msn-cli");
    }
}
