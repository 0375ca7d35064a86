//! A training step: forward pass with batch statistics, losses, and the gradient of every
//! parameter, all by hand.

mod backward;
mod conv;
mod forward;

use std::sync::Arc;

use conv::Conv;

use super::layers::{Layer, items_name};
use super::parameters::{OptimiserState, Parameters};
use super::{KernelError, LEVELS, NetworkConfig, Operation, Profile, Tensors};
use crate::adam::Adam;
use crate::address::{Gathered, Lookup, LossWeights, PackedItems, WriteRule};
use crate::collective::Collective;
use crate::conv::Algorithm;
use crate::isa::Isa;
use crate::threads::enter;
use crate::view::{FeatureMap, View};

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
    profile: Profile,
    /// The devices that share its batches.
    collective: Option<Arc<dyn Collective>>,
}

#[derive(Clone, Debug)]
struct Pool {
    items: PackedItems,
    lookup: Lookup,
    /// Queries of each item at the last write.
    usage: Vec<usize>,
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
                usage: Vec::new(),
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
            profile: Profile::default(),
            collective: None,
        })
    }

    /// Shares all batches to come with other devices: each of them gets a part, and what
    /// [`Training::step`], [`Training::all_reduce_gradients`] and [`Training::write`] leave behind is
    /// that of one device with the whole batch, to rounding, and the same on all devices.
    pub fn share(&mut self, collective: Arc<dyn Collective>) {
        self.collective = Some(collective);
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
        Ok(self.enter(|this| {
            this.profile.resume();
            this.reshape(shape);
            this.profile.lap(Operation::Rest, 0);
            this.encode(View::dense(input, shape));
            this.decode(out_shape);
            let losses = this.losses(target, out_shape);
            this.decode_backward();
            this.encode_backward(View::dense(input, shape));
            this.move_statistics(NORM_MOMENTUM);
            this.profile.lap(Operation::Rest, 0);
            losses
        }))
    }

    /// [`enter`] where no other device is waited for.
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
    /// of this device alone; nothing else changes.
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
        let collective = self.collective.take();
        enter(|| {
            self.encode(View::dense(input, shape));
            self.decode(shape.with_channels(self.config.channels));
        });
        self.collective = collective;
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
        convs.for_each(|conv| conv.move_statistics(share));
    }

    /// The items of pool `pool` (1, 2, 3), `[M, D]`.
    pub fn items(&self, pool: usize) -> Option<&[f32]> {
        self.pools.get(pool)?.as_ref().map(|p| p.items.rows())
    }

    /// Keeps the gradients of the last [`Training::step`] for [`Training::mean_of_accumulated_gradients`]; at most
    /// 254 times.
    pub fn accumulate_gradients(&mut self) {
        self.parameters.keep();
    }

    /// Makes the gradients the mean of those of the last [`Training::step`] and all that were kept.
    pub fn mean_of_accumulated_gradients(&mut self) {
        self.parameters.join();
    }

    /// Makes the gradients their mean over the devices that share a batch; nothing on one device.
    pub fn all_reduce_gradients(&mut self) {
        let Some(collective) = self.collective.as_deref() else {
            return;
        };
        collective.all_reduce_sum(&mut self.parameters.gradient);
        let share = 1.0 / collective.world_size() as f32;
        self.parameters
            .gradient
            .iter_mut()
            .for_each(|g| *g *= share);
    }

    /// Scales the gradients of the last [`Training::step`] so that their Euclidean norm together is at
    /// most `largest`; what it was.
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

    /// One step of Adam with the gradients of the last [`Training::step`].
    pub fn update(&mut self, adam: &Adam, learning_rate: f64) {
        self.enter(|this| {
            this.profile.resume();
            this.parameters.step(this.isa, adam, learning_rate);
            let values = &this.parameters.values;
            let convs = this
                .encoder
                .iter_mut()
                .chain(&mut this.decoder)
                .flatten()
                .chain(&mut this.ups);
            for conv in convs.chain([&mut this.last]) {
                conv.pack(values);
            }
            this.profile.lap(Operation::Update, 0);
        });
    }

    /// Writes the queries of the last [`Training::step`], on all devices, into the pools.
    pub fn write(&mut self, rule: WriteRule) {
        self.enter(|this| this.write_all(rule));
    }

    fn write_all(&mut self, rule: WriteRule) {
        self.profile.resume();
        for (i, pool) in self.pools.iter_mut().enumerate() {
            let Some(pool) = pool else { continue };
            let (count, features) = (pool.items.count(), pool.items.features());
            let mut items = pool.items.rows().to_vec();
            let mut gathered = Gathered::new(&pool.lookup, rule);
            if let Some(collective) = self.collective.as_deref() {
                gathered = gathered.joined(collective);
            }
            pool.usage.clone_from(&gathered.queries);
            gathered.write(&mut items, rule);
            pool.items = PackedItems::new(self.isa, &items, count, features);
            self.profile.lap(Operation::Write, i + 1);
        }
    }

    /// Adam's state, to be saved beside [`Training::tensors`].
    pub fn optimiser(&self) -> OptimiserState {
        self.parameters.optimiser()
    }

    /// Takes up a saved state of Adam.
    ///
    /// # Errors
    /// A mean that is missing or of a wrong size, by its parameter's name.
    pub fn set_optimiser(&mut self, state: OptimiserState) -> Result<(), KernelError> {
        self.parameters.set_optimiser(state)
    }

    /// The prediction of the last step, `[batch, height, width, C]`.
    pub fn prediction(&self) -> &[f32] {
        &self.prediction
    }

    /// What pool `pool` (1, 2, 3) was asked and answered in the last step.
    pub fn lookup(&self, pool: usize) -> Option<&Lookup> {
        self.pools.get(pool)?.as_ref().map(|p| &p.lookup)
    }

    /// How many queries each item of pool `pool` (1, 2, 3) had at the last [`Training::write`], on
    /// all devices.
    pub fn usage(&self, pool: usize) -> Option<&[usize]> {
        self.pools.get(pool)?.as_ref().map(|p| p.usage.as_slice())
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
