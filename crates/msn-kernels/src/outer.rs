//! Gradients of convolution weights: sums of outer products over pixels.

use crate::conv::Algorithm;
use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{SharedMut, for_each_task};
use crate::view::View;
use crate::weights::{Channels, TAPS};
use crate::winograd;

/// Sums over pixels of products of channels:
/// `output[i * output_row + j] += sum a[y * a_row + x * a_pixel + i] * b[y * b_row + x * b_pixel + j]`.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    pub(crate) a: *const f32,
    pub(crate) a_row: usize,
    pub(crate) a_pixel: usize,
    pub(crate) a_channels: usize,
    pub(crate) b: *const f32,
    pub(crate) b_row: usize,
    pub(crate) b_pixel: usize,
    /// At most two vectors.
    pub(crate) b_channels: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) output: *mut f32,
    pub(crate) output_row: usize,
}

impl Outer {
    /// # Safety
    /// All addresses that the fields describe are valid: `a` and `b` for reading, `output` for
    /// reading and writing by this call alone.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        debug_assert!(self.b_channels > 0 && self.b_channels <= 2 * isa.lanes());
        isa.run(self);
    }
}

impl Kernel for Outer {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // SAFETY: `Outer::run` is the only way here and has the promise.
        unsafe {
            if self.b_channels == 2 * S::LANES {
                all::<S, 2, false>(s, &self);
            } else if self.b_channels > S::LANES {
                all::<S, 2, true>(s, &self);
            } else if self.b_channels == S::LANES {
                all::<S, 1, false>(s, &self);
            } else {
                all::<S, 1, true>(s, &self);
            }
        }
    }
}

/// # Safety
/// As for [`Outer::run`]. `CUT`: the last vector of `b` is not full.
#[inline(always)]
unsafe fn all<S: Simd, const NV: usize, const CUT: bool>(s: S, o: &Outer) {
    let mut i = 0;
    // SAFETY: i + A <= a_channels; the caller's promise.
    unsafe {
        if S::PIXELS == 8 {
            i = blocks::<S, 8, NV, CUT>(s, o, i);
        } else if S::PIXELS == 6 && !o.a_channels.is_multiple_of(4) {
            i = blocks::<S, 6, NV, CUT>(s, o, i);
        }
        i = blocks::<S, 4, NV, CUT>(s, o, i);
        i = blocks::<S, 2, NV, CUT>(s, o, i);
        blocks::<S, 1, NV, CUT>(s, o, i);
    }
}

/// Blocks of `A` channels of `a` from channel `i` on; returns the first that is left.
/// # Safety
/// As for [`Outer::run`].
#[inline(always)]
unsafe fn blocks<S: Simd, const A: usize, const NV: usize, const CUT: bool>(
    s: S,
    o: &Outer,
    mut i: usize,
) -> usize {
    let last = o.b_channels - (NV - 1) * S::LANES;
    while i + A <= o.a_channels {
        let mut acc = [[s.zero(); NV]; A];
        let mut y = 0;
        while y < o.rows {
            // SAFETY: the caller's promise for y < rows, x < columns, i + A <= a_channels.
            unsafe {
                let mut a = o.a.add(y * o.a_row + i);
                let mut b = o.b.add(y * o.b_row);
                let mut x = 0;
                while x < o.columns {
                    let mut bv = [s.zero(); NV];
                    for v in 0..NV {
                        let from = b.add(v * S::LANES);
                        bv[v] = if CUT && v == NV - 1 {
                            s.load_first(from, last)
                        } else {
                            s.load(from)
                        };
                    }
                    for k in 0..A {
                        let av = s.splat(*a.add(k));
                        for v in 0..NV {
                            acc[k][v] = s.fma(av, bv[v], acc[k][v]);
                        }
                    }
                    a = a.add(o.a_pixel);
                    b = b.add(o.b_pixel);
                    x += 1;
                }
            }
            y += 1;
        }
        for k in 0..A {
            for v in 0..NV {
                // SAFETY: row i + k of the output has `b_channels` floats.
                unsafe {
                    let to = o.output.add((i + k) * o.output_row + v * S::LANES);
                    if CUT && v == NV - 1 {
                        s.store_first(to, s.add(acc[k][v], s.load_first(to, last)), last);
                    } else {
                        s.store(to, s.add(acc[k][v], s.load(to)));
                    }
                }
            }
        }
        i += A;
    }
    i
}

/// Which side the taps of the kernel shift.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A convolution: input pixel y + tap - 1 meets output pixel y.
    Same,
    /// A transposed convolution of stride 2: input pixel y meets output pixel 2 y + tap - 1.
    Up,
}

/// Gradient of the weights of a 3x3 convolution, `[3, 3, Cin, Cout]`, from its input and the
/// gradient of its output. `weights` is overwritten.
///
/// Sums are taken in an order that depends on the shapes alone.
///
/// # Panics
/// If the shapes do not fit together.
pub fn conv3x3_weight_gradient(
    isa: Isa,
    algorithm: Algorithm,
    input: View<'_>,
    gradient: View<'_>,
    weights: &mut [f32],
) {
    let shape = input.shape();
    assert_eq!(
        gradient.shape(),
        shape.with_channels(gradient.shape().channels),
        "the output's gradient"
    );
    let channels = Channels::new(shape.channels, gradient.shape().channels);
    assert_eq!(
        weights.len(),
        channels.weights(),
        "the length of the gradient of the weights"
    );
    if algorithm.is_winograd(channels) {
        winograd::weight_gradient(isa, input, gradient, weights);
        return;
    }
    weight_gradient(isa, Kind::Same, input, gradient, weights);
}

/// Gradient of the weights of a transposed convolution ([`up_conv3x3`](crate::up_conv3x3)),
/// `[3, 3, Cin, Cout]`, from its input and the gradient of its output. `weights` is overwritten.
///
/// Sums are taken in an order that depends on the shapes alone.
///
/// # Panics
/// If the shapes do not fit together.
pub fn up_conv3x3_weight_gradient(
    isa: Isa,
    input: View<'_>,
    gradient: View<'_>,
    weights: &mut [f32],
) {
    let shape = input.shape().doubled();
    assert_eq!(
        gradient.shape(),
        shape.with_channels(gradient.shape().channels),
        "the output's gradient"
    );
    weight_gradient(isa, Kind::Up, input, gradient, weights);
}

/// Tasks at least, where there are pixels enough.
const TASKS: usize = 32;
/// Pixels of a chunk at least: fewer, and adding up the chunks' sums costs too much.
const CHUNK: usize = 512;
/// Pixels that are summed in registers at a time, few enough to stay in the first level cache.
const STRIP: usize = 128;
/// Input channels of one task.
const GROUP: usize = 32;

/// Few output channels: vectors hold input channels, and the gradients of three pixels side by side
/// are what is multiplied with them, one for each column of the kernel.
fn narrow_weight_gradient(isa: Isa, input: View<'_>, gradient: View<'_>, weights: &mut [f32]) {
    let shape = input.shape();
    let (cin, cout) = (shape.channels, gradient.shape().channels);
    let dense;
    let gradient = if gradient.pixel_stride() == cout {
        gradient
    } else {
        dense = gradient.to_vec();
        View::dense(&dense, gradient.shape())
    };
    let wide = 2 * isa.lanes();
    let panels = cin.div_ceil(wide);
    let all_rows = shape.batch * shape.height;
    let chunks = TASKS
        .div_ceil(panels)
        .min(shape.pixels() / CHUNK)
        .clamp(1, all_rows);
    // [chunk][kernel row][2 - kernel column][Cout][Cin]
    let size = weights.len();
    let mut sums = vec![0.0; chunks * size];
    let shared = SharedMut::new(&mut sums);
    for_each_task(chunks * panels, |task| {
        let (chunk, i) = (task / panels, task % panels * wide);
        let b_channels = wide.min(cin - i);
        let (mut row, end) = (chunk * all_rows / chunks, (chunk + 1) * all_rows / chunks);
        while row < end {
            let (n, y) = (row / shape.height, row % shape.height);
            let rows = (STRIP / shape.width)
                .max(1)
                .min(end - row)
                .min(shape.height - y);
            let window = gradient.window(n, y, rows);
            for down in 0..3 {
                // SAFETY: three pixels from column x - 1 on lie in the window for x < width; this
                // block of this chunk's sums is written by this task alone.
                unsafe {
                    Outer {
                        a: window.start.wrapping_add((2 - down) * window.row),
                        a_row: window.row,
                        a_pixel: window.pixel,
                        a_channels: 3 * cout,
                        b: input.ptr(n, y, 0).wrapping_add(i),
                        b_row: input.row_stride(),
                        b_pixel: input.pixel_stride(),
                        b_channels,
                        rows,
                        columns: shape.width,
                        output: shared.at(chunk * size + down * 3 * cout * cin + i),
                        output_row: cin,
                    }
                    .run(isa);
                }
            }
            row += rows;
        }
    });
    for part in sums.chunks_exact(size) {
        for (i, row) in part.chunks_exact(cin).enumerate() {
            let (down, right, o) = (i / (3 * cout), 2 - i / cout % 3, i % cout);
            for (c, v) in row.iter().enumerate() {
                weights[((down * 3 + right) * cin + c) * cout + o] += v;
            }
        }
    }
}

fn weight_gradient(isa: Isa, kind: Kind, input: View<'_>, gradient: View<'_>, weights: &mut [f32]) {
    let shape = input.shape();
    let (cin, cout) = (shape.channels, gradient.shape().channels);
    assert_eq!(
        weights.len(),
        TAPS * cin * cout,
        "the length of the gradient of the weights"
    );
    weights.fill(0.0);
    if shape.pixels() == 0 || weights.is_empty() {
        return;
    }
    let lanes = isa.lanes();
    if kind == Kind::Same && cin.div_ceil(lanes) * cout < cout.div_ceil(lanes) * cin {
        narrow_weight_gradient(isa, input, gradient, weights);
        return;
    }
    let wide = 2 * lanes;
    let (groups, panels) = (cin.div_ceil(GROUP), cout.div_ceil(wide));
    let all_rows = shape.batch * shape.height;
    let chunks = TASKS
        .div_ceil(groups * panels)
        .min(shape.pixels() / CHUNK)
        .clamp(1, all_rows);

    // The first chunk sums in place, the others beside it.
    let size = weights.len();
    let mut others = vec![0.0; (chunks - 1) * size];
    let (first, rest) = (SharedMut::new(weights), SharedMut::new(&mut others));
    for_each_task(chunks * groups * panels, |task| {
        let (chunk, block) = (task / (groups * panels), task % (groups * panels));
        let (i, o) = (block / panels * GROUP, block % panels * wide);
        let a_channels = GROUP.min(cin - i);
        let b_channels = wide.min(cout - o);
        let input = input.channels(i..i + a_channels);
        let gradient = gradient.channels(o..o + b_channels);
        let (mut row, end) = (chunk * all_rows / chunks, (chunk + 1) * all_rows / chunks);
        while row < end {
            let (n, y) = (row / shape.height, row % shape.height);
            let rows = (STRIP / shape.width)
                .max(1)
                .min(end - row)
                .min(shape.height - y);
            let shifted = match kind {
                Kind::Same => input.window(n, y, rows),
                Kind::Up => gradient.window(n, 2 * y, 2 * rows),
            };
            for tap in 0..TAPS {
                let corner = shifted
                    .start
                    .wrapping_add(tap / 3 * shifted.row + tap % 3 * shifted.pixel);
                let at = (tap * cin + i) * cout + o;
                // SAFETY: this block of this chunk is written by this task alone; `at` and the
                // rows after it lie in the chunk's [9, Cin, Cout] floats.
                let output = unsafe {
                    if chunk == 0 {
                        first.at(at)
                    } else {
                        rest.at((chunk - 1) * size + at)
                    }
                };
                let mut outer = Outer {
                    a: corner,
                    a_row: shifted.row,
                    a_pixel: shifted.pixel,
                    a_channels,
                    b: corner,
                    b_row: 2 * shifted.row,
                    b_pixel: 2 * shifted.pixel,
                    b_channels,
                    rows,
                    columns: shape.width,
                    output,
                    output_row: cout,
                };
                match kind {
                    Kind::Same => {
                        outer.b = gradient.ptr(n, y, 0);
                        outer.b_row = gradient.row_stride();
                        outer.b_pixel = gradient.pixel_stride();
                    }
                    Kind::Up => {
                        outer.a = input.ptr(n, y, 0);
                        outer.a_row = input.row_stride();
                        outer.a_pixel = input.pixel_stride();
                    }
                }
                // SAFETY: the shifted side is a window of `rows` (of 2 `rows` for Up) rows with a
                // border, in which every tap's pixels lie; the other side are rows of its view.
                unsafe { outer.run(isa) };
            }
            row += rows;
        }
    });

    add_chunks(first, &others);
}

/// Adds chunks of sums to the first, in their order.
pub(crate) fn add_chunks(first: SharedMut<'_>, others: &[f32]) {
    let size = first.len();
    if others.is_empty() {
        return;
    }
    for_each_task(size.div_ceil(SLICE), |part| {
        let at = part * SLICE;
        let len = SLICE.min(size - at);
        // SAFETY: parts do not overlap.
        let total = unsafe { first.part(at, len) };
        for other in others.chunks_exact(size) {
            for (t, v) in total.iter_mut().zip(&other[at..at + len]) {
                *t += v;
            }
        }
    });
}

/// Values that one task adds up.
const SLICE: usize = 16 * 1024;
