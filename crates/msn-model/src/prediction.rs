//! What a network says of clips: predicted frames and distances to its items.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::{Clips, Mode, MsnNet, NetConfig};

/// Rows x columns of one frame's map, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height * width` values.
    pub values: Vec<f32>,
}

impl Map {
    /// Mean of all values.
    pub fn mean(&self) -> f64 {
        self.values.iter().map(|&v| f64::from(v)).sum::<f64>() / self.values.len() as f64
    }
}

/// A predicted frame, and how far the clip's features are from what the pools hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Height of the frame.
    pub height: usize,
    /// Width of the frame.
    pub width: usize,
    /// The frame, [C, H, W] flat, in [-1, 1].
    pub planes: Vec<f32>,
    /// Squared distance of each query to its nearest item, mean over features, in [0, 4 / D], by
    /// pool number, pools ascending; H / 2, W / 2 for pool 1, a quarter and an eighth for 2 and 3.
    pub distances: Vec<(usize, Map)>,
}

impl Prediction {
    /// Channels C of the frame.
    pub fn channels(&self) -> usize {
        (self.planes.len() / (self.height * self.width).max(1)).max(1)
    }

    /// The error against the true frame (planes [C, H, W] in [-1, 1]) in pixel range 0..1, so in
    /// [-1, 1], [C, H, W] flat.
    pub fn error(&self, target: &[f32]) -> Vec<f32> {
        let pairs = self.planes.iter().zip(target);
        pairs.map(|(ours, truth)| (ours - truth) / 2.0).collect()
    }

    /// The squared [`error`](Self::error), mean over channels, [H, W]; in [0, 1].
    pub fn squared_error(&self, target: &[f32]) -> Map {
        let squared: Vec<f32> = self.error(target).iter().map(|e| e * e).collect();
        Map {
            height: self.height,
            width: self.width,
            values: mean_over_channels(&squared, self.channels()),
        }
    }
}

/// Mean over the channels of planes [C, H, W], [H, W].
pub fn mean_over_channels(planes: &[f32], channels: usize) -> Vec<f32> {
    let mut each = planes.chunks_exact((planes.len() / channels).max(1));
    let mut mean = each.next().map(<[f32]>::to_vec).unwrap_or_default();
    for plane in each {
        mean.iter_mut().zip(plane).for_each(|(sum, v)| *sum += v);
    }
    let share = 1.0 / channels as f32;
    mean.iter_mut().for_each(|v| *v *= share);
    mean
}

/// Anything that predicts frames: a network on some backend, or a faster twin of it.
pub trait Predictor {
    /// Settings of the network, which say what it is fed and what it gives.
    fn config(&self) -> &NetConfig;

    /// The prediction of each clip's target frame from its past frames; targets are not looked at.
    ///
    /// # Errors
    /// [`PredictError`] where the clips do not fit the network.
    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError>;
}

/// Clips that a predictor can't take.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// Frames of another size or number.
    #[error(
        "{clips} clips of {height} x {width} pixels do not fit {planes} planes of sides that are multiples of 8"
    )]
    Shape {
        /// Clips that were given.
        clips: usize,
        /// Height of their frames.
        height: usize,
        /// Width of their frames.
        width: usize,
        /// Planes T*C that a clip needs.
        planes: usize,
    },
    /// The engine that computes has another reason.
    #[error("{0}")]
    Engine(Box<dyn std::error::Error + Send + Sync>),
}

/// A network and the device it lives on.
#[derive(Debug)]
pub struct OnDevice<B: Backend> {
    /// Its tensors lie on `device`.
    pub net: MsnNet<B>,
    /// Where clips are brought to.
    pub device: B::Device,
}

impl<B: Backend> Predictor for OnDevice<B> {
    fn config(&self) -> &NetConfig {
        self.net.config()
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        let config = self.net.config();
        let past = config.frames * config.channels;
        let shape = [clips.count, past, clips.height, clips.width];
        let frames = TensorData::new(clips.frames.clone(), shape);
        Ok(predict(&self.net, Tensor::from_data(frames, &self.device)))
    }
}

/// Predicts the frame that follows each clip of `frames` [N, T*C, H, W] in [-1, 1].
pub fn predict<B: Backend>(net: &MsnNet<B>, frames: Tensor<B, 4>) -> Vec<Prediction> {
    let [n, _, height, width] = frames.dims();
    let output = net.forward(frames, Mode::Evaluate);
    let planes = floats(output.prediction);
    let distances: Vec<(usize, [usize; 3], Vec<f32>)> = output
        .lookups
        .iter()
        .map(|a| (a.pool, a.shape, floats(a.distance_map())))
        .collect();
    let part = |values: &[f32], i: usize| {
        values[i * values.len() / n..(i + 1) * values.len() / n].to_vec()
    };
    let one = |i| Prediction {
        height,
        width,
        planes: part(&planes, i),
        distances: distances
            .iter()
            .map(|(pool, [_, height, width], values)| {
                let map = Map {
                    height: *height,
                    width: *width,
                    values: part(values, i),
                };
                (*pool, map)
            })
            .collect(),
    };
    (0..n).map(one).collect()
}

fn floats<B: Backend, const D: usize>(t: Tensor<B, D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squared_errors_are_averaged_over_channels_in_pixel_range() {
        let mut planes = vec![0.0f32; 3 * 4];
        planes[4 + 1] = 1.0;
        planes[8 + 1] = -0.5;
        let prediction = Prediction {
            height: 2,
            width: 2,
            planes,
            distances: Vec::new(),
        };
        assert_eq!(prediction.channels(), 3);
        let error = prediction.squared_error(&[0.0; 12]);
        let third = 1.0f32 / 3.0;
        assert_eq!(error.values, [0.0, (0.25 + 0.0625) * third, 0.0, 0.0]);
        assert!((error.mean() - 0.3125 / 12.0).abs() < 1e-7);
    }
}
