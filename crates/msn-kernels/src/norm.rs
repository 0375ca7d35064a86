//! Batch normalisation, fused with ReLU, in training: statistics, normalisation, gradient.

mod backward;

pub use backward::{BatchNorm, NormGradient};

use crate::collective::Collective;
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Rows, Strips, load, store};
use crate::threads::SharedMut;
use crate::view::{View, ViewMut};

/// Mean and variance of each channel over all pixels of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moments {
    /// Mean.
    pub mean: Vec<f32>,
    /// Mean squared distance from the mean (biased: divided by the number of pixels).
    pub variance: Vec<f32>,
}

impl Moments {
    /// The variance divided by pixels - 1, which running statistics hold.
    pub fn unbiased_variance(&self, pixels: usize) -> Vec<f32> {
        let factor = pixels as f64 / pixels.saturating_sub(1).max(1) as f64;
        self.variance
            .iter()
            .map(|&v| (f64::from(v) * factor) as f32)
            .collect()
    }

    /// The moments over the pixels of all ranks, from those of this rank's; each rank has as many
    /// pixels. Without a collective they are this rank's.
    pub fn over_ranks(self, collective: Option<&dyn Collective>) -> Self {
        let Some(collective) = collective else {
            return self;
        };
        let channels = self.mean.len();
        let all = collective.all_gather(&[self.mean, self.variance].concat());
        let share = 1.0 / all.len().max(1) as f64;
        let mean = |c: usize| all.iter().map(|part| f64::from(part[c])).sum::<f64>() * share;
        let mean: Vec<f64> = (0..channels).map(mean).collect();
        let variance = |c: usize| {
            let one = |part: &Vec<f32>| {
                f64::from(part[channels + c]) + (f64::from(part[c]) - mean[c]).powi(2)
            };
            (all.iter().map(one).sum::<f64>() * share) as f32
        };
        Self {
            variance: (0..channels).map(variance).collect(),
            mean: mean.iter().map(|&m| m as f32).collect(),
        }
    }

    /// What normalisation multiplies and adds: `gamma / sqrt(variance + epsilon)` and
    /// `beta - mean * scale`.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn affine(&self, gamma: &[f32], beta: &[f32], epsilon: f64) -> Affine {
        let channels = self.mean.len();
        assert!(
            gamma.len() == channels && beta.len() == channels,
            "{} gammas and {} betas for {channels} channels",
            gamma.len(),
            beta.len()
        );
        let mut affine = Affine {
            scale: Vec::with_capacity(channels),
            shift: Vec::with_capacity(channels),
        };
        for c in 0..channels {
            let scale = f64::from(gamma[c]) / (f64::from(self.variance[c]) + epsilon).sqrt();
            affine.scale.push(scale as f32);
            affine
                .shift
                .push((f64::from(beta[c]) - f64::from(self.mean[c]) * scale) as f32);
        }
        affine
    }
}

/// A factor and a summand for each channel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Affine {
    /// Factors.
    pub scale: Vec<f32>,
    /// Summands.
    pub shift: Vec<f32>,
}

/// Mean and variance of each channel; exact to f32 rounding also where the mean is large, and in
/// an order that depends on the shape alone.
pub fn moments(isa: Isa, input: View<'_>) -> Moments {
    let shape = input.shape();
    let channels = shape.channels;
    let strips = Strips::new(shape);
    // Of each strip its mean in two parts, since f32 holds too little of a mean far from zero, and
    // its sum of squared distances.
    let mut parts = vec![0.0; strips.count() * 3 * channels];
    let shared = SharedMut::new(&mut parts);
    strips.for_each(|strip| {
        // SAFETY: each strip has its own part.
        let part = unsafe { shared.part(strip.index * 3 * channels, 3 * channels) };
        isa.run(StripMoments {
            rows: Rows::new(&input, strip),
            part,
        });
    });
    // Chan's formula for joining two sets, in f64.
    let mut result = Moments {
        mean: vec![0.0; channels],
        variance: vec![0.0; channels],
    };
    for c in 0..channels {
        let (mut count, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (i, part) in parts.chunks_exact(3 * channels).enumerate() {
            let pixels = (strips.rows(i) * shape.width) as f64;
            let delta = f64::from(part[c]) + f64::from(part[channels + c]) - mean;
            let total = count + pixels;
            squares += f64::from(part[2 * channels + c]) + delta * delta * count * pixels / total;
            mean += delta * pixels / total;
            count = total;
        }
        result.mean[c] = mean as f32;
        result.variance[c] = (squares / count.max(1.0)) as f32;
    }
    result
}

struct StripMoments<'a> {
    rows: Rows,
    /// `[3][channels]`: rounded mean, what it lacks, sum of squared distances.
    part: &'a mut [f32],
}

impl Kernel for StripMoments<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        assert_eq!(self.part.len(), 3 * r.channels);
        let one_by_count = s.splat(1.0 / (r.rows * r.columns) as f32);
        let mut c = 0;
        while c < r.channels {
            let n = S::LANES.min(r.channels - c);
            let mut sum = s.zero();
            for y in 0..r.rows {
                let mut row = s.zero();
                for x in 0..r.columns {
                    // SAFETY: a pixel of the rows.
                    row = s.add(row, unsafe {
                        load(s, r.start.add(y * r.row + x * r.pixel + c), n)
                    });
                }
                sum = s.add(sum, row);
            }
            let mean = s.mul(sum, one_by_count);
            let (mut squares, mut rest) = (s.zero(), s.zero());
            for y in 0..r.rows {
                let (mut row, mut row_rest) = (s.zero(), s.zero());
                for x in 0..r.columns {
                    // SAFETY: a pixel of the rows.
                    let v = unsafe { load(s, r.start.add(y * r.row + x * r.pixel + c), n) };
                    let d = s.sub(v, mean);
                    row_rest = s.add(row_rest, d);
                    row = s.fma(d, d, row);
                }
                squares = s.add(squares, row);
                rest = s.add(rest, row_rest);
            }
            let correction = s.mul(rest, one_by_count);
            let squares = s.max(s.zero(), s.fnma(rest, correction, squares));
            for (i, v) in [mean, correction, squares].into_iter().enumerate() {
                // SAFETY: `n` values of each of the three are left.
                unsafe { store(s, self.part.as_mut_ptr().add(i * r.channels + c), v, n) };
            }
            c += n;
        }
    }
}

/// `output = input * scale + shift`, its positive part where `relu`.
///
/// # Panics
/// If shapes or lengths differ.
pub fn apply_affine(
    isa: Isa,
    input: View<'_>,
    affine: &Affine,
    relu: bool,
    mut output: ViewMut<'_>,
) {
    let shape = input.shape();
    assert_eq!(output.shape(), shape, "the output of an affine map");
    affine.check(shape.channels);
    let out = output.shared();
    Strips::new(shape).for_each(|strip| {
        isa.run(Apply {
            rows: Rows::new(&input, strip),
            affine,
            relu,
            // SAFETY: the rows of a strip are written by its task alone.
            output: unsafe { out.ptr(strip.image, strip.y, 0) },
            output_row: out.row_stride(),
            output_pixel: out.pixel_stride(),
        });
    });
}

impl Affine {
    fn check(&self, channels: usize) {
        assert!(
            self.scale.len() == channels && self.shift.len() == channels,
            "{} factors and {} summands for {channels} channels",
            self.scale.len(),
            self.shift.len()
        );
    }
}

struct Apply<'a> {
    rows: Rows,
    affine: &'a Affine,
    relu: bool,
    output: *mut f32,
    output_row: usize,
    output_pixel: usize,
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        let mut c = 0;
        while c < r.channels {
            let n = S::LANES.min(r.channels - c);
            // SAFETY: an affine map has `channels` values of each (`Affine::check`), and all
            // addresses are pixels of the strip.
            unsafe {
                let scale = load(s, self.affine.scale.as_ptr().add(c), n);
                let shift = load(s, self.affine.shift.as_ptr().add(c), n);
                for y in 0..r.rows {
                    let from = r.start.add(y * r.row + c);
                    let to = self.output.add(y * self.output_row + c);
                    for x in 0..r.columns {
                        let mut v = s.fma(load(s, from.add(x * r.pixel), n), scale, shift);
                        if self.relu {
                            v = s.max(s.zero(), v);
                        }
                        store(s, to.add(x * self.output_pixel), v, n);
                    }
                }
            }
            c += n;
        }
    }
}
