//! `cargo xtask check`: the invariants of the workspace that no compiler, lint or ban holds.
//!
//! The flow of dependencies comes from `cargo metadata`, names from there and from the files'
//! lines. Who may depend on Burn and FFmpeg is in deny.toml; `unsafe`, printing, exiting and
//! reading the environment are lints (Cargo.toml, clippy.toml).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use cargo_metadata::{Dependency, DependencyKind, Metadata, Package, TargetKind};
use xshell::{Shell, cmd};

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

/// Members that may depend on every library, and one that depends on no member.
const PROGRAMS: [&str; 2] = ["msn-cli", "benches"];
const XTASK: &str = "xtask";

/// The only member with `unsafe`, and the only library that may name a backend: `Autodiff`.
const KERNELS: &str = "msn-kernels";
const TRAINING: &str = "msn-train";

/// What no line may hold: what is wrong, a pattern that does not match itself, and the files.
/// What follows `mod tests {` in a file is not looked at where the pattern has it.
const LINES: [(&str, &str, &[&str]); 3] = [
    (
        "other machines do not have that",
        r"(^|[^[:alnum:]._~*})>/-])/(root|home|Users|work)/|C:\\Users\\|artifactor[y]|sparse[+]http|(index|static)[.]crates[.]io|replace[-]with|[[]registries|CARGO_REGISTRIES[_]",
        &["."],
    ),
    (
        "a name that says nothing",
        r"^[^/]*mod ([a-z0-9_]+_)?(common|helpers?|utils?)[ ;{]",
        &["*.rs"],
    ),
    (
        "a library's caller chooses backend and device",
        r"^ *mod tests \{|^[^/]*(burn::backend::|Device::default\(\))",
        &[
            "crates/*/src/*.rs",
            ":!crates/msn-cli/",
            ":!*/tests.rs",
            ":!*/tests/*",
        ],
    ),
];

/// Prints every violation; the error has their number.
pub fn run(metadata: &Metadata) -> Result<()> {
    let found = violations(metadata)?;
    found.iter().for_each(|violation| println!("{violation}"));
    if !found.is_empty() {
        bail!("{} violations of the workspace's invariants", found.len());
    }
    Ok(())
}

fn violations(metadata: &Metadata) -> Result<Vec<String>> {
    let root = metadata.workspace_root.as_std_path();
    let packages = metadata.workspace_packages();
    let mut found = Vec::new();
    if !fs::read_to_string(root.join("Cargo.toml"))?.contains("\nunsafe_code = \"forbid\"\n") {
        found.push("Cargo.toml: the workspace does not forbid unsafe_code".to_owned());
    }
    let rows = LIBRARIES.iter().map(|row| row.0).chain(PROGRAMS);
    for gone in rows.filter(|name| !packages.iter().any(|package| package.name == *name)) {
        found.push(format!("xtask/src/check.rs names {gone}, no member"));
    }
    for package in &packages {
        let manifest = fs::read_to_string(&package.manifest_path)?;
        if package.name != KERNELS && !manifest.contains("\n[lints]\nworkspace = true\n") {
            found.push(format!("{} has lints of its own", package.name));
        }
        names_and_files(package, &mut found);
        dependencies(package, &packages, &mut found);
        ffmpeg(package, &packages, &mut found);
    }
    lines(root, &mut found)?;
    Ok(found)
}

/// Names of a package's targets (those of modules are found among the lines), and what comes with
/// every library.
fn names_and_files(package: &Package, found: &mut Vec<String>) {
    let mut add = |what: &str| found.push(format!("{} {what}", package.name));
    for name in package.targets.iter().map(|target| &target.name) {
        let last = name.rsplit(['-', '_']).next().unwrap_or(name);
        if ["common", "helper", "helpers", "util", "utils"].contains(&last) {
            add(&format!("has the name {name}, which says nothing"));
        }
    }
    if LIBRARIES.iter().any(|row| package.name == row.0) {
        if !package.manifest_path.with_file_name("README.md").is_file() {
            add("has no README.md");
        }
        let mut kinds = package.targets.iter().flat_map(|target| &target.kind);
        if !kinds.any(|kind| *kind == TargetKind::Example) {
            add("has no example");
        }
    }
}

/// Data flows one way, and no library turns on a backend. Tests and examples may use what they
/// want.
fn dependencies(package: &Package, members: &[&Package], found: &mut Vec<String>) {
    let name = package.name.as_str();
    let mut add = |what: String| found.push(format!("{name} {what}"));
    let allowed = match LIBRARIES.iter().find(|row| row.0 == name) {
        Some((_, allowed)) => allowed,
        None if name == XTASK => "",
        None if PROGRAMS.contains(&name) => return,
        None => return add("has no place in xtask/src/check.rs".to_owned()),
    };
    // Features that run a crate's tests on a further backend begin with `test-`.
    let features = package.features.iter();
    let features = features.filter(|(feature, _)| !feature.starts_with("test-"));
    let values = features.flat_map(|(_, values)| values);
    let mut of_burn: Vec<&str> = values.filter_map(|v| v.strip_prefix("burn/")).collect();
    for dependency in built(package) {
        let other = dependency.name.as_str();
        let is_member = members.iter().any(|member| member.name == other);
        if is_member && !allowed.split(' ').any(|name| name == other) {
            add(format!("depends on {other}, against the flow of data"));
        }
        if other.starts_with("burn-") {
            add(format!("depends on {other}, and so on a backend"));
        }
        if other == "burn" {
            of_burn.extend(dependency.features.iter().map(String::as_str));
        }
    }
    for feature in of_burn {
        if feature != "std" && (feature, name) != ("autodiff", TRAINING) {
            add(format!("turns on burn's {feature}"));
        }
    }
}

/// FFmpeg is behind a feature, which turns on the same feature of all members below, so that a
/// crate compiles with it when it is built alone, too.
fn ffmpeg(package: &Package, members: &[&Package], found: &mut Vec<String>) {
    let mut add = |what: String| found.push(format!("{} {what}", package.name));
    let feature = package.features.get("ffmpeg");
    for dependency in built(package) {
        let other = &dependency.name;
        if other.starts_with("ffmpeg") && !dependency.optional {
            add(format!("depends on {other} without a feature"));
        }
        let member = members.iter().find(|member| *other == *member.name);
        let is_wanted = member.is_some_and(|member| member.features.contains_key("ffmpeg"));
        let wanted = format!("{other}/ffmpeg");
        if is_wanted && feature.is_some_and(|turned_on| !turned_on.contains(&wanted)) {
            add(format!("does not turn on {wanted} with its own"));
        }
    }
}

/// Dependencies but those of tests and examples.
fn built(package: &Package) -> impl Iterator<Item = &Dependency> {
    let all = package.dependencies.iter();
    all.filter(|dependency| dependency.kind != DependencyKind::Development)
}

/// Searches files that git knows or would add; outside a repository, too.
fn lines(root: &Path, found: &mut Vec<String>) -> Result<()> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    for (what, pattern, files) in LINES {
        let grep = cmd!(
            shell,
            "git grep --no-index --exclude-standard --no-color -nIE"
        );
        let grep = grep.args(["-e", pattern, "--"]).args(files).quiet();
        let output = grep.ignore_status().output()?;
        // 1: nothing is found.
        if !matches!(output.status.code(), Some(0 | 1)) {
            bail!("git grep: {}", String::from_utf8_lossy(&output.stderr));
        }
        let mut with_tests = "";
        for hit in String::from_utf8_lossy(&output.stdout).lines() {
            let file = hit.split(':').next().context("git grep names no file")?;
            if hit.ends_with("mod tests {") {
                with_tests = file;
            } else if with_tests != file {
                found.push(format!("{hit}: {what}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cargo;

    /// A file below `crates`, what is added to it (taken from it behind `-`; the file is gone
    /// where there is nothing), and the violation that is found then, if any.
    type Plant = (&'static str, &'static str, &'static str);

    #[rustfmt::skip]
    const MANIFESTS: [Plant; 22] = [
        ("../Cargo.toml", "[profile.dev]\nopt-level = 1", ""),
        ("msn-data/Cargo.toml", "ffmpeg = ['msn-video/ffmpeg']\n[dependencies]\nmsn-video = '1'", ""),
        ("msn-data/Cargo.toml", "ffmpeg = []\n[dependencies]\nmsn-video = '1'", "on msn-video/ffmpeg"),
        ("msn-video/Cargo.toml", "[dev-dependencies]\nmsn-data = '1'", ""),
        ("msn-video/Cargo.toml", "[dependencies]\nmsn-data = '1'", "msn-video depends on msn-data, against"),
        ("msn-train/Cargo.toml", "[dependencies]\nmsn-eval = '1'", "msn-train depends on msn-eval, against"),
        ("msn-eval/Cargo.toml", "[build-dependencies]\nxtask = '1'", "msn-eval depends on xtask, against"),
        ("xtask/Cargo.toml", "[dependencies]\nmsn-data = '1'", "xtask depends on msn-data, against"),
        ("msn-cli/Cargo.toml", "[dependencies]\nmsn-run = '1'\nburn-cuda = '1'", ""),
        ("msn-data/Cargo.toml", "[dependencies]\nburn-cuda = '1'", "msn-data depends on burn-cuda"),
        ("msn-video/Cargo.toml", "[dependencies]\nffmpeg-next = { version = '1', optional = true }", ""),
        ("msn-video/Cargo.toml", "[dependencies]\nffmpeg-next = '1'", "on ffmpeg-next without a feature"),
        ("msn-train/Cargo.toml", "[dependencies]\nburn = { version = '1', features = ['autodiff'] }", ""),
        ("msn-eval/Cargo.toml", "[dependencies]\nburn = { version = '1', features = ['autodiff'] }", "burn's autodiff"),
        ("msn-train/Cargo.toml", "[dependencies]\nburn = { version = '1', features = ['flex'] }", "burn's flex"),
        ("msn-model/Cargo.toml", "test-gpu = ['burn/cuda']\n[dependencies]\nburn = '1'", ""),
        ("msn-model/Cargo.toml", "gpu = ['burn/cuda']\n[dependencies]\nburn = '1'", "burn's cuda"),
        ("msn-other/Cargo.toml", "[package]\nname = 'msn-other'\n\n[lints]\nworkspace = true\n[lib]\npath = 'a.rs'", "msn-other has no place"),
        ("../Cargo.toml", "exclude = ['crates/msn-run']", "names msn-run, no member"),
        ("../Cargo.toml", "-unsafe_code = \"forbid\"\n", "does not forbid unsafe_code"),
        ("msn-run/Cargo.toml", "-workspace = true\n", "msn-run has lints of its own"),
        ("msn-kernels/Cargo.toml", "-workspace = true\n", ""),
    ];

    #[rustfmt::skip]
    const FILES: [Plant; 16] = [
        ("msn-run/examples/first.rs", "", "msn-run has no example"),
        ("msn-run/README.md", "", "msn-run has no README.md"),
        ("benches/examples/first.rs", "", ""),
        ("msn-run/tests/utils.rs", "//", "msn-run has the name utils, which"),
        ("msn-run/src/lib.rs", "pub(crate) mod utils {}", "lib.rs:1:pub(crate) mod utils {}: a name"),
        ("msn-run/src/lib.rs", "mod io;\nmod io_helpers;", "lib.rs:2:mod io_helpers;: a name"),
        ("msn-run/src/lib.rs", "mod common_path;\n// mod utils;", ""),
        ("msn-run/src/net.rs", "//! burn::backend::Flex\nuse burn::backend::Flex;", "net.rs:2:use burn"),
        ("msn-run/src/cpu/plan.rs", "let device = B::Device::default();", "caller chooses"),
        ("msn-run/src/net.rs", "mod tests {\nuse burn::backend::Flex;\n}", ""),
        ("msn-run/src/cpu/tests.rs", "use burn::backend::Flex;", ""),
        ("msn-run/tests/it/main.rs", "use burn::backend::Flex;", ""),
        ("msn-cli/src/device.rs", "use burn::backend::Flex;", ""),
        ("../docs/a.md", "see \"/HOME/me/x\"", "docs/a.md:1:"),
        ("../docs/a.md", "https://example.org/HOME/me ~/HOME/ $D/HOME/", ""),
        ("../docs/a.toml", "replace-WITH = 'x'", "docs/a.toml:1:"),
    ];

    /// What is found in a workspace where nothing else is wrong.
    fn found((file, text, _): &Plant) -> Vec<String> {
        let shell = Shell::new().unwrap();
        let folder = shell.create_temp_dir().unwrap();
        let write = |file: &str, text: &str| shell.write_file(file, text).unwrap();
        shell.change_dir(folder.path());
        let lints = "[workspace.lints.rust]\nunsafe_code = \"forbid\"\n";
        write(
            "Cargo.toml",
            &format!("{lints}[workspace]\nmembers = ['crates/*']\n"),
        );
        shell.change_dir("crates");
        let members = LIBRARIES.iter().map(|row| row.0).chain(PROGRAMS);
        for name in members.chain([XTASK]) {
            let package = format!("[package]\nname = '{name}'\nedition = '2024'\n");
            let mut package = package + "\n[lints]\nworkspace = true\n\n[features]\n";
            if name == "msn-video" {
                package += "ffmpeg = []\n";
            }
            write(&format!("{name}/Cargo.toml"), &package);
            write(&format!("{name}/src/lib.rs"), "");
            write(&format!("{name}/README.md"), "");
            write(&format!("{name}/examples/first.rs"), "");
        }
        if text.is_empty() {
            shell.remove_path(file).unwrap();
        } else {
            // Lines that this file must not hold either are written here in capitals.
            let text = text.replace("HOME", "home").replace("WITH", "with");
            let before = shell.read_file(file).unwrap_or_default();
            let after = match text.strip_prefix('-') {
                Some(taken) => before.replace(taken, ""),
                None => before + &text,
            };
            write(file, &after);
        }
        violations(&cargo::metadata(folder.path()).unwrap()).unwrap()
    }

    #[test]
    fn violations_are_found() {
        for plant in MANIFESTS.iter().chain(&FILES) {
            let expected = plant.2;
            let found = found(plant);
            match found.as_slice() {
                [] => assert_eq!("", expected, "{plant:?}"),
                [line] => assert!(!expected.is_empty() && line.contains(expected), "{found:?}"),
                _ => panic!("{plant:?}: {found:?}"),
            }
        }
    }
}
