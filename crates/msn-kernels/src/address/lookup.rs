//! What a pool answers while training, and its losses (METHOD.md, A pool).

use super::{Addressing, PackedItems, Readings, read_items};
use crate::buffers::AlignedBuf;
use crate::isa::{Kernel, Simd};
use crate::joint::{Joint, summed};
use crate::pixels::{Strips, load};
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
    pub(super) how: Option<Addressing>,
    /// `[K, D]`
    queries: AlignedBuf,
    /// `[K, M]`
    similarities: AlignedBuf,
    /// `[K, M]`
    addresses: AlignedBuf,
    pub(super) mean_address: Vec<f64>,
}

impl Lookup {
    /// Looks up `features` and writes what is read, `[N, h, w, D]`, and where asked for the unit
    /// queries.
    ///
    /// # Panics
    /// As [`read_items`].
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
        (self.shape, self.items, self.how) = (shape, items.count, Some(how));
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
        read_items(features, items, how, to);
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
        for row in self.similarities.chunks_exact(self.items.max(1)) {
            usage[(1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })] += 1;
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
        let this = &*self;
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
                queries: first..first + strip.rows * this.shape.width,
                sums: &mut part,
            });
            part
        });
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
        self.how.unwrap_or(Addressing {
            temperature: 1.0,
            top_k: 0,
        })
    }

    pub(super) fn similarities_of(&self, query: usize) -> &[f32] {
        &self.similarities[query * self.items..][..self.items]
    }

    pub(super) fn addresses_of(&self, query: usize) -> &[f32] {
        &self.addresses[query * self.items..][..self.items]
    }

    pub(super) fn query(&self, query: usize) -> &[f32] {
        &self.queries[query * self.shape.channels..][..self.shape.channels]
    }
}

/// The most and second most similar item, the first of equals.
#[inline(always)]
pub(super) fn two_nearest(similarities: &[f32]) -> (usize, usize) {
    let (mut first, mut second) = (0, 1);
    if similarities.len() > 1 && similarities[1] > similarities[0] {
        (first, second) = (1, 0);
    }
    for (i, &s) in similarities.iter().enumerate().skip(2) {
        if s > similarities[first] {
            (first, second) = (i, first);
        } else if s > similarities[second] {
            second = i;
        }
    }
    (first, second)
}

/// |q - m|^2 and |q - m + 1e-6|^2, the latter with 1e-6 added to each difference.
#[inline(always)]
pub(super) fn squared_distances<S: Simd>(s: S, q: &[f32], m: &[f32]) -> (f32, f32) {
    assert_eq!(q.len(), m.len());
    let (mut plain, mut shifted) = (s.zero(), s.zero());
    let mut i = 0;
    while i < q.len() {
        let n = S::LANES.min(q.len() - i);
        // SAFETY: `n` values are left in both.
        unsafe {
            let d = s.sub(load(s, q.as_ptr().add(i), n), load(s, m.as_ptr().add(i), n));
            plain = s.fma(d, d, plain);
            let d = s.add(d, s.splat(SHIFT));
            shifted = s.fma(d, d, shifted);
        }
        i += n;
    }
    // Lanes past the end hold 0 and the shift; take the latter out again.
    let beyond = q.len().next_multiple_of(S::LANES) - q.len();
    (
        s.sum(plain),
        (s.sum(shifted) - beyond as f32 * SHIFT * SHIFT).max(0.0),
    )
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
    queries: std::ops::Range<usize>,
    sums: &'a mut Sums,
}

impl Kernel for StripLosses<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.items.features;
        for k in self.queries {
            let (similarities, addresses) =
                (self.lookup.similarities_of(k), self.lookup.addresses_of(k));
            let (first, second) = two_nearest(similarities);
            let q = self.lookup.query(k);
            let (compact, near) = squared_distances(s, q, &self.items.rows[first * d..][..d]);
            self.sums.compactness += f64::from(compact);
            if second < similarities.len() {
                let (_, far) = squared_distances(s, q, &self.items.rows[second * d..][..d]);
                self.sums.separateness += f64::from((near.sqrt() - far.sqrt() + 1.0).max(0.0));
            }
            let logarithm = Logarithms::new(similarities, addresses, first, self.scale);
            let mut entropy = 0.0;
            for (i, &a) in addresses.iter().enumerate() {
                self.sums.addresses[i] += f64::from(a);
                entropy -= a * logarithm.of(similarities[i], a);
            }
            self.sums.entropy += f64::from(entropy);
        }
    }
}

/// Logarithms of a softmax without taking more than one.
pub(super) struct Logarithms {
    best: f32,
    scale: f32,
    /// Of the largest probability.
    top: f32,
}

impl Logarithms {
    #[inline(always)]
    pub(super) fn new(similarities: &[f32], addresses: &[f32], nearest: usize, scale: f32) -> Self {
        Self {
            best: similarities[nearest],
            scale,
            top: addresses[nearest].ln(),
        }
    }

    /// ln max(a, 1e-12) of the item with this similarity.
    #[inline(always)]
    pub(super) fn of(&self, similarity: f32, address: f32) -> f32 {
        if address > SMALLEST_PROBABILITY {
            (similarity - self.best) * self.scale + self.top
        } else {
            SMALLEST_LOGARITHM
        }
    }
}
