//! The threshold of events that keeps a budget of false alarms, and what it finds.

use msn_data::LoadedVideo;
use msn_events::{
    Basis, Budget, Clock, Detector, Event, EventMetrics, FrameRange, LabelledEvents, Rules,
    ScoreSequence, TimedScore, calibrate_threshold, detect, event_metrics,
};
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use crate::{EvalError, VideoScores, alarms::length_text};

/// False alarms in an hour that a calibration allows.
const PER_HOUR: f64 = 1.0;
/// The same for frames without times: an hour at ten frames a second.
const PER_THOUSAND_FRAMES: f64 = 1.0 / 36.0;

/// The threshold of events that keeps a budget of false alarms on normal frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmThreshold {
    /// Smoothed standardised scores above it begin an event.
    pub threshold: f64,
    /// False alarms in an hour that were allowed, where frames have times.
    pub per_hour: Option<f64>,
    /// False alarms in a thousand frames that were allowed, where they have none.
    pub per_thousand_frames: Option<f64>,
    /// Whether the calibration split was long enough to count false alarms; else the threshold is an
    /// estimate.
    pub counted: bool,
    /// Hours of the calibration split, where frames have times; none in older calibrations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<f64>,
}

impl AlarmThreshold {
    /// Why false alarms may be more or fewer than the budget says, in a sentence; none where they were
    /// counted. `frames` are those of the calibration split.
    pub fn caveat(&self, frames: usize) -> Option<String> {
        if self.counted {
            return None;
        }
        let sure = match (self.per_hour, self.hours, self.per_thousand_frames) {
            (Some(budget), Some(hours), _) if budget > 0.0 && hours > 0.0 => {
                let needed = 1.0 / budget;
                format!(
                    "the calibration split has {}, and counting {} an hour takes {} ({} times as much)",
                    length_text(Some(hours * 3600.0), frames),
                    match budget == 1.0 {
                        true => "one false alarm".to_owned(),
                        false => format!("{budget} false alarms"),
                    },
                    length_text(Some(needed * 3600.0), frames),
                    times(needed / hours),
                )
            }
            (_, _, Some(budget)) if budget > 0.0 && frames > 0 => {
                let needed = 1000.0 / budget;
                format!(
                    "the calibration split has {frames} frames, and counting one false alarm in {needed:.0} takes that many, {} times as much",
                    times(needed / frames as f64),
                )
            }
            _ => "the calibration split is too short to count false alarms".to_owned(),
        };
        Some(format!(
            "{sure}: the alarm threshold is an estimate, and false alarms may be more or fewer"
        ))
    }
}

/// A factor to two digits.
fn times(factor: f64) -> String {
    match factor < 9.95 {
        true => format!("{factor:.1}"),
        false => format!("{factor:.0}"),
    }
}

/// Events against labelled spans, and at what they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSummary {
    /// The calibrated threshold and its budget.
    pub alarm: AlarmThreshold,
    /// How scores became events.
    pub rules: Rules,
    /// Metrics of the events.
    pub metrics: EventMetrics,
}

/// When a loaded video's frames are.
pub fn clock(video: &LoadedVideo) -> Clock {
    let seconds: Option<Vec<f64>> = video.seconds.iter().copied().collect();
    match (seconds, video.rate_hz) {
        (Some(seconds), _) if seconds.windows(2).all(|t| t[0] <= t[1]) => Clock::Seconds(seconds),
        (_, Some(hz)) => Clock::Hz(hz),
        _ => Clock::Unknown,
    }
}

/// The threshold that keeps the budget on normal scores; `None` where there are none.
pub(super) fn threshold(normal: &[ScoreSequence]) -> Result<Option<AlarmThreshold>, EvalError> {
    let timed = normal
        .iter()
        .all(|s| s.hours(|_| true).is_some_and(|h| h > 0.0));
    let budget = if timed {
        Budget::PerHour(PER_HOUR)
    } else {
        Budget::PerThousandFrames(PER_THOUSAND_FRAMES)
    };
    if normal.iter().all(|s| s.frames() == 0) {
        return Ok(None);
    }
    let found = calibrate_threshold(normal, &Rules::default(), budget)?;
    Ok(Some(AlarmThreshold {
        threshold: found.threshold,
        per_hour: timed.then_some(PER_HOUR),
        per_thousand_frames: (!timed).then_some(PER_THOUSAND_FRAMES),
        counted: matches!(found.basis, Basis::Counted | Basis::Floor),
        hours: found.hours.filter(|_| timed),
    }))
}

/// A video's standardised scores in time, and the events that a threshold finds in them.
pub(crate) fn detected(
    video: &VideoScores,
    threshold: f64,
) -> Result<(ScoreSequence, Vec<Event>), EvalError> {
    let frames: Vec<usize> = video.scores.iter().map(|s| s.frame).collect();
    let fair = video.fair.as_deref().unwrap_or_default();
    let clock = video.clock.clone();
    let sequence = ScoreSequence::from_frames(&video.name, &frames, fair, clock)?;
    let events = detect(&sequence, &Rules::default(), threshold)?;
    Ok((sequence, events))
}

/// Scores of frames in rising order, smoothed causally as the threshold wants them.
pub(crate) fn smoothed(scores: impl Iterator<Item = (usize, f64)>) -> Result<Vec<f64>, EvalError> {
    // Where events begin changes nothing about the smoothing.
    let mut detector = Detector::new(Rules::default(), 0.0)?;
    let push = |(index, score)| {
        let step = detector.push(TimedScore {
            index,
            seconds: None,
            score: Some(score),
        })?;
        Ok(step.smoothed.unwrap_or(score))
    };
    scores.map(push).collect()
}

/// Events of labelled videos at the calibrated threshold; `None` without one.
pub(crate) fn summarise_events(
    videos: &[&VideoScores],
    calibration: Option<&Calibration>,
) -> Result<Option<EventSummary>, EvalError> {
    let Some(alarm) = calibration.and_then(|c| c.alarm) else {
        return Ok(None);
    };
    let rules = Rules::default();
    let mut found = Vec::new();
    for video in videos {
        let (Some(_), Some(labels)) = (&video.fair, &video.labels) else {
            continue;
        };
        let (sequence, events) = detected(video, alarm.threshold)?;
        found.push((sequence, events, FrameRange::of_labels(&labels.anomalous)));
    }
    let labelled: Vec<LabelledEvents<'_>> = found
        .iter()
        .map(|(sequence, events, spans)| LabelledEvents {
            sequence,
            events,
            spans,
        })
        .collect();
    Ok(Some(EventSummary {
        alarm,
        rules,
        metrics: event_metrics(&labelled)?,
    }))
}
