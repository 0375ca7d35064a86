//! Pixels as the network's input.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::{FrameMaps, MsnNet, NetConfig, evaluate};

/// Appends interleaved 8-bit pixels [H, W, C] as planes [C, H, W] of `x / 127.5 - 1`.
pub fn push_planes(pixels: &[u8], channels: usize, out: &mut Vec<f32>) {
    for c in 0..channels {
        out.extend(
            pixels
                .iter()
                .skip(c)
                .step_by(channels)
                .map(|&p| f32::from(p) / 127.5 - 1.0),
        );
    }
}

/// Clips on the host, as the network wants them.
#[derive(Clone, Debug, Default)]
pub struct Clips {
    /// Clips N.
    pub count: usize,
    /// Height of a frame.
    pub height: usize,
    /// Width of a frame.
    pub width: usize,
    /// Past frames [N, T*C, H, W] in [-1, 1], oldest first.
    pub frames: Vec<f32>,
    /// The frames to predict, [N, C, H, W].
    pub target: Vec<f32>,
}

impl Clips {
    /// Both on a device: [N, T*C, H, W] and [N, C, H, W].
    pub fn tensors<B: Backend>(self, config: &NetConfig, device: &B::Device) -> [Tensor<B, 4>; 2] {
        let (n, h, w) = (self.count, self.height, self.width);
        let past = config.frames * config.channels;
        [(self.frames, past), (self.target, config.channels)]
            .map(|(values, c)| Tensor::from_data(TensorData::new(values, [n, c, h, w]), device))
    }
}

/// Anything that evaluates clips: a network on some backend, or a faster twin of it.
pub trait Predictor {
    /// The network's settings.
    fn config(&self) -> &NetConfig;

    /// The maps of each clip's target frame.
    ///
    /// # Errors
    /// [`PredictError`] where the clips do not fit the network.
    fn maps(&self, clips: Clips) -> Result<Vec<FrameMaps>, PredictError>;
}

/// Clips that a predictor can't take.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct PredictError(pub String);

/// A network and the device it lives on.
#[derive(Debug)]
pub struct OnDevice<B: Backend> {
    /// The network.
    pub net: MsnNet<B>,
    /// Its device.
    pub device: B::Device,
}

impl<B: Backend> Predictor for OnDevice<B> {
    fn config(&self) -> &NetConfig {
        self.net.config()
    }

    fn maps(&self, clips: Clips) -> Result<Vec<FrameMaps>, PredictError> {
        let [frames, target] = clips.tensors(self.net.config(), &self.device);
        Ok(evaluate(&self.net, frames, target))
    }
}
