//! Clips of loaded videos as batches for the network.

use msn_data::{Clip, LoadedVideo};
use msn_model::{Clips, NetConfig, push_planes};
use rand::{RngExt, seq::SliceRandom};

use crate::random::{Purpose, generator};

/// A square cut from every frame of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crop {
    top: usize,
    left: usize,
    side: usize,
}

/// Where clips come from and how they are cut.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    /// Frames in memory.
    pub videos: &'a [LoadedVideo],
    /// The network that takes them.
    pub net: &'a NetConfig,
    /// Frames between two frames of a clip.
    pub stride: usize,
    /// Side of random crops; 0 for whole frames.
    pub crop: usize,
    /// What order and crops are drawn from.
    pub seed: u64,
}

impl Feed<'_> {
    /// The clips of an epoch in its order.
    pub fn order(&self, clips: &[Clip], epoch: usize) -> Vec<Clip> {
        let mut order = clips.to_vec();
        order.shuffle(&mut generator(self.seed, Purpose::Order, index(epoch)));
        order
    }

    /// A batch; crops depend on the epoch and on each clip alone, not on the batch.
    pub fn batch(&self, clips: &[Clip], epoch: usize) -> Clips {
        let Some(first) = clips.first() else {
            return Clips::default();
        };
        let size = self.videos[first.video].size;
        let [height, width] =
            [size.height, size.width].map(|v| usize::try_from(v).unwrap_or(usize::MAX));
        let channels = self.net.channels;
        let mut batch = Clips {
            count: clips.len(),
            height,
            width,
            ..Clips::default()
        };
        if self.crop > 0 {
            (batch.height, batch.width) = (self.crop, self.crop);
        }
        let mut cut = Vec::new();
        for &clip in clips {
            let crop = (self.crop > 0).then(|| self.crop_of(clip, epoch, height, width));
            let video = &self.videos[clip.video];
            let mut push = |frame: usize, out: &mut Vec<f32>| match crop {
                None => push_planes(video.frame(frame), channels, out),
                Some(crop) => {
                    cut.clear();
                    for row in crop.top..crop.top + crop.side {
                        let start = (row * width + crop.left) * channels;
                        cut.extend_from_slice(
                            &video.frame(frame)[start..start + crop.side * channels],
                        );
                    }
                    push_planes(&cut, channels, out);
                }
            };
            for frame in clip.past(self.net.frames, self.stride) {
                push(frame, &mut batch.frames);
            }
            push(clip.target(self.net.frames, self.stride), &mut batch.target);
        }
        batch
    }

    fn crop_of(&self, clip: Clip, epoch: usize, height: usize, width: usize) -> Crop {
        let sample = index(epoch) << 40 | index(clip.video) << 24 | index(clip.first);
        let mut rng = generator(self.seed, Purpose::Crop, sample);
        let side = self.crop;
        Crop {
            top: rng.random_range(0..=height - side),
            left: rng.random_range(0..=width - side),
            side,
        }
    }
}

pub(crate) fn index(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
