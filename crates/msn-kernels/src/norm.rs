//! Batch normalisation, fused with ReLU, in training: statistics, normalisation, gradient.

use crate::buffers::Scratch;
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load, store};
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
    // Mean and sum of squared distances of each strip.
    let mut parts = vec![0.0; strips.count() * 2 * channels];
    let shared = SharedMut::new(&mut parts);
    strips.for_each(|strip| {
        // SAFETY: each strip has its own part.
        let part = unsafe { shared.part(strip.index * 2 * channels, 2 * channels) };
        let (mean, squares) = part.split_at_mut(channels);
        isa.run(StripMoments {
            rows: Rows {
                start: input.ptr(strip.image, strip.y, 0),
                row: input.row_stride(),
                pixel: input.pixel_stride(),
                rows: strip.rows,
                columns: shape.width,
                channels,
            },
            mean,
            squares,
        });
    });
    // Chan's formula for joining two sets, in f64.
    let mut result = Moments {
        mean: vec![0.0; channels],
        variance: vec![0.0; channels],
    };
    for c in 0..channels {
        let (mut count, mut mean, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
        for (i, part) in parts.chunks_exact(2 * channels).enumerate() {
            let pixels = (strips.rows(i) * shape.width) as f64;
            let delta = f64::from(part[c]) - mean;
            let total = count + pixels;
            squares += f64::from(part[channels + c]) + delta * delta * count * pixels / total;
            mean += delta * pixels / total;
            count = total;
        }
        result.mean[c] = mean as f32;
        result.variance[c] = (squares / count.max(1.0)) as f32;
    }
    result
}

/// Rows of pixels, all readable.
#[derive(Clone, Copy)]
struct Rows {
    start: *const f32,
    row: usize,
    pixel: usize,
    rows: usize,
    columns: usize,
    channels: usize,
}

struct StripMoments<'a> {
    rows: Rows,
    mean: &'a mut [f32],
    squares: &'a mut [f32],
}

impl Kernel for StripMoments<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        assert!(self.mean.len() == r.channels && self.squares.len() == r.channels);
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
                let mut row = s.zero();
                for x in 0..r.columns {
                    // SAFETY: a pixel of the rows.
                    let v = unsafe { load(s, r.start.add(y * r.row + x * r.pixel + c), n) };
                    let d = s.sub(v, mean);
                    rest = s.add(rest, d);
                    row = s.fma(d, d, row);
                }
                squares = s.add(squares, row);
            }
            // What rounding of the mean left over.
            let correction = s.mul(rest, one_by_count);
            let squares = s.fnma(rest, correction, squares);
            // SAFETY: `n` values are left in both slices.
            unsafe {
                store(s, self.mean.as_mut_ptr().add(c), s.add(mean, correction), n);
                store(
                    s,
                    self.squares.as_mut_ptr().add(c),
                    s.max(squares, s.zero()),
                    n,
                );
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
            rows: Rows {
                start: input.ptr(strip.image, strip.y, 0),
                row: input.row_stride(),
                pixel: input.pixel_stride(),
                rows: strip.rows,
                columns: shape.width,
                channels: shape.channels,
            },
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

/// Gradients of a batch normalisation's parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NormGradient {
    /// Of gamma.
    pub gamma: Vec<f32>,
    /// Of beta.
    pub beta: Vec<f32>,
}

/// Gradient of batch normalisation in training mode, followed by ReLU where `relu`.
///
/// `input` is what was normalised, `moments` and `affine` what normalised it (with the same
/// `epsilon`). `gradient` is that of the output on entry and that of the input on return.
///
/// # Panics
/// If shapes or lengths differ.
pub fn batch_norm_backward(
    isa: Isa,
    input: View<'_>,
    moments: &Moments,
    affine: &Affine,
    epsilon: f64,
    relu: bool,
    gradient: &mut ViewMut<'_>,
) -> NormGradient {
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
    let rows = |strip: crate::pixels::Strip| Rows {
        start: input.ptr(strip.image, strip.y, 0),
        row: input.row_stride(),
        pixel: input.pixel_stride(),
        rows: strip.rows,
        columns: shape.width,
        channels,
    };
    strips.for_each(|strip| {
        // SAFETY: each strip has its own part.
        let part = unsafe { shared.part(strip.index * 2 * channels, 2 * channels) };
        let (sums, products) = part.split_at_mut(channels);
        isa.run(StripSums {
            rows: rows(strip),
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
    let pixels = shape.pixels().max(1) as f64;
    // The gradient of the input is scale * g - offset - slope * (x - mean).
    let mut coefficients = Scratch::take(2 * channels);
    let (offset, slope) = coefficients.split_at_mut(channels);
    for c in 0..channels {
        let (mut sum, mut product) = (0.0_f64, 0.0_f64);
        for part in parts.chunks_exact(2 * channels) {
            sum += f64::from(part[c]);
            product += f64::from(part[channels + c]);
        }
        let root = 1.0 / (f64::from(moments.variance[c]) + epsilon).sqrt();
        let scale = f64::from(affine.scale[c]);
        result.beta.push(sum as f32);
        result.gamma.push((product * root) as f32);
        offset[c] = (scale * sum / pixels) as f32;
        slope[c] = (scale * product * root * root / pixels) as f32;
    }
    let (offset, slope) = (&*offset, &*slope);
    strips.for_each(|strip| {
        isa.run(StripGradient {
            rows: rows(strip),
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

/// The sum over all pixels of each channel: the gradient of a bias. In an order that depends on
/// the shape alone.
pub fn channel_sums(isa: Isa, input: View<'_>) -> Vec<f32> {
    let shape = input.shape();
    let pixels = shape.pixels() as f64;
    moments(isa, input)
        .mean
        .iter()
        .map(|&m| (f64::from(m) * pixels) as f32)
        .collect()
}

/// tanh of every value, in place.
pub fn tanh_in_place(isa: Isa, values: &mut ViewMut<'_>) {
    let shape = values.shape();
    let out = values.shared();
    Strips::new(shape).for_each(|strip| {
        isa.run(Tanh {
            rows: Rows {
                start: std::ptr::null(),
                row: out.row_stride(),
                pixel: out.pixel_stride(),
                rows: strip.rows,
                columns: shape.width,
                channels: shape.channels,
            },
            // SAFETY: the rows of a strip are touched by its task alone.
            values: unsafe { out.ptr(strip.image, strip.y, 0) },
        });
    });
}

struct Tanh {
    rows: Rows,
    values: *mut f32,
}

impl Kernel for Tanh {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        for y in 0..r.rows {
            // Where pixels touch, a row is one long vector.
            let (count, len) = if r.pixel == r.channels {
                (1, r.columns * r.channels)
            } else {
                (r.columns, r.channels)
            };
            for x in 0..count {
                let mut i = 0;
                while i < len {
                    let n = S::LANES.min(len - i);
                    // SAFETY: values of the strip.
                    unsafe {
                        let at = self.values.add(y * r.row + x * r.pixel + i);
                        store(s, at, s.tanh(load(s, at, n)), n);
                    }
                    i += n;
                }
            }
        }
    }
}
