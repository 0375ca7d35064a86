//! Invariants of the files: names, READMEs, lints in manifests, and no trace of a machine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::rules::{self, Role};
use super::{Invariant, Violation, relative};
use crate::workspace::{Package, Workspace};

/// Files of the project, from `root`: what git tracks or would, and outside a repository all
/// but hidden folders and build output.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output();
    let mut files = match listed {
        Ok(output) if output.status.success() => output
            .stdout
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
            // Deleted, but not yet so for git.
            .filter(|file| root.join(file).is_file())
            .collect(),
        _ => {
            let mut files = Vec::new();
            walk(root, Path::new(""), &mut files)?;
            files
        }
    };
    files.sort();
    files.dedup();
    Ok(files)
}

fn walk(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let path = root.join(folder);
    let entries = fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
        let name = entry.file_name();
        let file = folder.join(&name);
        if entry.path().is_file() {
            files.push(file);
        } else if entry.path().is_dir() && !is_left_out(&name) {
            walk(root, &file, files)?;
        }
    }
    Ok(())
}

fn is_left_out(folder: &OsStr) -> bool {
    let name = folder.to_string_lossy();
    let kept = [".cargo", ".ci", ".github", ".config"].contains(&name.as_ref());
    (name.starts_with('.') && !kept) || name == "target" || name == "runs"
}

pub(super) fn check(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    for file in files {
        violations.extend(empty_name(file));
        let path = workspace.root.join(file);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        // What is not text names nothing that anyone reads.
        if let Ok(text) = String::from_utf8(bytes) {
            violations.extend(of_text(file, &text));
        }
    }
    violations.extend(workspace_lints(workspace)?);
    for package in &workspace.members {
        violations.extend(readme_and_example(workspace, package));
        violations.extend(lints(workspace, package)?);
    }
    Ok(violations)
}

fn empty_name(file: &Path) -> Option<Violation> {
    let is_empty = |name: &OsStr| {
        let name = name.to_string_lossy();
        let stem = name.split('.').next().unwrap_or_default();
        stem.split(['-', '_'])
            .next_back()
            .is_some_and(|last| rules::EMPTY_NAMES.contains(&last))
    };
    let is_rust = file.extension().is_some_and(|e| e == "rs" || e == "toml");
    let part = file.iter().find(|part| is_rust && is_empty(part))?;
    Some(Violation {
        file: file.to_path_buf(),
        line: 0,
        invariant: Invariant::Names,
        found: part.to_string_lossy().into_owned(),
    })
}

fn of_text(file: &Path, text: &str) -> Vec<Violation> {
    let is_lock = file.file_name().is_some_and(|name| name == "Cargo.lock");
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let found = if is_lock {
            foreign_source(line)
        } else {
            machine(line)
        };
        if let Some(found) = found {
            let (file, line) = (file.to_path_buf(), index + 1);
            violations.push(Violation {
                file,
                line,
                invariant: Invariant::Machine,
                found,
            });
        }
    }
    violations
}

/// Parts of paths that exist on one machine alone. Each is put together here, so that this file
/// does not name them.
const MACHINE_PATHS: [&str; 5] = [
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("C:", "\\Users\\"),
];

/// Hosts that serve packages, and settings that change where cargo takes them from.
const REGISTRIES: [&str; 7] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("artif", "actory"),
    concat!("sparse", "+http"),
    concat!("replace", "-with"),
    concat!("[regis", "tries"),
    concat!("CARGO_REGIS", "TRIES_"),
];

fn machine(line: &str) -> Option<String> {
    let path = MACHINE_PATHS.iter().find(|path| {
        line.match_indices(**path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            // Inside a longer path or an address it is something else.
            !before.is_some_and(|c| c.is_alphanumeric() || ".-_~*})>/".contains(c))
        })
    });
    path.or_else(|| REGISTRIES.iter().find(|r| line.contains(**r)))
        .map(|found| (*found).to_owned())
}

/// A package in the lock file that does not come from crates.io.
fn foreign_source(line: &str) -> Option<String> {
    let source = line.strip_prefix("source = ")?.trim_matches('"');
    let is_known = source == "registry+https://github.com/rust-lang/crates.io-index";
    (!is_known).then(|| source.to_owned())
}

fn readme_and_example(workspace: &Workspace, package: &Package) -> Vec<Violation> {
    if rules::role(package) != Role::Library {
        return Vec::new();
    }
    let folder = relative(&workspace.root, package.folder());
    let missing = |found: &str| Violation {
        file: folder.clone(),
        line: 0,
        invariant: Invariant::Readme,
        found: format!("{} has no {found}", package.name),
    };
    let mut violations = Vec::new();
    if !package.folder().join("README.md").is_file() {
        violations.push(missing("README.md"));
    }
    if !package.has_target("example") {
        violations.push(missing("example"));
    }
    violations
}

fn manifest(path: &Path) -> Result<toml::Table> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse()
        .with_context(|| format!("{} is no TOML", path.display()))
}

fn workspace_lints(workspace: &Workspace) -> Result<Option<Violation>> {
    let manifest = manifest(&workspace.root.join("Cargo.toml"))?;
    let lints = manifest.get("workspace").and_then(|w| w.get("lints"));
    Ok((unsafe_code(lints) != Some("forbid")).then(|| Violation {
        file: PathBuf::from("Cargo.toml"),
        line: 0,
        invariant: Invariant::Unsafe,
        found: "the workspace's lints do not forbid unsafe_code".to_owned(),
    }))
}

/// The level of rustc's lint `unsafe_code` in a table of lints.
fn unsafe_code(lints: Option<&toml::Value>) -> Option<&str> {
    let level = lints?.get("rust")?.get("unsafe_code")?;
    level.as_str().or_else(|| level.get("level")?.as_str())
}

/// Every package takes the workspace's lints, or sets `unsafe_code` itself where it needs to.
fn lints(workspace: &Workspace, package: &Package) -> Result<Vec<Violation>> {
    let path = &package.manifest_path;
    let manifest = manifest(path)?;
    let found = wrong_lints(&package.name, manifest.get("lints"));
    Ok(found
        .map(|found| Violation {
            file: relative(&workspace.root, path),
            line: 0,
            invariant: Invariant::Unsafe,
            found,
        })
        .into_iter()
        .collect())
}

fn wrong_lints(package: &str, lints: Option<&toml::Value>) -> Option<String> {
    let takes = lints
        .and_then(|l| l.get("workspace"))
        .and_then(toml::Value::as_bool);
    if takes == Some(true) || package == rules::UNSAFE_CRATE {
        return None;
    }
    match unsafe_code(lints) {
        Some("forbid") => None,
        Some("deny") if package == rules::FFI_CRATE => None,
        _ => Some("lints neither are the workspace's nor forbid unsafe_code".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found() {
        for path in MACHINE_PATHS {
            assert!(machine(&format!("see {path}x")).is_some(), "{path}");
            assert!(machine(&format!("\"{path}x\"")).is_some(), "{path}");
            assert!(machine(&format!("{path}x")).is_some(), "{path}");
            assert_eq!(
                machine(&format!("https://example.org{path}x")),
                None,
                "{path}"
            );
            assert_eq!(machine(&format!("runs{path}x ~{path}x")), None, "{path}");
        }
    }

    #[test]
    fn registries_are_found() {
        for registry in REGISTRIES {
            assert!(machine(&format!("x {registry} y")).is_some(), "{registry}");
        }
        assert_eq!(machine("see https://crates.io/crates/burn"), None);
        let text = "name = \"x\"\nsource = \"registry+https://example.org/index\"\n";
        let violations = of_text(Path::new("Cargo.lock"), text);
        assert_eq!((violations.len(), violations[0].line), (1, 2));
        let text = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(of_text(Path::new("Cargo.lock"), text), []);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        for file in [
            "crates/a/src/utils.rs",
            "crates/a/tests/common/mod.rs",
            "crates/msn-helpers/Cargo.toml",
        ] {
            assert!(empty_name(Path::new(file)).is_some(), "{file}");
        }
        for file in [
            "crates/a/src/commons.rs",
            "docs/common.md",
            "crates/a/src/common_path.rs",
        ] {
            assert!(empty_name(Path::new(file)).is_none(), "{file}");
        }
    }

    #[test]
    fn lints_that_let_unsafe_in_are_found() {
        let wrong = |package: &str, manifest: &str| {
            wrong_lints(
                package,
                manifest.parse::<toml::Table>().unwrap().get("lints"),
            )
            .is_some()
        };
        assert!(wrong("a", ""));
        assert!(wrong("a", "[lints.rust]\nmissing_docs = \"warn\""));
        assert!(wrong("a", "[lints.rust]\nunsafe_code = \"deny\""));
        assert!(!wrong("a", "[lints]\nworkspace = true"));
        assert!(!wrong(
            "a",
            "[lints.rust]\nunsafe_code = { level = \"forbid\", priority = 1 }"
        ));
        assert!(!wrong("msn-video", "[lints.rust]\nunsafe_code = \"deny\""));
        assert!(!wrong(
            "msn-kernels",
            "[lints.rust]\nmissing_docs = \"warn\""
        ));
    }

    #[test]
    fn files_are_listed_without_git_too() {
        let root = tempfile::tempdir().unwrap();
        for file in ["a/x.rs", "target/y.rs", ".hidden/z.rs", ".ci/run"] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut found = Vec::new();
        walk(root.path(), Path::new(""), &mut found).unwrap();
        found.sort();
        assert_eq!(found, [PathBuf::from(".ci/run"), PathBuf::from("a/x.rs")]);
    }
}
