//! Fast CPU kernels for channels-last convolutional networks.
//!
//! What a U-Net with 3x3 convolutions needs on a CPU, forward and backward, in `f32`:
//! [convolution](conv3x3) (direct or by [Winograd's algorithm](Algorithm)), [transposed
//! convolution](up_conv3x3), their gradients, [2x2 max-pooling](max_pool2), [batch
//! normalisation](moments) fused with ReLU, [reading](read_items), [training](TrainingLookup) and
//! [writing](GatheredQueries) of memory pools, and [Adam]. Inference also knows [bf16](Precision). The crate
//! knows no network: a network is a sequence of calls over views, as in the example `denoise`.
//!
//! **Layout.** Images are channels-last, `[batch, height, width, channels]`, from input to output: a
//! vector register holds channels of one pixel, and no operation changes that order. A [`View`] may be
//! some channels of a wider image, so that two layers write side by side what a third one reads as
//! one. A [`FeatureMap`] has a border of one zero pixel, which lets a convolution read past the edge;
//! input without one is copied in strips that stay in the cache. Weights are `[3, 3, Cin, Cout]` and
//! are packed for an instruction set; [`oihw_to_hwio`] and [`iohw_to_hwio`] transpose PyTorch's, and
//! pictures in planes are the caller's to transpose.
//!
//! **Instruction sets.** Kernels are compiled for AVX-512, AVX2 with FMA, and plain Rust.
//! [`Isa::detect`] takes the best that the machine has; every operation takes an [`Isa`], so that
//! all can be tested. Nothing is read from the environment.
//!
//! **Threads.** Work is spread over the current rayon pool. How it is cut depends on shapes alone
//! and sums over pieces are taken in a fixed order: results are bit-equal on any number of threads
//! (of one instruction set; the sets round differently). [`enter`] spares a sequence of operations
//! the way into the pool.
//!
//! **Ranks.** Where processes or devices share a batch, what is a sum over the batch takes a
//! [`Collective`]: [moments](Moments::over_ranks) and their [gradient](BatchNorm::backward), the
//! [losses](TrainingLookup::losses) of a lookup and what a pool [writes](GatheredQueries::over_ranks). How ranks
//! communicate is the caller's.
//!
//! **Errors.** Shapes that do not fit together are the caller's mistake and panic with both shapes
//! named.
//!
//! `unsafe` is confined to this crate: raw pointers inside the kernels, behind functions that check
//! every length. [`mod@reference`] holds the definitions in `f64`, which the tests compare with.
//!
//! ```
//! use msn_kernels::{Algorithm, Channels, Epilogue, FeatureMap, Isa, PackedWeights, Shape, View, conv3x3};
//!
//! let isa = Isa::detect();
//! let channels = Channels::new(3, 8);
//! let weights = PackedWeights::new(isa, Algorithm::Fastest, &vec![0.1; channels.weights()], channels);
//!
//! let shape = Shape::new(1, 5, 7, 3);
//! let pixels = vec![1.0; shape.len()];
//! let mut output = FeatureMap::zeros(shape.with_channels(8));
//! conv3x3(View::dense(&pixels, shape), &weights, Epilogue::bias_relu(&[0.5; 8]), output.view_mut());
//!
//! // 27 products inside, 12 in a corner.
//! assert!((output.view().pixel(0, 2, 3)[0] - 3.2).abs() < 1e-5);
//! assert!((output.view().pixel(0, 0, 0)[0] - 1.7).abs() < 1e-5);
//! ```

mod adam;
mod address;
mod buffers;
mod collective;
mod conv;
mod error;
mod gather;
mod isa;
mod loss;
mod max_pool;
mod method;
mod narrow;
mod norm;
mod outer;
mod pixels;
mod precision;
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
    Addressing, GatheredQueries, PackedItems, PoolLossWeights, PoolLosses, ReadGradient, Readings,
    TrainingLookup, WriteRule, read_items, write_items,
};
pub use collective::{Collective, sum_over_ranks, world_size};
pub use conv::{Algorithm, Epilogue, PackedWeights, conv3x3};
pub use error::NameError;
pub use isa::Isa;
pub use loss::squared_error_of_tanh;
pub use max_pool::{max_pool2, max_pool2_backward};
pub use method::Method;
pub use norm::{Affine, BatchNorm, Moments, NormGradient, apply_affine, moments};
pub use outer::{conv3x3_weight_gradient, up_conv3x3_weight_gradient};
pub use precision::Precision;
pub use sums::channel_sums;
pub use tanh::tanh_in_place;
pub use threads::enter;
pub use up::{PackedUpGradient, PackedUpWeights, up_conv3x3, up_conv3x3_input_gradient};
pub use view::{FeatureMap, Shape, View, ViewMut, copy};
pub use weights::{Channels, hwio_to_iohw, hwio_to_oihw, iohw_to_hwio, oihw_to_hwio};

/// The README's example compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
