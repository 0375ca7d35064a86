//! A pool while training: losses and the gradient of the features (METHOD.md, A pool).

use super::{Addressing, PackedItems, Readings, multiply, norm, read_items};
use crate::buffers::{AlignedBuf, Scratch};
use crate::isa::{Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::view::{Shape, View, ViewMut};

/// Added to each difference in the norms of separateness, as PyTorch's triplet loss does.
const SHIFT: f32 = 1e-6;
/// Probabilities below this count as this in logarithms.
const SMALLEST_PROBABILITY: f32 = 1e-12;
/// Its logarithm.
const SMALLEST_LOGARITHM: f32 = -27.631_021;

/// Weights of the parts of the loss that belong to pools.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossWeights {
    /// Of compactness.
    pub compactness: f32,
    /// Of separateness.
    pub separateness: f32,
    /// Of information.
    pub information: f32,
}

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
    mean_address: Vec<f64>,
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
        let queries = self.shape.pixels().max(1) as f64;
        let entropy = |p: f64| -p * p.max(f64::from(SMALLEST_PROBABILITY)).ln();
        self.mean_address = sums.addresses.iter().map(|a| a / queries).collect();
        let of_mean: f64 = self.mean_address.iter().map(|&p| entropy(p)).sum();
        PoolLosses {
            compactness: sums.compactness / (queries * items.features as f64),
            separateness: sums.separateness / queries,
            information: (sums.entropy / queries - of_mean) / (count as f64).ln(),
        }
    }

    /// Gradient of the features: through what was read (unless `detach_read`), through the queries
    /// that were handed on, and of the weighted losses. Call [`Lookup::losses`] before.
    /// `gradient` is overwritten.
    ///
    /// # Panics
    /// If shapes do not fit together.
    #[allow(clippy::too_many_arguments)]
    pub fn backward(
        &self,
        features: View<'_>,
        items: &PackedItems,
        weights: LossWeights,
        detach_read: bool,
        of_read: View<'_>,
        of_queries: Option<View<'_>>,
        mut gradient: ViewMut<'_>,
    ) {
        let how = self.check(items);
        let shape = self.shape;
        for (what, s) in [
            ("features", features.shape()),
            ("gradient", gradient.shape()),
            ("of_read", of_read.shape()),
        ] {
            assert_eq!(s, shape, "{what} of a lookup");
        }
        assert!(
            of_queries.is_none_or(|q| q.shape() == shape),
            "of_queries of a lookup"
        );
        assert_eq!(
            self.mean_address.len(),
            items.count,
            "losses of a lookup come before its gradient"
        );
        let isa = items.isa;
        let queries = shape.pixels().max(1) as f64;
        // h'(mean address) of the information loss.
        let of_mean: Vec<f32> = self
            .mean_address
            .iter()
            .map(|&p| entropy_slope(p as f32, (p as f32).ln()))
            .collect();
        let wide = items.count.next_multiple_of(isa.lanes());
        let out = gradient.shared();
        Strips::new(shape).for_each(|strip| {
            let mut table = Scratch::take(shape.width * wide);
            let mut row = Scratch::take(shape.width * items.features);
            for y in strip.y..strip.y + strip.rows {
                let first = (strip.image * shape.height + y) * shape.width;
                let from = of_read.ptr(strip.image, y, 0);
                let table_start = table.as_mut_ptr();
                multiply(
                    isa,
                    &items.compare,
                    from,
                    of_read.pixel_stride(),
                    table_start,
                    wide,
                    shape.width,
                );
                let mut shifts = Scratch::take(shape.width);
                isa.run(Coefficients {
                    lookup: self,
                    items,
                    scale: 1.0 / how.temperature,
                    detach_read,
                    compactness: (2.0 * f64::from(weights.compactness)
                        / (queries * items.features as f64))
                        as f32,
                    separateness: (f64::from(weights.separateness) / queries) as f32,
                    information: (f64::from(weights.information)
                        / queries
                        / (items.count as f64).ln()) as f32,
                    of_mean: &of_mean,
                    first,
                    table: &mut table,
                    wide,
                    shifts: &mut shifts,
                });
                multiply(
                    isa,
                    &items.read,
                    table.as_ptr(),
                    wide,
                    row.as_mut_ptr(),
                    items.features,
                    shape.width,
                );
                isa.run(Normalisation {
                    features: features.ptr(strip.image, y, 0),
                    features_pixel: features.pixel_stride(),
                    queries: &self.queries[first * items.features..]
                        [..shape.width * items.features],
                    row: &mut row,
                    shifts: &shifts,
                    of_queries: of_queries.map(|q| (q.ptr(strip.image, y, 0), q.pixel_stride())),
                    // SAFETY: the rows of a strip are written by its task alone.
                    to: unsafe { out.ptr(strip.image, y, 0) },
                    to_pixel: out.pixel_stride(),
                    columns: shape.width,
                    len: items.features,
                });
            }
        });
    }

    fn check(&self, items: &PackedItems) -> Addressing {
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

    fn addresses_of(&self, query: usize) -> &[f32] {
        &self.addresses[query * self.items..][..self.items]
    }

    pub(super) fn query(&self, query: usize) -> &[f32] {
        &self.queries[query * self.shape.channels..][..self.shape.channels]
    }
}

/// d/dp of -p ln max(p, 1e-12), given ln p.
fn entropy_slope(p: f32, logarithm: f32) -> f32 {
    if p > SMALLEST_PROBABILITY {
        -logarithm - 1.0
    } else {
        -SMALLEST_LOGARITHM
    }
}

/// The most and second most similar item, the first of equals.
#[inline(always)]
fn two_nearest(similarities: &[f32]) -> (usize, usize) {
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
fn squared_distances<S: Simd>(s: S, q: &[f32], m: &[f32]) -> (f32, f32) {
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
struct Logarithms {
    best: f32,
    scale: f32,
    /// Of the largest probability.
    top: f32,
}

impl Logarithms {
    #[inline(always)]
    fn new(similarities: &[f32], addresses: &[f32], nearest: usize, scale: f32) -> Self {
        Self {
            best: similarities[nearest],
            scale,
            top: addresses[nearest].ln(),
        }
    }

    /// ln max(a, 1e-12) of the item with this similarity.
    #[inline(always)]
    fn of(&self, similarity: f32, address: f32) -> f32 {
        if address > SMALLEST_PROBABILITY {
            (similarity - self.best) * self.scale + self.top
        } else {
            SMALLEST_LOGARITHM
        }
    }
}

/// From gradients of the addresses (in `table`) to factors of the items in the gradient of the
/// queries, one row of pixels.
struct Coefficients<'a> {
    lookup: &'a Lookup,
    items: &'a PackedItems,
    scale: f32,
    detach_read: bool,
    compactness: f32,
    separateness: f32,
    information: f32,
    of_mean: &'a [f32],
    first: usize,
    table: &'a mut [f32],
    wide: usize,
    /// One summand for all features of each query.
    shifts: &'a mut [f32],
}

impl Kernel for Coefficients<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.items.features;
        for (x, row) in self.table.chunks_exact_mut(self.wide).enumerate() {
            let k = self.first + x;
            let row = &mut row[..self.items.count];
            let (similarities, addresses) =
                (self.lookup.similarities_of(k), self.lookup.addresses_of(k));
            let (first, second) = two_nearest(similarities);
            if self.detach_read {
                row.fill(0.0);
            }
            if self.information != 0.0 {
                let logarithm = Logarithms::new(similarities, addresses, first, self.scale);
                for (i, g) in row.iter_mut().enumerate() {
                    let slope =
                        entropy_slope(addresses[i], logarithm.of(similarities[i], addresses[i]));
                    *g += self.information * (slope - self.of_mean[i]);
                }
            }
            // Through the softmax.
            let mean: f32 = row.iter().zip(addresses).map(|(g, a)| g * a).sum();
            for (g, a) in row.iter_mut().zip(addresses) {
                *g = a * (*g - mean) * self.scale;
            }
            // The query's own part of the two losses below is lost in the normalisation, but for
            // queries of norm 0, which have no direction to be moved in.
            row[first] -= self.compactness;
            self.shifts[x] = 0.0;
            if self.separateness != 0.0 && second < row.len() {
                let q = self.lookup.query(k);
                let near = squared_distances(s, q, &self.items.rows[first * d..][..d])
                    .1
                    .sqrt();
                let far = squared_distances(s, q, &self.items.rows[second * d..][..d])
                    .1
                    .sqrt();
                if near - far + 1.0 > 0.0 {
                    let inverse = |v: f32| if v > 0.0 { self.separateness / v } else { 0.0 };
                    row[first] -= inverse(near);
                    row[second] += inverse(far);
                    self.shifts[x] = (inverse(near) - inverse(far)) * SHIFT;
                }
            }
        }
    }
}

/// Gradient of `x / max(|x|, 1e-12)`, one row of pixels.
struct Normalisation<'a> {
    features: *const f32,
    features_pixel: usize,
    queries: &'a [f32],
    /// Gradients of the queries.
    row: &'a mut [f32],
    shifts: &'a [f32],
    of_queries: Option<(*const f32, usize)>,
    to: *mut f32,
    to_pixel: usize,
    columns: usize,
    len: usize,
}

impl Kernel for Normalisation<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in 0..self.columns {
            let query = &self.queries[x * self.len..][..self.len];
            let row = &mut self.row[x * self.len..][..self.len];
            let shift = s.splat(self.shifts[x]);
            let mut product = s.zero();
            let mut i = 0;
            while i < self.len {
                let n = S::LANES.min(self.len - i);
                // SAFETY: `n` features are left in all of them.
                unsafe {
                    let mut g = s.add(load(s, row.as_ptr().add(i), n), shift);
                    if let Some((of_queries, pixel)) = self.of_queries {
                        g = s.add(g, load(s, of_queries.add(x * pixel + i), n));
                    }
                    store(s, row.as_mut_ptr().add(i), g, n);
                    product = s.fma(g, load(s, query.as_ptr().add(i), n), product);
                }
                i += n;
            }
            // SAFETY: pixel x has `len` features.
            let (squares, factor) =
                unsafe { norm(s, self.features.add(x * self.features_pixel), self.len) };
            // Below the smallest norm the divisor is a constant.
            let along = if squares.sqrt() > super::SMALLEST_NORM {
                s.sum(product)
            } else {
                0.0
            };
            let (along, factor) = (s.splat(along), s.splat(factor));
            let mut i = 0;
            while i < self.len {
                let n = S::LANES.min(self.len - i);
                // SAFETY: `n` features are left in all of them.
                unsafe {
                    let (g, q) = (
                        load(s, row.as_ptr().add(i), n),
                        load(s, query.as_ptr().add(i), n),
                    );
                    store(
                        s,
                        self.to.add(x * self.to_pixel + i),
                        s.mul(s.fnma(along, q, g), factor),
                        n,
                    );
                }
                i += n;
            }
        }
    }
}
