//! Batch-norm statistics on whole frames, after a training on crops.

use std::ops::ControlFlow;

use msn_data::{LoadedVideo, Split, clips};
use rand::seq::SliceRandom;

use crate::{
    Engine, Feed, Settings, TrainError, TrainEvent, TrainObserver,
    random::{Purpose, generator},
};

/// Frames over which they are recomputed.
const FRAMES: usize = 500;

/// Brings batch-norm statistics from crops to whole frames, as plain averages of what each norm sees
/// there, all weights frozen; nothing where the training was on whole frames. The engine does it
/// alone, whichever ranks it trained with.
///
/// # Errors
/// [`TrainError`].
pub fn finish<B>(
    settings: &Settings,
    videos: &[LoadedVideo],
    segments: &Split,
    engine: &mut dyn Engine,
    observer: &mut dyn TrainObserver<B>,
) -> Result<ControlFlow<B>, TrainError> {
    if settings.train.crop == 0 {
        return Ok(ControlFlow::Continue(()));
    }
    let feed = Feed::whole_frames(settings, videos);
    let all = clips(&segments.train, feed.net.frames, feed.stride);
    let batch = settings.train.batch.min(all.len());
    let mut chosen = all;
    chosen.shuffle(&mut generator(feed.seed, Purpose::Statistics, 0));
    chosen.truncate(FRAMES);
    let batches = chosen.chunks_exact(batch.min(chosen.len()));
    let frames = chosen.len() - batches.remainder().len();
    let mut done = 0;
    for (i, clips) in batches.enumerate() {
        engine.statistics(feed.batch(clips, 0)?, 1.0 / (i + 1) as f64)?;
        done += clips.len();
        let flow = observer.observe(TrainEvent::Statistics { done, frames });
        if flow.is_break() {
            return Ok(flow);
        }
    }
    Ok(ControlFlow::Continue(()))
}
