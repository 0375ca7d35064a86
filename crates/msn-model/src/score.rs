//! Error and distance maps of frames, and the numbers read from them.

use burn::tensor::{Tensor, backend::Backend};

use crate::{Mode, MsnNet};

/// Rows x columns of one frame's map, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height * width` values.
    pub values: Vec<f32>,
}

/// What the network sees in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameMaps {
    /// Predicted frame, [C, H, W] flat, in [-1, 1].
    pub prediction: Vec<f32>,
    /// Squared error in pixel range 0..1, mean over channels, [H, W]; in [0, 1].
    pub error: Map,
    /// How much there is to predict: squared gradient of the target frame in pixel range 0..1 per
    /// pixel (central differences, both axes summed), mean over channels, [H, W]; in [0, 0.5].
    pub texture: Map,
    /// Squared distance to the nearest item, mean over features, by pool number.
    pub distances: Vec<(usize, Map)>,
}

/// Evaluates clips: `frames` [N, T*C, H, W] and `target` [N, C, H, W] in [-1, 1].
pub fn evaluate<B: Backend>(
    net: &MsnNet<B>,
    frames: Tensor<B, 4>,
    target: Tensor<B, 4>,
) -> Vec<FrameMaps> {
    let [n, channels, height, width] = target.dims();
    let output = net.forward(frames, Mode::Evaluate);
    let error = ((output.prediction.clone() - target.clone()) / 2.0)
        .square()
        .mean_dim(1);
    let targets = floats(target);
    let errors = floats(error);
    let predictions = floats(output.prediction);
    let distances: Vec<(usize, [usize; 3], Vec<f32>)> = output
        .asked
        .iter()
        .map(|a| (a.pool, a.shape, floats(a.distance_map())))
        .collect();
    let part = |values: &[f32], i: usize| {
        values[i * values.len() / n..(i + 1) * values.len() / n].to_vec()
    };
    let frame = |i| FrameMaps {
        prediction: part(&predictions, i),
        error: Map {
            height,
            width,
            values: part(&errors, i),
        },
        texture: texture(&part(&targets, i), channels, height, width),
        distances: distances
            .iter()
            .map(|(p, [_, h, w], values)| {
                (
                    *p,
                    Map {
                        height: *h,
                        width: *w,
                        values: part(values, i),
                    },
                )
            })
            .collect(),
    };
    (0..n).map(frame).collect()
}

/// Squared gradient of a frame, `planes` [C, H, W] in [-1, 1]: see [`FrameMaps::texture`].
pub(crate) fn texture(planes: &[f32], channels: usize, height: usize, width: usize) -> Map {
    let mut values = vec![0.0; height * width];
    for plane in planes.chunks_exact(height * width) {
        for y in 0..height {
            let row = |y: usize| &plane[y * width..][..width];
            let (above, here) = (row(y.saturating_sub(1)), row(y));
            let below = row((y + 1).min(height - 1));
            for (x, value) in values[y * width..][..width].iter_mut().enumerate() {
                let across = here[(x + 1).min(width - 1)] - here[x.saturating_sub(1)];
                let down = below[x] - above[x];
                // Half for the difference of two pixels' distance, half for the range of two.
                *value += (across * across + down * down) / 16.0;
            }
        }
    }
    if channels == 3 {
        values.iter_mut().for_each(|v| *v /= 3.0);
    }
    Map {
        height,
        width,
        values,
    }
}

fn floats<B: Backend, const D: usize>(t: Tensor<B, D>) -> Vec<f32> {
    t.into_data().iter::<f32>().collect()
}

impl Map {
    /// Mean of all values.
    pub fn mean(&self) -> f64 {
        self.values.iter().map(|&v| f64::from(v)).sum::<f64>() / count(self.values.len())
    }

    /// Means over square windows that lie within the map, `stride` apart, row-major; the window is
    /// cut to the map's size. [rows, columns] of windows: `(size - window) / stride + 1` each.
    pub fn windows(&self, window: usize, stride: usize) -> Map64 {
        let window = window.clamp(1, self.height.min(self.width).max(1));
        let stride = stride.max(1);
        // Sums over [0, y) x [0, x).
        let columns = self.width + 1;
        let mut sums = vec![0.0f64; (self.height + 1) * columns];
        for y in 0..self.height {
            let mut row = 0.0;
            for x in 0..self.width {
                row += f64::from(self.values[y * self.width + x]);
                sums[(y + 1) * columns + x + 1] = sums[y * columns + x + 1] + row;
            }
        }
        let height = (self.height - window) / stride + 1;
        let width = (self.width - window) / stride + 1;
        let area = count(window * window);
        let value = |i: usize| {
            let (top, left) = (i / width * stride, i % width * stride);
            let (bottom, right) = ((top + window) * columns, left + window);
            let top = top * columns;
            // Differences of sums can fall below zero by rounding; a mean of squares can't.
            at_least(
                0.0,
                (sums[bottom + right] - sums[top + right] - sums[bottom + left] + sums[top + left])
                    / area,
            )
        };
        Map64 {
            height,
            width,
            values: (0..height * width).map(value).collect(),
        }
    }

    /// Largest mean over windows (see [`Map::windows`]).
    pub fn largest_window(&self, window: usize, stride: usize) -> f64 {
        self.windows(window, stride).largest()
    }
}

/// Rows x columns of means, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Map64 {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// `height * width` values.
    pub values: Vec<f64>,
}

impl Map64 {
    /// The largest value; NaN where one is NaN.
    pub fn largest(&self) -> f64 {
        let larger = |a: f64, &b: &f64| if a.is_nan() || a > b { a } else { b };
        self.values.iter().fold(f64::NEG_INFINITY, larger)
    }
}

impl FrameMaps {
    /// Peak signal-to-noise ratio in dB, at most 100.
    pub fn psnr(&self) -> f64 {
        -10.0 * at_least(1e-10, self.error.mean()).log10()
    }

    /// Largest mean error in a window of an eighth of the frame's shorter side, a 32nd apart.
    pub fn patch(&self) -> f64 {
        let size = self.error.height.min(self.error.width);
        self.error.largest_window(size / 8, size / 32)
    }

    /// Mean of a pool's distance map, in [0, 4 / D].
    pub fn distance(&self, pool: usize) -> Option<f64> {
        self.distances
            .iter()
            .find(|(p, _)| *p == pool)
            .map(|(_, map)| map.mean())
    }
}

/// Unlike `f64::max`, NaN stays NaN: a score that can't be computed must not look like one.
fn at_least(least: f64, value: f64) -> f64 {
    if value < least { least } else { value }
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
