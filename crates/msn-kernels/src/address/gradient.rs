//! Gradient of a pool's features while training.

use super::lookup::{Logarithms, SHIFT, SMALLEST_LOGARITHM, SMALLEST_PROBABILITY, TrainingLookup};
use super::reading::multiply;
use super::{PackedItems, SMALLEST_NORM};
use crate::buffers::Scratch;
use crate::isa::{Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::view::{View, ViewMut};

/// Weights of the parts of the loss that belong to pools.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PoolLossWeights {
    /// Of compactness.
    pub compactness: f32,
    /// Of separateness.
    pub separateness: f32,
    /// Of information.
    pub information: f32,
}

/// Gradients of what a lookup gave, each `[N, h, w, D]`.
#[derive(Clone, Copy, Debug)]
pub struct ReadGradient<'a> {
    /// Of what was read.
    pub read: View<'a>,
    /// Of the unit queries, where they were written out.
    pub queries: Option<View<'a>>,
}

impl TrainingLookup {
    /// Gradient of the features that were looked up: through what was read (unless `detach_read`),
    /// through the unit queries, and of the weighted losses. Call [`TrainingLookup::losses`] before.
    /// `features` and `items` are those that were looked up; `gradient` is overwritten.
    ///
    /// # Panics
    /// If shapes do not fit together.
    pub fn backward(
        &self,
        features: View<'_>,
        items: &PackedItems,
        weights: PoolLossWeights,
        detach_read: bool,
        of: ReadGradient<'_>,
        mut gradient: ViewMut<'_>,
    ) {
        let how = self.check(items);
        let shape = self.shape;
        for (what, s) in [
            ("features", features.shape()),
            ("gradient", gradient.shape()),
            ("of.read", of.read.shape()),
        ] {
            assert_eq!(s, shape, "{what} of a lookup");
        }
        assert!(
            of.queries.is_none_or(|q| q.shape() == shape),
            "of.queries of a lookup"
        );
        assert_eq!(
            self.mean_address.len(),
            items.count,
            "losses of a lookup come before its gradient"
        );
        let isa = items.isa;
        let queries = shape.pixels().max(1) as f64;
        let wide = items.count.next_multiple_of(isa.lanes());
        // h'(mean address) of the information loss.
        let mut of_mean = Scratch::take(wide);
        of_mean.fill(0.0);
        for (to, &p) in of_mean.iter_mut().zip(&self.mean_address) {
            *to = entropy_slope(p as f32);
        }
        let out = gradient.shared();
        Strips::new(shape).for_each(|strip| {
            let mut table = Scratch::take(shape.width * wide);
            let mut row = Scratch::take(shape.width * items.features);
            let mut shifts = Scratch::take(shape.width);
            for y in strip.y..strip.y + strip.rows {
                let first = (strip.image * shape.height + y) * shape.width;
                let from = of.read.ptr(strip.image, y, 0);
                let table_start = table.as_mut_ptr();
                multiply(
                    isa,
                    &items.compare,
                    from,
                    of.read.pixel_stride(),
                    table_start,
                    wide,
                    shape.width,
                    true,
                );
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
                    next: [
                        (features.ptr(strip.image, y, 0), features.pixel_stride()),
                        // SAFETY: the rows of a strip are written by its task alone.
                        (unsafe { out.ptr(strip.image, y, 0) }, out.pixel_stride()),
                    ],
                });
                multiply(
                    isa,
                    &items.read,
                    table.as_ptr(),
                    wide,
                    row.as_mut_ptr(),
                    items.features,
                    shape.width,
                    false,
                );
                isa.run(Normalisation {
                    norms: &self.norms[first..][..shape.width],
                    features: features.ptr(strip.image, y, 0),
                    pixel: features.pixel_stride(),
                    row: &mut row,
                    shifts: &shifts,
                    of_queries: of
                        .queries
                        .map(|q| (q.ptr(strip.image, y, 0), q.pixel_stride())),
                    // SAFETY: the rows of a strip are written by its task alone.
                    to: unsafe { out.ptr(strip.image, y, 0) },
                    to_pixel: out.pixel_stride(),
                    columns: shape.width,
                    len: items.features,
                });
            }
        });
    }
}

/// d/dp of -p ln max(p, 1e-12).
fn entropy_slope(p: f32) -> f32 {
    if p > SMALLEST_PROBABILITY {
        -p.ln() - 1.0
    } else {
        -SMALLEST_LOGARITHM
    }
}

/// From gradients of the addresses (in `table`) to factors of the items in the gradient of the
/// queries, one row of pixels.
struct Coefficients<'a> {
    lookup: &'a TrainingLookup,
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
    /// Rows that are wanted next, with the distances of their pixels; the caches have lost them.
    next: [(*const f32, usize); 2],
}

impl Kernel for Coefficients<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let count = self.items.count;
        assert!(self.wide.is_multiple_of(S::LANES) && self.of_mean.len() == self.wide);
        let (scale, information) = (s.splat(self.scale), s.splat(self.information));
        for (x, row) in self.table.chunks_exact_mut(self.wide).enumerate() {
            let k = self.first + x;
            for (start, pixel) in self.next {
                s.prefetch(start.wrapping_add(x * pixel), self.items.features);
            }
            let (similarity, address) =
                (self.lookup.similarities_of(k), self.lookup.addresses_of(k));
            let [first, second] = self.lookup.nearest_of(k);
            let of_query = self.lookup.per_query[k];
            let logarithms = Logarithms::new(s, similarity[first], of_query.top, self.scale);
            let mut products = s.zero();
            let mut i = 0;
            while i < count {
                let n = S::LANES.min(count - i);
                // SAFETY: `n` items are left in the rows; `row` and `of_mean` are whole vectors.
                unsafe {
                    let a = load(s, address.as_ptr().add(i), n);
                    let at = row.as_mut_ptr().add(i);
                    let mut g = if self.detach_read {
                        s.zero()
                    } else {
                        s.load(at)
                    };
                    if self.information != 0.0 {
                        let logarithm = logarithms.of(load(s, similarity.as_ptr().add(i), n), a);
                        let slope = s.sub(s.splat(-1.0), logarithm);
                        let smallest = s.splat(-SMALLEST_LOGARITHM);
                        let slope = s.if_greater(a, s.splat(SMALLEST_PROBABILITY), slope, smallest);
                        let of_mean = s.load(self.of_mean.as_ptr().add(i));
                        g = s.fma(information, s.sub(slope, of_mean), g);
                    }
                    products = s.fma(g, a, products);
                    s.store(at, g);
                }
                i += n;
            }
            // Through the softmax.
            let mean = s.splat(s.sum(products));
            let mut i = 0;
            while i < count {
                let n = S::LANES.min(count - i);
                // SAFETY: as above.
                unsafe {
                    let a = load(s, address.as_ptr().add(i), n);
                    let at = row.as_mut_ptr().add(i);
                    s.store(at, s.mul(s.mul(a, s.sub(s.load(at), mean)), scale));
                }
                i += n;
            }
            // The query's own part of the two losses below is lost in the normalisation, but for
            // queries of norm 0, which have no direction to be moved in.
            row[first] -= self.compactness;
            self.shifts[x] = 0.0;
            let (near, far) = (of_query.near, of_query.far);
            if self.separateness != 0.0 && second < count && near - far + 1.0 > 0.0 {
                let inverse = |v: f32| if v > 0.0 { self.separateness / v } else { 0.0 };
                row[first] -= inverse(near);
                row[second] += inverse(far);
                self.shifts[x] = (inverse(near) - inverse(far)) * SHIFT;
            }
        }
    }
}

/// Gradient of `x / max(|x|, 1e-12)`, one row of pixels.
struct Normalisation<'a> {
    /// Norms of the features.
    norms: &'a [f32],
    features: *const f32,
    pixel: usize,
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
            let features = self.features.wrapping_add(x * self.pixel);
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
                    product = s.fma(g, load(s, features.add(i), n), product);
                }
                i += n;
            }
            let norm = self.norms[x];
            let factor = 1.0 / norm.max(SMALLEST_NORM);
            // Below the smallest norm the divisor is a constant.
            let along = if norm > SMALLEST_NORM {
                s.sum(product) * factor * factor
            } else {
                0.0
            };
            let (along, factor) = (s.splat(along), s.splat(factor));
            let mut i = 0;
            while i < self.len {
                let n = S::LANES.min(self.len - i);
                // SAFETY: `n` features are left in all of them.
                unsafe {
                    let (g, v) = (load(s, row.as_ptr().add(i), n), load(s, features.add(i), n));
                    store(
                        s,
                        self.to.add(x * self.to_pixel + i),
                        s.mul(s.fnma(along, v, g), factor),
                        n,
                    );
                }
                i += n;
            }
        }
    }
}
