use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::levels::Levels;
use crate::{EventsError, Rate, Rules, ScoreSequence, poisson_rate};

/// Most and fewest events that the tail of short footage is fitted to.
const FIT_MOST: usize = 20;
const FIT_FEWEST: usize = 4;

/// How many false alarms may be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Budget {
    /// So many in an hour of video, positive. It needs the times of the frames.
    PerHour(f64),
    /// So many in a thousand scored frames, positive, for footage without a frame rate.
    PerThousandFrames(f64),
}

impl Budget {
    fn value(self) -> f64 {
        match self {
            Self::PerHour(value) | Self::PerThousandFrames(value) => value,
        }
    }
}

/// What a threshold rests on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Basis {
    /// Counted: the footage is long enough to hold at least one event of the budget.
    Counted,
    /// Counted, but the budget is so large that the threshold would have sunk among ordinary
    /// frames; it stays at the 90th percentile of the smoothed scores.
    Floor,
    /// The footage is too short for the budget. The rate of events over the threshold was taken
    /// to fall exponentially and drawn on beyond what was seen: an estimate, not a count.
    Extrapolated {
        /// Number of largest events that the fall was fitted to.
        events: usize,
        /// Threshold at and above which there are so many.
        from: f64,
        /// Rise of the threshold that makes events rarer by a factor of e, positive.
        scale: f64,
    },
    /// The footage is too short for the budget and too short for an estimate as well: the lowest
    /// threshold without any event. Nothing is known about the rate but its interval.
    NoEvent,
}

/// A threshold calibrated on calibration footage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdCalibration {
    /// Smoothed scores above it begin an event.
    pub threshold: f64,
    /// What it rests on.
    pub basis: Basis,
    /// The budget that was asked for.
    pub budget: Budget,
    /// The rules that events were counted by.
    pub rules: Rules,
    /// Scored calibration frames.
    pub frames: usize,
    /// Their hours; `None` without times.
    pub hours: Option<f64>,
    /// Events that the budget allows in this footage, rounded down.
    pub allowed: usize,
    /// Events of the footage at this threshold, all of them false.
    pub events: usize,
    /// `events` per unit of the budget (hours or thousand frames) with the exact interval: what
    /// the footage itself says.
    pub rate: Rate,
    /// Share of the footage's scored frames that lie in events, in [0, 1].
    pub alarm_share: f64,
    /// Units of the budget (hours or thousand frames) for one allowed event: with less footage
    /// than this a threshold can't be counted.
    pub needed: f64,
}

impl ThresholdCalibration {
    /// One sentence on why the threshold deserves less trust than a counted one; `None` if it
    /// does not.
    pub fn caveat(&self) -> Option<String> {
        let (unit, have) = match self.budget {
            Budget::PerHour(_) => ("hours", self.hours.unwrap_or(0.0)),
            Budget::PerThousandFrames(_) => ("thousand frames", self.frames as f64 / 1000.0),
        };
        let short = format!(
            "the budget needs {:.3} {unit} of calibration footage and there are {have:.3}",
            self.needed
        );
        match self.basis {
            Basis::Counted => None,
            Basis::Floor => Some(
                "the budget is larger than what ordinary frames need, so the threshold stays at \
                 the 90th percentile of its scores"
                    .to_owned(),
            ),
            Basis::Extrapolated { events, .. } => Some(format!(
                "{short}, so the threshold is an estimate drawn on from the {events} largest \
                 events; give more to count instead"
            )),
            Basis::NoEvent => Some(format!(
                "{short}, with too few events for an estimate, so the threshold is the lowest \
                 without an event; the true rate may be up to {:.3} per {}",
                self.rate.high,
                match self.budget {
                    Budget::PerHour(_) => "hour",
                    Budget::PerThousandFrames(_) => "thousand frames",
                }
            )),
        }
    }
}

/// Finds the threshold that keeps false alarms within a budget, with the event rules in the loop,
/// on calibration footage.
///
/// The threshold is the smallest at and above which the footage holds no more events than the
/// budget allows (rounded down). "And above" matters: events are not fewer at every higher
/// threshold, since a long one can fall apart, and a threshold under all scores makes a single
/// event of everything. It is never under the 90th percentile of the smoothed scores.
///
/// Footage too short to hold one allowed event can't be counted. The threshold is then drawn on
/// beyond what was seen: the thresholds at which the first, second, ... of up to 20 largest events
/// appear are taken as the tail of an exponential distribution, whose scale is their mean excess,
/// and the threshold is where that tail meets the budget, but never lower than the lowest without
/// an event. With fewer than four such events it is that one. [`ThresholdCalibration::basis`] and
/// [`ThresholdCalibration::caveat`] say which it was.
///
/// # Errors
/// Those of [`ScoreSequence::check`] and [`Rules::check`]; [`EventsError::DuplicateVideo`],
/// [`EventsError::Budget`], [`EventsError::NoFrames`], and [`EventsError::NoRate`] if a budget per
/// hour meets a video without times; [`EventsError::Exposure`] if all its frames are at one time.
pub fn calibrate_threshold(
    footage: &[ScoreSequence],
    rules: &Rules,
    budget: Budget,
) -> Result<ThresholdCalibration, EventsError> {
    rules.check()?;
    if !(budget.value().is_finite() && budget.value() > 0.0) {
        return Err(EventsError::Budget {
            value: budget.value(),
        });
    }
    let mut names = HashSet::new();
    for sequence in footage {
        sequence.check()?;
        if !names.insert(sequence.name.as_str()) {
            return Err(EventsError::DuplicateVideo {
                video: sequence.name.clone(),
            });
        }
    }
    let frames: usize = footage.iter().map(ScoreSequence::frames).sum();
    if frames == 0 {
        return Err(EventsError::NoFrames);
    }
    let each: Vec<Option<f64>> = footage.iter().map(|s| s.hours(|_| true)).collect();
    let hours = each.iter().copied().sum::<Option<f64>>();
    let exposure = match (budget, hours) {
        (Budget::PerThousandFrames(_), _) => frames as f64 / 1000.0,
        (Budget::PerHour(_), Some(hours)) => hours,
        (Budget::PerHour(_), None) => {
            let timeless = footage.iter().zip(&each).find(|(_, hours)| hours.is_none());
            let video = timeless.map_or_else(String::new, |(s, _)| s.name.clone());
            return Err(EventsError::NoRate { video });
        }
    };
    if !(exposure.is_finite() && exposure > 0.0) {
        return Err(EventsError::Exposure { value: exposure });
    }
    let expected = budget.value() * exposure;
    // Whole hours and budgets give whole numbers but for rounding.
    let allowed = (expected * (1.0 + 1e-12)).floor() as usize;
    let mut levels = Levels::new(footage, rules);
    let (threshold, basis) = if allowed > 0 {
        match levels.smallest(allowed) {
            level if level.at_floor => (level.threshold, Basis::Floor),
            level => (level.threshold, Basis::Counted),
        }
    } else {
        beyond(&mut levels, expected)
    };
    let (events, in_events) = levels.count(rules, threshold);
    Ok(ThresholdCalibration {
        threshold,
        basis,
        budget,
        rules: *rules,
        frames,
        hours,
        allowed,
        events,
        rate: poisson_rate(events, exposure)?,
        alarm_share: in_events as f64 / frames as f64,
        needed: 1.0 / budget.value(),
    })
}

/// The threshold at which less than one event is expected in the footage.
fn beyond(levels: &mut Levels, expected: f64) -> (f64, Basis) {
    let none = levels.smallest(0).threshold;
    // levels[k]: the smallest threshold with at most k events, down to where events end.
    let mut tail = Vec::new();
    for events in 0..=FIT_MOST {
        let level = levels.smallest(events);
        tail.push(level.threshold);
        if level.at_floor {
            break;
        }
    }
    let events = tail.len() - 1;
    let from = tail[events];
    let scale = tail[..events].iter().map(|level| level - from).sum::<f64>() / events as f64;
    if events < FIT_FEWEST || scale <= 0.0 {
        return (none, Basis::NoEvent);
    }
    let threshold = from + scale * (events as f64 / expected.max(f64::MIN_POSITIVE)).ln();
    (
        threshold.max(none),
        Basis::Extrapolated {
            events,
            from,
            scale,
        },
    )
}
