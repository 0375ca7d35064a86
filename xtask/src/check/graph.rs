//! Invariants of the dependency graph and the manifests.

use std::path::PathBuf;

use super::rules::{self, Role};
use super::{Invariant, Violation, relative};
use crate::matrix;
use crate::workspace::{Dependency, Kind, Package, Workspace, is_burn, is_ffmpeg};

const BUILT: [Kind; 2] = [Kind::Normal, Kind::Build];
const ALL: [Kind; 3] = [Kind::Normal, Kind::Build, Kind::Dev];

pub(super) fn check(workspace: &Workspace) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in &workspace.members {
        let file = relative(&workspace.root, &package.manifest_path);
        let mut add = |invariant, found| {
            violations.push(Violation {
                file: PathBuf::clone(&file),
                line: 0,
                invariant,
                found,
            });
        };
        ffmpeg(package, &mut add);
        flow(workspace, package, &mut add);
        backends(package, &mut add);
        if rules::WITHOUT_BURN.contains(&package.name.as_str())
            && let Some(way) = workspace.way_to(package, &BUILT, is_burn)
        {
            add(Invariant::Burn, way.join(" -> "));
        }
        if package.name == rules::WITHOUT_VIDEO {
            let video = |name: &str| is_ffmpeg(name) || name == "msn-video" || name == "msn-data";
            if let Some(way) = workspace.way_to(package, &BUILT, video) {
                add(Invariant::Video, way.join(" -> "));
            }
        }
        if rules::role(package) == Role::Xtask
            && let Some(way) = workspace.way_to(package, &ALL, |n| is_burn(n) || is_ffmpeg(n))
        {
            add(Invariant::Xtask, way.join(" -> "));
        }
    }
    violations
}

fn ffmpeg(package: &Package, add: &mut impl FnMut(Invariant, String)) {
    for dependency in package.dependencies.iter().filter(|d| is_ffmpeg(&d.name)) {
        if package.name != rules::FFMPEG {
            add(
                Invariant::Ffmpeg,
                format!("{} depends on {}", package.name, dependency.name),
            );
        } else if !dependency.optional && !dependency.is_dev() {
            add(
                Invariant::Ffmpeg,
                format!("{} is not optional", dependency.name),
            );
        }
    }
}

fn flow(workspace: &Workspace, package: &Package, add: &mut impl FnMut(Invariant, String)) {
    let allowed = match rules::role(package) {
        Role::Program | Role::Bench => return,
        Role::Xtask => &[],
        Role::Library => match rules::may_depend_on(&package.name) {
            Some(allowed) => allowed,
            None => {
                add(
                    Invariant::Flow,
                    format!(
                        "{} has no place in xtask's table of what may depend on what",
                        package.name
                    ),
                );
                return;
            }
        },
    };
    let is_member = |d: &&Dependency| workspace.members.iter().any(|m| m.name == d.name);
    for dependency in package.dependencies.iter().filter(is_member) {
        if !dependency.is_dev() && !allowed.contains(&dependency.name.as_str()) {
            add(
                Invariant::Flow,
                format!("{} depends on {}", package.name, dependency.name),
            );
        }
    }
}

fn backends(package: &Package, add: &mut impl FnMut(Invariant, String)) {
    if rules::role(package) != Role::Library {
        return;
    }
    let allowed = rules::may_name_backends(&package.name);
    let is_foreign = |name: &str| rules::BACKENDS.contains(&name) && !allowed.contains(&name);
    for dependency in package.dependencies.iter().filter(|d| !d.is_dev()) {
        if dependency
            .name
            .strip_prefix("burn-")
            .is_some_and(is_foreign)
        {
            add(
                Invariant::Backend,
                format!("{} depends on {}", package.name, dependency.name),
            );
        }
        if dependency.name == "burn" {
            for feature in dependency.features.iter().filter(|f| is_foreign(f)) {
                add(
                    Invariant::Backend,
                    format!("{} turns on burn's {feature}", package.name),
                );
            }
        }
    }
    let is_own = |name: &str| !name.starts_with(matrix::FOR_TESTS);
    for (name, values) in package.features.iter().filter(|(name, _)| is_own(name)) {
        for value in values {
            let burn = value
                .strip_prefix("burn/")
                .or_else(|| value.strip_prefix("burn?/"));
            if burn.is_some_and(is_foreign) {
                add(
                    Invariant::Backend,
                    format!("feature {name} turns on {value}"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of packages with normal dependencies: (name, dependencies).
    fn workspace(packages: &[(&str, &str)]) -> Workspace {
        let mut all = Vec::new();
        let mut nodes = Vec::new();
        for (name, dependencies) in packages {
            let dependencies: Vec<&str> = dependencies.split_whitespace().collect();
            let listed: Vec<_> = dependencies
                .iter()
                .map(|d| {
                    let (d, feature) = d.split_once('/').unwrap_or((d, ""));
                    let features: Vec<_> = Some(feature)
                        .filter(|f| !f.is_empty())
                        .into_iter()
                        .collect();
                    serde_json::json!({"name": d, "kind": null, "features": features})
                })
                .collect();
            let edges: Vec<_> = dependencies
                .iter()
                .map(|d| d.split('/').next().unwrap())
                .map(|d| serde_json::json!({"pkg": d, "dep_kinds": [{"kind": null}]}))
                .collect();
            let manifest = format!("/w/crates/{name}/Cargo.toml");
            all.push(serde_json::json!({
                "name": name, "id": name, "manifest_path": manifest, "dependencies": listed,
                "publish": null,
            }));
            nodes.push(serde_json::json!({"id": name, "deps": edges}));
        }
        let members: Vec<_> = packages
            .iter()
            .map(|p| p.0)
            .filter(|n| n.starts_with("msn") || *n == "xtask")
            .collect();
        let json = serde_json::json!({
            "packages": all, "workspace_members": members, "workspace_root": "/w",
            "target_directory": "/w/target", "resolve": {"nodes": nodes},
        });
        Workspace::parse(json.to_string().as_bytes()).unwrap()
    }

    fn found(packages: &[(&str, &str)]) -> Vec<(Invariant, String)> {
        let violations = check(&workspace(packages)).into_iter();
        violations.map(|v| (v.invariant, v.found)).collect()
    }

    #[test]
    fn a_clean_workspace_has_no_violation() {
        let packages = [
            ("msn-data", "serde"),
            ("msn-memory", "burn msn-kernels"),
            ("msn-kernels", "burn/flex burn-autodiff"),
            ("msn-train", "burn/autodiff msn-data msn-memory"),
            ("msn-cli", "burn/cuda burn-flex msn-train"),
            ("xtask", "serde"),
            ("burn", ""),
            ("burn-flex", ""),
            ("burn-autodiff", ""),
            ("serde", ""),
        ];
        assert_eq!(found(&packages), []);
    }

    #[test]
    fn burn_is_found_behind_another_crate() {
        let packages = [
            ("msn-metrics", "x"),
            ("x", "burn-tensor"),
            ("burn-tensor", ""),
        ];
        let way = "msn-metrics -> x -> burn-tensor".to_owned();
        assert_eq!(found(&packages), [(Invariant::Burn, way)]);
        let packages = [
            ("xtask", "x"),
            ("x", "ffmpeg-sys-next"),
            ("ffmpeg-sys-next", ""),
        ];
        let way = "xtask -> x -> ffmpeg-sys-next".to_owned();
        assert_eq!(found(&packages), [(Invariant::Xtask, way)]);
    }

    #[test]
    fn ffmpeg_outside_video_and_unconditional_ffmpeg_are_found() {
        let packages = [
            ("msn-eval", "ffmpeg-next"),
            ("msn-video", "ffmpeg-next"),
            ("ffmpeg-next", ""),
        ];
        assert_eq!(
            found(&packages),
            [
                (
                    Invariant::Ffmpeg,
                    "msn-eval depends on ffmpeg-next".to_owned()
                ),
                (Invariant::Ffmpeg, "ffmpeg-next is not optional".to_owned()),
            ]
        );
    }

    #[test]
    fn data_flowing_back_and_unknown_crates_are_found() {
        let packages = [
            ("msn-memory", "msn-data"),
            ("msn-data", ""),
            ("msn-new", ""),
            ("xtask", "msn-metrics"),
            ("msn-metrics", ""),
        ];
        let flow = |text: &str| (Invariant::Flow, text.to_owned());
        assert_eq!(
            found(&packages),
            [
                flow("msn-memory depends on msn-data"),
                (Invariant::Video, "msn-memory -> msn-data".to_owned()),
                flow("msn-new has no place in xtask's table of what may depend on what"),
                flow("xtask depends on msn-metrics"),
            ]
        );
    }

    #[test]
    fn backends_in_manifests_of_libraries_are_found() {
        let packages = [
            ("msn-model", "burn-flex"),
            ("msn-eval", "burn/ndarray"),
            ("msn-train", "burn/cuda"),
            ("burn", ""),
            ("burn-flex", ""),
        ];
        let backend = |text: &str| (Invariant::Backend, text.to_owned());
        assert_eq!(
            found(&packages),
            [
                backend("msn-eval turns on burn's ndarray"),
                backend("msn-model depends on burn-flex"),
                backend("msn-train turns on burn's cuda"),
            ]
        );
    }
}
