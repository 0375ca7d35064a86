use serde::{Deserialize, Serialize};

use crate::frame::{auc_of, padded_auc_of, ranking};
use crate::ranking::Ranking;
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
    /// Number of videos.
    pub videos: usize,
    /// Videos that `macro_auc_skip` leaves out.
    pub skipped: usize,
    /// Scored frames of all videos.
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
    let sorted = Sorted::new(videos);
    let [
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
    ] = bootstrap.estimates(videos.len(), |weights| sorted.metrics(weights))?;
    let anomalous = |v: &ScoredVideo| v.labels.iter().filter(|&&label| label).count();
    Ok(FrameMetrics {
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
        videos: videos.len(),
        skipped: sorted.aucs.iter().filter(|auc| auc.is_none()).count(),
        frames: videos.iter().map(|v| v.scores.len()).sum(),
        anomalous_frames: videos.iter().map(anomalous).sum(),
    })
}

/// What one method's metrics are above another's, each with its interval; `None` is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricDifferences {
    /// Difference of the AUC over the frames of all videos joined.
    pub micro_auc: Option<Estimate>,
    /// Difference of the mean AUC over the videos that hold both classes.
    pub macro_auc_skip: Option<Estimate>,
    /// Difference of the mean AUC over padded videos.
    pub macro_auc_pad: Option<Estimate>,
    /// Difference of the average precision.
    pub average_precision: Option<Estimate>,
    /// Difference of the equal error rate; below 0 is better.
    pub equal_error_rate: Option<Estimate>,
}

/// Metrics of `scores` less those of `others`, both of the same frames: intervals are over one set
/// of resamples, so that what hard and easy videos do to both falls out.
///
/// # Errors
/// Those of [`check`], [`MetricsError::NoResamples`], and [`MetricsError::Treatment`] where a video
/// of `others` has another number of scores.
pub fn metric_differences(
    scores: &[ScoredVideo],
    others: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<MetricDifferences, MetricsError> {
    paired(scores, others)?;
    let both = [Sorted::new(scores), Sorted::new(others)];
    let [
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
    ] = bootstrap.estimates(scores.len(), |weights| {
        let [ours, theirs] = both.each_ref().map(|sorted| sorted.metrics(weights));
        std::array::from_fn(|i| Some(ours[i]? - theirs[i]?))
    })?;
    Ok(MetricDifferences {
        micro_auc,
        macro_auc_skip,
        macro_auc_pad,
        average_precision,
        equal_error_rate,
    })
}

/// Micro AUC of `scores` less that of `others`: one of [`metric_differences`], in less time.
///
/// # Errors
/// Those of [`metric_differences`].
pub fn micro_auc_difference(
    scores: &[ScoredVideo],
    others: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<Option<Estimate>, MetricsError> {
    paired(scores, others)?;
    let [ours, theirs] = [ranking(scores), ranking(others)];
    let [difference] = bootstrap.estimates(ours.videos(), |weights| {
        let both = ours.metrics(weights).auc.zip(theirs.metrics(weights).auc);
        [both.map(|(a, b)| a - b)]
    })?;
    Ok(difference)
}

/// Refuses scores that are not of the same frames.
fn paired(scores: &[ScoredVideo], others: &[ScoredVideo]) -> Result<(), MetricsError> {
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
    Ok(())
}

/// Videos prepared for metrics with any weight of each.
struct Sorted {
    ranking: Ranking,
    aucs: Vec<Option<f64>>,
    padded: Vec<Option<f64>>,
}

impl Sorted {
    fn new(videos: &[ScoredVideo]) -> Self {
        Self {
            ranking: ranking(videos),
            aucs: videos
                .iter()
                .map(|v| auc_of(&v.labels, &v.scores))
                .collect(),
            padded: videos.iter().map(padded_auc_of).collect(),
        }
    }

    /// Micro AUC, macro AUC (skip), macro AUC (pad), average precision, equal error rate.
    fn metrics(&self, weights: &[u64]) -> [Option<f64>; 5] {
        let joined = self.ranking.metrics(weights);
        [
            joined.auc,
            weighted_mean(&self.aucs, weights),
            weighted_mean(&self.padded, weights),
            joined.average_precision,
            joined.equal_error_rate,
        ]
    }
}

fn weighted_mean(values: &[Option<f64>], weights: &[u64]) -> Option<f64> {
    let defined = values
        .iter()
        .zip(weights)
        .filter_map(|(value, &w)| value.map(|v| (v, w)));
    let (sum, count) = defined.fold((0.0, 0), |(s, n), (v, w)| (s + v * w as f64, n + w));
    (count > 0).then(|| sum / count as f64)
}
