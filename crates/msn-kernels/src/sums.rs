//! Sums of channels: the gradient of a bias.

use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{Rows, Strips, load, store};
use crate::threads::SharedMut;
use crate::view::View;

/// The sum over all pixels of each channel: the gradient of a bias. In an order that depends on
/// the shape alone.
pub fn channel_sums(isa: Isa, input: View<'_>) -> Vec<f32> {
    let channels = input.shape().channels;
    let strips = Strips::new(input.shape());
    let mut parts = vec![0.0; strips.count() * channels];
    let shared = SharedMut::new(&mut parts);
    strips.for_each(|strip| {
        // SAFETY: each strip has its own part.
        let sums = unsafe { shared.part(strip.index * channels, channels) };
        isa.run(StripSums {
            rows: Rows::new(&input, strip),
            sums,
        });
    });
    let column = |c: usize| {
        parts
            .iter()
            .skip(c)
            .step_by(channels)
            .map(|&v| f64::from(v))
    };
    (0..channels)
        .map(|c| column(c).sum::<f64>() as f32)
        .collect()
}

struct StripSums<'a> {
    rows: Rows,
    /// One for each channel.
    sums: &'a mut [f32],
}

impl Kernel for StripSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let r = self.rows;
        assert_eq!(self.sums.len(), r.channels);
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
            // SAFETY: `n` sums are left.
            unsafe { store(s, self.sums.as_mut_ptr().add(c), sum, n) };
            c += n;
        }
    }
}
