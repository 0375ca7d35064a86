//! Random images and comparisons.

use msn_kernels::reference::Images;
use msn_kernels::{FeatureMap, Shape, View};
use proptest::prelude::*;

/// Values in -1..1 from a seed (SplitMix64).
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z >> 40) as f32) / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Images that a kernel reads: dense, with a halo, or some channels of wider ones.
pub struct Source {
    pub shape: Shape,
    dense: Vec<f32>,
    map: FeatureMap,
    before: usize,
}

impl Source {
    /// With `wider` more channels around those that are used.
    pub fn new(seed: u64, shape: Shape, wider: usize) -> Self {
        let whole = shape.with_channels(shape.channels + wider);
        let dense = values(seed, whole.len());
        let map = FeatureMap::from_view(View::dense(&dense, whole));
        Self {
            shape,
            dense,
            map,
            before: wider / 2,
        }
    }

    /// Twice the same images, in two layouts.
    pub fn views(&self) -> [View<'_>; 2] {
        let range = self.before..self.before + self.shape.channels;
        let whole = self.map.shape();
        [
            View::dense(&self.dense, whole).channels(range.clone()),
            self.map.view().channels(range),
        ]
    }

    pub fn images(&self) -> Images {
        Images::from_view(self.views()[0])
    }

    /// The same images in bf16.
    pub fn rounded(&self) -> Images {
        let values = rounded(&self.views()[0].to_vec());
        Images::from_view(View::dense(&values, self.shape))
    }
}

/// The values with the 8 bits that bf16 keeps, rounded to nearest, ties to even.
pub fn rounded(v: &[f32]) -> Vec<f32> {
    let round = |x: &f32| {
        let bits = x.to_bits();
        f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
    };
    v.iter().map(round).collect()
}

/// Largest |a - b| in units of the largest |b| (at least 1).
pub fn error(a: &[f32], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1.0_f64, |m, b| m.max(b.abs()));
    a.iter()
        .zip(b)
        .map(|(a, b)| (f64::from(*a) - b).abs())
        .fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
        / largest
}

/// Sizes with all the odd cases: one pixel, one row, no multiple of any tile.
pub fn shapes(max_channels: usize) -> impl Strategy<Value = Shape> {
    (
        1_usize..=9,
        1_usize..=19,
        1_usize..=19,
        1_usize..=max_channels,
    )
        .prop_map(|(n, h, w, c)| Shape::new(n.min(1 + 200 / (h * w)), h, w, c))
}

/// A map filled with values that no kernel may leave behind or may touch outside of its channels.
pub fn target(shape: Shape, wider: usize) -> FeatureMap {
    let mut map = FeatureMap::zeros(shape.with_channels(shape.channels + wider));
    let junk = vec![777.0; map.shape().len()];
    map.copy_from(View::dense(&junk, map.shape()));
    map
}

/// The channels of `map` that a kernel had as its target; the others must be untouched.
pub fn result(map: &FeatureMap, channels: usize) -> Vec<f32> {
    let wider = map.shape().channels - channels;
    let before = wider / 2;
    for range in [0..before, before + channels..channels + wider] {
        let outside = map.view().channels(range).to_vec();
        assert!(
            outside.iter().all(|&v| v == 777.0),
            "other channels were written"
        );
    }
    map.view().channels(before..before + channels).to_vec()
}

/// Proptest settings: quick, but the same cases are not repeated from one run to the next.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        cases: if cfg!(miri) { 3 } else { 48 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
