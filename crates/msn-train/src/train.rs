//! The training loop.

use std::time::{Duration, Instant};

use msn_data::{Clip, DataError, LoadedVideo, Segment, clips};
use msn_model::ConfigError;
use rand::seq::SliceRandom;

use crate::{
    Engine, Settings, StepNumbers,
    feed::Feed,
    prefetch::prefetch,
    random::{Purpose, generator},
};

/// Threads that cut clips: little work, and a video that is decoded on the fly has one place.
const WORKERS: usize = 1;

/// Frames over which batch-norm statistics are recomputed after training on crops.
const STATISTICS_FRAMES: usize = 500;

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
    /// Clips of the step.
    pub clips: usize,
    /// Time that the steps so far have taken.
    pub elapsed: Duration,
    /// Steps and time of this process alone, which a training that goes on from a checkpoint began
    /// later.
    pub since_start: (usize, Duration),
    /// How much of that time this process waited for clips.
    pub waited: Duration,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub steps: usize,
    /// Time that they took.
    pub elapsed: Duration,
}

/// What a training tells while it runs.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// A step is done; the engine as it stands then.
    Step(&'a StepReport, &'a dyn Engine),
    /// Batch-norm statistics are being recomputed: frames done, frames in all.
    Statistics(usize, usize),
}

/// A training that can't begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The network's settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No video is long enough.
    #[error(
        "no training video has the {needed} unbroken frames that one clip needs: give longer videos, or fewer frames or a smaller stride"
    )]
    NoClips {
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// The loss is no longer a number.
    #[error("the loss is {loss} at step {step} (clips {clips}): a smaller lr helps")]
    Diverged {
        /// The step, from 1.
        step: usize,
        /// The loss.
        loss: f64,
        /// The batch, as `video:first frame`.
        clips: String,
    },
    /// Frames that can't be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Items can't be started from queries.
    #[error("start_items: {0}")]
    Start(#[from] msn_memory::MemoryError),
    /// The engine can't do what was asked of it.
    #[error("{0}")]
    Engine(String),
    /// The caller wants no more.
    #[error("{0}")]
    Stopped(String),
}

/// Trains a network on segments of videos. `watch` is told of every step; an error from it stops
/// the training. The engine holds the result.
///
/// Nothing but the settings' seed and a step's number decides on its clips, crops and learning
/// rate. So a training that goes on from `done`, with the engine restored to what it was then,
/// ends like one that was never interrupted.
///
/// # Errors
/// [`TrainError`].
pub fn train(
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &[Segment],
    engine: &mut dyn Engine,
    done: Progress,
    watch: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<(), TrainError> {
    let (net, t) = (&settings.net, &settings.train);
    let all = clips(segments, net.frames, settings.input.stride);
    if all.is_empty() {
        return Err(TrainError::NoClips {
            needed: net.frames * settings.input.stride + 1,
        });
    }
    let feed = Feed {
        videos,
        net,
        stride: settings.input.stride,
        crop: t.crop,
        flip: t.flip,
        brightness: t.brightness,
        seed: t.seed,
    };
    let batch = t.batch.min(all.len());
    // A last batch that is not full is left out: its batch statistics would be poor.
    let per_epoch = all.len() / batch;
    let steps = per_epoch * t.epochs;
    // The worker keeps the order of the epoch it is in.
    let make = |order: &mut Option<(usize, Vec<Clip>)>, step: usize| {
        let (epoch, i) = (step / per_epoch, step % per_epoch);
        if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *order = Some((epoch, feed.order(&all, epoch)));
        }
        let chosen = order.as_ref().map(|(_, all)| &all[i * batch..][..batch]);
        let chosen = chosen.unwrap_or_default().to_vec();
        (feed.batch(&chosen, epoch), chosen)
    };
    let began = Instant::now();
    prefetch(WORKERS, done.steps..steps, &make, |batches| {
        for step in done.steps..steps {
            let Some((clips, chosen)) = batches.next() else {
                break;
            };
            let lr = cosine(t.lr, step, steps);
            let numbers = engine.step(clips?, lr)?;
            let report = StepReport {
                step: step + 1,
                steps,
                epoch: step / per_epoch + 1,
                epochs: t.epochs,
                numbers,
                lr,
                clips: chosen.len(),
                elapsed: done.elapsed + began.elapsed(),
                since_start: (step + 1 - done.steps, began.elapsed()),
                waited: batches.waited,
            };
            if !report.numbers.loss.is_finite() {
                return Err(diverged(&report, &chosen, videos));
            }
            watch(Event::Step(&report, engine)).map_err(TrainError::Stopped)?;
        }
        Ok(())
    })?;
    if t.crop > 0 {
        let plain = Feed {
            crop: 0,
            flip: false,
            brightness: 0.0,
            ..feed
        };
        recompute_statistics(&plain, &all, batch, engine, watch)?;
    }
    Ok(())
}

/// Plain averages of what each batch norm sees on whole frames, all weights frozen.
fn recompute_statistics(
    feed: &Feed<'_>,
    all: &[Clip],
    batch: usize,
    engine: &mut dyn Engine,
    watch: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<(), TrainError> {
    let mut chosen = all.to_vec();
    chosen.shuffle(&mut generator(feed.seed, Purpose::Statistics, 0));
    chosen.truncate(STATISTICS_FRAMES);
    let batches = chosen.chunks_exact(batch.min(chosen.len()));
    let whole = chosen.len() - batches.remainder().len();
    let mut done = 0;
    for (i, clips) in batches.enumerate() {
        engine.statistics(feed.batch(clips, 0)?, 1.0 / count(i + 1))?;
        done += clips.len();
        watch(Event::Statistics(done, whole)).map_err(TrainError::Stopped)?;
    }
    Ok(())
}

/// From `lr` at step 0 to 0 after the last.
fn cosine(lr: f64, step: usize, steps: usize) -> f64 {
    let part = count(step) / count(steps);
    lr / 2.0 * (1.0 + (std::f64::consts::PI * part).cos())
}

fn diverged(report: &StepReport, clips: &[Clip], videos: &[LoadedVideo]) -> TrainError {
    let name = |c: &Clip| format!("{}:{}", videos[c.video].name, c.first);
    let clips = clips.iter().map(name).collect::<Vec<_>>().join(" ");
    TrainError::Diverged {
        step: report.step,
        loss: report.numbers.loss,
        clips,
    }
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Steps a second and what is left at that pace.
impl StepReport {
    /// Frames (clips) a second since this process began.
    pub fn frames_per_second(&self) -> f64 {
        let (steps, time) = self.since_start;
        count(steps * self.clips) / time.as_secs_f64().max(1e-9)
    }

    /// Share of this process' training time that went into waiting for clips, 0..=1.
    pub fn waiting(&self) -> f64 {
        self.waited.as_secs_f64() / self.since_start.1.as_secs_f64().max(1e-9)
    }

    /// Time that the remaining steps take at the pace so far.
    pub fn left(&self) -> Duration {
        let left = count(self.steps.saturating_sub(self.step));
        let (steps, time) = self.since_start;
        time.mul_f64(left / count(steps.max(1)))
    }

    /// Header of `metrics.csv` for these pools.
    pub fn csv_header(pools: &[usize]) -> String {
        let mut header =
            "step,epoch,seconds,lr,loss,prediction,compactness,separateness,information".to_owned();
        for p in pools {
            header += &format!(",usage_entropy.{p},dead_items.{p},largest_cosine.{p}");
        }
        header
    }

    /// One line of `metrics.csv`.
    pub fn csv_line(&self) -> String {
        let n = &self.numbers;
        let mut line = format!(
            "{},{},{:.3},{:e},{},{},{},{},{}",
            self.step,
            self.epoch,
            self.elapsed.as_secs_f64(),
            self.lr,
            n.loss,
            n.prediction,
            n.compactness,
            n.separateness,
            n.information
        );
        for (_, h) in &n.health {
            line += &format!(",{},{},{}", h.usage_entropy, h.dead_items, h.largest_cosine);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_falls_from_lr_to_0() {
        assert_eq!(cosine(0.5, 0, 10), 0.5);
        assert!((cosine(0.5, 5, 10) - 0.25).abs() < 1e-12);
        assert!(cosine(0.5, 10, 10).abs() < 1e-12);
    }

    #[test]
    fn generators_of_purposes_differ() {
        use rand::RngExt;
        let draw = |p, i| generator(3, p, i).random::<u64>();
        assert_ne!(draw(Purpose::Order, 0), draw(Purpose::Crop, 0));
        assert_ne!(draw(Purpose::Order, 0), draw(Purpose::Order, 1));
        assert_eq!(draw(Purpose::Order, 1), draw(Purpose::Order, 1));
    }
}
