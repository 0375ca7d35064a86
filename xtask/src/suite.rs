//! The stages of `cargo xtask test` and `cargo xtask ci`, cheapest first.

use std::process::ExitCode;

use anyhow::{Result, bail};
use cargo_metadata::{Package, TargetKind};
use xshell::{Cmd, Shell, cmd};

use crate::stage::Part::{Ci, SlowTest, Test};
use crate::stage::{Counts, Part, Report, Stage};
use crate::workspace::{Workspace, is_library, is_published};
use crate::{cargo, check, setup, tools};

/// All stages. Tests run in the dev profile; crates with Burn are always built together, so that
/// its features are the same each time and it is built once.
#[rustfmt::skip]
const STAGES: &[Stage<Suite>] = &[
    stage("setup", "FFmpeg, libclang, pkg-config, MPI", Test, setup),
    stage("fmt", "cargo fmt --check", Ci, fmt),
    stage("typos", "spelling", Ci, |suite| suite.tool("typos", &[])),
    stage("invariants", "flow of dependencies, names", Test, invariants),
    stage("shear", "unused dependencies", Ci, |suite| suite.tool("cargo-shear", &[])),
    stage("deny", "bans, licences, sources", Ci, Suite::deny),
    stage("xtask", "tests of xtask itself", Test, xtask),
    stage("package", "cargo package", Ci, package),
    stage("plain", "tests of crates without Burn", Test, plain),
    stage("clippy", "cargo clippy -D warnings", Ci, clippy),
    stage("doc", "cargo doc -D warnings", Ci, doc),
    stage("burn", "unit tests of crates with Burn", Test, burn),
    stage("integration", "their integration tests, and those of msn", Test, integration),
    stage("doctests", "examples in documentation", SlowTest, doc_tests),
    stage("examples", "each library's examples run", SlowTest, examples),
    stage("bench", "a short run of every bench, with its assertions", Ci, benches),
    stage("features", "cargo check of every feature", SlowTest, features),
];

const fn stage(
    name: &'static str,
    about: &'static str,
    part: Part,
    work: fn(&Suite) -> Result<Counts>,
) -> Stage<Suite> {
    Stage {
        name,
        about,
        part,
        work,
    }
}

/// `cargo xtask test`.
pub fn test_command(quick: bool) -> Result<ExitCode> {
    let is_wanted = |part| part == Test || (part == SlowTest && !quick);
    let stages = STAGES.iter().filter(|stage| is_wanted(stage.part));
    Ok(Report::run(stages, &Suite::new()?).close())
}

/// `cargo xtask ci`: all stages, or those named in `wanted`, in their own order.
pub fn ci_command(wanted: &[String], list: bool) -> Result<ExitCode> {
    let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        let names = names.join(", ");
        bail!("there is no stage {unknown}; the stages are {names}");
    }
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    let stages = STAGES.iter().filter(|stage| is_wanted(stage.name));
    if list {
        stages.for_each(|stage| println!("{:12} {}", stage.name, stage.about));
        return Ok(ExitCode::SUCCESS);
    }
    Ok(Report::run(stages, &Suite::new()?).close())
}

/// What the stages work on.
pub struct Suite {
    shell: Shell,
    pub workspace: Workspace,
}

impl Suite {
    pub fn new() -> Result<Self> {
        let (shell, workspace) = (cargo::shell()?, Workspace::load()?);
        Ok(Self { shell, workspace })
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Result<Counts> {
        let tool = tools::command(&self.shell, self.workspace.target(), program)?;
        run(tool.args(arguments))
    }

    /// Bans, licences and sources, by deny.toml.
    pub fn deny(&self) -> Result<Counts> {
        self.tool("cargo-deny", &["check", "bans", "licenses", "sources"])
    }

    /// Options that choose the members with Burn, as tests build them; and those without.
    fn by_burn(&self) -> Result<[Vec<String>; 2]> {
        let (burn, plain) = self.workspace.by_burn(&self.shell)?;
        Ok([self.select(&burn), self.select(&plain)])
    }

    fn select(&self, packages: &[&Package]) -> Vec<String> {
        let names = packages.iter().flat_map(|p| ["-p", &p.name]);
        let names = names.map(str::to_owned);
        names
            .chain(self.workspace.test_features(packages))
            .collect()
    }

    fn all(&self) -> Vec<String> {
        let features = self.workspace.test_features(&self.workspace.members());
        ["--workspace".to_owned()]
            .into_iter()
            .chain(features)
            .collect()
    }
}

fn run(command: Cmd<'_>) -> Result<Counts> {
    command.run()?;
    Ok(Counts::default())
}

fn setup(_: &Suite) -> Result<Counts> {
    setup::ensure(&setup::TEST)?;
    Ok(Counts::default())
}

fn fmt(suite: &Suite) -> Result<Counts> {
    run(cmd!(suite.shell, "cargo fmt --all --check"))
}

fn invariants(suite: &Suite) -> Result<Counts> {
    check::run(&suite.workspace)?;
    Ok(Counts::default())
}

fn xtask(suite: &Suite) -> Result<Counts> {
    let shell = &suite.shell;
    cargo::test(cmd!(shell, "cargo test --profile xtask -p xtask --bins"))
}

fn package(suite: &Suite) -> Result<Counts> {
    let members = suite.workspace.members().into_iter();
    let private: Vec<_> = members.filter(|p| !is_published(p)).collect();
    let exclude = private.iter().flat_map(|p| ["--exclude", &p.name]);
    let package = cmd!(suite.shell, "cargo package --workspace --no-verify");
    run(package.arg("--allow-dirty").args(exclude))
}

fn plain(suite: &Suite) -> Result<Counts> {
    let [_, plain] = suite.by_burn()?;
    let test = cmd!(suite.shell, "cargo test --no-fail-fast {plain...}");
    cargo::test(test.args(["--lib", "--bins", "--tests"]))
}

fn clippy(suite: &Suite) -> Result<Counts> {
    let all = suite.all();
    let clippy = cmd!(suite.shell, "cargo clippy {all...} --all-targets");
    run(clippy.args(["--", "-D", "warnings"]))
}

fn doc(suite: &Suite) -> Result<Counts> {
    let all = suite.all();
    let doc = cmd!(suite.shell, "cargo doc {all...} --no-deps");
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

fn burn(suite: &Suite) -> Result<Counts> {
    let [burn, _] = suite.by_burn()?;
    let test = cmd!(suite.shell, "cargo test --no-fail-fast {burn...}");
    cargo::test(test.args(["--lib", "--bins"]))
}

fn integration(suite: &Suite) -> Result<Counts> {
    let [burn, _] = suite.by_burn()?;
    let shell = &suite.shell;
    let mut test = cmd!(shell, "cargo test --no-fail-fast {burn...} --test *");
    match tools::tensorboard(shell, suite.workspace.target()) {
        Ok(folder) => test = test.env("PYTHONPATH", folder),
        Err(error) => println!("skipped: event files are not read back: {error:#}"),
    }
    cargo::test(test)
}

fn doc_tests(suite: &Suite) -> Result<Counts> {
    let mut counts = Counts::default();
    for select in suite.by_burn()? {
        let test = cmd!(suite.shell, "cargo test --no-fail-fast {select...} --doc");
        counts += cargo::test(test)?;
    }
    Ok(counts)
}

fn examples(suite: &Suite) -> Result<Counts> {
    let shell = &suite.shell;
    // What an example writes lands here.
    let folder = shell.create_dir(suite.workspace.target().join("xtask-examples"))?;
    let mut counts = Counts::default();
    for select in suite.by_burn()? {
        let build = cmd!(shell, "cargo build --examples {select...}");
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
    }
    Ok(counts)
}

/// In the tests' profile, so that nothing is built again: the table shows that benches run, its
/// times mean nothing.
fn benches(suite: &Suite) -> Result<Counts> {
    let [burn, _] = suite.by_burn()?;
    let out = suite.workspace.target().join("xtask-bench");
    let bench = cmd!(suite.shell, "cargo bench --profile dev {burn...}");
    run(bench
        .args(["--bench", "msn", "--", "--short", "--out"])
        .arg(out))
}

/// A published library alone and with each of its features alone; a program on one device without
/// FFmpeg, and with each further feature. Features that begin with `test-` change no library.
fn features(suite: &Suite) -> Result<Counts> {
    let check = ["hack", "check", "--each-feature", "--exclude-all-features"];
    let all = suite.workspace.members().into_iter();
    let (libraries, programs): (Vec<_>, Vec<_>) = all
        .filter(|p| p.name != "xtask")
        .partition(|p| is_library(p) && is_published(p));
    let library = ["--exclude-features", "default,test-cuda,test-wgpu"];
    let program = ["--exclude-features", "default,ffmpeg", "--features", "flex"];
    for (packages, options) in [(libraries, &library[..]), (programs, &program)] {
        let names = packages.iter().flat_map(|p| ["-p", &p.name]);
        let arguments = check
            .into_iter()
            .chain(names)
            .chain(options.iter().copied());
        suite.tool("cargo-hack", &arguments.collect::<Vec<_>>())?;
    }
    Ok(Counts::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_have_unique_names_and_an_unknown_one_is_an_error() {
        let mut names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STAGES.len());
        let error = ci_command(&["lint".to_owned()], true).unwrap_err();
        assert!(error.to_string().contains("clippy"), "{error}");
    }
}
