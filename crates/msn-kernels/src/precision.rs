//! What a product is computed in: `f32`, or pairs of `bf16` summed in `f32`.
//!
//! bf16 keeps the upper half of an `f32`: 8 bits of precision. Two values of neighbouring input
//! channels lie in the place of one `f32`, and one instruction multiplies 16 pairs by 16 pairs and
//! adds to 16 sums, twice the work of a fused multiply-add. Weights and the inputs of products are
//! rounded; sums, epilogues and feature maps stay `f32`.

use std::fmt;
use std::str::FromStr;

use crate::buffers::Scratch;
use crate::error::NameError;
use crate::isa::{Isa, Simd};

/// What products are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 24 bits.
    #[default]
    F32,
    /// Factors rounded to 8 bits, sums in `f32`: for inference where the machine has instructions for
    /// it ([`Isa::has_bf16`]).
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        match s {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(NameError::Precision),
        }
    }
}

impl Precision {
    /// Floats that `channels` values take.
    pub(crate) const fn floats(self, channels: usize) -> usize {
        match self {
            Self::F32 => channels,
            Self::Bf16 => channels.div_ceil(2),
        }
    }
}

/// Vector instructions with the products of one precision. A value is a token as [`Simd`]'s is.
pub(crate) trait Arithmetic: Copy {
    type S: Simd;
    /// Values in the place of one float.
    const VALUES: usize;

    fn simd(self) -> Self::S;
    /// `sum + x * w` in each lane, over the values of a float.
    fn product(
        self,
        x: <Self::S as Simd>::V,
        w: <Self::S as Simd>::V,
        sum: <Self::S as Simd>::V,
    ) -> <Self::S as Simd>::V;
    /// The first `n` lanes, rounded, side by side; the last float is filled up with zero.
    /// # Safety
    /// `p` is valid for writing `n / VALUES` floats, rounded up, and `n <= LANES`.
    unsafe fn store(self, p: *mut f32, v: <Self::S as Simd>::V, n: usize);
}

/// `f32` on any instructions.
#[derive(Clone, Copy)]
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: Simd> Arithmetic for Plain<S> {
    type S = S;
    const VALUES: usize = 1;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn product(self, x: S::V, w: S::V, sum: S::V) -> S::V {
        self.0.fma(x, w, sum)
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: S::V, n: usize) {
        // SAFETY: the caller's promise.
        unsafe { crate::pixels::store(self.0, p, v, n) }
    }
}

/// The upper half of `x` rounded to nearest, ties to even.
#[inline(always)]
pub(crate) fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Stays one: rounding could carry into infinity.
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Two values in the place of one float.
#[inline(always)]
pub(crate) fn pair(low: f32, high: f32) -> f32 {
    f32::from_bits(u32::from(round(low)) | u32::from(round(high)) << 16)
}

/// What [`pair`] put together.
#[inline(always)]
pub(crate) fn unpair(both: f32) -> (f32, f32) {
    let bits = both.to_bits();
    (
        f32::from_bits(bits << 16),
        f32::from_bits(bits & 0xffff_0000),
    )
}

/// Rows of weights two by two: from `[depth, wide]` to `[depth / 2, wide]`, zeros after an odd end.
pub(crate) fn pair_rows(rows: &[f32], wide: usize, to: &mut [f32]) {
    for (two, to) in rows.chunks(2 * wide).zip(to.chunks_exact_mut(wide)) {
        let (low, high) = two.split_at(wide);
        for (i, to) in to.iter_mut().enumerate() {
            *to = pair(low[i], high.get(i).copied().unwrap_or(0.0));
        }
    }
}

/// Rows of pixels rounded: `rows` by `columns` pixels of `channels` values from `from` on, to pixels
/// of `channels / 2` floats, rounded up, without gaps.
pub(crate) struct Round {
    pub(crate) from: *const f32,
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) channels: usize,
}

impl Round {
    /// # Safety
    /// The pixels are valid for reading.
    pub(crate) unsafe fn run(self, isa: Isa) -> Scratch {
        let floats = Precision::Bf16.floats(self.channels);
        let mut to = Scratch::take(self.rows * self.columns * floats);
        isa.run_in(
            Precision::Bf16,
            RoundTo {
                from: self,
                to: &mut to,
            },
        );
        to
    }
}

struct RoundTo<'a> {
    from: Round,
    to: &'a mut [f32],
}

impl PrecisionKernel for RoundTo<'_> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, a: A) {
        let s = a.simd();
        let Round {
            from,
            row,
            pixel,
            rows,
            columns,
            channels,
        } = self.from;
        // Pixels without gaps and half-filled floats are one long pixel.
        let (columns, channels) = if pixel == channels && channels.is_multiple_of(A::VALUES) {
            (1, columns * channels)
        } else {
            (columns, channels)
        };
        let floats = channels.div_ceil(A::VALUES);
        assert!(self.to.len() >= rows * columns * floats);
        for y in 0..rows {
            for x in 0..columns {
                // SAFETY: the pixel is valid for reading, by the promise to `Round::run`; what is
                // written lies in the slice, by the assertion.
                unsafe {
                    let from = from.add(y * row + x * pixel);
                    let to = self.to.as_mut_ptr().add((y * columns + x) * floats);
                    let mut c = 0;
                    while c < channels {
                        let n = <A::S as Simd>::LANES.min(channels - c);
                        a.store(
                            to.add(c / A::VALUES),
                            crate::pixels::load(s, from.add(c), n),
                            n,
                        );
                        c += n;
                    }
                }
            }
        }
    }
}

/// Work that is compiled for every instruction set and precision, as [`Kernel`](crate::isa::Kernel).
pub(crate) trait PrecisionKernel {
    fn run<A: Arithmetic>(self, a: A);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rounding_goes_to_the_nearest(bits: u32) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite() && x.abs() < 1e38);
            let (low, high) = unpair(pair(x, -x));
            prop_assert_eq!(low, -high);
            // Half a unit in the last of 8 bits.
            prop_assert!((low - x).abs() <= x.abs() / 256.0 || x.abs() < 1e-37, "{x} {low}");
            prop_assert_eq!(unpair(pair(low, 1.0)), (low, 1.0));
        }

        #[test]
        fn sets_round_alike(seed in prop::collection::vec(-1e3_f32..1e3, 1..80), channels in 1_usize..9) {
            let columns = seed.len() / channels;
            let run = |isa: Isa| {
                // SAFETY: `columns` pixels of `channels` values are in the slice.
                let to = unsafe {
                    Round { from: seed.as_ptr(), row: 0, pixel: channels, rows: 1, columns, channels }.run(isa)
                };
                to.iter().map(|v| v.to_bits()).collect::<Vec<_>>()
            };
            let expected: Vec<u32> = seed[..columns * channels]
                .chunks(channels)
                .flat_map(|p| p.chunks(2).map(|c| pair(c[0], c.get(1).copied().unwrap_or(0.0)).to_bits()))
                .collect();
            for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
                prop_assert_eq!(&run(isa), &expected, "{}", isa);
            }
        }
    }

    #[test]
    fn ties_go_to_even_and_nan_stays() {
        // Half way between 1 and 1 + 2^-7, and between that and 1 + 2^-6.
        let half = 0.5_f32.powi(8);
        let expected = (1.0, 1.0 + 4.0 * half);
        assert_eq!(unpair(pair(1.0 + half, 1.0 + 3.0 * half)), expected);
        let nan = unpair(pair(f32::from_bits(0x7f80_0001), 0.0)).0;
        assert!(nan.is_nan());
    }
}
