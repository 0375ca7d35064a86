//! Region- and track-based detection criteria (RBDC, TBDC) after Ramachandra and Jones,
//! "Street Scene: A new dataset and evaluation protocol for video anomaly detection" (WACV 2020),
//! with the conventions of this project:
//!
//! - For each distinct detection score, highest first, all detections with at least that score
//!   count. A true box is found if one of them in its frame overlaps it with an IoU of at least
//!   0.1; a detection is false if it overlaps no true box of its frame so. A second detection on
//!   a found box is neither.
//! - A track is found once at least 10 % of its boxes are.
//! - Found boxes / all boxes (RBDC) and found tracks / all tracks (TBDC) over false detections /
//!   frames: from (0, 0), points beyond 1 false detection per frame dropped, continued flat to 1,
//!   area by trapezoids.
//!
//! Boxes have inclusive pixel corners, and IoU counts pixels in whole numbers, so that an overlap
//! of exactly one tenth is one on every machine.

mod components;
mod curve;
mod tracks;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

pub use components::{Component, MapSize, components};
pub use curve::{Curves, RegionMetrics, RegionPoint, curve, rbdc, region_metrics, tbdc};
pub use tracks::{MaskTracker, tracks_from_masks};

use crate::MetricsError;

/// A box in one frame, with inclusive pixel corners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// The frame; any numbering that truth and detections share.
    pub frame: usize,
    /// Leftmost pixel.
    pub x1: i32,
    /// Topmost pixel.
    pub y1: i32,
    /// Rightmost pixel, not left of `x1`.
    pub x2: i32,
    /// Lowest pixel, not above `y1`.
    pub y2: i32,
}

impl Region {
    /// Pixels of the box.
    fn area(&self) -> i128 {
        side(self.x1, self.x2) * side(self.y1, self.y2)
    }

    /// Pixels in common with another box, whatever its frame.
    fn intersection(&self, other: &Self) -> i128 {
        let width = side(self.x1.max(other.x1), self.x2.min(other.x2)).max(0);
        let height = side(self.y1.max(other.y1), self.y2.min(other.y2)).max(0);
        width * height
    }

    /// Intersection over union in pixels, in [0, 1], whatever the frames.
    pub fn iou(&self, other: &Self) -> f64 {
        let common = self.intersection(other);
        common as f64 / (self.area() + other.area() - common) as f64
    }

    /// Whether the IoU is at least 0.1, in whole numbers.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let common = self.intersection(other);
        10 * common >= self.area() + other.area() - common
    }
}

fn side(from: i32, to: i32) -> i128 {
    i128::from(to) - i128::from(from) + 1
}

/// The true boxes of one anomaly over its frames.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Track {
    /// Its boxes, usually one a frame, in any order; at least one.
    pub regions: Vec<Region>,
}

/// A box that a method found, and how anomalous it is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Where.
    #[serde(flatten)]
    pub region: Region,
    /// Higher is more anomalous; finite.
    pub score: f64,
}

/// Truth and detections of one test video.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RegionVideo {
    /// Name of the video, unique in its set.
    pub name: String,
    /// Number of scored frames.
    pub frames: usize,
    /// True tracks, with their boxes in scored frames.
    pub tracks: Vec<Track>,
    /// Detections, in any order.
    pub detections: Vec<Detection>,
}

/// Refuses what no curve can be drawn from; the functions of this module call it.
///
/// # Errors
/// [`MetricsError::DuplicateVideo`], [`MetricsError::EmptyTrack`], [`MetricsError::Corners`],
/// [`MetricsError::DetectionNotFinite`], and [`MetricsError::TooFewFrames`] if the boxes of a
/// video lie in more frames than it has.
pub fn check(videos: &[RegionVideo]) -> Result<(), MetricsError> {
    let mut names = HashSet::with_capacity(videos.len());
    for video in videos {
        if !names.insert(video.name.as_str()) {
            return Err(MetricsError::DuplicateVideo {
                video: video.name.clone(),
            });
        }
        if let Some(track) = video
            .tracks
            .iter()
            .position(|track| track.regions.is_empty())
        {
            return Err(MetricsError::EmptyTrack {
                video: video.name.clone(),
                track,
            });
        }
        let truth = video.tracks.iter().flat_map(|track| &track.regions);
        let mut frames = HashSet::new();
        for region in truth.chain(video.detections.iter().map(|d| &d.region)) {
            let Region {
                frame,
                x1,
                y1,
                x2,
                y2,
            } = *region;
            if x1 > x2 || y1 > y2 {
                let video = video.name.clone();
                return Err(MetricsError::Corners {
                    video,
                    frame,
                    x1,
                    y1,
                    x2,
                    y2,
                });
            }
            frames.insert(frame);
        }
        if frames.len() > video.frames {
            return Err(MetricsError::TooFewFrames {
                video: video.name.clone(),
                frames: video.frames,
                found: frames.len(),
            });
        }
        if let Some(bad) = video.detections.iter().find(|d| !d.score.is_finite()) {
            return Err(MetricsError::DetectionNotFinite {
                video: video.name.clone(),
                frame: bad.region.frame,
                value: bad.score,
            });
        }
    }
    Ok(())
}
