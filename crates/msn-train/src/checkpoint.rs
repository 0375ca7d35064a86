//! Checkpoints: a training between two steps, on disk.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use msn_memory::Monitor;
use msn_model::{HostTensor, TensorFile, Tensors, WeightsError, hash_tensors};
use serde::{Deserialize, Serialize};

use crate::{Best, EngineState, Progress, Settings};

/// Version of the files.
const FORMAT: &str = "msn-checkpoint-3";
/// The version before, whose best network has its loss as `held_out`.
const FORMAT_2: &str = "msn-checkpoint-2";
/// Files that are kept.
const KEPT: usize = 3;

/// A training between two steps, and what it is a training of.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// As the run was begun with.
    pub settings: Settings,
    /// [`msn_data::data_hash`] of the training videos.
    pub data_hash: String,
    /// How far it is; its steps are those of `state`.
    pub progress: Progress,
    /// Network, optimiser and usage of the pools.
    pub state: EngineState,
}

/// The newest checkpoint of a folder that can be read.
#[derive(Debug)]
pub struct Newest {
    /// `step-N.safetensors` in the folder.
    pub path: Utf8PathBuf,
    /// Read whole, its hash checked.
    pub checkpoint: Checkpoint,
    /// Newer ones that can't be read, each with the reason.
    pub damaged: Vec<CheckpointError>,
}

/// A checkpoint that can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file can't be read or written, or is no safetensors.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// The system can't make or list the folder, or remove an old file in it.
    #[error("can't use {path}: {source}")]
    Folder {
        /// The folder of the checkpoints.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file without a checkpoint's metadata.
    #[error("{path} is no checkpoint: its header has no `msn` metadata")]
    NoMetadata {
        /// As it was given.
        path: Utf8PathBuf,
    },
    /// Metadata that can't be understood.
    #[error("{path} is damaged or no checkpoint (`msn` metadata: {source})")]
    Metadata {
        /// As it was given.
        path: Utf8PathBuf,
        /// The column, and what does not parse there.
        source: serde_json::Error,
    },
    /// Another version.
    #[error("{path} has the format {found}, this version reads {FORMAT} and {FORMAT_2}")]
    Format {
        /// As it was given.
        path: Utf8PathBuf,
        /// What stands under its key `format`, as JSON.
        found: String,
    },
    /// Tensors that are not those of the metadata's hash.
    #[error("{path} is damaged: its tensors are not those that were written")]
    Damaged {
        /// As it was given.
        path: Utf8PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct Meta {
    format: String,
    settings: Settings,
    data_hash: String,
    #[serde(flatten)]
    point: Point,
    /// Of the tensors' names and bits.
    hash: String,
}

/// What there is of [`Progress`] and [`EngineState`] beside tensors.
#[derive(Serialize, Deserialize)]
struct Point {
    seconds: f64,
    steps: usize,
    planned: Option<usize>,
    best: Option<BestEpoch>,
    monitors: Vec<Monitor>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BestEpoch {
    epoch: usize,
    #[serde(alias = "held_out")]
    validation_loss: f64,
}

/// A progress and an engine's state as one map of tensors and the rest.
fn split(progress: &Progress, state: &EngineState) -> (Tensors, Point) {
    let mut tensors = Tensors::new();
    let best = progress.best.as_ref();
    let none = Tensors::new();
    for (part, of) in PARTS.iter().zip([
        &state.tensors,
        &state.mean,
        &state.mean_square,
        best.map_or(&none, |best| &best.tensors),
        progress.average.as_ref().unwrap_or(&none),
    ]) {
        let named = of
            .iter()
            .map(|(name, t)| (format!("{part}{name}"), t.clone()));
        tensors.extend(named);
    }
    let point = Point {
        seconds: progress.elapsed.as_secs_f64(),
        steps: state.steps,
        planned: progress.planned,
        best: best.map(|best| BestEpoch {
            epoch: best.epoch,
            validation_loss: best.validation_loss,
        }),
        monitors: state.monitors.clone(),
    };
    (tensors, point)
}

/// What [`split`] took apart.
fn join(tensors: Tensors, point: Point) -> (Progress, EngineState) {
    let mut parts = PARTS.map(|_| Tensors::new());
    for (name, tensor) in tensors {
        for (prefix, part) in PARTS.iter().zip(&mut parts) {
            if let Some(name) = name.strip_prefix(prefix) {
                part.insert(name.to_owned(), tensor.clone());
            }
        }
    }
    let [tensors, mean, mean_square, best, average] = parts;
    let progress = Progress {
        steps: point.steps,
        elapsed: Duration::try_from_secs_f64(point.seconds).unwrap_or_default(),
        planned: point.planned,
        best: point.best.map(|of| Best {
            epoch: of.epoch,
            validation_loss: of.validation_loss,
            tensors: best,
        }),
        average: Some(average).filter(|average| !average.is_empty()),
    };
    let state = EngineState {
        tensors,
        mean,
        mean_square,
        steps: point.steps,
        monitors: point.monitors,
    };
    (progress, state)
}

/// A progress and an engine's state as bytes for other ranks.
pub(crate) fn pack_state(
    progress: &Progress,
    state: &EngineState,
) -> Result<Vec<u8>, serde_json::Error> {
    let (tensors, point) = split(progress, state);
    let shapes: Vec<_> = tensors.iter().map(|(name, t)| (name, &t.shape)).collect();
    let mut bytes = serde_json::to_vec(&(point, shapes))?;
    // JSON has no zero byte.
    bytes.push(0);
    let values = tensors.values().flat_map(|t| &t.values);
    bytes.extend(values.flat_map(|v| v.to_le_bytes()));
    Ok(bytes)
}

/// What [`pack_state`] packed.
pub(crate) fn unpack_state(bytes: &[u8]) -> Result<(Progress, EngineState), serde_json::Error> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let (point, shapes): (Point, Vec<(String, Vec<usize>)>) =
        serde_json::from_slice(&bytes[..end])?;
    let values = bytes.get(end + 1..).unwrap_or_default();
    let (values, _) = values.as_chunks::<4>();
    let mut values = values.iter().map(|&v| f32::from_le_bytes(v));
    let tensor = |(name, shape): (String, Vec<usize>)| {
        let values = values.by_ref().take(shape.iter().product()).collect();
        (name, HostTensor { shape, values })
    };
    Ok(join(shapes.into_iter().map(tensor).collect(), point))
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
        let (tensors, point) = split(&self.progress, &self.state);
        let meta = Meta {
            format: FORMAT.into(),
            settings: self.settings.clone(),
            data_hash: self.data_hash.clone(),
            point,
            hash: hash_tensors(&tensors).to_hex().to_string(),
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
    /// Any [`CheckpointError`] but `Folder`.
    pub fn read(path: &Utf8Path) -> Result<Self, CheckpointError> {
        let file = TensorFile::read(path)?;
        let path = path.to_owned();
        let Some(text) = file.metadata.get("msn") else {
            return Err(CheckpointError::NoMetadata { path });
        };
        let metadata = |source| CheckpointError::Metadata {
            path: path.clone(),
            source,
        };
        let value: serde_json::Value = serde_json::from_str(text).map_err(metadata)?;
        let found = &value["format"];
        if found != FORMAT && found != FORMAT_2 {
            let found = found.to_string();
            return Err(CheckpointError::Format { path, found });
        }
        let meta: Meta = serde_json::from_value(value).map_err(metadata)?;
        if hash_tensors(&file.tensors).to_hex().as_str() != meta.hash {
            return Err(CheckpointError::Damaged { path });
        }
        let (progress, state) = join(file.tensors, meta.point);
        Ok(Self {
            settings: meta.settings,
            data_hash: meta.data_hash,
            progress,
            state,
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
        let path = match entry {
            Ok(entry) => entry.into_path(),
            // A name that is not UTF-8 is none of ours.
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => continue,
            Err(e) => return Err(failed(e)),
        };
        let name = path.file_name().unwrap_or_default();
        if name.starts_with("step-") && name.ends_with(".safetensors") {
            all.push(path);
        }
    }
    all.sort();
    Ok(all)
}
