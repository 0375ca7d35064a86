//! Pixels as the network's input.

use burn::tensor::{Tensor, TensorData, backend::Backend};

use crate::NetConfig;

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
    /// The frames to predict, [N, C, H, W]; a [`Predictor`](crate::Predictor) does not look at them.
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

    /// The target of each clip, [C, H, W] flat.
    pub fn targets(&self) -> impl Iterator<Item = &[f32]> {
        self.target
            .chunks_exact((self.target.len() / self.count.max(1)).max(1))
    }
}
