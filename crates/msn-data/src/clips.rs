//! Segments, clips and the hold-out of training videos.

use std::ops::Range;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{DataError, LoadedVideo};

/// An unbroken piece of a video: no clip crosses its ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Index of the video.
    pub video: usize,
    /// Frames of the piece, 0-based, end exclusive.
    pub frames: Range<usize>,
}

impl Segment {
    /// The name of its video, which `videos[self.video]` is, with the frames where it is not all of it.
    #[must_use]
    pub fn label(&self, video: &LoadedVideo) -> String {
        match self.frames.len() == video.frames() {
            true => video.name.clone(),
            false => {
                let Range { start, end } = self.frames;
                format!("{} frames {start} to {end}", video.name)
            }
        }
    }
}

/// `past` frames of one video, `stride` apart, and the target that follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clip {
    /// Index of the video.
    pub video: usize,
    /// Index of the oldest frame; the others are `first + stride`, `first + 2 stride`, ...
    pub first: usize,
}

impl Clip {
    /// Indices of the past frames, oldest first.
    pub fn past(self, past: usize, stride: usize) -> impl Iterator<Item = usize> {
        (0..past).map(move |i| self.first + i * stride)
    }

    /// Index of the frame to predict.
    #[must_use]
    pub fn target(self, past: usize, stride: usize) -> usize {
        self.first + past * stride
    }
}

/// Every unbroken run of frames of every video, in order.
#[must_use]
pub fn segments(videos: &[LoadedVideo]) -> Vec<Segment> {
    let runs = videos.iter().enumerate();
    runs.flat_map(|(video, loaded)| {
        loaded.runs.iter().map(move |frames| Segment {
            video,
            frames: frames.clone(),
        })
    })
    .collect()
}

/// All clips of `past` frames and a target that lie in one segment, in order.
///
/// A segment of n frames has n - `past` * `stride` of them; shorter segments have none.
#[must_use]
pub fn clips(segments: &[Segment], past: usize, stride: usize) -> Vec<Clip> {
    let reach = reach(past, stride);
    let of_segment = |segment: &Segment| {
        let video = segment.video;
        let firsts = segment.frames.start..segment.frames.end.saturating_sub(reach);
        firsts.map(move |first| Clip { video, first })
    };
    segments.iter().flat_map(of_segment).collect()
}

/// Names the videos that are too short for a clip, each in a warning.
///
/// # Errors
/// [`DataError::NoClip`] if no video holds a clip of `past` * `stride` + 1 unbroken frames.
pub fn short_videos(
    videos: &[LoadedVideo],
    past: usize,
    stride: usize,
) -> Result<Vec<String>, DataError> {
    let reach = reach(past, stride);
    let needed = reach.saturating_add(1);
    let longest = |video: &LoadedVideo| video.runs.iter().map(Range::len).max().unwrap_or(0);
    let mut warnings = Vec::new();
    for video in videos.iter().filter(|video| longest(video) <= reach) {
        warnings.push(format!(
            "{} is skipped: a clip takes {needed} unbroken frames, it has {}",
            video.source,
            longest(video)
        ));
    }
    if warnings.len() < videos.len() {
        return Ok(warnings);
    }
    Err(DataError::NoClip {
        videos: videos.len(),
        needed,
        longest: videos.iter().map(longest).max().unwrap_or(0),
    })
}

/// Frames from a clip's first to its target.
fn reach(past: usize, stride: usize) -> usize {
    past.saturating_mul(stride)
}

/// Training data in two parts: what the network learns from, and normal clips it never sees,
/// which calibrate its scores and choose its settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldOut {
    /// Segments to train on.
    pub train: Vec<Segment>,
    /// Segments held out.
    pub held: Vec<Segment>,
}

/// Holds out part of the training videos (METHOD.md, Training).
///
/// With at least four videos that hold a clip: max(1, round(videos / 8)) whole videos, drawn
/// with `seed`. With fewer: the last 15 % of each (at least one clip's length, where the video
/// has two), with a gap of `past` * `stride` frames before it. Videos too short for a clip stay
/// out of the count and among the training segments, where they yield no clip.
#[must_use]
pub fn hold_out(videos: &[LoadedVideo], past: usize, stride: usize, seed: u64) -> HoldOut {
    let lengths: Vec<usize> = videos.iter().map(LoadedVideo::frames).collect();
    let segments = segments(videos);
    let reach = reach(past, stride);
    let mut usable: Vec<usize> = segments
        .iter()
        .filter(|s| s.frames.len() > reach)
        .map(|s| s.video)
        .collect();
    usable.dedup();
    if usable.len() < 4 {
        return last_part(&segments, &lengths, reach);
    }
    let held = draw(&usable, seed);
    let (held, train) = segments.into_iter().partition(|s| held.contains(&s.video));
    HoldOut { train, held }
}

/// Whole videos out of `usable`, as many as METHOD.md says.
pub(crate) fn draw(usable: &[usize], seed: u64) -> Vec<usize> {
    let count = ((usable.len() + 4) / 8).max(1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(u64::from_le_bytes(*b"hold-out"));
    let mut held: Vec<usize> = rand::seq::index::sample(&mut random, usable.len(), count)
        .into_iter()
        .map(|i| usable[i])
        .collect();
    held.sort_unstable();
    held
}

/// The last part of every video, with a gap before it.
pub(crate) fn last_part(segments: &[Segment], lengths: &[usize], reach: usize) -> HoldOut {
    let mut parts = HoldOut::default();
    for segment in segments {
        let frames = lengths[segment.video];
        let (train_end, held_start) = cut(frames, reach);
        let Range { start, end } = segment.frames;
        let video = segment.video;
        if start < train_end {
            let frames = start..end.min(train_end);
            parts.train.push(Segment { video, frames });
        }
        if end > held_start {
            let frames = start.max(held_start)..end;
            parts.held.push(Segment { video, frames });
        }
    }
    parts
}

/// Where the training part of a video of so many frames ends and its held part starts.
fn cut(frames: usize, reach: usize) -> (usize, usize) {
    let share = frames
        .saturating_mul(15)
        .saturating_add(50)
        .checked_div(100)
        .unwrap_or(0);
    let clip = reach.saturating_add(1);
    // Two clips and the gap between them fit: the held part is at least one clip long.
    let needed = clip.saturating_mul(2).saturating_add(reach);
    let held = if frames >= needed {
        share.max(clip)
    } else {
        share
    };
    let held_start = frames - held.min(frames);
    (held_start.saturating_sub(reach), held_start)
}
