//! Whether a pool is alive: how evenly its items are used, and how far apart they lie.

use burn::tensor::{Tensor, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{Lookup, Pool, lookup::log_items};

/// Steps without a query after which an item counts as dead.
pub const DEAD_AFTER_STEPS: u64 = 100;

/// A pool's state after a training step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Entropy of the step's item usage / log M, in [0, 1]; 1 is even use.
    pub usage_entropy: f64,
    /// Items that no query picked for [`DEAD_AFTER_STEPS`] steps.
    pub dead_items: usize,
    /// Largest cosine of two different items, in [-1, 1]; 1 means two items are the same.
    pub largest_cosine: f64,
}

impl Health {
    /// Says that the pool has collapsed and what helps, where it has.
    pub fn warning(&self) -> Option<String> {
        let crowded = self.largest_cosine > 0.999;
        let uneven = self.usage_entropy < 0.2 || self.dead_items > 0;
        (crowded && uneven).then(|| {
            format!(
                "has collapsed (largest cosine of two items {:.4}, usage entropy {:.2}, {} dead items): \
                 write=mean with momentum=0.9 keeps items apart, temperature=0.1 sharpens reads, revive=true replaces dead items",
                self.largest_cosine, self.usage_entropy, self.dead_items
            )
        })
    }
}

/// Follows one pool's usage over the steps of a training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Monitor {
    idle_steps: Vec<u64>,
}

impl Monitor {
    /// For a pool of `items` items.
    pub fn new(items: usize) -> Self {
        Self {
            idle_steps: vec![0; items],
        }
    }

    /// Steps since each item's last query.
    pub fn idle_steps(&self) -> &[u64] {
        &self.idle_steps
    }

    /// Indices of the dead items.
    pub fn dead(&self) -> Vec<usize> {
        let dead = |(i, &steps): (usize, &u64)| (steps >= DEAD_AFTER_STEPS).then_some(i);
        self.idle_steps
            .iter()
            .enumerate()
            .filter_map(dead)
            .collect()
    }

    /// Counts a revived item as just used.
    pub fn revived(&mut self, item: usize) {
        if let Some(steps) = self.idle_steps.get_mut(item) {
            *steps = 0;
        }
    }

    /// Takes note of one step's queries. One small transfer from the device.
    pub fn observe<B: Backend>(&mut self, lookup: &Lookup<B>, pool: &Pool<B>) -> Health {
        let sent = Tensor::cat(vec![lookup.usage(), pool.largest_cosine()], 0);
        let values: Vec<f64> = sent.into_data().iter::<f64>().collect();
        let (cosine, counts) = values.split_last().unwrap_or((&0.0, &[]));
        self.note(counts, *cosine)
    }

    /// Takes note of how many queries each item had in a step, and of the largest cosine of two
    /// items.
    pub fn note(&mut self, counts: &[f64], largest_cosine: f64) -> Health {
        let total: f64 = counts.iter().sum();
        let mut entropy = 0.0;
        for (steps, &count) in self.idle_steps.iter_mut().zip(counts) {
            *steps = if count > 0.0 { 0 } else { *steps + 1 };
            if count > 0.0 {
                let p = count / total;
                entropy -= p * p.ln();
            }
        }
        Health {
            usage_entropy: entropy / log_items(counts.len()),
            dead_items: self.dead().len(),
            largest_cosine,
        }
    }
}
