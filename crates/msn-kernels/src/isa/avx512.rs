//! AVX-512F: 16 lanes, 32 registers; and AVX-512 BF16.

use std::arch::x86_64::*;

use super::Simd;
use crate::precision::Arithmetic;

#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) const LANES: usize = 16;

    /// # Safety
    /// The machine has AVX-512F.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

/// The first `n` lanes.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    debug_assert!(n <= 16);
    // The low 16 bits are all there are: n <= 16.
    ((1_u32 << n) - 1) as __mmask16
}

macro_rules! operations {
    ($($name:ident($($x:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($x: __m512),*) -> __m512 {
            // SAFETY: a token of this type exists only where AVX-512F does.
            unsafe { $intrinsic($($x),*) }
        }
    )*};
}

impl Simd for Avx512 {
    const LANES: usize = Self::LANES;
    const PIXELS: usize = 8;
    type V = __m512;

    operations! {
        zero() = _mm512_setzero_ps;
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        max(a, b) = _mm512_max_ps;
        min(a, b) = _mm512_min_ps;
        sqrt(a) = _mm512_sqrt_ps;
        fma(a, b, c) = _mm512_fmadd_ps;
        fnma(a, b, c) = _mm512_fnmadd_ps;
        scale_by_power_of_two(a, n) = _mm512_scalef_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: a token of this type exists only where AVX-512F does.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn if_greater(self, a: __m512, b: __m512, v: __m512, otherwise: __m512) -> __m512 {
        // SAFETY: a token of this type exists only where AVX-512F does.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b), otherwise, v) }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512 {
        // SAFETY: a token of this type exists only where AVX-512F does.
        unsafe { _mm512_roundscale_ps::<0>(a) }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        // SAFETY: a token of this type exists only where AVX-512F does.
        unsafe {
            let a = _mm512_add_ps(a, _mm512_shuffle_f32x4::<0b01_00_11_10>(a, a));
            let a = _mm512_castps512_ps256(_mm512_add_ps(
                a,
                _mm512_shuffle_f32x4::<0b10_11_00_01>(a, a),
            ));
            let a = _mm256_castps256_ps128(a);
            let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        // SAFETY: the caller's promise on both; a token exists only where AVX-512F does.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(from.add(i * from_row));
            }
            // Squares of four within each quarter of a vector.
            for four in rows.as_chunks_mut::<4>().0 {
                let [a, b, c, d] = *four;
                let (ab, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                *four = [
                    _mm512_shuffle_ps::<0x44>(ab, cd),
                    _mm512_shuffle_ps::<0xee>(ab, cd),
                    _mm512_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm512_shuffle_ps::<0xee>(ab_high, cd_high),
                ];
            }
            // Then quarters of vectors: 4 x 4 of them.
            for i in 0..4 {
                let [a, b, c, d] = [rows[i], rows[4 + i], rows[8 + i], rows[12 + i]];
                let (ab, ab_high) = (
                    _mm512_shuffle_f32x4::<0x44>(a, b),
                    _mm512_shuffle_f32x4::<0xee>(a, b),
                );
                let (cd, cd_high) = (
                    _mm512_shuffle_f32x4::<0x44>(c, d),
                    _mm512_shuffle_f32x4::<0xee>(c, d),
                );
                for (quarter, v) in [
                    _mm512_shuffle_f32x4::<0x88>(ab, cd),
                    _mm512_shuffle_f32x4::<0xdd>(ab, cd),
                    _mm512_shuffle_f32x4::<0x88>(ab_high, cd_high),
                    _mm512_shuffle_f32x4::<0xdd>(ab_high, cd_high),
                ]
                .into_iter()
                .enumerate()
                {
                    _mm512_storeu_ps(to.add((quarter * 4 + i) * to_row), v);
                }
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32, len: usize) {
        super::prefetch(p, len);
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: the caller's promise on `p`.
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: the caller's promise on `p`.
        unsafe { _mm512_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m512 {
        // SAFETY: the caller's promise on `p`; lanes outside the mask are not touched.
        unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m512, n: usize) {
        // SAFETY: the caller's promise on `p`; lanes outside the mask are not touched.
        unsafe { _mm512_mask_storeu_ps(p, mask(n), v) }
    }
}

/// Products of pairs of bf16.
#[derive(Clone, Copy)]
pub(crate) struct Bf16(Avx512);

impl Bf16 {
    /// # Safety
    /// The machine has AVX-512F, BW, VL and BF16.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(Avx512(()))
    }
}

impl Arithmetic for Bf16 {
    type S = Avx512;
    const VALUES: usize = 2;

    #[inline(always)]
    fn simd(self) -> Avx512 {
        self.0
    }

    #[inline(always)]
    fn product(self, x: __m512, w: __m512, sum: __m512) -> __m512 {
        // SAFETY: a token of this type exists only where AVX-512 BF16 does; both types are 64 bytes
        // of plain bits.
        unsafe {
            let pairs = |v: __m512| std::mem::transmute::<__m512, __m512bh>(v);
            _mm512_dpbf16_ps(sum, pairs(x), pairs(w))
        }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512, n: usize) {
        // SAFETY: a token of this type exists only where AVX-512 BF16 and VL do; both types are 32
        // bytes of plain bits; the caller's promise on `p`, and lanes outside the mask are not
        // touched.
        unsafe {
            if n == Avx512::LANES {
                let v = std::mem::transmute::<__m256bh, __m256>(_mm512_cvtneps_pbh(v));
                _mm256_storeu_ps(p, v);
            } else {
                let v =
                    std::mem::transmute::<__m256bh, __m256>(_mm512_maskz_cvtneps_pbh(mask(n), v));
                // At most 8 bits are set: n <= 16.
                _mm256_mask_storeu_ps(p, mask(n.div_ceil(2)) as __mmask8, v);
            }
        }
    }
}
