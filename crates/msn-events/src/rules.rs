use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::EventsError;

/// Causal smoothing of scores: it looks back only, and begins anew after a gap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Smoothing {
    /// Scores as they are.
    None,
    /// Mean of up to so many latest scores of the run, at least 1; early frames use what there is.
    Mean(usize),
    /// Exponential mean in which a score's weight halves every so many frames, positive.
    HalfLife(f64),
}

/// How scores become events.
///
/// An event begins where the smoothed score is above the threshold, goes on while the score plus
/// `hysteresis` is above it, is joined with the one before if at most `merge_gap` frames lie
/// between, and is dropped if it then has fewer than `min_frames` frames. The defaults are plain
/// choices that no test label has seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Causal smoothing; a mean of 5 by default.
    pub smoothing: Smoothing,
    /// How far below the threshold an event still goes on, in units of the score, 0 or more;
    /// 0.5 by default (the fair score is in robust standard deviations).
    pub hysteresis: f64,
    /// Fewest frames of an event, at least 1; 5 by default.
    pub min_frames: usize,
    /// Most frames between two events that are joined; 25 by default, 0 joins none.
    pub merge_gap: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            smoothing: Smoothing::Mean(5),
            hysteresis: 0.5,
            min_frames: 5,
            merge_gap: 25,
        }
    }
}

impl Rules {
    /// Refuses rules out of range; the functions of this crate call it.
    ///
    /// # Errors
    /// [`EventsError::Rule`] names the rule.
    pub fn check(&self) -> Result<(), EventsError> {
        let refuse = |rule, value, range| Err(EventsError::Rule { rule, value, range });
        match self.smoothing {
            Smoothing::Mean(0) => {
                return refuse("the mean of smoothing", 0.0, "give 1 frame or more");
            }
            Smoothing::HalfLife(frames) if !(frames.is_finite() && frames > 0.0) => {
                return refuse(
                    "the half-life of smoothing",
                    frames,
                    "give a positive number of frames",
                );
            }
            _ => {}
        }
        if !(self.hysteresis.is_finite() && self.hysteresis >= 0.0) {
            return refuse(
                "hysteresis",
                self.hysteresis,
                "give a finite number, 0 or more",
            );
        }
        if self.min_frames == 0 {
            return refuse("min_frames", 0.0, "give 1 frame or more");
        }
        Ok(())
    }

    /// Whether a smoothed score belongs to an event, given whether the frame before it does.
    pub(crate) fn active(&self, smoothed: f64, before: bool, threshold: f64) -> bool {
        smoothed > threshold || (before && smoothed + self.hysteresis > threshold)
    }
}

/// Smooths one run, score by score.
#[derive(Debug, Clone)]
pub(crate) struct Smoother {
    smoothing: Smoothing,
    latest: VecDeque<f64>,
    mean: Option<f64>,
}

impl Smoother {
    pub(crate) fn new(smoothing: Smoothing) -> Self {
        Self {
            smoothing,
            latest: VecDeque::new(),
            mean: None,
        }
    }

    pub(crate) fn push(&mut self, score: f64) -> f64 {
        match self.smoothing {
            Smoothing::None => score,
            Smoothing::Mean(frames) => {
                if self.latest.len() == frames {
                    self.latest.pop_front();
                }
                self.latest.push_back(score);
                // Around the newest score, so that a constant stays one to the bit.
                let away: f64 = self.latest.iter().map(|old| old - score).sum();
                score + away / self.latest.len() as f64
            }
            Smoothing::HalfLife(frames) => {
                let keep = (-1.0 / frames).exp2();
                let mean = self
                    .mean
                    .map_or(score, |mean| score + keep * (mean - score));
                self.mean = Some(mean);
                mean
            }
        }
    }

    /// Smooths the scores of a whole run.
    pub(crate) fn run(smoothing: Smoothing, scores: &[f64]) -> Vec<f64> {
        let mut smoother = Self::new(smoothing);
        scores.iter().map(|&score| smoother.push(score)).collect()
    }
}
