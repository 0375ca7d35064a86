//! Plain Rust on arrays of eight, for the compiler to vectorise.

use super::Simd;
use crate::precision::{Arithmetic, pair, unpair};

#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Portable {
    pub(super) const LANES: usize = 8;
}

type V = [f32; Portable::LANES];

#[inline(always)]
fn map2(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    let mut out = [0.0; Portable::LANES];
    for i in 0..Portable::LANES {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Simd for Portable {
    const LANES: usize = Self::LANES;
    const PIXELS: usize = 2;
    type V = V;

    #[inline(always)]
    fn zero(self) -> V {
        [0.0; Self::LANES]
    }

    #[inline(always)]
    fn splat(self, x: f32) -> V {
        [x; Self::LANES]
    }

    #[inline(always)]
    fn add(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: V, b: V) -> V {
        map2(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn max(self, a: V, b: V) -> V {
        map2(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn min(self, a: V, b: V) -> V {
        map2(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn sqrt(self, a: V) -> V {
        a.map(f32::sqrt)
    }

    // Two roundings: without the instruction `mul_add` is a call into the C library.
    #[inline(always)]
    fn fma(self, a: V, b: V, c: V) -> V {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn fnma(self, a: V, b: V, c: V) -> V {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn if_greater(self, a: V, b: V, v: V, otherwise: V) -> V {
        let mut out = otherwise;
        for i in 0..Self::LANES {
            if a[i] > b[i] {
                out[i] = v[i];
            }
        }
        out
    }

    #[inline(always)]
    fn round(self, a: V) -> V {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: V, n: V) -> V {
        // A float to integer cast saturates; n is whole and in -126..=127.
        map2(a, n, |a, n| {
            a * f32::from_bits(((n as i32 + 127).max(0).cast_unsigned()) << 23)
        })
    }

    #[inline(always)]
    fn sum(self, a: V) -> f32 {
        ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]))
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> V {
        // SAFETY: the caller's promise on `p`; an array of f32 has the alignment of f32.
        unsafe { p.cast::<V>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V) {
        // SAFETY: the caller's promise on `p`; an array of f32 has the alignment of f32.
        unsafe { p.cast::<V>().write(v) }
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> V {
        let mut v = self.zero();
        for (i, lane) in v.iter_mut().enumerate().take(n) {
            // SAFETY: the caller's promise on `p`, i < n.
            *lane = unsafe { p.add(i).read() };
        }
        v
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: V, n: usize) {
        for (i, lane) in v.into_iter().enumerate().take(n) {
            // SAFETY: the caller's promise on `p`, i < n.
            unsafe { p.add(i).write(lane) };
        }
    }
}

/// Products of pairs of bf16, as AVX-512's instruction has them.
#[derive(Clone, Copy)]
pub(crate) struct Bf16;

impl Arithmetic for Bf16 {
    type S = Portable;
    const VALUES: usize = 2;

    #[inline(always)]
    fn simd(self) -> Portable {
        Portable
    }

    #[inline(always)]
    fn product(self, x: V, w: V, sum: V) -> V {
        let mut out = sum;
        for i in 0..Portable::LANES {
            let ((x0, x1), (w0, w1)) = (unpair(x[i]), unpair(w[i]));
            out[i] += x0 * w0;
            out[i] += x1 * w1;
        }
        out
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: V, n: usize) {
        for (i, two) in v[..n].chunks(2).enumerate() {
            let both = pair(two[0], two.get(1).copied().unwrap_or(0.0));
            // SAFETY: the caller's promise on `p`, 2i < n.
            unsafe { p.add(i).write(both) };
        }
    }
}
