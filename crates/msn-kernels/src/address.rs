//! Memory pools: addressing, reading and distances of unit queries against unit items, in one pass
//! over the features and without storing the queries.

mod gradient;
mod lookup;
mod write;

pub use gradient::LossWeights;
pub use lookup::{Lookup, PoolLosses};
pub(crate) use write::Gathered;
pub use write::{WriteRule, write_items};

use crate::buffers::Scratch;
use crate::gather::Gather;
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::precision::Precision;
use crate::threads::SharedMut;
use crate::view::{View, ViewMut};
use crate::weights::{Channels, Panels};

/// Norms below this count as this: METHOD.md's `x / max(|x|, 1e-12)`.
const SMALLEST_NORM: f32 = 1e-12;

/// How queries address items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addressing {
    /// Similarities are divided by this, > 0.
    pub temperature: f32,
    /// Only the items at least as similar as the `top_k`-th count; 0 = all.
    pub top_k: usize,
}

/// The items of one pool, `[M, D]`, arranged for one instruction set.
#[derive(Clone, Debug)]
pub struct PackedItems {
    isa: Isa,
    count: usize,
    features: usize,
    /// `[count, features]`.
    rows: Vec<f32>,
    /// From features to similarities.
    compare: Panels,
    /// From addresses to features.
    read: Panels,
    squared_norms: Vec<f32>,
}

impl PackedItems {
    /// Packs `items`, `count` rows of `features`.
    ///
    /// # Panics
    /// If the length is not `count * features`, or one of them is 0.
    pub fn new(isa: Isa, items: &[f32], count: usize, features: usize) -> Self {
        assert!(
            count > 0 && features > 0,
            "a pool of {count} items with {features} features"
        );
        assert_eq!(
            items.len(),
            count * features,
            "the length of {count} items with {features} features"
        );
        let mut turned = vec![0.0; items.len()];
        for (i, item) in items.chunks_exact(features).enumerate() {
            for (d, v) in item.iter().enumerate() {
                turned[d * count + i] = *v;
            }
        }
        let squared = |item: &[f32]| item.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() as f32;
        Self {
            isa,
            count,
            features,
            rows: items.to_vec(),
            compare: Panels::new(
                isa,
                Precision::F32,
                &turned,
                Channels::new(features, count),
                &[0],
            ),
            read: Panels::new(
                isa,
                Precision::F32,
                items,
                Channels::new(count, features),
                &[0],
            ),
            squared_norms: items.chunks_exact(features).map(squared).collect(),
        }
    }

    /// The items, `[M, D]`.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Items.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Features of an item.
    pub const fn features(&self) -> usize {
        self.features
    }
}

/// Where [`read_items`] writes; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct Readings<'a> {
    /// Unit queries, `[N, h, w, D]`.
    pub queries: Option<ViewMut<'a>>,
    /// What is read, `[N, h, w, D]`.
    pub read: Option<ViewMut<'a>>,
    /// Weights of the items, `[N, h, w, M]`.
    pub addresses: Option<ViewMut<'a>>,
    /// `q . m` (not divided by the temperature), `[N, h, w, M]`.
    pub similarities: Option<ViewMut<'a>>,
    /// Squared distance to the most similar item, mean over features, `[N, h, w]`.
    pub distances: Option<&'a mut [f32]>,
}

/// Normalises each pixel of `features` to a unit query, addresses `items` by a softmax over
/// similarities, and reads their mean (METHOD.md, A pool).
///
/// A pixel of zeros is the query 0: it addresses all items alike.
///
/// # Panics
/// If shapes do not fit together, the temperature is not positive, or `top_k` exceeds the items.
pub fn read_items(features: View<'_>, items: &PackedItems, how: Addressing, to: Readings<'_>) {
    read(features, items, how, to, None);
}

/// The most and second most similar item of a query, the first of equals.
type Nearest = [u32; 2];

/// [`read_items`], and where asked for the two nearest items of each query.
fn read(
    features: View<'_>,
    items: &PackedItems,
    how: Addressing,
    to: Readings<'_>,
    nearest: Option<&mut [Nearest]>,
) {
    let shape = features.shape();
    assert_eq!(
        shape.channels, items.features,
        "features of {shape:?} and of the items"
    );
    assert!(
        how.temperature > 0.0,
        "the temperature is {}",
        how.temperature
    );
    assert!(
        how.top_k <= items.count,
        "top_k is {} of {} items",
        how.top_k,
        items.count
    );
    let Readings {
        mut queries,
        mut read,
        mut addresses,
        mut similarities,
        mut distances,
    } = to;
    let by_item = shape.with_channels(items.count);
    for (view, expected) in [
        (&queries, shape),
        (&read, shape),
        (&addresses, by_item),
        (&similarities, by_item),
    ] {
        assert!(
            view.as_ref().is_none_or(|v| v.shape() == expected),
            "an output that is not {expected:?}"
        );
    }
    assert!(
        distances.as_ref().is_none_or(|d| d.len() == shape.pixels()),
        "distances for {shape:?}"
    );
    assert!(
        nearest.as_ref().is_none_or(|n| n.len() == shape.pixels()),
        "nearest items for {shape:?}"
    );

    let queries = queries.as_mut().map(ViewMut::shared);
    let read = read.as_mut().map(ViewMut::shared);
    let addresses = addresses.as_mut().map(ViewMut::shared);
    let similarities = similarities.as_mut().map(ViewMut::shared);
    let distances = distances.as_mut().map(|d| SharedMut::new(d));
    let nearest = nearest.map(SharedMut::new);

    let isa = items.isa;
    // Rows of a table of similarities are whole vectors.
    let wide = items.count.next_multiple_of(isa.lanes());
    Strips::new(shape).for_each(|strip| {
        let mut table = Scratch::take(shape.width * wide);
        for y in strip.y..strip.y + strip.rows {
            let row = features.ptr(strip.image, y, 0);
            multiply(
                isa,
                &items.compare,
                row,
                features.pixel_stride(),
                table.as_mut_ptr(),
                wide,
                shape.width,
            );
            let first = (strip.image * shape.height + y) * shape.width;
            // SAFETY: the rows of a strip are written by its task alone; shapes were compared.
            unsafe {
                isa.run(Address {
                    features: row,
                    pixel: features.pixel_stride(),
                    columns: shape.width,
                    items,
                    how,
                    table: &mut table,
                    wide,
                    queries: queries.map(|q| (q.ptr(strip.image, y, 0), q.pixel_stride())),
                    addresses: addresses.map(|a| (a.ptr(strip.image, y, 0), a.pixel_stride())),
                    similarities: similarities
                        .map(|a| (a.ptr(strip.image, y, 0), a.pixel_stride())),
                    distances: distances.map(|d| d.part(first, shape.width)),
                    nearest: nearest.map(|n| n.part(first, shape.width)),
                });
                if let Some(read) = read {
                    let to = read.ptr(strip.image, y, 0);
                    multiply(
                        isa,
                        &items.read,
                        table.as_ptr(),
                        wide,
                        to,
                        read.pixel_stride(),
                        shape.width,
                    );
                }
            }
        }
    });
}

/// One row of pixels times a matrix. Pointers are valid for `columns` pixels; only
/// this module calls it, with rows of views.
fn multiply(
    isa: Isa,
    panels: &Panels,
    input: *const f32,
    input_pixel: usize,
    output: *mut f32,
    output_pixel: usize,
    columns: usize,
) {
    for i in 0..panels.count() {
        let panel = panels.panel(i);
        // SAFETY: input pixels have the panels' input channels, output pixels their output
        // channels, of which a panel writes its own.
        unsafe {
            Gather {
                input,
                input_row: 0,
                input_pixel,
                taps: &[0],
                input_channels: panels.depth(),
                precision: panels.precision(),
                weights: panels.weights(panel).as_ptr(),
                vectors: panel.vectors,
                channels: panel.channels,
                bias: None,
                relu: false,
                output: output.add(panel.first),
                output_row: 0,
                output_pixel,
                rows: 1,
                columns,
            }
            .run(isa);
        }
    }
}

/// From products of features and items to addresses, one row of pixels, in place in `table`.
/// Pointers are valid for `columns` pixels of as many values as their outputs have.
struct Address<'a> {
    features: *const f32,
    pixel: usize,
    columns: usize,
    items: &'a PackedItems,
    how: Addressing,
    table: &'a mut [f32],
    wide: usize,
    queries: Option<(*mut f32, usize)>,
    addresses: Option<(*mut f32, usize)>,
    similarities: Option<(*mut f32, usize)>,
    distances: Option<&'a mut [f32]>,
    nearest: Option<&'a mut [Nearest]>,
}

impl Kernel for Address<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let count = self.items.count;
        let scale = 1.0 / self.how.temperature;
        let mut largest = Scratch::take(self.columns);
        for x in 0..self.columns {
            let from = self.features.wrapping_add(x * self.pixel);
            // SAFETY: pixel x has `features` values.
            let (squares, factor) = unsafe { norm(s, from, self.items.features) };
            if let Some((to, pixel)) = self.queries {
                // SAFETY: as above, for the output.
                unsafe { scaled(s, from, factor, to.add(x * pixel), self.items.features) };
            }
            let row = &mut self.table[x * self.wide..][..self.wide];
            // SAFETY: a row of the table is whole vectors, of which `count` values matter.
            let nearest = unsafe { similarity(s, row, count, factor) };
            let best = row[nearest];
            if let Some(all) = &mut self.nearest {
                let second = if count == 1 {
                    1
                } else {
                    // SAFETY: the row holds `count` values.
                    unsafe { largest_but(s, row.as_ptr(), count, nearest) }
                };
                // No network has as many items as would be cut off.
                all[x] = [nearest as u32, second as u32];
            }
            if let Some((to, pixel)) = self.similarities {
                // SAFETY: pixel x has `count` values.
                unsafe { copy(s, row.as_ptr(), to.add(x * pixel), count) };
            }
            if let Some(distances) = &mut self.distances {
                let q = squares * factor * factor;
                let d = q + self.items.squared_norms[nearest] - 2.0 * best;
                distances[x] = d.max(0.0) / self.items.features as f32;
            }
            largest[x] = best;
        }
        // By themselves, so that the processor has several of these long chains at work at once.
        let mut sorted = Vec::new();
        for x in 0..self.columns {
            let row = &mut self.table[x * self.wide..][..self.wide];
            let best = largest[x];
            let threshold = if self.how.top_k > 0 && self.how.top_k < count {
                sorted.clear();
                sorted.extend_from_slice(&row[..count]);
                *sorted
                    .select_nth_unstable_by(self.how.top_k - 1, |a, b| b.total_cmp(a))
                    .1
            } else {
                f32::NEG_INFINITY
            };
            // SAFETY: as for `similarity`.
            unsafe { softmax(s, row, count, best, threshold, scale) };
            if let Some((to, pixel)) = self.addresses {
                // SAFETY: pixel x has `count` values.
                unsafe { copy(s, row.as_ptr(), to.add(x * pixel), count) };
            }
        }
    }
}

/// # Safety
/// `from` is valid for reading and `to` for writing `len` floats.
#[inline(always)]
unsafe fn copy<S: Simd>(s: S, from: *const f32, to: *mut f32, len: usize) {
    let mut i = 0;
    while i < len {
        let n = S::LANES.min(len - i);
        // SAFETY: i + n <= len.
        unsafe { store(s, to.add(i), load(s, from.add(i), n), n) };
        i += n;
    }
}

/// Index of the largest of `count` values, the first of equals; 0 where nothing compares.
/// # Safety
/// `row` is valid for reading `count` floats.
#[inline(always)]
unsafe fn largest<S: Simd>(s: S, row: *const f32, count: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { largest_but(s, row, count, usize::MAX) }
}

/// [`largest`] without the value at `hidden`, if there is one; where nothing compares, 0 or, if that
/// is hidden, 1.
/// # Safety
/// As for [`largest`].
#[inline(always)]
unsafe fn largest_but<S: Simd>(s: S, row: *const f32, count: usize, hidden: usize) -> usize {
    // SAFETY: the caller's promise.
    let first = unsafe { but(s, row, 0, count, hidden) };
    let mut top = first;
    let mut i = S::LANES;
    while i < count {
        // SAFETY: the caller's promise.
        top = s.max(top, unsafe { but(s, row, i, count, hidden) });
        i += S::LANES;
    }
    let best = s.largest(top);
    let mut v = first;
    let mut i = 0;
    while i < count {
        if i > 0 {
            // SAFETY: the caller's promise.
            v = unsafe { but(s, row, i, count, hidden) };
        }
        let lane = s.find(v, best);
        // Lanes past the end hold what is found where nothing compares.
        if lane < S::LANES && i + lane < count {
            return i + lane;
        }
        i += S::LANES;
    }
    usize::from(hidden == 0)
}

/// The squared norm of a pixel and what makes it a unit vector.
/// # Safety
/// `from` is valid for reading `len` floats.
#[inline(always)]
unsafe fn norm<S: Simd>(s: S, from: *const f32, len: usize) -> (f32, f32) {
    let mut sum = s.zero();
    let mut i = 0;
    while i < len {
        let n = S::LANES.min(len - i);
        // SAFETY: i + n <= len.
        let v = unsafe { load(s, from.add(i), n) };
        sum = s.fma(v, v, sum);
        i += n;
    }
    let squares = s.sum(sum);
    (squares, 1.0 / squares.sqrt().max(SMALLEST_NORM))
}

/// # Safety
/// `from` is valid for reading and `to` for writing `len` floats.
#[inline(always)]
unsafe fn scaled<S: Simd>(s: S, from: *const f32, factor: f32, to: *mut f32, len: usize) {
    let factor = s.splat(factor);
    let mut i = 0;
    while i < len {
        let n = S::LANES.min(len - i);
        // SAFETY: i + n <= len.
        unsafe { store(s, to.add(i), s.mul(load(s, from.add(i), n), factor), n) };
        i += n;
    }
}

/// The vector at `i < count` of `count` values, with -inf at `hidden` and past the end.
/// # Safety
/// `row` is valid for reading `count` floats.
#[inline(always)]
unsafe fn but<S: Simd>(s: S, row: *const f32, i: usize, count: usize, hidden: usize) -> S::V {
    let n = S::LANES.min(count - i);
    // SAFETY: `n` values are left at `i`.
    let v = s.first(unsafe { load(s, row.add(i), n) }, n, f32::NEG_INFINITY);
    match hidden.wrapping_sub(i) {
        lane if lane < S::LANES => s.with_lane(v, lane, f32::NEG_INFINITY),
        _ => v,
    }
}

/// Scales a row of products to similarities; the index of the largest, the first on a tie.
/// # Safety
/// `row` is whole vectors and holds `count` values.
#[inline(always)]
unsafe fn similarity<S: Simd>(s: S, row: &mut [f32], count: usize, factor: f32) -> usize {
    let factor = s.splat(factor);
    let mut i = 0;
    while i < count {
        // SAFETY: whole vectors.
        unsafe {
            let at = row.as_mut_ptr().add(i);
            s.store(at, s.mul(s.load(at), factor));
        }
        i += S::LANES;
    }
    // SAFETY: the row holds `count` values.
    unsafe { largest(s, row.as_ptr(), count) }
}

/// Softmax of `row * scale` over the values that are at least `threshold`.
/// # Safety
/// `row` is whole vectors and holds `count` values.
#[inline(always)]
unsafe fn softmax<S: Simd>(
    s: S,
    row: &mut [f32],
    count: usize,
    best: f32,
    threshold: f32,
    scale: f32,
) {
    let (best, threshold, scale) = (s.splat(best), s.splat(threshold), s.splat(scale));
    let mut sum = s.zero();
    let mut i = 0;
    while i < count {
        let n = S::LANES.min(count - i);
        // SAFETY: whole vectors; values beyond `count` become 0.
        unsafe {
            let at = row.as_mut_ptr().add(i);
            let v = s.load(at);
            let e = s.exp(s.mul(s.sub(v, best), scale));
            let e = s.first(s.if_greater(threshold, v, s.zero(), e), n, 0.0);
            s.store(at, e);
            sum = s.add(sum, e);
        }
        i += S::LANES;
    }
    let factor = s.splat(1.0 / s.sum(sum));
    let mut i = 0;
    while i < count {
        // SAFETY: whole vectors.
        unsafe {
            let at = row.as_mut_ptr().add(i);
            s.store(at, s.mul(s.load(at), factor));
        }
        i += S::LANES;
    }
}
