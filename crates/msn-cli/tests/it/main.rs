//! The binary, as users meet it.
#![allow(missing_docs, clippy::print_stderr)]

mod ablate;
mod alarms;
mod bad_input;
mod browser;
mod choosing;
mod distributed;
mod feeding;
mod formats;
mod journey;
mod kernels;
mod label;
mod measuring;
mod overview;
mod parity;
mod resume;
mod showing;
mod threads;

use assert_cmd::Command;
use camino::{Utf8Path, Utf8PathBuf};

/// The program, run in `folder`.
fn msn(folder: &Utf8Path) -> Command {
    let mut command = Command::cargo_bin("msn").unwrap();
    command.current_dir(folder);
    command
}

fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from_path_buf(dir.path().canonicalize().unwrap()).unwrap();
    (dir, path)
}

/// Standard output of a command that must succeed.
fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{:?}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// A folder under `../shared`, where test data may lie.
fn shared(path: &str) -> Option<Utf8PathBuf> {
    let folder =
        Utf8PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(path);
    if folder.exists() {
        return Some(folder.canonicalize_utf8().unwrap());
    }
    eprintln!("skipped: {folder} is not there");
    None
}
