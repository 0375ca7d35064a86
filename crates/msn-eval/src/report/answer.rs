//! What a report begins with: how many alarms in how much footage, and how far that can be trusted.

use maud::{Markup, html};

use super::{Report, axis::number, cards::anchor};
use crate::{VideoAlarms, clock_text, length_text, ranked};

/// `7 alarms in 4 min 00 s of footage`.
pub(super) fn headline(videos: &[VideoAlarms]) -> String {
    if videos.is_empty() {
        return "Nothing scored yet".to_owned();
    }
    let length = length(videos);
    if videos.iter().all(|v| v.threshold.is_none()) {
        return format!("{length} scored, not calibrated");
    }
    match videos.iter().map(|v| v.alarms.len()).sum() {
        0 => format!("No alarm in {length}"),
        1 => format!("1 alarm in {length}"),
        n => format!("{} alarms in {length}", number(n)),
    }
}

/// All footage; in frames where a video has no times.
fn length(videos: &[VideoAlarms]) -> String {
    let seconds = videos.iter().map(|v| v.seconds).sum::<Option<f64>>();
    let frames = videos.iter().map(|v| v.frames).sum();
    match seconds {
        Some(_) => format!("{} of footage", length_text(seconds, frames)),
        None => format!("{} frames", number(frames)),
    }
}

/// Below the headline: what was scored, which alarm is the highest, how many of the labelled spans
/// were found, and notes.
pub(super) fn lead(report: &Report<'_>) -> Markup {
    let highest = ranked(report.alarms).first().copied();
    let events = report.evaluation.and_then(|e| e.events.as_ref());
    let threshold = report.alarms.iter().find_map(|v| v.threshold);
    let videos = report.alarms.len();
    html! {
        p class="soft" {
            b { (report.name) }
            @if videos > 0 { ", " (number(videos)) @if videos == 1 { " video" } @else { " videos" } }
            @if let Some(threshold) = threshold {
                ". An alarm is a smoothed anomaly score above " (format!("{threshold:.2}")) "; normal frames lie around 0"
            }
            "."
        }
        @if let Some((v, a)) = highest {
            @let (video, alarm) = (&report.alarms[v], &report.alarms[v].alarms[a]);
            p {
                "The highest: " a href={ "#" (anchor(v, a)) } {
                    (video.video) ", " (clock_text(alarm.peak, alarm.peak_frame))
                } ", score " (format!("{:.1}", alarm.score)) "."
                @if let Some(events) = events {
                    " Of " (number(events.metrics.spans)) " labelled spans "
                    (number(events.metrics.spans_found)) " were found; "
                    (number(events.metrics.false_alarms)) " of the alarms "
                    @if events.metrics.false_alarms == 1 { "is a false one." } @else { "are false ones." }
                }
            }
        }
        @for note in notes(report) { p class="verdict" { (note) } }
    }
}

/// Why the answer may deserve less trust.
fn notes(report: &Report<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if report.videos.is_empty() {
        notes.push(
            "The data set has no test videos. `msn score RUN VIDEO... --report DIR` scores others."
                .to_owned(),
        );
    }
    match report.calibration {
        None => notes.push(
            "These weights have no calibration: nothing says what a normal frame scores, so there are no anomaly scores \
             and no alarms. `msn weights calibrate WEIGHTS NORMAL_VIDEOS` makes one."
                .to_owned(),
        ),
        Some(c) => notes.extend(
            c.alarm
                .and_then(|alarm| alarm.caveat(c.frames))
                .map(|text| sentence(&text) + " More normal footage makes it sure."),
        ),
    }
    for video in report.alarms {
        notes.extend(
            video
                .foreign_text()
                .map(|text| format!("{}: {text}.", video.video)),
        );
    }
    notes
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .chain(['.'])
        .collect()
}
