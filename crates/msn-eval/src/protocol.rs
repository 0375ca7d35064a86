//! Both protocols over a test set.

use std::collections::BTreeMap;

use msn_metrics::{
    Bootstrap, Estimate, ScoredVideo, frame_metrics, micro_auc_difference, min_max, prior_rows,
    regions::region_metrics, smooth_gaussian,
};

use crate::{
    Calibration, DataCard, EVALUATION_FORMAT, EvalError, Evaluation, FrameScore, KindMetrics,
    PredictionErrorMetrics, Priors, RegionSummary, VideoRegions, VideoScores,
    score::alarm::summarise_events,
};

/// How a test set is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOptions {
    /// Standard deviation of a centred Gaussian over legacy scores, frames.
    pub smooth: Option<f64>,
    /// Resamples of the bootstrap and its seed.
    pub bootstrap: Bootstrap,
    /// Groups of kinds that are measured together, in addition to each kind alone.
    pub groups: Vec<Vec<String>>,
    /// The command line, for the record.
    pub command: String,
    /// The run's seed.
    pub seed: Option<u64>,
    /// The calibration of the fair scores.
    pub calibration: Option<Calibration>,
}

/// Evaluates scored test videos; those without labels are left out. `regions` are those of the
/// videos whose true regions are known.
///
/// # Errors
/// [`EvalError::Metrics`].
pub fn evaluate(
    videos: &[VideoScores],
    regions: Vec<VideoRegions>,
    data: DataCard,
    options: &EvalOptions,
) -> Result<Evaluation, EvalError> {
    let videos: Vec<&VideoScores> = videos
        .iter()
        .filter(|v| v.labels.is_some() && !v.scores.is_empty())
        .collect();
    let all = |_: &VideoScores, _: usize| true;
    let legacy = scored(&videos, options, true, all)?;
    let fair = scored(&videos, options, false, all)?;
    let bootstrap = &options.bootstrap;
    let metrics = frame_metrics(&legacy, bootstrap)?;
    let skipped_videos = metrics.skipped;

    let mut priors = Priors::new();
    let rows = prior_rows(&legacy, bootstrap, |_, scores| {
        smoothed(min_max(&scores), options.smooth)
    })?;
    priors.insert(
        "legacy".into(),
        rows.into_iter()
            .map(|r| (r.prior.name().into(), r.metrics.into()))
            .collect(),
    );
    let rows = prior_rows(&legacy, bootstrap, |_, scores| Ok(scores))?;
    priors.insert(
        "fair".into(),
        rows.into_iter()
            .map(|r| (r.prior.name().into(), r.metrics.into()))
            .collect(),
    );

    let threshold = regions.first().map_or(0.0, |r| r.threshold);
    let from_masks = regions.iter().any(|r| r.from_masks);
    let videos_with_regions: Vec<_> = regions.into_iter().map(|r| r.video).collect();
    let regions = (!videos_with_regions.is_empty())
        .then(|| region_metrics(&videos_with_regions, bootstrap))
        .transpose()?;

    let prediction_error = prediction_error(&videos, &fair, bootstrap)?;
    let fair = match fair.is_empty() {
        true => None,
        false => Some(frame_metrics(&fair, bootstrap)?.into()),
    };
    Ok(Evaluation {
        format: EVALUATION_FORMAT.into(),
        legacy: metrics.into(),
        fair,
        smoothing: options.smooth,
        skipped_videos,
        kinds: kinds(&videos, options)?,
        priors,
        prediction_error,
        rbdc: regions.as_ref().and_then(|r| r.rbdc),
        tbdc: regions.as_ref().and_then(|r| r.tbdc),
        regions: regions.map(|r| RegionSummary::new(&r, threshold, from_masks)),
        events: summarise_events(&videos, options.calibration.as_ref())?,
        data,
        command: options.command.clone(),
        seed: options.seed,
    })
}

/// Metrics of the prediction error alone, and the difference of the fair scores of the same frames,
/// if any, to it.
fn prediction_error(
    videos: &[&VideoScores],
    fair: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<BTreeMap<String, PredictionErrorMetrics>, EvalError> {
    let patch = |s: &FrameScore| s.patch;
    let psnr = |s: &FrameScore| -s.psnr;
    let mut all = BTreeMap::new();
    for (name, column) in [
        ("patch", &patch as &dyn Fn(&FrameScore) -> f64),
        ("psnr", &psnr),
    ] {
        let alone = |video: &&VideoScores| {
            let scores: Vec<f64> = video.scores.iter().map(column).collect();
            video.scored(&scores, |_| true)
        };
        let alone: Vec<ScoredVideo> = videos.iter().map(alone).collect();
        let fair_difference = match fair.len() == alone.len() {
            true => micro_auc_difference(fair, &alone, bootstrap)?,
            false => None,
        };
        let metrics = frame_metrics(&alone, bootstrap)?.into();
        all.insert(
            name.to_owned(),
            PredictionErrorMetrics {
                metrics,
                fair_difference,
            },
        );
    }
    Ok(all)
}

fn smoothed(scores: Vec<f64>, sigma: Option<f64>) -> Result<Vec<f64>, msn_metrics::MetricsError> {
    match sigma {
        Some(sigma) => smooth_gaussian(&scores, sigma),
        None => Ok(scores),
    }
}

/// One protocol's scores of the frames that `keep` wants; empty for fair without a calibration.
fn scored(
    videos: &[&VideoScores],
    options: &EvalOptions,
    legacy: bool,
    keep: impl Fn(&VideoScores, usize) -> bool,
) -> Result<Vec<ScoredVideo>, EvalError> {
    let mut all = Vec::new();
    for video in videos {
        let scores = match (legacy, &video.fair) {
            (true, _) => smoothed(video.legacy.clone(), options.smooth)?,
            (false, Some(fair)) => fair.clone(),
            (false, None) => continue,
        };
        let video = video.scored(&scores, |frame| keep(video, frame));
        if !video.scores.is_empty() {
            all.push(video);
        }
    }
    Ok(all)
}

fn kinds(
    videos: &[&VideoScores],
    options: &EvalOptions,
) -> Result<BTreeMap<String, KindMetrics>, EvalError> {
    let spans = videos
        .iter()
        .filter_map(|v| v.labels.as_ref())
        .flat_map(|l| &l.spans);
    let mut groups: Vec<Vec<String>> = spans
        .filter_map(|s| s.kind.clone())
        .map(|kind| vec![kind])
        .collect();
    groups.sort();
    groups.dedup();
    groups.extend(options.groups.iter().cloned());
    let mut out = BTreeMap::new();
    for group in groups {
        let of_group = |video: &VideoScores, frame: usize| {
            let Some(labels) = &video.labels else {
                return false;
            };
            let inside = |s: &msn_data::FrameSpan| {
                (s.start..s.end).contains(&frame)
                    && s.kind.as_ref().is_some_and(|k| group.contains(k))
            };
            !labels.anomalous[frame] || labels.spans.iter().any(inside)
        };
        let legacy = scored(videos, options, true, of_group)?;
        let fair = scored(videos, options, false, of_group)?;
        let micro = |videos: &[ScoredVideo]| -> Result<Option<Estimate>, EvalError> {
            Ok(frame_metrics(videos, &options.bootstrap)?.micro_auc)
        };
        let metrics = KindMetrics {
            frames: legacy
                .iter()
                .flat_map(|v| &v.labels)
                .filter(|&&l| l)
                .count(),
            legacy_micro_auc: micro(&legacy)?,
            fair_micro_auc: if fair.is_empty() { None } else { micro(&fair)? },
        };
        out.insert(group.join("+"), metrics);
    }
    Ok(out)
}
