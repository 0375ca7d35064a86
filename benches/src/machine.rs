//! Where times were measured, and with what.

use std::process::Command;

use serde::Serialize;

/// The machine, the commit, the versions.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Threads that compute.
    pub threads: usize,
    /// What the kernels use of it.
    pub instruction_set: String,
    /// `git describe`; absent outside a repository.
    pub commit: Option<String>,
    /// Operating system and architecture.
    pub system: String,
    /// Burn's version.
    pub burn: &'static str,
    /// How this program was compiled.
    pub profile: &'static str,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|l| l.strip_prefix("model name"));
        let git = Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .output();
        let commit = git.ok().filter(|o| o.status.success());
        Self {
            processor: model
                .map_or("unknown", |m| m.trim_start_matches([' ', '\t', ':']))
                .to_owned(),
            threads: rayon::current_num_threads(),
            instruction_set: msn_kernels::Isa::detect().to_string(),
            commit: commit.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            burn: "0.21.0",
            profile: if cfg!(debug_assertions) {
                "with assertions: no time of this build is worth quoting"
            } else {
                "release"
            },
        }
    }
}
