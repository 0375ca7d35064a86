//! Layers of the network: 3x3 convolutions, batch norm, upsampling. NCHW throughout.

use burn::{
    module::{Module, Param, ParamId},
    tensor::{
        FloatDType, Tensor, TensorData,
        activation::relu,
        backend::{AutodiffBackend, Backend},
        module::{conv_transpose2d, conv2d, max_pool2d},
        ops::{ConvOptions, ConvTransposeOptions},
    },
};
use msn_kernels::{Channels, Precision};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::plan::{ConvPlan, NORM_EPSILON};

/// Whether statistics come from the batch (and are noted) or from training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, as in training.
    Train,
    /// Running statistics.
    Evaluate,
}

/// Mean and unbiased variance `[C]` that one batch norm saw.
#[derive(Clone, Debug)]
pub struct BatchStatistics<B: Backend> {
    /// Mean, `[C]`.
    pub mean: Tensor<B, 1>,
    /// Unbiased variance, `[C]`.
    pub variance: Tensor<B, 1>,
}

impl<B: AutodiffBackend> BatchStatistics<B> {
    /// The same numbers, seen on the inner backend, as constants of this one.
    pub fn from_inner(seen: BatchStatistics<B::InnerBackend>) -> Self {
        Self {
            mean: Tensor::from_inner(seen.mean),
            variance: Tensor::from_inner(seen.variance),
        }
    }
}

/// Means over the ranks that each compute an equal part of one batch, with their gradient.
pub trait AllReduceMean<B: Backend>: std::fmt::Debug + Send + Sync {
    /// How many ranks there are, at least 1.
    fn world_size(&self) -> usize;

    /// The mean over ranks of `own`, bit-equal on all. All ranks call it in the same order with the
    /// same length. Its gradient is the mean over ranks of its gradients: averaged over ranks, the
    /// gradients of parameters then are those of the whole batch.
    fn mean(&self, own: Tensor<B, 1>) -> Tensor<B, 1>;
}

/// How a training step passes through the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Training<'a, B: Backend> {
    /// The ranks whose batch statistics are shared.
    pub all_reduce: Option<&'a dyn AllReduceMean<B>>,
    /// What convolutions multiply, forward and backward; weights, sums between layers, batch norms,
    /// pools and losses are f32.
    pub precision: Precision,
}

/// One forward pass: how and, while training, what each batch norm saw, in forward order.
#[derive(Debug)]
pub(crate) struct Pass<'a, B: Backend> {
    pub mode: Mode,
    pub training: Training<'a, B>,
    pub statistics: Vec<BatchStatistics<B>>,
}

impl<B: Backend> Pass<'_, B> {
    /// A convolution of `x` with its bias, in the pass' precision.
    fn convolve(
        &self,
        x: Tensor<B, 4>,
        weight: &Param<Tensor<B, 4>>,
        bias: &Param<Tensor<B, 1>>,
        conv: impl FnOnce(Tensor<B, 4>, Tensor<B, 4>, Option<Tensor<B, 1>>) -> Tensor<B, 4>,
    ) -> Tensor<B, 4> {
        let (weight, bias) = (weight.val(), bias.val());
        match self.training.precision {
            Precision::F32 => conv(x, weight, Some(bias)),
            Precision::Bf16 => {
                let channels = bias.dims()[0];
                let y = conv(
                    x.cast(FloatDType::BF16),
                    weight.cast(FloatDType::BF16),
                    None,
                );
                y.cast(FloatDType::F32) + bias.reshape([1, channels, 1, 1])
            }
        }
    }
}

/// 3x3 convolution, padding 1, with bias. `weight` [Cout, Cin, 3, 3].
#[derive(Module, Debug)]
pub(crate) struct Conv<B: Backend> {
    weight: Param<Tensor<B, 4>>,
    bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> Conv<B> {
    pub fn new(plan: &ConvPlan, rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let Channels { input, output } = plan.channels;
        let bound = bound(input);
        Self {
            weight: uniform([output, input, 3, 3], bound, rng, device),
            bias: uniform([output], bound, rng, device),
        }
    }

    pub fn forward(&self, x: Tensor<B, 4>, pass: &Pass<'_, B>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let conv = |x, weight, bias| conv2d(x, weight, bias, options);
        pass.convolve(x, &self.weight, &self.bias, conv)
    }
}

/// Batch norm over [N, C, H, W] as PyTorch's: eps 1e-5, running variance unbiased.
#[derive(Module, Debug)]
pub(crate) struct Norm<B: Backend> {
    weight: Param<Tensor<B, 1>>,
    bias: Param<Tensor<B, 1>>,
    running_mean: Param<Tensor<B, 1>>,
    running_var: Param<Tensor<B, 1>>,
}

impl<B: Backend> Norm<B> {
    pub fn new(channels: usize, device: &B::Device) -> Self {
        let frozen =
            |t: Tensor<B, 1>| Param::initialized(ParamId::new(), t).set_require_grad(false);
        Self {
            weight: Param::from_tensor(Tensor::ones([channels], device)),
            bias: Param::from_tensor(Tensor::zeros([channels], device)),
            running_mean: frozen(Tensor::zeros([channels], device)),
            running_var: frozen(Tensor::ones([channels], device)),
        }
    }

    pub fn forward(&self, x: Tensor<B, 4>, pass: &mut Pass<'_, B>) -> Tensor<B, 4> {
        let [n, c, h, w] = x.dims();
        let row = |t: Tensor<B, 1>| t.reshape([1, c, 1, 1]);
        let (weight, bias) = (row(self.weight.val()), row(self.bias.val()));
        match pass.mode {
            Mode::Evaluate => {
                let std = row(self.running_var.val()).add_scalar(NORM_EPSILON).sqrt();
                let scale = weight / std;
                let shift = bias - row(self.running_mean.val()) * scale.clone();
                x * scale + shift
            }
            Mode::Train => {
                let over = |t: Tensor<B, 4>| {
                    let own = t.mean_dim(0).mean_dim(2).mean_dim(3);
                    match pass.training.all_reduce {
                        Some(ranks) => row(ranks.mean(own.reshape([c]))),
                        None => own,
                    }
                };
                let ranks = pass
                    .training
                    .all_reduce
                    .map_or(1, AllReduceMean::world_size);
                let rough = over(x.clone());
                let centred = x - rough.clone();
                // What rounding left of the mean: a large channel over a small spread would turn
                // it into an error of several units in the last place. No gradient belongs to it.
                let rest = over(centred.clone().detach());
                let mean = rough.detach() + rest.clone();
                let centred = centred - rest;
                let variance = over(centred.clone().square());
                let count = (n * h * w * ranks) as f64;
                pass.statistics.push(BatchStatistics {
                    mean: mean.reshape([c]),
                    variance: variance.clone().detach().reshape([c])
                        * (count / (count - 1.0).max(1.0)),
                });
                centred * (weight / variance.add_scalar(NORM_EPSILON).sqrt()) + bias
            }
        }
    }

    /// `running <- (1 - share) running + share seen`.
    pub fn update(&mut self, seen: &BatchStatistics<B>, share: f64) {
        let mixed = |old: &Param<Tensor<B, 1>>, new: &Tensor<B, 1>| {
            let value = old.val() * (1.0 - share) + new.clone() * share;
            Param::initialized(old.id, value.detach()).set_require_grad(false)
        };
        self.running_mean = mixed(&self.running_mean, &seen.mean);
        self.running_var = mixed(&self.running_var, &seen.variance);
    }
}

/// conv - norm - ReLU - conv - [norm - ReLU].
#[derive(Module, Debug)]
pub(crate) struct Block<B: Backend> {
    conv1: Conv<B>,
    norm1: Norm<B>,
    conv2: Conv<B>,
    norm2: Option<Norm<B>>,
}

impl<B: Backend> Block<B> {
    pub fn new(plan: &[ConvPlan; 2], rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let [first, second] = plan;
        let norm = |conv: &ConvPlan| Norm::new(conv.channels.output, device);
        Self {
            conv1: Conv::new(first, rng, device),
            norm1: norm(first),
            conv2: Conv::new(second, rng, device),
            norm2: second.norm.is_some().then(|| norm(second)),
        }
    }

    pub fn forward(&self, x: Tensor<B, 4>, pass: &mut Pass<'_, B>) -> Tensor<B, 4> {
        let x = relu(self.norm1.forward(self.conv1.forward(x, pass), pass));
        let x = self.conv2.forward(x, pass);
        match &self.norm2 {
            Some(norm) => relu(norm.forward(x, pass)),
            None => x,
        }
    }

    /// In forward order.
    pub fn norms(&mut self) -> impl Iterator<Item = &mut Norm<B>> {
        [Some(&mut self.norm1), self.norm2.as_mut()]
            .into_iter()
            .flatten()
    }
}

/// The last block: like [`Block`], then conv - tanh to the frame.
#[derive(Module, Debug)]
pub(crate) struct LastBlock<B: Backend> {
    conv1: Conv<B>,
    norm1: Norm<B>,
    conv2: Conv<B>,
    norm2: Norm<B>,
    conv3: Conv<B>,
}

impl<B: Backend> LastBlock<B> {
    pub fn new(
        plan: &[ConvPlan; 2],
        last: &ConvPlan,
        rng: &mut ChaCha8Rng,
        device: &B::Device,
    ) -> Self {
        let [first, second] = plan;
        Self {
            conv1: Conv::new(first, rng, device),
            norm1: Norm::new(first.channels.output, device),
            conv2: Conv::new(second, rng, device),
            norm2: Norm::new(second.channels.output, device),
            conv3: Conv::new(last, rng, device),
        }
    }

    pub fn forward(&self, x: Tensor<B, 4>, pass: &mut Pass<'_, B>) -> Tensor<B, 4> {
        let x = relu(self.norm1.forward(self.conv1.forward(x, pass), pass));
        let x = relu(self.norm2.forward(self.conv2.forward(x, pass), pass));
        self.conv3.forward(x, pass).tanh()
    }

    pub fn norms(&mut self) -> impl Iterator<Item = &mut Norm<B>> {
        [&mut self.norm1, &mut self.norm2].into_iter()
    }
}

/// 3x3 transposed convolution to twice the size, `weight` [Cin, Cout, 3, 3].
#[derive(Module, Debug)]
pub(crate) struct UpConv<B: Backend> {
    weight: Param<Tensor<B, 4>>,
    bias: Param<Tensor<B, 1>>,
}

/// Transposed conv - norm - ReLU.
#[derive(Module, Debug)]
pub(crate) struct Up<B: Backend> {
    conv: UpConv<B>,
    norm: Norm<B>,
}

impl<B: Backend> Up<B> {
    pub fn new(plan: &ConvPlan, rng: &mut ChaCha8Rng, device: &B::Device) -> Self {
        let Channels { input, output } = plan.channels;
        // PyTorch takes the second axis of a transposed weight for its fan-in.
        let bound = bound(output);
        let conv = UpConv {
            weight: uniform([input, output, 3, 3], bound, rng, device),
            bias: uniform([output], bound, rng, device),
        };
        Self {
            conv,
            norm: Norm::new(output, device),
        }
    }

    pub fn forward(&self, x: Tensor<B, 4>, pass: &mut Pass<'_, B>) -> Tensor<B, 4> {
        let options = ConvTransposeOptions::new([2, 2], [1, 1], [1, 1], [1, 1], 1);
        let conv = |x, weight, bias| conv_transpose2d(x, weight, bias, options);
        let x = pass.convolve(x, &self.conv.weight, &self.conv.bias, conv);
        relu(self.norm.forward(x, pass))
    }

    pub fn norm(&mut self) -> &mut Norm<B> {
        &mut self.norm
    }
}

/// 2x2 max-pool.
pub(crate) fn halve<B: Backend>(x: Tensor<B, 4>) -> Tensor<B, 4> {
    max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false)
}

/// PyTorch's default for convolutions: uniform within 1 / sqrt(fan-in).
fn bound(fan_channels: usize) -> f64 {
    1.0 / ((fan_channels * 9) as f64).sqrt()
}

fn uniform<B: Backend, const D: usize>(
    shape: [usize; D],
    bound: f64,
    rng: &mut ChaCha8Rng,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let draw = |_| (rng.random::<f64>() * 2.0 - 1.0) * bound;
    let draws: Vec<f32> = (0..shape.iter().product())
        .map(draw)
        .map(|v| v as f32)
        .collect();
    Param::from_tensor(Tensor::from_data(TensorData::new(draws, shape), device))
}
