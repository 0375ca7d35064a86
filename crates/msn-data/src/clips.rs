//! Segments and clips.

use std::ops::Range;

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
pub(crate) fn reach(past: usize, stride: usize) -> usize {
    past.saturating_mul(stride)
}
