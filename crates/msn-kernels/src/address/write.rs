//! Writing: queries of a training step change the items (METHOD.md, A pool).

use super::Lookup;
use crate::isa::{Isa, Kernel, Simd};
use crate::threads::map_tasks;

/// New items with a norm below this are not taken.
const SMALLEST_ITEM: f64 = 1e-6;
/// A sum of weights below this counts as this.
const SMALLEST_WEIGHT: f64 = 1e-12;
/// Queries are summed in this many parts at most.
const PARTS: usize = 16;

/// How queries change items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WriteRule {
    /// `m <- unit(momentum m + (1 - momentum) mean)` with this momentum in 0..1, or
    /// `m <- unit(m + sum)` without.
    pub momentum: Option<f32>,
    /// Whether a query's weight is relative to the best of its item's own queries, not of all.
    pub own_maximum: bool,
}

/// The items, `[M, D]`, after the queries of `lookup`: each query changes its most similar item.
/// Items without queries, or that would vanish, stay bit-equal.
///
/// # Panics
/// If `items` has not the size of the items that were looked up.
pub fn write_items(lookup: &Lookup, items: &mut [f32], rule: WriteRule) {
    let (count, features) = (lookup.items, lookup.shape.channels);
    assert_eq!(
        items.len(),
        count * features,
        "the length of {count} items of {features} features"
    );
    let (temperature, isa) = lookup.how.map_or((1.0, Isa::portable()), |(how, isa)| {
        (f64::from(how.temperature), isa)
    });
    let queries = lookup.shape.pixels();
    if queries == 0 {
        return;
    }
    let mut top = vec![f32::NEG_INFINITY; count];
    isa.run(Largest {
        lookup,
        queries,
        own: rule.own_maximum,
        top: &mut top,
    });
    // Parts are cut by the number of queries alone, and joined in their order.
    let part = queries.div_ceil(PARTS);
    let parts = map_tasks(queries.div_ceil(part), |i| {
        let mut sums = Sums::new(count, features);
        isa.run(SumPart {
            lookup,
            queries: i * part..queries.min((i + 1) * part),
            top: &top,
            temperature,
            sums: &mut sums,
        });
        sums
    });
    let mut sums = Sums::new(count, features);
    for part in &parts {
        sums.add(part);
    }
    for (i, item) in items.chunks_exact_mut(features).enumerate() {
        if sums.owned[i] == 0 {
            continue;
        }
        let divisor = sums.weights[i].max(SMALLEST_WEIGHT);
        let new: Vec<f64> = sums.queries[i * features..][..features]
            .iter()
            .zip(&*item)
            .map(|(s, m)| match rule.momentum {
                Some(momentum) => {
                    f64::from(momentum) * f64::from(*m) + (1.0 - f64::from(momentum)) * s / divisor
                }
                None => f64::from(*m) + s,
            })
            .collect();
        let norm = new.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm < SMALLEST_ITEM {
            continue;
        }
        for (m, v) in item.iter_mut().zip(new) {
            *m = (v / norm) as f32;
        }
    }
}

/// What the queries of a range come to, by the item that owns them.
struct Sums {
    /// Weighted queries, `[M, D]`.
    queries: Vec<f64>,
    weights: Vec<f64>,
    owned: Vec<usize>,
}

impl Sums {
    fn new(count: usize, features: usize) -> Self {
        Self {
            queries: vec![0.0; count * features],
            weights: vec![0.0; count],
            owned: vec![0; count],
        }
    }

    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.queries, &other.queries),
            (&mut self.weights, &other.weights),
        ];
        for (sums, others) in pairs {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
        for (sum, other) in self.owned.iter_mut().zip(&other.owned) {
            *sum += other;
        }
    }
}

/// The largest similarity of each item, to all queries or to its own.
struct Largest<'a> {
    lookup: &'a Lookup,
    queries: usize,
    own: bool,
    top: &'a mut [f32],
}

impl Kernel for Largest<'_> {
    // No vectors of `S` are needed: compiled for its instructions, these loops become vectors.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for k in 0..self.queries {
            let row = self.lookup.similarities_of(k);
            if self.own {
                let [owner, _] = self.lookup.nearest_of(k);
                self.top[owner] = self.top[owner].max(row[owner]);
            } else {
                for (t, s) in self.top.iter_mut().zip(row) {
                    *t = if *s > *t { *s } else { *t };
                }
            }
        }
    }
}

struct SumPart<'a> {
    lookup: &'a Lookup,
    queries: std::ops::Range<usize>,
    top: &'a [f32],
    temperature: f64,
    sums: &'a mut Sums,
}

impl Kernel for SumPart<'_> {
    // As for `Largest`.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let features = self.lookup.shape.channels;
        for k in self.queries {
            let [owner, _] = self.lookup.nearest_of(k);
            let similarity = self.lookup.similarities_of(k)[owner];
            let weight = (f64::from(similarity - self.top[owner]) / self.temperature).exp();
            self.sums.weights[owner] += weight;
            self.sums.owned[owner] += 1;
            let to = &mut self.sums.queries[owner * features..][..features];
            for (s, q) in to.iter_mut().zip(self.lookup.query(k)) {
                *s += weight * f64::from(*q);
            }
        }
    }
}
