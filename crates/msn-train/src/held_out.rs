//! The loss on held-out normal clips: what `best` and early stopping go by.

use msn_data::{Clip, Segment, clips};
use msn_model::{Predictor, Tensors};

use crate::{Engine, Node, Progress, TrainError, feed::Feed, train::count};

/// Clips on which it is measured, at most.
const CLIPS: usize = 128;

/// How well a training predicts held-out clips at the end of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps done.
    pub step: usize,
    /// Seconds that the steps so far have taken.
    pub seconds: f64,
    /// Mean squared error over [-1, 1] values, as in training; `None` where nothing is held out.
    pub held_out: Option<f64>,
    /// Whether that is the smallest so far.
    pub is_best: bool,
}

impl EpochReport {
    /// Peak signal-to-noise ratio that the held-out error stands for, dB.
    pub fn psnr(&self) -> Option<f64> {
        // Values from -1 to 1 have a peak of 2.
        self.held_out.map(|error| 10.0 * (4.0 / error).log10())
    }

    /// Header of `epochs.csv`.
    pub const CSV_HEADER: &str = "epoch,step,seconds,held_out,held_out_psnr,best";

    /// One line of `epochs.csv`.
    pub fn csv_line(&self) -> String {
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        format!(
            "{},{},{:.3},{},{},{}",
            self.epoch,
            self.step,
            self.seconds,
            number(self.held_out),
            number(self.psnr()),
            u8::from(self.is_best)
        )
    }
}

/// The network that predicted held-out clips best.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The epoch that it is of, from 1.
    pub epoch: usize,
    /// Its mean squared error over [-1, 1] values.
    pub held_out: f64,
    /// The network, by PyTorch's names.
    pub tensors: Tensors,
}

/// Clips of held-out segments, evenly spread, cut as in training but always at the same place:
/// running statistics are those of such crops.
pub(crate) struct HeldOut<'a> {
    feed: Feed<'a>,
    clips: Vec<Clip>,
    batch: usize,
}

impl<'a> HeldOut<'a> {
    pub fn new(feed: &Feed<'a>, segments: &[Segment], batch: usize) -> Self {
        let all = clips(segments, feed.net.frames, feed.stride);
        let taken = all.len().min(CLIPS);
        Self {
            feed: Feed {
                flip: false,
                brightness: 0.0,
                ..*feed
            },
            clips: (0..taken).map(|i| all[i * all.len() / taken]).collect(),
            batch,
        }
    }

    /// Measures the network as it would be used, and keeps it where it is the best so far.
    ///
    /// Node 0 measures for all, and all must have its network.
    pub fn judge(
        &self,
        node: Option<&Node>,
        engine: &dyn Engine,
        progress: &mut Progress,
        epoch: usize,
    ) -> Result<(EpochReport, Box<dyn Predictor>), TrainError> {
        let average = progress.average.clone();
        let tensors = average.unwrap_or_else(|| engine.tensors());
        let predictor = engine.predictor(&tensors)?;
        let held_out = match node {
            None => self.error(predictor.as_ref())?,
            Some(node) => {
                let error = match node.number() {
                    0 => self.error(predictor.as_ref())?,
                    _ => None,
                };
                told(node, error, &tensors)?
            }
        };
        let least = progress.best.as_ref().map(|best| best.held_out);
        let is_better = |error: &f64| error.is_finite() && least.is_none_or(|least| *error < least);
        let better = held_out.filter(is_better);
        if let Some(held_out) = better {
            progress.best = Some(Best {
                epoch,
                held_out,
                tensors,
            });
        }
        let report = EpochReport {
            epoch,
            step: progress.steps,
            seconds: progress.elapsed.as_secs_f64(),
            held_out,
            is_best: better.is_some(),
        };
        Ok((report, predictor))
    }

    /// Mean squared error over [-1, 1] values; `None` without clips.
    fn error(&self, predictor: &dyn Predictor) -> Result<Option<f64>, TrainError> {
        if self.clips.is_empty() {
            return Ok(None);
        }
        let mut sum = 0.0;
        for clips in self.clips.chunks(self.batch) {
            let batch = self.feed.batch(clips, 0)?;
            let predictions = predictor.predict(&batch);
            let predictions = predictions.map_err(|e| TrainError::Engine(e.to_string()))?;
            let pairs = predictions.iter().zip(batch.targets());
            // Squared errors are of values from 0 to 1.
            sum += pairs
                .map(|(ours, target)| 4.0 * ours.squared_error(target).mean())
                .sum::<f64>();
        }
        Ok(Some(sum / count(self.clips.len())))
    }
}

/// Node 0's error, where all nodes have the same network.
fn told(node: &Node, error: Option<f64>, tensors: &Tensors) -> Result<Option<f64>, TrainError> {
    let mut hasher = blake3::Hasher::new();
    for tensor in tensors.values() {
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    let mut hash = [0; 8];
    hash.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    let own = [
        u64::from_le_bytes(hash),
        u64::from(error.is_some()),
        error.unwrap_or_default().to_bits(),
    ];
    let all = node.exchange(&own)?;
    if let Some(other) = all.iter().position(|of| of[0] != all[0][0]) {
        return Err(TrainError::Engine(format!(
            "node {other} no longer has the network of node 0: nodes must have processors and devices of one kind, which round alike"
        )));
    }
    Ok((all[0][1] > 0).then(|| f64::from_bits(all[0][2])))
}
