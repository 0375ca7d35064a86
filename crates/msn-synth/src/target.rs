//! The folder of a scene: built next to its final path, moved there when it is complete.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::SynthError;
use crate::error::io;

/// The file by which a synthetic scene is known.
pub(crate) const MARKER: &str = "synth.toml";
/// Everything that lies in the folder of a synthetic scene.
const CONTENTS: [&str; 4] = [MARKER, "events.csv", "test", "train"];

/// The folder that is being built; removed on drop where it was not finished.
pub(crate) struct Target {
    root: Utf8PathBuf,
    /// Where to write; becomes `root`.
    pub building: Utf8PathBuf,
    /// Whether a former scene is replaced.
    replaces: bool,
}

impl Target {
    /// A new folder next to `root`, after a check that `root` may be replaced.
    pub fn new(root: &Utf8Path) -> Result<Self, SynthError> {
        let (root, replaces) = match fs::symlink_metadata(root) {
            Ok(_) => {
                // The folder itself is renamed: not a link to it, and by its name, not as `.`.
                let root = root.canonicalize_utf8().map_err(io("find", root))?;
                let replaces = is_former_scene(&root)?;
                (root, replaces)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (root.to_owned(), false),
            Err(error) => return Err(io("look at", root)(error)),
        };
        let parent = match root.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent.to_owned(),
            Some(_) => Utf8PathBuf::from("."),
            None => {
                return Err(SynthError::NotOurs {
                    path: root,
                    found: "the whole file system".into(),
                });
            }
        };
        fs::create_dir_all(&parent).map_err(io("create", &parent))?;
        let name = root.file_name().unwrap_or_default();
        let building = parent.join(format!(".{name}.{}.partial", std::process::id()));
        // The folder that was asked for is what a user knows.
        fs::create_dir(&building).map_err(io("create", &root))?;
        Ok(Self {
            root,
            building,
            replaces,
        })
    }

    /// Moves the folder to `root`.
    pub fn finish(self) -> Result<(), SynthError> {
        let old = self.building.with_extension("old");
        if self.replaces {
            fs::rename(&self.root, &old).map_err(io("move away", &self.root))?;
        } else if self.root.exists() {
            fs::remove_dir(&self.root).map_err(io("replace", &self.root))?;
        }
        if let Err(error) = fs::rename(&self.building, &self.root) {
            if self.replaces {
                // Best effort: the first error is the one to report.
                let _ = fs::rename(&old, &self.root);
            }
            return Err(io("create", &self.root)(error));
        }
        if self.replaces {
            fs::remove_dir_all(&old).map_err(io("remove", &old))?;
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // After `finish` there is nothing left to remove.
        let _ = fs::remove_dir_all(&self.building);
    }
}

/// Whether a path that exists is a synthetic scene (true) or an empty folder (false).
fn is_former_scene(root: &Utf8Path) -> Result<bool, SynthError> {
    let not_ours = |found: String| SynthError::NotOurs {
        path: root.to_owned(),
        found,
    };
    if !root.is_dir() {
        return Err(not_ours("a file".into()));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(root).map_err(io("read", root))? {
        names.push(entry.map_err(io("read", root))?.file_name());
    }
    names.sort();
    if let Some(other) = names
        .iter()
        .find(|name| !CONTENTS.iter().any(|own| *name == own))
    {
        return Err(not_ours(other.to_string_lossy().into_owned()));
    }
    if !names.is_empty() && !names.iter().any(|name| name == MARKER) {
        return Err(not_ours(format!(
            "{} but no {MARKER}",
            names[0].to_string_lossy()
        )));
    }
    Ok(!names.is_empty())
}
