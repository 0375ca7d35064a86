//! Evaluation: batch norms folded into the convolutions before them.

use super::layers::{Layer, items_name};
use super::{
    KernelError, LEVELS, Method, NORM_EPSILON, NetworkConfig, Operation, Profile, Tensors,
};
use crate::address::{Addressing, PackedItems, Readings, read_items};
use crate::conv::{Algorithm, Epilogue, PackedWeights, conv3x3};
use crate::isa::Isa;
use crate::max_pool::max_pool2;
use crate::tanh::tanh_in_place;
use crate::threads::enter;
use crate::up::{PackedUpWeights, up_conv3x3};
use crate::view::{FeatureMap, Shape, View, ViewMut};
use crate::weights::{iohw_to_hwio, oihw_to_hwio};

/// A network ready to predict. It cannot learn, and its pools are never written.
#[derive(Clone, Debug)]
pub struct Inference {
    config: NetworkConfig,
    isa: Isa,
    encoder: Vec<[Folded; 2]>,
    /// Levels 1..=4.
    decoder: Vec<[Folded; 2]>,
    /// From level 2, 3, 4 to the one below.
    ups: Vec<(PackedUpWeights, Vec<f32>)>,
    last: Folded,
    /// By level 1..=4.
    pools: Vec<Option<PackedItems>>,
    levels: Vec<Level>,
    profile: Profile,
}

/// A convolution with its batch norm in weights and bias.
#[derive(Clone, Debug)]
struct Folded {
    weights: PackedWeights,
    bias: Vec<f32>,
    relu: bool,
}

/// The feature maps of one level.
#[derive(Clone, Debug, Default)]
struct Level {
    /// What the block of the encoder reads, from level 2 on.
    input: FeatureMap,
    /// Between the two convolutions of a block, of encoder and decoder.
    middle: FeatureMap,
    /// Behind the second.
    feature: FeatureMap,
    /// What the decoder reads: from the encoder, then from below.
    joined: FeatureMap,
}

/// What [`Inference::run`] gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The next frame, `[N, H, W, C]`, in -1..=1.
    pub prediction: Vec<f32>,
    /// For each pool its number and its map `[N, h, w]` of squared distances of queries to their
    /// nearest items, mean over features; h, w are H, W divided by 2, 4, 8 for pools 1, 2, 3.
    pub distance_maps: Vec<(usize, Vec<f32>)>,
}

impl Inference {
    /// Builds a network from its tensors by name (those of PyTorch's `state_dict`, in PyTorch's
    /// layouts), for the fastest instruction set of the machine.
    ///
    /// # Errors
    /// A setting, a missing tensor or one of a wrong size, by name.
    pub fn new(
        config: &NetworkConfig,
        tensor: &dyn Fn(&str) -> Option<Vec<f32>>,
        algorithm: Algorithm,
    ) -> Result<Self, KernelError> {
        Self::with_method(config, tensor, Method::new(algorithm))
    }

    /// [`Inference::new`] with a given instruction set and precision.
    ///
    /// # Errors
    /// As for [`Inference::new`], and for a precision that the instruction set does not have.
    pub fn with_method(
        config: &NetworkConfig,
        tensor: &dyn Fn(&str) -> Option<Vec<f32>>,
        method: Method,
    ) -> Result<Self, KernelError> {
        let Method {
            isa,
            algorithm,
            precision,
        } = method;
        config.check()?;
        if !isa.computes_in(precision) {
            return Err(KernelError::Precision { isa, precision });
        }
        let tensors = Tensors(tensor);
        let conv = |layer: &Layer| -> Result<Folded, KernelError> {
            let (hwio, bias) = fold(&tensors, layer)?;
            let weights =
                PackedWeights::in_precision(isa, algorithm, precision, &hwio, layer.channels);
            Ok(Folded {
                weights,
                bias,
                relu: layer.norm.is_some(),
            })
        };
        let block =
            |[a, b]: [Layer; 2]| -> Result<[Folded; 2], KernelError> { Ok([conv(&a)?, conv(&b)?]) };
        let up = |level| -> Result<_, KernelError> {
            let layer = Layer::up(config, level);
            let (hwio, bias) = fold(&tensors, &layer)?;
            let weights = PackedUpWeights::in_precision(isa, precision, &hwio, layer.channels);
            Ok((weights, bias))
        };
        let pool = |level: usize| -> Result<_, KernelError> {
            if !config.has_pool(level) {
                return Ok(None);
            }
            let features = config.features(level);
            let items = tensors.get(&items_name(level - 1), config.items * features)?;
            Ok(Some(PackedItems::new(isa, &items, config.items, features)))
        };
        Ok(Self {
            isa,
            encoder: (1..=LEVELS)
                .map(|l| block(Layer::encoder(config, l)))
                .collect::<Result<_, _>>()?,
            decoder: (1..=LEVELS)
                .map(|l| block(Layer::decoder(config, l)))
                .collect::<Result<_, _>>()?,
            ups: (2..=LEVELS).map(up).collect::<Result<_, _>>()?,
            last: conv(&Layer::last(config))?,
            pools: (1..=LEVELS).map(pool).collect::<Result<_, _>>()?,
            levels: vec![Level::default(); LEVELS],
            profile: Profile::default(),
            config: config.clone(),
        })
    }

    /// The configuration it was built with.
    pub const fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Where the time of [`Inference::run`] goes, once started.
    pub const fn profile(&mut self) -> &mut Profile {
        &mut self.profile
    }

    /// Predicts from `input`, `[batch, height, width, T * C]` in -1..=1, oldest frame first.
    ///
    /// # Errors
    /// If the sides are not multiples of 8 or the input has another length.
    pub fn run(
        &mut self,
        input: &[f32],
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<Output, KernelError> {
        let shape = self.config.input_shape(input, batch, height, width)?;
        Ok(enter(|| {
            let mut output = Output::default();
            self.profile.resume();
            self.reshape(shape);
            self.profile.lap(Operation::Rest, 0);
            self.encode(View::dense(input, shape), &mut output);
            self.decode(shape, &mut output);
            output
        }))
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
                level
                    .input
                    .reshape(shape.with_channels(self.config.features(number - 1)));
            }
            level.middle.reshape(features);
            level.feature.reshape(features);
            level
                .joined
                .reshape(shape.with_channels(self.config.joined(number)));
        }
    }

    fn encode(&mut self, input: View<'_>, output: &mut Output) {
        let how = Addressing {
            temperature: self.config.temperature,
            top_k: self.config.top_k,
        };
        for i in 0..LEVELS {
            let number = i + 1;
            let features = self.config.features(number);
            let (above, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            if let Some(above) = above.last() {
                // Where the level above has a pool or hands nothing on, its feature is by itself.
                let plain = !self.config.has_pool(i) && self.config.handed_on(i) > 0;
                let feature = if plain {
                    above.joined.view().channels(0..self.config.features(i))
                } else {
                    above.feature.view()
                };
                max_pool2(self.isa, feature, level.input.view_mut());
                self.profile.lap(Operation::MaxPool, number);
            }
            let [first, second] = &self.encoder[i];
            let from = if i == 0 { input } else { level.input.view() };
            first.run(from, level.middle.view_mut());
            match &self.pools[i] {
                None if self.config.handed_on(number) > 0 => {
                    second.run(
                        level.middle.view(),
                        level.joined.view_mut().channels(0..features),
                    );
                }
                None => second.run(level.middle.view(), level.feature.view_mut()),
                Some(items) => {
                    second.run(level.middle.view(), level.feature.view_mut());
                    let mut distances = vec![0.0; level.feature.shape().pixels()];
                    let feature = level.feature.view();
                    let mut readings = Readings {
                        distances: Some(&mut distances),
                        ..Readings::default()
                    };
                    if self.config.concat {
                        let (queries, read) = level
                            .joined
                            .view_mut()
                            .channels(0..2 * features)
                            .split(features);
                        readings.queries = Some(queries);
                        readings.read = Some(read);
                    } else {
                        readings.read = Some(level.joined.view_mut().channels(0..features));
                    }
                    self.profile.lap(Operation::Convolution, number);
                    read_items(feature, items, how, readings);
                    self.profile.lap(Operation::Read, number);
                    output.distance_maps.push((i, distances));
                }
            }
            self.profile.lap(Operation::Convolution, number);
        }
    }

    fn decode(&mut self, shape: Shape, output: &mut Output) {
        for i in (0..LEVELS).rev() {
            let (below, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            let [first, second] = &self.decoder[i];
            first.run(level.joined.view(), level.middle.view_mut());
            second.run(level.middle.view(), level.feature.view_mut());
            self.profile.lap(Operation::Convolution, i + 1);
            if let Some(below) = below.last_mut() {
                let (weights, bias) = &self.ups[i - 1];
                let (from, to) = (self.config.handed_on(i), self.config.joined(i));
                up_conv3x3(
                    level.feature.view(),
                    weights,
                    Epilogue::bias_relu(bias),
                    below.joined.view_mut().channels(from..to),
                );
                self.profile.lap(Operation::UpConvolution, i);
            }
        }
        let shape = shape.with_channels(self.config.channels);
        output.prediction = vec![0.0; shape.len()];
        let mut to = ViewMut::dense(&mut output.prediction, shape);
        self.last.run(self.levels[0].feature.view(), to.reborrow());
        self.profile.lap(Operation::Convolution, 1);
        tanh_in_place(self.isa, &mut to);
        self.profile.lap(Operation::Output, 0);
    }
}

impl Folded {
    fn run(&self, input: View<'_>, output: ViewMut<'_>) {
        conv3x3(
            input,
            &self.weights,
            Epilogue {
                bias: Some(&self.bias),
                relu: self.relu,
            },
            output,
        );
    }
}

/// Weights `[3, 3, Cin, Cout]` and bias of a convolution with its batch norm, if any, multiplied in.
fn fold(tensors: &Tensors<'_>, layer: &Layer) -> Result<(Vec<f32>, Vec<f32>), KernelError> {
    let Layer {
        name,
        norm,
        channels,
        up,
        ..
    } = layer;
    let weights = tensors.get(&format!("{name}.weight"), channels.weights())?;
    let mut bias = tensors.get(&format!("{name}.bias"), channels.output)?;
    let mut hwio = if *up {
        iohw_to_hwio(&weights, *channels)
    } else {
        oihw_to_hwio(&weights, *channels)
    };
    if let Some(norm) = norm {
        let get = |part: &str| tensors.get(&format!("{norm}.{part}"), channels.output);
        let (gamma, beta) = (get("weight")?, get("bias")?);
        let (mean, variance) = (get("running_mean")?, get("running_var")?);
        let mut scale = Vec::with_capacity(channels.output);
        for o in 0..channels.output {
            let factor = f64::from(gamma[o]) / (f64::from(variance[o]) + NORM_EPSILON).sqrt();
            bias[o] =
                ((f64::from(bias[o]) - f64::from(mean[o])) * factor + f64::from(beta[o])) as f32;
            scale.push(factor);
        }
        for row in hwio.chunks_exact_mut(channels.output) {
            for (w, factor) in row.iter_mut().zip(&scale) {
                *w = (f64::from(*w) * factor) as f32;
            }
        }
    }
    Ok((hwio, bias))
}
