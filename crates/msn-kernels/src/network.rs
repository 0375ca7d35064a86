//! MSN-net as one engine: the network of METHOD.md, hand-laid on these kernels.
//!
//! Feature maps are kept from one call to the next and every concatenation is written in place, so
//! that nothing but the prediction is allocated.

mod infer;
mod layers;
mod parameters;
mod profile;
mod train;

pub use infer::{Inference, Output};
pub use parameters::OptimiserState;
pub use profile::{Operation, Profile};
pub use train::{Losses, Training, TrainingConfig};

use layers::Layer;
use thiserror::Error;

use crate::conv::Algorithm;
use crate::isa::Isa;
use crate::precision::Precision;
use crate::view::Shape;

/// The largest level: pictures are halved three times.
const LEVELS: usize = 4;
/// Height and width are multiples of this.
const MULTIPLE: usize = 8;
/// No setting is larger; sizes of tensors then fit into 64 bits.
const LARGEST: usize = 65536;
/// Epsilon of the batch norms.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// How an engine computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    /// The instruction set.
    pub isa: Isa,
    /// How convolutions are computed.
    pub algorithm: Algorithm,
    /// What the products of convolutions are computed in; training knows `f32` alone.
    pub precision: Precision,
}

impl Method {
    /// `algorithm` in `f32` on the fastest instruction set of the machine.
    pub fn new(algorithm: Algorithm) -> Self {
        Self {
            isa: Isa::detect(),
            algorithm,
            precision: Precision::F32,
        }
    }
}

impl From<Algorithm> for Method {
    fn from(algorithm: Algorithm) -> Self {
        Self::new(algorithm)
    }
}

impl Default for Method {
    fn default() -> Self {
        Self::new(Algorithm::Fastest)
    }
}

/// What a network looks like; METHOD.md, Network and A pool.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkConfig {
    /// Past frames, T.
    pub frames: usize,
    /// Channels of a frame: 1 grey, 3 RGB.
    pub channels: usize,
    /// Channels of the first level, w.
    pub width: usize,
    /// Numbers of the pools, of 1, 2, 3.
    pub pools: Vec<usize>,
    /// Items of each pool.
    pub items: usize,
    /// Whether the decoder sees the first level's feature.
    pub skip1: bool,
    /// Whether the decoder gets [unit query, read] from a pool, not the read alone.
    pub concat: bool,
    /// Similarities are divided by this, > 0.
    pub temperature: f32,
    /// Read with the nearest items only; 0 = all.
    pub top_k: usize,
}

/// Why a network can't be built or run.
#[derive(Debug, Error, PartialEq)]
#[non_exhaustive]
pub enum KernelError {
    /// A setting that no network can have.
    #[error("{setting} is {value}, but {expected}")]
    Config {
        /// Its name.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Products that the instruction set does not have.
    #[error(
        "the instruction set {isa} has no products in {precision}, which AVX-512 BF16 has; compute in f32"
    )]
    Precision {
        /// The instruction set.
        isa: Isa,
        /// What was asked for.
        precision: Precision,
    },
    /// The weights lack a tensor.
    #[error("the weights have no tensor {name}; are they of this network's configuration?")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another size than the configuration asks for.
    #[error(
        "tensor {name} has {found} values, the configuration asks for {expected}; check width, frames, channels, items and pools"
    )]
    TensorSize {
        /// Its name.
        name: String,
        /// Values that the configuration asks for.
        expected: usize,
        /// Values that it has.
        found: usize,
    },
    /// Pictures that can't be halved three times.
    #[error(
        "pictures are {height} x {width}, but sides are multiples of {MULTIPLE} and at least {MULTIPLE}; resize them"
    )]
    PictureSize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// An input of another length than its shape.
    #[error("{what} has {found} values, {shape:?} has {expected}")]
    InputSize {
        /// Which.
        what: &'static str,
        /// The shape it should have.
        shape: Shape,
        /// Values of the shape.
        expected: usize,
        /// Values that it has.
        found: usize,
    },
}

impl NetworkConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`KernelError::Config`] with the setting's name.
    pub fn check(&self) -> Result<(), KernelError> {
        let error = |setting, value: String, expected| {
            Err(KernelError::Config {
                setting,
                value,
                expected,
            })
        };
        for (setting, value) in [
            ("frames", self.frames),
            ("channels", self.channels),
            ("width", self.width),
        ] {
            if !(1..=LARGEST).contains(&value) {
                return error(setting, value.to_string(), "it is 1 to 65536");
            }
        }
        if !(2..=LARGEST).contains(&self.items) {
            return error("items", self.items.to_string(), "a pool has 2 to 65536");
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return error(
                "temperature",
                self.temperature.to_string(),
                "it is positive and finite",
            );
        }
        if self.top_k > self.items {
            return error(
                "top_k",
                self.top_k.to_string(),
                "it is at most the number of items",
            );
        }
        let ascending = self.pools.windows(2).all(|p| p[0] < p[1]);
        if !ascending || self.pools.iter().any(|p| !(1..=3).contains(p)) {
            return error(
                "pools",
                format!("{:?}", self.pools),
                "they are some of 1, 2, 3 in this order",
            );
        }
        Ok(())
    }

    /// Name and shape of every tensor of the network, as in PyTorch's `state_dict` (without
    /// `num_batches_tracked`).
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut all = Vec::new();
        let blocks =
            (1..=LEVELS).flat_map(|l| [Layer::encoder(self, l), Layer::decoder(self, l)].concat());
        for layer in blocks
            .chain((2..=LEVELS).map(|l| Layer::up(self, l)))
            .chain([Layer::last(self)])
        {
            let Layer {
                name,
                norm,
                channels,
                up,
                ..
            } = layer;
            let (input, output) = (channels.input, channels.output);
            let shape = if up {
                vec![input, output, 3, 3]
            } else {
                vec![output, input, 3, 3]
            };
            all.push((format!("{name}.weight"), shape));
            all.push((format!("{name}.bias"), vec![output]));
            for part in ["weight", "bias", "running_mean", "running_var"] {
                if let Some(norm) = &norm {
                    all.push((format!("{norm}.{part}"), vec![output]));
                }
            }
        }
        for &pool in &self.pools {
            all.push((
                layers::items_name(pool),
                vec![self.items, self.item_features(pool)],
            ));
        }
        all
    }

    /// Channels of the feature at `level` (1..=4).
    pub(crate) fn features(&self, level: usize) -> usize {
        self.width << (level - 1)
    }

    /// Features of an item of pool `pool` (1..=3).
    pub fn item_features(&self, pool: usize) -> usize {
        self.features(pool + 1)
    }

    /// Whether the feature of `level` goes through a pool.
    pub(crate) fn has_pool(&self, level: usize) -> bool {
        level > 1 && self.pools.contains(&(level - 1))
    }

    /// Channels that the decoder gets from the encoder at `level`.
    pub(crate) fn handed_on(&self, level: usize) -> usize {
        match level {
            1 if !self.skip1 => 0,
            _ if self.has_pool(level) && self.concat => 2 * self.features(level),
            _ => self.features(level),
        }
    }

    /// Channels that the decoder's block at `level` reads: what is handed on, then what comes up.
    pub(crate) fn joined(&self, level: usize) -> usize {
        self.handed_on(level)
            + if level < LEVELS {
                self.features(level)
            } else {
                0
            }
    }

    /// Checks pictures and gives the input's shape.
    pub(crate) fn input_shape(
        &self,
        input: &[f32],
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<Shape, KernelError> {
        if height == 0
            || width == 0
            || !height.is_multiple_of(MULTIPLE)
            || !width.is_multiple_of(MULTIPLE)
        {
            return Err(KernelError::PictureSize { height, width });
        }
        let shape = Shape::new(batch, height, width, self.frames * self.channels);
        let expected = shape.checked_len().unwrap_or(usize::MAX);
        if input.len() != expected {
            let found = input.len();
            return Err(KernelError::InputSize {
                what: "the input",
                shape,
                expected,
                found,
            });
        }
        Ok(shape)
    }
}

/// Looks up tensors and checks their sizes.
pub(crate) struct Tensors<'a>(pub(crate) &'a dyn Fn(&str) -> Option<Vec<f32>>);

impl Tensors<'_> {
    pub(crate) fn get(&self, name: &str, expected: usize) -> Result<Vec<f32>, KernelError> {
        let tensor = (self.0)(name).ok_or_else(|| KernelError::MissingTensor {
            name: name.to_owned(),
        })?;
        if tensor.len() != expected {
            return Err(KernelError::TensorSize {
                name: name.to_owned(),
                expected,
                found: tensor.len(),
            });
        }
        Ok(tensor)
    }
}
