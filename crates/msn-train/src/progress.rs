//! How far a training is.

use std::time::Duration;

use msn_model::Tensors;

use crate::{Best, TrainSettings};

/// How far a training is: what a checkpoint keeps beside the engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub steps: usize,
    /// Time that they took.
    pub elapsed: Duration,
    /// Steps in all, where a limit in hours made them fewer than the epochs want.
    pub planned: Option<usize>,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// The running average of the network, where one is kept.
    pub average: Option<Tensors>,
}

impl Progress {
    /// Moves the running average of the network; items keep their unit length.
    pub(crate) fn average(&mut self, ema: f64, tensors: Tensors) {
        let Some(average) = &mut self.average else {
            self.average = Some(tensors);
            return;
        };
        // Sooner after the start more of the network is new.
        let n = self.steps as f64;
        let keep = ema.min((1.0 + n) / (10.0 + n)) as f32;
        for ((name, old), new) in average.iter_mut().zip(tensors.values()) {
            for (old, new) in old.values.iter_mut().zip(&new.values) {
                *old = keep * *old + (1.0 - keep) * new;
            }
            if let ([_, features], true) = (&old.shape[..], name.ends_with(".items")) {
                for item in old.values.chunks_exact_mut(*features) {
                    let length = item.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-12);
                    item.iter_mut().for_each(|v| *v /= length);
                }
            }
        }
    }

    /// Whether no step is left: all are done, or the validation loss has not fallen for as many
    /// epochs as patience has.
    pub(crate) fn is_over(&self, t: &TrainSettings, per_epoch: usize, steps: usize) -> bool {
        let waited = |best: &Best| (self.steps / per_epoch).saturating_sub(best.epoch);
        let at_end = self.steps.is_multiple_of(per_epoch);
        let stale = self.best.as_ref().is_some_and(|b| waited(b) >= t.patience);
        self.steps >= self.planned.unwrap_or(steps) || (t.patience > 0 && at_end && stale)
    }
}
