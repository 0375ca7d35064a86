//! Which vector instructions a kernel runs on.
//!
//! Kernels are written once, over the trait [`Simd`], and compiled once per instruction set:
//! [`Isa::run`] enters a function with the right `target_feature`s and everything below it is
//! inlined there. A value of [`Isa`] can only be had for a set that this machine has, which is
//! what makes the calls sound.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use std::fmt;

use crate::error::NameError;
use crate::precision::{Plain, Precision, PrecisionKernel};

/// An instruction set that this machine is known to have.
///
/// Every kernel takes one, so that tests can compare them all; [`Isa::detect`] is what programs use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// The fastest set of this machine.
    pub fn detect() -> Self {
        Self::available()[0]
    }

    /// Plain Rust, which the compiler vectorises as far as it can; there on every machine.
    pub const fn portable() -> Self {
        Self(Kind::Portable)
    }

    /// All sets of this machine, fastest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::with_capacity(3);
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                sets.push(Self(Kind::Avx512));
            }
            if avx2 {
                sets.push(Self(Kind::Avx2));
            }
        }
        sets.push(Self::portable());
        sets
    }

    /// The set of this name, where the machine has it.
    ///
    /// # Errors
    /// [`NameError::Isa`] names those that it has.
    pub fn named(name: &str) -> Result<Self, NameError> {
        let sets = Self::available();
        let found = sets.iter().find(|set| set.name() == name).copied();
        found.ok_or_else(|| NameError::Isa {
            available: sets.iter().map(|set| set.name()).collect(),
        })
    }

    /// `avx512`, `avx2` or `portable`.
    pub const fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }

    /// Floats in one vector.
    pub(crate) const fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => avx512::Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => avx2::Avx2::LANES,
            Kind::Portable => portable::Portable::LANES,
        }
    }

    /// Whether products can be computed in bf16: with AVX-512's instructions for it, and in plain
    /// Rust, which rounds as they do and gains nothing.
    pub fn has_bf16(self) -> bool {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                is_x86_feature_detected!("avx512bf16")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => false,
            Kind::Portable => true,
        }
    }

    /// Whether this set computes in `precision`.
    pub fn computes_in(self, precision: Precision) -> bool {
        precision == Precision::F32 || self.has_bf16()
    }

    /// Runs `kernel` compiled for this set and precision.
    ///
    /// # Panics
    /// If the set has no such products.
    pub(crate) fn run_in<K: PrecisionKernel>(self, precision: Precision, kernel: K) {
        struct InF32<K>(K);
        impl<K: PrecisionKernel> Kernel for InF32<K> {
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                self.0.run(Plain(s));
            }
        }
        if precision == Precision::F32 {
            return self.run(InF32(kernel));
        }
        assert!(self.has_bf16(), "{self} has no bf16");
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
                fn enter<K: PrecisionKernel>(kernel: K) {
                    // SAFETY: only compiled code with these features reaches this line.
                    kernel.run(unsafe { avx512::Bf16::new() });
                }
                // SAFETY: `has_bf16` detected what `available` had not.
                unsafe { enter(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {}
            Kind::Portable => kernel.run(portable::Bf16),
        }
    }

    /// Runs `kernel` compiled for this set.
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => {
                #[target_feature(enable = "avx512f,avx2,fma")]
                fn enter<K: Kernel>(kernel: K) {
                    // SAFETY: only compiled code with avx512f reaches this line.
                    kernel.run(unsafe { avx512::Avx512::new() });
                }
                // SAFETY: this variant is made by `available` alone, which detected the features.
                unsafe { enter(kernel) }
            }
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => {
                #[target_feature(enable = "avx2,fma")]
                fn enter<K: Kernel>(kernel: K) {
                    // SAFETY: only compiled code with avx2 and fma reaches this line.
                    kernel.run(unsafe { avx2::Avx2::new() });
                }
                // SAFETY: this variant is made by `available` alone, which detected the features.
                unsafe { enter(kernel) }
            }
            Kind::Portable => kernel.run(portable::Portable),
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Work that is compiled for every instruction set. `run` and all it calls must be
/// `#[inline(always)]`, or the vector instructions end up behind calls.
pub(crate) trait Kernel {
    fn run<S: Simd>(self, s: S);
}

/// The lanes of the widest vector.
pub(crate) const MOST_LANES: usize = 16;

/// Vectors of `LANES` floats. A value is a token: it exists only where the instructions do.
pub(crate) trait Simd: Copy {
    const LANES: usize;
    /// Output pixels of one register tile that is two vectors wide.
    const PIXELS: usize;
    type V: Copy;

    fn zero(self) -> Self::V;
    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `a * b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`.
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `v` in the lanes where `a > b`, else `otherwise`.
    fn if_greater(self, a: Self::V, b: Self::V, v: Self::V, otherwise: Self::V) -> Self::V;
    /// Nearest integers, ties to even.
    fn round(self, a: Self::V) -> Self::V;
    /// `a * 2^n` for whole `n` in -126..=127.
    fn scale_by_power_of_two(self, a: Self::V, n: Self::V) -> Self::V;
    /// The sum of all lanes, in an order that does not change.
    fn sum(self, a: Self::V) -> f32;

    /// Asks the cache for the `len` floats from `p` on; a wish, for any address.
    #[inline(always)]
    fn prefetch(self, p: *const f32, len: usize) {
        let _ = (p, len);
    }

    /// # Safety
    /// `p` is valid for reading `LANES` floats.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `p` is valid for writing `LANES` floats.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// The first `n` lanes from memory, zeros after them.
    /// # Safety
    /// `p` is valid for reading `n` floats and `n <= LANES`.
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V;
    /// # Safety
    /// `p` is valid for writing `n` floats and `n <= LANES`.
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize);

    /// Transposes `LANES` rows of `LANES` floats each; `from_row` and `to_row` are the distances of
    /// rows in floats.
    /// # Safety
    /// `from` is valid for reading and `to` for writing these rows; they do not overlap.
    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        for i in 0..Self::LANES {
            for j in 0..Self::LANES {
                // SAFETY: the caller's promise.
                unsafe { *to.add(j * to_row + i) = *from.add(i * from_row + j) };
            }
        }
    }

    /// e^x to about two units in the last place; x below -87 gives about 1e-38, above 88 about 1e38.
    #[inline(always)]
    fn exp(self, x: Self::V) -> Self::V {
        let x = self.max(self.min(x, self.splat(88.0)), self.splat(-87.0));
        let n = self.round(self.mul(x, self.splat(std::f32::consts::LOG2_E)));
        let r = self.fnma(n, self.splat(0.693_359_4), x);
        let r = self.fnma(n, self.splat(-2.121_944_4e-4), r);
        let mut p = self.splat(1.987_569_1e-4);
        for c in [
            1.398_2e-3,
            8.333_452e-3,
            4.166_579_6e-2,
            0.166_666_65,
            0.5,
            1.0,
            1.0,
        ] {
            p = self.fma(p, r, self.splat(c));
        }
        self.scale_by_power_of_two(p, n)
    }

    /// tanh x, to about 2e-7.
    #[inline(always)]
    fn tanh(self, x: Self::V) -> Self::V {
        let two = self.splat(2.0);
        let one = self.splat(1.0);
        let x = self.max(self.min(x, self.splat(15.0)), self.splat(-15.0));
        let e = self.exp(self.mul(two, x));
        self.sub(one, self.div(two, self.add(e, one)))
    }
}

/// [`Simd::prefetch`] of processors that have SSE.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch(p: *const f32, len: usize) {
    use crate::buffers::LINE;
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    for at in (0..len).step_by(LINE) {
        // SAFETY: every x86-64 has the instruction, and it takes any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.wrapping_add(at).cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffers::AlignedBuf;

    struct Map<'a> {
        x: &'a [f32],
        exp: &'a mut [f32],
        tanh: &'a mut [f32],
    }

    impl Kernel for Map<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let mut i = 0;
            while i < self.x.len() {
                let n = S::LANES.min(self.x.len() - i);
                // SAFETY: `n` floats remain at `i` in all three slices of one length.
                unsafe {
                    let x = s.load_first(self.x.as_ptr().add(i), n);
                    s.store_first(self.exp.as_mut_ptr().add(i), s.exp(x), n);
                    s.store_first(self.tanh.as_mut_ptr().add(i), s.tanh(x), n);
                }
                i += n;
            }
        }
    }

    #[test]
    fn sets_have_names() {
        for isa in Isa::available() {
            assert_eq!(Isa::named(isa.name()), Ok(isa));
        }
        let error = Isa::named("avx9").unwrap_err();
        assert!(error.to_string().contains("portable"), "{error}");
    }

    /// The sum of a vector of `x`, and the square of vectors that begins `x`, transposed.
    struct Lanes<'a> {
        x: &'a [f32],
        sum: &'a mut f32,
        transposed: &'a mut Vec<f32>,
    }

    /// Distances of rows, longer than any vector.
    const FROM: usize = 19;
    const TO: usize = 17;

    impl Kernel for Lanes<'_> {
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            assert!(self.x.len() >= MOST_LANES * FROM);
            self.transposed.resize(S::LANES * TO, 0.0);
            // SAFETY: there are as many rows as any vector has lanes.
            unsafe {
                *self.sum = s.sum(s.load(self.x.as_ptr()));
                s.transpose(self.x.as_ptr(), FROM, self.transposed.as_mut_ptr(), TO);
            }
        }
    }

    #[test]
    fn lanes_are_summed_and_transposed() {
        let x: Vec<f32> = (0..MOST_LANES * FROM).map(|i| i as f32).collect();
        for isa in Isa::available() {
            let (mut sum, mut transposed) = (0.0, Vec::new());
            isa.run(Lanes {
                x: &x,
                sum: &mut sum,
                transposed: &mut transposed,
            });
            let lanes = isa.lanes();
            assert_eq!(sum, x[..lanes].iter().sum::<f32>(), "{isa}");
            for (row, column) in (0..lanes).flat_map(|r| (0..TO).map(move |c| (r, c))) {
                let expected = if column < lanes {
                    x[column * FROM + row]
                } else {
                    0.0
                };
                assert_eq!(
                    transposed[row * TO + column],
                    expected,
                    "{isa} {row} {column}"
                );
            }
        }
    }

    #[test]
    fn exponential_and_tanh_agree_with_f64() {
        let x: Vec<f32> = (-870..=880).map(|i| i as f32 * 0.1).collect();
        for isa in Isa::available() {
            let mut exp = AlignedBuf::zeroed(x.len());
            let mut tanh = AlignedBuf::zeroed(x.len());
            isa.run(Map {
                x: &x,
                exp: &mut exp,
                tanh: &mut tanh,
            });
            for (i, &x) in x.iter().enumerate() {
                let e = f64::from(x).exp();
                assert!(
                    (f64::from(exp[i]) - e).abs() <= 4e-7 * e,
                    "{isa} exp {x}: {}",
                    exp[i]
                );
                let t = f64::from(x).tanh();
                assert!(
                    (f64::from(tanh[i]) - t).abs() <= 3e-7,
                    "{isa} tanh {x}: {}",
                    tanh[i]
                );
            }
        }
    }
}
