//! Layouts of convolution weights.
//!
//! PyTorch keeps `[Cout, Cin, 3, 3]` for a convolution and `[Cin, Cout, 3, 3]` for a transposed
//! one. Kernels and gradients here use one layout for both, `[3, 3, Cin, Cout]` ("hwio"), in which
//! the output channels that a vector holds lie side by side.

use crate::buffers::{AlignedBuf, Scratch};
use crate::isa::Isa;
use crate::precision::{Precision, pair_rows};
use crate::threads::{SharedMut, for_each_task};
use crate::view::Shape;

/// Taps of a 3x3 kernel.
pub(crate) const TAPS: usize = 9;

/// The size of a 3x3 convolution: channels that it reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Channels {
    /// Input channels.
    pub input: usize,
    /// Output channels.
    pub output: usize,
}

impl Channels {
    /// Channels read and written.
    pub const fn new(input: usize, output: usize) -> Self {
        Self { input, output }
    }

    /// Values of a weight tensor.
    ///
    /// # Panics
    /// If there are more than fit into memory's addresses.
    pub const fn weights(self) -> usize {
        Shape::new(TAPS, self.input, self.output, 1).len()
    }

    pub(crate) fn check(self, weights: &[f32]) {
        assert_eq!(
            weights.len(),
            self.weights(),
            "the length of the weights of {self:?}"
        );
    }
}

/// `to[b, a] = from[a, b]` for each of `count` matrices `[a, b]` whose elements are `inner` apart
/// in neither: plain transposition in blocks that fit the cache.
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    const BLOCK: usize = 16;
    for r0 in (0..rows).step_by(BLOCK) {
        for c0 in (0..columns).step_by(BLOCK) {
            for r in r0..rows.min(r0 + BLOCK) {
                for c in c0..columns.min(c0 + BLOCK) {
                    to[c * rows + r] = from[r * columns + c];
                }
            }
        }
    }
}

/// `[Cout, Cin, 3, 3]` (PyTorch's convolution) to `[3, 3, Cin, Cout]`.
///
/// # Panics
/// If `oihw` is not as long as `channels` says.
pub fn oihw_to_hwio(oihw: &[f32], channels: Channels) -> Vec<f32> {
    channels.check(oihw);
    let mut hwio = vec![0.0; oihw.len()];
    transpose(oihw, channels.output, channels.input * TAPS, &mut hwio);
    // Now [Cin, 9, Cout]: rows of Cout to be put in another order.
    let rows = hwio;
    let mut hwio = vec![0.0; rows.len()];
    for (i, row) in rows.chunks_exact(channels.output.max(1)).enumerate() {
        let (ci, tap) = (i / TAPS, i % TAPS);
        hwio[(tap * channels.input + ci) * channels.output..][..channels.output]
            .copy_from_slice(row);
    }
    hwio
}

/// `[3, 3, Cin, Cout]` to `[Cout, Cin, 3, 3]` (PyTorch's convolution).
///
/// # Panics
/// If `hwio` is not as long as `channels` says.
pub fn hwio_to_oihw(hwio: &[f32], channels: Channels) -> Vec<f32> {
    channels.check(hwio);
    let mut rows = vec![0.0; hwio.len()];
    for (i, row) in hwio.chunks_exact(channels.output.max(1)).enumerate() {
        let (tap, ci) = (i / channels.input, i % channels.input);
        rows[(ci * TAPS + tap) * channels.output..][..channels.output].copy_from_slice(row);
    }
    let mut oihw = vec![0.0; hwio.len()];
    transpose(&rows, channels.input * TAPS, channels.output, &mut oihw);
    oihw
}

/// `[Cin, Cout, 3, 3]` (PyTorch's transposed convolution) to `[3, 3, Cin, Cout]`.
///
/// # Panics
/// If `iohw` is not as long as `channels` says.
pub fn iohw_to_hwio(iohw: &[f32], channels: Channels) -> Vec<f32> {
    channels.check(iohw);
    let mut hwio = vec![0.0; iohw.len()];
    transpose(iohw, channels.input * channels.output, TAPS, &mut hwio);
    hwio
}

/// `[3, 3, Cin, Cout]` to `[Cin, Cout, 3, 3]` (PyTorch's transposed convolution).
///
/// # Panics
/// If `hwio` is not as long as `channels` says.
pub fn hwio_to_iohw(hwio: &[f32], channels: Channels) -> Vec<f32> {
    channels.check(hwio);
    let mut iohw = vec![0.0; hwio.len()];
    transpose(hwio, TAPS, channels.input * channels.output, &mut iohw);
    iohw
}

/// `[3, 3, Cin, Cout]` to `[3, 3, Cout, Cin]`.
pub(crate) fn swap_channels(hwio: &[f32], channels: Channels) -> Scratch {
    channels.check(hwio);
    let plane = channels.input * channels.output;
    let mut out = Scratch::take(hwio.len());
    let shared = SharedMut::new(&mut out);
    for_each_task(TAPS, |tap| {
        // SAFETY: planes do not overlap.
        let to = unsafe { shared.part(tap * plane, plane) };
        transpose(
            &hwio[tap * plane..][..plane],
            channels.input,
            channels.output,
            to,
        );
    });
    out
}

/// One block of output channels of [`Panels`].
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    /// First output channel.
    pub(crate) first: usize,
    /// Output channels, at most `vectors` times the lanes.
    pub(crate) channels: usize,
    /// 1 or 2.
    pub(crate) vectors: usize,
    /// Where its weights `[tap, depth, vectors * lanes]` begin.
    pub(crate) offset: usize,
}

/// Weights in blocks of output channels that are one register tile wide: `[block][tap, depth, wide]`,
/// with zeros for the output channels that fill up the last vector. The depth is Cin, and in bf16
/// half of it, two values to a float.
#[derive(Clone, Debug)]
pub(crate) struct Panels {
    isa: Isa,
    precision: Precision,
    taps: usize,
    channels: Channels,
    data: AlignedBuf,
}

impl Panels {
    /// Zeros, for `taps` matrices `[Cin, Cout]`.
    pub(crate) fn zeros(isa: Isa, precision: Precision, channels: Channels, taps: usize) -> Self {
        assert!(isa.computes_in(precision), "{isa} has no {precision}");
        let wide = channels.output.next_multiple_of(isa.lanes());
        Self {
            isa,
            precision,
            taps,
            channels,
            data: AlignedBuf::zeroed(taps * precision.floats(channels.input) * wide),
        }
    }

    /// Takes tap `t` from `[Cin, Cout]` matrix number `order[t]` of `hwio`.
    pub(crate) fn new(
        isa: Isa,
        precision: Precision,
        hwio: &[f32],
        channels: Channels,
        order: &[usize],
    ) -> Self {
        let mut panels = Self::zeros(isa, precision, channels, order.len());
        panels.set(hwio, order);
        panels
    }

    /// Replaces the weights.
    pub(crate) fn set(&mut self, hwio: &[f32], order: &[usize]) {
        let Channels { input, output } = self.channels;
        assert_eq!(order.len(), self.taps);
        assert!(
            order
                .iter()
                .all(|&t| (t + 1) * input * output <= hwio.len())
        );
        self.fill(|p, wide, block| {
            for (row, to) in block.chunks_exact_mut(wide).enumerate() {
                let from = (order[row / input] * input + row % input) * output + p.first;
                to[..p.channels].copy_from_slice(&hwio[from..from + p.channels]);
            }
        });
    }

    /// Calls `f(panel, floats of a row, weights)` for each panel, on several threads, to write its
    /// weights `[tap, Cin, wide]` in `f32`; what it does not write stays what it was, or is 0.
    pub(crate) fn fill(&mut self, f: impl Fn(Panel, usize, &mut [f32]) + Send + Sync) {
        let (rows, input) = (self.taps * self.channels.input, self.channels.input);
        let precision = self.precision;
        self.for_each_panel(|panel, wide, block| match precision {
            Precision::F32 => f(panel, wide, block),
            Precision::Bf16 => {
                let mut whole = Scratch::take(rows * wide);
                whole.fill(0.0);
                f(panel, wide, &mut whole);
                let depth = precision.floats(input);
                for (tap, to) in whole
                    .chunks_exact(input * wide)
                    .zip(block.chunks_exact_mut(depth * wide))
                {
                    pair_rows(tap, wide, to);
                }
            }
        });
    }

    /// Calls `f(panel, floats of a row, weights as they lie)` for each panel, on several threads.
    fn for_each_panel(&mut self, f: impl Fn(Panel, usize, &mut [f32]) + Send + Sync) {
        let panels: Vec<Panel> = (0..self.count()).map(|i| self.panel(i)).collect();
        let (rows, lanes) = (self.taps * self.depth(), self.isa.lanes());
        let shared = SharedMut::new(&mut self.data);
        for_each_task(panels.len(), |i| {
            let wide = panels[i].vectors * lanes;
            // SAFETY: panels do not overlap.
            f(panels[i], wide, unsafe {
                shared.part(panels[i].offset, rows * wide)
            });
        });
    }

    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    pub(crate) fn channels(&self) -> Channels {
        self.channels
    }

    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// Floats of a tap and output channel.
    pub(crate) fn depth(&self) -> usize {
        self.precision.floats(self.channels.input)
    }

    pub(crate) fn count(&self) -> usize {
        self.channels.output.div_ceil(2 * self.isa.lanes())
    }

    pub(crate) fn panel(&self, index: usize) -> Panel {
        let lanes = self.isa.lanes();
        let first = index * 2 * lanes;
        let channels = (self.channels.output - first).min(2 * lanes);
        Panel {
            first,
            channels,
            vectors: channels.div_ceil(lanes),
            offset: first * self.taps * self.depth(),
        }
    }

    /// The weights of a panel, `[tap, depth, vectors * lanes]`.
    pub(crate) fn weights(&self, panel: Panel) -> &[f32] {
        &self.data[panel.offset..][..self.taps * self.depth() * panel.vectors * self.isa.lanes()]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn layouts_are_inverse_permutations(input in 1_usize..20, output in 1_usize..20) {
            let channels = Channels::new(input, output);
            let w: Vec<f32> = (0..channels.weights()).map(|i| i as f32).collect();
            prop_assert_eq!(&hwio_to_oihw(&oihw_to_hwio(&w, channels), channels), &w);
            prop_assert_eq!(&hwio_to_iohw(&iohw_to_hwio(&w, channels), channels), &w);
            let (co, ci, tap) = (output - 1, input / 2, 5);
            let index = (tap * input + ci) * output + co;
            prop_assert_eq!(oihw_to_hwio(&w, channels)[index], w[(co * input + ci) * 9 + tap]);
            prop_assert_eq!(iohw_to_hwio(&w, channels)[index], w[(ci * output + co) * 9 + tap]);
        }
    }
}
