//! 3x3 convolution to few output channels: vectors hold input channels, and each output value is
//! one sum over lanes.

use crate::buffers::AlignedBuf;
use crate::conv::{Epilogue, rows_of_task};
use crate::isa::{Isa, Kernel, Simd};
use crate::threads::for_each_task;
use crate::view::{View, ViewMut, Window};
use crate::weights::{Channels, TAPS};

/// Weights as `[Cout, tap, Cin]` with the input channels filled up to whole vectors.
#[derive(Clone, Debug)]
pub(crate) struct Narrow {
    isa: Isa,
    channels: Channels,
    data: AlignedBuf,
}

impl Narrow {
    /// Whether this takes fewer vector operations than the register tile.
    pub(crate) fn pays(isa: Isa, channels: Channels) -> bool {
        let lanes = isa.lanes();
        let sum = 2;
        let here = channels.output * (channels.input.div_ceil(lanes) * TAPS + sum);
        let tile = channels.output.div_ceil(lanes) * channels.input * TAPS;
        here < tile
    }

    pub(crate) fn zeros(isa: Isa, channels: Channels) -> Self {
        let wide = channels.input.next_multiple_of(isa.lanes());
        Self {
            isa,
            channels,
            data: AlignedBuf::zeroed(channels.output * TAPS * wide),
        }
    }

    /// Replaces the weights.
    pub(crate) fn set(&mut self, hwio: &[f32], order: &[usize; TAPS]) {
        let Channels { input, output } = self.channels;
        let wide = input.next_multiple_of(self.isa.lanes());
        for o in 0..output {
            for (tap, from) in order.iter().enumerate() {
                for c in 0..input {
                    self.data[(o * TAPS + tap) * wide + c] = hwio[(from * input + c) * output + o];
                }
            }
        }
    }

    pub(crate) fn run(&self, input: View<'_>, epilogue: Epilogue<'_>, mut output: ViewMut<'_>) {
        let shape = input.shape();
        if shape.pixels() == 0 {
            return;
        }
        let rows = rows_of_task(shape.batch, shape.height, shape.width * shape.channels);
        let strips = shape.height.div_ceil(rows);
        let out = output.shared();
        for_each_task(shape.batch * strips, |task| {
            let (n, y) = (task / strips, task % strips * rows);
            let rows = rows.min(shape.height - y);
            let window = input.window(n, y, rows);
            self.isa.run(Rows {
                window: &window,
                weights: &self.data,
                channels: self.channels,
                epilogue,
                // SAFETY: the rows of a task are written by it alone.
                output: unsafe { out.ptr(n, y, 0) },
                output_row: out.row_stride(),
                output_pixel: out.pixel_stride(),
                rows,
                columns: shape.width,
            });
        });
    }
}

/// All addresses are valid: the window for `rows` and `columns` with their border, the output
/// for `channels.output` floats a pixel. Only [`Narrow::run`] makes one.
struct Rows<'a> {
    window: &'a Window,
    weights: &'a [f32],
    channels: Channels,
    epilogue: Epilogue<'a>,
    output: *mut f32,
    output_row: usize,
    output_pixel: usize,
    rows: usize,
    columns: usize,
}

impl Kernel for Rows<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for y in 0..self.rows {
            let mut x = 0;
            // SAFETY: y < rows and x + P <= columns.
            unsafe {
                while x + 4 <= self.columns {
                    self.pixels::<S, 4>(s, y, x);
                    x += 4;
                }
                while x < self.columns {
                    self.pixels::<S, 1>(s, y, x);
                    x += 1;
                }
            }
        }
    }
}

impl Rows<'_> {
    /// # Safety
    /// y < rows and x + P <= columns.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const P: usize>(&self, s: S, y: usize, x: usize) {
        let cin = self.channels.input;
        let wide = cin.next_multiple_of(S::LANES);
        for o in 0..self.channels.output {
            let mut acc = [s.zero(); P];
            // SAFETY: taps of pixels x..x+P lie in the window; weights have `wide` floats a tap.
            unsafe {
                let corner = self
                    .window
                    .start
                    .add(y * self.window.row + x * self.window.pixel);
                let weights = self.weights.as_ptr().add(o * TAPS * wide);
                for tap in 0..TAPS {
                    let from = corner.add(tap / 3 * self.window.row + tap % 3 * self.window.pixel);
                    let w = weights.add(tap * wide);
                    let mut c = 0;
                    while c + S::LANES <= cin {
                        let wv = s.load(w.add(c));
                        for p in 0..P {
                            acc[p] = s.fma(s.load(from.add(p * self.window.pixel + c)), wv, acc[p]);
                        }
                        c += S::LANES;
                    }
                    if c < cin {
                        let wv = s.load(w.add(c));
                        for p in 0..P {
                            let v = s.load_first(from.add(p * self.window.pixel + c), cin - c);
                            acc[p] = s.fma(v, wv, acc[p]);
                        }
                    }
                }
                for p in 0..P {
                    let mut v = s.sum(acc[p]) + self.epilogue.bias.map_or(0.0, |b| b[o]);
                    if self.epilogue.relu && v < 0.0 {
                        v = 0.0;
                    }
                    *self
                        .output
                        .add(y * self.output_row + (x + p) * self.output_pixel + o) = v;
                }
            }
        }
    }
}
