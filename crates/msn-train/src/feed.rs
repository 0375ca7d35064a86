//! Clips of loaded videos as batches for the network.

use msn_data::{Clip, DataError, LoadedVideo};
use msn_model::{Clips, NetConfig, push_planes};
use rand::{RngExt, seq::SliceRandom};

use crate::{
    Settings,
    random::{Purpose, generator},
};

/// A part of every frame of a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Crop {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
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
    /// Mirror every other clip, drawn at random, left to right.
    pub flip: bool,
    /// Largest change of a clip's brightness, a share of 1: pixel values are multiplied by a number
    /// from 1 - this to 1 + this, and clipped. 0 for none.
    pub brightness: f64,
    /// What order, crops, mirroring and brightness are drawn from.
    pub seed: u64,
}

/// How one clip differs from its video.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Augmentation {
    crop: Crop,
    flip: bool,
    gain: Option<f64>,
}

impl<'a> Feed<'a> {
    /// As a training with these settings cuts clips.
    pub fn new(settings: &'a Settings, videos: &'a [LoadedVideo]) -> Self {
        let t = &settings.train;
        Self {
            videos,
            net: &settings.net,
            stride: settings.input.stride,
            crop: t.crop,
            flip: t.flip,
            brightness: t.brightness,
            seed: t.seed,
        }
    }

    /// Whole frames as they are.
    pub fn whole_frames(settings: &'a Settings, videos: &'a [LoadedVideo]) -> Self {
        Self {
            crop: 0,
            flip: false,
            brightness: 0.0,
            ..Self::new(settings, videos)
        }
    }
}

impl Feed<'_> {
    /// The clips of an epoch in its order.
    pub fn order(&self, clips: &[Clip], epoch: usize) -> Vec<Clip> {
        let mut order = clips.to_vec();
        order.shuffle(&mut generator(self.seed, Purpose::Order, index(epoch)));
        order
    }

    /// A batch; what is drawn for a clip depends on the epoch and on the clip alone, not on the
    /// batch or on who makes it.
    ///
    /// # Errors
    /// Those of [`LoadedVideo::frame`].
    pub fn batch(&self, clips: &[Clip], epoch: usize) -> Result<Clips, DataError> {
        let Some(first) = clips.first() else {
            return Ok(Clips::default());
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
            let drawn = self.draw(clip, epoch, height, width);
            let video = &self.videos[clip.video];
            let mut push = |frame: usize, out: &mut Vec<f32>| {
                let pixels = video.frame(frame)?;
                match drawn {
                    None => push_planes(&pixels, channels, out),
                    Some(drawn) => {
                        drawn.cut(&pixels, width, channels, &mut cut);
                        push_planes(&cut, channels, out);
                    }
                }
                Ok::<(), DataError>(())
            };
            for frame in clip.past(self.net.frames, self.stride) {
                push(frame, &mut batch.frames)?;
            }
            push(clip.target(self.net.frames, self.stride), &mut batch.target)?;
        }
        Ok(batch)
    }

    /// What is drawn for a clip; `None` where it is taken as it is.
    fn draw(&self, clip: Clip, epoch: usize, height: usize, width: usize) -> Option<Augmentation> {
        if self.crop == 0 && !self.flip && self.brightness == 0.0 {
            return None;
        }
        let sample = index(epoch) << 40 | index(clip.video) << 24 | index(clip.first);
        let mut crop = Crop {
            top: 0,
            left: 0,
            height,
            width,
        };
        if self.crop > 0 {
            let mut rng = generator(self.seed, Purpose::Crop, sample);
            let side = self.crop;
            crop = Crop {
                top: rng.random_range(0..=height - side),
                left: rng.random_range(0..=width - side),
                height: side,
                width: side,
            };
        }
        let mut rng = generator(self.seed, Purpose::Augment, sample);
        // Both are always drawn, so that one does not depend on the other.
        let (mirror, change) = (rng.random_bool(0.5), rng.random_range(-1.0..=1.0));
        Some(Augmentation {
            crop,
            flip: self.flip && mirror,
            gain: (self.brightness > 0.0).then_some(1.0 + self.brightness * change),
        })
    }
}

impl Augmentation {
    /// Cuts a frame of interleaved pixels.
    fn cut(&self, pixels: &[u8], width: usize, channels: usize, out: &mut Vec<u8>) {
        out.clear();
        let Crop {
            top, left, height, ..
        } = self.crop;
        for row in top..top + height {
            let start = (row * width + left) * channels;
            let row = &pixels[start..start + self.crop.width * channels];
            if self.flip {
                out.extend(row.chunks_exact(channels).rev().flatten());
            } else {
                out.extend_from_slice(row);
            }
        }
        if let Some(gain) = self.gain {
            for value in out {
                // Clipped to a byte's range before it becomes one.
                let brighter = (f64::from(*value) * gain).round().clamp(0.0, 255.0) as u8;
                *value = brighter;
            }
        }
    }
}

pub(crate) fn index(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use msn_data::{Color, Size, clips, segments};

    use super::*;

    fn videos() -> Vec<LoadedVideo> {
        let video = |seed: usize| {
            let pixels: Vec<u8> = (0..12 * 16 * 24 * 3)
                .map(|i| u8::try_from((i * 7 + i / 13 * seed) % 256).unwrap())
                .collect();
            LoadedVideo::from_pixels(format!("v{seed}"), Size::new(24, 16), Color::Rgb, &pixels)
        };
        vec![video(3).unwrap(), video(5).unwrap()]
    }

    #[test]
    fn what_is_drawn_depends_on_seed_epoch_and_clip_alone() {
        let videos = videos();
        let net = NetConfig {
            channels: 3,
            ..NetConfig::default()
        };
        let feed = Feed {
            videos: &videos,
            net: &net,
            stride: 1,
            crop: 8,
            flip: true,
            brightness: 0.3,
            seed: 4,
        };
        let all = clips(&segments(&videos), 4, 1);
        let whole = feed.batch(&all, 2).unwrap();
        let one_by_one = all.iter().map(|c| feed.batch(&[*c], 2).unwrap());
        let joined: Vec<f32> = one_by_one.flat_map(|b| b.frames).collect();
        assert_eq!(whole.frames, joined);
        let other_epoch = feed.batch(&all, 3).unwrap();
        let other_seed = Feed { seed: 5, ..feed }.batch(&all, 2).unwrap();
        assert_ne!(whole.frames, other_epoch.frames);
        assert_ne!(whole.frames, other_seed.frames);
    }

    #[test]
    fn mirroring_and_brightness_do_what_they_say() {
        let videos = videos();
        let net = NetConfig {
            channels: 3,
            ..NetConfig::default()
        };
        let plain = Feed {
            videos: &videos,
            net: &net,
            stride: 1,
            crop: 0,
            flip: false,
            brightness: 0.0,
            seed: 4,
        };
        let all = clips(&segments(&videos), 4, 1);
        let row = |values: &[f32], mirrored: bool| -> Vec<f32> {
            let rows = values.chunks_exact(24);
            match mirrored {
                true => rows.flat_map(|r| r.iter().rev()).copied().collect(),
                false => values.to_vec(),
            }
        };
        let (mut mirrored, mut gains) = (0, Vec::new());
        for &clip in &all {
            let as_is = plain.batch(&[clip], 0).unwrap();
            let flipped = Feed {
                flip: true,
                ..plain
            }
            .batch(&[clip], 0)
            .unwrap();
            // Past frames and target alike.
            let is_mirrored = flipped.frames != as_is.frames;
            assert_eq!(flipped.frames, row(&as_is.frames, is_mirrored));
            assert_eq!(flipped.target, row(&as_is.target, is_mirrored));
            mirrored += usize::from(is_mirrored);

            let feed = Feed {
                brightness: 0.25,
                ..plain
            };
            let brighter = feed.batch(&[clip], 0).unwrap();
            let byte = |v: f32| (v + 1.0) * 127.5;
            let at = as_is
                .frames
                .iter()
                .position(|&v| (100.0..150.0).contains(&byte(v)));
            let at = at.unwrap();
            let gain = byte(brighter.frames[at]) / byte(as_is.frames[at]);
            assert!((0.74..=1.26).contains(&gain), "{gain}");
            for (a, b) in as_is.target.iter().zip(&brighter.target) {
                // To the rounding of either pixel.
                let expected = (byte(*a) * gain).min(255.0);
                assert!(
                    (byte(*b) - expected).abs() <= 1.0 + byte(*a) / 100.0,
                    "{a} {b} {gain}"
                );
            }
            gains.push(gain);
        }
        assert!((4..=12).contains(&mirrored), "{mirrored} of {}", all.len());
        gains.sort_by(f32::total_cmp);
        assert!(gains[0] < 0.9 && gains[gains.len() - 1] > 1.1, "{gains:?}");
    }
}
