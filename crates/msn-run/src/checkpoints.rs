//! Checkpoints of a run: when they are written, and what a training goes on from.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use camino::{Utf8Path, Utf8PathBuf};
use msn_train::{Checkpoint, Engine, Progress, Settings, StepReport};

use crate::{Notice, Observer, RunError, RunFolder};

/// When checkpoints are written, apart from the last step and a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSchedule {
    /// Time between two.
    pub every: Duration,
    /// Steps between two.
    pub every_steps: Option<NonZeroUsize>,
}

impl Default for CheckpointSchedule {
    /// Every five minutes.
    fn default() -> Self {
        Self {
            every: Duration::from_secs(300),
            every_steps: None,
        }
    }
}

/// Takes up the newest checkpoint of a run; how far it is.
pub(crate) fn restore(
    engine: &mut dyn Engine,
    run: &RunFolder,
    settings: &Settings,
    data_hash: &str,
    observer: &mut dyn Observer,
) -> Result<Progress, RunError> {
    let Some(newest) = Checkpoint::newest(&run.checkpoints())? else {
        observer.notice(&Notice::NoCheckpoint(run.path().to_owned()));
        return Ok(Progress::default());
    };
    for damaged in newest.damaged {
        observer.notice(&Notice::DamagedCheckpoint(damaged));
    }
    let (path, checkpoint) = (newest.path, newest.checkpoint);
    if checkpoint.settings != *settings {
        return Err(RunError::CheckpointSettings { path });
    }
    if checkpoint.data_hash != data_hash {
        return Err(RunError::CheckpointFrames { path });
    }
    engine.restore(checkpoint.state)?;
    observer.notice(&Notice::Resumed(checkpoint.progress.steps));
    Ok(checkpoint.progress)
}

/// Writes checkpoints as scheduled.
pub(crate) struct CheckpointWriter<'a> {
    folder: &'a Utf8Path,
    settings: &'a Settings,
    data_hash: &'a str,
    schedule: CheckpointSchedule,
    latest: Instant,
}

impl<'a> CheckpointWriter<'a> {
    pub fn new(
        run: &'a RunFolder,
        settings: &'a Settings,
        data_hash: &'a str,
        schedule: CheckpointSchedule,
    ) -> Self {
        Self {
            folder: run.path(),
            settings,
            data_hash,
            schedule,
            latest: Instant::now(),
        }
    }

    pub fn is_due(&self, report: &StepReport) -> bool {
        let in_steps = |n: NonZeroUsize| report.step.is_multiple_of(n.get());
        report.is_last
            || report.stop
            || self.latest.elapsed() >= self.schedule.every
            || self.schedule.every_steps.is_some_and(in_steps)
    }

    pub fn save(&mut self, engine: &dyn Engine, progress: &Progress) -> Result<(), RunError> {
        self.write("checkpoints", engine, progress)?;
        self.latest = Instant::now();
        Ok(())
    }

    /// Saves a state that must not be gone on from, for a look at it.
    pub fn save_diverged(
        &self,
        engine: &dyn Engine,
        progress: &Progress,
    ) -> Result<Utf8PathBuf, RunError> {
        self.write("diverged", engine, progress)
    }

    fn write(
        &self,
        to: &str,
        engine: &dyn Engine,
        progress: &Progress,
    ) -> Result<Utf8PathBuf, RunError> {
        let checkpoint = Checkpoint {
            settings: self.settings.clone(),
            data_hash: self.data_hash.to_owned(),
            progress: progress.clone(),
            state: engine.state(),
        };
        Ok(checkpoint.write(&self.folder.join(to))?)
    }
}
