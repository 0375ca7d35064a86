//! The stages of `cargo xtask test` and `cargo xtask ci`, cheapest first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::stage::{Counts, Outcome, Report, Stage};
use crate::workspace::{Graph, Kind, Package, Workspace, is_burn};
use crate::{cargo, check, matrix, setup};

/// What reads event files in a test, as pip names it.
const TENSORBOARD: &str = "tensorboard==2.21.0";

/// All stages. Tests run in the dev profile; crates with Burn are always built together, so that
/// its features are the same each time and it is built once.
const STAGES: &[Stage<Suite>] = &[
    Stage {
        name: "setup",
        about: "FFmpeg, libclang, pkg-config",
        is_test: true,
        is_slow: false,
        work: |_| {
            setup::ensure()?;
            Ok(Outcome::green())
        },
    },
    Stage {
        name: "fmt",
        about: "cargo fmt --check",
        is_test: false,
        is_slow: false,
        work: |_| done(cargo::command("fmt").args(["--all", "--check"])),
    },
    Stage {
        name: "typos",
        about: "spelling",
        is_test: false,
        is_slow: false,
        work: |_| where_installed("typos", &mut Command::new("typos")),
    },
    Stage {
        name: "invariants",
        about: "cargo xtask check",
        is_test: true,
        is_slow: false,
        work: |_| {
            let violations = check::run()?;
            if violations > 0 {
                bail!("{violations} violations");
            }
            Ok(Outcome::green())
        },
    },
    Stage {
        name: "machete",
        about: "unused dependencies",
        is_test: false,
        is_slow: false,
        work: |_| where_installed("cargo-machete", &mut Command::new("cargo-machete")),
    },
    Stage {
        name: "deny",
        about: "bans, licences, sources",
        is_test: false,
        is_slow: false,
        work: |_| {
            let mut command = Command::new("cargo-deny");
            where_installed(
                "cargo-deny",
                command.args(["check", "bans", "licenses", "sources"]),
            )
        },
    },
    Stage {
        name: "xtask",
        about: "tests of xtask itself",
        is_test: true,
        is_slow: false,
        work: |_| tests(&["--profile", "xtask", "-p", "xtask", "--bins"]),
    },
    Stage {
        name: "package",
        about: "cargo package",
        is_test: false,
        is_slow: false,
        work: package,
    },
    Stage {
        name: "plain",
        about: "tests of crates without Burn",
        is_test: true,
        is_slow: false,
        work: |suite| {
            let packages = suite.select(&suite.plain);
            if packages.is_empty() {
                return Ok(Outcome::Skipped("there is none".to_owned()));
            }
            tests(&with(&packages, &["--lib", "--bins", "--tests"]))
        },
    },
    Stage {
        name: "clippy",
        about: "cargo clippy -D warnings",
        is_test: false,
        is_slow: false,
        work: |_| {
            done(cargo::command("clippy").args([
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]))
        },
    },
    Stage {
        name: "doc",
        about: "cargo doc -D warnings",
        is_test: false,
        is_slow: false,
        work: |_| {
            done(
                cargo::command("doc")
                    .args(["--workspace", "--no-deps"])
                    .env("RUSTDOCFLAGS", "-D warnings"),
            )
        },
    },
    Stage {
        name: "burn",
        about: "unit tests of crates with Burn",
        is_test: true,
        is_slow: false,
        work: |suite| {
            let packages = suite.select(&suite.burn);
            if packages.is_empty() {
                return Ok(Outcome::Skipped("there is none".to_owned()));
            }
            tests(&with(&packages, &["--lib", "--bins"]))
        },
    },
    Stage {
        name: "integration",
        about: "integration tests of crates with Burn and of msn",
        is_test: true,
        is_slow: false,
        work: |suite| {
            if !suite.burn.iter().any(|p| p.has_target("test")) {
                return Ok(Outcome::Skipped("there is none".to_owned()));
            }
            let mut command = cargo::command("test");
            command
                .arg("--no-fail-fast")
                .args(suite.select(&suite.burn))
                .args(["--test", "*"]);
            match tensorboard(&suite.workspace.target) {
                Ok(folder) => _ = command.env("PYTHONPATH", folder),
                Err(error) => println!("skipped: event files are not read back: {error:#}"),
            }
            cargo::test(&mut command).map(Outcome::Done)
        },
    },
    Stage {
        name: "doctests",
        about: "examples in documentation",
        is_test: true,
        is_slow: true,
        work: doc_tests,
    },
    Stage {
        name: "examples",
        about: "each library's example runs",
        is_test: true,
        is_slow: true,
        work: examples,
    },
    Stage {
        name: "bench",
        about: "a short run of every bench, with its assertions",
        is_test: false,
        is_slow: true,
        work: benches,
    },
    Stage {
        name: "features",
        about: "cargo check of every feature",
        is_test: true,
        is_slow: true,
        work: features,
    },
];

/// What the stages work on.
struct Suite {
    workspace: Workspace,
    /// Members that build without Burn, tests included; without xtask.
    plain: Vec<Package>,
    /// Members that need Burn.
    burn: Vec<Package>,
}

impl Suite {
    fn load() -> Result<Self> {
        let workspace = Workspace::load(Graph::Default)?;
        let kinds = [Kind::Normal, Kind::Build, Kind::Dev];
        let (burn, plain) = workspace
            .members
            .iter()
            .filter(|p| p.name != "xtask")
            .cloned()
            .partition(|p| workspace.way_to(p, &kinds, is_burn).is_some());
        Ok(Self {
            workspace,
            plain,
            burn,
        })
    }

    fn select<'a>(&self, packages: &'a [Package]) -> Vec<&'a str> {
        packages
            .iter()
            .flat_map(|p| ["-p", p.name.as_str()])
            .collect()
    }

    fn groups(&self) -> impl Iterator<Item = &[Package]> {
        [self.plain.as_slice(), self.burn.as_slice()].into_iter()
    }
}

/// `cargo xtask test`.
pub fn test(quick: bool) -> Result<ExitCode> {
    let stages: Vec<_> = STAGES
        .iter()
        .filter(|s| s.is_test && !(quick && s.is_slow))
        .collect();
    Ok(Report::run(&stages, &Suite::load()?).close())
}

/// `cargo xtask ci`.
pub fn ci(wanted: &[String], list: bool) -> Result<ExitCode> {
    let stages = chosen(wanted)?;
    if list {
        for stage in stages {
            println!("{:12} {}", stage.name, stage.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    Ok(Report::run(&stages, &Suite::load()?).close())
}

/// The stages named in `wanted`, in their own order; all where none is named.
fn chosen(wanted: &[String]) -> Result<Vec<&'static Stage<Suite>>> {
    if let Some(unknown) = wanted
        .iter()
        .find(|name| STAGES.iter().all(|s| s.name != *name))
    {
        let names: Vec<_> = STAGES.iter().map(|s| s.name).collect();
        bail!(
            "there is no stage {unknown}; the stages are {}",
            names.join(", ")
        );
    }
    Ok(STAGES
        .iter()
        .filter(|s| wanted.is_empty() || wanted.iter().any(|n| n == s.name))
        .collect())
}

fn done(command: &mut Command) -> Result<Outcome> {
    cargo::run(command)?;
    Ok(Outcome::green())
}

/// Runs a tool that is not part of Rust, where it is at hand.
fn where_installed(tool: &str, command: &mut Command) -> Result<Outcome> {
    let probe = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match probe {
        Ok(_) => done(command.current_dir(cargo::root())),
        Err(_) => Ok(Outcome::Skipped(format!(
            "{tool} is not installed (cargo install {tool})"
        ))),
    }
}

fn with<'a>(first: &[&'a str], then: &[&'a str]) -> Vec<&'a str> {
    [first, then].concat()
}

fn tests(arguments: &[&str]) -> Result<Outcome> {
    cargo::test(cargo::command("test").arg("--no-fail-fast").args(arguments)).map(Outcome::Done)
}

/// A folder with TensorBoard, whose own reader a test reads event files with; in the build folder,
/// so that nothing of the machine changes.
fn tensorboard(target: &Path) -> Result<PathBuf> {
    let folder = target.join("python");
    if !folder.join("tensorboard").is_dir() {
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-warn-script-location",
            "--target",
        ];
        let mut install = Command::new("python3");
        cargo::run(install.args(pip).arg(&folder).arg(TENSORBOARD))?;
    }
    Ok(folder)
}

fn package(suite: &Suite) -> Result<Outcome> {
    let mut command = cargo::command("package");
    command.args(["--workspace", "--no-verify", "--allow-dirty"]);
    for package in suite.workspace.members.iter().filter(|p| !p.is_published()) {
        command.args(["--exclude", &package.name]);
    }
    done(&mut command)
}

fn doc_tests(suite: &Suite) -> Result<Outcome> {
    let mut counts = Counts::default();
    for group in suite.groups().filter(|g| g.iter().any(Package::is_library)) {
        let arguments = with(&suite.select(group), &["--doc", "--no-fail-fast"]);
        counts += cargo::test(cargo::command("test").args(arguments))?;
    }
    Ok(Outcome::Done(counts))
}

fn examples(suite: &Suite) -> Result<Outcome> {
    // What an example writes lands here.
    let folder = suite.workspace.target.join("xtask-examples");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut counts = Counts::default();
    for group in suite
        .groups()
        .filter(|g| g.iter().any(|p| p.has_target("example")))
    {
        let built = cargo::build(
            cargo::command("build")
                .arg("--examples")
                .args(suite.select(group)),
        )?;
        for example in built.iter().filter(|b| b.kind == "example") {
            println!("---- example {}", example.name);
            match cargo::run(Command::new(&example.executable).current_dir(&folder)) {
                Ok(()) => counts.passed += 1,
                Err(error) => {
                    println!("error: {error:#}");
                    counts.failed += 1;
                }
            }
        }
    }
    Ok(Outcome::Done(counts))
}

/// In the tests' profile, so that nothing is built again: the table shows that benches run, its
/// times are no figures.
fn benches(suite: &Suite) -> Result<Outcome> {
    let out = suite.workspace.target.join("xtask-bench");
    done(
        cargo::command("bench")
            .args(["--profile", "dev"])
            .args(suite.select(&suite.burn))
            .args(["--bench", "msn", "--", "--short", "--out"])
            .arg(out),
    )
}

fn features(suite: &Suite) -> Result<Outcome> {
    for check in matrix::checks(&suite.workspace.members) {
        let mut command = cargo::command("check");
        command.args(check.arguments());
        println!("---- {}", cargo::shown(&command));
        cargo::run(&mut command)?;
    }
    Ok(Outcome::green())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_chosen_by_name_in_their_own_order() {
        let wanted = ["xtask".to_owned(), "fmt".to_owned()];
        let names: Vec<_> = chosen(&wanted).unwrap().iter().map(|s| s.name).collect();
        assert_eq!(names, ["fmt", "xtask"]);
        assert_eq!(chosen(&[]).unwrap().len(), STAGES.len());
        let error = chosen(&["lint".to_owned()]).err().unwrap().to_string();
        assert!(
            error.contains("lint") && error.contains("clippy"),
            "{error}"
        );
    }

    #[test]
    fn names_of_stages_are_unique() {
        let mut names: Vec<_> = STAGES.iter().map(|s| s.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STAGES.len());
    }
}
