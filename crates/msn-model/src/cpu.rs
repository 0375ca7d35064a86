//! The network on the CPU, on the primitives of msn-kernels: the same weights as Burn's network, and
//! scores equal to rounding. Channels-last from input to output.

mod error;
mod infer;
mod network;
mod profile;
mod train;

use std::{fmt, str::FromStr};

use msn_kernels::Algorithm;
use serde::{Deserialize, Serialize};

pub use error::CpuError;
pub use infer::{CpuNet, CpuOutput};
pub use profile::{Operation, Profile};
pub use train::{CpuTraining, OptimiserState};

/// What computes the network on a CPU.
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

/// A name of no [`Kernels`].
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("give plain, direct or fast")]
pub struct UnknownKernels;

impl FromStr for Kernels {
    type Err = UnknownKernels;

    fn from_str(s: &str) -> Result<Self, UnknownKernels> {
        let found = [Self::Plain, Self::Direct, Self::Fast]
            .into_iter()
            .find(|k| k.to_string() == s);
        found.ok_or(UnknownKernels)
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
