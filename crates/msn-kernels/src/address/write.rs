//! Writing: queries of a training step change the items (METHOD.md, A pool).

use std::ops::Range;

use super::Lookup;
use crate::buffers::Scratch;
use crate::isa::{Isa, Kernel, Simd};
use crate::joint::Joint;
use crate::threads::map_tasks;

/// New items with a norm below this are not taken.
const SMALLEST_ITEM: f64 = 1e-6;
/// A sum of weights below this counts as this.
const SMALLEST_WEIGHT: f64 = 1e-12;
/// Queries are summed in this many parts at most,
const PARTS: usize = 16;
/// of at least so many queries.
const SMALLEST_PART: usize = 512;

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
    Gathered::new(lookup, rule).write(items, rule);
}

/// The sums over queries that a write needs.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    features: usize,
    temperature: f64,
    /// Queries whose most similar item each is, `[M]`.
    pub(crate) queries: Vec<usize>,
    /// The similarity that weights are relative to, `[M]`.
    top: Vec<f32>,
    /// Of the queries' weights, `[M]`.
    total: Vec<f64>,
    /// Of the weighted queries, `[M, D]`.
    sum: Vec<f64>,
}

impl Gathered {
    pub(crate) fn new(lookup: &Lookup, rule: WriteRule) -> Self {
        let (count, features) = (lookup.items, lookup.shape.channels);
        let (temperature, isa) = lookup.how.map_or((1.0, Isa::portable()), |(how, isa)| {
            (f64::from(how.temperature), isa)
        });
        let mut gathered = Self::empty(count, features, temperature);
        let queries = lookup.shape.pixels();
        if queries == 0 {
            return gathered;
        }
        gathered.top = if rule.own_maximum {
            lookup.sums.own_top.clone()
        } else {
            lookup.sums.top.clone()
        };
        // Parts are cut by the number of queries alone, and joined in their order.
        let part = queries.div_ceil(PARTS).max(SMALLEST_PART);
        let parts = map_tasks(queries.div_ceil(part), |i| {
            let mut sums = Self::empty(count, features, temperature);
            isa.run(SumPart {
                lookup,
                queries: i * part..queries.min((i + 1) * part),
                top: &gathered.top,
                sums: &mut sums,
            });
            sums
        });
        for part in &parts {
            gathered.add(part);
        }
        gathered
    }

    fn empty(count: usize, features: usize, temperature: f64) -> Self {
        Self {
            features,
            temperature,
            queries: vec![0; count],
            top: vec![f32::NEG_INFINITY; count],
            total: vec![0.0; count],
            sum: vec![0.0; count * features],
        }
    }

    /// Adds the sums of other queries of this device, relative to the same similarities.
    fn add(&mut self, other: &Self) {
        for (sum, other) in self.queries.iter_mut().zip(&other.queries) {
            *sum += other;
        }
        let pairs = [(&mut self.total, &other.total), (&mut self.sum, &other.sum)];
        for (sums, others) in pairs {
            for (sum, other) in sums.iter_mut().zip(others) {
                *sum += other;
            }
        }
    }

    /// Those of the queries of all devices.
    pub(crate) fn joined(&self, joint: &dyn Joint) -> Self {
        let count = self.queries.len();
        let mut own: Vec<f32> = self.queries.iter().map(|&n| n as f32).collect();
        // An item that no query was looked up for has no similarity that could travel.
        own.extend(self.top.iter().map(|t| t.max(f32::MIN)));
        own.extend(self.total.iter().chain(&self.sum).map(|&v| v as f32));
        let all = joint.gather(&own);
        let mut joined = Self {
            queries: vec![0; count],
            top: vec![f32::MIN; count],
            total: vec![0.0; count],
            sum: vec![0.0; self.sum.len()],
            ..*self
        };
        for part in &all {
            for (t, s) in joined.top.iter_mut().zip(&part[count..]) {
                *t = t.max(*s);
            }
        }
        for part in &all {
            let (queries, rest) = part.split_at(count);
            let (top, rest) = rest.split_at(count);
            let (total, sum) = rest.split_at(count);
            for i in (0..count).filter(|&i| queries[i] > 0.0) {
                joined.queries[i] += queries[i] as usize;
                let weight = (f64::from(top[i] - joined.top[i]) / self.temperature).exp();
                joined.total[i] += weight * f64::from(total[i]);
                let range = i * self.features..(i + 1) * self.features;
                for (to, v) in joined.sum[range.clone()].iter_mut().zip(&sum[range]) {
                    *to += weight * f64::from(*v);
                }
            }
        }
        joined
    }

    /// Changes the items, `[M, D]`.
    pub(crate) fn write(&self, items: &mut [f32], rule: WriteRule) {
        let features = self.features;
        assert_eq!(
            items.len(),
            self.queries.len() * features,
            "the length of {} items of {features} features",
            self.queries.len()
        );
        for (i, item) in items.chunks_exact_mut(features.max(1)).enumerate() {
            if self.queries[i] == 0 {
                continue;
            }
            let divisor = self.total[i].max(SMALLEST_WEIGHT);
            let sum = &self.sum[i * features..][..features];
            let mut new: Vec<f64> = sum
                .iter()
                .zip(&*item)
                .map(|(s, m)| match rule.momentum {
                    Some(momentum) => {
                        f64::from(momentum) * f64::from(*m)
                            + (1.0 - f64::from(momentum)) * s / divisor
                    }
                    None => f64::from(*m) + s,
                })
                .collect();
            let norm = new.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm < SMALLEST_ITEM {
                continue;
            }
            new.iter_mut().for_each(|v| *v /= norm);
            for (to, v) in item.iter_mut().zip(new) {
                *to = v as f32;
            }
        }
    }
}

struct SumPart<'a> {
    lookup: &'a Lookup,
    queries: Range<usize>,
    top: &'a [f32],
    sums: &'a mut Gathered,
}

impl Kernel for SumPart<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let features = self.lookup.shape.channels;
        let mut weights = Scratch::take(self.queries.len().next_multiple_of(S::LANES));
        weights.fill(0.0);
        let scale = 1.0 / self.sums.temperature as f32;
        for (weight, k) in weights.iter_mut().zip(self.queries.clone()) {
            let [owner, _] = self.lookup.nearest_of(k);
            *weight = (self.lookup.similarities_of(k)[owner] - self.top[owner]) * scale;
        }
        for part in weights.chunks_exact_mut(S::LANES) {
            // SAFETY: `part` is one vector.
            unsafe { s.store(part.as_mut_ptr(), s.exp(s.load(part.as_ptr()))) };
        }
        // Compiled for the instructions of `S`, the innermost loop becomes vectors.
        for (weight, k) in weights.iter().zip(self.queries) {
            let weight = f64::from(*weight);
            let [owner, _] = self.lookup.nearest_of(k);
            self.sums.total[owner] += weight;
            self.sums.queries[owner] += 1;
            let to = &mut self.sums.sum[owner * features..][..features];
            for (s, q) in to.iter_mut().zip(self.lookup.query(k)) {
                *s += weight * f64::from(*q);
            }
        }
    }
}
