//! The backward pass through the whole network.

use super::Training;
use crate::address::ReadGradient;
use crate::max_pool::max_pool2_backward;
use crate::network::{LEVELS, Operation};
use crate::view::View;

impl Training {
    /// From the last convolution to what the encoder handed on.
    pub(super) fn decode_backward(&mut self) {
        let collective = self.collective.as_deref();
        let to = &mut self.parameters;
        let top = &mut self.levels[0];
        let gradient = self.last_gradient.view_mut();
        self.last.backward(
            self.isa,
            to,
            top.decoded.view(),
            gradient,
            Some(top.of_feature.view_mut()),
            &mut self.profile,
            None,
        );
        for i in 0..LEVELS {
            let (upper, lower) = self.levels.split_at_mut(i + 1);
            let level = &mut upper[i];
            let [first, second] = &mut self.decoder[i];
            let (of_feature, of_middle) = (level.of_feature.view_mut(), level.of_middle.view_mut());
            second.backward(
                self.isa,
                to,
                level.decoder_middle.view(),
                of_feature,
                Some(of_middle),
                &mut self.profile,
                collective,
            );
            let (of_middle, of_joined) = (level.of_middle.view_mut(), level.of_joined.view_mut());
            first.backward(
                self.isa,
                to,
                level.joined.view(),
                of_middle,
                Some(of_joined),
                &mut self.profile,
                collective,
            );
            if let Some(next) = lower.first_mut() {
                let range = self.config.handed_on(i + 1)..self.config.joined(i + 1);
                let of_up = level.of_joined.view_mut().channels(range);
                let of_next = next.of_feature.view_mut();
                self.ups[i].backward(
                    self.isa,
                    to,
                    next.decoded.view(),
                    of_up,
                    Some(of_next),
                    &mut self.profile,
                    collective,
                );
            }
        }
    }

    /// From what the encoder handed on to the first convolution.
    pub(super) fn encode_backward(&mut self, input: View<'_>) {
        let collective = self.collective.as_deref();
        let config = &self.config;
        for i in (0..LEVELS).rev() {
            let (upper, lower) = self.levels.split_at_mut(i + 1);
            let level = &mut upper[i];
            let features = config.features(i + 1);
            let straight = Self::straight(config, i + 1);
            if let Some(pool) = &self.pools[i] {
                let joined = level.of_joined.view();
                let of = if config.concat {
                    ReadGradient {
                        queries: Some(joined.channels(0..features)),
                        read: joined.channels(features..2 * features),
                    }
                } else {
                    ReadGradient {
                        queries: None,
                        read: joined.channels(0..features),
                    }
                };
                pool.lookup.backward(
                    level.feature.view(),
                    &pool.items,
                    self.training.losses,
                    self.training.detach_read,
                    of,
                    level.of_feature.view_mut(),
                );
            } else if !straight {
                level.of_feature.fill(0.0);
            }
            self.profile.lap(Operation::PoolGradient, i + 1);
            let mut gradient = if straight {
                level.of_joined.view_mut().channels(0..features)
            } else {
                level.of_feature.view_mut()
            };
            if let Some(next) = lower.first() {
                let feature = if straight {
                    level.joined.view().channels(0..features)
                } else {
                    level.feature.view()
                };
                max_pool2_backward(self.isa, feature, next.of_input.view(), gradient.reborrow());
                self.profile.lap(Operation::MaxPoolGradient, i + 1);
            }
            let [first, second] = &mut self.encoder[i];
            let to = &mut self.parameters;
            let of_middle = level.of_middle.view_mut();
            second.backward(
                self.isa,
                to,
                level.encoder_middle.view(),
                gradient,
                Some(of_middle),
                &mut self.profile,
                collective,
            );
            let from = if i == 0 { input } else { level.input.view() };
            let of_input = (i > 0).then(|| level.of_input.view_mut());
            first.backward(
                self.isa,
                to,
                from,
                level.of_middle.view_mut(),
                of_input,
                &mut self.profile,
                collective,
            );
        }
    }
}
