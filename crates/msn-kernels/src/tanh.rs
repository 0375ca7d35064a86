//! tanh of every value.

use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Strips, load, store};
use crate::view::ViewMut;

/// tanh of every value, in place, to about 2e-7.
pub fn tanh_in_place(isa: Isa, values: &mut ViewMut<'_>) {
    let shape = values.shape();
    let out = values.shared();
    // Where pixels touch, a row is one long pixel.
    let (pixels, len) = if out.pixel_stride() == shape.channels {
        (1, shape.width * shape.channels)
    } else {
        (shape.width, shape.channels)
    };
    Strips::new(shape).for_each(|strip| {
        for y in strip.y..strip.y + strip.rows {
            isa.run(Tanh {
                // SAFETY: the rows of a strip are touched by its task alone.
                start: unsafe { out.ptr(strip.image, y, 0) },
                pixel: out.pixel_stride(),
                pixels,
                len,
            });
        }
    });
}

/// `len` values at each of `pixels` valid addresses.
struct Tanh {
    start: *mut f32,
    pixel: usize,
    pixels: usize,
    len: usize,
}

impl Kernel for Tanh {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for x in 0..self.pixels {
            let mut i = 0;
            while i < self.len {
                let n = S::LANES.min(self.len - i);
                // SAFETY: `n` values of the pixel are left.
                unsafe {
                    let at = self.start.add(x * self.pixel + i);
                    store(s, at, s.tanh(load(s, at, n)), n);
                }
                i += n;
            }
        }
    }
}
