use serde::{Deserialize, Serialize};

use crate::frame::{auc_of, padded_auc_of, ranking};
use crate::{Bootstrap, Estimate, MetricsError, ScoredVideo, check};

/// The frame-level metrics of a set of videos, each with its interval; `None` is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameMetrics {
    /// AUC over the frames of all videos joined.
    pub micro_auc: Option<Estimate>,
    /// Mean AUC over the videos that hold both classes.
    pub macro_auc_skip: Option<Estimate>,
    /// Mean AUC over videos, each padded with one frame of either class.
    pub macro_auc_pad: Option<Estimate>,
    /// Average precision over the frames of all videos joined.
    pub average_precision: Option<Estimate>,
    /// Equal error rate over the frames of all videos joined; less is better.
    pub equal_error_rate: Option<Estimate>,
    /// Videos given.
    pub videos: usize,
    /// Videos that `macro_auc_skip` leaves out.
    pub skipped: usize,
    /// Scored frames.
    pub frames: usize,
    /// Scored frames that are anomalous.
    pub anomalous_frames: usize,
}

/// All frame-level metrics with 95 % intervals from a bootstrap over videos.
///
/// Frames are sorted once; a resample is one pass over them with a weight for each video.
///
/// # Errors
/// Those of [`check`], and [`MetricsError::NoResamples`].
pub fn frame_metrics(
    videos: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<FrameMetrics, MetricsError> {
    check(videos)?;
    let ranking = ranking(videos);
    let aucs: Vec<Option<f64>> = videos
        .iter()
        .map(|v| auc_of(&v.labels, &v.scores))
        .collect();
    let padded: Vec<Option<f64>> = videos.iter().map(padded_auc_of).collect();
    let [
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
    ] = bootstrap.estimates(ranking.videos(), |weights| {
        let joined = ranking.metrics(weights);
        [
            joined.auc,
            weighted_mean(&aucs, weights),
            weighted_mean(&padded, weights),
            joined.average_precision,
            joined.equal_error_rate,
        ]
    })?;
    let anomalous = |v: &ScoredVideo| v.labels.iter().filter(|&&label| label).count();
    Ok(FrameMetrics {
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
        videos: videos.len(),
        skipped: aucs.iter().filter(|auc| auc.is_none()).count(),
        frames: videos.iter().map(|v| v.scores.len()).sum(),
        anomalous_frames: videos.iter().map(anomalous).sum(),
    })
}

/// Micro AUC of `scores` less that of `others`, both of the same frames: its interval is over one
/// set of resamples, so that what hard and easy videos do to both falls out.
///
/// # Errors
/// Those of [`check`], [`MetricsError::NoResamples`], and [`MetricsError::Treatment`] where a video
/// of `others` has another number of scores.
pub fn micro_auc_difference(
    scores: &[ScoredVideo],
    others: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<Option<Estimate>, MetricsError> {
    check(scores)?;
    check(others)?;
    for (video, other) in scores.iter().zip(others) {
        if video.scores.len() != other.scores.len() {
            return Err(MetricsError::Treatment {
                video: video.name.clone(),
                before: video.scores.len(),
                after: other.scores.len(),
            });
        }
    }
    let [ours, theirs] = [ranking(scores), ranking(others)];
    let [difference] = bootstrap.estimates(ours.videos(), |weights| {
        let both = ours.metrics(weights).auc.zip(theirs.metrics(weights).auc);
        [both.map(|(a, b)| a - b)]
    })?;
    Ok(difference)
}

fn weighted_mean(values: &[Option<f64>], weights: &[u64]) -> Option<f64> {
    let defined = values
        .iter()
        .zip(weights)
        .filter_map(|(value, &w)| value.map(|v| (v, w)));
    let (sum, count) = defined.fold((0.0, 0), |(s, n), (v, w)| (s + v * w as f64, n + w));
    (count > 0).then(|| sum / count as f64)
}
