//! The loss of a prediction.

use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::view::{View, ViewMut};

/// Mean squared error of `prediction`, which is a tanh, and its gradient in front of the tanh.
///
/// # Panics
/// If the shapes differ.
pub fn squared_error_of_tanh(
    isa: Isa,
    prediction: View<'_>,
    target: View<'_>,
    mut gradient: ViewMut<'_>,
) -> f64 {
    let shape = prediction.shape();
    assert_eq!(target.shape(), shape, "the target");
    assert_eq!(gradient.shape(), shape, "the gradient");
    let out = gradient.shared();
    let count = shape.len().max(1) as f64;
    let parts = Strips::new(shape).map(|strip| {
        let mut sum = 0.0;
        for y in strip.y..strip.y + strip.rows {
            for x in 0..shape.width {
                let (p, t) = (
                    prediction.ptr(strip.image, y, x),
                    target.ptr(strip.image, y, x),
                );
                // Where no pixel has gaps, a row is one long pixel.
                let whole = [
                    prediction.pixel_stride(),
                    target.pixel_stride(),
                    out.pixel_stride(),
                ]
                .iter()
                .all(|&stride| stride == shape.channels);
                isa.run(Values {
                    prediction: p,
                    target: t,
                    // SAFETY: the rows of a strip are written by its task alone.
                    gradient: unsafe { out.ptr(strip.image, y, x) },
                    len: if whole {
                        shape.width * shape.channels
                    } else {
                        shape.channels
                    },
                    factor: (2.0 / count) as f32,
                    sum: &mut sum,
                });
                if whole {
                    break;
                }
            }
        }
        sum
    });
    parts.iter().sum::<f64>() / count
}

/// `len` values at three valid addresses.
struct Values<'a> {
    prediction: *const f32,
    target: *const f32,
    gradient: *mut f32,
    len: usize,
    factor: f32,
    sum: &'a mut f64,
}

impl Kernel for Values<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (one, factor) = (s.splat(1.0), s.splat(self.factor));
        let mut sum = s.zero();
        let mut i = 0;
        while i < self.len {
            let n = S::LANES.min(self.len - i);
            // SAFETY: `n` values are left in all of them.
            unsafe {
                let p = load(s, self.prediction.add(i), n);
                let d = s.sub(p, load(s, self.target.add(i), n));
                sum = s.fma(d, d, sum);
                let slope = s.fnma(p, p, one);
                store(s, self.gradient.add(i), s.mul(s.mul(factor, d), slope), n);
            }
            i += n;
        }
        *self.sum += f64::from(s.sum(sum));
    }
}
