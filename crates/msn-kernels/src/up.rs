//! 3x3 transposed convolution with stride 2, padding 1 and output padding 1, which doubles height
//! and width.
//!
//! Output row 2y + a reads tap 1 of input row y for a = 0, and taps 2 and 0 of rows y and y + 1
//! for a = 1, columns likewise: four convolutions with 1, 2, 2 and 4 taps, one for each parity.

use crate::conv::{Epilogue, rows_of_task};
use crate::gather::Gather;
use crate::isa::Isa;
use crate::precision::Precision;
use crate::threads::for_each_task;
use crate::view::{View, ViewMut};
use crate::weights::{Channels, Panels, TAPS, swap_channels};

/// For each parity of the output: kernel taps, and the input pixel (down, right) that each reads.
type Phase = (&'static [usize], &'static [(usize, usize)]);
const PHASES: [Phase; 4] = [
    (&[4], &[(0, 0)]),
    (&[5, 3], &[(0, 0), (0, 1)]),
    (&[7, 1], &[(0, 0), (1, 0)]),
    (&[8, 6, 2, 0], &[(0, 0), (0, 1), (1, 0), (1, 1)]),
];

/// Weights of a transposed convolution, arranged for one instruction set.
#[derive(Clone, Debug)]
pub struct PackedUpWeights {
    phases: [Panels; 4],
}

impl PackedUpWeights {
    /// Packs `hwio` weights, `[3, 3, Cin, Cout]` (see [`iohw_to_hwio`](crate::iohw_to_hwio)).
    ///
    /// # Panics
    /// If `hwio` is not as long as `channels` says, or a number of channels is 0.
    pub fn new(isa: Isa, hwio: &[f32], channels: Channels) -> Self {
        Self::in_precision(isa, Precision::F32, hwio, channels)
    }

    /// [`PackedUpWeights::new`] for products in `precision`.
    ///
    /// # Panics
    /// As for [`PackedUpWeights::new`], and if the instruction set has no such products.
    pub fn in_precision(isa: Isa, precision: Precision, hwio: &[f32], channels: Channels) -> Self {
        channels.check(hwio);
        assert!(
            channels.input > 0 && channels.output > 0,
            "a convolution without channels: {channels:?}"
        );
        Self {
            phases: PHASES.map(|(taps, _)| Panels::new(isa, precision, hwio, channels, taps)),
        }
    }

    /// Packs other weights of the same convolution, `[3, 3, Cin, Cout]`, in the memory of these.
    ///
    /// # Panics
    /// If `hwio` has another length.
    pub fn replace(&mut self, hwio: &[f32]) {
        self.channels().check(hwio);
        for (panels, (taps, _)) in self.phases.iter_mut().zip(PHASES) {
            panels.set(hwio, taps);
        }
    }

    /// The channels that the transposed convolution reads and writes.
    pub fn channels(&self) -> Channels {
        self.phases[0].channels()
    }
}

/// Transposed convolution; the output has twice the input's height and width:
/// `output[n, 2y + i - 1, 2x + j - 1, o] += input[n, y, x, c] * weights[i, j, c, o]`, plus bias.
///
/// # Panics
/// If the shapes of input, output, weights and bias do not fit together.
pub fn up_conv3x3(
    input: View<'_>,
    weights: &PackedUpWeights,
    epilogue: Epilogue<'_>,
    mut output: ViewMut<'_>,
) {
    let shape = input.shape();
    let channels = weights.channels();
    assert_eq!(
        shape.channels, channels.input,
        "input channels of {shape:?} and of the weights {channels:?}"
    );
    let expected = shape.doubled().with_channels(channels.output);
    assert_eq!(
        output.shape(),
        expected,
        "the output of {channels:?} on {shape:?}"
    );
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), channels.output, "the length of the bias");
    }
    if shape.pixels() == 0 {
        return;
    }
    let rows = rows_of_task(shape.batch, shape.height, shape.width * shape.channels);
    let strips = shape.height.div_ceil(rows);
    let out = output.shared();
    let (isa, precision) = (weights.phases[0].isa(), weights.phases[0].precision());
    for_each_task(shape.batch * strips, |task| {
        let (n, y) = (task / strips, task % strips * rows);
        let rows = rows.min(shape.height - y);
        let window = input.window_in(isa, precision, n, y, rows);
        for (phase, panels) in weights.phases.iter().enumerate() {
            let offsets = PHASES[phase].1;
            let mut taps = [0; 4];
            for (tap, (down, right)) in taps.iter_mut().zip(offsets) {
                *tap = (down + 1) * window.row + (right + 1) * window.pixel;
            }
            for i in 0..panels.count() {
                let panel = panels.panel(i);
                // SAFETY: the window holds one row and column more than the taps reach; output
                // rows 2y..2(y + rows) belong to this task alone and are in bounds.
                unsafe {
                    Gather {
                        input: window.start,
                        input_row: window.row,
                        input_pixel: window.pixel,
                        taps: &taps[..offsets.len()],
                        input_channels: panels.depth(),
                        precision,
                        weights: panels.weights(panel).as_ptr(),
                        vectors: panel.vectors,
                        channels: panel.channels,
                        bias: epilogue
                            .bias
                            .map(|b| &b[panel.first..panel.first + panel.channels]),
                        relu: epilogue.relu,
                        output: out.ptr(n, 2 * y + phase / 2, phase % 2).add(panel.first),
                        output_row: 2 * out.row_stride(),
                        output_pixel: 2 * out.pixel_stride(),
                        rows,
                        columns: shape.width,
                    }
                    .run(panels.isa());
                }
            }
        }
    });
}

/// Weights of a transposed convolution, arranged for the gradient of its input.
#[derive(Clone, Debug)]
pub struct PackedUpGradient {
    panels: Panels,
}

impl PackedUpGradient {
    /// Packs the `hwio` weights of the transposed convolution itself, `[3, 3, Cin, Cout]`.
    ///
    /// # Panics
    /// If `hwio` is not as long as `channels` says, or a number of channels is 0.
    pub fn new(isa: Isa, hwio: &[f32], channels: Channels) -> Self {
        assert!(
            channels.input > 0 && channels.output > 0,
            "a convolution without channels: {channels:?}"
        );
        let swapped = Channels::new(channels.output, channels.input);
        let mut packed = Self {
            panels: Panels::zeros(isa, Precision::F32, swapped, TAPS),
        };
        packed.replace(hwio);
        packed
    }

    /// Packs other weights of the same convolution, `[3, 3, Cin, Cout]`, in the memory of these.
    ///
    /// # Panics
    /// If `hwio` has another length.
    pub fn replace(&mut self, hwio: &[f32]) {
        let Channels { input, output } = self.panels.channels();
        let order: [usize; TAPS] = std::array::from_fn(|i| i);
        self.panels
            .set(&swap_channels(hwio, Channels::new(output, input)), &order);
    }
}

/// Gradient of the input of [`up_conv3x3`] from the gradient of its output: a convolution with
/// stride 2. `input_gradient` is overwritten.
///
/// # Panics
/// If the shapes do not fit together.
pub fn up_conv3x3_input_gradient(
    gradient: View<'_>,
    weights: &PackedUpGradient,
    mut input_gradient: ViewMut<'_>,
) {
    let shape = input_gradient.shape();
    let panels = &weights.panels;
    let channels = panels.channels();
    assert_eq!(
        shape.channels, channels.output,
        "channels of the input's gradient"
    );
    assert_eq!(
        gradient.shape(),
        shape.doubled().with_channels(channels.input),
        "the output's gradient"
    );
    if shape.pixels() == 0 {
        return;
    }
    let rows = rows_of_task(shape.batch, shape.height, 4 * shape.width * channels.input);
    let strips = shape.height.div_ceil(rows);
    let out = input_gradient.shared();
    for_each_task(shape.batch * strips, |task| {
        let (n, y) = (task / strips, task % strips * rows);
        let rows = rows.min(shape.height - y);
        let window = gradient.window(n, 2 * y, 2 * rows);
        let mut taps = [0; TAPS];
        for (i, tap) in taps.iter_mut().enumerate() {
            *tap = i / 3 * window.row + i % 3 * window.pixel;
        }
        for i in 0..panels.count() {
            let panel = panels.panel(i);
            // SAFETY: the window holds rows -1..=2 rows and columns -1..=2 width of the gradient,
            // which is what the taps of every second pixel read; output rows belong to this task.
            unsafe {
                Gather {
                    input: window.start,
                    input_row: 2 * window.row,
                    input_pixel: 2 * window.pixel,
                    taps: &taps,
                    input_channels: panels.depth(),
                    precision: panels.precision(),
                    weights: panels.weights(panel).as_ptr(),
                    vectors: panel.vectors,
                    channels: panel.channels,
                    bias: None,
                    relu: false,
                    output: out.ptr(n, y, 0).add(panel.first),
                    output_row: out.row_stride(),
                    output_pixel: out.pixel_stride(),
                    rows,
                    columns: shape.width,
                }
                .run(panels.isa());
            }
        }
    });
}
