//! Checkpoints: a training between two steps, on disk.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use msn_memory::Monitor;
use msn_model::{TensorFile, Tensors, WeightsError};
use serde::{Deserialize, Serialize};

use crate::{Best, EngineState, Progress, Settings};

/// Version of the files.
const FORMAT: &str = "msn-checkpoint-2";
/// Files that are kept.
const KEPT: usize = 3;

/// A training between two steps, and what it is a training of.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Its settings.
    pub settings: Settings,
    /// Hash of the decoded training frames.
    pub data_hash: String,
    /// How far it is; its steps are those of `state`.
    pub progress: Progress,
    /// The engine.
    pub state: EngineState,
}

/// The newest checkpoint of a folder that can be read.
#[derive(Debug)]
pub struct Newest {
    /// Where it lies.
    pub path: Utf8PathBuf,
    /// What it holds.
    pub checkpoint: Checkpoint,
    /// Newer ones that can't be read, each with the reason.
    pub damaged: Vec<CheckpointError>,
}

/// A checkpoint that can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// The folder.
    #[error("can't use {path}: {source}")]
    Folder {
        /// Which one.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// What it holds.
    #[error("{path} is damaged or no checkpoint ({reason})")]
    Content {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meta {
    format: String,
    settings: Settings,
    data_hash: String,
    seconds: f64,
    steps: usize,
    planned: Option<usize>,
    best: Option<MetaBest>,
    monitors: Vec<Monitor>,
    /// Of the tensors' names and bits.
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaBest {
    epoch: usize,
    held_out: f64,
}

impl Checkpoint {
    /// Writes `step-N.safetensors` into a folder, whole or not at all, and removes all but the
    /// newest three.
    ///
    /// # Errors
    /// [`CheckpointError::File`] or [`CheckpointError::Folder`]; earlier checkpoints stay.
    pub fn write(&self, folder: &Utf8Path) -> Result<Utf8PathBuf, CheckpointError> {
        let failed = |source| CheckpointError::Folder {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let mut tensors = Tensors::new();
        let best = self.progress.best.as_ref();
        let none = Tensors::new();
        for (part, of) in PARTS.iter().zip([
            &self.state.tensors,
            &self.state.mean,
            &self.state.mean_square,
            best.map_or(&none, |best| &best.tensors),
            self.progress.average.as_ref().unwrap_or(&none),
        ]) {
            tensors.extend(
                of.iter()
                    .map(|(name, t)| (format!("{part}{name}"), t.clone())),
            );
        }
        let meta = Meta {
            format: FORMAT.into(),
            settings: self.settings.clone(),
            data_hash: self.data_hash.clone(),
            seconds: self.progress.elapsed.as_secs_f64(),
            steps: self.state.steps,
            planned: self.progress.planned,
            best: best.map(|best| MetaBest {
                epoch: best.epoch,
                held_out: best.held_out,
            }),
            monitors: self.state.monitors.clone(),
            hash: hash(&tensors),
        };
        let path = folder.join(format!("step-{:09}.safetensors", self.state.steps));
        TensorFile::write(&path, &tensors, &meta)?;
        for old in steps(folder)?.iter().rev().skip(KEPT) {
            std::fs::remove_file(old).map_err(failed)?;
        }
        Ok(path)
    }

    /// Reads a checkpoint and checks that every bit is as it was written.
    ///
    /// # Errors
    /// [`CheckpointError::File`] or [`CheckpointError::Content`].
    pub fn read(path: &Utf8Path) -> Result<Self, CheckpointError> {
        let file = TensorFile::read(path)?;
        let wrong = |reason: String| CheckpointError::Content {
            path: path.to_owned(),
            reason,
        };
        let text = file
            .metadata
            .get("msn")
            .ok_or_else(|| wrong("no `msn` metadata".into()))?;
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if value["format"] != FORMAT {
            return Err(wrong(format!(
                "its format is {}, this version reads {FORMAT}",
                value["format"]
            )));
        }
        let meta: Meta = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        if hash(&file.tensors) != meta.hash {
            return Err(wrong("its tensors are not those that were written".into()));
        }
        let mut parts = PARTS.map(|_| Tensors::new());
        for (name, tensor) in file.tensors {
            for (prefix, part) in PARTS.iter().zip(&mut parts) {
                if let Some(name) = name.strip_prefix(prefix) {
                    part.insert(name.to_owned(), tensor.clone());
                }
            }
        }
        let [tensors, mean, mean_square, best, average] = parts;
        Ok(Self {
            settings: meta.settings,
            data_hash: meta.data_hash,
            progress: Progress {
                steps: meta.steps,
                elapsed: Duration::try_from_secs_f64(meta.seconds).unwrap_or_default(),
                planned: meta.planned,
                best: meta.best.map(|of| Best {
                    epoch: of.epoch,
                    held_out: of.held_out,
                    tensors: best,
                }),
                average: Some(average).filter(|average| !average.is_empty()),
            },
            state: EngineState {
                tensors,
                mean,
                mean_square,
                steps: meta.steps,
                monitors: meta.monitors,
            },
        })
    }

    /// The newest checkpoint of a folder that can be read; `None` where there is no file.
    ///
    /// # Errors
    /// What is wrong with the oldest, where none can be read.
    pub fn newest(folder: &Utf8Path) -> Result<Option<Newest>, CheckpointError> {
        let mut damaged = Vec::new();
        for path in steps(folder)?.into_iter().rev() {
            match Self::read(&path) {
                Ok(checkpoint) => {
                    return Ok(Some(Newest {
                        path,
                        checkpoint,
                        damaged,
                    }));
                }
                Err(error) => damaged.push(error),
            }
        }
        damaged.pop().map_or(Ok(None), Err)
    }
}

/// What tensors' names begin with: the network's, Adam's two means, the best network's, the
/// running average's.
const PARTS: [&str; 5] = [
    "net.",
    "adam.mean.",
    "adam.mean_square.",
    "best.",
    "average.",
];

/// The checkpoints of a folder, oldest first.
fn steps(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, CheckpointError> {
    let failed = |source| CheckpointError::Folder {
        path: folder.to_owned(),
        source,
    };
    let entries = match folder.read_dir_utf8() {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.into_path();
        let name = path.file_name().unwrap_or_default();
        if name.starts_with("step-") && name.ends_with(".safetensors") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}

fn hash(tensors: &Tensors) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(name.as_bytes());
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    hasher.finalize().to_hex().to_string()
}
