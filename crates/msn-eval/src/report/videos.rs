//! Every video's scores over time.

use maud::{Markup, html};
use msn_metrics::video_auc;

use super::{
    Report,
    axis::number,
    cards::anchor,
    curve::{AlarmBar, Look, draw, fair_range, gaps, kinds_in_words},
    metrics::labelled,
    tables::short,
};
use crate::{EvalError, VideoAlarms, VideoScores, clock_text};

/// How much larger than the median video's the largest range of scores may be for all to be drawn
/// on one axis.
const ONE_AXIS: f64 = 4.0;

/// The curves of all videos.
pub(super) fn section(report: &Report<'_>, legacy: &[Vec<f64>]) -> Result<Markup, EvalError> {
    let videos = report.videos;
    let threshold = videos.iter().find_map(|v| v.threshold);
    let range = one_range(videos, threshold);
    let calibrated = videos.iter().any(|v| v.fair.is_some());
    let labels = videos.iter().any(|v| v.labels.is_some());
    let mut drawn = Vec::new();
    for (i, (video, legacy)) in videos.iter().zip(legacy).enumerate() {
        let alarms = report.alarms.get(i);
        let bars = alarms.map(|alarms| bars(i, alarms)).unwrap_or_default();
        let look = Look {
            // A measure of papers, or all that there is.
            legacy: (report.evaluation.is_some() || video.fair.is_none())
                .then_some(legacy.as_slice()),
            smoothing: report.evaluation.and_then(|e| e.smoothing),
            range,
            threshold,
            alarms: &bars,
        };
        drawn.push(curve(video, alarms, legacy, &look)?);
    }
    Ok(html! {
        h2 id="videos" { "Videos" }
        p class="from" {
            @if calibrated {
                "Thick: the smoothed anomaly score. Thin: each frame's. "
                @if threshold.is_some() { "Dashed: the threshold of alarms. Red: alarms. " }
            }
            @if labels { "Shaded: labelled anomalous. " }
            "A line breaks where frames are missing. "
            @match (calibrated, range) {
                (false, _) => "",
                (true, Some(_)) => "All videos share one axis.",
                (true, None) => "Videos have an axis each, since a few would flatten the others: mind the numbers.",
            }
        }
        div class="videos" { @for figure in drawn { (figure) } }
    })
}

/// The alarms of video `index`, linked to their cards.
fn bars(index: usize, video: &VideoAlarms) -> Vec<AlarmBar> {
    let bar = |(a, alarm): (usize, &crate::Alarm)| AlarmBar {
        start: alarm.start_frame,
        end: alarm.end_frame,
        text: format!(
            "alarm {}, peak at {}, score {:.1}",
            alarm.event,
            clock_text(alarm.peak, alarm.peak_frame),
            alarm.score
        ),
        target: Some(anchor(index, a)),
    };
    video.alarms.iter().enumerate().map(bar).collect()
}

fn curve(
    video: &VideoScores,
    alarms: Option<&VideoAlarms>,
    legacy: &[f64],
    look: &Look<'_>,
) -> Result<Markup, EvalError> {
    let auc = |scores: &[f64]| {
        labelled(video, scores)
            .map(|v| video_auc(&v))
            .transpose()
            .map(Option::flatten)
    };
    let of_legacy = auc(legacy)?;
    let of_fair = video.fair.as_deref().map(auc).transpose()?.flatten();
    let drawing = draw(video, look);
    let labels = video.labels.as_ref();
    let anomalous = labels.map(|l| l.anomalous.iter().filter(|&&a| a).count());
    let kinds = labels.map(kinds_in_words).unwrap_or_default();
    let breaks = gaps(video);
    Ok(html! {
        figure {
            figcaption {
                b { (video.name) } " "
                @match alarms {
                    Some(alarms) if alarms.threshold.is_some() => (alarms.summary()),
                    _ => { (number(video.scores.len())) " of " (number(video.frames)) " frames scored" }
                }
                @match breaks { 0 => "", 1 => ", 1 gap", n => { ", " (number(n)) " gaps" } }
                @match anomalous {
                    None => "",
                    Some(0) => "; all labelled normal",
                    Some(n) => { "; " (number(n)) " frames labelled anomalous" @if !kinds.is_empty() { ": " (kinds) } }
                }
                @if of_legacy.is_some() || of_fair.is_some() {
                    ". AUC within it: "
                    @if let Some(v) = of_fair { "fair " (short(v)) @if of_legacy.is_some() { ", " } }
                    @if let Some(v) = of_legacy { "legacy " (short(v)) }
                }
                "."
            }
            @if video.scores.is_empty() {
                p { "Too short to be scored." }
            } @else {
                svg class="chart time" height=(drawing.height) role="img" aria-label={ "Scores of " (video.name) } {
                    (drawing.content)
                }
            }
        }
    })
}

/// One axis for all anomaly scores, unless it would flatten most of them.
fn one_range(videos: &[VideoScores], threshold: Option<f64>) -> Option<(f64, f64)> {
    let fair = || videos.iter().filter_map(|v| v.fair.as_deref());
    let all = fair_range(fair(), threshold);
    let mut heights: Vec<f64> = fair()
        .map(|scores| fair_range([scores], threshold))
        .map(|(low, high)| high - low)
        .collect();
    heights.sort_by(f64::total_cmp);
    let median = heights.get(heights.len() / 2)?;
    (all.1 - all.0 <= ONE_AXIS * median).then_some(all)
}
