//! What a training reports of its steps, and who hears it.

use std::{ops::ControlFlow, time::Duration};

use msn_model::Predictor;

use crate::{Engine, EpochReport, Progress, StepNumbers};

/// What happens in a training.
#[derive(Clone, Copy)]
pub enum TrainEvent<'a> {
    /// An epoch is done, and its last step with it, whose event follows; the network as it would be
    /// used.
    Epoch(&'a EpochReport, &'a dyn Predictor),
    /// A step is done; the engine and the progress as they stand then.
    Step(&'a StepReport, &'a dyn Engine, &'a Progress),
    /// The loss of a step is not finite or absurdly large; the training ends with
    /// [`crate::TrainError::Diverged`].
    Diverged(&'a StepReport, &'a dyn Engine, &'a Progress),
    /// Batch-norm statistics are being recomputed on whole frames.
    Statistics {
        /// Frames so far.
        done: usize,
        /// Frames in all.
        frames: usize,
    },
}

/// Follows a training, and may end it with a reason `B`.
///
/// A closure from [`TrainEvent`] to [`ControlFlow`] is one that nobody asks to stop.
pub trait TrainObserver<B> {
    /// Hears of an event. A break ends the training after it: where there are several ranks, it must
    /// come on all of them, as it does where [`StepReport::stop`] is its reason.
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<B>;

    /// Whether this process was asked, by a signal perhaps, to stop after the present step. Where one
    /// rank was, all have [`StepReport::stop`] for the same step.
    fn stop_requested(&self) -> bool {
        false
    }
}

impl<B, F: FnMut(TrainEvent<'_>) -> ControlFlow<B>> TrainObserver<B> for F {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<B> {
        self(event)
    }
}

/// One training step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// Steps done, from 1.
    pub step: usize,
    /// Steps of the whole training.
    pub steps: usize,
    /// The epoch, from 1.
    pub epoch: usize,
    /// Epochs of the whole training.
    pub epochs: usize,
    /// Losses and the pools' health.
    pub numbers: StepNumbers,
    /// Learning rate of the step.
    pub lr: f64,
    /// Clips of the step, on all ranks together.
    pub clips: usize,
    /// Time that the steps so far have taken.
    pub elapsed: Duration,
    /// Steps and time of this process alone, which a training that goes on from a checkpoint began
    /// later.
    pub since_start: (usize, Duration),
    /// How much of that time this process waited for clips.
    pub waited: Duration,
    /// Whether no step follows.
    pub is_last: bool,
    /// Whether a rank was asked to stop after this step.
    pub stop: bool,
}

impl StepReport {
    /// Frames (clips) a second since this process began.
    pub fn frames_per_second(&self) -> f64 {
        let (steps, time) = self.since_start;
        (steps * self.clips) as f64 / time.as_secs_f64().max(1e-9)
    }

    /// Share of this process' training time that went into waiting for clips, 0..=1.
    pub fn waiting(&self) -> f64 {
        self.waited.as_secs_f64() / self.since_start.1.as_secs_f64().max(1e-9)
    }

    /// Time that the remaining steps take at the pace so far.
    pub fn left(&self) -> Duration {
        let left = self.steps.saturating_sub(self.step) as f64;
        let (steps, time) = self.since_start;
        time.mul_f64(left / steps.max(1) as f64)
    }

    /// Columns of `metrics.csv` for these pools.
    pub fn columns(pools: &[usize]) -> Vec<String> {
        let fixed = [
            "step",
            "epoch",
            "seconds",
            "lr",
            "loss",
            "prediction",
            "compactness",
            "separateness",
            "information",
        ];
        let mut columns = fixed.map(str::to_owned).to_vec();
        for pool in pools {
            let of_pool = ["usage_entropy", "dead_items", "largest_cosine"];
            columns.extend(of_pool.map(|name| format!("{name}.{pool}")));
        }
        columns
    }

    /// This step's values of [`StepReport::columns`].
    pub fn row(&self) -> Vec<String> {
        let n = &self.numbers;
        let mut row = vec![
            self.step.to_string(),
            self.epoch.to_string(),
            format!("{:.3}", self.elapsed.as_secs_f64()),
            format!("{:e}", self.lr),
        ];
        let losses = [
            n.loss,
            n.prediction,
            n.compactness,
            n.separateness,
            n.information,
        ];
        row.extend(losses.map(|v| v.to_string()));
        for (_, h) in &n.health {
            row.push(h.usage_entropy.to_string());
            row.push(h.dead_items.to_string());
            row.push(h.largest_cosine.to_string());
        }
        row
    }
}
