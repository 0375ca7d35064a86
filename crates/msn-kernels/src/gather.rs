//! The register tile that all convolutions share: pixels times vectors of output channels, summed
//! over taps and input channels.

use crate::isa::{Isa, Simd};
use crate::precision::{Arithmetic, Precision, PrecisionKernel};

/// Rows of output pixels of one panel of output channels.
///
/// Output pixel (y, x) becomes `bias + sum over taps t and channels c of
/// input[y * input_row + x * input_pixel + taps[t] + c] * weights[t][c]`.
#[derive(Clone, Copy)]
pub(crate) struct Gather<'a> {
    pub(crate) input: *const f32,
    pub(crate) input_row: usize,
    pub(crate) input_pixel: usize,
    pub(crate) taps: &'a [usize],
    /// Floats of an input pixel that count: its channels, in bf16 half as many, rounded up.
    pub(crate) input_channels: usize,
    /// What the floats of input and weights hold.
    pub(crate) precision: Precision,
    /// `[tap, input channel, vectors * lanes]`.
    pub(crate) weights: *const f32,
    pub(crate) vectors: usize,
    /// Output channels, as many as `bias` has where there is one.
    pub(crate) channels: usize,
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) relu: bool,
    pub(crate) output: *mut f32,
    pub(crate) output_row: usize,
    pub(crate) output_pixel: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl Gather<'_> {
    /// # Safety
    /// All addresses that the fields describe are valid: input and weights for reading, output
    /// pixels for writing `channels` floats, by this call alone.
    #[inline]
    pub(crate) unsafe fn run(self, isa: Isa) {
        debug_assert!(
            (1..=2).contains(&self.vectors) && self.channels <= self.vectors * isa.lanes()
        );
        debug_assert!(self.channels > (self.vectors - 1) * isa.lanes());
        debug_assert!(self.bias.is_none_or(|b| b.len() == self.channels));
        isa.run_in(self.precision, self);
    }
}

impl PrecisionKernel for Gather<'_> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, a: A) {
        // SAFETY: `Gather::run` is the only way here and has the promise.
        unsafe {
            if self.vectors == 2 {
                rows::<A, 2>(a, &self)
            } else {
                rows::<A, 1>(a, &self)
            }
        }
    }
}

/// # Safety
/// As for [`Gather::run`].
#[inline(always)]
unsafe fn rows<A: Arithmetic, const NV: usize>(a: A, g: &Gather<'_>) {
    let s = a.simd();
    let lanes = <A::S as Simd>::LANES;
    let mut bias = [s.zero(); NV];
    if let Some(b) = g.bias {
        for v in 0..NV {
            let n = (g.channels - v * lanes).min(lanes);
            // SAFETY: `bias` has `channels` floats.
            bias[v] = unsafe { s.load_first(b.as_ptr().add(v * lanes), n) };
        }
    }
    let mut y = 0;
    while y < g.rows {
        let mut x = 0;
        // SAFETY: y < rows, x + P <= columns; the caller's promise.
        unsafe {
            if <A::S as Simd>::PIXELS == 8 {
                x = tiles::<A, 8, NV>(a, g, &bias, y, x);
            } else if <A::S as Simd>::PIXELS == 6 {
                x = tiles::<A, 6, NV>(a, g, &bias, y, x);
            }
            x = tiles::<A, 4, NV>(a, g, &bias, y, x);
            x = tiles::<A, 2, NV>(a, g, &bias, y, x);
            tiles::<A, 1, NV>(a, g, &bias, y, x);
        }
        y += 1;
    }
}

/// As many tiles of `P` pixels as fit from `x` on; returns the first pixel that is left.
/// # Safety
/// As for [`Gather::run`], with y < rows.
#[inline(always)]
unsafe fn tiles<A: Arithmetic, const P: usize, const NV: usize>(
    a: A,
    g: &Gather<'_>,
    bias: &[<A::S as Simd>::V; NV],
    y: usize,
    mut x: usize,
) -> usize {
    let s = a.simd();
    while x + P <= g.columns {
        // SAFETY: the tile lies within the rows and columns for which the caller promised.
        unsafe {
            let input = g.input.add(y * g.input_row + x * g.input_pixel);
            let mut acc = [[s.zero(); NV]; P];
            accumulate(
                a,
                &mut acc,
                input,
                g.input_pixel,
                g.taps,
                g.input_channels,
                g.weights,
            );
            let output = g.output.add(y * g.output_row + x * g.output_pixel);
            store(s, &acc, bias, g.relu, output, g.output_pixel, g.channels);
        }
        x += P;
    }
    x
}

/// `acc[p][v] += sum input[p * pixel + tap + c] * weights[tap][c][v]`.
/// # Safety
/// These addresses are valid for reading.
#[inline(always)]
unsafe fn accumulate<A: Arithmetic, const P: usize, const NV: usize>(
    a: A,
    acc: &mut [[<A::S as Simd>::V; NV]; P],
    input: *const f32,
    pixel: usize,
    taps: &[usize],
    channels: usize,
    mut weights: *const f32,
) {
    let s = a.simd();
    let lanes = <A::S as Simd>::LANES;
    for &tap in taps {
        // SAFETY: the caller's promise.
        unsafe {
            let mut from = input.add(tap);
            for _ in 0..channels {
                let mut w = [s.zero(); NV];
                for v in 0..NV {
                    w[v] = s.load(weights.add(v * lanes));
                }
                for p in 0..P {
                    let x = s.splat(*from.add(p * pixel));
                    for v in 0..NV {
                        acc[p][v] = a.product(x, w[v], acc[p][v]);
                    }
                }
                from = from.add(1);
                weights = weights.add(NV * lanes);
            }
        }
    }
}

/// # Safety
/// `output` is valid for writing `channels` floats for each of the `P` pixels.
#[inline(always)]
unsafe fn store<S: Simd, const P: usize, const NV: usize>(
    s: S,
    acc: &[[S::V; NV]; P],
    bias: &[S::V; NV],
    relu: bool,
    output: *mut f32,
    pixel: usize,
    channels: usize,
) {
    for p in 0..P {
        for v in 0..NV {
            let mut x = s.add(acc[p][v], bias[v]);
            if relu {
                // This order lets a NaN through.
                x = s.max(s.zero(), x);
            }
            // SAFETY: the caller's promise; the last vector is cut to the channels that are left.
            unsafe {
                let to = output.add(p * pixel + v * S::LANES);
                let left = channels - v * S::LANES;
                if left >= S::LANES {
                    s.store(to, x)
                } else {
                    s.store_first(to, x, left)
                }
            }
        }
    }
}
