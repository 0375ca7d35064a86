//! AVX2 with FMA: 8 lanes, 16 registers.

use std::arch::x86_64::*;

use super::Simd;

#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) const LANES: usize = 8;

    /// # Safety
    /// The machine has AVX2 and FMA.
    #[inline(always)]
    pub(super) unsafe fn new() -> Self {
        Self(())
    }
}

/// Eight set lanes, then eight clear ones: a window into it is a mask.
static LANE_MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

macro_rules! operations {
    ($($name:ident($($x:ident),*) = $intrinsic:ident;)*) => {$(
        #[inline(always)]
        fn $name(self, $($x: __m256),*) -> __m256 {
            // SAFETY: a token of this type exists only where AVX2 and FMA do.
            unsafe { $intrinsic($($x),*) }
        }
    )*};
}

impl Avx2 {
    /// The first `n` lanes.
    #[inline(always)]
    fn mask(self, n: usize) -> __m256i {
        assert!(n <= 8);
        // SAFETY: 8 - n + 8 <= 16 entries; a token exists only where AVX2 does.
        unsafe { _mm256_loadu_si256(LANE_MASKS.as_ptr().add(8 - n).cast()) }
    }
}

impl Simd for Avx2 {
    const LANES: usize = Self::LANES;
    const PIXELS: usize = 6;
    type V = __m256;

    operations! {
        zero() = _mm256_setzero_ps;
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        max(a, b) = _mm256_max_ps;
        min(a, b) = _mm256_min_ps;
        sqrt(a) = _mm256_sqrt_ps;
        fma(a, b, c) = _mm256_fmadd_ps;
        fnma(a, b, c) = _mm256_fnmadd_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: a token of this type exists only where AVX2 does.
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    fn if_greater(self, a: __m256, b: __m256, v: __m256, otherwise: __m256) -> __m256 {
        // SAFETY: a token of this type exists only where AVX2 does.
        unsafe { _mm256_blendv_ps(otherwise, v, _mm256_cmp_ps::<_CMP_GT_OQ>(a, b)) }
    }

    #[inline(always)]
    fn round(self, a: __m256) -> __m256 {
        // SAFETY: a token of this type exists only where AVX2 does.
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    fn scale_by_power_of_two(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: a token of this type exists only where AVX2 does.
        unsafe {
            let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        // SAFETY: a token of this type exists only where AVX2 does.
        unsafe {
            let a = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let a = _mm_add_ps(a, _mm_movehl_ps(a, a));
            _mm_cvtss_f32(_mm_add_ss(a, _mm_shuffle_ps::<1>(a, a)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(self, from: *const f32, from_row: usize, to: *mut f32, to_row: usize) {
        // SAFETY: the caller's promise on both; a token exists only where AVX2 does.
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = _mm256_loadu_ps(from.add(i * from_row));
            }
            // Squares of four within each half of a vector.
            for four in rows.as_chunks_mut::<4>().0 {
                let [a, b, c, d] = *four;
                let (ab, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                *four = [
                    _mm256_shuffle_ps::<0x44>(ab, cd),
                    _mm256_shuffle_ps::<0xee>(ab, cd),
                    _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
                    _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
                ];
            }
            for i in 0..4 {
                let (a, b) = (rows[i], rows[4 + i]);
                _mm256_storeu_ps(to.add(i * to_row), _mm256_permute2f128_ps::<0x20>(a, b));
                _mm256_storeu_ps(
                    to.add((4 + i) * to_row),
                    _mm256_permute2f128_ps::<0x31>(a, b),
                );
            }
        }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32, len: usize) {
        super::prefetch(p, len);
    }

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: the caller's promise on `p`.
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: the caller's promise on `p`.
        unsafe { _mm256_storeu_ps(p, v) }
    }

    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> __m256 {
        let mask = self.mask(n);
        // SAFETY: the caller's promise on `p`; lanes outside the mask are not touched.
        unsafe { _mm256_maskload_ps(p, mask) }
    }

    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: __m256, n: usize) {
        let mask = self.mask(n);
        // SAFETY: the caller's promise on `p`; lanes outside the mask are not touched.
        unsafe { _mm256_maskstore_ps(p, mask, v) }
    }
}
