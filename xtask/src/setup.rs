//! What a build needs beyond Rust, and its installation where that is possible.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Result, bail};
use xshell::cmd;

use crate::{cargo, step};

/// Something that a build needs: its name, whether this machine has it, and its packages on each
/// of [`SYSTEMS`].
type Need = (&'static str, fn() -> bool, [&'static str; 4]);

/// For a build of all tests. libclang is for the bindings to FFmpeg and MPI, which bindgen makes.
#[rustfmt::skip]
pub const TEST: &[Need] = &[
    ("pkg-config", || pkg_config(&["--version"]),
        ["pkg-config", "pkgconf-pkg-config", "pkgconf", "pkgconf"]),
    ("FFmpeg", || FFMPEG.iter().all(|library| pkg_config(&["--exists", library])), [
        "libavcodec-dev libavfilter-dev libavformat-dev libavutil-dev libswresample-dev libswscale-dev",
        "ffmpeg-free-devel", "ffmpeg", "ffmpeg",
    ]),
    ("libclang", has_libclang, ["libclang-dev", "clang-devel", "clang", "llvm"]),
    ("MPI", || ["mpicc", "mpirun"].iter().all(|program| output(program, &["--version"]).is_some()),
        ["libopenmpi-dev openmpi-bin", "openmpi-devel", "openmpi", "open-mpi"]),
];

/// For a build of `msn`.
pub const BUILD: &[Need] = TEST.split_at(3).0;

/// FFmpeg's libraries that msn-video links, as pkg-config names them.
const FFMPEG: [&str; 6] = [
    "libavcodec",
    "libavfilter",
    "libavformat",
    "libavutil",
    "libswresample",
    "libswscale",
];

/// Families of systems with one package manager: words of `ID` or `ID_LIKE` in os-release, and
/// the command that installs.
const SYSTEMS: [(&[&str], &str); 4] = [
    (
        &["debian", "ubuntu"],
        "sudo apt-get update && sudo apt-get install -y",
    ),
    (&["fedora", "rhel", "centos"], "sudo dnf install -y"),
    (&["arch"], "sudo pacman -S --needed"),
    (&["macos"], "brew install"),
];

/// `cargo xtask setup`.
pub fn command() -> Result<ExitCode> {
    ensure(TEST)?;
    TEST.iter().for_each(|need| println!("{} found", need.0));
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that everything is there: installs it on Debian and its like as root, elsewhere the
/// error has the command that does.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing =
        |needs: &[Need]| -> Vec<Need> { needs.iter().filter(|need| !need.1()).copied().collect() };
    let needs = missing(needs);
    if needs.is_empty() {
        return Ok(());
    }
    let os = match cfg!(target_os = "macos") {
        true => "ID=macos".to_owned(),
        false => fs::read_to_string("/etc/os-release").unwrap_or_default(),
    };
    let system = system(&os);
    let is_root = output("id", &["-u"]).is_some_and(|id| id.trim() == "0");
    if !(is_root && system == Some(0)) {
        bail!(advice(&needs, system));
    }
    let shell = cargo::shell()?;
    let packages = packages(&needs, 0);
    step(&format!("apt-get install {packages}"));
    cmd!(shell, "apt-get update").quiet().run()?;
    cmd!(shell, "apt-get install -y --no-install-recommends")
        .args(["-o", "DPkg::Lock::Timeout=120"])
        .args(packages.split(' '))
        .env("DEBIAN_FRONTEND", "noninteractive")
        .quiet()
        .run()?;
    let left = missing(&needs);
    if !left.is_empty() {
        bail!("still missing after the installation: {}", names(&left));
    }
    Ok(())
}

fn advice(needs: &[Need], system: Option<usize>) -> String {
    let names = names(needs);
    let way_out = match system {
        Some(system) => format!("{} {}", SYSTEMS[system].1, packages(needs, system)),
        None => format!("your system's development packages of {names}"),
    };
    format!(
        "this build needs {names}, not found here; install\n    {way_out}\nand run the command \
         again (builds of msn with --no-default-features need none of it)"
    )
}

fn packages(needs: &[Need], system: usize) -> String {
    let packages: Vec<_> = needs.iter().map(|need| need.2[system]).collect();
    packages.join(" ")
}

fn names(needs: &[Need]) -> String {
    let names: Vec<_> = needs.iter().map(|need| need.0).collect();
    names.join(", ")
}

/// The place in [`SYSTEMS`] of what an os-release describes.
fn system(os_release: &str) -> Option<usize> {
    let values = os_release.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        matches!(key, "ID" | "ID_LIKE").then(|| value.trim_matches(['"', '\'']))
    });
    values
        .flat_map(str::split_whitespace)
        .find_map(|word| SYSTEMS.iter().position(|(ids, _)| ids.contains(&word)))
}

/// What a program prints; `None` where it fails or is not there.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

fn pkg_config(arguments: &[&str]) -> bool {
    let program = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned());
    output(&program, arguments).is_some()
}

/// Whether libclang is where bindgen looks for it: `LIBCLANG_PATH`, the loader's cache, and on
/// macOS Xcode's folder.
fn has_libclang() -> bool {
    let cache = output("ldconfig", &["-p"]).or_else(|| output("/sbin/ldconfig", &["-p"]));
    let xcode = "/Library/Developer/CommandLineTools/usr/lib/libclang.dylib";
    env::var_os("LIBCLANG_PATH").is_some()
        || cache.is_some_and(|cache| cache.split_whitespace().any(is_libclang))
        || Path::new(xcode).exists()
}

/// `libclang.so.1`, `libclang-14.so.14`; not `libclang-cpp.so.14`, `libclangd.so`.
fn is_libclang(file: &str) -> bool {
    let version = file.strip_prefix("libclang").unwrap_or_default();
    version.contains(".so") && version.starts_with(['.', '-']) && !version.starts_with("-cpp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_the_exact_command_is_given() {
        let on = |id: &str, needs: &[Need]| advice(needs, system(id));
        let text = on("ID=debian", TEST);
        let expected = "needs pkg-config, FFmpeg, libclang, MPI, not found here; install\n    \
            sudo apt-get update && sudo apt-get install -y pkg-config libavcodec-dev libavfilter-dev";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("libopenmpi-dev openmpi-bin\nand"), "{text}");
        let text = on("ID=arch", BUILD);
        assert!(text.contains("--needed pkgconf ffmpeg clang\n"), "{text}");
        let text = on("ID=macos", &TEST[2..3]);
        assert!(text.contains("brew install llvm\n"), "{text}");
        let text = on("ID=nixos", &TEST[3..]);
        assert!(
            text.contains("your system's development packages of MPI"),
            "{text}"
        );
    }

    #[test]
    fn families_are_told_apart() {
        let first_id = |text: &str| system(text).map(|at| SYSTEMS[at].0[0]);
        assert_eq!(first_id("NAME=x\nID=debian\n"), Some("debian"));
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        assert_eq!(first_id(mint), Some("debian"));
        assert_eq!(first_id("ID_LIKE='rhel centos fedora'"), Some("fedora"));
        assert_eq!(first_id("ID=manjaro\nID_LIKE=arch\n"), Some("arch"));
        assert_eq!(first_id("ID=nixos\n"), None);
    }

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        assert!(
            ["libclang.so.1", "libclang-14.so.14.0.6"]
                .into_iter()
                .all(is_libclang)
        );
        let others = [
            "libclang-cpp.so.14",
            "libclangAST.so",
            "libclangd.so",
            "clang",
        ];
        assert!(!others.into_iter().any(is_libclang));
    }
}
