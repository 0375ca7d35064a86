//! Events at the calibrated threshold: what an operator would have seen.

use msn_data::LoadedVideo;
use msn_events::{
    Basis, Budget, Clock, Event, EventFigures, JudgedVideo, Rules, ScoreSequence, Span, calibrate,
    detect, event_figures,
};
use msn_model::{Alarm, Calibration};
use serde::{Deserialize, Serialize};

use crate::{EvalError, VideoScores};

/// False alarms in an hour that a calibration allows.
const PER_HOUR: f64 = 1.0;
/// The same for frames without times: an hour at ten frames a second.
const PER_THOUSAND_FRAMES: f64 = 1.0 / 36.0;

/// Events against labelled spans, and at what they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventCard {
    /// The calibrated threshold and its budget.
    pub alarm: Alarm,
    /// How scores became events.
    pub rules: Rules,
    /// What was found.
    pub figures: EventFigures,
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

/// The threshold that keeps the budget on held-out normal scores; `None` where they are too few.
pub(crate) fn alarm(held_out: &[ScoreSequence]) -> Result<Option<Alarm>, EvalError> {
    let timed = held_out
        .iter()
        .all(|s| s.hours(|_| true).is_some_and(|h| h > 0.0));
    let budget = if timed {
        Budget::PerHour(PER_HOUR)
    } else {
        Budget::PerThousandFrames(PER_THOUSAND_FRAMES)
    };
    if held_out.iter().all(|s| s.frames() == 0) {
        return Ok(None);
    }
    let found = calibrate(held_out, &Rules::default(), budget)?;
    Ok(Some(Alarm {
        threshold: found.threshold,
        per_hour: timed.then_some(PER_HOUR),
        per_thousand_frames: (!timed).then_some(PER_THOUSAND_FRAMES),
        counted: matches!(found.basis, Basis::Counted | Basis::Floor),
    }))
}

/// A video's fair scores in time, and the events that a threshold finds in them.
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

/// Events of labelled videos at the calibrated threshold; `None` without one.
pub(crate) fn judge(
    videos: &[&VideoScores],
    calibration: Option<&Calibration>,
) -> Result<Option<EventCard>, EvalError> {
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
        found.push((sequence, events, Span::of_labels(&labels.anomalous)));
    }
    let judged: Vec<JudgedVideo<'_>> = found
        .iter()
        .map(|(sequence, events, spans)| JudgedVideo {
            sequence,
            events,
            spans,
        })
        .collect();
    Ok(Some(EventCard {
        alarm,
        rules,
        figures: event_figures(&judged)?,
    }))
}
