//! Metrics as tables for a terminal.

use msn_metrics::{Estimate, FrameMetrics, MetricDifferences};
use serde_json::{Map, Value};

use super::measure::Output;
use crate::text::columns;

const NAMES: [&str; 5] = [
    "micro_auc",
    "macro_auc_skip",
    "macro_auc_pad",
    "average_precision",
    "equal_error_rate",
];

fn of_metrics(m: &FrameMetrics) -> [Option<Estimate>; 5] {
    [
        m.micro_auc,
        m.macro_auc_skip,
        m.macro_auc_pad,
        m.average_precision,
        m.equal_error_rate,
    ]
}

fn of_difference(d: &MetricDifferences) -> [Option<Estimate>; 5] {
    [
        d.micro_auc,
        d.macro_auc_skip,
        d.macro_auc_pad,
        d.average_precision,
        d.equal_error_rate,
    ]
}

fn estimate(e: Option<Estimate>) -> String {
    e.map_or_else(
        || "undefined".to_owned(),
        |e| format!("{:.4} [{:.4}, {:.4}]", e.value, e.low, e.high),
    )
}

fn signed(e: Option<Estimate>) -> String {
    e.map_or_else(
        || "undefined".to_owned(),
        |e| format!("{:+.4} [{:+.4}, {:+.4}]", e.value, e.low, e.high),
    )
}

/// The metrics of one method, or a table of several with their differences to the first.
pub(super) fn text(output: &Output) -> String {
    let first = &output.first.metrics;
    let mut text = String::new();
    if output.compared.is_empty() {
        for (name, value) in NAMES.iter().zip(of_metrics(first)) {
            text += &format!("{name:<20}{}\n", estimate(value));
        }
    } else {
        let mut rows = vec![vec![String::new()]];
        rows[0].extend(NAMES.map(str::to_owned));
        let mut row = |name: String, cells: [String; 5]| {
            rows.push([name].into_iter().chain(cells).collect());
        };
        row(output.first.name.clone(), of_metrics(first).map(estimate));
        for other in &output.compared {
            let metrics = of_metrics(&other.method.metrics);
            row(other.method.name.clone(), metrics.map(estimate));
        }
        for other in &output.compared {
            let name = format!("{} - {}", other.method.name, output.first.name);
            row(name, of_difference(&other.difference).map(signed));
        }
        text += &columns(&rows);
        text += "differences are paired: over the same resamples of the videos\n";
        for (method, left_out) in [&output.first]
            .into_iter()
            .chain(output.compared.iter().map(|c| &c.method))
            .zip(&output.left_out)
        {
            if *left_out > 0 {
                text += &format!(
                    "{}: {left_out} scores are left out, which not all methods have\n",
                    method.name
                );
            }
        }
    }
    text += &format!(
        "{:<20}{} ({} in macro_auc_skip)\n",
        "videos",
        first.videos,
        first.videos - first.skipped
    );
    text += &format!(
        "{:<20}{}, {} anomalous\n",
        "scored frames", first.frames, first.anomalous_frames
    );
    for method in [&output.first]
        .into_iter()
        .chain(output.compared.iter().map(|c| &c.method))
    {
        if let (Some(threshold), Some(m)) = (method.events.threshold, &method.events.metrics) {
            let name = match output.compared.is_empty() {
                true => String::new(),
                false => format!("{}: ", method.name),
            };
            text += &format!(
                "{name}events above {threshold}: {} of {} labelled spans found, {} false alarms\n",
                m.spans_found, m.spans, m.false_alarms
            );
        }
    }
    text + &prior_lines(&output.priors)
}

fn prior_lines(priors: &Value) -> String {
    let mut text = String::new();
    let raw = priors["raw"].as_object();
    for name in raw.into_iter().flat_map(Map::keys) {
        let micro = |treatment: &str| {
            let value = priors[treatment][name]["micro_auc"]["value"].as_f64();
            value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"))
        };
        text += &format!(
            "prior {name:<14}{}, normalised in each video {} (micro_auc)\n",
            micro("raw"),
            micro("min_max")
        );
    }
    text
}
