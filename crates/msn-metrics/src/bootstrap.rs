use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::MetricsError;
use crate::stats::quantile_of_sorted;

/// A metric's value with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Over all videos.
    pub value: f64,
    /// 2.5th percentile over resamples of the videos.
    pub low: f64,
    /// 97.5th percentile over resamples of the videos.
    pub high: f64,
}

impl Estimate {
    /// Whether the whole interval lies above `prior`, the value of a row that never looks at a
    /// pixel. For metrics where more is better.
    pub fn clears(&self, prior: f64) -> bool {
        self.low > prior
    }
}

/// A percentile bootstrap over videos: frames of one video are not independent, videos are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Seed of the draws; one seed gives one interval on any number of threads.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 2,000 resamples, seed 0.
    fn default() -> Self {
        Self {
            resamples: 2000,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// Several metrics at once, each with its interval.
    ///
    /// `metrics` gets one weight for each video (how often the resample drew it, summing to
    /// `videos`) and gives `N` metrics, `None` where one is undefined. The values are those at
    /// all weights 1. Resamples that leave a metric undefined (they drew one class only) are left
    /// out of its interval; if all do, the interval is the value alone, as it is with one video.
    ///
    /// # Errors
    /// [`MetricsError::NoResamples`].
    pub fn estimates<const N: usize>(
        &self,
        videos: usize,
        metrics: impl Fn(&[u64]) -> [Option<f64>; N] + Sync,
    ) -> Result<[Option<Estimate>; N], MetricsError> {
        if self.resamples == 0 {
            return Err(MetricsError::NoResamples);
        }
        let values = metrics(&vec![1; videos]);
        if values.iter().all(Option::is_none) {
            return Ok([None; N]);
        }
        let drawn: Vec<[Option<f64>; N]> = (0..self.resamples)
            .into_par_iter()
            .map(|resample| metrics(&self.weights(resample, videos)))
            .collect();
        let mut out = [None; N];
        for (i, metric) in out.iter_mut().enumerate() {
            *metric = values[i].map(|value| {
                let mut column: Vec<f64> = drawn.iter().filter_map(|row| row[i]).collect();
                column.sort_unstable_by(f64::total_cmp);
                Estimate {
                    value,
                    low: quantile_of_sorted(&column, 0.025).unwrap_or(value),
                    high: quantile_of_sorted(&column, 0.975).unwrap_or(value),
                }
            });
        }
        Ok(out)
    }

    /// How often each of the videos is drawn in a resample.
    fn weights(&self, resample: usize, videos: usize) -> Vec<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream for each resample: its draws do not depend on the thread that makes them.
        rng.set_stream(resample as u64);
        let mut weights = vec![0; videos];
        for _ in 0..videos {
            weights[rng.random_range(0..videos)] += 1;
        }
        weights
    }
}
