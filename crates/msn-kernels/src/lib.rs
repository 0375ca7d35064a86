//! Fast CPU kernels for channels-last convolutional networks

mod adam;
mod address;
mod buffers;
mod conv;
mod gather;
mod isa;
mod loss;
mod max_pool;
mod narrow;
mod network;
mod norm;
mod outer;
mod pixels;
pub mod reference;
mod sums;
mod tanh;
mod threads;
mod up;
mod view;
mod weights;
mod winograd;

pub use adam::Adam;
pub use address::{
    Addressing, Lookup, LossWeights, PackedItems, PoolLosses, Readings, WriteRule, read_items,
    write_items,
};
pub use conv::{Algorithm, Epilogue, PackedWeights, conv3x3};
pub use isa::Isa;
pub use loss::squared_error_of_tanh;
pub use max_pool::{max_pool2, max_pool2_backward};
pub use network::{
    Inference, KernelError, Losses, NetworkConfig, Output, Training, TrainingConfig,
};
pub use norm::{Affine, Moments, NormGradient, apply_affine, batch_norm_backward, moments};
pub use outer::{conv3x3_weight_gradient, up_conv3x3_weight_gradient};
pub use sums::channel_sums;
pub use tanh::tanh_in_place;
pub use up::{PackedUpGradient, PackedUpWeights, up_conv3x3, up_conv3x3_input_gradient};
pub use view::{FeatureMap, Shape, View, ViewMut, copy};
pub use weights::{Channels, hwio_to_iohw, hwio_to_oihw, iohw_to_hwio, oihw_to_hwio};
