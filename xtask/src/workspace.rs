//! The workspace as `cargo metadata` describes it.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{
    DependencyKind, Metadata, MetadataCommand, Node, Package, PackageId, TargetKind,
};
use xshell::cmd;

use crate::cargo;

/// Members of the workspace, and the graph of everything that they depend on.
pub struct Workspace {
    pub metadata: Metadata,
}

impl Workspace {
    /// Asks cargo for the workspace that this program belongs to.
    pub fn load() -> Result<Self> {
        let shell = cargo::shell()?;
        let version = cmd!(shell, "rustc -vV").quiet().read()?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc -vV names no host")?.to_owned();
        // Without the platform, cargo would download dependencies of other systems too.
        let metadata = MetadataCommand::new()
            .current_dir(cargo::root())
            .other_options(["--filter-platform".to_owned(), host])
            .exec()
            .context("cargo metadata")?;
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
    pub fn by_burn(&self) -> (Vec<&Package>, Vec<&Package>) {
        let nodes = self.metadata.resolve.iter().flat_map(|r| &r.nodes);
        let nodes: HashMap<_, _> = nodes.map(|node| (&node.id, node)).collect();
        let members = self.members().into_iter().filter(|p| p.name != "xtask");
        members.partition(|package| self.needs_burn(&nodes, &package.id))
    }

    fn needs_burn(&self, nodes: &HashMap<&PackageId, &Node>, package: &PackageId) -> bool {
        let mut seen = HashSet::from([package]);
        let mut queue = vec![package];
        while let Some(id) = queue.pop() {
            if self.metadata[id].name == "burn" {
                return true;
            }
            // Dev-dependencies of a dependency are not built.
            let dependencies = nodes.get(id).into_iter().flat_map(|node| &node.deps);
            let built = dependencies.filter(|d| {
                let is_built = |kind| kind != DependencyKind::Development || id == package;
                d.dep_kinds.iter().any(|k| is_built(k.kind))
            });
            queue.extend(built.map(|d| &d.pkg).filter(|&id| seen.insert(id)));
        }
        false
    }

    /// Cargo's options that build tests of `packages` with every feature that only a test build
    /// has on.
    pub fn test_features(&self, packages: &[&Package]) -> Vec<String> {
        let with_mpi = packages.iter().filter(|p| p.features.contains_key("mpi"));
        with_mpi
            .flat_map(|p| ["--features".to_owned(), format!("{}/mpi", p.name)])
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
