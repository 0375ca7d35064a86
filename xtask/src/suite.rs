//! The stages of `cargo xtask test` and `cargo xtask ci`, cheapest first.

use std::process::ExitCode;

use anyhow::{Result, bail};
use cargo_metadata::{Metadata, TargetKind};
use xshell::{Cmd, Shell, cmd};

use crate::stage::Part::{Ci, SlowTest, Test};
use crate::stage::{Counts, Stage};
use crate::{cargo, check, setup, stage, tools};

/// All stages. Tests run in the dev profile.
#[rustfmt::skip]
const STAGES: &[Stage<Suite>] = &[
    ("setup", "FFmpeg, libclang, pkg-config, MPI", Test, setup),
    ("fmt", "cargo fmt --check", Ci, |suite| suite.cargo(&["fmt", "--all", "--check"])),
    ("typos", "spelling", Ci, |suite| suite.tool("typos", &[])),
    ("invariants", "flow of dependencies, names", Test, invariants),
    ("shear", "unused dependencies", Ci, |suite| suite.tool("cargo-shear", &[])),
    ("deny", "bans, licences, sources", Ci, deny),
    ("xtask", "tests of xtask itself", Test, xtask),
    ("package", "cargo package", Ci, package),
    ("clippy", "cargo clippy -D warnings", Ci, clippy),
    ("doc", "cargo doc -D warnings", Ci, doc),
    ("build", "all tests and examples, which keeps all cores busy", Ci, build),
    ("unit", "unit tests", Test, |suite| suite.test(&["--lib", "--bins"])),
    ("integration", "integration tests, those of msn among them", Test, integration),
    ("doctests", "examples in documentation", SlowTest, |suite| suite.test(&["--doc"])),
    ("examples", "each library's examples run", SlowTest, examples),
    ("bench", "a short run of every bench, with its assertions", Ci, benches),
    ("features", "cargo check without default features, and for each device", SlowTest, features),
];

/// Options of everything that is built to run, and of what is only checked. They are the same
/// each time, so that all dependencies have the same features, and Burn is built once for each.
const BUILD: [&str; 3] = [
    "--workspace",
    "--exclude=xtask",
    "--features=msn-cli/mpi,msn-cli/pytorch",
];
const CHECK: [&str; 2] = [
    "--workspace",
    "--features=msn-cli/mpi,msn-cli/ndarray,msn-cli/pytorch,msn-data/fuzzing",
];

/// `cargo xtask test`.
pub fn test_command(quick: bool) -> Result<ExitCode> {
    let is_wanted = |part| part == Test || (part == SlowTest && !quick);
    let stages = STAGES.iter().filter(|stage| is_wanted(stage.2));
    Ok(stage::run(stages, &Suite::new()?))
}

/// `cargo xtask ci`: all stages, or those named in `wanted`, in their own order.
pub fn ci_command(wanted: &[String], list: bool) -> Result<ExitCode> {
    let names: Vec<_> = STAGES.iter().map(|stage| stage.0).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let names = names.join(", ");
        bail!("there is no stage {unknown}; the stages are {names}");
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let stages = STAGES.iter().filter(|stage| is_wanted(stage.0));
    if list {
        stages.for_each(|(name, about, ..)| println!("{name:12} {about}"));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(stage::run(stages, &Suite::new()?))
}

/// `cargo xtask check`.
pub fn check_command() -> Result<ExitCode> {
    let suite = Suite::new()?;
    invariants(&suite)?;
    deny(&suite)?;
    println!("the lints are checked by: cargo xtask ci --stage clippy");
    Ok(ExitCode::SUCCESS)
}

/// What the stages work on.
struct Suite {
    shell: Shell,
    metadata: Metadata,
}

impl Suite {
    fn new() -> Result<Self> {
        let (shell, metadata) = (cargo::shell()?, cargo::metadata(&cargo::root())?);
        Ok(Self { shell, metadata })
    }

    fn cargo(&self, arguments: &[&str]) -> Result<Counts> {
        run(cmd!(self.shell, "cargo {arguments...}"))
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<Counts> {
        let target = self.metadata.target_directory.as_std_path();
        run(tools::command(&self.shell, target, program)?.args(arguments))
    }

    fn test(&self, targets: &[&str]) -> Result<Counts> {
        cargo::test(cmd!(
            self.shell,
            "cargo test {BUILD...} --no-fail-fast {targets...}"
        ))
    }
}

fn run(command: Cmd<'_>) -> Result<Counts> {
    command.run()?;
    Ok(Counts::default())
}

fn setup(_: &Suite) -> Result<Counts> {
    setup::ensure(setup::TEST)?;
    Ok(Counts::default())
}

fn invariants(suite: &Suite) -> Result<Counts> {
    check::run(&suite.metadata)?;
    Ok(Counts::default())
}

/// Bans, licences and sources, by deny.toml.
fn deny(suite: &Suite) -> Result<Counts> {
    suite.tool("cargo-deny", &["check", "bans", "licenses", "sources"])
}

fn xtask(suite: &Suite) -> Result<Counts> {
    let shell = &suite.shell;
    cargo::test(cmd!(shell, "cargo test --profile xtask -p xtask --bins"))
}

/// Without a lock file, for which each package would ask the registry.
fn package(suite: &Suite) -> Result<Counts> {
    let options = ["--no-verify", "--allow-dirty", "--exclude-lockfile"];
    let package = cmd!(suite.shell, "cargo package --workspace {options...}");
    run(package.args(["--exclude=benches", "--exclude=xtask"]))
}

fn clippy(suite: &Suite) -> Result<Counts> {
    let clippy = cmd!(suite.shell, "cargo clippy {CHECK...} --all-targets");
    run(clippy.args(["--", "-D", "warnings"]))
}

/// With examples, since dependencies have the features then that clippy has built them with.
fn doc(suite: &Suite) -> Result<Counts> {
    let targets = ["--no-deps", "--lib", "--bins", "--examples"];
    let doc = cmd!(suite.shell, "cargo doc {CHECK...} {targets...}");
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn build(suite: &Suite) -> Result<Counts> {
    run(cmd!(suite.shell, "cargo test {BUILD...} --no-run"))
}

fn integration(suite: &Suite) -> Result<Counts> {
    let shell = &suite.shell;
    let mut test = cmd!(shell, "cargo test {BUILD...} --no-fail-fast --test *");
    match tools::tensorboard(shell, suite.metadata.target_directory.as_std_path()) {
        Ok(folder) => test = test.env("PYTHONPATH", folder),
        Err(error) => println!("skipped: event files are not read back: {error:#}"),
    }
    cargo::test(test)
}

fn examples(suite: &Suite) -> Result<Counts> {
    let shell = &suite.shell;
    // What an example writes lands here.
    let folder = shell.create_dir(suite.metadata.target_directory.join("xtask-examples"))?;
    let mut counts = Counts::default();
    let build = cmd!(shell, "cargo build --examples {BUILD...}");
    for (name, program) in cargo::programs(build, &TargetKind::Example)? {
        println!("---- example {name}");
        let _in_folder = shell.push_dir(&folder);
        match cmd!(shell, "{program}").quiet().run() {
            Ok(()) => counts.passed += 1,
            Err(error) => {
                println!("error: {error}");
                counts.failed += 1;
            }
        }
    }
    Ok(counts)
}

/// In the tests' profile, so that nothing is built again: the table shows that benches run, its
/// times mean nothing.
fn benches(suite: &Suite) -> Result<Counts> {
    let out = suite.metadata.target_directory.join("xtask-bench");
    let bench = cmd!(suite.shell, "cargo bench --profile dev {BUILD...}");
    let options = ["--bench", "msn", "--", "--short", "--out"];
    run(bench.args(options).arg(out))
}

/// Every crate without its default features: a library without FFmpeg and backends, those that
/// train apart, since they turn on burn's autodiff for all; programs on one device, and on each
/// that wants a feature. All other features are on for clippy.
fn features(suite: &Suite) -> Result<Counts> {
    let libraries = "--workspace --exclude benches --exclude msn-cli --exclude xtask";
    let programs = "-p msn-cli -p benches --features flex";
    for selection in [
        &format!("{libraries} --exclude msn-train --exclude msn-run"),
        "-p msn-train -p msn-run",
        programs,
        &format!("{programs},cuda"),
        &format!("{programs},wgpu"),
    ] {
        let selection = selection.split(' ');
        run(cmd!(suite.shell, "cargo check --no-default-features").args(selection))?;
    }
    Ok(Counts::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_unique_names_and_an_unknown_one_is_an_error() {
        let mut names: Vec<_> = STAGES.iter().map(|stage| stage.0).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STAGES.len());
        let error = ci_command(&["lint".to_owned()], true).unwrap_err();
        assert!(error.to_string().contains("clippy"), "{error}");
    }
}
