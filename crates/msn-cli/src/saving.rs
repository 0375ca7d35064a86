//! Checkpoints of a run folder: when they are written, and what a training goes on from.

use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_train::{Checkpoint, Engine, Progress, Settings, StepReport};

use crate::args::TrainArgs;

/// Takes up the newest checkpoint of a run folder; how far it is.
pub(crate) fn restore(
    engine: &mut dyn Engine,
    folder: &Utf8Path,
    settings: &Settings,
    data_hash: &str,
) -> Result<Progress> {
    let Some(newest) = Checkpoint::newest(&folder.join("checkpoints"))? else {
        eprintln!("{folder} has no checkpoint yet: beginning at the first step");
        return Ok(Progress::default());
    };
    for damaged in &newest.damaged {
        eprintln!("warning: {damaged}; taking an earlier one");
    }
    let (path, checkpoint) = (newest.path, newest.checkpoint);
    if checkpoint.settings != *settings {
        return Err(anyhow!(
            "{path} is of other settings: give those of {folder}/config.toml"
        ));
    }
    if checkpoint.data_hash != data_hash {
        return Err(anyhow!(
            "{path} is of other training frames: the data set has changed since"
        ));
    }
    engine.restore(checkpoint.state)?;
    eprintln!("going on after step {}", checkpoint.progress.steps);
    Ok(checkpoint.progress)
}

/// Writes checkpoints in time.
pub(crate) struct Keeper<'a> {
    run: &'a Utf8Path,
    settings: &'a Settings,
    data_hash: &'a str,
    every_steps: Option<NonZeroUsize>,
    every: Duration,
    latest: Instant,
}

impl<'a> Keeper<'a> {
    pub fn new(
        run: &'a Utf8Path,
        settings: &'a Settings,
        data_hash: &'a str,
        args: &TrainArgs,
    ) -> Self {
        Self {
            run,
            settings,
            data_hash,
            every_steps: args.checkpoint_steps,
            every: Duration::from_secs_f64(args.checkpoint_minutes * 60.0),
            latest: Instant::now(),
        }
    }

    pub fn is_due(&self, report: &StepReport) -> bool {
        let in_steps = |n: NonZeroUsize| report.step.is_multiple_of(n.get());
        report.is_last
            || self.latest.elapsed() >= self.every
            || self.every_steps.is_some_and(in_steps)
    }

    pub fn save(&mut self, engine: &dyn Engine, progress: &Progress) -> Result<()> {
        self.write("checkpoints", engine, progress)?;
        self.latest = Instant::now();
        Ok(())
    }

    /// Saves a state that must not be gone on from, for a look at it.
    pub fn save_diverged(&self, engine: &dyn Engine, progress: &Progress) -> Result<Utf8PathBuf> {
        self.write("diverged", engine, progress)
    }

    fn write(&self, to: &str, engine: &dyn Engine, progress: &Progress) -> Result<Utf8PathBuf> {
        let checkpoint = Checkpoint {
            settings: self.settings.clone(),
            data_hash: self.data_hash.to_owned(),
            progress: progress.clone(),
            state: engine.state(),
        };
        Ok(checkpoint.write(&self.run.join(to))?)
    }
}
