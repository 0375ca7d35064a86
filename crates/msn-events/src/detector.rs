use serde::{Deserialize, Serialize};

use crate::rules::Smoother;
use crate::{EventsError, Rules, ScoreSequence};

/// Something anomalous, from its first frame to its last.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// First frame, counted from 0.
    pub start: usize,
    /// Frame after the last.
    pub end: usize,
    /// Frame of the largest smoothed score, the first of several.
    pub peak: usize,
    /// Frame at which the alarm was raised: the first by which the event had its least length.
    pub alarm: usize,
    /// Largest smoothed score.
    pub score: f64,
    /// Seconds of `start`, if known.
    pub start_seconds: Option<f64>,
    /// Seconds of `end`: the next frame's, or after a gap the last frame's and its duration.
    pub end_seconds: Option<f64>,
    /// Seconds of `peak`.
    pub peak_seconds: Option<f64>,
    /// Seconds of `alarm`.
    pub alarm_seconds: Option<f64>,
}

impl Event {
    /// Number of frames.
    pub fn frames(&self) -> usize {
        self.end - self.start
    }
}

/// One frame on its way into a [`Detector`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimedScore {
    /// Its number; rising, and a number left out is a gap.
    pub index: usize,
    /// When it is, if known.
    pub seconds: Option<f64>,
    /// Its score; `None` where nothing is known, which is a gap.
    pub score: Option<f64>,
}

/// What a frame did.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct DetectorStep {
    /// The smoothed score; `None` for an unknown frame.
    pub smoothed: Option<f64>,
    /// Whether the frame belongs to an event so far, long enough or not.
    pub active: bool,
    /// Whether the alarm was raised by this frame: an event has just reached its least length.
    pub raised: bool,
    /// The event that has ended for good, now that it can no longer be joined with a later one.
    pub ended: Option<Event>,
}

#[derive(Debug, Clone, Copy)]
struct FrameTime {
    frame: usize,
    seconds: Option<f64>,
}

/// An event that may still go on.
#[derive(Debug, Clone, Copy)]
struct Open {
    start: FrameTime,
    last: FrameTime,
    peak: FrameTime,
    score: f64,
    alarm: Option<FrameTime>,
    /// Whether the newest frame belongs to it; else it waits for another to join.
    active: bool,
    /// Seconds of the frame after `last`, once it came.
    after: Option<f64>,
}

/// Finds events in scores as they come, frame by frame: the same for a live source and a file.
///
/// It keeps no more than the smoothing needs.
#[derive(Debug, Clone)]
pub struct Detector {
    rules: Rules,
    threshold: f64,
    smoother: Smoother,
    open: Option<Open>,
    before: Option<FrameTime>,
    /// Whether the frame before was known.
    in_run: bool,
    /// Latest time between two frames that follow each other.
    gap_seconds: f64,
}

impl Detector {
    /// A detector before its first frame.
    ///
    /// # Errors
    /// [`EventsError::Rule`], [`EventsError::Threshold`].
    pub fn new(rules: Rules, threshold: f64) -> Result<Self, EventsError> {
        rules.check()?;
        if !threshold.is_finite() {
            return Err(EventsError::Threshold { value: threshold });
        }
        let smoother = Smoother::new(rules.smoothing);
        Ok(Self {
            rules,
            threshold,
            smoother,
            open: None,
            before: None,
            in_run: false,
            gap_seconds: 0.0,
        })
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// [`EventsError::Order`], [`EventsError::Time`], [`EventsError::NotFinite`]; the frame is
    /// not taken then and the next may follow.
    pub fn push(&mut self, frame: TimedScore) -> Result<DetectorStep, EventsError> {
        self.check(frame)?;
        let place = FrameTime {
            frame: frame.index,
            seconds: frame.seconds,
        };
        let follows = self
            .before
            .is_some_and(|before| before.frame + 1 == frame.index);
        if let (true, Some(before), Some(now)) =
            (follows, self.before.and_then(|b| b.seconds), frame.seconds)
        {
            self.gap_seconds = now - before;
        }
        self.before = Some(place);
        let mut step = DetectorStep::default();
        if let Some(open) = &mut self.open
            && open.last.frame + 1 == frame.index
        {
            open.after = frame.seconds;
        }
        if !follows || frame.score.is_none() {
            step.ended = self.close();
        }
        if !(follows && self.in_run) {
            self.smoother = Smoother::new(self.rules.smoothing);
        }
        self.in_run = frame.score.is_some();
        let Some(score) = frame.score else {
            return Ok(step);
        };
        let smoothed = self.smoother.push(score);
        step.smoothed = Some(smoothed);
        let before = self.open.is_some_and(|open| open.active);
        step.active = self.rules.active(smoothed, before, self.threshold);
        if step.active {
            step.raised = self.extend(place, smoothed);
        } else if let Some(open) = &mut self.open {
            open.active = false;
            if frame.index - open.last.frame > self.rules.merge_gap {
                step.ended = self.close();
            }
        }
        Ok(step)
    }

    /// Whether an alarm is on: the newest frame belongs to an event of at least the least length.
    pub fn alarm(&self) -> bool {
        self.open
            .is_some_and(|open| open.active && open.alarm.is_some())
    }

    /// The event that was still open after the last frame.
    pub fn finish(mut self) -> Option<Event> {
        self.close()
    }

    fn check(&self, frame: TimedScore) -> Result<(), EventsError> {
        let video = String::new();
        if let Some(before) = self.before.filter(|before| frame.index <= before.frame) {
            return Err(EventsError::Order {
                video,
                frame: frame.index,
                before: before.frame,
            });
        }
        if let Some(seconds) = frame.seconds {
            let earlier = self.before.and_then(|before| before.seconds);
            if !seconds.is_finite() || earlier.is_some_and(|earlier| seconds < earlier) {
                return Err(EventsError::Time {
                    video,
                    frame: frame.index,
                    seconds,
                });
            }
        }
        match frame.score {
            Some(value) if !value.is_finite() => Err(EventsError::NotFinite {
                video,
                frame: frame.index,
                value,
            }),
            _ => Ok(()),
        }
    }

    /// Adds an active frame to the open event or begins one; true if that raises the alarm.
    fn extend(&mut self, place: FrameTime, smoothed: f64) -> bool {
        let begun = Open {
            start: place,
            last: place,
            peak: place,
            score: smoothed,
            alarm: None,
            active: true,
            after: None,
        };
        let open = self.open.get_or_insert(begun);
        open.last = place;
        open.after = None;
        open.active = true;
        if smoothed > open.score {
            open.score = smoothed;
            open.peak = place;
        }
        let long_enough = place.frame - open.start.frame + 1 >= self.rules.min_frames;
        let raised = open.alarm.is_none() && long_enough;
        if raised {
            open.alarm = Some(place);
        }
        raised
    }

    fn close(&mut self) -> Option<Event> {
        let open = self.open.take()?;
        let alarm = open.alarm?;
        Some(Event {
            start: open.start.frame,
            end: open.last.frame.saturating_add(1),
            peak: open.peak.frame,
            alarm: alarm.frame,
            score: open.score,
            start_seconds: open.start.seconds,
            end_seconds: open
                .after
                .or(open.last.seconds.map(|last| last + self.gap_seconds)),
            peak_seconds: open.peak.seconds,
            alarm_seconds: alarm.seconds,
        })
    }
}

/// The events of a whole video, in order.
///
/// # Errors
/// Those of [`ScoreSequence::check`], [`EventsError::Rule`], [`EventsError::Threshold`].
pub fn detect(
    sequence: &ScoreSequence,
    rules: &Rules,
    threshold: f64,
) -> Result<Vec<Event>, EventsError> {
    sequence.check()?;
    let mut detector = Detector::new(*rules, threshold)?;
    let mut events = Vec::new();
    for run in &sequence.runs {
        for (index, &score) in (run.first_frame..run.end()).zip(&run.scores) {
            let seconds = sequence.clock.seconds(index);
            let step = detector.push(TimedScore {
                index,
                seconds,
                score: Some(score),
            })?;
            events.extend(step.ended);
        }
        // The frame after a run is unknown, but its time may not be.
        if let Some(seconds) = sequence
            .clock
            .seconds(run.end())
            .filter(|_| !run.scores.is_empty())
        {
            let unknown = TimedScore {
                index: run.end(),
                seconds: Some(seconds),
                score: None,
            };
            events.extend(detector.push(unknown)?.ended);
        }
    }
    events.extend(detector.finish());
    Ok(events)
}
