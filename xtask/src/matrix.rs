//! Which sets of features must compile.

use crate::workspace::Package;

/// The feature that links FFmpeg.
const FFMPEG: &str = "ffmpeg";

/// Features that run a library's tests on a further backend and change nothing else begin so.
pub const FOR_TESTS: &str = "test-";

/// One `cargo check` of a package with a set of features.
#[derive(Debug, PartialEq, Eq)]
pub struct FeatureCheck {
    pub package: String,
    pub default_features: bool,
    pub features: Vec<String>,
}

impl FeatureCheck {
    /// Arguments of `cargo check`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["-p".to_owned(), self.package.clone()];
        if !self.default_features {
            arguments.push("--no-default-features".to_owned());
        }
        if !self.features.is_empty() {
            arguments.extend(["--features".to_owned(), self.features.join(",")]);
        }
        arguments
    }
}

/// The package whose features are devices, like those of a program.
const BENCHES: &str = "benches";

/// Checks for all published members and the benches: a library alone and with each of its features
/// alone; a program without FFmpeg, and with each feature that its default leaves out.
pub fn checks(members: &[Package]) -> Vec<FeatureCheck> {
    let published = || members.iter().filter(|p| p.is_published());
    let benches = members.iter().filter(|p| p.name == BENCHES);
    let libraries = published().filter(|p| p.is_library()).flat_map(of_library);
    let programs = published().filter(|p| !p.is_library());
    let programs = programs.chain(benches).flat_map(of_program);
    libraries.chain(programs).collect()
}

fn of_library(package: &Package) -> Vec<FeatureCheck> {
    let check = |features: Vec<String>| FeatureCheck {
        package: package.name.clone(),
        default_features: false,
        features,
    };
    let is_own = |name: &&String| *name != "default" && !name.starts_with(FOR_TESTS);
    let named = package.features.keys().filter(is_own);
    std::iter::once(check(Vec::new()))
        .chain(named.map(|name| check(vec![name.clone()])))
        .collect()
}

fn of_program(package: &Package) -> Vec<FeatureCheck> {
    let default = package.features.get("default").cloned().unwrap_or_default();
    let mut checks = Vec::new();
    if default.iter().any(|name| name == FFMPEG) {
        checks.push(FeatureCheck {
            package: package.name.clone(),
            default_features: false,
            features: default
                .iter()
                .filter(|name| *name != FFMPEG)
                .cloned()
                .collect(),
        });
    }
    let others = package
        .features
        .keys()
        .filter(|name| *name != "default" && !default.contains(name));
    checks.extend(others.map(|name| FeatureCheck {
        package: package.name.clone(),
        default_features: true,
        features: vec![name.clone()],
    }));
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn package(name: &str, kind: &str, features: &[(&str, &[&str])]) -> Package {
        Package {
            name: name.to_owned(),
            targets: vec![Target {
                kind: vec![kind.to_owned()],
            }],
            features: features
                .iter()
                .map(|(k, v)| ((*k).to_owned(), v.iter().map(|f| (*f).to_owned()).collect()))
                .collect(),
            ..Package::default()
        }
    }

    fn lines(members: &[Package]) -> Vec<String> {
        checks(members)
            .iter()
            .map(|c| c.arguments().join(" "))
            .collect()
    }

    #[test]
    fn a_library_is_checked_alone_and_with_each_feature_alone() {
        let library = package(
            "msn-video",
            "lib",
            &[
                ("default", &["ffmpeg"]),
                ("ffmpeg", &[]),
                ("npy", &[]),
                ("test-cuda", &[]),
            ],
        );
        assert_eq!(
            lines(&[library]),
            [
                "-p msn-video --no-default-features",
                "-p msn-video --no-default-features --features ffmpeg",
                "-p msn-video --no-default-features --features npy",
            ]
        );
    }

    #[test]
    fn a_program_is_checked_without_ffmpeg_and_with_each_further_device() {
        let program = package(
            "msn-cli",
            "bin",
            &[
                ("default", &["flex", "ffmpeg"]),
                ("flex", &[]),
                ("ffmpeg", &[]),
                ("cuda", &[]),
                ("wgpu", &[]),
            ],
        );
        assert_eq!(
            lines(&[program]),
            [
                "-p msn-cli --no-default-features --features flex",
                "-p msn-cli --features cuda",
                "-p msn-cli --features wgpu",
            ]
        );
    }

    #[test]
    fn what_is_not_published_is_left_out() {
        let mut tool = package("xtask", "bin", &[("a", &[])]);
        tool.publish = Some(Vec::new());
        assert_eq!(lines(&[tool]), Vec::<String>::new());
    }
}
