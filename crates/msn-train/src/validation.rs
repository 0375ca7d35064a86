//! The loss on validation clips, normal ones that no step sees: what `best` and early stopping go by.

use msn_data::{Clip, Segment, clips};
use msn_model::{Predictor, Tensors};

use crate::{Engine, Feed, Progress, TrainError, ranks};

/// Clips on which it is measured, at most.
const CLIPS: usize = 128;

/// How well a training predicts validation clips at the end of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps done.
    pub step: usize,
    /// Seconds that the steps so far have taken.
    pub seconds: f64,
    /// Mean squared prediction error over [-1, 1] values; `None` without validation clips.
    pub validation_loss: Option<f64>,
    /// Whether that is the smallest so far.
    pub is_best: bool,
}

impl EpochReport {
    /// Peak signal-to-noise ratio of the validation clips, dB.
    pub fn psnr(&self) -> Option<f64> {
        // Values from -1 to 1 have a peak of 2.
        self.validation_loss
            .map(|error| 10.0 * (4.0 / error).log10())
    }

    /// Columns of `epochs.csv`.
    pub const COLUMNS: [&'static str; 6] = [
        "epoch",
        "step",
        "seconds",
        "validation_loss",
        "validation_psnr",
        "best",
    ];

    /// This epoch's values of [`EpochReport::COLUMNS`].
    pub fn row(&self) -> [String; 6] {
        let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        [
            self.epoch.to_string(),
            self.step.to_string(),
            format!("{:.3}", self.seconds),
            number(self.validation_loss),
            number(self.psnr()),
            u8::from(self.is_best).to_string(),
        ]
    }
}

/// The network with the smallest validation loss.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The epoch that it is of, from 1.
    pub epoch: usize,
    /// Its mean squared prediction error over [-1, 1] values.
    pub validation_loss: f64,
    /// The network, by PyTorch's names.
    pub tensors: Tensors,
}

/// Clips of the validation segments, evenly spread, cut as in training but always at the same place:
/// running statistics are those of such crops.
pub(crate) struct Validation<'a> {
    feed: Feed<'a>,
    clips: Vec<Clip>,
    batch: usize,
}

impl<'a> Validation<'a> {
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

    /// Measures the network as it would be used, and keeps it where it is the best so far. Rank 0
    /// measures for all, and all must have its network.
    pub fn judge(
        &self,
        engine: &dyn Engine,
        progress: &mut Progress,
        epoch: usize,
    ) -> Result<(EpochReport, Box<dyn Predictor>), TrainError> {
        let average = progress.average.clone();
        let tensors = average.unwrap_or_else(|| engine.tensors());
        let predictor = engine.predictor(&tensors)?;
        let collective = engine.collective();
        let loss = match collective.rank() {
            0 => self.loss(predictor.as_ref())?,
            _ => None,
        };
        let loss = ranks::same_network(collective.as_ref(), &tensors, loss)?;
        let least = progress.best.as_ref().map(|best| best.validation_loss);
        let is_better = |error: &f64| error.is_finite() && least.is_none_or(|least| *error < least);
        let better = loss.filter(is_better);
        if let Some(validation_loss) = better {
            progress.best = Some(Best {
                epoch,
                validation_loss,
                tensors,
            });
        }
        let report = EpochReport {
            epoch,
            step: progress.steps,
            seconds: progress.elapsed.as_secs_f64(),
            validation_loss: loss,
            is_best: better.is_some(),
        };
        Ok((report, predictor))
    }

    /// Mean squared error over [-1, 1] values; `None` without clips.
    fn loss(&self, predictor: &dyn Predictor) -> Result<Option<f64>, TrainError> {
        if self.clips.is_empty() {
            return Ok(None);
        }
        let mut sum = 0.0;
        for clips in self.clips.chunks(self.batch) {
            let batch = self.feed.batch(clips, 0)?;
            let predictions = predictor.predict(&batch)?;
            let pairs = predictions.iter().zip(batch.targets());
            // Squared errors are of values from 0 to 1.
            sum += pairs
                .map(|(ours, target)| 4.0 * ours.squared_error(target).mean())
                .sum::<f64>();
        }
        Ok(Some(sum / self.clips.len() as f64))
    }
}
