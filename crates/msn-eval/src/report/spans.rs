//! Which labelled spans raised an alarm and which were missed, by kind of anomaly.

use std::collections::BTreeMap;

use maud::{Markup, html};
use msn_events::FrameRange;
use msn_metrics::stats::quantile;

use super::axis::number;
use crate::{EvalError, Evaluation, VideoScores, score::alarm::detected};

/// Missed spans that are named; of more, the number is given.
const NAMED: usize = 12;

/// The spans of one kind.
#[derive(Default)]
struct Spans {
    delays: Vec<usize>,
    missed: Vec<String>,
}

/// Each kind with its spans that were found and those that were missed at the calibrated threshold.
pub(super) fn missed(evaluation: &Evaluation, videos: &[VideoScores]) -> Result<Markup, EvalError> {
    let Some(card) = &evaluation.events else {
        return Ok(html! {});
    };
    let kinds = by_kind(videos, card.alarm.threshold)?;
    Ok(html! {
        @if !kinds.is_empty() {
            h3 { "What was missed" }
            p class="from" {
                "Labelled spans in which the anomaly score raised no alarm at the threshold of "
                (format!("{:.3}", card.alarm.threshold)) ". The peak is the highest anomaly score within the span, "
                "before smoothing."
            }
            div class="scroll" {
                table class="missed" {
                    thead {
                        tr {
                            th scope="col" { "kind" }
                            th scope="col" { "found" }
                            th scope="col" { "delay in frames, median" }
                            th scope="col" { "missed" }
                        }
                    }
                    tbody {
                        @for (kind, spans) in &kinds {
                            tr {
                                th scope="row" { (kind) }
                                td { (number(spans.delays.len())) " of " (number(spans.delays.len() + spans.missed.len())) }
                                td { (median(&spans.delays)) }
                                td {
                                    @if spans.missed.is_empty() { "none" }
                                    @for text in spans.missed.iter().take(NAMED) { (text) br; }
                                    @if spans.missed.len() > NAMED {
                                        "and " (number(spans.missed.len() - NAMED)) " more"
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

/// Spans with scored frames by their kind; those without one are called `anomalous`.
fn by_kind(videos: &[VideoScores], threshold: f64) -> Result<BTreeMap<String, Spans>, EvalError> {
    let mut kinds: BTreeMap<String, Spans> = BTreeMap::new();
    for video in videos {
        let (Some(labels), Some(fair)) = (&video.labels, &video.fair) else {
            continue;
        };
        let (_, events) = detected(video, threshold)?;
        let named = labels.spans.iter().filter_map(|span| {
            let kind = span.kind.clone()?;
            Some((kind, span.start, span.end))
        });
        let mut spans: Vec<(String, usize, usize)> = named.collect();
        // Runs without a kind.
        for FrameRange { start, end } in FrameRange::of_labels(&labels.anomalous) {
            if !spans.iter().any(|(_, s, e)| *s < end && start < *e) {
                spans.push(("anomalous".to_owned(), start, end));
            }
        }
        for (kind, start, end) in spans {
            let scored = video.scores.iter().zip(fair);
            let within = scored.filter(|(s, _)| (start..end).contains(&s.frame));
            let Some(peak) = within.map(|(_, &v)| v).reduce(f64::max) else {
                continue;
            };
            let spans = kinds.entry(kind).or_default();
            let first = events.iter().find(|e| e.start < end && start < e.end);
            match first {
                Some(event) => spans.delays.push(event.alarm.saturating_sub(start)),
                None => spans.missed.push(format!(
                    "{}, frames {start} to {}, peak {peak:.2}",
                    video.name,
                    end - 1
                )),
            }
        }
    }
    Ok(kinds)
}

fn median(delays: &[usize]) -> String {
    let delays: Vec<f64> = delays.iter().map(|&delay| delay as f64).collect();
    quantile(&delays, 0.5).map_or_else(|| "–".to_owned(), |median| format!("{median:.1}"))
}
