//! Items taken from real queries: at the start, and in place of dead ones. Both beyond the method,
//! off by default.

use burn::tensor::{
    Tensor, TensorData,
    backend::{AutodiffBackend, Backend},
};
use rand::{Rng, RngExt};

use crate::{Lookup, MemoryError, Monitor, Pool};

impl<B: AutodiffBackend> Pool<B> {
    /// Replaces all items by queries [K, D] picked as k-means++ picks its centres: each with a
    /// probability in proportion to its squared distance to the nearest pick so far. Zero queries
    /// are never picked.
    ///
    /// # Errors
    /// [`MemoryError::TooFewQueries`] where fewer queries than items are not zero.
    pub fn start_from(
        &mut self,
        queries: Tensor<B, 2>,
        rng: &mut impl Rng,
    ) -> Result<(), MemoryError> {
        let queries = queries.inner();
        let items = self.config().items;
        let device = queries.device();
        let alive = column(queries.clone().square().sum_dim(1));
        let found = alive.iter().filter(|&&n| n > 0.5).count();
        if found < items {
            return Err(MemoryError::TooFewQueries { found, items });
        }
        let mut chance = alive
            .iter()
            .map(|&n| if n > 0.5 { 1.0 } else { 0.0 })
            .collect::<Vec<f64>>();
        let mut picks = Vec::with_capacity(items);
        for _ in 0..items {
            let pick = draw(&chance, rng.random());
            picks.push(row(&queries, pick));
            let centre = queries.clone().narrow(0, pick, 1);
            let distance = column((queries.clone() - centre).square().sum_dim(1));
            for (i, c) in chance.iter_mut().enumerate() {
                let nearer = if picks.len() == 1 {
                    distance[i]
                } else {
                    c.min(distance[i])
                };
                *c = if alive[i] > 0.5 { nearer } else { 0.0 };
            }
        }
        let shape = [items, self.config().features];
        let data = TensorData::new(picks.concat(), shape);
        self.replace(Tensor::from_inner(Tensor::from_data(data, &device)));
        Ok(())
    }

    /// Replaces each dead item by one of the step's queries that its items know least, the
    /// farthest first; returns how many were replaced.
    pub fn revive(&mut self, lookup: &Lookup<B>, monitor: &mut Monitor) -> usize {
        let dead = monitor.dead();
        if dead.is_empty() {
            return 0;
        }
        let queries = lookup.queries().inner();
        let size = column(queries.clone().square().sum_dim(1));
        let known = column(lookup.similarity().inner().max_dim(1));
        let mut order: Vec<usize> = (0..known.len()).filter(|&i| size[i] > 0.5).collect();
        order.sort_by(|&a, &b| known[a].total_cmp(&known[b]).then(a.cmp(&b)));
        let mut data = self.items().into_data().iter::<f32>().collect::<Vec<f32>>();
        let features = self.config().features;
        let mut revived = 0;
        for (&item, &query) in dead.iter().zip(&order) {
            data[item * features..(item + 1) * features].copy_from_slice(&row(&queries, query));
            monitor.revived(item);
            revived += 1;
        }
        let data = TensorData::new(data, [self.config().items, features]);
        self.replace(Tensor::from_data(data, &lookup.queries().device()));
        revived
    }
}

fn column<B: Backend>(x: Tensor<B, 2>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

fn row<B: Backend>(x: &Tensor<B, 2>, index: usize) -> Vec<f32> {
    x.clone()
        .narrow(0, index, 1)
        .into_data()
        .iter::<f32>()
        .collect()
}

/// The index that `uniform` in [0, 1) picks in proportion to `chance`; the last possible one where
/// rounding runs past the end, and the first where no chance is left.
fn draw(chance: &[f64], uniform: f64) -> usize {
    let total: f64 = chance.iter().sum();
    let mut left = uniform * total;
    let mut last = 0;
    for (i, &c) in chance.iter().enumerate() {
        if c > 0.0 {
            if left < c {
                return i;
            }
            left -= c;
            last = i;
        }
    }
    last
}
