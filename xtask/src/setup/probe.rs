//! Looks at the machine that this program runs on.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Machine, System};

/// The machine that this program runs on.
pub(super) struct ThisMachine;

impl Machine for ThisMachine {
    fn has_pkg_config(&self) -> bool {
        output(pkg_config(), &["--version"]).is_some()
    }

    fn has_library(&self, name: &str) -> bool {
        version(name).is_some()
    }

    fn has_libclang(&self) -> bool {
        libclang().is_some()
    }
}

/// One line for each thing that a build needs: what was found, and where.
pub(super) fn found(libraries: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = libraries
        .iter()
        .map(|name| {
            format!(
                "{name} {}",
                version(name).unwrap_or_else(|| "not found".to_owned())
            )
        })
        .collect();
    lines.push(match libclang() {
        Some(path) => format!("libclang {}", path.display()),
        None => "libclang not found".to_owned(),
    });
    lines
}

pub(super) fn system() -> System {
    if cfg!(target_os = "macos") {
        return System::MacOs;
    }
    let text = fs::read_to_string("/etc/os-release")
        .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
        .unwrap_or_default();
    super::family(&text)
}

pub(super) fn is_root() -> bool {
    output("id", &["-u"]).is_some_and(|id| id.trim() == "0")
}

fn pkg_config() -> String {
    env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".to_owned())
}

fn version(library: &str) -> Option<String> {
    output(pkg_config(), &["--modversion", library]).map(|v| v.trim().to_owned())
}

fn output(program: impl AsRef<OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// libclang where bindgen would look for it: `LIBCLANG_PATH` alone where it is set, else
/// llvm-config's folder, the loader's cache and the usual folders.
fn libclang() -> Option<PathBuf> {
    if let Some(path) = env::var_os("LIBCLANG_PATH").map(PathBuf::from) {
        let is_file = path.is_file() && path.file_name().is_some_and(is_libclang);
        return if is_file {
            Some(path)
        } else {
            in_folder(&path)
        };
    }
    let llvm_config = env::var("LLVM_CONFIG_PATH").unwrap_or_else(|_| "llvm-config".to_owned());
    let from_llvm_config = || {
        let folder = output(llvm_config, &["--libdir"])?;
        in_folder(Path::new(folder.trim()))
    };
    from_llvm_config()
        .or_else(from_loader_cache)
        .or_else(from_usual_folders)
}

fn from_loader_cache() -> Option<PathBuf> {
    let cache = output("ldconfig", &["-p"]).or_else(|| output("/sbin/ldconfig", &["-p"]))?;
    cache
        .lines()
        .filter_map(|line| line.split_once("=> "))
        .map(|(_, path)| PathBuf::from(path.trim()))
        .find(|path| path.file_name().is_some_and(is_libclang))
}

fn from_usual_folders() -> Option<PathBuf> {
    let fixed = [
        "/Library/Developer/CommandLineTools/usr/lib",
        "/Applications/Xcode.app/Contents/Developer/Toolchains/XcodeDefault.xctoolchain/usr/lib",
        "/usr/local/opt/llvm/lib",
        "/opt/homebrew/opt/llvm/lib",
        "/usr/local/lib",
        "/usr/lib",
        "/usr/lib64",
    ];
    let listed = env::var_os("LD_LIBRARY_PATH")
        .into_iter()
        .flat_map(|value| env::split_paths(&value).collect::<Vec<_>>());
    // /usr/lib/llvm-14/lib, /usr/lib64/llvm18/lib, /usr/lib/x86_64-linux-gnu
    let nested = ["/usr/lib", "/usr/lib64", "/usr/local"]
        .into_iter()
        .flat_map(|base| folders(Path::new(base)).flat_map(|folder| [folder.join("lib"), folder]));
    listed
        .chain(fixed.map(PathBuf::from))
        .chain(nested)
        .find_map(|folder| in_folder(&folder))
}

fn folders(base: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
}

fn in_folder(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    entries
        .filter_map(Result::ok)
        .find(|e| is_libclang(&e.file_name()))
        .map(|e| e.path())
}

/// `libclang.so`, `libclang-14.so.1`, `libclang.dylib`, `libclang.dll`; not `libclang-cpp`.
fn is_libclang(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let library = name.ends_with(".so")
        || name.contains(".so.")
        || name.ends_with(".dylib")
        || name.ends_with(".dll");
    let stem = name.strip_prefix("libclang");
    library
        && stem.is_some_and(|rest| {
            rest.starts_with('.') || (rest.starts_with('-') && !rest.starts_with("-cpp"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        for name in [
            "libclang.so",
            "libclang.so.1",
            "libclang-14.so.14.0.6",
            "libclang.dylib",
        ] {
            assert!(is_libclang(OsStr::new(name)), "{name}");
        }
        for name in [
            "libclang-cpp.so.14",
            "libclangAST.a",
            "libclang.a",
            "libclangd.so",
            "clang",
        ] {
            assert!(!is_libclang(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn a_folder_is_searched() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(in_folder(folder.path()), None);
        let library = folder.path().join("libclang-17.so.1");
        fs::write(&library, "").unwrap();
        assert_eq!(in_folder(folder.path()), Some(library));
    }
}
