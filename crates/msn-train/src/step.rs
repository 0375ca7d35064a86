//! What follows the forward and backward pass of a training step.

use burn::{
    optim::{AdamConfig, GradientsParams, Optimizer, adaptor::OptimizerAdaptor},
    tensor::backend::AutodiffBackend,
};
use msn_model::{MsnNet, Output};

/// PyTorch's batch-norm momentum.
const STATISTICS_SHARE: f64 = 0.1;

/// Settings of the optimiser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the first and second moment.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
        }
    }
}

/// The optimiser with its state.
pub(crate) struct Step<B: AutodiffBackend> {
    optimiser: OptimizerAdaptor<burn::optim::Adam, MsnNet<B>, B>,
}

impl<B: AutodiffBackend> Step<B> {
    pub fn new(adam: &Adam) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "Burn's Adam is f32")]
        let [beta_1, beta_2, eps] = [adam.betas[0], adam.betas[1], adam.eps].map(|v| v as f32);
        let config = AdamConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(eps);
        Self {
            optimiser: config.init(),
        }
    }

    /// Optimiser, running statistics, and then the write, with the items' own step of `output`.
    pub fn finish(
        &mut self,
        net: MsnNet<B>,
        grads: GradientsParams,
        output: &Output<B>,
        lr: f64,
    ) -> MsnNet<B> {
        let mut net = self.optimiser.step(lr, net, grads);
        net.update_statistics(&output.statistics, STATISTICS_SHARE);
        net.write(&output.asked);
        net
    }
}
