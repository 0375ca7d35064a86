//! Tables of metrics and facts.

use maud::{Markup, html};
use msn_metrics::{Estimate, Prior};

use super::axis::number;
use crate::{Evaluation, LabelCard, ProtocolMetrics};

/// A metric of a protocol: its name, where it stands, and whether more of it is better.
struct Row {
    name: &'static str,
    of: fn(&ProtocolMetrics) -> Option<Estimate>,
    more_is_better: bool,
}

const ROWS: [Row; 5] = [
    Row {
        name: "micro AUC",
        of: |p| p.micro_auc,
        more_is_better: true,
    },
    Row {
        name: "macro AUC (skip)",
        of: |p| p.macro_auc_skip,
        more_is_better: true,
    },
    Row {
        name: "macro AUC (pad)",
        of: |p| p.macro_auc_pad,
        more_is_better: true,
    },
    Row {
        name: "AP, micro",
        of: |p| p.average_precision,
        more_is_better: true,
    },
    Row {
        name: "EER, micro",
        of: |p| p.equal_error_rate,
        more_is_better: false,
    },
];

/// Whether a metric's whole interval lies beyond the best of its priors; `None` without priors.
fn clears(metric: &Estimate, priors: &[f64], more_is_better: bool) -> Option<bool> {
    let best = if more_is_better { f64::max } else { f64::min };
    let best = priors.iter().copied().reduce(best)?;
    Some(if more_is_better {
        metric.clears(best)
    } else {
        metric.high < best
    })
}

/// The metrics of one protocol and of its priors.
pub(super) fn metrics(
    evaluation: &Evaluation,
    protocol: &str,
    metrics: &ProtocolMetrics,
) -> Markup {
    let none = std::collections::BTreeMap::new();
    let priors = evaluation.priors.get(protocol).unwrap_or(&none);
    let known = Prior::ALL.map(Prior::name);
    let columns: Vec<&str> = known
        .into_iter()
        .filter(|name| priors.contains_key(*name))
        .collect();
    html! {
        p class="from" { (provenance(evaluation, protocol)) }
        div class="scroll" {
            table {
                thead {
                    @if !columns.is_empty() {
                        tr class="group" { th colspan="2" {} th colspan=(columns.len()) scope="colgroup" { "priors" } }
                    }
                    tr {
                        th scope="col" { "metric" }
                        th scope="col" { (protocol) br; "[95\u{a0}%]" }
                        @for name in &columns { th scope="col" { (name.replace('_', " ")) } }
                    }
                }
                tbody {
                    @for row in &ROWS {
                        @let of_priors: Vec<Option<f64>> =
                            columns.iter().map(|name| (row.of)(&priors[*name]).map(|f| f.value)).collect();
                        @let known: Vec<f64> = of_priors.iter().flatten().copied().collect();
                        @let metric = (row.of)(metrics);
                        tr {
                            th scope="row" {
                                (row.name)
                                @if !row.more_is_better { small { "less is better" } }
                            }
                            td {
                                (shown(metric))
                                @if metric.is_some_and(|f| clears(&f, &known, row.more_is_better) == Some(false)) {
                                    small class="warn" { "does not clear its priors" }
                                }
                            }
                            @for value in of_priors {
                                td class="prior" { @match value { Some(v) => { (short(v)) } None => { "–" } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Metrics of the prediction error alone, and the fair score's difference to them.
pub(super) fn prediction_error(evaluation: &Evaluation) -> Markup {
    html! {
        @if !evaluation.prediction_error.is_empty() {
            p class="from" {
                "The prediction error alone, nothing normalised: the largest window's mean square (patch) and the whole "
                "frame's (psnr). The difference has its interval over one set of resamples."
            }
            div class="scroll" {
                table {
                    thead {
                        tr {
                            th scope="col" { "error" }
                            th scope="col" { "micro AUC" br; "[95\u{a0}%]" }
                            th scope="col" { "difference of fair to it" br; "[95\u{a0}%]" }
                        }
                    }
                    tbody {
                        @for (name, error) in &evaluation.prediction_error {
                            tr {
                                th scope="row" { (name) }
                                td { (shown(error.metrics.micro_auc)) }
                                td { (shown(error.fair_difference)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// RBDC and TBDC, where true regions are known.
pub(super) fn regions(evaluation: &Evaluation) -> Markup {
    html! {
        @if let Some(card) = &evaluation.regions {
            p class="from" {
                "Where in the frame: boxes and tracks found by the components of the anomaly score's map above "
                (format!("{:.3}", card.threshold)) " (99.5 % of the windows of the calibration split are below), up to one false "
                "detection a frame. " (number(card.tracks)) " tracks of " (number(card.boxes)) " boxes"
                @if card.tracks_from_masks { ", made of the data set's masks by following their parts" }
                "; " (number(card.detections)) " detections."
            }
            div class="scroll" {
                table {
                    thead { tr { th scope="col" { "metric" } th scope="col" { "fair" br; "[95\u{a0}%]" } } }
                    tbody {
                        tr { th scope="row" { "RBDC" } td { (shown(evaluation.rbdc)) } }
                        tr { th scope="row" { "TBDC" } td { (shown(evaluation.tbdc)) } }
                    }
                }
            }
        }
    }
}

/// Events at the calibrated threshold.
pub(super) fn events(evaluation: &Evaluation) -> Markup {
    let share = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    html! {
        @if let Some(card) = &evaluation.events {
            @let f = &card.metrics;
            p class="from" {
                "Events: the anomaly score, smoothed causally, above " (format!("{:.3}", card.alarm.threshold))
                ", the threshold calibrated for "
                @match (card.alarm.per_hour, card.alarm.per_thousand_frames) {
                    (Some(n), _) => { (n) " false alarm an hour" }
                    (None, Some(n)) => { "one false alarm in " (format!("{:.0}", 1000.0 / n)) " frames" }
                    (None, None) => { "an unknown budget" }
                }
                @if !card.alarm.counted { " (estimated: the calibration split is too short to count)" }
                "."
            }
            div class="scroll" {
                table {
                    thead { tr { th scope="col" { "events" } th scope="col" { "fair" } } }
                    tbody {
                        tr { th scope="row" { "labelled spans found" } td { (f.spans_found) " of " (f.spans) } }
                        tr { th scope="row" { "events, false alarms" } td { (f.events) ", " (f.false_alarms) } }
                        tr { th scope="row" { "precision, recall, F1" } td { (share(f.precision)) ", " (share(f.recall)) ", " (share(f.f1)) } }
                        @if let Some(delay) = &f.delay {
                            tr { th scope="row" { "delay in frames: median, 90 %" } td { (format!("{:.1}, {:.1}", delay.median_frames, delay.p90_frames)) } }
                        }
                        @if let Some(rate) = &f.false_alarms_per_hour {
                            tr { th scope="row" { "false alarms in an hour of normal video [95\u{a0}%]" } td { (format!("{:.1} [{:.1}, {:.1}]", rate.value, rate.low, rate.high)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Metrics of single kinds of anomaly, both protocols under their headers.
pub(super) fn kinds(evaluation: &Evaluation) -> Markup {
    html! {
        p class="from" {
            "Micro AUC of the frames of one kind against all normal frames [95 % interval]. "
            (provenance(evaluation, shown_protocols(evaluation)))
        }
        div class="scroll" {
            table {
                thead {
                    tr {
                        th scope="col" { "kind" }
                        th scope="col" { "scored frames" }
                        th scope="col" { "legacy micro AUC" br; "smoothing: " (smoothing(evaluation, "legacy")) }
                        th scope="col" { "fair micro AUC" br; "smoothing: " (smoothing(evaluation, "fair")) }
                    }
                }
                tbody {
                    @for (kind, metrics) in &evaluation.kinds {
                        tr {
                            th scope="row" { (kind.replace('+', " + ")) }
                            td { (number(metrics.frames)) }
                            td { (shown(metrics.legacy_micro_auc)) }
                            td {
                                @if evaluation.fair.is_some() { (shown(metrics.fair_micro_auc)) }
                                @else { small { "not calibrated" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shown(metric: Option<Estimate>) -> Markup {
    html! {
        @match metric {
            Some(f) => { (short(f.value)) small { "[" (short(f.low)) ", " (short(f.high)) "]" } }
            None => small { "undefined" },
        }
    }
}

pub(super) fn short(value: f64) -> String {
    format!("{value:.3}")
}

fn smoothing(evaluation: &Evaluation, protocol: &str) -> String {
    match evaluation.smoothing {
        Some(sigma) if protocol == "legacy" => format!("centred Gaussian, σ = {sigma} frames"),
        Some(sigma) if protocol != "fair" => {
            format!("legacy a centred Gaussian, σ = {sigma} frames; fair none")
        }
        _ => "none".to_owned(),
    }
}

/// The protocols that there are metrics of.
pub(super) fn shown_protocols(evaluation: &Evaluation) -> &'static str {
    if evaluation.fair.is_some() {
        "legacy and fair"
    } else {
        "legacy"
    }
}

/// Where every metric comes from: protocol, smoothing, data set, labels' version and seed.
pub(super) fn provenance(evaluation: &Evaluation, protocol: &str) -> String {
    let data = &evaluation.data;
    let seed = match evaluation.seed {
        Some(seed) => format!("one seed: {seed}"),
        None => "seed unknown".to_owned(),
    };
    let labels = match &data.labels {
        Some(LabelCard {
            anomalous_frames,
            hash,
            ..
        }) => {
            format!(
                "labels: {} anomalous frames ({})",
                number(*anomalous_frames),
                start(hash)
            )
        }
        None => "no labels".to_owned(),
    };
    let smoothing = smoothing(evaluation, protocol);
    format!(
        "Protocol: {protocol}. Smoothing: {smoothing}. Data: {} ({}), {labels}; {seed}.",
        data.name,
        start(&data.hash)
    )
}

/// The first letters of a hash, enough to tell versions apart.
fn start(hash: &str) -> String {
    hash.chars().take(12).collect()
}

/// Names and what they are.
pub(super) fn facts<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> Markup {
    html! {
        table class="facts" {
            tbody {
                @for (name, value) in rows {
                    tr { th scope="row" { (name) } td { (value) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_compared_with_its_best_prior() {
        let metric = Estimate {
            value: 0.8,
            low: 0.7,
            high: 0.9,
        };
        assert_eq!(clears(&metric, &[0.5, 0.69], true), Some(true));
        assert_eq!(clears(&metric, &[0.5, 0.7], true), Some(false));
        let rate = Estimate {
            value: 0.2,
            low: 0.1,
            high: 0.3,
        };
        assert_eq!(clears(&rate, &[0.5, 0.31], false), Some(true));
        assert_eq!(clears(&rate, &[0.5, 0.25], false), Some(false));
        assert_eq!(clears(&rate, &[], true), None);
    }
}
