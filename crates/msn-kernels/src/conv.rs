//! 3x3 convolution, stride 1, padding 1.

use crate::gather::Gather;
use crate::isa::Isa;
use crate::narrow::Narrow;
use crate::precision::Precision;
use crate::threads::for_each_task;
use crate::view::{View, ViewMut};
use crate::weights::{Channels, Panels, TAPS, swap_channels};
use crate::winograd::{self, Winograd};

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Sums of products, as the definition has it.
    Direct,
    /// Winograd's F(4x4, 3x3) (Lavin and Gray, 2016): a quarter of the products, with rounding
    /// errors twice as large in `f32` and four times in bf16.
    Winograd,
    /// Winograd where it is faster, else direct.
    #[default]
    Fastest,
}

impl Algorithm {
    pub(crate) fn is_winograd(self, channels: Channels) -> bool {
        match self {
            Self::Direct => false,
            Self::Winograd => true,
            Self::Fastest => winograd::pays(channels),
        }
    }
}

/// What is done to each output value besides the convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Epilogue<'a> {
    /// One value for each output channel, added.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become 0.
    pub relu: bool,
}

impl<'a> Epilogue<'a> {
    /// Adds `bias` alone.
    pub const fn bias(bias: &'a [f32]) -> Self {
        Self {
            bias: Some(bias),
            relu: false,
        }
    }

    /// Adds `bias`, then takes the positive part.
    pub const fn bias_relu(bias: &'a [f32]) -> Self {
        Self {
            bias: Some(bias),
            relu: true,
        }
    }
}

/// Weights of a 3x3 convolution, arranged for one instruction set and algorithm.
#[derive(Clone, Debug)]
pub struct PackedWeights {
    isa: Isa,
    channels: Channels,
    direction: Direction,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Panels(Panels),
    Narrow(Narrow),
    Winograd(Winograd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    /// Channels swapped and the kernel turned by 180 degrees.
    InputGradient,
}

const PLAIN: [usize; TAPS] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const TURNED: [usize; TAPS] = [8, 7, 6, 5, 4, 3, 2, 1, 0];

impl PackedWeights {
    /// Packs `hwio` weights, `[3, 3, Cin, Cout]` (see [`oihw_to_hwio`](crate::oihw_to_hwio)).
    ///
    /// # Panics
    /// If `hwio` is not as long as `channels` says, or a number of channels is 0.
    pub fn new(isa: Isa, algorithm: Algorithm, hwio: &[f32], channels: Channels) -> Self {
        Self::in_precision(isa, algorithm, Precision::F32, hwio, channels)
    }

    /// [`PackedWeights::new`] for products in `precision`. A convolution to very few channels stays
    /// in `f32`, which is as fast there.
    ///
    /// # Panics
    /// As for [`PackedWeights::new`], and if the instruction set has no such products.
    pub fn in_precision(
        isa: Isa,
        algorithm: Algorithm,
        precision: Precision,
        hwio: &[f32],
        channels: Channels,
    ) -> Self {
        let mut packed = Self::zeros(isa, algorithm, precision, channels, Direction::Forward);
        packed.replace(hwio);
        packed
    }

    /// Packs the same weights for the gradient of the input: the convolution that takes the
    /// gradient of the output, with `channels.output` channels, to that of the input.
    ///
    /// # Panics
    /// As for [`PackedWeights::new`].
    pub fn for_input_gradient(
        isa: Isa,
        algorithm: Algorithm,
        hwio: &[f32],
        channels: Channels,
    ) -> Self {
        let swapped = Channels::new(channels.output, channels.input);
        let direction = Direction::InputGradient;
        let mut packed = Self::zeros(isa, algorithm, Precision::F32, swapped, direction);
        packed.replace(hwio);
        packed
    }

    fn zeros(
        isa: Isa,
        algorithm: Algorithm,
        precision: Precision,
        channels: Channels,
        direction: Direction,
    ) -> Self {
        assert!(
            channels.input > 0 && channels.output > 0,
            "a convolution without channels: {channels:?}"
        );
        let kind = if algorithm.is_winograd(channels) {
            Kind::Winograd(Winograd::zeros(isa, precision, channels))
        } else if Narrow::pays(isa, channels) {
            Kind::Narrow(Narrow::zeros(isa, channels))
        } else {
            Kind::Panels(Panels::zeros(isa, precision, channels, TAPS))
        };
        Self {
            isa,
            channels,
            direction,
            kind,
        }
    }

    /// Packs other weights of the same convolution, `[3, 3, Cin, Cout]`, in the memory of these.
    ///
    /// # Panics
    /// If `hwio` has another length.
    pub fn replace(&mut self, hwio: &[f32]) {
        let swapped;
        let (hwio, order) = match self.direction {
            Direction::Forward => (hwio, &PLAIN),
            Direction::InputGradient => {
                swapped = swap_channels(
                    hwio,
                    Channels::new(self.channels.output, self.channels.input),
                );
                (&*swapped, &TURNED)
            }
        };
        self.channels.check(hwio);
        match &mut self.kind {
            Kind::Panels(panels) => panels.set(hwio, order),
            Kind::Narrow(narrow) => narrow.set(hwio, order),
            Kind::Winograd(winograd) => winograd.set(hwio, order),
        }
    }

    /// The channels that a convolution with these weights reads and writes.
    pub const fn channels(&self) -> Channels {
        self.channels
    }

    /// The instruction set that the weights were packed for.
    pub const fn isa(&self) -> Isa {
        self.isa
    }

    /// What products are computed in.
    pub fn precision(&self) -> Precision {
        match &self.kind {
            Kind::Panels(panels) => panels.precision(),
            Kind::Narrow(_) => Precision::F32,
            Kind::Winograd(winograd) => winograd.precision(),
        }
    }

    /// Whether Winograd's algorithm is used.
    pub const fn is_winograd(&self) -> bool {
        matches!(self.kind, Kind::Winograd(_))
    }
}

/// 3x3 convolution with padding 1:
/// `output[n, y, x, o] = bias[o] + sum input[n, y + i - 1, x + j - 1, c] * weights[i, j, c, o]`.
///
/// Either side may be some channels of wider images, so that a concatenation needs no copy. An
/// input with a halo ([`FeatureMap`](crate::FeatureMap)) is read in place; any other is copied in
/// strips that stay in the cache.
///
/// # Panics
/// If the shapes of input, output, weights and bias do not fit together.
pub fn conv3x3(
    input: View<'_>,
    weights: &PackedWeights,
    epilogue: Epilogue<'_>,
    mut output: ViewMut<'_>,
) {
    let shape = input.shape();
    let channels = weights.channels;
    assert_eq!(
        shape.channels, channels.input,
        "input channels of {shape:?} and of the weights {channels:?}"
    );
    assert_eq!(
        output.shape(),
        shape.with_channels(channels.output),
        "the output of {channels:?} on {shape:?}"
    );
    if let Some(bias) = epilogue.bias {
        assert_eq!(bias.len(), channels.output, "the length of the bias");
    }
    match &weights.kind {
        Kind::Panels(panels) => direct(input, panels, epilogue, output.reborrow()),
        Kind::Narrow(narrow) => narrow.run(input, epilogue, output.reborrow()),
        Kind::Winograd(winograd) => winograd.run(input, epilogue, output.reborrow()),
    }
}

/// Rows of one task, such that there are some 16 tasks and a task's input stays in the cache.
pub(crate) fn rows_of_task(images: usize, height: usize, row_floats: usize) -> usize {
    const CACHED: usize = 64 * 1024;
    let by_tasks = (images * height).div_ceil(16);
    let by_cache = (CACHED / row_floats.max(1)).max(1);
    by_tasks.min(by_cache).clamp(1, 8).min(height.max(1))
}

fn direct(input: View<'_>, panels: &Panels, epilogue: Epilogue<'_>, mut output: ViewMut<'_>) {
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
        let window = input.window_in(panels.isa(), panels.precision(), n, y, rows);
        let mut taps = [0; TAPS];
        for (i, tap) in taps.iter_mut().enumerate() {
            *tap = i / 3 * window.row + i % 3 * window.pixel;
        }
        for i in 0..panels.count() {
            let panel = panels.panel(i);
            // SAFETY: the window holds rows -1..=rows and columns -1..=width, which is what nine
            // taps read; output rows belong to this task alone and are in bounds.
            unsafe {
                Gather {
                    input: window.start,
                    input_row: window.row,
                    input_pixel: window.pixel,
                    taps: &taps,
                    input_channels: panels.depth(),
                    precision: panels.precision(),
                    weights: panels.weights(panel).as_ptr(),
                    vectors: panel.vectors,
                    channels: panel.channels,
                    bias: epilogue
                        .bias
                        .map(|b| &b[panel.first..panel.first + panel.channels]),
                    relu: epilogue.relu,
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
