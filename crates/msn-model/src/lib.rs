//! MSN-net: a U-Net that predicts the next frame of a fixed camera's video through three memory
//! pools of normal features.
//!
//! The encoder makes features at four scales; those of levels 2 to 4 are looked up in a
//! pool each and replaced by what they read; the decoder makes the next frame of that. What the pools have never seen is predicted
//! badly; msn-eval makes the anomaly score of that error.
//!
//! ```
//! use burn::{backend::Flex, tensor::Tensor};
//! use msn_model::{Mode, MsnNet, NetConfig};
//!
//! let device = Default::default();
//! let config = NetConfig { width: 4, ..NetConfig::default() };
//! let net = MsnNet::<Flex>::new(&config, 0, &device)?;
//! let frames = Tensor::zeros([1, 4, 32, 32], &device);   // four grey frames, oldest first, in [-1, 1]
//! let next = net.forward(frames, Mode::Evaluate).prediction;
//! assert_eq!(next.dims(), [1, 1, 32, 32]);
//! # Ok::<(), msn_model::ConfigError>(())
//! ```
//!
//! [`Weights`] reads and writes weights files whose tensors have PyTorch's names.

mod config;
mod cpu;
mod fingerprint;
mod input;
mod layers;
mod lookups;
mod loss;
mod net;
mod plan;
mod prediction;
mod stretch;
mod tensors;
mod weights;

pub use config::{ConfigError, NetConfig, Rewrite};
pub use cpu::{
    CpuError, CpuNet, CpuOutput, CpuTraining, Kernels, Operation, OptimiserState, Profile,
    UnknownKernels, channels_last,
};
pub use fingerprint::{fingerprint, hash_tensors};
pub use input::{Clips, push_planes};
pub use layers::{AllReduceMean, BatchStatistics, Mode, Training};
pub use lookups::{Cosines, Lookups, receptive_area};
pub use loss::{LossWeights, Losses};
pub use msn_kernels::{Adam, Algorithm, Collective, Isa, Method, Precision};
pub use net::{MsnNet, Output, PoolLookup};
pub use prediction::{
    Map, OnDevice, PredictError, Prediction, Predictor, mean_over_channels, predict,
};
pub use stretch::{StretchError, StretchSetting};
pub use tensors::{HostTensor, TensorError, Tensors, Visit};
pub use weights::{
    CaseError, Input, Meta, MetaError, ParityCase, TensorFile, WEIGHTS_FORMAT, Weights,
    WeightsError,
};
