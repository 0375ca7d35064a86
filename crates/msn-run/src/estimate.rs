//! What a training would be: its size, and its time as some real steps show it.

use std::time::{Duration, Instant};

use msn_data::{LoadedVideo, clips};
use msn_model::{HostTensor, Tensors};
use msn_train::Feed;

use crate::{Devices, Observer, RunError, TrainRequest, footage::TrainingFootage};

/// Steps by which the time is measured, after a first one that allocates.
const STEPS: u32 = 4;

/// The size of a training, and the time that its steps take.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingEstimate {
    /// Parameters that gradients learn.
    pub learned: usize,
    /// Values in the items of pools.
    pub in_items: usize,
    /// Floating-point operations of one prediction; a multiply-add is two.
    pub operations_per_frame: f64,
    /// Training videos.
    pub videos: usize,
    /// Clips to train on.
    pub clips: usize,
    /// Clips of the calibration split.
    pub calibration_clips: usize,
    /// Clips of a step.
    pub clips_per_step: usize,
    /// Steps of the whole training, without a limit in hours.
    pub steps: usize,
    /// Time of one step.
    pub step: Duration,
    /// Steps that were measured.
    pub measured_steps: u32,
    /// Bytes of decoded training frames in memory.
    pub frame_bytes: u64,
}

impl TrainingEstimate {
    /// Time of all steps.
    pub fn training(&self) -> Duration {
        self.step.mul_f64(self.steps as f64)
    }
}

/// Reads the training videos, does some steps, and says what the whole training would be. Nothing is
/// written.
///
/// # Errors
/// Those of [`crate::train`] before it makes a run folder.
pub fn estimate(
    request: &TrainRequest<'_>,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<TrainingEstimate, RunError> {
    let settings = &request.settings;
    let mut engine = devices.engine(settings).map_err(RunError::Device)?;
    let footage = TrainingFootage::load(request, observer)?;
    let (net, input, t) = (&settings.net, &settings.input, &settings.train);
    let tensors = engine.tensors();
    let learned = |name: &str| !name.contains("running_") && !name.ends_with("items");
    let count = |chosen: &dyn Fn(&str) -> bool| -> usize {
        let chosen = tensors.iter().filter(|(name, _)| chosen(name));
        chosen.map(|(_, t)| t.values.len()).sum()
    };
    let all = clips(&footage.split.train, net.frames, input.stride);
    let batch = t.batch.min(all.len());
    let parts = t.accumulate.min(all.len() / batch);
    let feed = Feed::new(settings, &footage.videos);
    let chosen = &feed.order(&all, 0)[..batch];
    let mut began = Instant::now();
    for step in 0..=STEPS {
        if step == 1 {
            began = Instant::now();
        }
        for _ in 1..parts {
            engine.accumulate(feed.batch(chosen, 0)?)?;
        }
        engine.step(feed.batch(chosen, 0)?, t.lr)?;
    }
    Ok(TrainingEstimate {
        learned: count(&learned),
        in_items: count(&|name| name.ends_with("items")),
        operations_per_frame: operations_per_frame(&tensors, input.height, input.width),
        videos: footage.videos.len(),
        clips: all.len(),
        calibration_clips: clips(&footage.split.calibration, net.frames, input.stride).len(),
        clips_per_step: batch * parts,
        steps: all.len() / (batch * parts) * t.epochs,
        step: began.elapsed() / STEPS,
        measured_steps: STEPS,
        frame_bytes: footage.videos.iter().map(LoadedVideo::memory_bytes).sum(),
    })
}

/// Floating-point operations of one prediction: convolutions, and addressing and reading of pools.
fn operations_per_frame(tensors: &Tensors, height: u32, width: u32) -> f64 {
    let pixels = f64::from(height) * f64::from(width);
    let of = |(name, tensor): (&String, &HostTensor)| {
        // Level 1 has all pixels, each further one a quarter of those before.
        let level = |part: &str| {
            let (_, rest) = name.split_once(part)?;
            Some(i32::from(rest.bytes().next()?.checked_sub(b'0')?))
        };
        let size: f64 = tensor.shape.iter().map(|&n| n as f64).product();
        let level: Option<i32> = if name.ends_with("items") {
            // Pool p has the queries of level p + 1, once to address and once to read.
            return level("pools.").map_or(0.0, |p: i32| 2.0 * size * pixels / 4f64.powi(p));
        } else {
            level("level").or_else(|| level("up"))
        };
        match (level, tensor.shape.len()) {
            (Some(level), 4) => size * pixels / 4f64.powi(level - 1),
            _ => 0.0,
        }
    };
    2.0 * tensors.iter().map(of).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_layers() {
        let tensor = |shape: &[usize]| HostTensor {
            shape: shape.to_vec(),
            values: Vec::new(),
        };
        let tensors = Tensors::from([
            // 64 pixels, 3 x 3, 4 to 2 features.
            (
                "encoder.level1.conv1.weight".to_owned(),
                tensor(&[2, 4, 3, 3]),
            ),
            // From 16 pixels, each into 3 x 3.
            ("decoder.up2.conv.weight".to_owned(), tensor(&[4, 2, 3, 3])),
            ("encoder.level1.norm1.weight".to_owned(), tensor(&[2])),
        ]);
        let expected = 2.0 * (64.0 * 9.0 * 8.0 + 16.0 * 9.0 * 8.0);
        assert!((operations_per_frame(&tensors, 8, 8) - expected).abs() < 1e-9);
    }
}
