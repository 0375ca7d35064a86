//! Sums over the processes or devices that share one batch.

use std::fmt::Debug;

use crate::norm::Moments;

/// The ranks that each compute an equal part of one batch, as one of them sees them.
///
/// All ranks call the same methods in the same order with as many values, and each call waits for
/// the others. What comes back is the same on all ranks, bit for bit. Calls have no error: an
/// implementation whose communication fails ends the computation by itself.
pub trait Collective: Debug + Send + Sync {
    /// This rank's number, below [`world_size`](Self::world_size).
    fn rank(&self) -> usize;

    /// How many ranks there are, at least 1.
    fn world_size(&self) -> usize;

    /// Replaces each value by its sum over ranks.
    fn all_reduce_sum(&self, values: &mut [f32]);

    /// The values of each rank, by rank.
    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>>;
}

/// Sums over ranks, in f64 and in the order of ranks.
pub(crate) fn summed(collective: Option<&dyn Collective>, own: &mut [f64]) {
    let Some(collective) = collective else { return };
    let rounded: Vec<f32> = own.iter().map(|&v| v as f32).collect();
    own.fill(0.0);
    for part in collective.all_gather(&rounded) {
        for (sum, v) in own.iter_mut().zip(part) {
            *sum += f64::from(v);
        }
    }
}

/// The moments over the pixels of all ranks.
pub(crate) fn joint_moments(collective: Option<&dyn Collective>, own: Moments) -> Moments {
    let Some(collective) = collective else {
        return own;
    };
    let channels = own.mean.len();
    let all = collective.all_gather(&[own.mean, own.variance].concat());
    let share = 1.0 / all.len().max(1) as f64;
    let mean = |c: usize| all.iter().map(|part| f64::from(part[c])).sum::<f64>() * share;
    let mean: Vec<f64> = (0..channels).map(mean).collect();
    let variance = |c: usize| {
        let one = |part: &Vec<f32>| {
            f64::from(part[channels + c]) + (f64::from(part[c]) - mean[c]).powi(2)
        };
        (all.iter().map(one).sum::<f64>() * share) as f32
    };
    Moments {
        variance: (0..channels).map(variance).collect(),
        mean: mean.iter().map(|&m| m as f32).collect(),
    }
}
