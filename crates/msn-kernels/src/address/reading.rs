//! Reading one row of pixels.

use super::{Addressing, PackedItems, SMALLEST_NORM};
use crate::buffers::Scratch;
use crate::gather::Gather;
use crate::isa::{Isa, Kernel, MOST_LANES, Simd};
use crate::pixels::{load, store};
use crate::weights::Panels;

/// One row of pixels times a matrix; in a table rows are `whole` vectors, with zeros after the output
/// channels. Pointers are valid for `columns` pixels: only the pools' own modules call it, with rows of
/// views and of tables.
#[allow(clippy::too_many_arguments)]
pub(super) fn multiply(
    isa: Isa,
    panels: &Panels,
    input: *const f32,
    input_pixel: usize,
    output: *mut f32,
    output_pixel: usize,
    columns: usize,
    whole: bool,
) {
    for i in 0..panels.count() {
        let panel = panels.panel(i);
        let channels = if whole {
            panel.vectors * isa.lanes()
        } else {
            panel.channels
        };
        // SAFETY: input pixels have the panels' input channels, output pixels their output
        // channels or whole vectors of them, of which a panel writes its own.
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
                channels,
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

/// A row of pixels to write to.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    pub(super) start: *mut f32,
    /// Distance of two pixels in floats.
    pub(super) pixel: usize,
}

impl Pixels {
    fn at(self, x: usize) -> *mut f32 {
        self.start.wrapping_add(x * self.pixel)
    }
}

/// The most and second most similar item of a query, the first of equals.
pub(super) type Nearest = [u32; 2];

/// What training needs later of each query of a row.
pub(super) struct Traces<'a> {
    pub(super) nearest: &'a mut [Nearest],
    /// Norms of the features.
    pub(super) norms: &'a mut [f32],
}

/// One row of pixels that is read. Pointers are valid for `columns` pixels of as many values as
/// features or items have.
pub(super) struct Reading<'a> {
    pub(super) features: *const f32,
    pub(super) pixel: usize,
    pub(super) columns: usize,
    pub(super) items: &'a PackedItems,
    pub(super) how: Addressing,
    /// From [`PackedItems::table`].
    pub(super) table: &'a mut [f32],
    pub(super) queries: Option<Pixels>,
    pub(super) read: Option<Pixels>,
    pub(super) addresses: Option<Pixels>,
    pub(super) similarities: Option<Pixels>,
    pub(super) distances: Option<&'a mut [f32]>,
    pub(super) traces: Option<Traces<'a>>,
}

impl Reading<'_> {
    /// # Safety
    /// The pointers are valid, and nothing else writes there.
    pub(super) unsafe fn run(self) {
        let (items, columns, read) = (self.items, self.columns, self.read);
        let (isa, wide) = (items.isa, items.wide());
        let table = self.table.as_mut_ptr();
        multiply(
            isa,
            &items.compare,
            self.features,
            self.pixel,
            table,
            wide,
            columns,
            true,
        );
        isa.run(Address(self));
        if let Some(Pixels { start, pixel }) = read {
            multiply(isa, &items.read, table, wide, start, pixel, columns, false);
        }
    }
}

/// From products of features and items to addresses, in place in the table.
struct Address<'a>(Reading<'a>);

impl Kernel for Address<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        // One pixel a lane: maxima and sums over items then need no shuffling of lanes.
        let mut turned = Scratch::take(self.0.items.wide() * S::LANES);
        for x in (0..self.0.columns).step_by(S::LANES) {
            let n = S::LANES.min(self.0.columns - x);
            // SAFETY: pixels x..x + n exist; `turned` has a vector for each value of a row.
            unsafe { self.0.block(s, x, n, &mut turned) };
        }
    }
}

impl Reading<'_> {
    /// Pixels `first..first + n`, n <= LANES.
    /// # Safety
    /// These pixels exist; the table has rows for a whole block; `turned` holds `wide` vectors.
    #[inline(always)]
    unsafe fn block<S: Simd>(&mut self, s: S, first: usize, n: usize, turned: &mut [f32]) {
        let (count, wide, features) = (self.items.count, self.items.wide(), self.items.features);
        assert!(turned.len() >= wide * S::LANES);
        assert!(self.table.len() >= (first + S::LANES) * wide);
        // SAFETY: just checked.
        let rows = unsafe { self.table.as_mut_ptr().add(first * wide) };
        let turned = turned.as_mut_ptr();

        let mut lanes = [0.0; MOST_LANES];
        for (x, sum) in lanes.iter_mut().enumerate().take(n) {
            // SAFETY: the pixel has `features` values.
            *sum = unsafe { squared(s, self.features.add((first + x) * self.pixel), features) };
        }
        let squares = of_lanes(s, &lanes);
        let norms = s.max(s.sqrt(squares), s.splat(SMALLEST_NORM));
        let factors = s.div(s.splat(1.0), norms);
        for (x, factor) in to_lanes(s, factors).into_iter().enumerate().take(n) {
            // SAFETY: the pixel has `features` values, and `count` of addresses and similarities; rows
            // of the table are whole vectors.
            unsafe {
                if let Some(to) = self.queries {
                    let from = self.features.add((first + x) * self.pixel);
                    scaled(s, from, factor, to.at(first + x), features);
                }
                if let Some(to) = self.read {
                    // It is written next.
                    s.prefetch(to.at(first + x), features);
                }
                let row = rows.add(x * wide);
                scaled(s, row, factor, row, wide);
                if let Some(to) = self.similarities {
                    copy(s, row, to.at(first + x), count);
                }
            }
        }
        for i in (0..wide).step_by(S::LANES) {
            // SAFETY: a square of the block, and as many vectors.
            unsafe { s.transpose(rows.add(i), wide, turned.add(i * S::LANES), S::LANES) };
        }

        // SAFETY: `turned` has a vector for each item.
        let at = |item: usize| unsafe { turned.add(item * S::LANES) };
        let lowest = s.splat(f32::NEG_INFINITY);
        // SAFETY: as above.
        let v = unsafe { s.load(at(0)) };
        // A NaN compares with nothing, so it is never the best.
        let mut best = s.if_greater(v, lowest, v, lowest);
        let mut item_norm = s.splat(self.items.squared_norms[0]);
        let (mut nearest, mut second, mut runner_up) = (s.zero(), lowest, s.splat(1.0));
        for item in 1..count {
            // SAFETY: as above.
            let v = unsafe { s.load(at(item)) };
            if self.traces.is_some() {
                // A float holds the index of any pool of a size that trains.
                let this = s.splat(item as f32);
                let below = s.if_greater(v, second, this, runner_up);
                runner_up = s.if_greater(v, best, nearest, below);
                second = s.if_greater(v, best, best, s.if_greater(v, second, v, second));
                nearest = s.if_greater(v, best, this, nearest);
            }
            item_norm = s.if_greater(v, best, s.splat(self.items.squared_norms[item]), item_norm);
            best = s.if_greater(v, best, v, best);
        }
        if let Some(traces) = &mut self.traces {
            let both = to_lanes(s, nearest).into_iter().zip(to_lanes(s, runner_up));
            for (to, (nearest, second)) in traces.nearest[first..first + n].iter_mut().zip(both) {
                *to = [nearest as u32, second as u32];
            }
            let norms = &mut traces.norms[first..first + n];
            // SAFETY: that many.
            unsafe { store(s, norms.as_mut_ptr(), s.sqrt(squares), n) };
        }
        if let Some(distances) = &mut self.distances {
            let of_query = s.mul(squares, s.mul(factors, factors));
            let d = s.fnma(s.splat(2.0), best, s.add(of_query, item_norm));
            let d = s.mul(s.max(d, s.zero()), s.splat(1.0 / features as f32));
            // SAFETY: the block lies in the row.
            unsafe { store(s, distances[first..first + n].as_mut_ptr(), d, n) };
        }

        let threshold = if self.how.top_k > 0 && self.how.top_k < count {
            for (x, threshold) in lanes.iter_mut().enumerate().take(n) {
                // SAFETY: the row holds `count` values.
                let row = unsafe { std::slice::from_raw_parts_mut(rows.add(x * wide), count) };
                let (_, kth, _) =
                    row.select_nth_unstable_by(self.how.top_k - 1, |a, b| b.total_cmp(a));
                *threshold = *kth;
            }
            of_lanes(s, &lanes)
        } else {
            lowest
        };
        let scale = s.splat(1.0 / self.how.temperature);
        let mut sum = s.zero();
        for item in 0..count {
            // SAFETY: as above.
            unsafe {
                let v = s.load(at(item));
                let e = s.exp(s.mul(s.sub(v, best), scale));
                let e = s.if_greater(threshold, v, s.zero(), e);
                s.store(at(item), e);
                sum = s.add(sum, e);
            }
        }
        let factor = s.div(s.splat(1.0), sum);
        for item in 0..count {
            // SAFETY: as above.
            unsafe { s.store(at(item), s.mul(s.load(at(item)), factor)) };
        }
        for i in (0..wide).step_by(S::LANES) {
            // SAFETY: a square of the block, and as many vectors.
            unsafe { s.transpose(turned.add(i * S::LANES), S::LANES, rows.add(i), wide) };
        }
        if let Some(to) = self.addresses {
            for x in 0..n {
                // SAFETY: a pixel has `count` values.
                unsafe { copy(s, rows.add(x * wide), to.at(first + x), count) };
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

/// The squared norm of a pixel.
/// # Safety
/// `from` is valid for reading `len` floats.
#[inline(always)]
unsafe fn squared<S: Simd>(s: S, from: *const f32, len: usize) -> f32 {
    let mut sum = s.zero();
    let mut i = 0;
    while i < len {
        let n = S::LANES.min(len - i);
        // SAFETY: i + n <= len.
        let v = unsafe { load(s, from.add(i), n) };
        sum = s.fma(v, v, sum);
        i += n;
    }
    s.sum(sum)
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

/// A vector of the first `LANES` of `lanes`.
#[inline(always)]
fn of_lanes<S: Simd>(s: S, lanes: &[f32; MOST_LANES]) -> S::V {
    // SAFETY: no vector has more than these.
    unsafe { s.load(lanes.as_ptr()) }
}

/// The lanes of a vector, zeros after them.
#[inline(always)]
fn to_lanes<S: Simd>(s: S, v: S::V) -> [f32; MOST_LANES] {
    let mut lanes = [0.0; MOST_LANES];
    // SAFETY: no vector has more than these.
    unsafe { s.store(lanes.as_mut_ptr(), v) };
    lanes
}
