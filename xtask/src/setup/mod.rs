//! What a build needs beyond Rust: FFmpeg's development files, libclang for its bindings, and
//! pkg-config to find them.
//!
//! The decisions are pure functions over a [`Machine`]; [`probe`] looks at the real one.

mod probe;

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{cargo, step};

/// FFmpeg's libraries, as pkg-config names them.
const FFMPEG: [&str; 7] = [
    "libavcodec",
    "libavdevice",
    "libavfilter",
    "libavformat",
    "libavutil",
    "libswresample",
    "libswscale",
];

/// Something that a build needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    PkgConfig,
    Library(&'static str),
    Libclang,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::PkgConfig => "pkg-config",
            Self::Library(name) => name,
            Self::Libclang => "libclang",
        }
    }
}

/// A machine as far as set-up looks at it.
trait Machine {
    fn has_pkg_config(&self) -> bool;
    fn has_library(&self, name: &str) -> bool;
    fn has_libclang(&self) -> bool;
}

/// A family of systems with one package manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Debian,
    Fedora,
    Arch,
    MacOs,
    Other,
}

/// What to do about what is missing.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Ready,
    /// Commands to run, each a program with its arguments.
    Install(Vec<Vec<String>>),
    /// What to tell the user.
    Tell(String),
}

/// `cargo xtask setup`.
pub fn command() -> Result<ExitCode> {
    ensure()?;
    for line in probe::found(&FFMPEG) {
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that everything is there, installing it where that is possible.
pub fn ensure() -> Result<()> {
    let needs = missing(&probe::ThisMachine);
    match plan(&needs, probe::system(), probe::is_root()) {
        Plan::Ready => Ok(()),
        Plan::Tell(text) => bail!("{text}"),
        Plan::Install(commands) => {
            for words in commands {
                step(&words.join(" "));
                if let [program, arguments @ ..] = words.as_slice() {
                    let mut command = Command::new(program);
                    cargo::run(
                        command
                            .args(arguments)
                            .env("DEBIAN_FRONTEND", "noninteractive"),
                    )?;
                }
            }
            let left = missing(&probe::ThisMachine);
            if !left.is_empty() {
                bail!("still missing after the installation: {}", names(&left));
            }
            Ok(())
        }
    }
}

fn missing(machine: &dyn Machine) -> Vec<Need> {
    let mut needs = Vec::new();
    let pkg_config = machine.has_pkg_config();
    if !pkg_config {
        needs.push(Need::PkgConfig);
    }
    // Without pkg-config nobody knows, and a build would not find them.
    let libraries = FFMPEG
        .into_iter()
        .filter(|name| !pkg_config || !machine.has_library(name));
    needs.extend(libraries.map(Need::Library));
    if !machine.has_libclang() {
        needs.push(Need::Libclang);
    }
    needs
}

fn plan(needs: &[Need], system: System, root: bool) -> Plan {
    if needs.is_empty() {
        return Plan::Ready;
    }
    let packages = packages(needs, system);
    if system == System::Debian && root {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut install =
            words("apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120");
        install.extend(packages.iter().map(|p| (*p).to_owned()));
        return Plan::Install(vec![words("apt-get update"), install]);
    }
    let packages = packages.join(" ");
    let way_out = match system {
        System::Debian => format!("    sudo apt-get update && sudo apt-get install -y {packages}"),
        System::Fedora => format!("    sudo dnf install -y {packages}"),
        System::Arch => format!("    sudo pacman -S --needed {packages}"),
        System::MacOs => format!(
            "    brew install {packages}\n    export LIBCLANG_PATH=\"$(brew --prefix llvm)/lib\""
        ),
        System::Other => {
            "    your system's development packages of FFmpeg, LLVM's libclang and pkg-config"
                .to_owned()
        }
    };
    Plan::Tell(format!(
        "a build needs {}, not found here; install\n{way_out}\nand run the command again \
         (builds with --no-default-features need none of it)",
        names(needs)
    ))
}

/// Packages that bring what is needed, without repetition.
fn packages(needs: &[Need], system: System) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for need in needs {
        let package = match (system, need) {
            (System::Debian, Need::Library(name)) => debian_library(name),
            (System::Debian | System::Other, Need::PkgConfig) => "pkg-config",
            (System::Debian | System::Other, Need::Libclang) => "libclang-dev",
            (System::Fedora, Need::Library(_)) => "ffmpeg-free-devel",
            (System::Fedora, Need::PkgConfig) => "pkgconf-pkg-config",
            (System::Fedora, Need::Libclang) => "clang-devel",
            (System::Arch | System::MacOs, Need::PkgConfig) => "pkgconf",
            (System::Arch, Need::Libclang) => "clang",
            (System::MacOs, Need::Libclang) => "llvm",
            (System::Arch | System::MacOs | System::Other, Need::Library(_)) => "ffmpeg",
        };
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn debian_library(name: &str) -> &'static str {
    match name {
        "libavcodec" => "libavcodec-dev",
        "libavdevice" => "libavdevice-dev",
        "libavfilter" => "libavfilter-dev",
        "libavformat" => "libavformat-dev",
        "libswresample" => "libswresample-dev",
        "libswscale" => "libswscale-dev",
        _ => "libavutil-dev",
    }
}

fn names(needs: &[Need]) -> String {
    needs
        .iter()
        .map(|n| n.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The family from the text of `os-release`.
fn family(os_release: &str) -> System {
    let values = os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .map(|(_, value)| value.trim_matches(['"', '\'']));
    for word in values.flat_map(str::split_whitespace) {
        match word {
            "debian" | "ubuntu" => return System::Debian,
            "fedora" | "rhel" | "centos" => return System::Fedora,
            "arch" => return System::Arch,
            _ => {}
        }
    }
    System::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake {
        pkg_config: bool,
        libraries: Vec<&'static str>,
        libclang: bool,
    }

    impl Machine for Fake {
        fn has_pkg_config(&self) -> bool {
            self.pkg_config
        }
        fn has_library(&self, name: &str) -> bool {
            self.libraries.contains(&name)
        }
        fn has_libclang(&self) -> bool {
            self.libclang
        }
    }

    fn full() -> Fake {
        Fake {
            pkg_config: true,
            libraries: FFMPEG.to_vec(),
            libclang: true,
        }
    }

    #[test]
    fn a_full_machine_needs_nothing() {
        assert_eq!(missing(&full()), []);
        assert_eq!(plan(&[], System::Other, false), Plan::Ready);
    }

    #[test]
    fn each_gap_is_seen() {
        let machine = Fake {
            libraries: FFMPEG[1..].to_vec(),
            libclang: false,
            ..full()
        };
        assert_eq!(
            missing(&machine),
            [Need::Library("libavcodec"), Need::Libclang]
        );
    }

    #[test]
    fn without_pkg_config_no_library_counts_as_found() {
        let needs = missing(&Fake {
            pkg_config: false,
            ..full()
        });
        assert_eq!(needs.len(), 1 + FFMPEG.len());
        assert_eq!(needs[0], Need::PkgConfig);
    }

    #[test]
    fn root_on_debian_installs_what_is_missing_and_no_more() {
        let needs = [Need::Library("libswscale"), Need::Libclang];
        let Plan::Install(commands) = plan(&needs, System::Debian, true) else {
            panic!("nothing is installed");
        };
        assert_eq!(commands[0], ["apt-get", "update"]);
        assert_eq!(commands[1][..3], ["apt-get", "install", "-y"]);
        assert!(commands[1].ends_with(&["libswscale-dev".to_owned(), "libclang-dev".to_owned()]));
    }

    #[test]
    fn elsewhere_the_exact_command_is_told() {
        let needs = missing(&Fake {
            pkg_config: false,
            libraries: Vec::new(),
            libclang: false,
        });
        let told = |system, root| match plan(&needs, system, root) {
            Plan::Tell(text) => text,
            other => panic!("{other:?}"),
        };
        assert!(told(System::Debian, false).contains(
            "sudo apt-get update && sudo apt-get install -y pkg-config libavcodec-dev libavdevice-dev"
        ));
        assert!(
            told(System::Fedora, true)
                .contains("sudo dnf install -y pkgconf-pkg-config ffmpeg-free-devel clang-devel\n")
        );
        assert!(
            told(System::Arch, true).contains("sudo pacman -S --needed pkgconf ffmpeg clang\n")
        );
        assert!(told(System::MacOs, false).contains("brew install pkgconf ffmpeg llvm\n"));
        assert!(told(System::Other, true).contains("libavcodec"));
    }

    #[test]
    fn families_are_told_apart() {
        assert_eq!(family("NAME=x\nID=debian\n"), System::Debian);
        assert_eq!(
            family("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            System::Debian
        );
        assert_eq!(
            family("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            System::Fedora
        );
        assert_eq!(family("ID=manjaro\nID_LIKE=arch\n"), System::Arch);
        assert_eq!(family("ID=nixos\n"), System::Other);
        assert_eq!(family(""), System::Other);
    }
}
