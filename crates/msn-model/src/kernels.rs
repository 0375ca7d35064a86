//! The network on the project's own CPU kernels: the same weights, scores equal to rounding.

use std::{cell::RefCell, fmt, str::FromStr};

use msn_kernels::{Algorithm, Inference, KernelError, Method, NetworkConfig};
use serde::{Deserialize, Serialize};

use crate::{Clips, Map, NetConfig, PredictError, Prediction, Predictor, Rewrite, Tensors};

/// How convolutions are computed on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kernels {
    /// The backend's own operations: the twin that the others are compared with.
    Plain,
    /// msn-kernels, direct convolution alone: the same sums in another order.
    Direct,
    /// msn-kernels, Winograd where it pays: rounding errors about ten times as large.
    Fast,
}

impl Kernels {
    /// The kernels' algorithm; `None` for the backend's own operations.
    pub fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::Plain => None,
            Self::Direct => Some(Algorithm::Direct),
            Self::Fast => Some(Algorithm::Fastest),
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Direct => "direct",
            Self::Fast => "fast",
        })
    }
}

impl FromStr for Kernels {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let found = [Self::Plain, Self::Direct, Self::Fast]
            .into_iter()
            .find(|k| k.to_string() == s);
        found.ok_or_else(|| "give plain, direct or fast".to_owned())
    }
}

impl From<&NetConfig> for NetworkConfig {
    fn from(c: &NetConfig) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "kernels are f32")]
        let temperature = c.temperature as f32;
        Self {
            frames: c.frames,
            channels: c.channels,
            width: c.width,
            pools: c.pools.clone(),
            items: c.items,
            skip1: c.skip1,
            concat: c.rewrite == Rewrite::Concat,
            temperature,
            top_k: c.top_k,
        }
    }
}

/// A network for evaluation alone, with batch norms folded into its weights and buffers kept
/// between calls.
#[derive(Debug)]
pub struct CpuNet {
    config: NetConfig,
    inference: RefCell<Inference>,
}

impl CpuNet {
    /// A network with these tensors, computed by an [`Algorithm`] or, more exactly told, a [`Method`].
    ///
    /// # Errors
    /// [`KernelError`] names a setting, a tensor that is missing or of another size, or a precision
    /// that the instruction set lacks.
    pub fn new(
        config: &NetConfig,
        tensors: &Tensors,
        method: impl Into<Method>,
    ) -> Result<Self, KernelError> {
        let tensor = |name: &str| tensors.get(name).map(|t| t.values.clone());
        let inference = Inference::with_method(&config.into(), &tensor, method.into())?;
        Ok(Self {
            config: config.clone(),
            inference: RefCell::new(inference),
        })
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
        let output = self.inference.borrow_mut().run(&input, n, height, width);
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
                .distance_maps
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

/// [N, C, area] as [N, area, C], the kernels' layout.
pub fn channels_last(planes: &[f32], n: usize, channels: usize, area: usize) -> Vec<f32> {
    let mut out = vec![0.0; planes.len()];
    let images = planes
        .chunks_exact(channels * area)
        .zip(out.chunks_exact_mut(channels * area))
        .take(n);
    for (from, to) in images {
        for (c, plane) in from.chunks_exact(area).enumerate() {
            to.iter_mut()
                .skip(c)
                .step_by(channels)
                .zip(plane)
                .for_each(|(t, &f)| *t = f);
        }
    }
    out
}

/// [N, area, C] as [N, C, area].
fn channels_first(pixels: &[f32], n: usize, channels: usize, area: usize) -> Vec<f32> {
    let mut out = vec![0.0; pixels.len()];
    let images = pixels
        .chunks_exact(channels * area)
        .zip(out.chunks_exact_mut(channels * area))
        .take(n);
    for (from, to) in images {
        for (c, plane) in to.chunks_exact_mut(area).enumerate() {
            plane
                .iter_mut()
                .zip(from.iter().skip(c).step_by(channels))
                .for_each(|(t, &f)| *t = f);
        }
    }
    out
}
