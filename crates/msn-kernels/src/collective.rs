//! Sums over the ranks that share one batch.

use std::fmt::Debug;

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

/// How many ranks there are; one without a collective.
pub fn world_size(collective: Option<&dyn Collective>) -> usize {
    collective.map_or(1, Collective::world_size)
}

/// Replaces each value by its sum over ranks: values travel rounded to `f32` and are added in `f64`
/// in the order of ranks. Without a collective they stay as they are.
pub fn sum_over_ranks(collective: Option<&dyn Collective>, values: &mut [f64]) {
    let Some(collective) = collective else { return };
    let rounded: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    values.fill(0.0);
    for part in collective.all_gather(&rounded) {
        for (sum, v) in values.iter_mut().zip(part) {
            *sum += f64::from(v);
        }
    }
}
