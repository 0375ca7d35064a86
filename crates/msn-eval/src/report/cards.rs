//! The alarms, the highest first: a card each with picture, times and curve, and a table of the rest.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use maud::{Markup, html};

use super::{Report, axis::number, curve::mini_curve};
use crate::{Alarm, VideoAlarms, VideoScores, clock_text, ranked};

/// Alarms with a card; more stand in a table.
const CARDS: usize = 24;
/// Rows of that table; `alarms.csv` has all.
const ROWS: usize = 200;

/// The name of an alarm's card within the page.
pub(super) fn anchor(video: usize, alarm: usize) -> String {
    format!("alarm-{}-{}", video + 1, alarm + 1)
}

pub(super) fn section(report: &Report<'_>) -> Markup {
    let all = ranked(report.alarms);
    if report.alarms.iter().all(|v| v.threshold.is_none()) {
        return html! {};
    }
    html! {
        h2 id="alarms" { "Alarms" }
        @if all.is_empty() {
            p { "No alarm: the smoothed anomaly score stays below the threshold throughout, or above it for less than five frames." }
        } @else {
            p class="from" {
                "The highest first. The picture is of the frame that errs most; the box is around what errs there."
            }
            div class="alarms" {
                @for (rank, &(v, a)) in all.iter().take(CARDS).enumerate() {
                    (card(report, rank + 1, v, a))
                }
            }
            @if all.len() > CARDS {
                details {
                    summary { (number(all.len() - CARDS)) " lower alarms" }
                    (table(report, &all[CARDS..]))
                }
            }
        }
    }
}

fn card(report: &Report<'_>, rank: usize, v: usize, a: usize) -> Markup {
    let (video, alarm) = (&report.alarms[v], &report.alarms[v].alarms[a]);
    let of_alarm = |p: &&crate::AlarmPicture| (p.video, p.alarm) == (v, a);
    let picture = report.pictures.iter().find(of_alarm);
    let scores = report.videos.get(v);
    html! {
        article class="shot" id=(anchor(v, a)) {
            (shot(video, alarm, picture.map(|p| p.jpeg.as_slice())))
            h3 { (rank) ". " (video.video) ", " (clock_text(alarm.peak, alarm.peak_frame)) }
            p {
                (span(alarm)) "; score " (format!("{:.1}", alarm.score))
                @if let Some(label) = scores.and_then(|scores| label(scores, alarm)) { "; " (label) }
            }
            @if let Some(scores) = scores { (mini_curve(scores, alarm)) }
        }
    }
}

/// The picture with the box on it; an empty one of the same shape where it can't be read.
fn shot(video: &VideoAlarms, alarm: &Alarm, jpeg: Option<&[u8]>) -> Markup {
    let [width, height] = video.size;
    let place = alarm.place;
    html! {
        svg class="frame" viewBox={ "0 0 " (width) " " (height) } role="img"
            aria-label={ "Alarm in " (video.video) } {
            @match jpeg {
                Some(jpeg) => image width=(width) height=(height) preserveAspectRatio="none"
                    href={ "data:image/jpeg;base64," (BASE64_STANDARD.encode(jpeg)) } {},
                None => rect class="blank" width=(width) height=(height) {},
            }
            @for class in ["halo", "box"] {
                rect class=(class) x=(place.x) y=(place.y) width=(place.width) height=(place.height) {}
            }
        }
    }
}

/// `from 00:10 to 00:17`, or frames.
fn span(alarm: &Alarm) -> String {
    match (alarm.start, alarm.end) {
        (Some(start), Some(end)) => format!(
            "from {} to {} ({:.1} s)",
            clock_text(Some(start), 0),
            clock_text(Some(end), 0),
            end - start
        ),
        _ => format!("frames {} to {}", alarm.start_frame, alarm.end_frame - 1),
    }
}

/// What the labels say of an alarm's frames; none without labels.
fn label(video: &VideoScores, alarm: &Alarm) -> Option<String> {
    let labels = video.labels.as_ref()?;
    let frames = alarm.start_frame..alarm.end_frame.min(labels.anomalous.len());
    if !labels.anomalous.get(frames)?.contains(&true) {
        return Some("labelled normal: a false alarm".to_owned());
    }
    let within = |s: &&msn_data::FrameSpan| s.start < alarm.end_frame && alarm.start_frame < s.end;
    let mut kinds: Vec<&str> = labels
        .spans
        .iter()
        .filter(within)
        .filter_map(|s| s.kind.as_deref())
        .collect();
    kinds.dedup();
    Some(match kinds.is_empty() {
        true => "labelled anomalous".to_owned(),
        false => format!("labelled {}", kinds.join(", ")),
    })
}

fn table(report: &Report<'_>, rows: &[(usize, usize)]) -> Markup {
    html! {
        div class="scroll" {
            table class="missed" {
                thead { tr { th scope="col" { "video" } th scope="col" { "peak" } th scope="col" { "alarm" } th scope="col" { "score" } } }
                tbody {
                    @for &(v, a) in rows.iter().take(ROWS) {
                        @let (video, alarm) = (&report.alarms[v], &report.alarms[v].alarms[a]);
                        tr id=(anchor(v, a)) {
                            th scope="row" { (video.video) }
                            td { (clock_text(alarm.peak, alarm.peak_frame)) }
                            td { (span(alarm)) }
                            td { (format!("{:.1}", alarm.score)) }
                        }
                    }
                }
            }
        }
        @if rows.len() > ROWS {
            p class="note" { "and " (number(rows.len() - ROWS)) " more, all of them in alarms.csv" }
        }
    }
}
