//! Gradient of batch normalisation.

use super::{Affine, Moments};
use crate::buffers::Scratch;
use crate::collective::{Collective, sum_over_ranks, world_size};
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Rows, Strips, load, store};
use crate::threads::SharedMut;
use crate::view::{View, ViewMut};

/// Gradients of a batch normalisation's parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormGradient {
    /// Of gamma.
    pub gamma: Vec<f32>,
    /// Of beta.
    pub beta: Vec<f32>,
}

/// A batch normalisation in training mode, followed by ReLU or not, as its forward pass computed it.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm<'a> {
    /// What was normalised.
    pub input: View<'a>,
    /// Its moments; where ranks share the batch, those of all ranks ([`Moments::over_ranks`]).
    pub moments: &'a Moments,
    /// What normalised it: [`Moments::affine`] with `epsilon`.
    pub affine: &'a Affine,
    /// What was added to the variance.
    pub epsilon: f64,
    /// Whether ReLU followed.
    pub relu: bool,
}

impl BatchNorm<'_> {
    /// Gradients of the parameters, of this rank's pixels alone. `gradient` is that of the output
    /// on entry and that of the input on return; where ranks share the batch, through the moments
    /// of all ranks.
    ///
    /// # Panics
    /// If shapes or lengths differ.
    pub fn backward(
        &self,
        isa: Isa,
        gradient: &mut ViewMut<'_>,
        collective: Option<&dyn Collective>,
    ) -> NormGradient {
        let Self {
            input,
            moments,
            affine,
            epsilon,
            relu,
        } = *self;
        let shape = input.shape();
        let channels = shape.channels;
        assert_eq!(
            gradient.shape(),
            shape,
            "the gradient of a normalisation's output"
        );
        affine.check(channels);
        assert!(
            moments.mean.len() == channels && moments.variance.len() == channels,
            "moments of other channels"
        );
        let strips = Strips::new(shape);
        let mut parts = vec![0.0; strips.count() * 2 * channels];
        let shared = SharedMut::new(&mut parts);
        let out = gradient.shared();
        strips.for_each(|strip| {
            // SAFETY: each strip has its own part.
            let part = unsafe { shared.part(strip.index * 2 * channels, 2 * channels) };
            let (sums, products) = part.split_at_mut(channels);
            isa.run(StripSums {
                rows: Rows::new(&input, strip),
                // SAFETY: the rows of a strip are touched by its task alone.
                gradient: unsafe { out.ptr(strip.image, strip.y, 0) },
                gradient_row: out.row_stride(),
                gradient_pixel: out.pixel_stride(),
                mean: &moments.mean,
                affine,
                relu,
                sums,
                products,
            });
        });
        let mut result = NormGradient {
            gamma: Vec::with_capacity(channels),
            beta: Vec::with_capacity(channels),
        };
        let pixels = (shape.pixels().max(1) * world_size(collective)) as f64;
        // The gradient of the input is scale * g - offset - slope * (x - mean).
        let mut coefficients = Scratch::take(2 * channels);
        let (offset, slope) = coefficients.split_at_mut(channels);
        let mut sums = vec![0.0_f64; 2 * channels];
        for part in parts.chunks_exact(2 * channels) {
            for (sum, v) in sums.iter_mut().zip(part) {
                *sum += f64::from(*v);
            }
        }
        let root = |c: usize| 1.0 / (f64::from(moments.variance[c]) + epsilon).sqrt();
        for c in 0..channels {
            result.beta.push(sums[c] as f32);
            result.gamma.push((sums[channels + c] * root(c)) as f32);
        }
        sum_over_ranks(collective, &mut sums);
        for c in 0..channels {
            let (sum, product, root) = (sums[c], sums[channels + c], root(c));
            let scale = f64::from(affine.scale[c]);
            offset[c] = (scale * sum / pixels) as f32;
            slope[c] = (scale * product * root * root / pixels) as f32;
        }
        let (offset, slope) = (&*offset, &*slope);
        strips.for_each(|strip| {
            isa.run(StripGradient {
                rows: Rows::new(&input, strip),
                // SAFETY: the rows of a strip are touched by its task alone.
                gradient: unsafe { out.ptr(strip.image, strip.y, 0) },
                gradient_row: out.row_stride(),
                gradient_pixel: out.pixel_stride(),
                mean: &moments.mean,
                affine,
                offset,
                slope,
                relu,
            });
        });
        result
    }
}

struct StripSums<'a> {
    rows: Rows,
    gradient: *mut f32,
    gradient_row: usize,
    gradient_pixel: usize,
    mean: &'a [f32],
    affine: &'a Affine,
    relu: bool,
    sums: &'a mut [f32],
    products: &'a mut [f32],
}

impl Kernel for StripSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        let mut c = 0;
        while c < r.channels {
            let n = S::LANES.min(r.channels - c);
            // SAFETY: all slices have `channels` values; all addresses are pixels of the strip.
            unsafe {
                let mean = load(s, self.mean.as_ptr().add(c), n);
                let scale = load(s, self.affine.scale.as_ptr().add(c), n);
                let shift = load(s, self.affine.shift.as_ptr().add(c), n);
                let (mut sum, mut product) = (s.zero(), s.zero());
                for y in 0..r.rows {
                    let from = r.start.add(y * r.row + c);
                    let gradient = self.gradient.add(y * self.gradient_row + c);
                    let (mut row_sum, mut row_product) = (s.zero(), s.zero());
                    for x in 0..r.columns {
                        let v = load(s, from.add(x * r.pixel), n);
                        let mut g = load(s, gradient.add(x * self.gradient_pixel), n);
                        if self.relu {
                            g = s.if_greater(s.fma(v, scale, shift), s.zero(), g, s.zero());
                        }
                        row_sum = s.add(row_sum, g);
                        row_product = s.fma(g, s.sub(v, mean), row_product);
                    }
                    sum = s.add(sum, row_sum);
                    product = s.add(product, row_product);
                }
                store(s, self.sums.as_mut_ptr().add(c), sum, n);
                store(s, self.products.as_mut_ptr().add(c), product, n);
            }
            c += n;
        }
    }
}

struct StripGradient<'a> {
    rows: Rows,
    gradient: *mut f32,
    gradient_row: usize,
    gradient_pixel: usize,
    mean: &'a [f32],
    affine: &'a Affine,
    offset: &'a [f32],
    slope: &'a [f32],
    relu: bool,
}

impl Kernel for StripGradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        let mut c = 0;
        while c < r.channels {
            let n = S::LANES.min(r.channels - c);
            // SAFETY: all slices have `channels` values; all addresses are pixels of the strip.
            unsafe {
                let mean = load(s, self.mean.as_ptr().add(c), n);
                let scale = load(s, self.affine.scale.as_ptr().add(c), n);
                let shift = load(s, self.affine.shift.as_ptr().add(c), n);
                let offset = load(s, self.offset.as_ptr().add(c), n);
                let slope = load(s, self.slope.as_ptr().add(c), n);
                for y in 0..r.rows {
                    let from = r.start.add(y * r.row + c);
                    let gradient = self.gradient.add(y * self.gradient_row + c);
                    for x in 0..r.columns {
                        let v = load(s, from.add(x * r.pixel), n);
                        let at = gradient.add(x * self.gradient_pixel);
                        let mut g = load(s, at, n);
                        if self.relu {
                            // Computed as in the forward pass, so that the sign is the same.
                            g = s.if_greater(s.fma(v, scale, shift), s.zero(), g, s.zero());
                        }
                        let d = s.fnma(slope, s.sub(v, mean), s.sub(s.mul(g, scale), offset));
                        store(s, at, d, n);
                    }
                }
            }
            c += n;
        }
    }
}
