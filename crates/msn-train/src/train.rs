//! The training loop.

use std::time::{Duration, Instant};

use msn_data::{Clip, DataError, LoadedVideo, Split, clips};
use msn_model::{Clips, ConfigError, Predictor, Tensors};
use rand::seq::SliceRandom;

use crate::{
    Best, Engine, EpochReport, Link, Node, Settings, StepNumbers, TrainSettings,
    budget::Budget,
    feed::{Feed, index},
    held_out::HeldOut,
    prefetch::{Prefetched, prefetch},
    random::{Purpose, generator},
};

/// Threads that cut clips: little work, and a video that is decoded on the fly has one place.
const WORKERS: usize = 1;

/// Frames over which batch-norm statistics are recomputed after training on crops.
const STATISTICS_FRAMES: usize = 500;

/// A loss that no network comes back from: predictions and items are bounded.
const EXPLODED: f64 = 1e4;

/// A batch and the clips that it is made of.
type Batch = (Result<Clips, DataError>, Vec<Clip>);

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
    /// Whether no step follows.
    pub is_last: bool,
    /// Whether this node or another was asked to stop after this step.
    pub stop: bool,
}

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
    fn average(&mut self, ema: f64, tensors: Tensors) {
        let Some(average) = &mut self.average else {
            self.average = Some(tensors);
            return;
        };
        // Sooner after the start more of the network is new.
        let n = count(self.steps);
        #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
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
}

/// What a training tells while it runs.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// An epoch is done, and its last step with it, which is told of next; the network as it would
    /// be used.
    Epoch(&'a EpochReport, &'a dyn Predictor),
    /// A step is done; the engine and the progress as they stand then.
    Step(&'a StepReport, &'a dyn Engine, &'a Progress),
    /// A step that gave a loss which is no number or absurdly large; the training ends with
    /// [`TrainError::Diverged`].
    Diverged(&'a StepReport, &'a dyn Engine, &'a Progress),
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
    #[error("the loss is {loss} at step {step} (clips {clips}): a smaller lr or clip_norm=1 helps")]
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
/// the training. The engine holds the result, with `ema` the averaged network; where the training
/// was on crops, [`finish`] it.
///
/// Nothing but the settings' seed and a step's number decides on its clips, crops and learning
/// rate. So a training that goes on from `done`, with the engine restored to what it was then,
/// ends like one that was never interrupted. With a limit in hours the pace of the first steps
/// decides how many there are; `done` keeps that too.
///
/// After each epoch the loss on held-out clips is measured. The best network is kept in the
/// progress that is returned; with `patience` the training ends where it did not improve for so
/// many epochs.
///
/// # Errors
/// [`TrainError`].
pub fn train(
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &Split,
    engine: &mut dyn Engine,
    done: Progress,
    watch: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<Progress, TrainError> {
    let place = Place {
        node: None,
        stop: &|| false,
    };
    train_at(&place, settings, videos, segments, engine, done, watch)
}

/// Where a training runs and who may stop it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// This process among others that train the same network; `None` where it is the only one.
    pub node: Option<&'a Node>,
    /// Whether somebody asked this process to stop after the step. Where there are several, all
    /// stop after the same step.
    pub stop: &'a dyn Fn() -> bool,
}

/// [`train`] as one of several nodes. All call it with the same settings, data and progress; the
/// engine's [`crate::Member`] has the node for its link. Every batch is split evenly over the
/// devices of all nodes, so a training goes on with another number of them. Node 0 measures, plans
/// and keeps the time; the watchers of all are told the same.
///
/// # Errors
/// [`TrainError`], also where a node is lost or no longer has the network of the others.
pub fn train_at(
    place: &Place<'_>,
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &Split,
    engine: &mut dyn Engine,
    done: Progress,
    watch: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<Progress, TrainError> {
    let t = &settings.train;
    let feed = feed(settings, videos);
    let all = clips(&segments.train, feed.net.frames, feed.stride);
    if all.is_empty() {
        return Err(TrainError::NoClips {
            needed: feed.net.frames * feed.stride + 1,
        });
    }
    let batch = t.batch.min(all.len());
    let parts = t.accumulate.min(all.len() / batch);
    let own = match place.node {
        None => 0..batch,
        Some(node) => node.part(batch).ok_or_else(|| uneven(node, batch))?,
    };
    let held_out = HeldOut::new(&feed, &segments.calibration, batch);
    // A last batch that is not full is left out: its batch statistics would be poor.
    let per_epoch = all.len() / (batch * parts);
    let steps = per_epoch * t.epochs;
    // The worker keeps the order of the epoch it is in.
    let make = |order: &mut Option<(usize, Vec<Clip>)>, part: usize| {
        let (epoch, i) = (part / (per_epoch * parts), part % (per_epoch * parts));
        if order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            *order = Some((epoch, feed.order(&all, epoch)));
        }
        let chosen = order.as_ref().map(|(_, all)| &all[i * batch..][..batch]);
        let chosen = chosen.unwrap_or_default().to_vec();
        (feed.batch(&chosen[own.clone()], epoch), chosen)
    };
    let (first, before) = (done.steps, done.elapsed);
    let mut progress = done;
    let began = Instant::now();
    let mut budget = Budget::new(t.hours);
    prefetch(WORKERS, first * parts..steps * parts, &make, |batches| {
        while !is_over(&progress, t, per_epoch, steps) {
            let step = progress.steps;
            let lr = cosine(t.lr, step, progress.planned.unwrap_or(steps));
            let Some((numbers, chosen)) = joint_step(engine, batches, parts, lr)? else {
                break;
            };
            progress.steps = step + 1;
            if t.ema > 0.0 {
                progress.average(t.ema, engine.tensors());
            }
            progress.elapsed = before + began.elapsed();
            budget.plan(&mut progress, steps);
            let stop = agree(place, &mut progress)?;
            let planned = progress.planned.unwrap_or(steps);
            let mut report = StepReport {
                step: step + 1,
                steps: planned,
                epoch: step / per_epoch + 1,
                epochs: t.epochs,
                numbers,
                lr,
                clips: chosen.len(),
                elapsed: progress.elapsed,
                since_start: (step + 1 - first, began.elapsed()),
                waited: batches.waited,
                is_last: false,
                stop,
            };
            let loss = report.numbers.loss;
            if !loss.is_finite() || loss > EXPLODED {
                watch(Event::Diverged(&report, engine, &progress)).map_err(TrainError::Stopped)?;
                return Err(diverged(&report, &chosen, videos));
            }
            if report.step.is_multiple_of(per_epoch) || report.step == planned {
                let (epoch, predictor) =
                    held_out.judge(place.node, engine, &mut progress, report.epoch)?;
                watch(Event::Epoch(&epoch, predictor.as_ref())).map_err(TrainError::Stopped)?;
            }
            report.is_last = is_over(&progress, t, per_epoch, steps);
            watch(Event::Step(&report, engine, &progress)).map_err(TrainError::Stopped)?;
        }
        Ok(())
    })?;
    if let Some(average) = &progress.average {
        let mut state = engine.state();
        state.tensors = average.clone();
        engine.restore(state)?;
    }
    Ok(progress)
}

/// Node 0's time and plan for all nodes, and whether any was asked to stop.
fn agree(place: &Place<'_>, progress: &mut Progress) -> Result<bool, TrainError> {
    let stop = (place.stop)();
    let Some(node) = place.node else {
        return Ok(stop);
    };
    let nanoseconds = u64::try_from(progress.elapsed.as_nanos()).unwrap_or(u64::MAX);
    let planned = progress.planned.map_or(0, index);
    let all = node.exchange(&[nanoseconds, planned, u64::from(stop)])?;
    progress.elapsed = Duration::from_nanos(all[0][0]);
    let planned = usize::try_from(all[0][1]).unwrap_or(usize::MAX);
    progress.planned = (planned > 0).then_some(planned);
    Ok(all.iter().any(|of| of[2] > 0))
}

fn uneven(node: &Node, batch: usize) -> TrainError {
    let devices = node.devices();
    TrainError::Engine(format!(
        "{batch} clips can't be split evenly over {devices} devices: give a batch that is a multiple of {devices}"
    ))
}

/// One step on the joint gradient of some batches: its numbers and clips; `None` where there are no
/// more.
fn joint_step(
    engine: &mut dyn Engine,
    batches: &mut Prefetched<Batch>,
    parts: usize,
    lr: f64,
) -> Result<Option<(StepNumbers, Vec<Clip>)>, TrainError> {
    let (mut numbers, mut all) = (Vec::new(), Vec::new());
    for part in 1..=parts {
        let Some((clips, chosen)) = batches.next() else {
            return Ok(None);
        };
        all.extend(chosen);
        numbers.push(if part < parts {
            engine.accumulate(clips?)?
        } else {
            engine.step(clips?, lr)?
        });
    }
    Ok(StepNumbers::mean(numbers).map(|numbers| (numbers, all)))
}

/// Whether no step is left: all are done, or held-out clips have not been predicted better for as
/// many epochs as patience has.
fn is_over(progress: &Progress, t: &TrainSettings, per_epoch: usize, steps: usize) -> bool {
    let waited = |best: &Best| (progress.steps / per_epoch).saturating_sub(best.epoch);
    let at_end = progress.steps.is_multiple_of(per_epoch);
    let stale = progress
        .best
        .as_ref()
        .is_some_and(|b| waited(b) >= t.patience);
    progress.steps >= progress.planned.unwrap_or(steps) || (t.patience > 0 && at_end && stale)
}

/// Brings batch-norm statistics from crops to whole frames (METHOD.md, Training), all weights
/// frozen; nothing where the training was on whole frames.
///
/// # Errors
/// [`TrainError`].
pub fn finish(
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &Split,
    engine: &mut dyn Engine,
    watch: &mut dyn FnMut(Event<'_>) -> Result<(), String>,
) -> Result<(), TrainError> {
    if settings.train.crop == 0 {
        return Ok(());
    }
    let plain = Feed {
        crop: 0,
        flip: false,
        brightness: 0.0,
        ..feed(settings, videos)
    };
    let all = clips(&segments.train, plain.net.frames, plain.stride);
    let batch = settings.train.batch.min(all.len());
    recompute_statistics(&plain, &all, batch, engine, watch)
}

fn feed<'a>(settings: &'a Settings, videos: &'a [LoadedVideo]) -> Feed<'a> {
    let t = &settings.train;
    Feed {
        videos,
        net: &settings.net,
        stride: settings.input.stride,
        crop: t.crop,
        flip: t.flip,
        brightness: t.brightness,
        seed: t.seed,
    }
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
pub(crate) fn cosine(lr: f64, step: usize, steps: usize) -> f64 {
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

pub(crate) fn count(n: usize) -> f64 {
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
