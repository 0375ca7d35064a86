//! Writing: queries of a training step change the items.

use super::TrainingLookup;
use super::reading::Nearest;
use crate::buffers::{AlignedBuf, Scratch};
use crate::collective::Collective;
use crate::isa::{Kernel, Simd};
use crate::pixels::{load, store};

/// New items with a norm below this are not taken.
const SMALLEST_ITEM: f64 = 1e-6;
/// A sum of weights below this counts as this.
const SMALLEST_WEIGHT: f64 = 1e-12;

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
pub fn write_items(lookup: &TrainingLookup, items: &mut [f32], rule: WriteRule) {
    GatheredQueries::new(lookup, rule).write(items, rule);
}

/// The sums over queries that a write needs; of the queries of several ranks by
/// [`over_ranks`](Self::over_ranks).
#[derive(Clone, Debug, Default)]
pub struct GatheredQueries {
    features: usize,
    temperature: f64,
    /// Queries whose most similar item each is, `[M]`.
    pub(super) queries: Vec<usize>,
    /// The similarity that weights are relative to, `[M]`.
    top: Vec<f32>,
    /// Of the queries' weights, `[M]`.
    total: Vec<f64>,
    /// Of the weighted queries, `[M, D]`.
    sum: Vec<f64>,
}

impl GatheredQueries {
    /// The sums of `lookup`'s queries, relative to the maximum that `rule` names.
    pub fn new(lookup: &TrainingLookup, rule: WriteRule) -> Self {
        let mut gathered = lookup.gathered.clone();
        if !rule.own_maximum {
            for (i, &top) in lookup.sums.top.iter().enumerate() {
                gathered.rebase(i, top);
            }
        }
        gathered
    }

    /// Those of no query.
    pub(super) fn empty(count: usize, features: usize, temperature: f32) -> Self {
        Self {
            features,
            temperature: f64::from(temperature),
            queries: vec![0; count],
            top: vec![f32::NEG_INFINITY; count],
            total: vec![0.0; count],
            sum: vec![0.0; count * features],
        }
    }

    /// Makes an item's weights relative to the similarity `top`.
    fn rebase(&mut self, item: usize, top: f32) {
        if self.queries[item] > 0 && top != self.top[item] {
            let factor = (f64::from(self.top[item] - top) / self.temperature).exp();
            self.total[item] *= factor;
            let sum = &mut self.sum[item * self.features..][..self.features];
            sum.iter_mut().for_each(|v| *v *= factor);
        }
        self.top[item] = top;
    }

    /// Adds the queries of a part of the features.
    pub(super) fn add(&mut self, part: &OwnQueries) {
        for (i, &queries) in part.queries.iter().enumerate().filter(|(_, n)| **n > 0) {
            let top = self.top[i].max(part.top[i]);
            self.rebase(i, top);
            let factor = (f64::from(part.top[i] - top) / self.temperature).exp();
            self.queries[i] += queries;
            self.total[i] += factor * f64::from(part.total[i]);
            let range = i * self.features..(i + 1) * self.features;
            for (sum, v) in self.sum[range.clone()].iter_mut().zip(&part.sum[range]) {
                *sum += factor * f64::from(*v);
            }
        }
    }

    /// How many queries are most similar to each item, `[M]`.
    pub fn usage(&self) -> &[usize] {
        &self.queries
    }

    /// The sums over the queries of all ranks. Without a collective they are this rank's.
    #[must_use]
    pub fn over_ranks(self, collective: Option<&dyn Collective>) -> Self {
        let Some(collective) = collective else {
            return self;
        };
        let count = self.queries.len();
        let mut own: Vec<f32> = self.queries.iter().map(|&n| n as f32).collect();
        // An item that no query was looked up for has no similarity that could travel.
        own.extend(self.top.iter().map(|t| t.max(f32::MIN)));
        own.extend(self.total.iter().chain(&self.sum).map(|&v| v as f32));
        let all = collective.all_gather(&own);
        let mut merged = Self {
            queries: vec![0; count],
            top: vec![f32::MIN; count],
            total: vec![0.0; count],
            sum: vec![0.0; self.sum.len()],
            ..self
        };
        for part in &all {
            for (t, s) in merged.top.iter_mut().zip(&part[count..]) {
                *t = t.max(*s);
            }
        }
        for part in &all {
            let (queries, rest) = part.split_at(count);
            let (top, rest) = rest.split_at(count);
            let (total, sum) = rest.split_at(count);
            for i in (0..count).filter(|&i| queries[i] > 0.0) {
                merged.queries[i] += queries[i] as usize;
                let weight = (f64::from(top[i] - merged.top[i]) / self.temperature).exp();
                merged.total[i] += weight * f64::from(total[i]);
                let range = i * self.features..(i + 1) * self.features;
                for (to, v) in merged.sum[range.clone()].iter_mut().zip(&sum[range]) {
                    *to += weight * f64::from(*v);
                }
            }
        }
        merged
    }

    /// Changes the items, `[M, D]`. Items without queries, or that would vanish, stay bit-equal.
    ///
    /// # Panics
    /// If `items` has not the size of the items that were looked up.
    pub fn write(&self, items: &mut [f32], rule: WriteRule) {
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

/// What the queries of each item sum up to in one strip of the features, each weighed relative to
/// the most similar of them so far. A strip is short enough for f32.
pub(super) struct OwnQueries {
    /// `[M]`
    queries: Vec<usize>,
    /// The similarity that weights are relative to, `[M]`.
    top: Vec<f32>,
    /// `[M]`
    total: Vec<f32>,
    /// `[M, D]`
    sum: AlignedBuf,
}

impl OwnQueries {
    pub(super) fn new(count: usize, features: usize) -> Self {
        Self {
            queries: vec![0; count],
            top: vec![f32::NEG_INFINITY; count],
            total: vec![0.0; count],
            sum: AlignedBuf::zeroed(count * features),
        }
    }

    /// Makes an item's weights relative to `similarity` where that is above those so far.
    fn raise(&mut self, item: usize, similarity: f32, scale: f32, features: usize) {
        let top = self.top[item];
        if similarity > top {
            self.top[item] = similarity;
            let factor = ((top - similarity) * scale).exp();
            self.total[item] *= factor;
            let sum = &mut self.sum[item * features..][..features];
            sum.iter_mut().for_each(|v| *v *= factor);
        }
    }
}

/// Adds one row of queries.
pub(super) struct AddRow<'a> {
    pub(super) features: usize,
    /// 1 / temperature.
    pub(super) scale: f32,
    pub(super) queries: &'a [f32],
    pub(super) similarities: &'a [f32],
    pub(super) nearest: &'a [Nearest],
    pub(super) to: &'a mut OwnQueries,
}

impl Kernel for AddRow<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (d, count, own) = (self.features, self.to.queries.len(), self.to);
        let similarity = |x: usize, owner: usize| self.similarities[x * count..][..count][owner];
        let owners = || {
            self.nearest
                .iter()
                .map(|[owner, _]| *owner as usize)
                .enumerate()
        };
        for (x, owner) in owners() {
            own.queries[owner] += 1;
            own.raise(owner, similarity(x, owner), self.scale, d);
        }
        let mut weights = Scratch::take(self.nearest.len().next_multiple_of(S::LANES));
        weights.fill(0.0);
        for (x, owner) in owners() {
            weights[x] = (similarity(x, owner) - own.top[owner]) * self.scale;
        }
        for part in weights.chunks_exact_mut(S::LANES) {
            // SAFETY: `part` is one vector.
            unsafe { s.store(part.as_mut_ptr(), s.exp(s.load(part.as_ptr()))) };
        }
        for (x, owner) in owners() {
            own.total[owner] += weights[x];
            let weight = s.splat(weights[x]);
            let (query, sum) = (&self.queries[x * d..][..d], &mut own.sum[owner * d..][..d]);
            let mut i = 0;
            while i < d {
                let n = S::LANES.min(d - i);
                // SAFETY: `n` values are left in both.
                unsafe {
                    let q = load(s, query.as_ptr().add(i), n);
                    let to = sum.as_mut_ptr().add(i);
                    store(s, to, s.fma(weight, q, load(s, to, n)), n);
                }
                i += n;
            }
        }
    }
}
