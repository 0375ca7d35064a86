//! The training loop.

use std::{ops::ControlFlow, time::Instant};

use msn_data::{Clip, DataError, LoadedVideo, Split, clips, data_hash};
use msn_model::Clips;

use crate::{
    Engine, Feed, Progress, Settings, StepNumbers, StepReport, TrainError, TrainEvent,
    TrainObserver,
    budget::Budget,
    prefetch::{Prefetched, prefetch},
    ranks,
    schedule::cosine,
    validation::Validation,
};

/// Threads that cut clips: little work, and a video that is decoded on the fly has one place.
const WORKERS: usize = 1;

/// A loss that no network comes back from: predictions and items are bounded.
const EXPLODED: f64 = 1e4;

/// A batch's part of this rank, and the clips of the whole batch.
type Batch = (Result<Clips, DataError>, Vec<Clip>);

/// Trains a network on segments of videos; the engine holds the result, with `ema` the averaged
/// network; where the training was on crops, [`crate::finish`] it. `observer` hears of every step,
/// and what it breaks with is handed back.
///
/// Nothing but the settings' seed and a step's number decides on its clips, crops and learning
/// rate. So a training that goes on from `done`, with the engine restored to what it was then,
/// ends like one that was never interrupted. With a limit in hours the pace of the first steps
/// decides how many there are; `done` keeps that too.
///
/// After each epoch the loss on validation clips is measured. The best network is kept in the
/// progress that is returned; with `patience` the training ends where it did not improve for so
/// many epochs.
///
/// Where the engine shares its batches with other ranks ([`Engine::collective`]), all ranks call
/// this with the same settings and data; the engine's state and `done` are rank 0's, whatever the
/// others give. Every batch is split evenly over ranks, so a training goes on with another number of
/// them. Rank 0 measures, plans and keeps the time; the observers of all hear the same.
///
/// # Errors
/// [`TrainError`], also where ranks differ in what they must share. One that not all ranks have
/// leaves the others waiting: the process should end, and with it all of them.
pub fn train<B>(
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &Split,
    engine: &mut dyn Engine,
    done: Progress,
    observer: &mut dyn TrainObserver<B>,
) -> Result<ControlFlow<B, Progress>, TrainError> {
    let t = &settings.train;
    let feed = Feed::new(settings, videos);
    let all = clips(&segments.train, feed.net.frames, feed.stride);
    let collective = engine.collective();
    let (rank, world_size) = (collective.rank(), collective.world_size());
    if world_size > 1 {
        ranks::same_settings(collective.as_ref(), settings)?;
        ranks::same_footage(collective.as_ref(), &data_hash(videos)?, segments)?;
    }
    if all.is_empty() {
        return Err(TrainError::NoClips {
            needed: feed.net.frames * feed.stride + 1,
        });
    }
    let batch = t.batch.min(all.len());
    if let Some(error) = TrainError::uneven(batch, world_size) {
        return Err(error);
    }
    let share = batch / world_size;
    let own = rank * share..(rank + 1) * share;
    let mut progress = ranks::begin(engine, done)?;
    let parts = t.accumulate.min(all.len() / batch);
    let validation = Validation::new(&feed, &segments.calibration, batch);
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
    let (first, before) = (progress.steps, progress.elapsed);
    let began = Instant::now();
    let mut budget = Budget::new(t.hours);
    let ended = prefetch(WORKERS, first * parts..steps * parts, &make, |batches| {
        while !progress.is_over(t, per_epoch, steps) {
            let step = progress.steps;
            let lr = cosine(t.lr, step, progress.planned.unwrap_or(steps));
            let Some((numbers, chosen)) = accumulated_step(engine, batches, parts, lr)? else {
                break;
            };
            progress.steps = step + 1;
            if t.ema > 0.0 {
                progress.average(t.ema, engine.tensors());
            }
            progress.elapsed = before + began.elapsed();
            budget.plan(&mut progress, steps);
            let requested = observer.stop_requested();
            let stop = ranks::agree(collective.as_ref(), &mut progress, requested);
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
                let flow = observer.observe(TrainEvent::Diverged(&report, engine, &progress));
                return match flow {
                    ControlFlow::Break(reason) => Ok(ControlFlow::Break(reason)),
                    ControlFlow::Continue(()) => Err(diverged(&report, &chosen, videos)),
                };
            }
            if report.step.is_multiple_of(per_epoch) || report.step == planned {
                let (epoch, predictor) = validation.judge(engine, &mut progress, report.epoch)?;
                let flow = observer.observe(TrainEvent::Epoch(&epoch, predictor.as_ref()));
                if let ControlFlow::Break(reason) = flow {
                    return Ok(ControlFlow::Break(reason));
                }
            }
            report.is_last = progress.is_over(t, per_epoch, steps);
            let flow = observer.observe(TrainEvent::Step(&report, engine, &progress));
            if let ControlFlow::Break(reason) = flow {
                return Ok(ControlFlow::Break(reason));
            }
        }
        Ok::<_, TrainError>(ControlFlow::Continue(()))
    })?;
    if let ControlFlow::Break(reason) = ended {
        return Ok(ControlFlow::Break(reason));
    }
    if let Some(average) = &progress.average {
        let mut state = engine.state();
        state.tensors = average.clone();
        engine.restore(state)?;
    }
    Ok(ControlFlow::Continue(progress))
}

/// One step on the mean gradient of some batches: its numbers and clips; `None` where there are no
/// more.
fn accumulated_step(
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

fn diverged(report: &StepReport, clips: &[Clip], videos: &[LoadedVideo]) -> TrainError {
    let name = |c: &Clip| format!("{}:{}", videos[c.video].name, c.first);
    let clips = clips.iter().map(name).collect::<Vec<_>>().join(" ");
    TrainError::Diverged {
        step: report.step,
        loss: report.numbers.loss,
        clips,
    }
}
