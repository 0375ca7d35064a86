//! One convolution with its batch norm, forward and backward.

use std::ops::Range;

use crate::collective::{Collective, joint_moments};
use crate::conv::{Algorithm, Epilogue, PackedWeights, conv3x3};
use crate::isa::Isa;
use crate::network::layers::Layer;
use crate::network::parameters::{Layout, Parameters};
use crate::network::{KernelError, NORM_EPSILON, Operation, Profile, Tensors};
use crate::norm::{Affine, Moments, apply_affine, joint_norm_backward, moments};
use crate::outer::{conv3x3_weight_gradient, up_conv3x3_weight_gradient};
use crate::sums::channel_sums;
use crate::up::{PackedUpGradient, PackedUpWeights, up_conv3x3, up_conv3x3_input_gradient};
use crate::view::{FeatureMap, View, ViewMut};

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
    /// Pixels, of all devices, that `moments` are of.
    pixels: usize,
    moments: Moments,
    affine: Affine,
}

impl Conv {
    pub(super) fn new(
        layer: &Layer,
        tensors: &Tensors<'_>,
        parameters: &mut Parameters,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Result<Self, KernelError> {
        let Layer {
            name,
            norm,
            channels,
            level,
            up,
        } = layer;
        let layout = if *up {
            Layout::Up(*channels)
        } else {
            Layout::Conv(*channels)
        };
        let mut add = |name: String, layout, len| -> Result<_, KernelError> {
            let values = tensors.get(&name, len)?;
            Ok(parameters.add(name, layout, values))
        };
        let weights = add(format!("{name}.weight"), layout, channels.weights())?;
        let bias = add(format!("{name}.bias"), Layout::Plain, channels.output)?;
        let norm = match norm {
            None => None,
            Some(norm) => Some(Norm {
                gamma: add(format!("{norm}.weight"), Layout::Plain, channels.output)?,
                beta: add(format!("{norm}.bias"), Layout::Plain, channels.output)?,
                running_mean: tensors.get(&format!("{norm}.running_mean"), channels.output)?,
                running_variance: tensors.get(&format!("{norm}.running_var"), channels.output)?,
                name: norm.clone(),
                raw: FeatureMap::default(),
                pixels: 0,
                moments: Moments::default(),
                affine: Affine::default(),
            }),
        };
        let hwio = &parameters.values[weights.clone()];
        let kind = if *up {
            Kind::Up {
                forward: PackedUpWeights::new(isa, hwio, *channels),
                backward: PackedUpGradient::new(isa, hwio, *channels),
            }
        } else {
            Kind::Same {
                algorithm,
                forward: PackedWeights::new(isa, algorithm, hwio, *channels),
                backward: PackedWeights::for_input_gradient(isa, algorithm, hwio, *channels),
            }
        };
        Ok(Self {
            weights,
            bias,
            level: *level,
            kind,
            norm,
        })
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

    /// Convolution, and where there is a norm, normalisation with the statistics of the batch, on
    /// all devices, and ReLU.
    pub(super) fn forward(
        &mut self,
        isa: Isa,
        values: &[f32],
        input: View<'_>,
        output: ViewMut<'_>,
        profile: &mut Profile,
        collective: Option<&dyn Collective>,
    ) {
        let bias = &values[self.bias.clone()];
        let operation = match self.kind {
            Kind::Same { .. } => Operation::Convolution,
            Kind::Up { .. } => Operation::UpConvolution,
        };
        let Some(norm) = &mut self.norm else {
            Self::apply(&self.kind, bias, input, output);
            profile.lap(operation, self.level);
            return;
        };
        norm.raw.reshape(output.shape());
        Self::apply(&self.kind, bias, input, norm.raw.view_mut());
        profile.lap(operation, self.level);
        norm.moments = joint_moments(collective, moments(isa, norm.raw.view()));
        norm.pixels = norm.raw.shape().pixels() * collective.map_or(1, Collective::world_size);
        norm.affine = norm.moments.affine(
            &values[norm.gamma.clone()],
            &values[norm.beta.clone()],
            NORM_EPSILON,
        );
        apply_affine(isa, norm.raw.view(), &norm.affine, true, output);
        profile.lap(Operation::Norm, self.level);
    }

    /// Gradients of the parameters into `parameters`, that of the input where asked for.
    /// `gradient`, that of the output, is used up.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn backward(
        &mut self,
        isa: Isa,
        parameters: &mut Parameters,
        input: View<'_>,
        mut gradient: ViewMut<'_>,
        of_input: Option<ViewMut<'_>>,
        profile: &mut Profile,
        collective: Option<&dyn Collective>,
    ) {
        let to = &mut parameters.gradient;
        if let Some(norm) = &self.norm {
            let (raw, moments, affine) = (norm.raw.view(), &norm.moments, &norm.affine);
            let to_input = &mut gradient;
            let g = joint_norm_backward(
                isa,
                raw,
                moments,
                affine,
                NORM_EPSILON,
                true,
                to_input,
                collective,
            );
            to[norm.gamma.clone()].copy_from_slice(&g.gamma);
            to[norm.beta.clone()].copy_from_slice(&g.beta);
            // Normalisation takes the bias out again: its gradient is 0, and stays it.
        } else {
            to[self.bias.clone()].copy_from_slice(&channel_sums(isa, gradient.as_view()));
        }
        profile.lap(Operation::NormGradient, self.level);
        let gradient = gradient.as_view();
        let of_weights = &mut to[self.weights.clone()];
        match &self.kind {
            Kind::Same {
                algorithm,
                backward,
                ..
            } => {
                conv3x3_weight_gradient(isa, *algorithm, input, gradient, of_weights);
                profile.lap(Operation::WeightGradient, self.level);
                if let Some(of_input) = of_input {
                    conv3x3(gradient, backward, Epilogue::default(), of_input);
                }
            }
            Kind::Up { backward, .. } => {
                up_conv3x3_weight_gradient(isa, input, gradient, of_weights);
                profile.lap(Operation::WeightGradient, self.level);
                if let Some(of_input) = of_input {
                    up_conv3x3_input_gradient(gradient, backward, of_input);
                }
            }
        }
        profile.lap(Operation::InputGradient, self.level);
    }
}
