//! A training step: forward pass with batch statistics, losses, and the gradient of every
//! parameter, all by hand.

use std::ops::Range;

use super::layers::{Layer, items_name};
use super::parameters::{Layout, Parameters};
use super::{KernelError, LEVELS, NORM_EPSILON, NetworkConfig, Tensors};
use crate::adam::Adam;
use crate::address::{Addressing, Lookup, LossWeights, PackedItems, WriteRule, write_items};
use crate::conv::{Algorithm, Epilogue, PackedWeights, conv3x3};
use crate::isa::Isa;
use crate::loss::squared_error_of_tanh;
use crate::max_pool::{max_pool2, max_pool2_backward};
use crate::norm::{
    Affine, Moments, apply_affine, batch_norm_backward, channel_sums, moments, tanh_in_place,
};
use crate::outer::{conv3x3_weight_gradient, up_conv3x3_weight_gradient};
use crate::up::{PackedUpGradient, PackedUpWeights, up_conv3x3, up_conv3x3_input_gradient};
use crate::view::{FeatureMap, Shape, View, ViewMut};

/// Share of a batch's statistics in the running ones.
const NORM_MOMENTUM: f32 = 0.1;

/// What training needs besides the network's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrainingConfig {
    /// Weights of the pools' losses.
    pub losses: LossWeights,
    /// Whether the gradient stops at the addressing weights of what was read.
    pub detach_read: bool,
}

/// The parts of the loss; those of pools are summed over pools, and not weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// Mean squared error of the prediction over -1..=1 values.
    pub prediction: f64,
    /// METHOD.md, Loss.
    pub compactness: f64,
    /// METHOD.md, Loss.
    pub separateness: f64,
    /// METHOD.md, Loss.
    pub information: f64,
    /// All parts, weighted.
    pub total: f64,
}

/// A network that learns.
#[derive(Clone, Debug)]
pub struct Training {
    config: NetworkConfig,
    training: TrainingConfig,
    isa: Isa,
    parameters: Parameters,
    encoder: Vec<[Conv; 2]>,
    /// Levels 1..=4.
    decoder: Vec<[Conv; 2]>,
    /// From level 2, 3, 4 to the one below.
    ups: Vec<Conv>,
    last: Conv,
    pools: Vec<Option<Pool>>,
    levels: Vec<Level>,
    prediction: Vec<f32>,
    last_gradient: FeatureMap,
}

#[derive(Clone, Debug)]
struct Pool {
    items: PackedItems,
    lookup: Lookup,
}

/// A convolution, its batch norm and what its backward pass needs.
#[derive(Clone, Debug)]
struct Conv {
    weights: Range<usize>,
    bias: Range<usize>,
    kind: Kind,
    norm: Option<Norm>,
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
struct Norm {
    name: String,
    gamma: Range<usize>,
    beta: Range<usize>,
    running_mean: Vec<f32>,
    running_variance: Vec<f32>,
    /// What is normalised.
    raw: FeatureMap,
    moments: Moments,
    affine: Affine,
}

/// The feature maps of one level.
#[derive(Clone, Debug, Default)]
struct Level {
    /// What the encoder's block reads, from level 2 on.
    input: FeatureMap,
    encoder_middle: FeatureMap,
    /// The encoder's feature where it does not go straight to the decoder.
    feature: FeatureMap,
    /// What the decoder reads: from the encoder, then from below.
    joined: FeatureMap,
    decoder_middle: FeatureMap,
    decoded: FeatureMap,
    /// Gradients.
    of_input: FeatureMap,
    of_middle: FeatureMap,
    of_feature: FeatureMap,
    of_joined: FeatureMap,
}

impl Training {
    /// Builds a network from its tensors by name (those of PyTorch's `state_dict`, in PyTorch's
    /// layouts), for the fastest instruction set of the machine.
    ///
    /// # Errors
    /// A setting, a missing tensor or one of a wrong size, by name.
    pub fn new(
        config: &NetworkConfig,
        training: TrainingConfig,
        tensor: &dyn Fn(&str) -> Option<Vec<f32>>,
        algorithm: Algorithm,
    ) -> Result<Self, KernelError> {
        Self::with_isa(config, training, tensor, algorithm, Isa::detect())
    }

    /// [`Training::new`] for a given instruction set.
    ///
    /// # Errors
    /// As for [`Training::new`].
    pub fn with_isa(
        config: &NetworkConfig,
        training: TrainingConfig,
        tensor: &dyn Fn(&str) -> Option<Vec<f32>>,
        algorithm: Algorithm,
        isa: Isa,
    ) -> Result<Self, KernelError> {
        config.check()?;
        let tensors = Tensors(tensor);
        let mut parameters = Parameters::default();
        let mut conv = |layer: &Layer| Conv::new(layer, &tensors, &mut parameters, algorithm, isa);
        let mut block =
            |[a, b]: [Layer; 2]| -> Result<[Conv; 2], KernelError> { Ok([conv(&a)?, conv(&b)?]) };
        let encoder = (1..=LEVELS)
            .map(|l| block(Layer::encoder(config, l)))
            .collect::<Result<_, _>>()?;
        let decoder = (1..=LEVELS)
            .map(|l| block(Layer::decoder(config, l)))
            .collect::<Result<_, _>>()?;
        let ups = (2..=LEVELS)
            .map(|l| conv(&Layer::up(config, l)))
            .collect::<Result<_, _>>()?;
        let last = conv(&Layer::last(config))?;
        let pool = |level: usize| -> Result<_, KernelError> {
            if !config.has_pool(level) {
                return Ok(None);
            }
            let features = config.features(level);
            let items = tensors.get(&items_name(level - 1), config.items * features)?;
            let items = PackedItems::new(isa, &items, config.items, features);
            Ok(Some(Pool {
                items,
                lookup: Lookup::default(),
            }))
        };
        let pools = (1..=LEVELS).map(pool).collect::<Result<_, _>>()?;
        Ok(Self {
            config: config.clone(),
            training,
            isa,
            parameters,
            encoder,
            decoder,
            ups,
            last,
            pools,
            levels: vec![Level::default(); LEVELS],
            prediction: Vec::new(),
            last_gradient: FeatureMap::default(),
        })
    }

    /// Forward and backward pass on a batch: `input` is `[batch, height, width, T * C]`, `target`
    /// `[batch, height, width, C]`, both in -1..=1. Running statistics move; parameters and items
    /// do not, until [`Training::update`] and [`Training::write`].
    ///
    /// # Errors
    /// If the sides are not multiples of 8 or a slice has another length.
    pub fn step(
        &mut self,
        input: &[f32],
        target: &[f32],
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<Losses, KernelError> {
        let shape = self.config.input_shape(input, batch, height, width)?;
        let out_shape = shape.with_channels(self.config.channels);
        if target.len() != out_shape.len() {
            let (expected, found) = (out_shape.len(), target.len());
            return Err(KernelError::InputSize {
                what: "the target",
                shape: out_shape,
                expected,
                found,
            });
        }
        self.reshape(shape);
        self.encode(View::dense(input, shape));
        self.decode(out_shape);
        let losses = self.losses(target, out_shape);
        self.decode_backward();
        self.encode_backward(View::dense(input, shape));
        self.move_statistics(NORM_MOMENTUM);
        Ok(losses)
    }

    /// Moves running statistics by `share` towards those of a batch, `[batch, height, width, T * C]`;
    /// nothing else changes.
    ///
    /// # Errors
    /// If the sides are not multiples of 8 or the slice has another length.
    pub fn statistics(
        &mut self,
        input: &[f32],
        batch: usize,
        height: usize,
        width: usize,
        share: f32,
    ) -> Result<(), KernelError> {
        let shape = self.config.input_shape(input, batch, height, width)?;
        self.reshape(shape);
        self.encode(View::dense(input, shape));
        self.decode(shape.with_channels(self.config.channels));
        self.move_statistics(share);
        Ok(())
    }

    fn move_statistics(&mut self, share: f32) {
        let convs = self
            .encoder
            .iter_mut()
            .chain(&mut self.decoder)
            .flatten()
            .chain(&mut self.ups);
        for norm in convs.filter_map(|c| c.norm.as_mut()) {
            let unbiased = norm.moments.unbiased_variance(norm.raw.shape().pixels());
            let running = norm.running_mean.iter_mut().chain(&mut norm.running_variance);
            for (running, new) in running.zip(norm.moments.mean.iter().chain(&unbiased)) {
                *running += share * (new - *running);
            }
        }
    }

    /// The items of pool `pool` (1, 2, 3), `[M, D]`.
    pub fn items(&self, pool: usize) -> Option<&[f32]> {
        self.pools.get(pool)?.as_ref().map(|p| p.items.rows())
    }

    /// One step of Adam with the gradients of the last [`Training::step`].
    pub fn update(&mut self, adam: &Adam, learning_rate: f64) {
        self.parameters.step(self.isa, adam, learning_rate);
        let values = &self.parameters.values;
        let convs = self
            .encoder
            .iter_mut()
            .chain(&mut self.decoder)
            .flatten()
            .chain(&mut self.ups);
        for conv in convs.chain([&mut self.last]) {
            conv.pack(values);
        }
    }

    /// Writes the queries of the last [`Training::step`] into the pools.
    pub fn write(&mut self, rule: WriteRule) {
        for pool in self.pools.iter_mut().flatten() {
            let (count, features) = (pool.items.count(), pool.items.features());
            let mut items = pool.items.rows().to_vec();
            write_items(&pool.lookup, &mut items, rule);
            pool.items = PackedItems::new(self.isa, &items, count, features);
        }
    }

    /// The prediction of the last step, `[batch, height, width, C]`.
    pub fn prediction(&self) -> &[f32] {
        &self.prediction
    }

    /// What pool `pool` (1, 2, 3) was asked and answered in the last step.
    pub fn lookup(&self, pool: usize) -> Option<&Lookup> {
        self.pools.get(pool)?.as_ref().map(|p| &p.lookup)
    }

    /// Gradients of all parameters by name, in PyTorch's layouts.
    pub fn gradients(&self) -> Vec<(String, Vec<f32>)> {
        self.parameters.export_gradients()
    }

    /// All parameters, running statistics and items by name, in PyTorch's layouts.
    pub fn tensors(&self) -> Vec<(String, Vec<f32>)> {
        let mut all = self.parameters.export();
        let convs = self
            .encoder
            .iter()
            .chain(&self.decoder)
            .flatten()
            .chain(&self.ups);
        for norm in convs.filter_map(|c| c.norm.as_ref()) {
            all.push((
                format!("{}.running_mean", norm.name),
                norm.running_mean.clone(),
            ));
            all.push((
                format!("{}.running_var", norm.name),
                norm.running_variance.clone(),
            ));
        }
        for (i, pool) in self.pools.iter().enumerate() {
            if let Some(pool) = pool {
                all.push((items_name(i), pool.items.rows().to_vec()));
            }
        }
        all
    }

    fn reshape(&mut self, shape: Shape) {
        for (i, level) in self.levels.iter_mut().enumerate() {
            let number = i + 1;
            let shape = Shape {
                height: shape.height >> i,
                width: shape.width >> i,
                ..shape
            };
            let features = shape.with_channels(self.config.features(number));
            if number > 1 {
                let input = shape.with_channels(self.config.features(i));
                level.input.reshape(input);
                level.of_input.reshape(input);
            }
            for map in [
                &mut level.encoder_middle,
                &mut level.feature,
                &mut level.decoder_middle,
                &mut level.decoded,
                &mut level.of_middle,
                &mut level.of_feature,
            ] {
                map.reshape(features);
            }
            for map in [&mut level.joined, &mut level.of_joined] {
                map.reshape(shape.with_channels(self.config.joined(number)));
            }
        }
    }

    /// Whether the encoder's feature of a level lies in what the decoder reads, and not by itself.
    fn straight(config: &NetworkConfig, level: usize) -> bool {
        !config.has_pool(level) && config.handed_on(level) > 0
    }

    fn encode(&mut self, input: View<'_>) {
        let config = &self.config;
        let how = Addressing {
            temperature: config.temperature,
            top_k: config.top_k,
        };
        for i in 0..LEVELS {
            let (above, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            let features = config.features(i + 1);
            if let Some(above) = above.last() {
                max_pool2(self.isa, above.encoded(config, i), level.input.view_mut());
            }
            let from = if i == 0 { input } else { level.input.view() };
            let [first, second] = &mut self.encoder[i];
            let values = &self.parameters.values;
            first.forward(self.isa, values, from, level.encoder_middle.view_mut());
            let middle = level.encoder_middle.view();
            if Self::straight(config, i + 1) {
                second.forward(
                    self.isa,
                    values,
                    middle,
                    level.joined.view_mut().channels(0..features),
                );
            } else {
                second.forward(self.isa, values, middle, level.feature.view_mut());
            }
            if let Some(pool) = &mut self.pools[i] {
                let feature = level.feature.view();
                let to = level.joined.view_mut().channels(0..config.handed_on(i + 1));
                if config.concat {
                    let (queries, read) = to.split(features);
                    pool.lookup
                        .read(feature, &pool.items, how, read, Some(queries));
                } else {
                    pool.lookup.read(feature, &pool.items, how, to, None);
                }
            }
        }
    }

    fn decode(&mut self, shape: Shape) {
        let values = &self.parameters.values;
        for i in (0..LEVELS).rev() {
            let (below, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            let [first, second] = &mut self.decoder[i];
            first.forward(
                self.isa,
                values,
                level.joined.view(),
                level.decoder_middle.view_mut(),
            );
            second.forward(
                self.isa,
                values,
                level.decoder_middle.view(),
                level.decoded.view_mut(),
            );
            if let Some(below) = below.last_mut() {
                let range = self.config.handed_on(i)..self.config.joined(i);
                let to = below.joined.view_mut().channels(range);
                self.ups[i - 1].forward(self.isa, values, level.decoded.view(), to);
            }
        }
        self.prediction.resize(shape.len(), 0.0);
        let mut to = ViewMut::dense(&mut self.prediction, shape);
        self.last.forward(
            self.isa,
            values,
            self.levels[0].decoded.view(),
            to.reborrow(),
        );
        tanh_in_place(self.isa, &mut to);
    }

    /// The losses, and the gradient behind the last convolution.
    fn losses(&mut self, target: &[f32], shape: Shape) -> Losses {
        self.last_gradient.reshape(shape);
        let prediction = View::dense(&self.prediction, shape);
        let to = self.last_gradient.view_mut();
        let mut losses = Losses {
            prediction: squared_error_of_tanh(self.isa, prediction, View::dense(target, shape), to),
            ..Losses::default()
        };
        for pool in self.pools.iter_mut().flatten() {
            let parts = pool.lookup.losses(&pool.items);
            losses.compactness += parts.compactness;
            losses.separateness += parts.separateness;
            losses.information += parts.information;
        }
        let weights = self.training.losses;
        losses.total = losses.prediction
            + f64::from(weights.compactness) * losses.compactness
            + f64::from(weights.separateness) * losses.separateness
            + f64::from(weights.information) * losses.information;
        losses
    }

    fn decode_backward(&mut self) {
        let to = &mut self.parameters;
        let top = &mut self.levels[0];
        let gradient = self.last_gradient.view_mut();
        self.last.backward(
            self.isa,
            to,
            top.decoded.view(),
            gradient,
            Some(top.of_feature.view_mut()),
        );
        for i in 0..LEVELS {
            let (upper, lower) = self.levels.split_at_mut(i + 1);
            let level = &mut upper[i];
            let [first, second] = &mut self.decoder[i];
            let (of_feature, of_middle) = (level.of_feature.view_mut(), level.of_middle.view_mut());
            second.backward(
                self.isa,
                to,
                level.decoder_middle.view(),
                of_feature,
                Some(of_middle),
            );
            let (of_middle, of_joined) = (level.of_middle.view_mut(), level.of_joined.view_mut());
            first.backward(
                self.isa,
                to,
                level.joined.view(),
                of_middle,
                Some(of_joined),
            );
            if let Some(next) = lower.first_mut() {
                let range = self.config.handed_on(i + 1)..self.config.joined(i + 1);
                let of_up = level.of_joined.view_mut().channels(range);
                let of_next = next.of_feature.view_mut();
                self.ups[i].backward(self.isa, to, next.decoded.view(), of_up, Some(of_next));
            }
        }
    }

    fn encode_backward(&mut self, input: View<'_>) {
        let config = &self.config;
        for i in (0..LEVELS).rev() {
            let (upper, lower) = self.levels.split_at_mut(i + 1);
            let level = &mut upper[i];
            let features = config.features(i + 1);
            let straight = Self::straight(config, i + 1);
            if let Some(pool) = &self.pools[i] {
                let joined = level.of_joined.view();
                let (of_queries, of_read) = if config.concat {
                    (
                        Some(joined.channels(0..features)),
                        joined.channels(features..2 * features),
                    )
                } else {
                    (None, joined.channels(0..features))
                };
                pool.lookup.backward(
                    level.feature.view(),
                    &pool.items,
                    self.training.losses,
                    self.training.detach_read,
                    of_read,
                    of_queries,
                    level.of_feature.view_mut(),
                );
            } else if !straight {
                level.of_feature.fill(0.0);
            }
            let mut gradient = if straight {
                level.of_joined.view_mut().channels(0..features)
            } else {
                level.of_feature.view_mut()
            };
            if let Some(next) = lower.first() {
                let feature = if straight {
                    level.joined.view().channels(0..features)
                } else {
                    level.feature.view()
                };
                max_pool2_backward(self.isa, feature, next.of_input.view(), gradient.reborrow());
            }
            let [first, second] = &mut self.encoder[i];
            let to = &mut self.parameters;
            let of_middle = level.of_middle.view_mut();
            second.backward(
                self.isa,
                to,
                level.encoder_middle.view(),
                gradient,
                Some(of_middle),
            );
            let from = if i == 0 { input } else { level.input.view() };
            let of_input = (i > 0).then(|| level.of_input.view_mut());
            first.backward(self.isa, to, from, level.of_middle.view_mut(), of_input);
        }
    }
}

impl Level {
    /// The encoder's feature of this level, number `level`.
    fn encoded(&self, config: &NetworkConfig, level: usize) -> View<'_> {
        if Training::straight(config, level) {
            self.joined.view().channels(0..config.features(level))
        } else {
            self.feature.view()
        }
    }
}

impl Conv {
    fn new(
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
            kind,
            norm,
        })
    }

    /// Takes over changed parameters.
    fn pack(&mut self, values: &[f32]) {
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

    /// Convolution, and where there is a norm, normalisation with the batch's statistics and ReLU.
    fn forward(&mut self, isa: Isa, values: &[f32], input: View<'_>, output: ViewMut<'_>) {
        let bias = &values[self.bias.clone()];
        let Some(norm) = &mut self.norm else {
            Self::apply(&self.kind, bias, input, output);
            return;
        };
        norm.raw.reshape(output.shape());
        Self::apply(&self.kind, bias, input, norm.raw.view_mut());
        norm.moments = moments(isa, norm.raw.view());
        norm.affine = norm.moments.affine(
            &values[norm.gamma.clone()],
            &values[norm.beta.clone()],
            NORM_EPSILON,
        );
        apply_affine(isa, norm.raw.view(), &norm.affine, true, output);
    }

    /// Gradients of the parameters into `parameters`, that of the input where asked for.
    /// `gradient`, that of the output, is used up.
    fn backward(
        &mut self,
        isa: Isa,
        parameters: &mut Parameters,
        input: View<'_>,
        mut gradient: ViewMut<'_>,
        of_input: Option<ViewMut<'_>>,
    ) {
        let to = &mut parameters.gradient;
        if let Some(norm) = &self.norm {
            let (raw, moments, affine) = (norm.raw.view(), &norm.moments, &norm.affine);
            let g =
                batch_norm_backward(isa, raw, moments, affine, NORM_EPSILON, true, &mut gradient);
            to[norm.gamma.clone()].copy_from_slice(&g.gamma);
            to[norm.beta.clone()].copy_from_slice(&g.beta);
            // Normalisation takes the bias out again: its gradient is 0, and stays it.
        } else {
            to[self.bias.clone()].copy_from_slice(&channel_sums(isa, gradient.as_view()));
        }
        let gradient = gradient.as_view();
        let of_weights = &mut to[self.weights.clone()];
        match &self.kind {
            Kind::Same {
                algorithm,
                backward,
                ..
            } => {
                conv3x3_weight_gradient(isa, *algorithm, input, gradient, of_weights);
                if let Some(of_input) = of_input {
                    conv3x3(gradient, backward, Epilogue::default(), of_input);
                }
            }
            Kind::Up { backward, .. } => {
                up_conv3x3_weight_gradient(isa, input, gradient, of_weights);
                if let Some(of_input) = of_input {
                    up_conv3x3_input_gradient(gradient, backward, of_input);
                }
            }
        }
    }
}
