//! From scores to events: a threshold calibrated on normal footage, causal smoothing, hysteresis,
//! merging and a least length, and how well the events fit labelled spans. Plain numbers, no
//! model: a score per frame from anywhere, higher meaning more anomalous.
//!
//! # Scores
//! A [`ScoreSequence`] is one video: runs of scored frames with unknown frames between them, and a
//! [`Clock`] that says when frames are, if that is known. Unknown is never anomalous: smoothing
//! begins anew after a gap, and no event reaches into or over one.
//!
//! # Events
//! A [`Detector`] takes frames as they come and gives [`Event`]s under [`Rules`]; [`detect`] runs
//! it over a whole video. There is one piece of code for a live source and a file. Raising the
//! threshold never adds a frame to the events, though it can split one event in two.
//!
//! # Threshold
//! [`calibrate_threshold`] finds the smallest threshold that keeps the false alarms on calibration
//! footage within a [`Budget`], by counting events under the very rules that will be used. Footage
//! that is too short for the budget gets an estimate from the tail of its events instead, and the
//! [`ThresholdCalibration`] says so ([`Basis`], [`ThresholdCalibration::caveat`]).
//!
//! # Metrics
//! [`event_metrics`] counts found spans, false alarms, precision, recall, F1, delays, and false
//! alarms per hour with an exact Poisson interval ([`poisson_rate`]).
//!
//! # Example
//! ```
//! use msn_events::{Budget, Clock, Rules, ScoreSequence, calibrate_threshold, detect};
//!
//! # fn main() -> Result<(), msn_events::EventsError> {
//! // An hour of normal footage at one frame a second, with a small bump every ten minutes.
//! let normal: Vec<Option<f64>> =
//!     (0..3600_u32).map(|f| Some(if f % 600 < 8 { 2.0 + f64::from(f) / 1e4 } else { 0.0 })).collect();
//! let footage = ScoreSequence::from_options("normal", &normal, Clock::Hz(1.0))?;
//! let rules = Rules::default();
//! let calibration = calibrate_threshold(&[footage], &rules, Budget::PerHour(1.0))?;
//! assert_eq!((calibration.allowed, calibration.events), (1, 1));
//! assert_eq!(calibration.caveat(), None);
//!
//! // The first four frames and a damaged one have no score.
//! let mut scores = vec![None; 4];
//! scores.extend((4..60_u32).map(|f| Some(if (20..40).contains(&f) { 9.0 } else { 0.0 })));
//! scores[50] = None;
//! let video = ScoreSequence::from_options("door", &scores, Clock::Hz(1.0))?;
//! let events = detect(&video, &rules, calibration.threshold)?;
//! assert_eq!(events.len(), 1);
//! assert!((20..25).contains(&events[0].start) && events[0].end_seconds == Some(events[0].end as f64));
//! # Ok(())
//! # }
//! ```
//!
//! Plain twins of detection are in [`mod@reference`]; tests compare the two.

mod detector;
mod error;
mod levels;
mod metrics;
mod poisson;
pub mod reference;
mod rules;
mod sequence;
mod threshold;

pub use detector::{Detector, DetectorStep, Event, TimedScore, detect};
pub use error::EventsError;
pub use metrics::{Delay, EventMetrics, LabelledEvents, event_metrics};
pub use poisson::{Rate, poisson_rate};
pub use rules::{Rules, Smoothing};
pub use sequence::{Clock, FrameRange, ScoreRun, ScoreSequence};
pub use threshold::{Basis, Budget, ThresholdCalibration, calibrate_threshold};
