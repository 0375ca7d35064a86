//! What stands folded at a report's end: terms, data, weights, command.

use maud::{Markup, html};
use msn_model::Meta;

use super::{axis::number, tables::facts};
use crate::{Calibration, Evaluation, VideoAlarms};

/// A section that opens at a click.
pub(super) fn folded(id: &str, title: &str, content: &Markup) -> Markup {
    html! {
        details id=(id) {
            summary { h2 { (title) } }
            (content)
        }
    }
}

/// What the words of the page mean.
pub(super) fn terms(evaluation: Option<&Evaluation>) -> Markup {
    html! {
        p {
            "The network has learned to predict each frame of normal footage from those before it; what it predicts "
            "badly is unusual."
        }
        dl {
            dt { "anomaly score" }
            dd {
                "How far the prediction error in the worst part of the picture lies above that of normal footage which "
                "was not trained on: 0 is a median normal frame, 1 one robust standard deviation above it. Only the "
                "past is looked at, and scores of all videos of a camera share one scale."
            }
            dt { "smoothed score" }
            dd { "The mean of the latest five anomaly scores." }
            dt { "threshold, alarm" }
            dd {
                "An alarm begins where the smoothed score exceeds the threshold, and counts from five frames on. The "
                "threshold is set on the normal footage, so that it raises about as many false alarms as the budget "
                "allows."
            }
            dt { "box" }
            dd { "Where the newest frames of an alarm err most, in the frame that errs most." }
            @if evaluation.is_some() { (research_terms()) }
        }
    }
}

/// Terms of the metrics.
fn research_terms() -> Markup {
    html! {
        dt { "protocol fair" }
        dd { "Metrics of the anomaly score: what a camera can know while it films." }
        dt { "protocol legacy" }
        dd {
            "What papers print. Each test video's scores are stretched from 0 to 1, which looks at the whole video, its "
            "end included, and takes for granted that something happens in it. Metrics of the two protocols must not be "
            "compared."
        }
        dt { "micro, macro" }
        dd {
            "Micro joins the frames of all videos; macro is the mean over videos, leaving out those with one class only "
            "(skip) or adding one normal and one anomalous frame to each (pad)."
        }
        dt { "AUC, AP, EER" }
        dd {
            "The area under the ROC curve; average precision, the area under the precision-recall curve; the rate at "
            "which false alarms and misses are equally frequent."
        }
        dt { "intervals" }
        dd {
            "95 %, from drawing videos again and again; with one video there is nothing to draw and they shrink to the "
            "value itself."
        }
        dt { "priors" }
        dd {
            "Scores that never look at a pixel: a constant, the position in the video, the distance to its nearer end. A "
            "metric whose interval does not clear the best of them is marked: it says little."
        }
    }
}

/// What was scored.
pub(super) fn data(name: &str, videos: &[VideoAlarms], evaluation: Option<&Evaluation>) -> Markup {
    let sum = |of: fn(&VideoAlarms) -> usize| number(videos.iter().map(of).sum());
    let mut rows = vec![
        ("name", name.to_owned()),
        ("videos", number(videos.len())),
        ("frames", sum(|v| v.frames)),
        ("scored frames", sum(|v| v.scored)),
    ];
    if let Some(evaluation) = evaluation {
        let data = &evaluation.data;
        rows.push(("hash of the frames", data.hash.clone()));
        rows.push(("scored and anomalous", number(data.anomalous_scored_frames)));
        match &data.labels {
            Some(labels) => rows.extend([
                ("labels", labels.format.clone()),
                ("label files", some_of(&labels.files)),
                ("hash of the labels", labels.hash.clone()),
                ("anomalous frames", number(labels.anomalous_frames)),
            ]),
            None => rows.push(("labels", "none".to_owned())),
        }
        let seed = evaluation.seed.map(|seed| seed.to_string());
        rows.push((
            "seed of the run",
            seed.unwrap_or_else(|| "unknown".to_owned()),
        ));
    }
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

/// The network and its calibration.
pub(super) fn weights(meta: &Meta, calibration: Option<&Calibration>) -> Markup {
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
