//! The definitions in f64, written to be read: what the fast kernels are compared with.

mod ranks;

pub use ranks::ThreadRank;

use crate::view::{Shape, View};
use crate::weights::Channels;

/// Images in f64, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// Their size.
    pub shape: Shape,
    /// `[batch, height, width, channels]`.
    pub data: Vec<f64>,
}

impl Images {
    /// Zeros.
    pub fn zeros(shape: Shape) -> Self {
        Self {
            shape,
            data: vec![0.0; shape.len()],
        }
    }

    /// A copy in f64.
    pub fn from_view(view: View<'_>) -> Self {
        Self {
            shape: view.shape(),
            data: view.to_vec().into_iter().map(f64::from).collect(),
        }
    }

    fn index(&self, n: usize, y: usize, x: usize, c: usize) -> usize {
        ((n * self.shape.height + y) * self.shape.width + x) * self.shape.channels + c
    }

    /// Pairs of an output and an input coordinate that tap `t` of a 3x3 kernel joins.
    fn shifted(size: usize, t: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..size).filter_map(move |o| (o + t).checked_sub(1).filter(|&i| i < size).map(|i| (o, i)))
    }
}

/// Every product of a 3x3 convolution with padding 1, as indices (input, weight, output).
fn for_each_product(shape: Shape, channels: Channels, mut f: impl FnMut(usize, usize, usize)) {
    let (input, output) = (
        Images {
            shape,
            data: Vec::new(),
        },
        Images {
            shape: shape.with_channels(channels.output),
            data: Vec::new(),
        },
    );
    for n in 0..shape.batch {
        for tap in 0..9 {
            for (oy, iy) in Images::shifted(shape.height, tap / 3) {
                for (ox, ix) in Images::shifted(shape.width, tap % 3) {
                    for ci in 0..channels.input {
                        for co in 0..channels.output {
                            let w = (tap * channels.input + ci) * channels.output + co;
                            f(input.index(n, iy, ix, ci), w, output.index(n, oy, ox, co));
                        }
                    }
                }
            }
        }
    }
}

/// Every product of a 3x3 transposed convolution with stride 2, padding 1, output padding 1.
fn for_each_up_product(shape: Shape, channels: Channels, mut f: impl FnMut(usize, usize, usize)) {
    let (input, output) = (
        Images {
            shape,
            data: Vec::new(),
        },
        Images {
            shape: shape.doubled().with_channels(channels.output),
            data: Vec::new(),
        },
    );
    for n in 0..shape.batch {
        for y in 0..shape.height {
            for x in 0..shape.width {
                for tap in 0..9 {
                    let (Some(oy), Some(ox)) = (
                        (2 * y + tap / 3).checked_sub(1),
                        (2 * x + tap % 3).checked_sub(1),
                    ) else {
                        continue;
                    };
                    if oy >= 2 * shape.height || ox >= 2 * shape.width {
                        continue;
                    }
                    for ci in 0..channels.input {
                        for co in 0..channels.output {
                            let w = (tap * channels.input + ci) * channels.output + co;
                            f(input.index(n, y, x, ci), w, output.index(n, oy, ox, co));
                        }
                    }
                }
            }
        }
    }
}

macro_rules! convolution {
    ($forward:ident, $input:ident, $weights:ident, $each:ident, $out_shape:expr, $in_shape:expr, $what:literal) => {
        #[doc = concat!($what, ", without bias; weights are `[3, 3, Cin, Cout]`.")]
        pub fn $forward(x: &Images, w: &[f32], channels: Channels) -> Images {
            let mut out = Images::zeros($out_shape(x.shape).with_channels(channels.output));
            $each(x.shape, channels, |i, w_at, o| {
                out.data[o] += x.data[i] * f64::from(w[w_at])
            });
            out
        }

        #[doc = concat!("Gradient of the input: ", $what, ".")]
        pub fn $input(g: &Images, w: &[f32], channels: Channels) -> Images {
            let mut out = Images::zeros($in_shape(g.shape).with_channels(channels.input));
            $each(out.shape, channels, |i, w_at, o| {
                out.data[i] += g.data[o] * f64::from(w[w_at])
            });
            out
        }

        #[doc = concat!("Gradient of the weights: ", $what, ".")]
        pub fn $weights(x: &Images, g: &Images) -> Vec<f64> {
            let channels = Channels::new(x.shape.channels, g.shape.channels);
            let mut out = vec![0.0; channels.weights()];
            $each(x.shape, channels, |i, w_at, o| {
                out[w_at] += x.data[i] * g.data[o]
            });
            out
        }
    };
}

convolution!(
    conv3x3,
    conv3x3_input_gradient,
    conv3x3_weight_gradient,
    for_each_product,
    |s: Shape| s,
    |s: Shape| s,
    "3x3 convolution with padding 1"
);
convolution!(
    up_conv3x3,
    up_conv3x3_input_gradient,
    up_conv3x3_weight_gradient,
    for_each_up_product,
    Shape::doubled,
    Shape::halved,
    "3x3 transposed convolution with stride 2, padding 1, output padding 1"
);

/// Sum over all pixels, by channel: the gradient of a bias.
pub fn channel_sums(g: &Images) -> Vec<f64> {
    let mut sums = vec![0.0; g.shape.channels];
    for pixel in g.data.chunks_exact(g.shape.channels.max(1)) {
        for (s, v) in sums.iter_mut().zip(pixel) {
            *s += v;
        }
    }
    sums
}
