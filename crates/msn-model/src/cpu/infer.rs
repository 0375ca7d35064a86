//! Evaluation: batch norms folded into the convolutions before them.

use std::cell::RefCell;

use msn_kernels::{
    Addressing, Epilogue, Method, PackedItems, PackedUpWeights, PackedWeights, Readings, View,
    ViewMut, conv3x3, enter, iohw_to_hwio, oihw_to_hwio, read_items, up_conv3x3,
};

use super::{
    CpuError, Operation, Profile, channels_first, channels_last,
    network::{Layer, Memory, Network, Pass, Source, input_shape},
};
use crate::{
    Clips, Map, NetConfig, PredictError, Prediction, Predictor, Tensors,
    plan::{ConvPlan, LevelPlan, NORM_EPSILON},
};

/// A network for evaluation on the CPU: batch norms are folded into its weights, its pools are never
/// written, and buffers are kept between calls.
#[derive(Debug)]
pub struct CpuNet {
    config: NetConfig,
    method: Method,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    network: Network<Folded, Pool>,
    profile: Profile,
}

/// What [`CpuNet::run`] gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CpuOutput {
    /// The next frame, `[N, H, W, C]`, in [-1, 1].
    pub prediction: Vec<f32>,
    /// For each pool its number and its map `[N, h, w]` of squared distances of queries to their
    /// nearest items, mean over features; h, w are H, W divided by 2, 4, 8 for pools 1, 2, 3.
    pub distances: Vec<(usize, Vec<f32>)>,
}

impl CpuNet {
    /// A network with these tensors, computed by an [`Algorithm`](crate::Algorithm) or, with more
    /// detail, a [`Method`].
    ///
    /// # Errors
    /// [`CpuError`] names a setting, a tensor that is missing or of another shape, or a precision
    /// that the instruction set lacks.
    pub fn new(
        config: &NetConfig,
        tensors: &Tensors,
        method: impl Into<Method>,
    ) -> Result<Self, CpuError> {
        let method = method.into();
        let Method { isa, precision, .. } = method;
        if !isa.computes_in(precision) {
            return Err(CpuError::Precision { isa, precision });
        }
        let mut layer = |conv: &ConvPlan, source: &Source<'_>| Folded::new(conv, source, method);
        let pool = |items: &[f32], level: &LevelPlan| Pool {
            items: PackedItems::new(isa, items, config.items, level.features),
            distances: Vec::new(),
        };
        let network = Network::new(config, tensors, false, &mut layer, &pool)?;
        Ok(Self {
            config: config.clone(),
            method,
            state: RefCell::new(State {
                network,
                profile: Profile::default(),
            }),
        })
    }

    /// Where the time of [`CpuNet::run`] goes, once started.
    pub fn profile(&mut self) -> &mut Profile {
        &mut self.state.get_mut().profile
    }

    /// Predicts from `input`, `[batch, height, width, T * C]` in [-1, 1], oldest frame first.
    ///
    /// # Errors
    /// [`CpuError`] if the sides are not multiples of 8 or the input has another length.
    pub fn run(
        &self,
        input: &[f32],
        batch: usize,
        height: usize,
        width: usize,
    ) -> Result<CpuOutput, CpuError> {
        let shape = input_shape(&self.config, input, batch, height, width)?;
        let (isa, channels) = (self.method.isa, self.config.channels);
        let state = &mut *self.state.borrow_mut();
        Ok(enter(|| {
            let State { network, profile } = state;
            profile.resume();
            network.reshape(shape);
            profile.lap(Operation::Rest, 0);
            let mut pass = Pass {
                isa,
                parameters: &[],
                collective: None,
                profile,
            };
            network.encode(&mut pass, View::dense(input, shape));
            let shape = shape.with_channels(channels);
            let mut prediction = vec![0.0; shape.len()];
            network.decode(&mut pass, shape, &mut prediction);
            let levels = network.plan.levels.iter().zip(&mut network.pools);
            let distances = levels
                .filter_map(|(level, pool)| {
                    let distances = std::mem::take(&mut pool.as_mut()?.distances);
                    Some((level.pool?, distances))
                })
                .collect();
            CpuOutput {
                prediction,
                distances,
            }
        }))
    }
}

impl Predictor for CpuNet {
    fn config(&self) -> &NetConfig {
        &self.config
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        let (n, height, width, channels) =
            (clips.count, clips.height, clips.width, self.config.channels);
        let input = channels_last(
            &clips.frames,
            n,
            self.config.frames * channels,
            height * width,
        );
        let output = self.run(&input, n, height, width);
        let output = output.map_err(|e| PredictError::Engine(e.into()))?;
        let planes = channels_first(&output.prediction, n, channels, height * width);
        let part = |values: &[f32], i: usize| {
            values[i * values.len() / n..(i + 1) * values.len() / n].to_vec()
        };
        let one = |i: usize| Prediction {
            height,
            width,
            planes: part(&planes, i),
            distances: output
                .distances
                .iter()
                .map(|(pool, values)| {
                    let map = Map {
                        height: height >> pool,
                        width: width >> pool,
                        values: part(values, i),
                    };
                    (*pool, map)
                })
                .collect(),
        };
        Ok((0..n).map(one).collect())
    }
}

/// A convolution with its batch norm in weights and bias.
#[derive(Clone, Debug)]
struct Folded {
    weights: Weights,
    bias: Vec<f32>,
    relu: bool,
    level: usize,
}

#[derive(Clone, Debug)]
enum Weights {
    Same(PackedWeights),
    Up(PackedUpWeights),
}

impl Folded {
    fn new(conv: &ConvPlan, source: &Source<'_>, method: Method) -> Self {
        let Method {
            isa,
            algorithm,
            precision,
        } = method;
        let channels = conv.channels;
        let (hwio, bias) = fold(conv, source);
        let weights = if conv.transposed {
            Weights::Up(PackedUpWeights::in_precision(
                isa, precision, &hwio, channels,
            ))
        } else {
            let packed = PackedWeights::in_precision(isa, algorithm, precision, &hwio, channels);
            Weights::Same(packed)
        };
        Self {
            weights,
            bias,
            relu: conv.norm.is_some(),
            level: conv.level,
        }
    }
}

impl Layer for Folded {
    fn forward(&mut self, pass: &mut Pass<'_>, input: View<'_>, output: ViewMut<'_>) {
        let epilogue = Epilogue {
            bias: Some(&self.bias),
            relu: self.relu,
        };
        match &self.weights {
            Weights::Same(weights) => {
                conv3x3(input, weights, epilogue, output);
                pass.profile.lap(Operation::Convolution, self.level);
            }
            Weights::Up(weights) => {
                up_conv3x3(input, weights, epilogue, output);
                pass.profile.lap(Operation::UpConvolution, self.level);
            }
        }
    }
}

/// Weights `[3, 3, Cin, Cout]` and bias of a convolution with its batch norm, if any, multiplied in.
fn fold(conv: &ConvPlan, source: &Source<'_>) -> (Vec<f32>, Vec<f32>) {
    let (name, channels) = (&conv.name, conv.channels);
    let weights = source.get(&format!("{name}.weight"));
    let mut bias = source.get(&format!("{name}.bias")).to_vec();
    let mut hwio = if conv.transposed {
        iohw_to_hwio(weights, channels)
    } else {
        oihw_to_hwio(weights, channels)
    };
    if let Some(norm) = &conv.norm {
        let get = |part: &str| source.get(&format!("{norm}.{part}"));
        let (gamma, beta) = (get("weight"), get("bias"));
        let (mean, variance) = (get("running_mean"), get("running_var"));
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
    (hwio, bias)
}

/// A pool that is read alone.
#[derive(Clone, Debug)]
struct Pool {
    items: PackedItems,
    /// Of the last read.
    distances: Vec<f32>,
}

impl Memory for Pool {
    fn read(
        &mut self,
        how: Addressing,
        feature: View<'_>,
        read: ViewMut<'_>,
        queries: Option<ViewMut<'_>>,
    ) {
        self.distances.resize(feature.shape().pixels(), 0.0);
        let readings = Readings {
            queries,
            read: Some(read),
            distances: Some(&mut self.distances),
            ..Readings::default()
        };
        read_items(feature, &self.items, how, readings);
    }
}
