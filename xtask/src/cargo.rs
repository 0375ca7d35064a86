//! Cargo as a child process.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Message, Metadata, MetadataCommand, TargetKind};
use xshell::{Cmd, Shell};

use crate::stage::Counts;
use crate::step;

/// The workspace's root: the folder above this package.
pub fn root() -> PathBuf {
    // The variable is set by `cargo run` and stays right where the sources were moved.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// A shell whose folder is the workspace's root.
pub fn shell() -> Result<Shell> {
    let shell = Shell::new().context("the working folder is gone")?;
    shell.change_dir(root());
    Ok(shell)
}

/// The workspace in `root` as cargo describes it, without its dependencies.
pub fn metadata(root: &Path) -> Result<Metadata> {
    let mut command = MetadataCommand::new();
    let metadata = command.current_dir(root).no_deps().exec();
    metadata.context("cargo metadata")
}

/// Runs `cargo test`, passes its lines on and adds up its `test result` lines.
pub fn test(command: Cmd<'_>) -> Result<Counts> {
    let shown = command.to_string();
    let mut child = Command::from(command)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let mut output = BufReader::new(child.stdout.take().context("cargo test has no output")?);
    let mut counts = Counts::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        counts += test_result(&String::from_utf8_lossy(&line)).unwrap_or_default();
        line.clear();
    }
    std::io::stdout().flush()?;
    if !child.wait()?.success() {
        // A build error or a crash leaves no line that counts it.
        counts.failed = counts.failed.max(1);
    }
    Ok(counts)
}

/// Reads `test result: ok. 5 passed; 0 failed; ...`.
fn test_result(line: &str) -> Option<Counts> {
    let rest = line.trim_start().strip_prefix("test result: ")?;
    let number = |what: &str| rest.split_once(what)?.0.rsplit(' ').next()?.parse().ok();
    let (passed, failed) = (number(" passed")?, number(" failed")?);
    Some(Counts { passed, failed })
}

/// Runs a cargo command that builds, and returns the programs of one kind that it made or found
/// fresh: names and paths.
pub fn programs(command: Cmd<'_>, kind: &TargetKind) -> Result<Vec<(String, PathBuf)>> {
    step(&command.to_string());
    let mut command = Command::from(command.arg("--message-format=json-render-diagnostics"));
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("cargo failed ({})", output.status);
    }
    let messages = Message::parse_stream(Cursor::new(output.stdout));
    let artifacts = messages.filter_map(|message| match message {
        Ok(Message::CompilerArtifact(artifact)) => Some(artifact),
        _ => None,
    });
    Ok(artifacts
        .filter(|artifact| artifact.target.kind.contains(kind))
        .filter_map(|artifact| Some((artifact.target.name, artifact.executable?.into())))
        .collect())
}

/// The program `name` among those that a cargo command builds.
pub fn program(command: Cmd<'_>, kind: &TargetKind, name: &str) -> Result<PathBuf> {
    let mut programs = programs(command, kind)?.into_iter();
    let found = programs.find(|program| program.0 == name);
    Ok(found.with_context(|| format!("cargo built no {name}"))?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        let (passed, failed) = (12, 3);
        assert_eq!(test_result(line), Some(Counts { passed, failed }));
        assert_eq!(test_result("test tests::result ... ok"), None);
        assert_eq!(test_result("test result: nothing"), None);
    }
}
