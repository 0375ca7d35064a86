//! A training step on the CPU: forward pass with batch statistics, losses, and the gradient of every
//! parameter, all by hand.

mod backward;
mod conv;
mod parameters;

use std::sync::Arc;

use msn_kernels::{
    Adam, Addressing, Collective, FeatureMap, GatheredQueries, Isa, Method, PackedItems,
    PoolLossWeights, Precision, Shape, TrainingLookup, View, ViewMut, WriteRule, enter,
    squared_error_of_tanh, sum_over_ranks, world_size,
};
use msn_memory::{Write, WriteMax};

pub use parameters::OptimiserState;

use super::{
    CpuError, Operation, Profile,
    network::{Memory, Network, Pass, Source, check_len, input_shape},
};
use crate::{
    HostTensor, LossWeights, Losses, NetConfig, Tensors,
    plan::{ConvPlan, LEVELS, LevelPlan, items_name},
};
use conv::Conv;
use parameters::Parameters;

/// Share of a batch's statistics in the running ones.
const NORM_MOMENTUM: f32 = 0.1;

/// A network that learns on the CPU.
#[derive(Clone, Debug)]
pub struct CpuTraining {
    config: NetConfig,
    loss: LossWeights,
    isa: Isa,
    parameters: Parameters,
    network: Network<Conv, Pool>,
    /// Level 1 first.
    gradients: Vec<LevelGradients>,
    prediction: Vec<f32>,
    last_gradient: FeatureMap,
    profile: Profile,
    /// The ranks that share its batches.
    collective: Option<Arc<dyn Collective>>,
}

#[derive(Clone, Debug)]
struct Pool {
    items: PackedItems,
    lookup: TrainingLookup,
    /// Queries of each item at the last write.
    usage: Vec<usize>,
}

/// Gradients of one level's feature maps.
#[derive(Clone, Debug, Default)]
struct LevelGradients {
    /// Of what the encoder's block reads, from level 2 on.
    input: FeatureMap,
    /// Of what lies between the two convolutions of a block, of encoder and decoder.
    middle: FeatureMap,
    /// Of the feature, of encoder and decoder.
    feature: FeatureMap,
    /// Of what the decoder's block reads.
    decoder_input: FeatureMap,
}

impl CpuTraining {
    /// Builds a network from its tensors; the loss is the prediction error and the pools' losses by
    /// these weights.
    ///
    /// # Errors
    /// [`CpuError`] names a setting, a tensor that is missing or of another shape, or a precision
    /// other than f32.
    pub fn new(
        config: &NetConfig,
        loss: LossWeights,
        tensors: &Tensors,
        method: impl Into<Method>,
    ) -> Result<Self, CpuError> {
        let Method {
            isa,
            algorithm,
            precision,
        } = method.into();
        if precision != Precision::F32 {
            return Err(CpuError::TrainingPrecision { precision });
        }
        let mut parameters = Parameters::default();
        let mut layer = |conv: &ConvPlan, source: &Source<'_>| {
            Conv::new(conv, source, &mut parameters, algorithm, isa)
        };
        let pool = |items: &[f32], level: &LevelPlan| Pool {
            items: PackedItems::new(isa, items, config.items, level.features),
            lookup: TrainingLookup::default(),
            usage: Vec::new(),
        };
        let network = Network::new(config, tensors, true, &mut layer, &pool)?;
        Ok(Self {
            config: config.clone(),
            loss,
            isa,
            parameters,
            network,
            gradients: vec![LevelGradients::default(); LEVELS],
            prediction: Vec::new(),
            last_gradient: FeatureMap::default(),
            profile: Profile::default(),
            collective: None,
        })
    }

    /// Shares all batches to come with other ranks: each of them gets a part, and what
    /// [`step`](Self::step), [`all_reduce_gradients`](Self::all_reduce_gradients) and
    /// [`write`](Self::write) leave behind is that of one rank with the whole batch, to rounding,
    /// and the same on all ranks.
    pub fn share(&mut self, collective: Arc<dyn Collective>) {
        self.collective = Some(collective);
    }

    /// Forward and backward pass on a batch: `input` is `[batch, height, width, T * C]`, `target`
    /// `[batch, height, width, C]`, both in [-1, 1]. Running statistics move; parameters and items
    /// do not, until [`update`](Self::update) and [`write`](Self::write).
    ///
    /// # Errors
    /// [`CpuError`] if the sides are not multiples of 8 or a slice has another length.
    pub fn step(
        &mut self,
        input: &[f32],
        target: &[f32],
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<Losses, CpuError> {
        let shape = input_shape(&self.config, input, batch, height, width)?;
        let out_shape = shape.with_channels(self.config.channels);
        check_len("the target", target, out_shape)?;
        Ok(self.enter(|this| {
            this.profile.resume();
            this.reshape(shape);
            this.profile.lap(Operation::Rest, 0);
            this.forward(View::dense(input, shape), out_shape);
            let losses = this.losses(target, out_shape);
            this.decode_backward();
            this.encode_backward(View::dense(input, shape));
            this.move_statistics(NORM_MOMENTUM);
            this.profile.lap(Operation::Rest, 0);
            losses
        }))
    }

    /// [`enter`] where no other rank is waited for.
    fn enter<T: Send>(&mut self, work: impl FnOnce(&mut Self) -> T + Send) -> T {
        if self.collective.is_some() {
            work(self)
        } else {
            enter(|| work(self))
        }
    }

    /// Where the time of a step, its update and its write goes, once started.
    pub const fn profile(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// Moves running statistics by `share` towards those of a batch, `[batch, height, width, T * C]`,
    /// of this rank alone; nothing else changes.
    ///
    /// # Errors
    /// [`CpuError`] if the sides are not multiples of 8 or the slice has another length.
    pub fn statistics(
        &mut self,
        input: &[f32],
        batch: usize,
        height: usize,
        width: usize,
        share: f32,
    ) -> Result<(), CpuError> {
        let shape = input_shape(&self.config, input, batch, height, width)?;
        self.reshape(shape);
        let collective = self.collective.take();
        let out_shape = shape.with_channels(self.config.channels);
        enter(|| self.forward(View::dense(input, shape), out_shape));
        self.collective = collective;
        self.move_statistics(share);
        Ok(())
    }

    fn reshape(&mut self, shape: Shape) {
        self.network.reshape(shape);
        let shapes = self.network.shapes(shape);
        for (maps, shapes) in self.gradients.iter_mut().zip(shapes) {
            if let Some(input) = shapes.input {
                maps.input.reshape(input);
            }
            maps.middle.reshape(shapes.features);
            maps.feature.reshape(shapes.features);
            maps.decoder_input.reshape(shapes.decoder_input);
        }
    }

    fn forward(&mut self, input: View<'_>, shape: Shape) {
        let mut pass = Pass {
            isa: self.isa,
            parameters: &self.parameters.values,
            collective: self.collective.as_deref(),
            profile: &mut self.profile,
        };
        self.network.encode(&mut pass, input);
        self.prediction.resize(shape.len(), 0.0);
        self.network.decode(&mut pass, shape, &mut self.prediction);
    }

    /// The losses of the batch of all ranks, and the gradient behind the last convolution of this
    /// rank's part.
    fn losses(&mut self, target: &[f32], shape: Shape) -> Losses {
        let collective = self.collective.as_deref();
        self.last_gradient.reshape(shape);
        let prediction = View::dense(&self.prediction, shape);
        let to = self.last_gradient.view_mut();
        let mut losses = Losses {
            prediction: squared_error_of_tanh(self.isa, prediction, View::dense(target, shape), to),
            ..Losses::default()
        };
        self.profile.lap(Operation::Output, 0);
        if collective.is_some() {
            let mut sum = [losses.prediction];
            sum_over_ranks(collective, &mut sum);
            losses.prediction = sum[0] / world_size(collective) as f64;
        }
        for (i, pool) in self.network.pools.iter_mut().enumerate() {
            let Some(pool) = pool else { continue };
            let parts = pool.lookup.losses(&pool.items, collective);
            self.profile.lap(Operation::PoolLosses, i + 1);
            losses.compactness += parts.compactness;
            losses.separateness += parts.separateness;
            losses.information += parts.information;
        }
        losses
    }

    fn move_statistics(&mut self, share: f32) {
        let layers = self.network.normed_mut();
        layers.for_each(|layer| layer.move_statistics(share));
    }

    /// Adds the gradients of the last [`step`](Self::step) to those that
    /// [`mean_of_accumulated_gradients`](Self::mean_of_accumulated_gradients) averages; at most 254
    /// times.
    pub fn accumulate_gradients(&mut self) {
        self.parameters.accumulate();
    }

    /// Makes the gradients the mean of those of the last [`step`](Self::step) and all that were
    /// accumulated before.
    pub fn mean_of_accumulated_gradients(&mut self) {
        self.parameters.mean_of_accumulated();
    }

    /// Makes the gradients their mean over the ranks that share a batch; nothing on one rank.
    pub fn all_reduce_gradients(&mut self) {
        let Some(collective) = self.collective.as_deref() else {
            return;
        };
        let gradient = &mut self.parameters.gradient;
        collective.all_reduce_sum(gradient);
        let share = 1.0 / collective.world_size() as f32;
        gradient.iter_mut().for_each(|g| *g *= share);
    }

    /// Scales the gradients of the last [`step`](Self::step) so that the Euclidean norm of all of
    /// them is at most `largest`; what it was.
    pub fn clip_gradients(&mut self, largest: f64) -> f64 {
        let gradient = &mut self.parameters.gradient;
        let squares: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        let norm = squares.sqrt();
        if norm > largest {
            let by = (largest / norm) as f32;
            gradient.iter_mut().for_each(|g| *g *= by);
        }
        norm
    }

    /// One step of Adam with the gradients of the last [`step`](Self::step).
    pub fn update(&mut self, adam: &Adam, learning_rate: f64) {
        self.enter(|this| {
            this.profile.resume();
            this.parameters.step(this.isa, adam, learning_rate);
            let values = &this.parameters.values;
            this.network.last.pack(values);
            this.network
                .normed_mut()
                .for_each(|layer| layer.pack(values));
            this.profile.lap(Operation::Update, 0);
        });
    }

    /// Writes the queries of the last [`step`](Self::step), of all ranks, into the pools, by the
    /// rule of the settings.
    pub fn write(&mut self) {
        let rule = WriteRule {
            momentum: (self.config.write == Write::Mean).then_some(self.config.momentum as f32),
            own_maximum: self.config.write_max == WriteMax::Own,
        };
        self.enter(|this| this.write_by(rule));
    }

    fn write_by(&mut self, rule: WriteRule) {
        self.profile.resume();
        let collective = self.collective.as_deref();
        for (i, pool) in self.network.pools.iter_mut().enumerate() {
            let Some(pool) = pool else { continue };
            let (count, features) = (pool.items.count(), pool.items.features());
            let mut items = pool.items.rows().to_vec();
            let gathered = GatheredQueries::new(&pool.lookup, rule).over_ranks(collective);
            pool.usage = gathered.usage().to_vec();
            gathered.write(&mut items, rule);
            pool.items = PackedItems::new(self.isa, &items, count, features);
            self.profile.lap(Operation::Write, i + 1);
        }
    }

    /// Adam's state, to be saved beside [`tensors`](Self::tensors).
    pub fn optimiser(&self) -> OptimiserState {
        self.parameters.optimiser()
    }

    /// Takes up a saved state of Adam.
    ///
    /// # Errors
    /// [`CpuError::Tensor`] for a mean that is missing or of another shape, by its parameter's name.
    pub fn set_optimiser(&mut self, state: &OptimiserState) -> Result<(), CpuError> {
        self.parameters.set_optimiser(state)
    }

    /// The prediction of the last step, `[batch, height, width, C]` in [-1, 1].
    pub fn prediction(&self) -> &[f32] {
        &self.prediction
    }

    /// The items of pool 1, 2 or 3, `[M, D]`.
    pub fn items(&self, pool: usize) -> Option<&[f32]> {
        self.pool(pool).map(|p| p.items.rows())
    }

    /// How many queries each item of pool 1, 2 or 3 had at the last [`write`](Self::write), of all
    /// ranks.
    pub fn usage(&self, pool: usize) -> Option<&[usize]> {
        self.pool(pool).map(|p| p.usage.as_slice())
    }

    fn pool(&self, number: usize) -> Option<&Pool> {
        // Pool n sits at level n + 1.
        self.network.pools.get(number)?.as_ref()
    }

    /// Gradients of all parameters by name, in PyTorch's layouts.
    pub fn gradients(&self) -> Tensors {
        self.parameters.named(&self.parameters.gradient)
    }

    /// All parameters, running statistics and items by name, in PyTorch's layouts.
    pub fn tensors(&self) -> Tensors {
        let mut all = self.parameters.named(&self.parameters.values);
        for norm in self
            .network
            .normed()
            .filter_map(|layer| layer.norm.as_ref())
        {
            let mut add = |part: &str, values: &[f32]| {
                let tensor = HostTensor {
                    shape: vec![values.len()],
                    values: values.to_vec(),
                };
                all.insert(format!("{}.{part}", norm.name), tensor);
            };
            add("running_mean", &norm.running_mean);
            add("running_var", &norm.running_variance);
        }
        for (level, pool) in self.network.plan.levels.iter().zip(&self.network.pools) {
            if let (Some(number), Some(pool)) = (level.pool, pool) {
                let tensor = HostTensor {
                    shape: vec![pool.items.count(), pool.items.features()],
                    values: pool.items.rows().to_vec(),
                };
                all.insert(items_name(number), tensor);
            }
        }
        all
    }

    fn pool_loss_weights(&self) -> PoolLossWeights {
        PoolLossWeights {
            compactness: self.loss.compactness as f32,
            separateness: self.loss.separateness as f32,
            information: self.loss.information as f32,
        }
    }
}

impl Memory for Pool {
    fn read(
        &mut self,
        how: Addressing,
        feature: View<'_>,
        read: ViewMut<'_>,
        queries: Option<ViewMut<'_>>,
    ) {
        self.lookup.read(feature, &self.items, how, read, queries);
    }
}
