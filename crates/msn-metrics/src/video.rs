use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Labels and scores of the scored frames of one test video.
///
/// Frames without a score (the first `T * stride` of an unbroken run) are in neither list.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoredVideo {
    /// Name of the video, unique in its set.
    pub name: String,
    /// True where the frame is anomalous; one for each score.
    pub labels: Vec<bool>,
    /// Higher is more anomalous; finite.
    pub scores: Vec<f64>,
}

/// Refuses what no metric can be computed from.
///
/// Each function of this crate calls it on what it is given. Videos without frames, videos of
/// one class and an empty list are fine: metrics that they leave undefined are `None`.
///
/// # Errors
/// [`MetricsError::NotFinite`] names the first video and frame with a score that is NaN or
/// infinite; [`MetricsError::LengthMismatch`] and [`MetricsError::DuplicateVideo`] name the video.
pub fn check(videos: &[ScoredVideo]) -> Result<(), MetricsError> {
    let mut names = HashSet::with_capacity(videos.len());
    for video in videos {
        if !names.insert(video.name.as_str()) {
            return Err(MetricsError::DuplicateVideo {
                video: video.name.clone(),
            });
        }
        check_one(video)?;
    }
    Ok(())
}

pub(crate) fn check_one(video: &ScoredVideo) -> Result<(), MetricsError> {
    if video.labels.len() != video.scores.len() {
        return Err(MetricsError::LengthMismatch {
            video: video.name.clone(),
            labels: video.labels.len(),
            scores: video.scores.len(),
        });
    }
    match video.scores.iter().position(|score| !score.is_finite()) {
        Some(frame) => Err(MetricsError::NotFinite {
            video: video.name.clone(),
            frame,
            value: video.scores[frame],
        }),
        None => Ok(()),
    }
}
