//! What each crate may do.

use crate::workspace::Package;

/// What a package is for, which decides what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Used by others: prints nothing, picks nothing.
    Library,
    /// The binary `msn`.
    Program,
    Bench,
    Xtask,
}

pub(super) fn role(package: &Package) -> Role {
    match package.name.as_str() {
        "xtask" => Role::Xtask,
        "msn-cli" => Role::Program,
        _ if package
            .folder()
            .file_name()
            .is_some_and(|folder| folder == "benches") =>
        {
            Role::Bench
        }
        _ => Role::Library,
    }
}

/// The crates of the workspace that a library may depend on; `None` for an unknown library.
pub(super) fn may_depend_on(library: &str) -> Option<&'static [&'static str]> {
    Some(match library {
        "msn-video" | "msn-kernels" | "msn-metrics" | "msn-events" => &[],
        "msn-data" => &["msn-video"],
        "msn-memory" => &["msn-kernels"],
        "msn-model" => &["msn-kernels", "msn-memory"],
        "msn-train" => &[
            "msn-data",
            "msn-kernels",
            "msn-memory",
            "msn-model",
            "msn-video",
        ],
        "msn-eval" => &[
            "msn-data",
            "msn-events",
            "msn-kernels",
            "msn-memory",
            "msn-metrics",
            "msn-model",
            "msn-video",
        ],
        "msn-watch" => &[
            "msn-data",
            "msn-eval",
            "msn-events",
            "msn-kernels",
            "msn-memory",
            "msn-metrics",
            "msn-model",
            "msn-video",
        ],
        _ => return None,
    })
}

/// The only crate that may depend on FFmpeg.
pub(super) const FFMPEG: &str = "msn-video";

/// Crates that build without Burn.
pub(super) const WITHOUT_BURN: [&str; 4] = ["msn-data", "msn-events", "msn-metrics", "msn-video"];

/// The crate that knows no video, nor anything that does.
pub(super) const WITHOUT_VIDEO: &str = "msn-memory";

/// The crate whose every file may contain `unsafe`.
pub(super) const UNSAFE_CRATE: &str = "msn-kernels";

/// The crate with one file of FFI, and that file.
pub(super) const FFI_CRATE: &str = "msn-video";
pub(super) const FFI_FILE: &str = "src/ffi.rs";

/// Backends that a library extends and so may name, in lower case.
pub(super) fn may_name_backends(library: &str) -> &'static [&'static str] {
    match library {
        "msn-kernels" => &["flex", "autodiff"],
        "msn-train" => &["autodiff"],
        _ => &[],
    }
}

/// Burn's backends and wrappers of backends, in lower case: modules and types of
/// `burn::backend`, crates `burn_*` and features of `burn`.
pub(super) const BACKENDS: [&str; 18] = [
    "autodiff", "candle", "cpu", "cubecl", "cuda", "dispatch", "flex", "fusion", "libtorch",
    "metal", "ndarray", "remote", "rocm", "router", "tch", "vulkan", "webgpu", "wgpu",
];

/// Names that say nothing.
pub(super) const EMPTY_NAMES: [&str; 5] = ["common", "helper", "helpers", "util", "utils"];
