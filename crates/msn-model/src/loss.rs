//! The training loss and its parts.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{AllReduceMean, Output, PoolLookup};

/// How much each pool loss counts beside the prediction error.
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

/// The parts of the loss, each `[1]`; pool parts are summed over pools.
#[derive(Clone, Debug)]
pub struct Losses<B: Backend> {
    /// Mean squared error over [-1, 1] values.
    pub prediction: Tensor<B, 1>,
    /// Queries to their nearest item.
    pub compactness: Tensor<B, 1>,
    /// Nearest against second nearest item.
    pub separateness: Tensor<B, 1>,
    /// Minus the mutual information of query and item.
    pub information: Tensor<B, 1>,
}

impl<B: Backend> Losses<B> {
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
