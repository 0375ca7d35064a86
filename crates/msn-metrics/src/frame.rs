use serde::Serialize;

use crate::ranking::Ranking;
use crate::video::check_one;
use crate::{MetricsError, ScoredVideo, check, min_max};

/// A mean over videos of the AUC in each, and how many videos have none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MacroAuc {
    /// Mean AUC in [0, 1]; `None` if no video has both classes.
    pub value: Option<f64>,
    /// Videos left out because they hold one class only or no frame.
    pub skipped: usize,
}

/// A point of the ROC curve: rates over the frames with at least `threshold`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RocPoint {
    /// False positive rate, in [0, 1].
    pub fpr: f64,
    /// True positive rate, in [0, 1].
    pub tpr: f64,
    /// Lowest score counted as anomalous; infinite at the first point (JSON writes null there).
    pub threshold: f64,
}

/// A point of the precision-recall curve over the frames with at least `threshold`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PrPoint {
    /// Share of the anomalous frames that are found, in [0, 1].
    pub recall: f64,
    /// Share of the found frames that are anomalous, in [0, 1].
    pub precision: f64,
    /// Lowest score counted as anomalous.
    pub threshold: f64,
}

pub(crate) fn ranking(videos: &[ScoredVideo]) -> Ranking {
    Ranking::new(
        videos
            .iter()
            .map(|v| (v.labels.as_slice(), v.scores.as_slice())),
    )
}

fn checked(videos: &[ScoredVideo]) -> Result<Ranking, MetricsError> {
    check(videos)?;
    Ok(ranking(videos))
}

/// AUC of one video that was checked; `None` with one class only.
pub(crate) fn auc_of(labels: &[bool], scores: &[f64]) -> Option<f64> {
    Ranking::new([(labels, scores)]).metrics(&[1]).auc
}

/// AUC of one video with a normal frame of score 0 and an anomalous one of score 1 added to its
/// min-max normalised scores; `None` for a video without frames.
pub(crate) fn padded_auc_of(video: &ScoredVideo) -> Option<f64> {
    if video.scores.is_empty() {
        return None;
    }
    let mut scores = min_max(&video.scores);
    let mut labels = video.labels.clone();
    scores.extend([0.0, 1.0]);
    labels.extend([false, true]);
    auc_of(&labels, &scores)
}

pub(crate) fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0_u64), |(s, n), v| (s + v, n + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Area under the ROC curve of one video; `None` if it holds one class only.
///
/// # Errors
/// Those of [`check`].
pub fn video_auc(video: &ScoredVideo) -> Result<Option<f64>, MetricsError> {
    check_one(video)?;
    Ok(auc_of(&video.labels, &video.scores))
}

/// Area under the ROC curve over the frames of all videos joined, ties counting half
/// (Mann-Whitney); `None` if there is one class only.
///
/// # Errors
/// Those of [`check`].
pub fn micro_auc(videos: &[ScoredVideo]) -> Result<Option<f64>, MetricsError> {
    let ranking = checked(videos)?;
    Ok(ranking.metrics(&vec![1; videos.len()]).auc)
}

/// Mean over videos of the AUC in each; videos with one class only are left out and counted.
///
/// # Errors
/// Those of [`check`].
pub fn macro_auc_skip(videos: &[ScoredVideo]) -> Result<MacroAuc, MetricsError> {
    check(videos)?;
    let all: Vec<f64> = videos
        .iter()
        .filter_map(|v| auc_of(&v.labels, &v.scores))
        .collect();
    Ok(MacroAuc {
        skipped: videos.len() - all.len(),
        value: mean(all),
    })
}

/// Mean over videos of the AUC in each after min-max normalisation and with one normal frame of
/// score 0 and one anomalous frame of score 1 added, so that videos of one class count as well.
///
/// Videos without frames are left out; `None` if no other is there.
///
/// # Errors
/// Those of [`check`].
pub fn macro_auc_pad(videos: &[ScoredVideo]) -> Result<Option<f64>, MetricsError> {
    check(videos)?;
    Ok(mean(videos.iter().filter_map(padded_auc_of)))
}

/// Average precision over the frames of all videos joined: the step-wise sum over distinct
/// scores without interpolation, ties taken together; `None` without an anomalous frame.
///
/// # Errors
/// Those of [`check`].
pub fn average_precision(videos: &[ScoredVideo]) -> Result<Option<f64>, MetricsError> {
    let ranking = checked(videos)?;
    Ok(ranking.metrics(&vec![1; videos.len()]).average_precision)
}

/// The rate at which false positives and false negatives are equally frequent, on the straight
/// segments of the ROC curve of all videos joined; `None` with one class only.
///
/// # Errors
/// Those of [`check`].
pub fn equal_error_rate(videos: &[ScoredVideo]) -> Result<Option<f64>, MetricsError> {
    let ranking = checked(videos)?;
    Ok(ranking.metrics(&vec![1; videos.len()]).equal_error_rate)
}

/// ROC curve over the frames of all videos joined, from (0, 0) to (1, 1) with a point at each
/// distinct score; `None` with one class only.
///
/// # Errors
/// Those of [`check`].
pub fn roc_curve(videos: &[ScoredVideo]) -> Result<Option<Vec<RocPoint>>, MetricsError> {
    let ranking = checked(videos)?;
    let (p, n) = ranking.totals(&vec![1; videos.len()]);
    if p == 0 || n == 0 {
        return Ok(None);
    }
    let start = RocPoint {
        fpr: 0.0,
        tpr: 0.0,
        threshold: f64::INFINITY,
    };
    let points = ranking.cuts().into_iter().map(|cut| RocPoint {
        fpr: cut.normal as f64 / n as f64,
        tpr: cut.anomalous as f64 / p as f64,
        threshold: cut.score,
    });
    Ok(Some(std::iter::once(start).chain(points).collect()))
}

/// Precision-recall curve over the frames of all videos joined, a point at each distinct score
/// from the highest down; `None` without an anomalous frame.
///
/// # Errors
/// Those of [`check`].
pub fn pr_curve(videos: &[ScoredVideo]) -> Result<Option<Vec<PrPoint>>, MetricsError> {
    let ranking = checked(videos)?;
    let (p, _) = ranking.totals(&vec![1; videos.len()]);
    if p == 0 {
        return Ok(None);
    }
    let points = ranking.cuts().into_iter().map(|cut| PrPoint {
        recall: cut.anomalous as f64 / p as f64,
        precision: cut.anomalous as f64 / (cut.anomalous + cut.normal) as f64,
        threshold: cut.score,
    });
    Ok(Some(points.collect()))
}
