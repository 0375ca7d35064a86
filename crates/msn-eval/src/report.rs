//! The report of an evaluation: one HTML page that needs nothing else.

mod axis;
mod curve;
mod dots;
mod memory;
mod path;
mod plot;
mod spans;
mod tables;
#[cfg(test)]
mod tests;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use msn_metrics::{ScoredVideo, smooth_gaussian, video_auc};
use msn_model::Meta;

use self::{
    axis::number,
    curve::{Look, draw, fair_range, gaps, kinds_in_words},
    plot::plots,
    tables::{facts, provenance, short, shown_protocols},
};
use crate::{Calibration, EvalError, Evaluation, MemoryCard, VideoScores};

pub use self::{
    curve::curve_svg,
    dots::{DotsPanel, dots_svg},
    memory::memory_page,
};

/// Items of a pool that the report shows.
const ITEMS: usize = 24;

/// How much larger than the median video's the largest range of scores may be for all to be drawn
/// on one axis.
const ONE_AXIS: f64 = 4.0;

/// An image in the report.
#[derive(Clone, Debug)]
pub struct ReportImage {
    /// Heading above the image.
    pub title: String,
    /// Caption below it.
    pub caption: String,
    /// PNG.
    pub png: Vec<u8>,
}

/// The report as one HTML page: no scripts, no other files, for wide and narrow screens, light and
/// dark, and for print.
///
/// It shows the metrics of both protocols apart, each with its interval, its priors and where it
/// comes from, ROC and precision-recall curves, kinds of anomaly, every video's scores over time,
/// the data, the weights, images, what the `memory` has learned, and the command. `videos` are those
/// that `evaluation` was made of; the curves show their labels and scores, the metrics are
/// `evaluation`'s own. `calibration` is what standardised the fair scores.
///
/// # Errors
/// [`EvalError::Metrics`] where scores are not finite or the smoothing is out of range.
pub fn report(
    evaluation: &Evaluation,
    videos: &[VideoScores],
    meta: &Meta,
    calibration: Option<&Calibration>,
    images: &[ReportImage],
    memory: Option<&MemoryCard>,
) -> Result<String, EvalError> {
    let legacy = videos
        .iter()
        .map(|v| smoothed(v, evaluation.smoothing))
        .collect::<Result<Vec<_>, _>>()?;
    let name = &evaluation.data.name;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "MSN-net on " (name) }
                style {
                    (PreEscaped(include_str!("report/colours.css")))
                    (PreEscaped(include_str!("report/chart.css")))
                    (PreEscaped(include_str!("report/page.css")))
                    @if memory.is_some() { (PreEscaped(memory::STYLE)) }
                }
            }
            body {
                h1 { "MSN-net on " (name) }
                p class="soft" { (summary(evaluation)) }
                (protocols())
                h2 { "Metrics" }
                (metrics(evaluation, videos, &legacy)?)
                (tables::prediction_error(evaluation))
                (tables::regions(evaluation))
                (tables::events(evaluation))
                @if !evaluation.kinds.is_empty() {
                    h2 { "Kinds of anomaly" }
                    (tables::kinds(evaluation))
                }
                (spans::missed(evaluation, videos)?)
                h2 { "Videos" }
                (curves(evaluation, videos, &legacy)?)
                div class="pair" {
                    div { h2 { "Data" } (data(evaluation)) }
                    div { h2 { "Weights" } (weights(meta, calibration)) }
                }
                @for image in images { (shown(image)) }
                @if let Some(card) = memory {
                    h2 { "What the memory has learned" }
                    (memory::section(card, ITEMS))
                }
                h2 { "Command" }
                pre { code { (evaluation.command) } }
                p class="note" { "The metrics are in eval.json and each frame's scores in scores/, beside this page." }
            }
        }
    };
    Ok(page.into_string())
}

fn shown(image: &ReportImage) -> Markup {
    let data = BASE64_STANDARD.encode(&image.png);
    html! {
        h2 { (image.title) }
        figure {
            div class="scroll" {
                img class="strip wide" src={ "data:image/png;base64," (data) } alt=(image.title);
            }
            figcaption class="note" { (image.caption) }
        }
    }
}

/// The legacy scores that metrics are made of.
fn smoothed(video: &VideoScores, sigma: Option<f64>) -> Result<Vec<f64>, EvalError> {
    match sigma {
        Some(sigma) => Ok(smooth_gaussian(&video.legacy, sigma)?),
        None => Ok(video.legacy.clone()),
    }
}

fn summary(evaluation: &Evaluation) -> String {
    let data = &evaluation.data;
    format!(
        "{} test videos, {} frames, {} of them scored; {} scored frames are labelled anomalous.",
        number(data.videos),
        number(data.frames),
        number(data.scored_frames),
        number(data.anomalous_scored_frames),
    )
}

fn protocols() -> Markup {
    html! {
        p {
            "The network predicts each frame from those before it; what it predicts badly is unusual. "
            "Each frame's score is made in two ways, and their metrics must not be compared with each other:"
        }
        ul {
            li {
                b { "legacy" }
                " is what papers print. Each test video's scores are stretched from 0 to 1, which looks at the whole "
                "video, its end included, and takes for granted that something happens in it. No live camera can do "
                "this, and scores of two videos can't be compared."
            }
            li {
                b { "fair" }
                " is what a product can do. Scores are standardised by normal footage that was not trained on: "
                "0 is a median normal frame, 1 is one robust standard deviation above it. Only the past is looked at, "
                "and scores of all videos share one scale."
            }
        }
        p {
            b { "micro" } " joins the frames of all videos; " b { "macro" } " is the mean over videos, leaving out "
            "those with one class only (skip) or adding one normal and one anomalous frame to each (pad). "
            b { "AUC" } " is the area under the ROC curve, " b { "AP" } " average precision, the area under the "
            "precision-recall curve, " b { "EER" } " the rate at which false alarms and misses are equally frequent. "
            b { "Intervals" } " are 95 %, from drawing videos again and again; with one video there is nothing to draw "
            "and they shrink to the value itself. " b { "Priors" } " never look at a pixel: a constant, the position "
            "in the video, the distance to its nearer end. A metric whose interval does not clear the best of them is "
            "marked: it says little."
        }
    }
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
fn labelled(video: &VideoScores, scores: &[f64]) -> Option<ScoredVideo> {
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

fn curves(
    evaluation: &Evaluation,
    videos: &[VideoScores],
    legacy: &[Vec<f64>],
) -> Result<Markup, EvalError> {
    let threshold = evaluation.events.as_ref().map(|e| e.alarm.threshold);
    let range = one_range(videos, threshold);
    let calibrated = videos.iter().any(|v| v.fair.is_some());
    let drawn = videos.iter().zip(legacy).map(|(v, l)| {
        let look = Look {
            legacy: l,
            smoothing: evaluation.smoothing,
            range,
            threshold,
        };
        curve(v, &look)
    });
    let drawn = drawn.collect::<Result<Vec<_>, _>>()?;
    Ok(html! {
        p {
            "Higher is more anomalous; shaded spans are labelled anomalous. A line breaks where frames are missing. "
            @if let Some(threshold) = threshold {
                "Dashed: the alarm threshold, a fair score of " (format!("{threshold:.2}")) " after causal smoothing. "
            }
            @match (calibrated, range) {
                (false, _) => "",
                (true, Some(_)) => "All fair curves share one axis.",
                (true, None) => "Fair curves have an axis each, since a few would flatten the others: mind the numbers.",
            }
        }
        p class="from" {
            "AUC within a video is what macro AUC (skip) is the mean of. " (provenance(evaluation, shown_protocols(evaluation)))
        }
        div class="videos" { @for figure in drawn { (figure) } }
    })
}

fn curve(video: &VideoScores, look: &Look<'_>) -> Result<Markup, EvalError> {
    let auc = |scores: &[f64]| {
        labelled(video, scores)
            .map(|v| video_auc(&v))
            .transpose()
            .map(Option::flatten)
    };
    let (of_legacy, of_fair) = (
        auc(look.legacy)?,
        video.fair.as_deref().map(auc).transpose()?.flatten(),
    );
    let drawing = draw(video, look);
    let anomalous = video
        .labels
        .as_ref()
        .map(|l| l.anomalous.iter().filter(|&&a| a).count());
    let kinds = video
        .labels
        .as_ref()
        .map(kinds_in_words)
        .unwrap_or_default();
    let breaks = gaps(video);
    Ok(html! {
        figure {
            figcaption {
                b { (video.name) } " "
                (number(video.scores.len())) " of " (number(video.frames)) " frames scored"
                @match breaks { 0 => "", 1 => ", 1 gap", n => { ", " (number(n)) " gaps" } }
                @match anomalous {
                    None => "; no labels",
                    Some(0) => "; all labelled normal",
                    Some(n) => { "; " (number(n)) " labelled anomalous" @if !kinds.is_empty() { ": " (kinds) } }
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

/// One axis for all fair curves, unless it would flatten most of them.
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

fn data(evaluation: &Evaluation) -> Markup {
    let data = &evaluation.data;
    let mut rows = vec![
        ("data set", data.name.clone()),
        ("hash of the frames", data.hash.clone()),
        ("test videos", number(data.videos)),
        ("frames", number(data.frames)),
        ("scored frames", number(data.scored_frames)),
        ("scored and anomalous", number(data.anomalous_scored_frames)),
    ];
    match &data.labels {
        Some(labels) => rows.extend([
            ("labels", labels.format.clone()),
            ("label files", some_of(&labels.files)),
            ("hash of the labels", labels.hash.clone()),
            ("anomalous frames", number(labels.anomalous_frames)),
        ]),
        None => rows.push(("labels", "none".to_owned())),
    }
    rows.push((
        "seed of the run",
        evaluation
            .seed
            .map_or("unknown".to_owned(), |s| s.to_string()),
    ));
    facts(rows)
}

/// The first files by name, the others by number.
fn some_of(files: &[String]) -> String {
    const NAMED: usize = 6;
    let named = files
        .iter()
        .take(NAMED)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match files.len().checked_sub(NAMED) {
        Some(more) if more > 0 => format!("{named} and {} more", number(more)),
        _ => named,
    }
}

fn weights(meta: &Meta, calibration: Option<&Calibration>) -> Markup {
    let input = &meta.input;
    let stride = match input.stride {
        1 => "every frame".to_owned(),
        n => format!("every {n}th frame"),
    };
    let mut rows = vec![
        ("format", meta.format.clone()),
        (
            "input",
            format!(
                "{} × {} pixels (height × width), {stride}",
                input.height, input.width
            ),
        ),
    ];
    if !input.stretch.is_none() {
        rows.push(("stretch of more than 8 bits", input.stretch.to_string()));
    }
    let settings = serde_json::to_value(&meta.config).unwrap_or_default();
    let settings = settings
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!("{name} {text}"),
            None => format!("{name} {value}"),
        });
    rows.push(("network", settings.collect::<Vec<_>>().join(", ")));
    rows.push((
        "calibration",
        match calibration {
            Some(c) => format!(
                "{} normal frames; excess over their baseline: median {:.4}, median absolute \
                 deviation {:.4}; windows of {} pixels every {}, over {} frames; map threshold {:.3}; \
                 log errors grow by {:.2} from the middle row to the lowest and by {:.2} at the picture's \
                 edge",
                number(c.frames),
                c.median,
                c.mad,
                c.window,
                c.window_stride,
                c.history,
                c.map_threshold,
                c.baseline.slope,
                c.baseline.edge,
            ),
            None => "none; `msn weights calibrate` adds one".to_owned(),
        },
    ));
    rows.extend(
        meta.origin
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone())),
    );
    facts(rows)
}
