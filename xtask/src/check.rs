//! `cargo xtask check`: the invariants of the workspace that no compiler, lint or ban holds.
//!
//! The flow of dependencies and the names are checked here, from `cargo metadata` and the files;
//! who may depend on Burn and FFmpeg is in deny.toml; `unsafe`, printing, exiting and reading the
//! environment are lints (Cargo.toml, clippy.toml).

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cargo_metadata::{Dependency, DependencyKind, Package, TargetKind};
use xshell::cmd;

use crate::cargo;
use crate::suite::Suite;
use crate::workspace::{Workspace, has_target};

/// Libraries, in the direction in which data flows, and the members that each may depend on.
#[rustfmt::skip]
const LIBRARIES: [(&str, &str); 11] = [
    ("msn-video", ""),
    ("msn-data", "msn-video"),
    ("msn-synth", "msn-video"),
    ("msn-kernels", ""),
    ("msn-memory", ""),
    ("msn-model", "msn-kernels msn-memory"),
    ("msn-train", "msn-data msn-kernels msn-memory msn-model"),
    ("msn-metrics", ""),
    ("msn-events", "msn-metrics"),
    ("msn-eval", "msn-data msn-events msn-metrics msn-model msn-video"),
    ("msn-run", "msn-data msn-eval msn-metrics msn-model msn-train msn-video"),
];

/// Programs that may depend on every library.
const PROGRAMS: [&str; 2] = ["msn-cli", "benches"];

/// The program that depends on no member.
const XTASK: &str = "xtask";

/// The only member with `unsafe`.
const KERNELS: &str = "msn-kernels";

/// Libraries that may name `Autodiff`; no library names another backend.
const AUTODIFF: [&str; 1] = ["msn-train"];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 5] = ["common", "helper", "helpers", "util", "utils"];

/// Parts of paths that exist on one machine alone, hosts that serve packages, and settings that
/// change where cargo takes them from; put together here, so that this file does not name them.
#[rustfmt::skip]
const OF_A_MACHINE: [&str; 12] = [
    concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"),
    concat!("C:", "\\Users\\"), concat!("index.crates", ".io"), concat!("static.crates", ".io"),
    concat!("artif", "actory"), concat!("sparse", "+http"), concat!("replace", "-with"),
    concat!("[regis", "tries"), concat!("CARGO_REGIS", "TRIES_"),
];

/// `cargo xtask check`.
pub fn command() -> Result<ExitCode> {
    let suite = Suite::new()?;
    run(&suite.workspace)?;
    suite.deny()?;
    println!("the lints are checked by: cargo xtask ci --stage clippy");
    Ok(ExitCode::SUCCESS)
}

/// Prints every violation; the error has their number.
pub fn run(workspace: &Workspace) -> Result<()> {
    let (root, members) = (workspace.root(), workspace.members());
    let mut found = table(&members);
    found.extend(lints("", &fs::read_to_string(root.join("Cargo.toml"))?));
    for package in &members {
        let manifest = fs::read_to_string(&package.manifest_path)?;
        found.extend(lints(&package.name, &manifest));
        found.extend(dependencies(package, &members));
        if LIBRARIES.iter().any(|(name, _)| package.name == *name) {
            found.extend(readme_and_example(package));
        }
    }
    let shell = cargo::shell()?;
    let options = [
        "--cached",
        "--others",
        "--exclude-standard",
        "--deduplicate",
    ];
    let list = cmd!(shell, "git ls-files {options...}").quiet().read();
    let list = list.unwrap_or_else(|_| {
        println!("skipped: the files' names and lines, outside a git repository");
        String::new()
    });
    for file in list.lines().map(Path::new) {
        found.extend(empty_name(file));
        // What is not text names nothing, and a file may be deleted without git knowing yet.
        if let Ok(text) = fs::read_to_string(root.join(file)) {
            found.extend(lines(file, &text));
        }
    }
    found.iter().for_each(|violation| println!("{violation}"));
    if !found.is_empty() {
        bail!("{} violations of the workspace's invariants", found.len());
    }
    Ok(())
}

/// Every member has its place in the tables above, and they name no others.
fn table(members: &[&Package]) -> Vec<String> {
    let libraries = LIBRARIES.iter().map(|(name, _)| *name);
    let named: Vec<&str> = libraries.chain(PROGRAMS).chain([XTASK]).collect();
    let strange = members.iter().filter(|m| !named.contains(&m.name.as_str()));
    let gone = named
        .iter()
        .filter(|&n| members.iter().all(|m| m.name != *n));
    strange
        .map(|m| format!("{} has no place in xtask/src/check.rs", m.name))
        .chain(gone.map(|n| format!("xtask/src/check.rs names {n}, which is no member")))
        .collect()
}

/// Data flows one way, and FFmpeg is behind a feature. Tests and examples may use what they want.
fn dependencies(package: &Package, members: &[&Package]) -> Vec<String> {
    let name = package.name.as_str();
    let is_built = |d: &&Dependency| d.kind != DependencyKind::Development;
    let allowed = match LIBRARIES.iter().find(|(library, _)| *library == name) {
        Some((_, allowed)) => allowed,
        None if PROGRAMS.contains(&name) => return Vec::new(),
        None => "",
    };
    let mut found = Vec::new();
    for dependency in package.dependencies.iter().filter(is_built) {
        let other = dependency.name.as_str();
        let is_member = members.iter().any(|m| m.name == other);
        if is_member && !allowed.split(' ').any(|name| name == other) {
            found.push(format!(
                "{name} depends on {other}, against the flow of data"
            ));
        }
        if other.starts_with("ffmpeg") && !dependency.optional {
            found.push(format!("{name}: {other} is not optional"));
        }
        if other.starts_with("burn-") {
            found.push(format!(
                "{name} depends on {other}: a library is generic over backends"
            ));
        }
        if other == "burn" {
            found.extend(backends(name, &dependency.features));
        }
    }
    // Features that run a crate's tests on a further backend begin with `test-`.
    let features = package
        .features
        .iter()
        .filter(|(f, _)| !f.starts_with("test-"));
    let values = features.flat_map(|(_, values)| values);
    let of_burn = values.filter_map(|value| value.strip_prefix("burn/"));
    found.extend(backends(name, of_burn));
    found
}

/// The features of Burn by which a library would name a backend.
fn backends(library: &str, features: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    let is_plain = |f: &str| f == "std" || (f == "autodiff" && AUTODIFF.contains(&library));
    let features = features.into_iter().filter(|f| !is_plain(f.as_ref()));
    features
        .map(|f| format!("{library} turns on burn's {}", f.as_ref()))
        .collect()
}

fn readme_and_example(package: &Package) -> Vec<String> {
    let has_readme = package.manifest_path.with_file_name("README.md").is_file();
    let has_example = has_target(package, &TargetKind::Example);
    let missing = [(has_readme, "README.md"), (has_example, "example")].into_iter();
    let missing = missing.filter(|(is_there, _)| !is_there);
    let found = missing.map(|(_, what)| format!("{} has no {what}", package.name));
    found.collect()
}

/// The workspace (without a name) forbids `unsafe`, and every member but one takes its lints.
fn lints(package: &str, manifest: &str) -> Option<String> {
    match package {
        "" => (!manifest.contains("\nunsafe_code = \"forbid\"\n"))
            .then(|| "Cargo.toml: the workspace does not forbid unsafe_code".to_owned()),
        KERNELS => None,
        _ => (!manifest.contains("\n[lints]\nworkspace = true\n"))
            .then(|| format!("{package} does not take the workspace's lints")),
    }
}

fn empty_name(file: &Path) -> Option<String> {
    let is_empty = |part: &OsStr| {
        let name = part.to_string_lossy();
        let stem = name.split('.').next().unwrap_or_default();
        let last = stem.rsplit(['-', '_']).next();
        last.is_some_and(|last| EMPTY_NAMES.contains(&last))
    };
    let is_code = file.extension().is_some_and(|e| e == "rs" || e == "toml");
    let is_empty = is_code && file.iter().any(is_empty);
    is_empty.then(|| format!("{} has a name that says nothing", file.display()))
}

/// What a file's lines must not hold.
fn lines(file: &Path, text: &str) -> Vec<String> {
    let is_library = is_library_code(file);
    let mut in_tests = false;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut add = |what: String| found.push(format!("{}:{number}: {what}", file.display()));
        if let Some(place) = of_a_machine(line) {
            add(format!("names {place}, which other machines do not have"));
        }
        let module = line.split_once("mod ").map(|(_, rest)| rest);
        let module = module.map(|rest| rest.trim_end_matches([' ', '{', '}', ';']));
        if let Some(name) = module.filter(|name| EMPTY_NAMES.contains(name)) {
            add(format!("mod {name} has a name that says nothing"));
        }
        in_tests |= line.trim() == "mod tests {";
        if is_library && !in_tests && !line.trim_start().starts_with("//") {
            for named in ["burn::backend::", "Device::default()"] {
                if line.contains(named) {
                    add(format!("a library names {named}, which its caller chooses"));
                }
            }
        }
    }
    found
}

/// Code of a library that is not built for tests alone.
fn is_library_code(file: &Path) -> bool {
    let is_test = |part: &OsStr| part == "tests" || part == "tests.rs";
    match *file.iter().filter_map(OsStr::to_str).collect::<Vec<_>>() {
        ["crates", name, "src", .., last] => {
            let is_library = LIBRARIES.iter().any(|(library, _)| *library == name);
            is_library && last.ends_with(".rs") && !file.iter().any(is_test)
        }
        _ => false,
    }
}

fn of_a_machine(line: &str) -> Option<&'static str> {
    let is_named = |part: &&str| {
        // Inside a longer path or an address it is something else.
        let is_start = |c: char| !(c.is_alphanumeric() || ".-_~*})>/".contains(c));
        let is_path = part.starts_with('/');
        line.match_indices(part)
            .any(|(at, _)| !is_path || line[..at].chars().next_back().is_none_or(is_start))
    };
    OF_A_MACHINE.into_iter().find(is_named)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// A member with its dependencies: `name`, `name/feature`, `dev:name`, `optional:name`.
    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependency = |word: &&str| {
            let (how, word) = word.split_once(':').unwrap_or(("", word));
            let (name, feature) = word.split_once('/').unwrap_or((word, ""));
            let features: Vec<&str> = Some(feature)
                .into_iter()
                .filter(|f| !f.is_empty())
                .collect();
            json!({
                "name": name, "kind": (how == "dev").then_some("dev"), "req": "*",
                "optional": how == "optional", "uses_default_features": false,
                "features": features,
            })
        };
        let dependencies: Vec<_> = dependencies.iter().map(dependency).collect();
        serde_json::from_value(json!({
            "name": name, "version": "0.1.0", "id": name, "features": {}, "targets": [],
            "manifest_path": format!("/w/crates/{name}/Cargo.toml"), "dependencies": dependencies,
        }))
        .unwrap()
    }

    /// What is found of the first package among packages with these names.
    fn found(name: &str, uses: &[&str]) -> Vec<String> {
        let all = ["msn-video", "msn-data", "msn-train", "msn-eval", "xtask"];
        let members: Vec<Package> = all.iter().map(|name| package(name, &[])).collect();
        dependencies(&package(name, uses), &members.iter().collect::<Vec<_>>())
    }

    #[test]
    fn data_flows_one_way() {
        assert_eq!(found("msn-data", &["serde", "msn-video"]), [""; 0]);
        assert_eq!(found("msn-video", &["dev:msn-data"]), [""; 0]);
        assert_eq!(found("msn-cli", &["msn-train", "msn-eval"]), [""; 0]);
        let against = "msn-video depends on msn-data, against the flow of data";
        assert_eq!(found("msn-video", &["msn-data"]), [against]);
        assert_eq!(found("msn-train", &["msn-eval"]).len(), 1);
        assert_eq!(found("msn-eval", &["xtask"]).len(), 1);
        assert_eq!(found("xtask", &["msn-data"]).len(), 1);
    }

    #[test]
    fn libraries_turn_on_no_backend() {
        assert_eq!(
            found("msn-train", &["burn/autodiff", "dev:burn/flex"]),
            [""; 0]
        );
        assert_eq!(found("msn-cli", &["burn/cuda"]), [""; 0]);
        let named = "msn-eval turns on burn's flex";
        assert_eq!(found("msn-eval", &["burn/flex"]), [named]);
        assert_eq!(found("msn-eval", &["burn/autodiff"]).len(), 1);
        assert_eq!(found("msn-data", &["burn-ndarray"]).len(), 1);
        let mut memory = package("msn-memory", &["burn"]);
        let cuda = |name: &str| (name.to_owned(), vec!["burn/cuda".to_owned()]);
        memory.features = [cuda("test-cuda")].into();
        assert_eq!(dependencies(&memory, &[]), [""; 0]);
        memory.features = [cuda("gpu")].into();
        assert_eq!(dependencies(&memory, &[]).len(), 1);
    }

    #[test]
    fn ffmpeg_is_optional() {
        assert_eq!(found("msn-video", &["optional:ffmpeg-next"]), [""; 0]);
        assert_eq!(found("msn-video", &["ffmpeg-next"]).len(), 1);
    }

    #[test]
    fn the_tables_and_the_members_agree() {
        let names = LIBRARIES.iter().map(|(name, _)| *name);
        let mut all: Vec<Package> = names
            .chain(["msn-cli", "benches", "xtask"])
            .map(|name| package(name, &[]))
            .collect();
        assert_eq!(table(&all.iter().collect::<Vec<_>>()), [""; 0]);
        all.push(package("msn-new", &[]));
        all.remove(0);
        let found = table(&all.iter().collect::<Vec<_>>());
        assert!(found[0].starts_with("msn-new has no place"), "{found:?}");
        assert!(found[1].contains("names msn-video, which"), "{found:?}");
    }

    #[test]
    fn the_workspaces_lints_are_taken() {
        assert_eq!(lints("", "[x]\nunsafe_code = \"forbid\"\n"), None);
        assert!(lints("", "[x]\nunsafe_code = \"warn\"\n").is_some());
        assert_eq!(
            lints("msn-a", "[package]\n\n[lints]\nworkspace = true\n"),
            None
        );
        assert!(lints("msn-a", "[lints.rust]\nunsafe_code = \"deny\"\n").is_some());
        assert_eq!(lints("msn-kernels", "[lints.rust]\n"), None);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        let is_empty = |file: &str| empty_name(Path::new(file)).is_some();
        assert!(is_empty("crates/a/src/utils.rs"));
        assert!(is_empty("crates/a/tests/common/mod.rs"));
        assert!(is_empty("crates/msn-helpers/Cargo.toml"));
        assert!(!is_empty("crates/a/src/common_path.rs"));
        assert!(!is_empty("docs/common.md"));
        let source = "mod a;\npub(crate) mod utils {}\n";
        assert_eq!(lines(Path::new("x/src/lib.rs"), source).len(), 1);
    }

    #[test]
    fn libraries_name_no_backend_and_pick_no_device() {
        let source = "//! burn::backend::Flex\nuse burn::backend::Flex;\n\
            let d = B::Device::default();\nmod tests {\nuse burn::backend::Flex;\n}";
        let count = |file: &str| lines(Path::new(file), source).len();
        assert_eq!(count("crates/msn-model/src/net.rs"), 2);
        assert_eq!(count("crates/msn-model/src/cpu/plan.rs"), 2);
        assert_eq!(count("crates/msn-model/src/cpu/tests.rs"), 0);
        assert_eq!(count("crates/msn-model/tests/it/main.rs"), 0);
        assert_eq!(count("crates/msn-cli/src/device.rs"), 0);
    }

    #[test]
    fn traces_of_a_machine_are_found() {
        let found = |line: &str| lines(Path::new("docs/x.md"), line).len();
        for part in OF_A_MACHINE {
            assert_eq!(found(&format!("see {part}x")), 1, "{part}");
            assert_eq!(found(&format!("\"{part}x\"")), 1, "{part}");
        }
        for part in &OF_A_MACHINE[..4] {
            assert_eq!(found(&format!("https://example.org{part}x ~{part}")), 0);
        }
    }
}
