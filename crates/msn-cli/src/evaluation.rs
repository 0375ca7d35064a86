//! Metrics as tables for a terminal.

use std::fmt::Write as _;

use msn_eval::{Evaluation, EventSummary, ProtocolMetrics};
use msn_metrics::Estimate;

use crate::text::count;

fn estimate(f: Option<&Estimate>) -> String {
    f.map_or_else(
        || "-".to_owned(),
        |f| format!("{:.3} [{:.3}, {:.3}]", f.value, f.low, f.high),
    )
}

type Column = fn(&ProtocolMetrics) -> Option<&Estimate>;

const ROWS: [(&str, Column); 5] = [
    ("micro AUC", |p| p.micro_auc.as_ref()),
    ("macro AUC (skip)", |p| p.macro_auc_skip.as_ref()),
    ("macro AUC (pad)", |p| p.macro_auc_pad.as_ref()),
    ("average precision", |p| p.average_precision.as_ref()),
    ("equal error rate", |p| p.equal_error_rate.as_ref()),
];

/// Events at the calibrated threshold.
fn event_line(card: &EventSummary) -> String {
    let f = &card.metrics;
    let share = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    let budget = match (card.alarm.per_hour, card.alarm.per_thousand_frames) {
        (Some(n), _) => format!("{n} an hour"),
        (None, Some(n)) => format!("1 in {:.0} frames", 1000.0 / n),
        (None, None) => "unknown".to_owned(),
    };
    let mut line = format!(
        "events above {:.3} (budget: {budget}{}): {} of {} found, {}, F1 {}",
        card.alarm.threshold,
        if card.alarm.counted {
            ""
        } else {
            ", estimated"
        },
        f.spans_found,
        count(f.spans, "span"),
        count(f.false_alarms, "false alarm"),
        share(f.f1)
    );
    if let Some(delay) = &f.delay {
        let _ = write!(line, ", delay {:.1} frames (median)", delay.median_frames);
    }
    if let Some(rate) = &f.false_alarms_per_hour {
        let _ = write!(
            line,
            ", {:.1} [{:.1}, {:.1}] false alarms in an hour of normal video",
            rate.value, rate.low, rate.high
        );
    }
    line
}

/// An evaluation as a table, each metric with its 95 % interval over videos.
pub(crate) fn table(e: &Evaluation) -> String {
    let mut out = String::new();
    // Writing to a string can't fail.
    let labels = e.data.labels.as_ref().map_or_else(
        || "no labels".to_owned(),
        |l| {
            format!(
                "{} by {} ({})",
                count(l.anomalous_frames, "anomalous frame"),
                l.format,
                l.hash
            )
        },
    );
    let seed = e
        .seed
        .map_or_else(|| "unknown".to_owned(), |s| s.to_string());
    let smoothing = e.smoothing.map_or_else(
        || "none".to_owned(),
        |s| format!("Gaussian, sigma {s} frames, legacy only"),
    );
    let _ = writeln!(
        out,
        "{}: {}, {} of {} scored, {labels}",
        e.data.name,
        count(e.data.videos, "video"),
        e.data.scored_frames,
        count(e.data.frames, "frame")
    );
    let _ = writeln!(
        out,
        "smoothing {smoothing}; seed {seed}; intervals: 95 % bootstrap over videos"
    );
    let _ = writeln!(out, "{:<32}{:<24}fair", "", "legacy");
    for (name, column) in ROWS {
        let fair = e.fair.as_ref().and_then(column);
        let _ = writeln!(
            out,
            "{name:<32}{:<24}{}",
            estimate(column(&e.legacy)),
            estimate(fair)
        );
    }
    if let Some(regions) = &e.regions {
        for (name, value) in [("RBDC", &e.rbdc), ("TBDC", &e.tbdc)] {
            let _ = writeln!(out, "{name:<32}{:<24}{}", "", estimate(value.as_ref()));
        }
        let _ = writeln!(
            out,
            "regions: {} of {}{}, {} above {:.3}",
            count(regions.tracks, "track"),
            match regions.boxes {
                1 => "1 box".to_owned(),
                n => format!("{n} boxes"),
            },
            if regions.tracks_from_masks {
                " (made of masks)"
            } else {
                ""
            },
            count(regions.detections, "detection"),
            regions.threshold
        );
    }
    if let Some(events) = &e.events {
        let _ = writeln!(out, "{}", event_line(events));
    }
    if e.skipped_videos > 0 {
        let _ = writeln!(
            out,
            "macro AUC (skip) leaves out {} of one class",
            count(e.skipped_videos, "video")
        );
    }
    for name in e.priors.get("legacy").into_iter().flat_map(|p| p.keys()) {
        let of = |protocol: &str| {
            estimate(
                e.priors
                    .get(protocol)
                    .and_then(|p| p.get(name))
                    .and_then(|p| p.micro_auc.as_ref()),
            )
        };
        let _ = writeln!(
            out,
            "{:<32}{:<24}{}",
            format!("prior {name}, micro AUC"),
            of("legacy"),
            of("fair")
        );
    }
    for (name, error) in &e.prediction_error {
        let difference = error.fair_difference.as_ref();
        let _ = writeln!(
            out,
            "{:<32}{:<24}{}{}",
            format!("prediction error ({name})"),
            "",
            estimate(error.metrics.micro_auc.as_ref()),
            difference.map_or_else(String::new, |f| format!(
                ", difference of fair to it {}",
                estimate(Some(f))
            ))
        );
    }
    for (kind, k) in &e.kinds {
        let legacy = estimate(k.legacy_micro_auc.as_ref());
        let _ = writeln!(
            out,
            "{:<32}{legacy:<24}{}",
            format!("{kind}, micro AUC"),
            estimate(k.fair_micro_auc.as_ref())
        );
    }
    out
}
