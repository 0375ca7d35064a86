//! What training steps leave in the run folder.

use std::ops::ControlFlow;

use camino::Utf8PathBuf;
use msn_train::{StepReport, TrainEvent};

use crate::{
    Notice, Observer, RunError, Work, checkpoints::CheckpointWriter, strip::Strip, tables::Tables,
};

/// Why a training ends before its last step.
pub(crate) enum Stop {
    /// Somebody asked for it, and the training is saved.
    Requested,
    /// What it leaves can't be written.
    Failed(Box<RunError>),
}

/// Writes tables, strips and checkpoints, and passes on what an observer wants to hear.
pub(crate) struct Recorder<'a> {
    pub tables: Tables,
    pub strip: Option<Strip>,
    pub checkpoints: CheckpointWriter<'a>,
    pub observer: &'a mut dyn Observer,
    /// Pools that were warned about.
    pub warned: Vec<usize>,
    /// Share of the training time that went into waiting for clips.
    pub waiting: Option<f64>,
    /// The state of a training that diverged.
    pub diverged: Option<Utf8PathBuf>,
}

impl<'a> Recorder<'a> {
    pub fn new(
        tables: Tables,
        strip: Option<Strip>,
        checkpoints: CheckpointWriter<'a>,
        observer: &'a mut dyn Observer,
    ) -> Self {
        Self {
            tables,
            strip,
            checkpoints,
            observer,
            warned: Vec::new(),
            waiting: None,
            diverged: None,
        }
    }

    fn record(&mut self, event: TrainEvent<'_>) -> Result<(), RunError> {
        match event {
            TrainEvent::Step(report, engine, progress) => {
                self.tables.step(report)?;
                self.waiting = Some(report.waiting());
                // Saved before anything is said.
                if self.checkpoints.is_due(report) {
                    self.tables.flush()?;
                    self.checkpoints.save(engine, progress)?;
                }
                self.warn(report);
                self.observer.step(report);
            }
            TrainEvent::Epoch(report, predictor) => {
                self.tables.epoch(report)?;
                self.observer.epoch(report);
                if let Some(strip) = &self.strip {
                    strip.draw(report.epoch, predictor)?;
                }
            }
            TrainEvent::Diverged(_, engine, progress) => {
                self.tables.flush()?;
                self.diverged = Some(self.checkpoints.save_diverged(engine, progress)?);
            }
            TrainEvent::Statistics { done, frames } => {
                self.observer
                    .progress(&Work::Statistics, done, Some(frames));
            }
        }
        Ok(())
    }

    /// Says once of each pool that it has collapsed.
    fn warn(&mut self, report: &StepReport) {
        for (pool, health) in &report.numbers.health {
            if let Some(warning) = health.warning()
                && !self.warned.contains(pool)
            {
                self.warned.push(*pool);
                self.observer.notice(&Notice::Pool {
                    pool: *pool,
                    warning: warning.to_string(),
                    step: report.step,
                });
            }
        }
    }
}

impl msn_train::TrainObserver<Stop> for Recorder<'_> {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<Stop> {
        if let Err(error) = self.record(event) {
            return ControlFlow::Break(Stop::Failed(Box::new(error)));
        }
        match event {
            TrainEvent::Step(report, ..) if report.stop => ControlFlow::Break(Stop::Requested),
            _ => ControlFlow::Continue(()),
        }
    }

    fn stop_requested(&self) -> bool {
        self.observer.stop_requested()
    }
}

/// Follows a training whose run folder rank 0 writes.
pub(crate) struct Follower<'a>(pub &'a mut dyn Observer);

impl msn_train::TrainObserver<Stop> for Follower<'_> {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<Stop> {
        match event {
            TrainEvent::Step(report, ..) if report.stop => ControlFlow::Break(Stop::Requested),
            _ => ControlFlow::Continue(()),
        }
    }

    fn stop_requested(&self) -> bool {
        self.0.stop_requested()
    }
}

/// Follows batch-norm statistics that nobody stops.
pub(crate) struct Statistics<'a>(pub &'a mut dyn Observer);

impl msn_train::TrainObserver<Stop> for Statistics<'_> {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<Stop> {
        if let TrainEvent::Statistics { done, frames } = event {
            self.0.progress(&Work::Statistics, done, Some(frames));
        }
        ControlFlow::Continue(())
    }
}
