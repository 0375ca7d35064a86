//! The workspace as cargo describes it.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use xshell::{Shell, cmd};

use crate::cargo;

/// Features that only a build of tests has on, by which it tests all that the project can do.
const FOR_TESTS: [&str; 1] = ["mpi"];

/// Members of the workspace.
pub struct Workspace {
    pub metadata: Metadata,
}

impl Workspace {
    /// Asks cargo for the workspace that this program belongs to.
    pub fn load() -> Result<Self> {
        let mut command = MetadataCommand::new();
        let metadata = command.current_dir(cargo::root()).no_deps().exec();
        let metadata = metadata.context("cargo metadata")?;
        Ok(Self { metadata })
    }

    pub fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    pub fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    pub fn members(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// Members whose build, that of their tests included, needs Burn; and the others but xtask.
    pub fn by_burn(&self, shell: &Shell) -> Result<(Vec<&Package>, Vec<&Package>)> {
        let tree = cmd!(shell, "cargo tree --workspace --invert burn --prefix none");
        let tree = tree.args(["--format", "{p}"]).quiet().read()?;
        let burn = |package: &&Package| {
            let mut names = tree.lines().filter_map(|line| line.split(' ').next());
            names.any(|name| package.name == name)
        };
        let members = self.members().into_iter();
        Ok(members.filter(|p| p.name != "xtask").partition(burn))
    }

    /// Cargo's options that build tests of `packages` with all that the project can do.
    pub fn test_features(&self, packages: &[&Package]) -> Vec<String> {
        let features = FOR_TESTS.iter().flat_map(|feature| {
            let with = packages
                .iter()
                .filter(|p| p.features.contains_key(*feature));
            with.map(move |p| format!("{}/{feature}", p.name))
        });
        features
            .flat_map(|feature| ["--features".to_owned(), feature])
            .collect()
    }
}

pub fn is_library(package: &Package) -> bool {
    has_target(package, &TargetKind::Lib)
}

pub fn has_target(package: &Package, kind: &TargetKind) -> bool {
    package.targets.iter().any(|t| t.kind.contains(kind))
}

pub fn is_published(package: &Package) -> bool {
    package.publish.as_ref().is_none_or(|to| !to.is_empty())
}
