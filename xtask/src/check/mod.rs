//! `cargo xtask check`: proves the invariants of the workspace.
//!
//! An invariant is an absence, and so nothing that one sees in one place: it is proved from
//! `cargo metadata` ([`graph`]), from the tokens of every Rust file ([`code`], which reads them
//! with [`tokens`]), and from the other files ([`tree`]). What each crate may do stands in
//! [`rules`].

mod code;
mod graph;
mod rules;
mod tokens;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::workspace::{Graph, Workspace};

/// What holds in the whole workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    Ffmpeg,
    Burn,
    Video,
    Flow,
    Xtask,
    Unsafe,
    Print,
    Exit,
    Environment,
    Device,
    Backend,
    Names,
    Readme,
    Machine,
}

impl Invariant {
    const ALL: [Self; 14] = [
        Self::Ffmpeg,
        Self::Burn,
        Self::Video,
        Self::Flow,
        Self::Xtask,
        Self::Unsafe,
        Self::Print,
        Self::Exit,
        Self::Environment,
        Self::Device,
        Self::Backend,
        Self::Names,
        Self::Readme,
        Self::Machine,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ffmpeg => "only msn-video depends on FFmpeg, and behind a feature",
            Self::Burn => "msn-metrics, msn-events, msn-video and msn-data have no Burn",
            Self::Video => "msn-memory knows no video",
            Self::Flow => "data flows one way: a crate depends on earlier ones alone",
            Self::Xtask => "xtask builds neither Burn nor FFmpeg",
            Self::Unsafe => "only msn-kernels, and FFI in one file of msn-video, contain unsafe",
            Self::Print => "no library prints",
            Self::Exit => "no library ends the process",
            Self::Environment => "no library reads the environment",
            Self::Device => "no library picks a device",
            Self::Backend => "backends are named in msn-cli and benches alone",
            Self::Names => "nothing is called utils, common or helpers",
            Self::Readme => "every library has a README.md and an example",
            Self::Machine => "no file names a machine's own paths or a registry's host",
        })
    }
}

/// A place where an invariant does not hold.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// From the workspace's root.
    pub file: PathBuf,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    pub invariant: Invariant,
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}: {}", self.invariant, self.found)
    }
}

/// `cargo xtask check`.
pub fn command() -> Result<ExitCode> {
    let violations = run()?;
    if violations > 0 {
        bail!("{violations} violations of the invariants");
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks every invariant, prints what was found and returns the number of violations.
pub fn run() -> Result<usize> {
    let workspace = Workspace::load(Graph::AllFeatures)?;
    let violations = violations(&workspace)?;
    for invariant in Invariant::ALL {
        let count = violations
            .iter()
            .filter(|v| v.invariant == invariant)
            .count();
        let mark = if count == 0 {
            "ok ".to_owned()
        } else {
            format!("{count:<3}")
        };
        println!("{mark} {invariant}");
    }
    for violation in &violations {
        println!("{violation}");
    }
    Ok(violations.len())
}

fn violations(workspace: &Workspace) -> Result<Vec<Violation>> {
    let files = tree::files(&workspace.root)?;
    let mut violations = graph::check(workspace);
    violations.extend(code::check(workspace, &files)?);
    violations.extend(tree::check(workspace, &files)?);
    violations.sort();
    violations.dedup();
    Ok(violations)
}

/// `path` from the workspace's root on.
fn relative(root: &Path, path: &Path) -> PathBuf {
    path.strip_prefix(root).unwrap_or(path).to_path_buf()
}
