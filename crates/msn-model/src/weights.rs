//! Weights files: safetensors with one metadata key, `msn`, that says what the tensors are.

use std::{borrow::Cow, collections::HashMap, io::Write as _};

use atomic_write_file::AtomicWriteFile;
use burn::tensor::backend::Backend;
use camino::{Utf8Path, Utf8PathBuf};
use safetensors::{Dtype, SafeTensorError, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::{
    Adam, ConfigError, HostTensor, LossWeights, MsnNet, NetConfig, StretchSetting, TensorError,
    Tensors,
};

/// Version of the metadata that this crate writes and reads.
pub const WEIGHTS_FORMAT: &str = "msn-weights-1";

/// What a weights file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// [`WEIGHTS_FORMAT`].
    pub format: String,
    /// Settings that the tensors belong to.
    pub config: NetConfig,
    /// What the network is fed.
    pub input: Input,
    /// The calibration of the anomaly score as older files carry it; present ones have it in a file
    /// of its own. msn-eval reads both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<serde_json::Value>,
    /// Where the weights come from: run, data, seed, versions; free text by name.
    #[serde(default)]
    pub origin: std::collections::BTreeMap<String, String>,
}

/// The frames that a network was trained for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Height in pixels, a multiple of 8.
    pub height: u32,
    /// Width in pixels, a multiple of 8.
    pub width: u32,
    /// Frames between two frames of a clip, at least 1.
    pub stride: usize,
    /// Frames a second that a video is taken at, where it has times; 0 where the training videos
    /// had none.
    #[serde(default)]
    pub rate_hz: f64,
    /// What becomes black and white in pictures of more than 8 bits.
    #[serde(default, skip_serializing_if = "StretchSetting::is_none")]
    pub stretch: StretchSetting,
}

impl Input {
    /// The rate that videos are taken at, where there is one.
    pub fn rate(&self) -> Option<f64> {
        (self.rate_hz > 0.0).then_some(self.rate_hz)
    }
}

/// A file that can't be read, written, or understood as weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The system can't read it.
    #[error("can't read {path}: {source}")]
    Read {
        /// As it was given.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The system can't write it.
    #[error("can't write {path}: {source}")]
    Write {
        /// As it was given; what was there before is still there.
        path: Utf8PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is no safetensors file, or a damaged one.
    #[error(
        "{path} is no usable safetensors file ({source}): give weights written by `msn train` or a PyTorch state dict saved with safetensors"
    )]
    Format {
        /// As it was given.
        path: Utf8PathBuf,
        /// What its crate says of it.
        source: SafeTensorError,
    },
    /// It is no golden case, or one without its settings.
    #[error("{path} is no golden case: {source}")]
    Case {
        /// As it was given.
        path: Utf8PathBuf,
        /// The entry of its metadata that is missing or wrong.
        source: CaseError,
    },
    /// It has no `msn` metadata.
    #[error(
        "{path} has no `msn` metadata, so its settings are unknown: `msn weights import` makes a weights file of it"
    )]
    NoMeta {
        /// As it was given.
        path: Utf8PathBuf,
    },
    /// Its metadata can't be understood.
    #[error("{path}: metadata `msn` can't be read ({source}): this version reads {WEIGHTS_FORMAT}")]
    Meta {
        /// As it was given.
        path: Utf8PathBuf,
        /// What is wrong there.
        source: MetaError,
    },
    /// Its settings are out of range.
    #[error("{path}: {source}")]
    Config {
        /// As it was given.
        path: Utf8PathBuf,
        /// The first setting that is out of range.
        source: ConfigError,
    },
    /// Its tensors do not fit its settings.
    #[error("{path}: {source}; the file is damaged or of another network")]
    Tensor {
        /// As it was given.
        path: Utf8PathBuf,
        /// The first tensor that does not fit.
        source: TensorError,
    },
}

/// Why the metadata of a weights file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// It is no JSON, has other keys or kinds of values, or would have a number that JSON lacks.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It states another format, or none.
    #[error("it is {0}")]
    Format(String),
    /// The network can't be fed so.
    #[error("input sizes must be multiples of 8 and stride at least 1")]
    Input,
}

/// Why the metadata of a golden case can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It states another format, or none.
    #[error("metadata `format` is {0}, a golden case has msn-parity-1")]
    Format(String),
    /// An entry without which there is no case.
    #[error("metadata `{0}` is missing")]
    Missing(&'static str),
    /// An entry that is no JSON of its kind.
    #[error("metadata `{key}`: {source}")]
    Json {
        /// The entry's key.
        key: &'static str,
        /// The column, and what does not parse there.
        source: serde_json::Error,
    },
}

/// A safetensors file in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorFile {
    /// As it was given, for errors about its content.
    pub path: Utf8PathBuf,
    /// Tensors as f32 (f16, bf16 and f64 are converted; integers are left out).
    pub tensors: Tensors,
    /// Metadata by key.
    pub metadata: HashMap<String, String>,
}

impl TensorFile {
    /// Reads a safetensors file whole.
    ///
    /// # Errors
    /// [`WeightsError::Read`] or [`WeightsError::Format`].
    pub fn read(path: &Utf8Path) -> Result<Self, WeightsError> {
        let bytes = std::fs::read(path).map_err(|source| WeightsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let format = |source| WeightsError::Format {
            path: path.to_owned(),
            source,
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let file = SafeTensors::deserialize(&bytes).map_err(format)?;
        let mut tensors = Tensors::new();
        for (name, view) in file.iter() {
            if let Some(values) = floats(view.dtype(), view.data()) {
                tensors.insert(
                    name.to_owned(),
                    HostTensor {
                        shape: view.shape().to_vec(),
                        values,
                    },
                );
            }
        }
        let metadata = header.metadata().clone().unwrap_or_default();
        Ok(Self {
            path: path.to_owned(),
            tensors,
            metadata,
        })
    }

    /// Writes tensors with one metadata key, `msn`, whole or not at all; the same content gives the
    /// same bytes.
    ///
    /// # Errors
    /// [`WeightsError::Write`], or [`WeightsError::Meta`] where `meta` has a number that JSON lacks.
    pub fn write(
        path: &Utf8Path,
        tensors: &Tensors,
        meta: &impl Serialize,
    ) -> Result<(), WeightsError> {
        let failed = |source| WeightsError::Write {
            path: path.to_owned(),
            source,
        };
        // Through a `Value`, whose maps are sorted.
        let meta = serde_json::to_value(meta).map_err(|e| WeightsError::Meta {
            path: path.to_owned(),
            source: e.into(),
        })?;
        let metadata = HashMap::from([("msn".to_owned(), meta.to_string())]);
        let views = tensors.iter().map(|(name, t)| (name, Stored(t)));
        let bytes = safetensors::serialize(views, Some(metadata))
            .map_err(|e| failed(std::io::Error::other(e)))?;
        let mut file = AtomicWriteFile::open(path).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        file.commit().map_err(failed)
    }
}

/// Little-endian floats of any width as f32; `None` for other types.
fn floats(dtype: Dtype, data: &[u8]) -> Option<Vec<f32>> {
    let half = |c: &[u8]| u16::from_le_bytes([c[0], c[1]]);
    Some(match dtype {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]]))
            .collect(),
        Dtype::F64 => data
            .chunks_exact(8)
            .map(|c| f64::from_le_bytes([c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]]) as f32)
            .collect(),
        Dtype::BF16 => data
            .chunks_exact(2)
            .map(|c| f32::from_bits(u32::from(half(c)) << 16))
            .collect(),
        Dtype::F16 => data
            .chunks_exact(2)
            .map(|c| burn::tensor::f16::from_bits(half(c)).to_f32())
            .collect(),
        _ => return None,
    })
}

/// Weights with their metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Settings of the network, its input, and where it comes from.
    pub meta: Meta,
    /// Parameters, running statistics and items, by PyTorch's names.
    pub tensors: Tensors,
}

impl Weights {
    /// Reads a weights file.
    ///
    /// # Errors
    /// Any [`WeightsError`] but `Write` and `Tensor`; tensors are checked by [`Weights::net`].
    pub fn read(path: &Utf8Path) -> Result<Self, WeightsError> {
        let file = TensorFile::read(path)?;
        let Some(text) = file.metadata.get("msn") else {
            return Err(WeightsError::NoMeta {
                path: path.to_owned(),
            });
        };
        let bad = |source| WeightsError::Meta {
            path: path.to_owned(),
            source,
        };
        let json = |e| bad(MetaError::Json(e));
        let value: serde_json::Value = serde_json::from_str(text).map_err(json)?;
        let format = value
            .get("format")
            .and_then(|v| v.as_str())
            .unwrap_or("no format");
        if format != WEIGHTS_FORMAT {
            return Err(bad(MetaError::Format(format.to_owned())));
        }
        let meta: Meta = serde_json::from_value(value).map_err(json)?;
        let config = |source| WeightsError::Config {
            path: path.to_owned(),
            source,
        };
        meta.config.check().map_err(config)?;
        let input = meta.input;
        let whole = |n: u32| n >= 8 && n.is_multiple_of(8);
        if !whole(input.height) || !whole(input.width) || input.stride == 0 {
            return Err(bad(MetaError::Input));
        }
        Ok(Self {
            meta,
            tensors: file.tensors,
        })
    }

    /// The network, on a device. `path` is for the error alone.
    ///
    /// # Errors
    /// [`WeightsError::Config`] or [`WeightsError::Tensor`].
    pub fn net<B: Backend>(
        &self,
        path: &Utf8Path,
        device: &B::Device,
    ) -> Result<MsnNet<B>, WeightsError> {
        let config = |source| WeightsError::Config {
            path: path.to_owned(),
            source,
        };
        let tensor = |source| WeightsError::Tensor {
            path: path.to_owned(),
            source,
        };
        let net = MsnNet::new(&self.meta.config, 0, device).map_err(config)?;
        net.with_tensors(&self.tensors).map_err(tensor)
    }

    /// Writes the file whole or not at all; the same weights give the same bytes.
    ///
    /// # Errors
    /// [`WeightsError::Write`], or [`WeightsError::Meta`] where metadata has a number that JSON
    /// lacks.
    pub fn write(&self, path: &Utf8Path) -> Result<(), WeightsError> {
        TensorFile::write(path, &self.tensors, &self.meta)
    }
}

struct Stored<'a>(&'a HostTensor);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.0.values.len() * 4
    }
}

/// Settings of a golden case (`msn-parity-1`): the network, the loss and Adam.
#[derive(Clone, Debug, PartialEq)]
pub struct ParityCase {
    /// Settings that its tensors belong to.
    pub config: NetConfig,
    /// Weights of the pool losses; one that is not named is 0.
    pub loss: LossWeights,
    /// Learning rate of the step.
    pub lr: f64,
    /// Decay rates and epsilon of the step.
    pub adam: Adam,
    /// Side and stride of the patch window, pixels.
    pub patch: [usize; 2],
}

impl ParityCase {
    /// Reads the settings from a golden case's metadata.
    ///
    /// # Errors
    /// [`WeightsError::Case`] says which entry is missing or wrong, [`WeightsError::Config`] which
    /// setting of the network.
    pub fn of(file: &TensorFile) -> Result<Self, WeightsError> {
        #[derive(Deserialize)]
        struct Optimiser {
            lr: f64,
            betas: [f64; 2],
            eps: f64,
        }
        #[derive(Deserialize)]
        struct Patch {
            window: usize,
            stride: usize,
        }
        fn entry<T: serde::de::DeserializeOwned>(
            file: &TensorFile,
            key: &'static str,
            default: Option<&str>,
        ) -> Result<T, WeightsError> {
            let wrong = |source| WeightsError::Case {
                path: file.path.clone(),
                source,
            };
            let text = file.metadata.get(key).map(String::as_str).or(default);
            let text = text.ok_or_else(|| wrong(CaseError::Missing(key)))?;
            serde_json::from_str(text).map_err(|source| wrong(CaseError::Json { key, source }))
        }
        let found = file
            .metadata
            .get("format")
            .map_or("no format", String::as_str);
        if found != "msn-parity-1" {
            return Err(WeightsError::Case {
                path: file.path.clone(),
                source: CaseError::Format(found.to_owned()),
            });
        }
        let config: NetConfig = entry(file, "config", None)?;
        config.check().map_err(|source| WeightsError::Config {
            path: file.path.clone(),
            source,
        })?;
        let optimiser: Optimiser = entry(
            file,
            "adam",
            Some(r#"{"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8}"#),
        )?;
        let patch: Patch = entry(file, "patch", Some(r#"{"window": 8, "stride": 4}"#))?;
        let loss = entry(file, "loss", Some("{}"))?;
        Ok(Self {
            config,
            loss,
            lr: optimiser.lr,
            adam: Adam {
                beta1: optimiser.betas[0],
                beta2: optimiser.betas[1],
                epsilon: optimiser.eps,
            },
            patch: [patch.window, patch.stride],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tensor_survives_a_file_bit_for_bit() {
        let config = NetConfig {
            width: 2,
            ..NetConfig::default()
        };
        let net = MsnNet::<burn::backend::Flex>::new(&config, 7, &Default::default()).unwrap();
        let weights = Weights {
            meta: Meta {
                format: WEIGHTS_FORMAT.into(),
                config,
                input: Input {
                    height: 64,
                    width: 64,
                    stride: 1,
                    rate_hz: 0.0,
                    stretch: StretchSetting::None,
                },
                calibration: None,
                origin: [("data".to_owned(), "none".to_owned())].into(),
            },
            tensors: net.tensors(),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().join("w.safetensors")).unwrap();
        weights.write(&path).unwrap();
        let first = std::fs::read(&path).unwrap();
        let read = Weights::read(&path).unwrap();
        let again = read
            .net::<burn::backend::Flex>(&path, &Default::default())
            .unwrap();
        let bits = |t: &Tensors| -> Vec<Vec<u32>> {
            let one = |t: &HostTensor| t.values.iter().map(|v| v.to_bits()).collect();
            t.values().map(one).collect()
        };
        assert_eq!(bits(&again.tensors()), bits(&weights.tensors));
        assert_eq!(read, weights);
        read.write(&path).unwrap();
        assert!(
            std::fs::read(&path).unwrap() == first,
            "the same weights, other bytes"
        );
    }
}
