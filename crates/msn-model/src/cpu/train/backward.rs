//! The backward pass through the whole network.

use msn_kernels::{ReadGradient, View, max_pool2_backward};

use super::{CpuTraining, conv::BackwardPass};
use crate::{cpu::Operation, plan::LEVELS};

impl CpuTraining {
    /// From the last convolution to the encoder's features.
    pub(super) fn decode_backward(&mut self) {
        let mut pass = BackwardPass {
            isa: self.isa,
            parameters: &mut self.parameters,
            collective: self.collective.as_deref(),
            profile: &mut self.profile,
        };
        let network = &mut self.network;
        let gradient = self.last_gradient.view_mut();
        let to = self.gradients[0].feature.view_mut();
        let decoded = network.maps[0].decoded.view();
        network
            .last
            .backward(&mut pass, decoded, gradient, Some(to));
        for (i, level) in network.plan.levels.iter().enumerate() {
            let maps = &network.maps[i];
            let (finer, coarser) = self.gradients.split_at_mut(i + 1);
            let gradients = &mut finer[i];
            let [first, second] = &mut network.decoder[i];
            second.backward(
                &mut pass,
                maps.decoder_middle.view(),
                gradients.feature.view_mut(),
                Some(gradients.middle.view_mut()),
            );
            first.backward(
                &mut pass,
                maps.decoder_input.view(),
                gradients.middle.view_mut(),
                Some(gradients.decoder_input.view_mut()),
            );
            if let Some(coarser) = coarser.first_mut() {
                let of_up = gradients.decoder_input.view_mut();
                let of_up = of_up.channels(level.skip..level.decoder_input);
                let decoded = network.maps[i + 1].decoded.view();
                let to = coarser.feature.view_mut();
                network.ups[i].backward(&mut pass, decoded, of_up, Some(to));
            }
        }
    }

    /// From the encoder's features to the first convolution.
    pub(super) fn encode_backward(&mut self, input: View<'_>) {
        let weights = self.pool_loss_weights();
        let mut pass = BackwardPass {
            isa: self.isa,
            parameters: &mut self.parameters,
            collective: self.collective.as_deref(),
            profile: &mut self.profile,
        };
        let network = &mut self.network;
        for i in (0..LEVELS).rev() {
            let (level, maps) = (&network.plan.levels[i], &network.maps[i]);
            let (finer, coarser) = self.gradients.split_at_mut(i + 1);
            let gradients = &mut finer[i];
            let features = level.features;
            if let Some(pool) = &network.pools[i] {
                let decoder_input = gradients.decoder_input.view();
                let of = if level.concat {
                    ReadGradient {
                        queries: Some(decoder_input.channels(0..features)),
                        read: decoder_input.channels(features..2 * features),
                    }
                } else {
                    ReadGradient {
                        queries: None,
                        read: decoder_input.channels(0..features),
                    }
                };
                pool.lookup.backward(
                    maps.feature.view(),
                    &pool.items,
                    weights,
                    self.config.detach_read,
                    of,
                    gradients.feature.view_mut(),
                );
            } else if !level.feature_is_skip() {
                gradients.feature.fill(0.0);
            }
            pass.profile.lap(Operation::PoolGradient, level.number);
            let mut gradient = if level.feature_is_skip() {
                gradients.decoder_input.view_mut().channels(0..features)
            } else {
                gradients.feature.view_mut()
            };
            if let Some(coarser) = coarser.first() {
                let (feature, from) = (maps.encoded(level), coarser.input.view());
                max_pool2_backward(pass.isa, feature, from, gradient.reborrow());
                pass.profile.lap(Operation::MaxPoolGradient, level.number);
            }
            let [first, second] = &mut network.encoder[i];
            second.backward(
                &mut pass,
                maps.encoder_middle.view(),
                gradient,
                Some(gradients.middle.view_mut()),
            );
            let from = if i == 0 { input } else { maps.input.view() };
            let to = (i > 0).then(|| gradients.input.view_mut());
            first.backward(&mut pass, from, gradients.middle.view_mut(), to);
        }
    }
}
