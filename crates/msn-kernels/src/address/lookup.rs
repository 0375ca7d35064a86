//! A lookup while training: what is read, and the losses.

use super::reading::{Nearest, Pixels, Reading, Traces};
use super::write::{AddRow, GatheredQueries, OwnQueries};
use super::{Addressing, PackedItems};
use crate::buffers::{AlignedBuf, Scratch};
use crate::collective::{Collective, sum_over_ranks, world_size};
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load};
use crate::threads::SharedMut;
use crate::view::{Shape, View, ViewMut};

/// Added to each difference in the norms of separateness, as PyTorch's triplet loss does.
pub(super) const SHIFT: f32 = 1e-6;
/// Probabilities below this count as this in logarithms.
pub(super) const SMALLEST_PROBABILITY: f32 = 1e-12;
/// Its logarithm.
pub(super) const SMALLEST_LOGARITHM: f32 = -27.631_021;

/// The losses of one pool, not weighted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolLosses {
    /// Mean squared distance of query and nearest item, over queries and features.
    pub compactness: f64,
    /// Mean of max(0, distance to the nearest - distance to the second + 1).
    pub separateness: f64,
    /// (Mean entropy of addresses - entropy of their mean) / log M.
    pub information: f64,
}

/// A batch of features looked up in a pool, with what losses, gradient and write need of it.
#[derive(Clone, Debug, Default)]
pub struct TrainingLookup {
    pub(super) shape: Shape,
    pub(super) items: usize,
    pub(super) how: Option<(Addressing, Isa)>,
    /// `[K, M]`
    similarities: AlignedBuf,
    /// `[K, M]`
    addresses: AlignedBuf,
    /// Of each query, filled by `read`.
    nearest: Vec<Nearest>,
    /// Of the features of each query, filled by `read`.
    pub(super) norms: Vec<f32>,
    /// Of each query, filled by `read`.
    pub(super) per_query: Vec<QueryLosses>,
    /// Over the queries, filled by `read`.
    pub(super) sums: Sums,
    /// What a write needs, relative to the best of each item's own queries; filled by `read`.
    pub(super) gathered: GatheredQueries,
    pub(super) mean_address: Vec<f64>,
}

/// What the gradient of a query's losses needs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueryLosses {
    /// Logarithm of its largest address.
    pub(super) top: f32,
    /// Distance to the nearest item, and to the second nearest, with 1e-6 in each difference.
    pub(super) near: f32,
    pub(super) far: f32,
}

impl TrainingLookup {
    /// Looks up `features` and writes what is read, `[N, h, w, D]`, and the unit
    /// queries where there is room for them. Losses and write find here what they need; the gradient wants the features again.
    ///
    /// # Panics
    /// As [`read_items`](super::read_items).
    pub fn read(
        &mut self,
        features: View<'_>,
        items: &PackedItems,
        how: Addressing,
        mut read: ViewMut<'_>,
        mut queries: Option<ViewMut<'_>>,
    ) {
        let shape = features.shape();
        super::check(shape, items, how);
        assert_eq!(read.shape(), shape, "what a lookup reads");
        assert!(
            queries.as_ref().is_none_or(|q| q.shape() == shape),
            "queries of a lookup"
        );
        let (count, d) = (items.count, items.features);
        (self.shape, self.items, self.how) = (shape, count, Some((how, items.isa)));
        self.nearest.resize(shape.pixels(), Nearest::default());
        self.per_query
            .resize(shape.pixels(), QueryLosses::default());
        self.norms.resize(shape.pixels(), 0.0);
        self.similarities.resize(shape.pixels() * count);
        self.addresses.resize(shape.pixels() * count);
        let similarities = SharedMut::new(&mut self.similarities);
        let addresses = SharedMut::new(&mut self.addresses);
        let (nearest, of_query) = (
            SharedMut::new(&mut self.nearest),
            SharedMut::new(&mut self.per_query),
        );
        let norms = SharedMut::new(&mut self.norms);
        let read = read.shared();
        let queries = queries.as_mut().map(ViewMut::shared);
        let scale = 1.0 / how.temperature;
        let parts = Strips::new(shape).map(|strip| {
            let mut sums = Sums::new(count);
            let mut own = OwnQueries::new(count, d);
            let mut table = items.table(shape.width);
            let mut row = Scratch::take(shape.width * d);
            for y in strip.y..strip.y + strip.rows {
                let first = (strip.image * shape.height + y) * shape.width;
                // SAFETY: the rows of a strip are this task's alone; all buffers have the shape.
                unsafe {
                    let part = |all: SharedMut<'_>, values: usize| Pixels {
                        start: all.at(first * values),
                        pixel: values,
                    };
                    let nearest = nearest.part(first, shape.width);
                    Reading {
                        features: features.ptr(strip.image, y, 0),
                        pixel: features.pixel_stride(),
                        columns: shape.width,
                        items,
                        how,
                        table: &mut table,
                        queries: Some(Pixels {
                            start: row.as_mut_ptr(),
                            pixel: d,
                        }),
                        read: Some(Pixels {
                            start: read.ptr(strip.image, y, 0),
                            pixel: read.pixel_stride(),
                        }),
                        addresses: Some(part(addresses, count)),
                        similarities: Some(part(similarities, count)),
                        distances: None,
                        traces: Some(Traces {
                            nearest,
                            norms: norms.part(first, shape.width),
                        }),
                    }
                    .run();
                    // While the processor has the row at hand.
                    if let Some(to) = queries {
                        for (x, query) in row.chunks_exact(d).enumerate() {
                            let to = to.ptr(strip.image, y, x);
                            to.copy_from_nonoverlapping(query.as_ptr(), d);
                        }
                    }
                    let similarities = similarities.part(first * count, shape.width * count);
                    items.isa.run(AddRow {
                        features: d,
                        scale,
                        queries: &row,
                        similarities,
                        nearest,
                        to: &mut own,
                    });
                    items.isa.run(RowLosses {
                        items,
                        scale,
                        queries: &row,
                        similarities,
                        addresses: addresses.part(first * count, shape.width * count),
                        nearest,
                        of_query: of_query.part(first, shape.width),
                        sums: &mut sums,
                    });
                }
            }
            (sums, own)
        });
        self.sums = Sums::new(count);
        self.gathered = GatheredQueries::empty(count, d, how.temperature);
        for (sums, own) in &parts {
            self.sums.add(sums);
            self.gathered.add(own);
        }
    }

    /// `q . m`, `[K, M]`.
    pub fn similarities(&self) -> &[f32] {
        &self.similarities
    }

    /// Weights of the items, `[K, M]`.
    pub fn addresses(&self) -> &[f32] {
        &self.addresses
    }

    /// How many queries are most similar to each item, the first on a tie.
    pub fn usage(&self) -> Vec<usize> {
        self.gathered.queries.clone()
    }

    /// The three losses, of the queries of all ranks where ranks share the batch. `items` are those
    /// that were looked up.
    ///
    /// # Panics
    /// If the items have another size.
    pub fn losses(
        &mut self,
        items: &PackedItems,
        collective: Option<&dyn Collective>,
    ) -> PoolLosses {
        self.check(items);
        let (count, sums) = (items.count, &self.sums);
        let mut all = [sums.compactness, sums.separateness, sums.entropy].to_vec();
        all.extend(&sums.addresses);
        sum_over_ranks(collective, &mut all);
        let (of_losses, addresses) = all.split_at(3);
        let queries = (self.shape.pixels().max(1) * world_size(collective)) as f64;
        let entropy = |p: f64| -p * p.max(f64::from(SMALLEST_PROBABILITY)).ln();
        self.mean_address = addresses.iter().map(|a| a / queries).collect();
        let of_mean: f64 = self.mean_address.iter().map(|&p| entropy(p)).sum();
        PoolLosses {
            compactness: of_losses[0] / (queries * items.features as f64),
            separateness: of_losses[1] / queries,
            information: (of_losses[2] / queries - of_mean) / (count as f64).ln(),
        }
    }

    pub(super) fn check(&self, items: &PackedItems) -> Addressing {
        assert!(
            self.items == items.count && self.shape.channels == items.features,
            "{} items of {} features, the lookup was of {} of {}",
            items.count,
            items.features,
            self.items,
            self.shape.channels
        );
        let unused = Addressing {
            temperature: 1.0,
            top_k: 0,
        };
        self.how.map_or(unused, |(how, _)| how)
    }

    pub(super) fn similarities_of(&self, query: usize) -> &[f32] {
        &self.similarities[query * self.items..][..self.items]
    }

    pub(super) fn addresses_of(&self, query: usize) -> &[f32] {
        &self.addresses[query * self.items..][..self.items]
    }

    pub(super) fn nearest_of(&self, query: usize) -> [usize; 2] {
        self.nearest[query].map(|i| i as usize)
    }
}

/// |q - m + 1e-6|^2, with 1e-6 added to each difference, of the items `near` and `far`; lanes of
/// |q - m|^2 of the former are added to `plain`.
#[inline(always)]
fn squared_distances<S: Simd>(
    s: S,
    q: &[f32],
    near: &[f32],
    far: &[f32],
    plain: &mut S::V,
) -> (f32, f32) {
    assert!(q.len() == near.len() && q.len() == far.len());
    let shift = s.splat(SHIFT);
    let (mut first, mut second) = (s.zero(), s.zero());
    let mut i = 0;
    while i < q.len() {
        let n = S::LANES.min(q.len() - i);
        // SAFETY: `n` values are left in all three.
        let (q, near, far) = unsafe {
            (
                load(s, q.as_ptr().add(i), n),
                load(s, near.as_ptr().add(i), n),
                load(s, far.as_ptr().add(i), n),
            )
        };
        let d = s.sub(q, near);
        *plain = s.fma(d, d, *plain);
        let d = s.add(d, shift);
        first = s.fma(d, d, first);
        let d = s.add(s.sub(q, far), shift);
        second = s.fma(d, d, second);
        i += n;
    }
    // Lanes past the end hold the shift; take it out again.
    let beyond = (q.len().next_multiple_of(S::LANES) - q.len()) as f32 * SHIFT * SHIFT;
    let without = |v: S::V| (s.sum(v) - beyond).max(0.0);
    (without(first), without(second))
}

/// Sums over queries.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    compactness: f64,
    separateness: f64,
    entropy: f64,
    /// `[M]`
    addresses: Vec<f64>,
    /// The largest similarity of each item to any query, `[M]`; -inf without one.
    pub(super) top: Vec<f32>,
}

impl Sums {
    fn new(items: usize) -> Self {
        Self {
            addresses: vec![0.0; items],
            top: vec![f32::NEG_INFINITY; items],
            ..Self::default()
        }
    }

    fn add(&mut self, other: &Self) {
        self.compactness += other.compactness;
        self.separateness += other.separateness;
        self.entropy += other.entropy;
        for (sum, a) in self.addresses.iter_mut().zip(&other.addresses) {
            *sum += a;
        }
        larger(&mut self.top, &other.top);
    }
}

/// Each of `top`, or where it is larger that of `other`; no NaN is larger.
#[inline(always)]
fn larger(top: &mut [f32], other: &[f32]) {
    for (t, o) in top.iter_mut().zip(other) {
        *t = if *o > *t { *o } else { *t };
    }
}

/// One row of queries that was just read.
struct RowLosses<'a> {
    items: &'a PackedItems,
    scale: f32,
    queries: &'a [f32],
    similarities: &'a [f32],
    addresses: &'a [f32],
    nearest: &'a [Nearest],
    of_query: &'a mut [QueryLosses],
    sums: &'a mut Sums,
}

impl Kernel for RowLosses<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (count, d) = (self.items.count, self.items.features);
        let item = |i: usize| &self.items.rows[i * d..][..d];
        // Sums over a row are short enough for f32.
        let wide = count.next_multiple_of(S::LANES);
        let (mut addresses, mut top) = (Scratch::take(wide), Scratch::take(wide));
        addresses.fill(0.0);
        top.fill(f32::NEG_INFINITY);
        let (mut compactness, mut entropy) = (s.zero(), s.zero());
        let queries = self.queries.chunks_exact(d);
        let similarities = self.similarities.chunks_exact(count);
        let similarities = similarities.zip(self.addresses.chunks_exact(count));
        let of_query = self.nearest.iter().zip(self.of_query);
        for ((q, (similarity, address)), (nearest, of_query)) in
            queries.zip(similarities).zip(of_query)
        {
            let [first, second] = nearest.map(|i| i as usize);
            let other = if second < count { second } else { first };
            let (near, far) = squared_distances(s, q, item(first), item(other), &mut compactness);
            (of_query.near, of_query.far) = (near.sqrt(), far.sqrt());
            if second < count {
                self.sums.separateness += f64::from((of_query.near - of_query.far + 1.0).max(0.0));
            }
            of_query.top = address[first].ln();
            let logarithms = Logarithms::new(s, similarity[first], of_query.top, self.scale);
            let mut i = 0;
            while i < count {
                let n = S::LANES.min(count - i);
                // SAFETY: `n` items are left in the rows; sums are whole vectors.
                unsafe {
                    let a = load(s, address.as_ptr().add(i), n);
                    let similarity = load(s, similarity.as_ptr().add(i), n);
                    entropy = s.fnma(a, logarithms.of(similarity, a), entropy);
                    let top = top.as_mut_ptr().add(i);
                    // In this order a NaN is not taken.
                    s.store(top, s.max(similarity, s.load(top)));
                    let sum = addresses.as_mut_ptr().add(i);
                    s.store(sum, s.add(s.load(sum), a));
                }
                i += n;
            }
        }
        self.sums.compactness += f64::from(s.sum(compactness));
        self.sums.entropy += f64::from(s.sum(entropy));
        larger(&mut self.sums.top, &top);
        for (sum, a) in self.sums.addresses.iter_mut().zip(addresses.iter()) {
            *sum += f64::from(*a);
        }
    }
}

/// Logarithms of a softmax without taking more than one.
#[derive(Clone, Copy)]
pub(super) struct Logarithms<S: Simd> {
    s: S,
    best: S::V,
    scale: S::V,
    top: S::V,
}

impl<S: Simd> Logarithms<S> {
    /// From the similarity and the logarithm of the largest probability.
    #[inline(always)]
    pub(super) fn new(s: S, best: f32, top: f32, scale: f32) -> Self {
        Self {
            s,
            best: s.splat(best),
            scale: s.splat(scale),
            top: s.splat(top),
        }
    }

    /// ln max(a, 1e-12) of items with these similarities.
    #[inline(always)]
    pub(super) fn of(self, similarity: S::V, address: S::V) -> S::V {
        let s = self.s;
        let logarithm = s.fma(s.sub(similarity, self.best), self.scale, self.top);
        let smallest = s.splat(SMALLEST_LOGARITHM);
        s.if_greater(address, s.splat(SMALLEST_PROBABILITY), logarithm, smallest)
    }
}
