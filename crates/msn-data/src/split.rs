//! The split of the training videos into a training and a calibration part.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::clips::{reach, segments};
use crate::{LoadedVideo, Segment};

/// Stream of the seed from which whole videos are drawn. Part of what a seed means.
const STREAM: [u8; 8] = *b"hold-out";
/// With fewer videos that hold a clip, the last part of each is the calibration part.
const FEWEST_WHOLE_VIDEOS: usize = 4;

/// Training data in two parts: what the network learns from, and normal footage that it never
/// learns from. On the latter the validation loss is measured and the score calibrated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Segments to train on.
    pub train: Vec<Segment>,
    /// Segments of the calibration split.
    pub calibration: Vec<Segment>,
}

/// Draws the calibration split of training videos.
///
/// With at least four videos that hold a clip it takes max(1, round(videos / 8)) whole videos,
/// drawn with `seed`. With fewer it takes the last 15 % of each (at least one clip's length, where
/// the video has two), with a gap of `past` * `stride` frames before it. Videos too short for a
/// clip are not counted and stay among the training segments, where they yield no clip.
#[must_use]
pub fn calibration_split(videos: &[LoadedVideo], past: usize, stride: usize, seed: u64) -> Split {
    let lengths: Vec<usize> = videos.iter().map(LoadedVideo::frames).collect();
    let segments = segments(videos);
    let reach = reach(past, stride);
    let mut usable: Vec<usize> = segments
        .iter()
        .filter(|s| s.frames.len() > reach)
        .map(|s| s.video)
        .collect();
    usable.dedup();
    if !takes_whole_videos(usable.len()) {
        return last_part(&segments, &lengths, reach);
    }
    let drawn = draw(&usable, seed);
    let (calibration, train) = segments.into_iter().partition(|s| drawn.contains(&s.video));
    Split { train, calibration }
}

/// Whether whole videos are taken out of so many.
pub(crate) const fn takes_whole_videos(videos: usize) -> bool {
    videos >= FEWEST_WHOLE_VIDEOS
}

/// Draws an eighth of `usable`, rounded, and at least one.
pub(crate) fn draw(usable: &[usize], seed: u64) -> Vec<usize> {
    let count = ((usable.len() + 4) / 8).max(1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from_le_bytes(STREAM));
    let mut drawn: Vec<usize> = rand::seq::index::sample(&mut random, usable.len(), count)
        .into_iter()
        .map(|i| usable[i])
        .collect();
    drawn.sort_unstable();
    drawn
}

/// The last part of every video, with a gap before it.
pub(crate) fn last_part(segments: &[Segment], lengths: &[usize], reach: usize) -> Split {
    let mut parts = Split::default();
    for segment in segments {
        let frames = lengths[segment.video];
        let (train_end, calibration_start) = cut(frames, reach);
        let Range { start, end } = segment.frames;
        let video = segment.video;
        if start < train_end {
            let frames = start..end.min(train_end);
            parts.train.push(Segment { video, frames });
        }
        if end > calibration_start {
            let frames = start.max(calibration_start)..end;
            parts.calibration.push(Segment { video, frames });
        }
    }
    parts
}

/// Where the training part of a video of so many frames ends and its calibration part starts.
fn cut(frames: usize, reach: usize) -> (usize, usize) {
    let share = frames
        .saturating_mul(15)
        .saturating_add(50)
        .checked_div(100)
        .unwrap_or(0);
    let clip = reach.saturating_add(1);
    // Two clips and the gap between them fit: the calibration part is at least one clip long.
    let needed = clip.saturating_mul(2).saturating_add(reach);
    let length = if frames >= needed {
        share.max(clip)
    } else {
        share
    };
    let calibration_start = frames - length.min(frames);
    (calibration_start.saturating_sub(reach), calibration_start)
}
