use std::collections::HashSet;

use msn_metrics::stats::quantile;
use serde::{Deserialize, Serialize};

use crate::{Event, EventsError, FrameRange, Rate, ScoreSequence, poisson_rate};

/// Events and labels of one video.
#[derive(Debug, Clone, Copy)]
pub struct LabelledEvents<'a> {
    /// Its scores, for the times and for what was scored at all.
    pub sequence: &'a ScoreSequence,
    /// The events found in it.
    pub events: &'a [Event],
    /// Its anomalous spans; none in a normal video.
    pub spans: &'a [FrameRange],
}

/// How long alarms took over the spans that were found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    /// Median in frames.
    pub median_frames: f64,
    /// 90th percentile in frames.
    pub p90_frames: f64,
    /// Median in seconds; `None` unless each found span has times.
    pub median_seconds: Option<f64>,
    /// 90th percentile in seconds; `None` unless each found span has times.
    pub p90_seconds: Option<f64>,
}

/// Metrics of events against labelled spans; `None` is undefined.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventMetrics {
    /// Labelled spans with at least one scored frame.
    pub spans: usize,
    /// Spans that an event overlaps.
    pub spans_found: usize,
    /// Labelled spans without a scored frame, left out of every metric.
    pub spans_unscored: usize,
    /// Events.
    pub events: usize,
    /// Events that overlap no span.
    pub false_alarms: usize,
    /// Share of the events that overlap a span; `None` without an event.
    pub precision: Option<f64>,
    /// Share of the spans that are found; `None` without a span.
    pub recall: Option<f64>,
    /// Harmonic mean of precision and recall, 0 if spans are there and nothing is found; `None`
    /// without a span.
    pub f1: Option<f64>,
    /// From a span's first frame to its first alarm; `None` if no span is found.
    pub delay: Option<Delay>,
    /// Scored frames in no span.
    pub normal_frames: usize,
    /// Their hours; `None` if a video has no times.
    pub normal_hours: Option<f64>,
    /// False alarms per hour of normal video with the exact Poisson interval; `None` without
    /// times or normal frames.
    pub false_alarms_per_hour: Option<Rate>,
}

/// Compares events with labelled spans over all videos.
///
/// A span is found if an event overlaps it, and an event that overlaps no span is a false alarm.
/// The delay of a found span runs from its first frame, scored or not, to the first alarm of the
/// events that overlap it; it is 0 where an alarm was on already. An alarm is raised once an
/// event has its least length, so it can come after the end of a short span.
///
/// # Errors
/// Those of [`ScoreSequence::check`]; [`EventsError::DuplicateVideo`], [`EventsError::EmptySpan`].
pub fn event_metrics(videos: &[LabelledEvents<'_>]) -> Result<EventMetrics, EventsError> {
    check(videos)?;
    let mut out = EventMetrics {
        spans: 0,
        spans_found: 0,
        spans_unscored: 0,
        events: 0,
        false_alarms: 0,
        precision: None,
        recall: None,
        f1: None,
        delay: None,
        normal_frames: 0,
        normal_hours: Some(0.0),
        false_alarms_per_hour: None,
    };
    let mut delays: Vec<(f64, Option<f64>)> = Vec::new();
    for video in videos {
        out.events += video.events.len();
        let overlaps =
            |event: &Event, span: &FrameRange| event.start < span.end && span.start < event.end;
        out.false_alarms += video
            .events
            .iter()
            .filter(|event| !video.spans.iter().any(|span| overlaps(event, span)))
            .count();
        for span in video.spans {
            let scored =
                |run: &crate::ScoreRun| run.first_frame < span.end && span.start < run.end();
            if !video
                .sequence
                .runs
                .iter()
                .any(|run| !run.scores.is_empty() && scored(run))
            {
                out.spans_unscored += 1;
                continue;
            }
            out.spans += 1;
            let of_span = video.events.iter().filter(|event| overlaps(event, span));
            if let Some(alarm) = of_span.map(|event| event.alarm).min() {
                out.spans_found += 1;
                delays.push(delay(video.sequence, span, alarm));
            }
        }
        let normal = |frame: usize| !video.spans.iter().any(|span| span.contains(frame));
        let frames = video
            .sequence
            .runs
            .iter()
            .flat_map(|run| run.first_frame..run.end());
        out.normal_frames += frames.filter(|&frame| normal(frame)).count();
        out.normal_hours = out
            .normal_hours
            .zip(video.sequence.hours(normal))
            .map(|(a, b)| a + b);
    }
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    out.precision = share(out.events - out.false_alarms, out.events);
    out.recall = share(out.spans_found, out.spans);
    out.f1 = out.recall.map(|recall| {
        let precision = out.precision.unwrap_or(0.0);
        let sum = precision + recall;
        if sum > 0.0 {
            2.0 * precision * recall / sum
        } else {
            0.0
        }
    });
    out.delay = summary(&delays);
    if let Some(hours) = out.normal_hours.filter(|&hours| hours > 0.0) {
        out.false_alarms_per_hour = Some(poisson_rate(out.false_alarms, hours)?);
    }
    Ok(out)
}

fn check(videos: &[LabelledEvents<'_>]) -> Result<(), EventsError> {
    let mut names = HashSet::new();
    for video in videos {
        video.sequence.check()?;
        let name = &video.sequence.name;
        if !names.insert(name.as_str()) {
            return Err(EventsError::DuplicateVideo {
                video: name.clone(),
            });
        }
        if let Some(&FrameRange { start, end }) =
            video.spans.iter().find(|span| span.start >= span.end)
        {
            return Err(EventsError::EmptySpan {
                video: name.clone(),
                start,
                end,
            });
        }
    }
    Ok(())
}

/// Frames and seconds from a span's first frame to an alarm, 0 if it was on before.
fn delay(sequence: &ScoreSequence, span: &FrameRange, alarm: usize) -> (f64, Option<f64>) {
    let alarm = alarm.max(span.start);
    let seconds = sequence
        .clock
        .seconds(alarm)
        .zip(sequence.clock.seconds(span.start));
    (
        (alarm - span.start) as f64,
        seconds.map(|(alarm, start)| alarm - start),
    )
}

fn summary(delays: &[(f64, Option<f64>)]) -> Option<Delay> {
    let frames: Vec<f64> = delays.iter().map(|(frames, _)| *frames).collect();
    let seconds: Option<Vec<f64>> = delays.iter().map(|(_, seconds)| *seconds).collect();
    let of_seconds = |share| {
        seconds
            .as_ref()
            .and_then(|seconds| quantile(seconds, share))
    };
    Some(Delay {
        median_frames: quantile(&frames, 0.5)?,
        p90_frames: quantile(&frames, 0.9)?,
        median_seconds: of_seconds(0.5),
        p90_seconds: of_seconds(0.9),
    })
}
