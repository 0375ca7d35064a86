//! Cargo as a child process.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::stage::Counts;

/// The workspace's root: the folder above this package.
pub fn root() -> PathBuf {
    // The variable is set by `cargo run` and stays right where the sources were moved.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map(Path::to_path_buf).unwrap_or(package)
}

/// `cargo <subcommand>`, in the workspace's root.
pub fn command(subcommand: &str) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.arg(subcommand).current_dir(root());
    command
}

/// Runs a command to its end; anything but success is an error that shows the command.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs `cargo test`, passes its lines on and adds up its `test result` lines.
pub fn test(command: &mut Command) -> Result<Counts> {
    let name = shown(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut counts = Counts::default();
    let mut reader = BufReader::new(output);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .context("cannot read from cargo test")?
        > 0
    {
        std::io::stdout().write_all(&line)?;
        if let Some(found) = test_result(&String::from_utf8_lossy(&line)) {
            counts += found;
        }
        line.clear();
    }
    std::io::stdout().flush()?;
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {name}"))?;
    if !status.success() {
        // A build error or a crash leaves no line that counts it.
        counts.failed = counts.failed.max(1);
    }
    Ok(counts)
}

/// Reads `test result: ok. 5 passed; 0 failed; ...`.
fn test_result(line: &str) -> Option<Counts> {
    let rest = line.trim_start().strip_prefix("test result: ")?;
    let number = |what: &str| {
        let before = rest.split_once(what)?.0;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some(Counts {
        passed: number(" passed")?,
        failed: number(" failed")?,
    })
}

#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<MessageTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
    kind: Vec<String>,
}

/// A program that a build made.
pub struct Built {
    pub name: String,
    /// `bin`, `example`, ...
    pub kind: String,
    pub executable: PathBuf,
}

/// Runs `cargo build` and returns the programs that it made or found fresh.
pub fn build(command: &mut Command) -> Result<Vec<Built>> {
    command.arg("--message-format=json-render-diagnostics");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed ({})", shown(command), output.status);
    }
    Ok(built(&String::from_utf8_lossy(&output.stdout)))
}

fn built(messages: &str) -> Vec<Built> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter_map(|message| {
            let target = message.target?;
            let kind = target.kind.into_iter().next()?;
            Some(Built {
                name: target.name,
                kind,
                executable: message.executable?,
            })
        })
        .collect()
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program
        .file_stem()
        .unwrap_or(program.as_os_str())
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s";
        assert_eq!(
            test_result(line),
            Some(Counts {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(test_result("test tests::result ... ok"), None);
        assert_eq!(test_result("test result: nothing"), None);
    }

    #[test]
    fn programs_are_found_among_messages() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"msn","kind":["bin"]},"executable":"t/release/msn"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"x","kind":["lib"]},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let found = built(messages);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].name.as_str(), found[0].kind.as_str()),
            ("msn", "bin")
        );
    }
}
