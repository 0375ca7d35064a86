//! The training loss and its parts.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{AllReduceMean, Output, PoolLookup};

/// Weights of the pool losses in the total; the prediction error has weight 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossWeights {
    /// Of compactness.
    #[serde(default)]
    pub compactness: f64,
    /// Of separateness.
    #[serde(default)]
    pub separateness: f64,
    /// Of information.
    #[serde(default)]
    pub information: f64,
}

impl Default for LossWeights {
    fn default() -> Self {
        Self {
            compactness: 0.1,
            separateness: 0.1,
            information: 0.01,
        }
    }
}

/// The parts of the loss, not weighted; those of pools are summed over pools. Numbers, or tensors of
/// shape `[1]` on the way to a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses<T = f64> {
    /// Mean squared error of the prediction over values in [-1, 1].
    pub prediction: T,
    /// Squared distance of queries to their nearest item, mean over queries and features.
    pub compactness: T,
    /// Mean of max(0, distance to the nearest item - distance to the second nearest + 1).
    pub separateness: T,
    /// (Mean entropy of the addressing - entropy of its mean) / log M: minus the mutual information
    /// of query and item.
    pub information: T,
}

impl Losses {
    /// What a training step descends, with weights as f32 holds them.
    pub fn total(&self, weights: &LossWeights) -> f64 {
        let weight = |w: f64| f64::from(w as f32);
        self.prediction
            + weight(weights.compactness) * self.compactness
            + weight(weights.separateness) * self.separateness
            + weight(weights.information) * self.information
    }
}

impl<B: Backend> Losses<Tensor<B, 1>> {
    /// Of a forward pass against `target` [N, C, H, W] in [-1, 1].
    pub fn new(output: &Output<B>, target: Tensor<B, 4>) -> Self {
        Self::of(output, target, &|at| at.lookup.information())
    }

    /// Those of this rank's part of a batch; their mean over ranks is the loss of the whole batch.
    pub fn over_ranks(
        output: &Output<B>,
        target: Tensor<B, 4>,
        ranks: &dyn AllReduceMean<B>,
    ) -> Self {
        let mean = |own: Tensor<B, 2>| ranks.mean(own.squeeze_dim(0)).unsqueeze_dim(0);
        let information = |at: &PoolLookup<B>| at.lookup.information_over_ranks(mean);
        Self::of(output, target, &information)
    }

    fn of(
        output: &Output<B>,
        target: Tensor<B, 4>,
        information: &dyn Fn(&PoolLookup<B>) -> Tensor<B, 1>,
    ) -> Self {
        let prediction = (output.prediction.clone() - target).square().mean();
        let none = prediction.zeros_like();
        let summed = |part: &dyn Fn(&PoolLookup<B>) -> Tensor<B, 1>| {
            output
                .lookups
                .iter()
                .map(part)
                .reduce(|a, b| a + b)
                .unwrap_or_else(|| none.clone())
        };
        Self {
            compactness: summed(&|a| a.lookup.compactness()),
            separateness: summed(&|a| a.lookup.separateness()),
            information: summed(information),
            prediction,
        }
    }

    /// What a training step descends.
    pub fn total(&self, weights: &LossWeights) -> Tensor<B, 1> {
        self.prediction.clone()
            + self.compactness.clone() * weights.compactness
            + self.separateness.clone() * weights.separateness
            + self.information.clone() * weights.information
    }
}
