//! The forward pass through the whole network, and the losses.

use super::{Losses, Training};
use crate::address::Addressing;
use crate::collective::summed;
use crate::loss::squared_error_of_tanh;
use crate::max_pool::max_pool2;
use crate::network::{LEVELS, NetworkConfig, Operation};
use crate::tanh::tanh_in_place;
use crate::view::{Shape, View, ViewMut};

impl Training {
    pub(super) fn reshape(&mut self, shape: Shape) {
        for (i, level) in self.levels.iter_mut().enumerate() {
            let number = i + 1;
            let shape = Shape {
                height: shape.height >> i,
                width: shape.width >> i,
                ..shape
            };
            let features = shape.with_channels(self.config.features(number));
            if number > 1 {
                let input = shape.with_channels(self.config.features(i));
                level.input.reshape(input);
                level.of_input.reshape(input);
            }
            for map in [
                &mut level.encoder_middle,
                &mut level.feature,
                &mut level.decoder_middle,
                &mut level.decoded,
                &mut level.of_middle,
                &mut level.of_feature,
            ] {
                map.reshape(features);
            }
            for map in [&mut level.joined, &mut level.of_joined] {
                map.reshape(shape.with_channels(self.config.joined(number)));
            }
        }
    }

    /// Whether the encoder's feature of a level lies in what the decoder reads, and not by itself.
    pub(super) fn straight(config: &NetworkConfig, level: usize) -> bool {
        !config.has_pool(level) && config.handed_on(level) > 0
    }

    pub(super) fn encode(&mut self, input: View<'_>) {
        let collective = self.collective.as_deref();
        let config = &self.config;
        let how = Addressing {
            temperature: config.temperature,
            top_k: config.top_k,
        };
        for i in 0..LEVELS {
            let (above, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            let features = config.features(i + 1);
            if let Some(above) = above.last() {
                max_pool2(self.isa, above.encoded(config, i), level.input.view_mut());
                self.profile.lap(Operation::MaxPool, i + 1);
            }
            let from = if i == 0 { input } else { level.input.view() };
            let [first, second] = &mut self.encoder[i];
            let values = &self.parameters.values;
            let profile = &mut self.profile;
            first.forward(
                self.isa,
                values,
                from,
                level.encoder_middle.view_mut(),
                profile,
                collective,
            );
            let middle = level.encoder_middle.view();
            if Self::straight(config, i + 1) {
                second.forward(
                    self.isa,
                    values,
                    middle,
                    level.joined.view_mut().channels(0..features),
                    profile,
                    collective,
                );
            } else {
                second.forward(
                    self.isa,
                    values,
                    middle,
                    level.feature.view_mut(),
                    profile,
                    collective,
                );
            }
            if let Some(pool) = &mut self.pools[i] {
                let feature = level.feature.view();
                let to = level.joined.view_mut().channels(0..config.handed_on(i + 1));
                if config.concat {
                    let (queries, read) = to.split(features);
                    pool.lookup
                        .read(feature, &pool.items, how, read, Some(queries));
                } else {
                    pool.lookup.read(feature, &pool.items, how, to, None);
                }
                self.profile.lap(Operation::Read, i + 1);
            }
        }
    }

    pub(super) fn decode(&mut self, shape: Shape) {
        let collective = self.collective.as_deref();
        let values = &self.parameters.values;
        for i in (0..LEVELS).rev() {
            let (below, rest) = self.levels.split_at_mut(i);
            let level = &mut rest[0];
            let [first, second] = &mut self.decoder[i];
            first.forward(
                self.isa,
                values,
                level.joined.view(),
                level.decoder_middle.view_mut(),
                &mut self.profile,
                collective,
            );
            second.forward(
                self.isa,
                values,
                level.decoder_middle.view(),
                level.decoded.view_mut(),
                &mut self.profile,
                collective,
            );
            if let Some(below) = below.last_mut() {
                let range = self.config.handed_on(i)..self.config.joined(i);
                let to = below.joined.view_mut().channels(range);
                self.ups[i - 1].forward(
                    self.isa,
                    values,
                    level.decoded.view(),
                    to,
                    &mut self.profile,
                    collective,
                );
            }
        }
        self.prediction.resize(shape.len(), 0.0);
        let mut to = ViewMut::dense(&mut self.prediction, shape);
        self.last.forward(
            self.isa,
            values,
            self.levels[0].decoded.view(),
            to.reborrow(),
            &mut self.profile,
            None,
        );
        tanh_in_place(self.isa, &mut to);
        self.profile.lap(Operation::Output, 0);
    }

    /// The losses of the batch on all devices, and the gradient behind the last convolution of that
    /// of this device.
    pub(super) fn losses(&mut self, target: &[f32], shape: Shape) -> Losses {
        self.last_gradient.reshape(shape);
        let prediction = View::dense(&self.prediction, shape);
        let to = self.last_gradient.view_mut();
        let mut losses = Losses {
            prediction: squared_error_of_tanh(self.isa, prediction, View::dense(target, shape), to),
            ..Losses::default()
        };
        self.profile.lap(Operation::Output, 0);
        if let Some(collective) = self.collective.as_deref() {
            let mut sum = [losses.prediction];
            summed(Some(collective), &mut sum);
            losses.prediction = sum[0] / collective.world_size() as f64;
        }
        for (i, pool) in self.pools.iter_mut().enumerate() {
            let Some(pool) = pool else { continue };
            let parts = pool
                .lookup
                .joint_losses(&pool.items, self.collective.as_deref());
            self.profile.lap(Operation::PoolLosses, i + 1);
            losses.compactness += parts.compactness;
            losses.separateness += parts.separateness;
            losses.information += parts.information;
        }
        let weights = self.training.losses;
        losses.total = losses.prediction
            + f64::from(weights.compactness) * losses.compactness
            + f64::from(weights.separateness) * losses.separateness
            + f64::from(weights.information) * losses.information;
        losses
    }
}
