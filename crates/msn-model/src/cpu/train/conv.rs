//! One convolution with its batch norm, forward and backward.

use std::ops::Range;

use msn_kernels::{
    Affine, Algorithm, BatchNorm, Collective, Epilogue, FeatureMap, Isa, Moments, PackedUpGradient,
    PackedUpWeights, PackedWeights, View, ViewMut, apply_affine, channel_sums, conv3x3,
    conv3x3_weight_gradient, moments, up_conv3x3, up_conv3x3_input_gradient,
    up_conv3x3_weight_gradient, world_size,
};

use super::parameters::{Parameters, WeightLayout};
use crate::{
    cpu::{
        Operation, Profile,
        network::{Layer, Pass, Source},
    },
    plan::{ConvPlan, NORM_EPSILON},
};

/// What a backward pass is made with.
pub(super) struct BackwardPass<'a> {
    pub isa: Isa,
    pub parameters: &'a mut Parameters,
    /// The ranks that share the batch.
    pub collective: Option<&'a dyn Collective>,
    pub profile: &'a mut Profile,
}

/// A convolution, its batch norm and what its backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Conv {
    weights: Range<usize>,
    bias: Range<usize>,
    level: usize,
    kind: Kind,
    pub(super) norm: Option<Norm>,
}

#[derive(Clone, Debug)]
enum Kind {
    Same {
        algorithm: Algorithm,
        forward: PackedWeights,
        backward: PackedWeights,
    },
    Up {
        forward: PackedUpWeights,
        backward: PackedUpGradient,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) name: String,
    gamma: Range<usize>,
    beta: Range<usize>,
    pub(super) running_mean: Vec<f32>,
    pub(super) running_variance: Vec<f32>,
    /// What is normalised.
    raw: FeatureMap,
    /// Pixels, of all ranks, that `moments` are of.
    pixels: usize,
    moments: Moments,
    affine: Affine,
}

impl Conv {
    pub(super) fn new(
        conv: &ConvPlan,
        source: &Source<'_>,
        parameters: &mut Parameters,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Self {
        let channels = conv.channels;
        let layout = if conv.transposed {
            WeightLayout::Up(channels)
        } else {
            WeightLayout::Conv(channels)
        };
        let mut add = |name: String, layout| {
            let values = source.get(&name);
            parameters.add(name, layout, values)
        };
        let weights = add(format!("{}.weight", conv.name), layout);
        let bias = add(format!("{}.bias", conv.name), WeightLayout::Plain);
        let norm = conv.norm.as_ref().map(|norm| Norm {
            gamma: add(format!("{norm}.weight"), WeightLayout::Plain),
            beta: add(format!("{norm}.bias"), WeightLayout::Plain),
            running_mean: source.get(&format!("{norm}.running_mean")).to_vec(),
            running_variance: source.get(&format!("{norm}.running_var")).to_vec(),
            name: norm.clone(),
            raw: FeatureMap::default(),
            pixels: 0,
            moments: Moments::default(),
            affine: Affine::default(),
        });
        let hwio = &parameters.values[weights.clone()];
        let kind = if conv.transposed {
            Kind::Up {
                forward: PackedUpWeights::new(isa, hwio, channels),
                backward: PackedUpGradient::new(isa, hwio, channels),
            }
        } else {
            Kind::Same {
                algorithm,
                forward: PackedWeights::new(isa, algorithm, hwio, channels),
                backward: PackedWeights::for_input_gradient(isa, algorithm, hwio, channels),
            }
        };
        Self {
            weights,
            bias,
            level: conv.level,
            kind,
            norm,
        }
    }

    /// Moves running statistics by `share` towards those of the last forward pass.
    pub(super) fn move_statistics(&mut self, share: f32) {
        let Some(norm) = &mut self.norm else { return };
        let unbiased = norm.moments.unbiased_variance(norm.pixels);
        let running = norm
            .running_mean
            .iter_mut()
            .chain(&mut norm.running_variance);
        for (running, new) in running.zip(norm.moments.mean.iter().chain(&unbiased)) {
            *running += share * (new - *running);
        }
    }

    /// Takes over changed parameters.
    pub(super) fn pack(&mut self, values: &[f32]) {
        let hwio = &values[self.weights.clone()];
        match &mut self.kind {
            Kind::Same {
                forward, backward, ..
            } => {
                forward.replace(hwio);
                backward.replace(hwio);
            }
            Kind::Up { forward, backward } => {
                forward.replace(hwio);
                backward.replace(hwio);
            }
        }
    }

    fn apply(kind: &Kind, bias: &[f32], input: View<'_>, output: ViewMut<'_>) {
        match kind {
            Kind::Same { forward, .. } => conv3x3(input, forward, Epilogue::bias(bias), output),
            Kind::Up { forward, .. } => up_conv3x3(input, forward, Epilogue::bias(bias), output),
        }
    }

    /// Gradients of the parameters, and of the input where it is wanted. `gradient`, that of the
    /// output, is used up.
    pub(super) fn backward(
        &mut self,
        pass: &mut BackwardPass<'_>,
        input: View<'_>,
        mut gradient: ViewMut<'_>,
        of_input: Option<ViewMut<'_>>,
    ) {
        let (isa, to) = (pass.isa, &mut pass.parameters.gradient);
        if let Some(norm) = &self.norm {
            let forward = BatchNorm {
                input: norm.raw.view(),
                moments: &norm.moments,
                affine: &norm.affine,
                epsilon: NORM_EPSILON,
                relu: true,
            };
            let g = forward.backward(isa, &mut gradient, pass.collective);
            to[norm.gamma.clone()].copy_from_slice(&g.gamma);
            to[norm.beta.clone()].copy_from_slice(&g.beta);
            // Normalisation takes the bias out again: its gradient is 0, and stays it.
        } else {
            to[self.bias.clone()].copy_from_slice(&channel_sums(isa, gradient.as_view()));
        }
        pass.profile.lap(Operation::NormGradient, self.level);
        let gradient = gradient.as_view();
        let of_weights = &mut to[self.weights.clone()];
        match &self.kind {
            Kind::Same {
                algorithm,
                backward,
                ..
            } => {
                conv3x3_weight_gradient(isa, *algorithm, input, gradient, of_weights);
                pass.profile.lap(Operation::WeightGradient, self.level);
                if let Some(of_input) = of_input {
                    conv3x3(gradient, backward, Epilogue::default(), of_input);
                }
            }
            Kind::Up { backward, .. } => {
                up_conv3x3_weight_gradient(isa, input, gradient, of_weights);
                pass.profile.lap(Operation::WeightGradient, self.level);
                if let Some(of_input) = of_input {
                    up_conv3x3_input_gradient(gradient, backward, of_input);
                }
            }
        }
        pass.profile.lap(Operation::InputGradient, self.level);
    }
}

impl Layer for Conv {
    /// Convolution, and where there is a norm, normalisation with the statistics of the batch, of
    /// all ranks, and ReLU.
    fn forward(&mut self, pass: &mut Pass<'_>, input: View<'_>, output: ViewMut<'_>) {
        let bias = &pass.parameters[self.bias.clone()];
        let operation = match self.kind {
            Kind::Same { .. } => Operation::Convolution,
            Kind::Up { .. } => Operation::UpConvolution,
        };
        let Some(norm) = &mut self.norm else {
            Self::apply(&self.kind, bias, input, output);
            pass.profile.lap(operation, self.level);
            return;
        };
        norm.raw.reshape(output.shape());
        Self::apply(&self.kind, bias, input, norm.raw.view_mut());
        pass.profile.lap(operation, self.level);
        norm.moments = moments(pass.isa, norm.raw.view()).over_ranks(pass.collective);
        norm.pixels = norm.raw.shape().pixels() * world_size(pass.collective);
        norm.affine = norm.moments.affine(
            &pass.parameters[norm.gamma.clone()],
            &pass.parameters[norm.beta.clone()],
            NORM_EPSILON,
        );
        apply_affine(pass.isa, norm.raw.view(), &norm.affine, true, output);
        pass.profile.lap(Operation::Norm, self.level);
    }
}
