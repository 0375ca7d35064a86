//! 2x2 maximum with stride 2.

use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::view::{View, ViewMut};

/// The largest of each 2x2 pixels, channel by channel; an odd last row or column is left out. Where
/// one of the four is not a number, the result is any of them.
///
/// # Panics
/// If `output` is not half as high and wide as `input`, rounded down, with the same channels.
pub fn max_pool2(isa: Isa, input: View<'_>, mut output: ViewMut<'_>) {
    let shape = output.shape();
    assert_eq!(shape, input.shape().halved(), "the output of max_pool2");
    let out = output.shared();
    Strips::new(shape).for_each(|strip| {
        for y in strip.y..strip.y + strip.rows {
            isa.run(Forward {
                upper: input.ptr(strip.image, 2 * y, 0),
                lower: input.ptr(strip.image, 2 * y + 1, 0),
                input_pixel: input.pixel_stride(),
                // SAFETY: the rows of a strip are written by its task alone.
                output: unsafe { out.ptr(strip.image, y, 0) },
                output_pixel: out.pixel_stride(),
                columns: shape.width,
                channels: shape.channels,
            });
        }
    });
}

struct Forward {
    upper: *const f32,
    lower: *const f32,
    input_pixel: usize,
    output: *mut f32,
    output_pixel: usize,
    columns: usize,
    channels: usize,
}

impl Kernel for Forward {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut c = 0;
        while c < self.channels {
            let n = S::LANES.min(self.channels - c);
            for x in 0..self.columns {
                // SAFETY: both rows have 2 `columns` pixels, the output `columns`.
                unsafe {
                    let (left, right) = (
                        2 * x * self.input_pixel + c,
                        (2 * x + 1) * self.input_pixel + c,
                    );
                    let upper = s.max(
                        load(s, self.upper.add(left), n),
                        load(s, self.upper.add(right), n),
                    );
                    let lower = s.max(
                        load(s, self.lower.add(left), n),
                        load(s, self.lower.add(right), n),
                    );
                    store(
                        s,
                        self.output.add(x * self.output_pixel + c),
                        s.max(upper, lower),
                        n,
                    );
                }
            }
            c += n;
        }
    }
}

/// Adds the gradient of the input of [`max_pool2`] to `input_gradient`: each output's gradient
/// goes to the first of its four inputs (row by row) that has the maximum.
///
/// # Panics
/// If the shapes do not fit together.
pub fn max_pool2_backward(
    isa: Isa,
    input: View<'_>,
    gradient: View<'_>,
    mut input_gradient: ViewMut<'_>,
) {
    let shape = gradient.shape();
    assert_eq!(
        shape,
        input.shape().halved(),
        "the gradient of the output of max_pool2"
    );
    assert_eq!(
        input_gradient.shape(),
        input.shape(),
        "the gradient of the input of max_pool2"
    );
    let out = input_gradient.shared();
    Strips::new(shape).for_each(|strip| {
        for y in strip.y..strip.y + strip.rows {
            isa.run(Backward {
                input: [
                    input.ptr(strip.image, 2 * y, 0),
                    input.ptr(strip.image, 2 * y + 1, 0),
                ],
                input_pixel: input.pixel_stride(),
                gradient: gradient.ptr(strip.image, y, 0),
                gradient_pixel: gradient.pixel_stride(),
                // SAFETY: the two rows below an output row are written by its task alone.
                output: unsafe {
                    [
                        out.ptr(strip.image, 2 * y, 0),
                        out.ptr(strip.image, 2 * y + 1, 0),
                    ]
                },
                output_pixel: out.pixel_stride(),
                columns: shape.width,
                channels: shape.channels,
            });
        }
    });
}

struct Backward {
    input: [*const f32; 2],
    input_pixel: usize,
    gradient: *const f32,
    gradient_pixel: usize,
    output: [*mut f32; 2],
    output_pixel: usize,
    columns: usize,
    channels: usize,
}

impl Kernel for Backward {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut c = 0;
        while c < self.channels {
            let n = S::LANES.min(self.channels - c);
            for x in 0..self.columns {
                // SAFETY: both rows have 2 `columns` pixels, the gradient `columns`.
                unsafe {
                    let at = |i: usize| (2 * x + i % 2) * self.input_pixel + c;
                    let v: [S::V; 4] = [
                        load(s, self.input[0].add(at(0)), n),
                        load(s, self.input[0].add(at(1)), n),
                        load(s, self.input[1].add(at(2)), n),
                        load(s, self.input[1].add(at(3)), n),
                    ];
                    let g = load(s, self.gradient.add(x * self.gradient_pixel + c), n);
                    // A later input takes the gradient from those before it only if it is larger.
                    let zero = s.zero();
                    let mut best = v[0];
                    let mut give = [g, zero, zero, zero];
                    for i in 1..4 {
                        for j in 0..i {
                            give[j] = s.if_greater(v[i], best, zero, give[j]);
                        }
                        give[i] = s.if_greater(v[i], best, g, zero);
                        best = s.if_greater(v[i], best, v[i], best);
                    }
                    for i in 0..4 {
                        let to = self.output[i / 2].add((2 * x + i % 2) * self.output_pixel + c);
                        store(s, to, s.add(load(s, to, n), give[i]), n);
                    }
                }
            }
            c += n;
        }
    }
}
