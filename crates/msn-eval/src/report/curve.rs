//! One video's scores over time.

use maud::{Markup, PreEscaped, html};
use msn_data::FrameLabels;
use msn_events::FrameRange;

use super::{
    axis::{Axis, number, ticks},
    path::{Point, thin, time_path},
};
use crate::{Alarm, VideoScores};

/// Pixel columns that a curve can show.
const COLUMNS: f64 = 600.0;
/// Rows of labels above a curve; a label that finds no place stands in the caption alone.
const LANES: usize = 3;
/// How much further than the highest score an axis may reach.
const REACH: f64 = 1.5;
const LANE: f64 = 13.0;
const TITLE: f64 = 15.0;
const TALL: f64 = 120.0;
const LOW: f64 = 44.0;
/// Ticks and title of the time axis.
const FOOT: f64 = 32.0;

/// What a curve shows in addition to the video's scores.
#[derive(Debug)]
pub(super) struct Look<'a> {
    /// The legacy scores, where they are to be drawn.
    pub legacy: Option<&'a [f64]>,
    /// Deviation in frames of their smoothing.
    pub smoothing: Option<f64>,
    /// Lowest and highest anomaly score of the axis; the video's own where `None`.
    pub range: Option<(f64, f64)>,
    /// The smoothed anomaly score that raises an alarm.
    pub threshold: Option<f64>,
    /// The alarms, in the order of time.
    pub alarms: &'a [AlarmBar],
}

/// Where an alarm stands on a curve.
#[derive(Clone, Debug)]
pub(super) struct AlarmBar {
    pub start: usize,
    pub end: usize,
    pub text: String,
    /// What a click on it leads to.
    pub target: Option<String>,
}

/// A drawing whose x coordinates are percentages: it fits any width.
pub(super) struct Drawing {
    pub height: f64,
    pub content: Markup,
}

pub(super) fn draw(video: &VideoScores, look: &Look<'_>) -> Drawing {
    let axis = Axis::of(video);
    let runs = video
        .labels
        .as_ref()
        .map(|labels| FrameRange::of_labels(&labels.anomalous))
        .unwrap_or_default();
    let kinds = Kinds::place(video.labels.as_ref(), &axis);
    let top = TITLE + LANE * kinds.lanes as f64;
    let smoothed = look
        .smoothing
        .map(|s| format!(", smoothed (σ = {s} frames)"));
    let legacy_title = format!(
        "legacy: min to max of the video{}",
        smoothed.unwrap_or_default()
    );

    let mut panels = Vec::new();
    let mut fair_title = "anomaly score: robust standard deviations above normal".to_owned();
    // What is not finite is drawn as it is.
    let smoothed = video.smoothed().ok().flatten();
    if let Some(fair) = &video.fair {
        let own = || fair_range([fair.as_slice()], look.threshold);
        let range = look.range.unwrap_or_else(own);
        if let Some(threshold) = look.threshold.filter(|&t| t > range.1) {
            fair_title += &format!("; alarm at {threshold:.1}, above this axis");
        }
        panels.push(Panel {
            class: "fair",
            title: &fair_title,
            top,
            height: TALL,
            range,
            scores: smoothed.as_deref().unwrap_or(fair),
            each: smoothed.is_some().then_some(fair.as_slice()),
            threshold: look.threshold.filter(|&t| t >= range.0 && t <= range.1),
        });
    }
    if let Some(scores) = look.legacy {
        let (legacy_top, height) = match panels.last() {
            Some(above) => (above.top + above.height + TITLE + 5.0, LOW),
            None => (top, TALL),
        };
        panels.push(Panel {
            class: "legacy",
            title: &legacy_title,
            top: legacy_top,
            height,
            range: (0.0, 1.0),
            scores,
            each: None,
            threshold: None,
        });
    }
    let bottom = panels.last().map_or(top, |last| last.top + last.height);

    let content = html! {
        @for (i, panel) in panels.iter().enumerate() {
            // The first title stands above the labels' rows.
            text x="0" y=(if i == 0 { 10.0 } else { panel.top - 5.0 }) { (panel.title) }
            rect class="panel" x="0" y=(panel.top) width="100%" height=(panel.height) {}
            @for run in &runs {
                rect class="span" x=(percent(axis.place(run.start))) y=(panel.top)
                    width=(percent(axis.place(run.end) - axis.place(run.start))) height=(panel.height) {
                    title { "labelled anomalous: frames " (run.start) " to " (run.end - 1) }
                }
            }
            (panel.grid())
            @if let Some(threshold) = panel.threshold {
                @let y = format!("{:.1}", panel.top + panel.height * panel.drop(threshold));
                line class="alarm" x1="0" x2="100%" y1=(y) y2=(y) {
                    title { "alarm at " (format!("{threshold:.3}")) }
                }
            }
            @for label in kinds.labels.iter().filter(|_| i == 0) {
                line class="edge" x1=(percent(label.at)) x2=(percent(label.at))
                    y1=(TITLE + LANE * label.lane as f64) y2=(panel.top + panel.height) {}
            }
            svg x="0" y=(panel.top) width="100%" height=(panel.height) overflow="visible"
                viewBox={ "0 0 1200 " (panel.height * 4.0) } preserveAspectRatio="none" {
                @if let Some(each) = panel.each {
                    path class="each" d=(panel.path(each, video, &axis)) {}
                }
                path class=(panel.class) d=(panel.path(panel.scores, video, &axis)) {}
            }
            @for bar in look.alarms.iter().filter(|_| i == 0 && panel.class == "fair") {
                (bar.draw(&axis, panel.top + panel.height))
            }
        }
        @for label in &kinds.labels {
            text class={ "kind" @if label.ends { " end" } } x=(percent(if label.ends { 1.0 } else { label.at }))
                dx=[(!label.ends).then_some(3)] y=(TITLE + LANE * label.lane as f64 + 10.0) { (label.text) }
        }
        @for tick in axis.ticks(6.0) {
            @let place = percent(axis.share(tick.value));
            line class="grid" x1=(place) x2=(place) y1=(bottom) y2=(bottom + 4.0) {}
            text class="mid" x=(place) y=(bottom + 15.0) { (tick.text) }
        }
        text class="end" x="100%" y=(bottom + 28.0) { (axis.tick_unit(6.0)) }
    };
    Drawing {
        height: bottom + FOOT,
        content,
    }
}

/// One video's anomaly scores and legacy scores as a standalone SVG picture, 800 px wide, for light
/// and dark.
///
/// Labelled spans are shaded and named; time is in seconds where all scored frames have times, else
/// in frames. The thin line is each frame's anomaly score, the thick one the smoothed score; a dashed
/// line marks the `threshold` of the latter, bars its alarms. The legacy score is drawn as it is.
pub fn curve_svg(video: &VideoScores, threshold: Option<f64>) -> String {
    let alarms = AlarmBar::of(video);
    let Drawing { height, content } = draw(
        video,
        &Look {
            legacy: Some(&video.legacy),
            smoothing: None,
            range: None,
            threshold,
            alarms: &alarms,
        },
    );
    let (head, height) = (34.0, height + 34.0 + 6.0);
    // XML has no control characters.
    let name: String = video
        .name
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    let svg = html! {
        svg class="chart" xmlns="http://www.w3.org/2000/svg" width="800" height=(height)
            viewBox={ "0 0 800 " (height) } role="img" aria-label={ "Anomaly scores of " (name) } {
            style { (PreEscaped(include_str!("colours.css"))) (PreEscaped(include_str!("chart.css"))) }
            rect width="100%" height="100%" style="fill:var(--paper)" {}
            text class="name" x="44" y="22" { (name) }
            svg x="44" y=(head) width="740" height=(height - head) overflow="visible" { (content) }
        }
    };
    svg.into_string()
}

/// An alarm among the scores of its video, small enough for a card.
pub(super) fn mini_curve(video: &VideoScores, alarm: &Alarm) -> Markup {
    const HEIGHT: f64 = 46.0;
    let Some(fair) = &video.fair else {
        return html! {};
    };
    let axis = Axis::of(video);
    let smoothed = video.smoothed().ok().flatten();
    let panel = Panel {
        class: "fair",
        title: "",
        top: 0.0,
        height: HEIGHT,
        range: fair_range([fair.as_slice()], video.threshold),
        scores: smoothed.as_deref().unwrap_or(fair),
        each: None,
        threshold: video.threshold,
    };
    let [start, end] = [alarm.start_frame, alarm.end_frame].map(|frame| axis.place(frame));
    let threshold = panel.threshold.filter(|&t| t <= panel.range.1);
    html! {
        svg class="chart mini" height=(HEIGHT) role="img" aria-label={ "Scores of " (video.name) } {
            rect class="panel" width="100%" height="100%" {}
            rect class="on" x=(percent(start)) width=(percent((end - start).max(0.006))) height="100%" {}
            @if let Some(threshold) = threshold {
                @let y = format!("{:.1}", HEIGHT * panel.drop(threshold));
                line class="limit" x1="0" x2="100%" y1=(y) y2=(y) {}
            }
            svg width="100%" height=(HEIGHT) viewBox={ "0 0 1200 " (HEIGHT * 4.0) } preserveAspectRatio="none" {
                path class="fair" d=(panel.path(panel.scores, video, &axis)) {}
            }
        }
    }
}

impl AlarmBar {
    /// Those of a video, numbered in time.
    fn of(video: &VideoScores) -> Vec<Self> {
        let events = video.events().unwrap_or_default();
        let bar = |(i, event): (usize, &msn_events::Event)| Self {
            start: event.start,
            end: event.end,
            text: format!(
                "alarm {}: frames {} to {}",
                i + 1,
                event.start,
                event.end - 1
            ),
            target: None,
        };
        events.iter().enumerate().map(bar).collect()
    }

    fn draw(&self, axis: &Axis, bottom: f64) -> Markup {
        const HEIGHT: f64 = 6.0;
        let (start, end) = (axis.place(self.start), axis.place(self.end));
        let bar = html! {
            rect class="on bar" x=(percent(start)) y=(bottom - HEIGHT) height=(HEIGHT)
                width=(percent((end - start).max(0.004))) { title { (self.text) } }
        };
        html! {
            @match &self.target {
                Some(target) => a href={ "#" (target) } { (bar) },
                None => (bar),
            }
        }
    }
}

/// An axis for all the scores: it holds 0, never magnifies noise to the full height, and reaches to
/// the threshold where that flattens nothing.
pub(super) fn fair_range<'a>(
    scores: impl IntoIterator<Item = &'a [f64]>,
    threshold: Option<f64>,
) -> (f64, f64) {
    let finite = scores
        .into_iter()
        .flatten()
        .copied()
        .filter(|v| v.is_finite());
    let (low, high) = finite.fold((0.0f64, 4.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let high = threshold
        .filter(|&t| t <= REACH * high)
        .map_or(high, |t| high.max(t));
    let edge = (high - low) * 0.04;
    (low - edge, high + edge)
}

/// Breaks between scored frames.
pub(super) fn gaps(video: &VideoScores) -> usize {
    video
        .scores
        .windows(2)
        .filter(|pair| pair[1].frame != pair[0].frame + 1)
        .count()
}

pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", 100.0 * share.clamp(0.0, 1.0));
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

struct Panel<'a> {
    class: &'static str,
    title: &'a str,
    top: f64,
    height: f64,
    range: (f64, f64),
    /// The line.
    scores: &'a [f64],
    /// A thinner one below it.
    each: Option<&'a [f64]>,
    threshold: Option<f64>,
}

impl Panel<'_> {
    /// Distance from the panel's upper edge, 0 to 1.
    fn drop(&self, score: f64) -> f64 {
        (self.range.1 - score) / (self.range.1 - self.range.0)
    }

    fn grid(&self) -> Markup {
        html! {
            @for tick in ticks(self.range.0, self.range.1, if self.height < TALL { 1.0 } else { 6.0 }) {
                @let y = format!("{:.1}", self.top + self.height * self.drop(tick.value));
                line class=(if tick.value == 0.0 && self.range.0 < 0.0 { "zero" } else { "grid" }) x1="0" x2="100%" y1=(y) y2=(y) {}
                text class="end" x="-6" y=(y) dy="4" { (tick.text) }
            }
        }
    }

    fn path(&self, scores: &[f64], video: &VideoScores, axis: &Axis) -> String {
        let mut points = Vec::with_capacity(scores.len());
        let mut before = None;
        for (score, &y) in video.scores.iter().zip(scores) {
            if y.is_finite() {
                let starts = before.is_none_or(|frame: usize| score.frame != frame + 1);
                points.push(Point {
                    x: axis.place(score.frame),
                    y: self.drop(y),
                    starts,
                });
                before = Some(score.frame);
            }
        }
        time_path(&thin(&points, COLUMNS), 1200.0, self.height * 4.0)
    }
}

struct Kind {
    text: String,
    /// Share of the width at which its span starts.
    at: f64,
    lane: usize,
    /// Whether it is set against the right edge.
    ends: bool,
}

struct Kinds {
    labels: Vec<Kind>,
    lanes: usize,
}

impl Kinds {
    fn place(labels: Option<&FrameLabels>, axis: &Axis) -> Self {
        let mut ends = [f64::NEG_INFINITY; LANES];
        let mut kinds = Self {
            labels: Vec::new(),
            lanes: 0,
        };
        for span in labels.map(|l| l.spans.as_slice()).unwrap_or_default() {
            let Some(text) = &span.kind else { continue };
            // The letters' width as a share of a phone's: what fits there fits everywhere.
            let width = (text.chars().count() as f64 * 6.0 + 8.0) / 320.0;
            let at = axis.place(span.start);
            let set_against_edge = at + width > 1.0;
            let from = if set_against_edge { 1.0 - width } else { at };
            if let Some(lane) = ends.iter().position(|&end| end <= from) {
                ends[lane] = from + width;
                kinds.lanes = kinds.lanes.max(lane + 1);
                kinds.labels.push(Kind {
                    text: text.clone(),
                    at,
                    lane,
                    ends: set_against_edge,
                });
            }
        }
        kinds
    }
}

/// How often each kind is labelled: `cyclist x 2, cart`.
pub(super) fn kinds_in_words(labels: &FrameLabels) -> String {
    let mut kinds = std::collections::BTreeMap::<&str, usize>::new();
    for kind in labels.spans.iter().filter_map(|s| s.kind.as_deref()) {
        *kinds.entry(kind).or_default() += 1;
    }
    let word = |(kind, n): (&str, usize)| {
        if n == 1 {
            kind.to_owned()
        } else {
            format!("{kind} × {}", number(n))
        }
    };
    kinds.into_iter().map(word).collect::<Vec<_>>().join(", ")
}
