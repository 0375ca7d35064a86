//! Invariants of the code: what each crate's Rust files may say.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::rules::{self, Role};
use super::tokens::{self, Found, What};
use super::{Invariant, Violation};
use crate::workspace::{Package, Workspace};

/// A Rust file of a package.
struct Source<'a> {
    package: &'a Package,
    /// From the workspace's root.
    file: PathBuf,
    /// From the package's folder.
    inside: PathBuf,
    found: Vec<Found>,
}

/// Checks all Rust files among `files`, which are paths from the workspace's root.
pub(super) fn check(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let mut sources = Vec::new();
    for file in files
        .iter()
        .filter(|f| f.extension().is_some_and(|e| e == "rs"))
    {
        let path = workspace.root.join(file);
        let Some(package) = owner(workspace, &path) else {
            continue;
        };
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let inside = super::relative(package.folder(), &path);
        match tokens::read(&text) {
            Ok(found) => sources.push(Source {
                package,
                file: file.clone(),
                inside,
                found,
            }),
            // The compiler says more about it; here it must not pass unread.
            Err((line, error)) => violations.push(Violation {
                file: file.clone(),
                line,
                invariant: Invariant::Unsafe,
                found: format!("cannot be read as Rust: {error}"),
            }),
        }
    }
    let for_tests: BTreeSet<PathBuf> = sources.iter().flat_map(test_modules).collect();
    for source in &sources {
        let is_test = source.file.ancestors().any(|part| for_tests.contains(part));
        violations.extend(of_file(source, is_test));
    }
    Ok(violations)
}

fn owner<'a>(workspace: &'a Workspace, path: &Path) -> Option<&'a Package> {
    let owners = workspace
        .members
        .iter()
        .filter(|p| path.starts_with(p.folder()));
    owners.max_by_key(|p| p.folder().components().count())
}

/// Files and folders that `#[cfg(test)] mod name;` of this file names.
fn test_modules(source: &Source<'_>) -> Vec<PathBuf> {
    let folder = match source.file.file_stem().and_then(|s| s.to_str()) {
        Some("lib" | "main" | "mod") | None => source.file.parent().map(Path::to_path_buf),
        Some(_) => Some(source.file.with_extension("")),
    };
    let folder = folder.unwrap_or_default();
    let modules = source
        .found
        .iter()
        .filter(|f| f.in_test)
        .filter_map(|f| match &f.what {
            What::Module {
                name,
                is_inline: false,
            } => Some(name),
            _ => None,
        });
    modules
        .flat_map(|name| [folder.join(format!("{name}.rs")), folder.join(name)])
        .collect()
}

fn of_file(source: &Source<'_>, is_test_module: bool) -> Vec<Violation> {
    let name = source.package.name.as_str();
    let may_be_unsafe = name == rules::UNSAFE_CRATE
        || (name == rules::FFI_CRATE && source.inside == Path::new(rules::FFI_FILE));
    // Tests, examples and build scripts are programs: they may print, and name backends.
    let is_library_code = rules::role(source.package) == Role::Library
        && source.inside.starts_with("src")
        && !is_test_module;
    let mut violations = Vec::new();
    for found in &source.found {
        let mut add = |invariant, text: String| {
            violations.push(Violation {
                file: source.file.clone(),
                line: found.line,
                invariant,
                found: text,
            });
        };
        match &found.what {
            What::Module { name, .. } if rules::EMPTY_NAMES.contains(&name.as_str()) => {
                add(Invariant::Names, format!("mod {name}"));
            }
            What::Path(path) if !may_be_unsafe && is_unsafe(path) => {
                add(Invariant::Unsafe, path.join("::"));
            }
            what if is_library_code && !found.in_test => {
                if let Some((invariant, text)) = forbidden_in_library(name, what) {
                    add(invariant, text);
                }
            }
            _ => {}
        }
    }
    violations
}

fn is_unsafe(path: &[String]) -> bool {
    matches!(path, [only] if only == "unsafe")
}

fn forbidden_in_library(library: &str, what: &What) -> Option<(Invariant, String)> {
    match what {
        What::Macro(name) => matches!(
            name.as_str(),
            "dbg" | "eprint" | "eprintln" | "print" | "println"
        )
        .then(|| (Invariant::Print, format!("{name}!"))),
        What::Path(path) => {
            let invariant = of_path(library, path)?;
            Some((
                invariant,
                path.iter()
                    .filter(|p| !p.is_empty())
                    .cloned()
                    .collect::<Vec<_>>()
                    .join("::"),
            ))
        }
        What::Module { .. } => None,
    }
}

fn of_path(library: &str, path: &[String]) -> Option<Invariant> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["std", "io", "stderr" | "stdout", ..] => Some(Invariant::Print),
        ["std", "process", "abort" | "exit", ..] => Some(Invariant::Exit),
        ["std", "env", item, ..] => matches!(
            *item,
            "*" | "args"
                | "args_os"
                | "home_dir"
                | "remove_var"
                | "set_var"
                | "var"
                | "var_os"
                | "vars"
                | "vars_os"
        )
        .then_some(Invariant::Environment),
        ["burn", "backend", item, ..] if is_foreign(library, item) => Some(Invariant::Backend),
        [first, ..]
            if first
                .strip_prefix("burn_")
                .is_some_and(|b| is_foreign(library, b)) =>
        {
            Some(Invariant::Backend)
        }
        [.., device, "default"] if device.ends_with("Device") => Some(Invariant::Device),
        path if path.iter().any(|name| is_device_of_backend(library, name)) => {
            Some(Invariant::Device)
        }
        _ => None,
    }
}

/// Whether `name` is a backend, or all of them, that this library may not name.
fn is_foreign(library: &str, name: &str) -> bool {
    let name = name
        .strip_suffix("Backend")
        .unwrap_or(name)
        .to_ascii_lowercase();
    let is_backend = name == "*" || rules::BACKENDS.contains(&name.as_str());
    is_backend && !rules::may_name_backends(library).contains(&name.as_str())
}

/// `CudaDevice`, `WgpuDevice`, ...
fn is_device_of_backend(library: &str, name: &str) -> bool {
    name.strip_suffix("Device")
        .is_some_and(|backend| !backend.is_empty() && is_foreign(library, backend))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_as(package: &str, inside: &str, source: &str) -> Vec<(usize, Invariant)> {
        let package = Package {
            name: package.to_owned(),
            manifest_path: PathBuf::from(format!("/w/crates/{package}/Cargo.toml")),
            ..Package::default()
        };
        let source = Source {
            package: &package,
            file: PathBuf::from("crates/x").join(inside),
            inside: PathBuf::from(inside),
            found: tokens::read(source).unwrap(),
        };
        let violations = of_file(&source, false).into_iter();
        violations.map(|v| (v.line, v.invariant)).collect()
    }

    fn in_library(source: &str) -> Vec<Invariant> {
        check_as("msn-data", "src/lib.rs", source)
            .into_iter()
            .map(|v| v.1)
            .collect()
    }

    #[test]
    fn planted_violations_are_found() {
        use Invariant::*;
        let planted: [(&str, Invariant); 18] = [
            ("fn f() { println!(\"x\"); }", Print),
            ("fn f() { std::eprintln!(\"x\"); }", Print),
            ("fn f() { g(dbg!(1)); }", Print),
            ("fn f() { let o = std::io::stdout(); }", Print),
            ("fn f() { std::process::exit(1) }", Exit),
            ("use std::process; fn f() { process::abort() }", Exit),
            ("fn f() { std::env::var(\"X\"); }", Environment),
            ("use std::env; fn f() { let a = env::args(); }", Environment),
            (
                "fn f<B: Backend>() { let d = B::Device::default(); }",
                Device,
            ),
            (
                "fn f<B: Backend>() { let d = <B as Backend>::Device::default(); }",
                Device,
            ),
            ("fn f(d: CudaDevice) {}", Device),
            ("type B = burn::backend::NdArray<f32>;", Backend),
            ("use burn::backend as b; type B = b::Cuda;", Backend),
            ("use burn::backend::*;", Backend),
            ("fn f() { burn_flex::go(); }", Backend),
            ("type B = burn::backend::Autodiff<X>;", Backend),
            ("fn f() { unsafe { g() } }", Unsafe),
            ("unsafe impl Send for X {}", Unsafe),
        ];
        for (source, invariant) in planted {
            assert_eq!(in_library(source), [invariant], "{source}");
        }
        assert!(in_library("mod utils {}").contains(&Names));
        assert!(in_library("use std::process::exit; fn f() { exit(1) }").contains(&Exit));
    }

    #[test]
    fn what_looks_alike_is_not_found() {
        let source = "
            /// println!(\"x\"); unsafe { std::env::var }
            fn f<B: Backend>(device: &B::Device, env: &Env) -> Config {
                // std::process::exit(1)
                let text = \"println!() unsafe std::env::var\";
                write!(out, \"{}\", env.var);
                let x = std::env::temp_dir();
                let v = burn::tensor::backend::Backend::sync(device);
                let v = env!(\"CARGO_PKG_VERSION\");
                Config::default()
            }
            #[cfg(test)]
            mod tests {
                type B = burn::backend::Flex;
                fn f() { println!(\"{:?}\", std::env::args()); let d = FlexDevice::default(); }
            }
        ";
        assert_eq!(in_library(source), []);
    }

    #[test]
    fn programs_and_tests_may_print_but_not_be_unsafe() {
        let source =
            "fn main() {\n println!(\"x\");\n type B = burn::backend::Flex;\n unsafe { x() } }";
        let unsafe_alone = [(4, Invariant::Unsafe)];
        assert_eq!(check_as("msn-cli", "src/main.rs", source), unsafe_alone);
        assert_eq!(check_as("msn-data", "examples/x.rs", source), unsafe_alone);
        assert_eq!(check_as("msn-data", "tests/it.rs", source), unsafe_alone);
        assert_eq!(check_as("msn-data", "build.rs", source), unsafe_alone);
    }

    #[test]
    fn each_crate_has_its_own_freedom() {
        let source = "fn f() { unsafe { x() } }";
        assert_eq!(check_as("msn-kernels", "src/lib.rs", source), []);
        assert_eq!(check_as("msn-video", "src/ffi.rs", source), []);
        assert_eq!(check_as("msn-video", "src/decode.rs", source).len(), 1);
        let source = "use burn::backend::{Autodiff, Flex};";
        assert_eq!(check_as("msn-kernels", "src/lib.rs", source), []);
        assert_eq!(
            check_as("msn-train", "src/lib.rs", source),
            [(1, Invariant::Backend)]
        );
        assert_eq!(
            check_as("msn-kernels", "src/lib.rs", "use burn::backend::Cuda;").len(),
            1
        );
    }

    #[test]
    fn modules_of_tests_in_other_files_are_known() {
        let package = Package {
            name: "msn-data".to_owned(),
            ..Package::default()
        };
        let source = |file: &str| Source {
            package: &package,
            file: PathBuf::from(file),
            inside: PathBuf::from("src/x.rs"),
            found: tokens::read("#[cfg(test)] mod cases; mod code;").unwrap(),
        };
        let paths = |items: [&str; 2]| items.map(PathBuf::from).to_vec();
        assert_eq!(
            test_modules(&source("c/src/lib.rs")),
            paths(["c/src/cases.rs", "c/src/cases"])
        );
        assert_eq!(
            test_modules(&source("c/src/a.rs")),
            paths(["c/src/a/cases.rs", "c/src/a/cases"])
        );
    }
}
