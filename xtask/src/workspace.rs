//! The workspace as `cargo metadata` tells it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cargo;

/// The features for which to ask for the dependency graph.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Graph {
    Default,
    AllFeatures,
}

/// Members of the workspace, and the graph of everything that they depend on.
pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    /// Sorted by name.
    pub members: Vec<Package>,
    names: HashMap<String, String>,
    edges: HashMap<String, Vec<Edge>>,
}

#[derive(Deserialize, Clone, Debug, Default)]
pub struct Package {
    pub name: String,
    pub id: String,
    pub manifest_path: PathBuf,
    #[serde(default)]
    pub dependencies: Vec<Dependency>,
    #[serde(default)]
    pub targets: Vec<Target>,
    #[serde(default)]
    pub features: BTreeMap<String, Vec<String>>,
    /// `Some([])` where publishing is forbidden.
    pub publish: Option<Vec<String>>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Dependency {
    pub name: String,
    pub kind: Option<String>,
    #[serde(default)]
    pub optional: bool,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize, Clone, Debug)]
pub struct Target {
    pub kind: Vec<String>,
}

#[derive(Clone, Debug)]
struct Edge {
    to: String,
    kinds: Vec<Kind>,
}

/// Kind of a dependency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Normal,
    Build,
    Dev,
}

impl Kind {
    fn parse(kind: Option<&str>) -> Self {
        match kind {
            Some("dev") => Self::Dev,
            Some("build") => Self::Build,
            _ => Self::Normal,
        }
    }
}

impl Dependency {
    pub fn is_dev(&self) -> bool {
        Kind::parse(self.kind.as_deref()) == Kind::Dev
    }
}

impl Package {
    /// Folder of the package.
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("."))
    }

    pub fn has_target(&self, kind: &str) -> bool {
        self.targets
            .iter()
            .any(|t| t.kind.iter().any(|k| k == kind))
    }

    pub fn is_library(&self) -> bool {
        ["lib", "rlib", "proc-macro"]
            .iter()
            .any(|kind| self.has_target(kind))
    }

    pub fn is_published(&self) -> bool {
        self.publish
            .as_ref()
            .is_none_or(|registries| !registries.is_empty())
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDep>,
}

#[derive(Deserialize)]
struct NodeDep {
    pkg: String,
    dep_kinds: Vec<DepKind>,
}

#[derive(Deserialize)]
struct DepKind {
    kind: Option<String>,
}

impl Workspace {
    /// Asks cargo for the workspace that this program belongs to.
    pub fn load(graph: Graph) -> Result<Self> {
        let mut command = cargo::command("metadata");
        // Without the platform, cargo would download dependencies of other systems too.
        command.args(["--format-version", "1", "--filter-platform", &host()?]);
        match graph {
            Graph::Default => {}
            Graph::AllFeatures => {
                command.arg("--all-features");
            }
        }
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed: {}", output.status);
        }
        Self::parse(&output.stdout)
    }

    /// Reads the JSON of `cargo metadata`.
    pub fn parse(json: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(json).context("cargo metadata printed something unexpected")?;
        let names = metadata
            .packages
            .iter()
            .map(|p| (p.id.clone(), p.name.clone()))
            .collect();
        let mut members: Vec<Package> = metadata
            .packages
            .into_iter()
            .filter(|p| metadata.workspace_members.contains(&p.id))
            .collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        let nodes = metadata.resolve.map(|r| r.nodes).unwrap_or_default();
        let edges = nodes
            .into_iter()
            .map(|node| {
                let edge = |dep: NodeDep| Edge {
                    to: dep.pkg,
                    kinds: dep
                        .dep_kinds
                        .iter()
                        .map(|k| Kind::parse(k.kind.as_deref()))
                        .collect(),
                };
                (node.id, node.deps.into_iter().map(edge).collect())
            })
            .collect();
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
            members,
            names,
            edges,
        })
    }

    /// The shortest way from `package` to a package whose name `wanted` accepts, as names from
    /// `package` on. Only the first step may be of any of `first`; later ones are normal or build
    /// dependencies, since those are what cargo builds for a dependency.
    pub fn way_to(
        &self,
        package: &Package,
        first: &[Kind],
        wanted: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let later = [Kind::Normal, Kind::Build];
        let mut before: HashMap<&str, &str> = HashMap::new();
        let mut queue = VecDeque::from([package.id.as_str()]);
        while let Some(id) = queue.pop_front() {
            let allowed = if id == package.id { first } else { &later };
            for edge in self.edges.get(id).into_iter().flatten() {
                let to = edge.to.as_str();
                let seen = to == package.id || before.contains_key(to);
                if seen || !edge.kinds.iter().any(|k| allowed.contains(k)) {
                    continue;
                }
                before.insert(to, id);
                if self.names.get(to).is_some_and(|name| wanted(name)) {
                    let mut ids = vec![to];
                    while let Some(&previous) = ids.last().and_then(|id| before.get(id)) {
                        ids.push(previous);
                    }
                    return Some(
                        ids.iter()
                            .rev()
                            .filter_map(|id| self.names.get(*id))
                            .cloned()
                            .collect(),
                    );
                }
                queue.push_back(to);
            }
        }
        None
    }
}

/// Burn or one of its parts. burn-flex and the like are found as well as cubecl, which brings
/// the compilers for GPUs.
pub fn is_burn(name: &str) -> bool {
    name == "burn" || name.starts_with("burn-") || name.starts_with("cubecl")
}

/// FFmpeg's bindings.
pub fn is_ffmpeg(name: &str) -> bool {
    name.starts_with("ffmpeg") || name.starts_with("rusty_ffmpeg")
}

/// The triple of the machine that builds.
fn host() -> Result<String> {
    let output = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot start rustc")?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .context("rustc -vV names no host")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Workspace {
        let dep = |to: &str, kind: &str| {
            let kind = if kind.is_empty() {
                "null".to_owned()
            } else {
                format!("\"{kind}\"")
            };
            format!(r#"{{"pkg":"{to}","dep_kinds":[{{"kind":{kind}}}]}}"#)
        };
        let package = |id: &str| {
            format!(
                r#"{{"name":"{id}","id":"{id}","manifest_path":"/x/{id}/Cargo.toml","publish":null}}"#
            )
        };
        let json = format!(
            r#"{{"packages":[{},{},{},{}],"workspace_members":["b","a"],
            "workspace_root":"/x","target_directory":"/x/target","resolve":{{"nodes":[
            {{"id":"a","deps":[{},{}]}},{{"id":"b","deps":[{}]}},{{"id":"c","deps":[{}]}},
            {{"id":"burn","deps":[]}}]}}}}"#,
            package("a"),
            package("b"),
            package("c"),
            package("burn"),
            dep("b", ""),
            dep("burn", "dev"),
            dep("c", ""),
            dep("burn", "dev"),
        );
        Workspace::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn members_are_sorted_and_outsiders_left_out() {
        let names: Vec<_> = sample().members.into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn ways_follow_dev_dependencies_at_the_first_step_only() {
        let workspace = sample();
        let a = &workspace.members[0];
        assert_eq!(
            workspace.way_to(a, &[Kind::Normal], |n| n == "c").unwrap(),
            ["a", "b", "c"]
        );
        assert_eq!(workspace.way_to(a, &[Kind::Normal], is_burn), None);
        assert_eq!(
            workspace
                .way_to(a, &[Kind::Normal, Kind::Dev], is_burn)
                .unwrap(),
            ["a", "burn"]
        );
        // c has burn as a dev-dependency, which nobody builds for b.
        let b = &workspace.members[1];
        assert_eq!(
            workspace.way_to(b, &[Kind::Normal, Kind::Dev], is_burn),
            None
        );
    }
}
