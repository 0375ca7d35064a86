//! The metrics of both protocols, where there are labels.

use maud::{Markup, html};
use msn_metrics::ScoredVideo;

use super::{
    axis::number,
    plot::plots,
    spans,
    tables::{self, provenance},
};
use crate::{EvalError, Evaluation, VideoScores};

/// Everything that needs labels: events, missed spans, kinds, both protocols, regions.
pub(super) fn section(
    evaluation: &Evaluation,
    videos: &[VideoScores],
    legacy: &[Vec<f64>],
) -> Result<Markup, EvalError> {
    Ok(html! {
        h2 id="metrics" { "Metrics" }
        (tables::events(evaluation))
        (spans::missed(evaluation, videos)?)
        @if !evaluation.kinds.is_empty() {
            h3 { "Kinds of anomaly" }
            (tables::kinds(evaluation))
        }
        h3 { "Frames" }
        (metrics(evaluation, videos, legacy)?)
        (tables::prediction_error(evaluation))
        (tables::regions(evaluation))
    })
}

fn metrics(
    evaluation: &Evaluation,
    videos: &[VideoScores],
    legacy: &[Vec<f64>],
) -> Result<Markup, EvalError> {
    let of_legacy: Vec<ScoredVideo> = videos
        .iter()
        .zip(legacy)
        .filter_map(|(v, scores)| labelled(v, scores))
        .collect();
    let of_fair: Vec<ScoredVideo> = videos
        .iter()
        .filter_map(|v| labelled(v, v.fair.as_ref()?))
        .collect();
    let skipped = evaluation.skipped_videos;
    Ok(html! {
        div class="pair" {
            section class="card" {
                h3 { "legacy" }
                (tables::metrics(evaluation, "legacy", &evaluation.legacy))
                (plots("legacy", &provenance(evaluation, "legacy"), &of_legacy)?)
            }
            section class="card" {
                h3 { "fair" }
                @match &evaluation.fair {
                    Some(fair) => {
                        (tables::metrics(evaluation, "fair", fair))
                        (plots("fair", &provenance(evaluation, "fair"), &of_fair)?)
                    }
                    None => p {
                        "There are no fair metrics: these weights have no calibration, so nothing says what a normal "
                        "frame scores. " code { "msn weights calibrate WEIGHTS NORMAL_VIDEOS" } " adds one."
                    },
                }
            }
        }
        @if skipped > 0 {
            p class="note" {
                "Macro AUC (skip) leaves out " (number(skipped)) " of " (number(of_legacy.len()))
                " videos: they hold one class only."
            }
        }
    })
}

/// Labels and scores as a metric takes them; `None` without labels or scores.
pub(super) fn labelled(video: &VideoScores, scores: &[f64]) -> Option<ScoredVideo> {
    let labels = video.labels.as_ref()?;
    let anomalous = |frame: usize| labels.anomalous.get(frame).copied().unwrap_or(false);
    let (labels, scores): (Vec<bool>, Vec<f64>) = video
        .scores
        .iter()
        .zip(scores)
        .map(|(s, &v)| (anomalous(s.frame), v))
        .unzip();
    (!scores.is_empty()).then(|| ScoredVideo {
        name: video.name.clone(),
        labels,
        scores,
    })
}
