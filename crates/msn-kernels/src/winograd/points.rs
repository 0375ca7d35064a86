//! The matrices of F(4x4, 3x3) for the points 0, ±√2, ±1/√2 and infinity.
//!
//! Lavin and Gray's points 0, ±1, ±2 save a few multiplications, but their powers differ more in
//! size, so that large sums cancel: rounding errors are twice as large.

use crate::isa::Simd;

/// The outer pair of points; the inner one is its inverse.
const A: f32 = std::f32::consts::SQRT_2;
const B: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// G g.
#[inline(always)]
pub(super) fn kernel_side<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
    let [g0, g1, g2] = g;
    let even = s.mul(s.fma(s.splat(2.0), g2, g0), s.splat(1.0 / 6.0));
    let odd = s.mul(g1, s.splat(A / 6.0));
    let even2 = s.mul(s.fma(s.splat(0.5), g2, g0), s.splat(-2.0 / 3.0));
    let odd2 = s.mul(g1, s.splat(-2.0 / 3.0 * B));
    [
        g0,
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even2, odd2),
        s.sub(even2, odd2),
        g2,
    ]
}

/// G^T m.
#[inline(always)]
pub(super) fn kernel_back<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 3] {
    let (even, odd) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (even2, odd2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    let (third, two_thirds) = (s.splat(1.0 / 3.0), s.splat(2.0 / 3.0));
    [
        s.fma(s.splat(1.0 / 6.0), even, s.fnma(two_thirds, even2, m[0])),
        s.fnma(s.splat(2.0 / 3.0 * B), odd2, s.mul(s.splat(A / 6.0), odd)),
        s.fma(third, s.sub(even, even2), m[5]),
    ]
}

/// B^T d.
#[inline(always)]
pub(super) fn input_side<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let (r1, r2) = outer_pair(s, d[1], d[2], d[3], d[4]);
    let (r3, r4) = inner_pair(s, d[1], d[2], d[3], d[4]);
    [
        end(s, d[0], d[2], d[4]),
        r1,
        r2,
        r3,
        r4,
        end(s, d[1], d[3], d[5]),
    ]
}

/// Rows 0 and 5 of B^T d: `d0 - 5/2 d2 + d4`, of even and of odd numbers.
#[inline(always)]
pub(super) fn end<S: Simd>(s: S, d0: S::V, d2: S::V, d4: S::V) -> S::V {
    s.fnma(s.splat(A * A + B * B), d2, s.add(d0, d4))
}

/// Rows 1 and 2 of B^T d, of the points √2 and -√2.
#[inline(always)]
pub(super) fn outer_pair<S: Simd>(s: S, d1: S::V, d2: S::V, d3: S::V, d4: S::V) -> (S::V, S::V) {
    let half = s.splat(0.5);
    let (even, odd) = (s.fnma(half, d2, d4), s.fnma(half, d1, d3));
    (s.fma(s.splat(A), odd, even), s.fnma(s.splat(A), odd, even))
}

/// Rows 3 and 4 of B^T d, of the points 1/√2 and -1/√2.
#[inline(always)]
pub(super) fn inner_pair<S: Simd>(s: S, d1: S::V, d2: S::V, d3: S::V, d4: S::V) -> (S::V, S::V) {
    let two = s.splat(2.0);
    let (even, odd) = (s.fnma(two, d2, d4), s.fnma(two, d1, d3));
    (s.fma(s.splat(B), odd, even), s.fnma(s.splat(B), odd, even))
}

/// A^T m.
#[inline(always)]
pub(super) fn output_side<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let (even, odd) = (s.add(m[1], m[2]), s.mul(s.splat(A), s.sub(m[1], m[2])));
    let (even2, odd2) = (s.add(m[3], m[4]), s.mul(s.splat(B), s.sub(m[3], m[4])));
    let (two, half) = (s.splat(2.0), s.splat(0.5));
    [
        s.add(m[0], s.add(even, even2)),
        s.add(odd, odd2),
        s.fma(two, even, s.mul(half, even2)),
        s.fma(two, odd, s.fma(half, odd2, m[5])),
    ]
}

/// A g.
#[inline(always)]
pub(super) fn output_back<S: Simd>(s: S, g: [S::V; 4]) -> [S::V; 6] {
    let (two, half) = (s.splat(2.0), s.splat(0.5));
    let even = s.fma(two, g[2], g[0]);
    let odd = s.mul(s.splat(A), s.fma(two, g[3], g[1]));
    let even2 = s.fma(half, g[2], g[0]);
    let odd2 = s.mul(s.splat(B), s.fma(half, g[3], g[1]));
    [
        g[0],
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even2, odd2),
        s.sub(even2, odd2),
        g[3],
    ]
}
