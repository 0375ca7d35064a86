use serde::{Deserialize, Serialize};

use super::{RegionVideo, check};
use crate::{Bootstrap, Estimate, MetricsError};

/// A track is found once one in so many of its boxes is.
const BOXES_FOR_ONE: usize = 10;

/// A point of a curve: what is found at how many false detections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RegionPoint {
    /// False detections per frame, in [0, 1].
    pub false_per_frame: f64,
    /// Share of the true boxes or tracks that are found, in [0, 1].
    pub found: f64,
    /// Lowest detection score that counts; infinite at the first point (JSON writes null there).
    pub threshold: f64,
}

/// The two curves, each from 0 to 1 false detection per frame.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curves {
    /// Found boxes, whose area is RBDC.
    pub boxes: Vec<RegionPoint>,
    /// Found tracks, whose area is TBDC.
    pub tracks: Vec<RegionPoint>,
}

/// RBDC and TBDC of a set of videos, each with its interval; `None` without a true box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RegionMetrics {
    /// Area under the curve of found boxes, in [0, 1].
    pub rbdc: Option<Estimate>,
    /// Area under the curve of found tracks, in [0, 1].
    pub tbdc: Option<Estimate>,
    /// Scored frames.
    pub frames: usize,
    /// True tracks.
    pub tracks: usize,
    /// True boxes.
    pub boxes: usize,
    /// Detections.
    pub detections: usize,
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    FalseDetection,
    FoundBox,
    FoundTrack,
}

/// What changes when the threshold falls to a score.
#[derive(Debug, Clone, Copy)]
struct Change {
    score: f64,
    video: usize,
    outcome: Outcome,
}

/// What a threshold has found so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    false_detections: u64,
    boxes: u64,
    tracks: u64,
}

/// All changes of all videos, highest score first, and how much each video holds.
struct Sweep {
    changes: Vec<Change>,
    frames: Vec<u64>,
    boxes: Vec<u64>,
    tracks: Vec<u64>,
}

impl Sweep {
    fn new(videos: &[RegionVideo]) -> Self {
        let mut changes = Vec::new();
        for (index, video) in videos.iter().enumerate() {
            let change = |(score, outcome)| Change {
                score,
                video: index,
                outcome,
            };
            changes.extend(outcomes(video).into_iter().map(change));
        }
        // 0.0 and -0.0 end side by side, and are one score where neighbours are compared.
        changes.sort_unstable_by(|a, b| b.score.total_cmp(&a.score));
        let boxes = |v: &RegionVideo| v.tracks.iter().map(|t| t.regions.len() as u64).sum();
        Self {
            changes,
            frames: videos.iter().map(|v| v.frames as u64).collect(),
            boxes: videos.iter().map(boxes).collect(),
            tracks: videos.iter().map(|v| v.tracks.len() as u64).collect(),
        }
    }

    /// Walks down the distinct scores with each video counted `weights[video]` times, up to one
    /// false detection per frame.
    fn walk(&self, weights: &[u64], frames: u64, mut at: impl FnMut(f64, Counts)) {
        let mut now = Counts::default();
        for (i, change) in self.changes.iter().enumerate() {
            let weight = weights[change.video];
            match change.outcome {
                Outcome::FalseDetection => now.false_detections += weight,
                Outcome::FoundBox => now.boxes += weight,
                Outcome::FoundTrack => now.tracks += weight,
            }
            if now.false_detections > frames {
                return;
            }
            if self
                .changes
                .get(i + 1)
                .is_none_or(|next| next.score != change.score)
            {
                at(change.score, now);
            }
        }
    }

    /// RBDC and TBDC with each video counted `weights[video]` times.
    fn areas(&self, weights: &[u64]) -> [Option<f64>; 2] {
        let [frames, boxes, tracks] =
            [&self.frames, &self.boxes, &self.tracks].map(|c| dot(c, weights));
        if frames == 0 || boxes == 0 {
            return [None; 2];
        }
        let mut last = Counts::default();
        // Twice the areas, in false detections times found ones: whole numbers.
        let (mut box_area, mut track_area) = (0.0, 0.0);
        self.walk(weights, frames, |_, now| {
            let step = (now.false_detections - last.false_detections) as f64;
            box_area += step * (last.boxes + now.boxes) as f64;
            track_area += step * (last.tracks + now.tracks) as f64;
            last = now;
        });
        let rest = 2.0 * (frames - last.false_detections) as f64;
        box_area += rest * last.boxes as f64;
        track_area += rest * last.tracks as f64;
        let share = |area: f64, all: u64| Some(area / 2.0 / (frames as f64 * all as f64));
        [share(box_area, boxes), share(track_area, tracks)]
    }

    fn curves(&self) -> Option<Curves> {
        let weights = vec![1; self.frames.len()];
        let [frames, boxes, tracks] =
            [&self.frames, &self.boxes, &self.tracks].map(|c| dot(c, &weights));
        if frames == 0 || boxes == 0 {
            return None;
        }
        let start = RegionPoint {
            false_per_frame: 0.0,
            found: 0.0,
            threshold: f64::INFINITY,
        };
        let mut curves = Curves {
            boxes: vec![start],
            tracks: vec![start],
        };
        self.walk(&weights, frames, |threshold, now| {
            let false_per_frame = now.false_detections as f64 / frames as f64;
            let point = |found, all| RegionPoint {
                false_per_frame,
                found: found as f64 / all as f64,
                threshold,
            };
            curves.boxes.push(point(now.boxes, boxes));
            curves.tracks.push(point(now.tracks, tracks));
        });
        for points in [&mut curves.boxes, &mut curves.tracks] {
            if let Some(&last) = points.last().filter(|last| last.false_per_frame < 1.0) {
                points.push(RegionPoint {
                    false_per_frame: 1.0,
                    ..last
                });
            }
        }
        Some(curves)
    }
}

fn dot(counts: &[u64], weights: &[u64]) -> u64 {
    counts
        .iter()
        .zip(weights)
        .map(|(&count, &weight)| count * weight)
        .sum()
}

/// The score at which each false detection, found box and found track of a video appears.
fn outcomes(video: &RegionVideo) -> Vec<(f64, Outcome)> {
    let mut truth: Vec<_> = video
        .tracks
        .iter()
        .enumerate()
        .flat_map(|(track, t)| t.regions.iter().map(move |&region| (region, track)))
        .collect();
    truth.sort_by_key(|(region, _)| region.frame);
    let mut best: Vec<Option<f64>> = vec![None; truth.len()];
    let mut out = Vec::new();
    for detection in &video.detections {
        let frame = detection.region.frame;
        let score = detection.score;
        let from = truth.partition_point(|(region, _)| region.frame < frame);
        let to = truth.partition_point(|(region, _)| region.frame <= frame);
        let mut is_false = true;
        for i in from..to {
            if truth[i].0.matches(&detection.region) {
                is_false = false;
                best[i] = Some(best[i].map_or(score, |b| b.max(score)));
            }
        }
        if is_false {
            out.push((score, Outcome::FalseDetection));
        }
    }
    let mut of_track: Vec<Vec<f64>> = vec![Vec::new(); video.tracks.len()];
    for ((_, track), score) in truth.iter().zip(&best) {
        if let Some(score) = *score {
            out.push((score, Outcome::FoundBox));
            of_track[*track].push(score);
        }
    }
    for (track, mut scores) in video.tracks.iter().zip(of_track) {
        let needed = track.regions.len().div_ceil(BOXES_FOR_ONE);
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        // The track is found when the last of the boxes it needs is.
        if let Some(&score) = needed.checked_sub(1).and_then(|i| scores.get(i)) {
            out.push((score, Outcome::FoundTrack));
        }
    }
    out
}

/// Both curves over all videos joined, with a point at each distinct score that adds something;
/// `None` without a frame or a true box.
///
/// # Errors
/// Those of [`check`].
pub fn curve(videos: &[RegionVideo]) -> Result<Option<Curves>, MetricsError> {
    check(videos)?;
    Ok(Sweep::new(videos).curves())
}

/// Region-based detection criterion: area under the curve of found boxes, in [0, 1]; `None`
/// without a frame or a true box.
///
/// # Errors
/// Those of [`check`].
pub fn rbdc(videos: &[RegionVideo]) -> Result<Option<f64>, MetricsError> {
    check(videos)?;
    let [rbdc, _] = Sweep::new(videos).areas(&vec![1; videos.len()]);
    Ok(rbdc)
}

/// Track-based detection criterion: area under the curve of found tracks, in [0, 1]; `None`
/// without a frame or a true box.
///
/// # Errors
/// Those of [`check`].
pub fn tbdc(videos: &[RegionVideo]) -> Result<Option<f64>, MetricsError> {
    check(videos)?;
    let [_, tbdc] = Sweep::new(videos).areas(&vec![1; videos.len()]);
    Ok(tbdc)
}

/// RBDC and TBDC with 95 % intervals from a bootstrap over videos.
///
/// # Errors
/// Those of [`check`], and [`MetricsError::NoResamples`].
pub fn region_metrics(
    videos: &[RegionVideo],
    bootstrap: &Bootstrap,
) -> Result<RegionMetrics, MetricsError> {
    check(videos)?;
    let sweep = Sweep::new(videos);
    let [rbdc, tbdc] = bootstrap.estimates(videos.len(), |weights| sweep.areas(weights))?;
    let boxes = |v: &RegionVideo| v.tracks.iter().map(|t| t.regions.len()).sum::<usize>();
    Ok(RegionMetrics {
        rbdc,
        tbdc,
        frames: videos.iter().map(|v| v.frames).sum(),
        tracks: videos.iter().map(|v| v.tracks.len()).sum(),
        boxes: videos.iter().map(boxes).sum(),
        detections: videos.iter().map(|v| v.detections.len()).sum(),
    })
}
