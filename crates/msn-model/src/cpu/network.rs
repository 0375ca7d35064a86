//! The walk over the network's levels that inference and training share.
//!
//! Feature maps are kept from one pass to the next, and what the decoder reads is written in place,
//! side by side, so that a pass allocates nothing but its prediction.

use msn_kernels::{
    Addressing, Collective, FeatureMap, Isa, Shape, View, ViewMut, max_pool2, tanh_in_place,
};

use super::{CpuError, Operation, Profile};
use crate::{
    HostTensor, NetConfig, TensorError, Tensors,
    plan::{ConvPlan, LEVELS, LevelPlan, Plan, SIDE_MULTIPLE, items_name},
};

/// What a forward pass is made with.
pub(super) struct Pass<'a> {
    pub isa: Isa,
    /// All parameters; empty where the layers hold their own.
    pub parameters: &'a [f32],
    /// The ranks that share the batch.
    pub collective: Option<&'a dyn Collective>,
    pub profile: &'a mut Profile,
}

/// A convolution with its batch norm and ReLU, if any.
pub(super) trait Layer {
    fn forward(&mut self, pass: &mut Pass<'_>, input: View<'_>, output: ViewMut<'_>);
}

/// A memory pool.
pub(super) trait Memory {
    /// Writes what the queries of `feature` read, and where there is room for them the queries.
    fn read(
        &mut self,
        how: Addressing,
        feature: View<'_>,
        read: ViewMut<'_>,
        queries: Option<ViewMut<'_>>,
    );
}

/// The network's layers and pools, and the feature maps of a forward pass.
#[derive(Clone, Debug)]
pub(super) struct Network<L, M> {
    pub plan: Plan,
    how: Addressing,
    /// Whether the maps of the encoder outlive the decoder's pass; else they share their memory.
    keep: bool,
    /// Level 1 first.
    pub encoder: Vec<[L; 2]>,
    /// Level 1 first.
    pub decoder: Vec<[L; 2]>,
    /// From level 2, 3, 4 to the next finer one.
    pub ups: Vec<L>,
    pub last: L,
    /// Level 1 first.
    pub pools: Vec<Option<M>>,
    /// Level 1 first.
    pub maps: Vec<LevelMaps>,
}

/// The feature maps of one level.
#[derive(Clone, Debug, Default)]
pub(super) struct LevelMaps {
    /// What the encoder's block reads, from level 2 on.
    pub input: FeatureMap,
    /// Between the two convolutions of the encoder's block.
    pub encoder_middle: FeatureMap,
    /// The encoder's feature, where it is not a part of `decoder_input`.
    pub feature: FeatureMap,
    /// What the decoder's block reads: from the encoder, then from the level below.
    pub decoder_input: FeatureMap,
    /// Between the two convolutions of the decoder's block.
    pub decoder_middle: FeatureMap,
    /// The decoder's feature.
    pub decoded: FeatureMap,
}

/// Shapes of the maps of one level, and of their gradients.
pub(super) struct LevelShapes {
    /// From level 2 on.
    pub input: Option<Shape>,
    /// Of the maps behind each convolution.
    pub features: Shape,
    pub decoder_input: Shape,
}

impl LevelMaps {
    /// The encoder's feature of this level.
    pub fn encoded(&self, level: &LevelPlan) -> View<'_> {
        if level.feature_is_skip() {
            self.decoder_input.view().channels(0..level.features)
        } else {
            self.feature.view()
        }
    }
}

impl<L: Layer, M: Memory> Network<L, M> {
    /// Builds layers in the order of [`Plan::convs`], then pools from their items.
    pub fn new(
        config: &NetConfig,
        tensors: &Tensors,
        keep: bool,
        layer: &mut dyn FnMut(&ConvPlan, &Source<'_>) -> L,
        pool: &dyn Fn(&[f32], &LevelPlan) -> M,
    ) -> Result<Self, CpuError> {
        let source = Source::new(config, tensors)?;
        let plan = Plan::new(config);
        let mut block = |convs: &[ConvPlan; 2]| convs.each_ref().map(|c| layer(c, &source));
        let encoder = plan.levels.iter().map(|l| block(&l.encoder)).collect();
        let decoder = plan.levels.iter().map(|l| block(&l.decoder)).collect();
        let ups = plan.ups.iter().map(|up| layer(up, &source)).collect();
        let last = layer(&plan.last, &source);
        let pool = |level: &LevelPlan| {
            let items = source.get(&items_name(level.pool?));
            Some(pool(items, level))
        };
        Ok(Self {
            how: Addressing {
                temperature: config.temperature_f32(),
                top_k: config.top_k,
            },
            keep,
            encoder,
            decoder,
            ups,
            last,
            pools: plan.levels.iter().map(pool).collect(),
            maps: vec![LevelMaps::default(); LEVELS],
            plan,
        })
    }

    /// Shapes of each level's maps, for an input of `shape`.
    pub fn shapes(&self, shape: Shape) -> [LevelShapes; LEVELS] {
        let levels = &self.plan.levels;
        std::array::from_fn(|i| {
            let shape = at_level(shape, i);
            let above = i.checked_sub(1).map(|above| &levels[above]);
            LevelShapes {
                input: above.map(|above| shape.with_channels(above.features)),
                features: shape.with_channels(levels[i].features),
                decoder_input: shape.with_channels(levels[i].decoder_input),
            }
        })
    }

    /// Makes all maps those of an input of `shape`.
    pub fn reshape(&mut self, shape: Shape) {
        let shapes = self.shapes(shape);
        for (maps, shapes) in self.maps.iter_mut().zip(shapes) {
            if let Some(input) = shapes.input {
                maps.input.reshape(input);
            }
            maps.encoder_middle.reshape(shapes.features);
            maps.feature.reshape(shapes.features);
            maps.decoder_input.reshape(shapes.decoder_input);
            if self.keep {
                maps.decoder_middle.reshape(shapes.features);
                maps.decoded.reshape(shapes.features);
            }
        }
    }

    /// From frames to the features of all levels, rewritten by their pools.
    pub fn encode(&mut self, pass: &mut Pass<'_>, input: View<'_>) {
        for (i, level) in self.plan.levels.iter().enumerate() {
            let (above, rest) = self.maps.split_at_mut(i);
            let maps = &mut rest[0];
            if let Some(above) = above.last() {
                let feature = above.encoded(&self.plan.levels[i - 1]);
                max_pool2(pass.isa, feature, maps.input.view_mut());
                pass.profile.lap(Operation::MaxPool, level.number);
            }
            let from = if i == 0 { input } else { maps.input.view() };
            let [first, second] = &mut self.encoder[i];
            first.forward(pass, from, maps.encoder_middle.view_mut());
            let feature = if level.feature_is_skip() {
                maps.decoder_input.view_mut().channels(0..level.features)
            } else {
                maps.feature.view_mut()
            };
            second.forward(pass, maps.encoder_middle.view(), feature);
            if let Some(pool) = &mut self.pools[i] {
                let skip = maps.decoder_input.view_mut().channels(0..level.skip);
                let (queries, read) = if level.concat {
                    let (queries, read) = skip.split(level.features);
                    (Some(queries), read)
                } else {
                    (None, skip)
                };
                pool.read(self.how, maps.feature.view(), read, queries);
                pass.profile.lap(Operation::Read, level.number);
            }
        }
    }

    /// From features to the next frame, `shape`.
    pub fn decode(&mut self, pass: &mut Pass<'_>, shape: Shape, prediction: &mut [f32]) {
        for i in (0..LEVELS).rev() {
            let (finer, rest) = self.maps.split_at_mut(i);
            let maps = &mut rest[0];
            let [first, second] = &mut self.decoder[i];
            let (middle, decoded) = if self.keep {
                (&mut maps.decoder_middle, &mut maps.decoded)
            } else {
                (&mut maps.encoder_middle, &mut maps.feature)
            };
            first.forward(pass, maps.decoder_input.view(), middle.view_mut());
            second.forward(pass, middle.view(), decoded.view_mut());
            if let Some(finer) = finer.last_mut() {
                let to = &self.plan.levels[i - 1];
                let output = finer.decoder_input.view_mut();
                let output = output.channels(to.skip..to.decoder_input);
                self.ups[i - 1].forward(pass, decoded.view(), output);
            }
        }
        let first = &self.maps[0];
        let decoded = if self.keep {
            &first.decoded
        } else {
            &first.feature
        };
        let mut to = ViewMut::dense(prediction, shape);
        self.last.forward(pass, decoded.view(), to.reborrow());
        tanh_in_place(pass.isa, &mut to);
        pass.profile.lap(Operation::Output, 0);
    }

    /// All layers with a batch norm.
    pub fn normed(&self) -> impl Iterator<Item = &L> {
        let blocks = self.encoder.iter().chain(&self.decoder).flatten();
        blocks.chain(&self.ups)
    }

    /// All layers with a batch norm.
    pub fn normed_mut(&mut self) -> impl Iterator<Item = &mut L> {
        let blocks = self.encoder.iter_mut().chain(&mut self.decoder).flatten();
        blocks.chain(&mut self.ups)
    }
}

/// The shape of level `i`, counted from 0.
fn at_level(shape: Shape, i: usize) -> Shape {
    Shape {
        height: shape.height >> i,
        width: shape.width >> i,
        ..shape
    }
}

/// Tensors that were found to fit the settings.
pub(super) struct Source<'a>(&'a Tensors);

impl<'a> Source<'a> {
    fn new(config: &NetConfig, tensors: &'a Tensors) -> Result<Self, CpuError> {
        config.check()?;
        TensorError::check(config, tensors)?;
        Ok(Self(tensors))
    }

    /// The values of a tensor of the plan.
    pub fn get(&self, name: &str) -> &'a [f32] {
        self.0.get(name).map_or(&[], |t: &HostTensor| &t.values)
    }
}

/// Checks frames `[batch, height, width, T * C]` and gives their shape.
pub(super) fn input_shape(
    config: &NetConfig,
    input: &[f32],
    batch: usize,
    height: usize,
    width: usize,
) -> Result<Shape, CpuError> {
    let fits = |side: usize| side > 0 && side.is_multiple_of(SIDE_MULTIPLE);
    if !fits(height) || !fits(width) {
        return Err(CpuError::FrameSize { height, width });
    }
    let shape = Shape::new(batch, height, width, config.frames * config.channels);
    check_len("the input", input, shape)?;
    Ok(shape)
}

/// Whether `values` are as many as `shape` has.
pub(super) fn check_len(what: &'static str, values: &[f32], shape: Shape) -> Result<(), CpuError> {
    let expected = shape.checked_len().unwrap_or(usize::MAX);
    if values.len() == expected {
        return Ok(());
    }
    Err(CpuError::InputSize {
        what,
        shape,
        expected,
        found: values.len(),
    })
}
