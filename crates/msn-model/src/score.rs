//! Error and distance maps of frames, and the numbers read from them.

use std::ops::Range;

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
    /// Absolute error in pixel range 0..1 without what it shares with the pixels around, mean over
    /// channels, [H, W]; in [0, 1]: see [`FrameMaps::new`].
    pub detail: Map,
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
    let [n, _, height, width] = target.dims();
    let output = net.forward(frames, Mode::Evaluate);
    let targets = floats(target);
    let predictions = floats(output.prediction);
    let distances: Vec<(usize, [usize; 3], Vec<f32>)> = output
        .lookups
        .iter()
        .map(|a| (a.pool, a.shape, floats(a.distance_map())))
        .collect();
    let part = |values: &[f32], i: usize| {
        values[i * values.len() / n..(i + 1) * values.len() / n].to_vec()
    };
    let frame = |i| {
        let distances = distances.iter().map(|(pool, [_, height, width], values)| {
            let map = Map {
                height: *height,
                width: *width,
                values: part(values, i),
            };
            (*pool, map)
        });
        let (prediction, target) = (part(&predictions, i), part(&targets, i));
        FrameMaps::new(prediction, &target, (height, width), distances.collect())
    };
    (0..n).map(frame).collect()
}

/// Mean over channels of what `of` makes of each channel's plane.
fn mean_of_channels(channels: usize, of: impl Fn(usize) -> Vec<f32>) -> Vec<f32> {
    let mut mean = of(0);
    for c in 1..channels {
        mean.iter_mut().zip(of(c)).for_each(|(sum, v)| *sum += v);
    }
    #[expect(clippy::cast_precision_loss, reason = "channels of a picture")]
    let share = 1.0 / channels as f32;
    mean.iter_mut().for_each(|v| *v *= share);
    mean
}

/// Squared gradient of a plane in [-1, 1]: see [`FrameMaps::texture`].
fn squared_gradient(plane: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(plane.len());
    for y in 0..height {
        let row = |y: usize| &plane[y * width..][..width];
        let (above, here) = (row(y.saturating_sub(1)), row(y));
        let below = row((y + 1).min(height - 1));
        for x in 0..width {
            let across = here[(x + 1).min(width - 1)] - here[x.saturating_sub(1)];
            let down = below[x] - above[x];
            // Half for the difference of two pixels' distance, half for the range of two.
            values.push((across * across + down * down) / 16.0);
        }
    }
    values
}

/// How far each value lies from the mean of those up to `reach` rows and columns away.
fn away_from_around(plane: &[f32], height: usize, width: usize, reach: usize) -> Vec<f32> {
    let sums = Sums::new(plane, height, width);
    let mut values = Vec::with_capacity(plane.len());
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(height);
        for (x, &v) in row.iter().enumerate() {
            let columns = x.saturating_sub(reach)..(x + reach + 1).min(width);
            #[expect(clippy::cast_possible_truncation, reason = "a mean of f32")]
            let away = (f64::from(v) - sums.mean(&rows, &columns)).abs() as f32;
            values.push(away);
        }
    }
    values
}

/// Sums over all rectangles from the upper left corner.
struct Sums {
    columns: usize,
    sums: Vec<f64>,
}

impl Sums {
    fn new(values: &[f32], height: usize, width: usize) -> Self {
        let columns = width + 1;
        let mut sums = vec![0.0f64; (height + 1) * columns];
        for y in 0..height {
            let mut row = 0.0;
            for x in 0..width {
                row += f64::from(values[y * width + x]);
                sums[(y + 1) * columns + x + 1] = sums[y * columns + x + 1] + row;
            }
        }
        Self { columns, sums }
    }

    fn mean(&self, rows: &Range<usize>, columns: &Range<usize>) -> f64 {
        let at = |y: usize, x: usize| self.sums[y * self.columns + x];
        let sum =
            at(rows.end, columns.end) - at(rows.start, columns.end) - at(rows.end, columns.start)
                + at(rows.start, columns.start);
        sum / count(rows.len() * columns.len())
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
        let sums = Sums::new(&self.values, self.height, self.width);
        let height = (self.height - window) / stride + 1;
        let width = (self.width - window) / stride + 1;
        let value = |i: usize| {
            let (top, left) = (i / width * stride, i % width * stride);
            // Differences of sums can fall below zero by rounding; a mean of squares can't.
            at_least(0.0, sums.mean(&(top..top + window), &(left..left + window)))
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
    /// Of a predicted and a true frame, planes [C, H, W] in [-1, 1]; `size` is (height, width).
    ///
    /// What an error shares with the pixels around is its mean over a square of a 14th of the
    /// shorter side (9 pixels of 128): a changed exposure, or a patch of ground that is drawn a little
    /// too bright, is no thing that moves.
    pub fn new(
        prediction: Vec<f32>,
        target: &[f32],
        size: (usize, usize),
        distances: Vec<(usize, Map)>,
    ) -> Self {
        let (height, width) = size;
        let area = height * width;
        let channels = (prediction.len() / area.max(1)).max(1);
        let errors: Vec<f32> = prediction
            .iter()
            .zip(target)
            .map(|(ours, truth)| (ours - truth) / 2.0)
            .collect();
        let map = |of: &dyn Fn(&[f32]) -> Vec<f32>, planes: &[f32]| Map {
            height,
            width,
            values: mean_of_channels(channels, |c| of(&planes[c * area..][..area])),
        };
        let reach = height.min(width) / 28;
        Self {
            error: map(&|plane| plane.iter().map(|e| e * e).collect(), &errors),
            detail: map(
                &|plane| away_from_around(plane, height, width, reach),
                &errors,
            ),
            texture: map(&|plane| squared_gradient(plane, height, width), target),
            prediction,
            distances,
        }
    }

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SIZE: (usize, usize) = (56, 60);

    fn maps(errors: &[f32]) -> FrameMaps {
        let prediction = errors.iter().map(|e| 2.0 * e).collect();
        FrameMaps::new(prediction, &vec![0.0; errors.len()], SIZE, Vec::new())
    }

    proptest! {
        #[test]
        fn detail_is_error_less_that_around_it(
            errors in prop::collection::vec(-0.5f32..0.5, SIZE.0 * SIZE.1),
            shift in -0.4f32..0.4,
        ) {
            let detail = maps(&errors).detail.values;
            let shifted: Vec<f32> = errors.iter().map(|e| e + shift).collect();
            for (a, b) in maps(&shifted).detail.values.iter().zip(&detail) {
                prop_assert!((a - b).abs() < 1e-6, "{a} {b}");
            }
            // The plain sum, 5 x 5 pixels less those outside the frame.
            for (y, x) in [(0, 0), (0, 30), (55, 59), (1, 58), (20, 20)] {
                let around: Vec<f32> = (0..SIZE.0 * SIZE.1)
                    .filter(|i| (i / SIZE.1).abs_diff(y) < 3 && (i % SIZE.1).abs_diff(x) < 3)
                    .map(|i| errors[i])
                    .collect();
                let mean = around.iter().sum::<f32>() / around.len() as f32;
                let want = (errors[y * SIZE.1 + x] - mean).abs();
                let got = detail[y * SIZE.1 + x];
                prop_assert!((got - want).abs() < 1e-6, "{y} {x}: {got}, not {want}");
            }
        }
    }

    #[test]
    fn channels_are_averaged() {
        let area = SIZE.0 * SIZE.1;
        let mut errors = vec![0.0f32; 3 * area];
        errors[area + 30 * SIZE.1 + 30] = 0.5;
        let maps = maps(&errors);
        let at = 30 * SIZE.1 + 30;
        assert!((maps.error.values[at] - 0.25 / 3.0).abs() < 1e-7);
        assert!((maps.detail.values[at] - 0.5 * (1.0 - 1.0 / 25.0) / 3.0).abs() < 1e-7);
        assert!((maps.detail.values[at + 2] - 0.5 / 25.0 / 3.0).abs() < 1e-7);
        assert_eq!(maps.detail.values[at + 3], 0.0);
    }
}
