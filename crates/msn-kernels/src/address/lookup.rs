//! What a pool answers while training, and its losses (METHOD.md, A pool).

use super::{Addressing, Nearest, PackedItems, Readings};
use crate::buffers::{AlignedBuf, Scratch};
use crate::isa::{Isa, Kernel, Simd};
use crate::joint::{Joint, summed};
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

/// What a pool answered to one batch of features, kept for losses, gradient and write.
#[derive(Clone, Debug, Default)]
pub struct Lookup {
    pub(super) shape: Shape,
    pub(super) items: usize,
    pub(super) how: Option<(Addressing, Isa)>,
    /// `[K, D]`
    queries: AlignedBuf,
    /// `[K, M]`
    similarities: AlignedBuf,
    /// `[K, M]`
    addresses: AlignedBuf,
    /// Of each query, filled by `read`.
    nearest: Vec<Nearest>,
    /// Of each query, filled by `losses`.
    pub(super) kept: Vec<Kept>,
    pub(super) mean_address: Vec<f64>,
}

/// What the losses of a query leave for its gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kept {
    /// Logarithm of its largest address.
    pub(super) top: f32,
    /// Distance to the nearest item, and to the second nearest, with 1e-6 in each difference.
    pub(super) near: f32,
    pub(super) far: f32,
}

impl Lookup {
    /// Looks up `features` and writes what is read, `[N, h, w, D]`, and where asked for the unit
    /// queries.
    ///
    /// # Panics
    /// As [`read_items`](super::read_items).
    pub fn read(
        &mut self,
        features: View<'_>,
        items: &PackedItems,
        how: Addressing,
        read: ViewMut<'_>,
        queries: Option<ViewMut<'_>>,
    ) {
        let shape = features.shape();
        let by_item = shape.with_channels(items.count);
        (self.shape, self.items, self.how) = (shape, items.count, Some((how, items.isa)));
        self.nearest.resize(shape.pixels(), Nearest::default());
        self.queries.resize(shape.len());
        self.similarities.resize(by_item.len());
        self.addresses.resize(by_item.len());
        let to = Readings {
            queries: Some(ViewMut::dense(&mut self.queries, shape)),
            read: Some(read),
            addresses: Some(ViewMut::dense(&mut self.addresses, by_item)),
            similarities: Some(ViewMut::dense(&mut self.similarities, by_item)),
            distances: None,
        };
        super::read(features, items, how, to, Some(&mut self.nearest));
        if let Some(to) = queries {
            crate::view::copy(View::dense(&self.queries, shape), to);
        }
    }

    /// The unit queries, `[K, D]` with K = N h w.
    pub fn queries(&self) -> &[f32] {
        &self.queries
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
        let mut usage = vec![0; self.items];
        for [first, _] in &self.nearest {
            usage[*first as usize] += 1;
        }
        usage
    }

    /// The three losses. `items` are those that were looked up.
    ///
    /// # Panics
    /// If the items have another size.
    pub fn losses(&mut self, items: &PackedItems) -> PoolLosses {
        self.joint_losses(items, None)
    }

    /// [`Lookup::losses`] of the queries of several devices.
    pub(crate) fn joint_losses(
        &mut self,
        items: &PackedItems,
        joint: Option<&dyn Joint>,
    ) -> PoolLosses {
        let how = self.check(items);
        let count = items.count;
        let mut kept = std::mem::take(&mut self.kept);
        kept.resize(self.shape.pixels(), Kept::default());
        let (this, all) = (&*self, SharedMut::new(&mut kept));
        let parts = Strips::new(self.shape).map(|strip| {
            let first = (strip.image * this.shape.height + strip.y) * this.shape.width;
            let mut part = Sums {
                addresses: vec![0.0; count],
                ..Sums::default()
            };
            items.isa.run(StripLosses {
                lookup: this,
                items,
                scale: 1.0 / how.temperature,
                first,
                // SAFETY: strips do not overlap.
                kept: unsafe { all.part(first, strip.rows * this.shape.width) },
                sums: &mut part,
            });
            part
        });
        self.kept = kept;
        let mut sums = Sums {
            addresses: vec![0.0; count],
            ..Sums::default()
        };
        for part in &parts {
            sums.compactness += part.compactness;
            sums.separateness += part.separateness;
            sums.entropy += part.entropy;
            for (sum, a) in sums.addresses.iter_mut().zip(&part.addresses) {
                *sum += a;
            }
        }
        let mut all = [sums.compactness, sums.separateness, sums.entropy].to_vec();
        all.append(&mut sums.addresses);
        summed(joint, &mut all);
        sums.addresses = all.split_off(3);
        [sums.compactness, sums.separateness, sums.entropy] = [all[0], all[1], all[2]];
        let queries = (self.shape.pixels().max(1) * joint.map_or(1, Joint::devices)) as f64;
        let entropy = |p: f64| -p * p.max(f64::from(SMALLEST_PROBABILITY)).ln();
        self.mean_address = sums.addresses.iter().map(|a| a / queries).collect();
        let of_mean: f64 = self.mean_address.iter().map(|&p| entropy(p)).sum();
        PoolLosses {
            compactness: sums.compactness / (queries * items.features as f64),
            separateness: sums.separateness / queries,
            information: (sums.entropy / queries - of_mean) / (count as f64).ln(),
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

    pub(super) fn query(&self, query: usize) -> &[f32] {
        &self.queries[query * self.shape.channels..][..self.shape.channels]
    }
}

/// |q - m|^2 and |q - m + 1e-6|^2, the latter with 1e-6 added to each difference, of the items
/// `near` and `far`; |q - m|^2 of the former alone.
#[inline(always)]
fn squared_distances<S: Simd>(s: S, q: &[f32], near: &[f32], far: &[f32]) -> (f32, f32, f32) {
    assert!(q.len() == near.len() && q.len() == far.len());
    let shift = s.splat(SHIFT);
    let (mut plain, mut shifted, mut second) = (s.zero(), s.zero(), s.zero());
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
        plain = s.fma(d, d, plain);
        let d = s.add(d, shift);
        shifted = s.fma(d, d, shifted);
        let d = s.add(s.sub(q, far), shift);
        second = s.fma(d, d, second);
        i += n;
    }
    // Lanes past the end hold 0 and the shift; take the latter out again.
    let beyond = (q.len().next_multiple_of(S::LANES) - q.len()) as f32 * SHIFT * SHIFT;
    let without = |v: S::V| (s.sum(v) - beyond).max(0.0);
    (s.sum(plain), without(shifted), without(second))
}

#[derive(Default)]
struct Sums {
    compactness: f64,
    separateness: f64,
    entropy: f64,
    addresses: Vec<f64>,
}

struct StripLosses<'a> {
    lookup: &'a Lookup,
    items: &'a PackedItems,
    scale: f32,
    first: usize,
    kept: &'a mut [Kept],
    sums: &'a mut Sums,
}

/// Queries whose addresses are summed in `f32` before they go into an `f64`.
const SUMMED: usize = 64;

impl Kernel for StripLosses<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (count, d) = (self.items.count, self.items.features);
        let item = |i: usize| &self.items.rows[i * d..][..d];
        let mut addresses = Scratch::take(count.next_multiple_of(S::LANES));
        for (block, kept) in self.kept.chunks_mut(SUMMED).enumerate() {
            addresses.fill(0.0);
            let mut entropy = s.zero();
            for (k, kept) in (self.first + block * SUMMED..).zip(kept) {
                let (similarity, address) =
                    (self.lookup.similarities_of(k), self.lookup.addresses_of(k));
                let [first, second] = self.lookup.nearest_of(k);
                let other = if second < count { second } else { first };
                let q = self.lookup.query(k);
                let (plain, near, far) = squared_distances(s, q, item(first), item(other));
                self.sums.compactness += f64::from(plain);
                (kept.near, kept.far) = (near.sqrt(), far.sqrt());
                if second < count {
                    self.sums.separateness += f64::from((kept.near - kept.far + 1.0).max(0.0));
                }
                kept.top = address[first].ln();
                let logarithms = Logarithms::new(s, similarity[first], kept.top, self.scale);
                let mut i = 0;
                while i < count {
                    let n = S::LANES.min(count - i);
                    // SAFETY: `n` items are left in the rows; sums are whole vectors.
                    unsafe {
                        let a = load(s, address.as_ptr().add(i), n);
                        let logarithm = logarithms.of(load(s, similarity.as_ptr().add(i), n), a);
                        entropy = s.fnma(a, logarithm, entropy);
                        let sum = addresses.as_mut_ptr().add(i);
                        s.store(sum, s.add(s.load(sum), a));
                    }
                    i += n;
                }
            }
            self.sums.entropy += f64::from(s.sum(entropy));
            for (sum, a) in self.sums.addresses.iter_mut().zip(addresses.iter()) {
                *sum += f64::from(*a);
            }
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
