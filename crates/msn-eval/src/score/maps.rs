//! Error maps of a frame, and their means over windows.

use std::ops::Range;

use msn_model::{Map, Prediction, mean_over_channels};

/// A prediction with the maps of its error.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameMaps {
    /// What the network says.
    pub prediction: Prediction,
    /// Squared error in pixel range 0..1, mean over channels, [H, W]; in [0, 1].
    pub error: Map,
    /// Local contrast of the error: its absolute difference in pixel range 0..1 to its own mean over
    /// the pixels around, mean over channels, [H, W]; in [0, 1]; see [`FrameMaps::new`].
    pub contrast: Map,
    /// Texture, how much there is to predict: squared gradient of the target frame in pixel range
    /// 0..1 per pixel (central differences, both axes summed), mean over channels, [H, W]; in
    /// [0, 0.5].
    pub texture: Map,
}

impl FrameMaps {
    /// Of a prediction and the true frame, planes [C, H, W] in [-1, 1].
    ///
    /// The pixels around are a square of a 14th of the shorter side (9 pixels of 128): an error that
    /// they share, as by a changed exposure or a patch of ground that is predicted a little too
    /// bright, has no local contrast, an object that moves has.
    pub fn new(prediction: Prediction, target: &[f32]) -> Self {
        let (height, width) = (prediction.height, prediction.width);
        let reach = height.min(width) / 28;
        let errors = prediction.error(target);
        let map = |of: &dyn Fn(&[f32]) -> Vec<f32>, planes: &[f32]| {
            let each = planes.chunks_exact((height * width).max(1));
            Map {
                height,
                width,
                values: mean_over_channels(
                    &each.flat_map(of).collect::<Vec<f32>>(),
                    prediction.channels(),
                ),
            }
        };
        Self {
            error: prediction.squared_error(target),
            contrast: map(
                &|plane| local_contrast(plane, height, width, reach),
                &errors,
            ),
            texture: map(&|plane| squared_gradient(plane, height, width), target),
            prediction,
        }
    }

    /// Peak signal-to-noise ratio in dB, at most 100.
    pub fn psnr(&self) -> f64 {
        -10.0 * at_least(1e-10, self.error.mean()).log10()
    }

    /// Largest mean squared error in a window of an eighth of the frame's shorter side, a 32nd
    /// apart.
    pub fn patch(&self) -> f64 {
        let size = self.error.height.min(self.error.width);
        WindowMap::means(&self.error, size / 8, size / 32).largest()
    }
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

/// How far each value lies from the mean of those up to `reach` rows and columns away, itself
/// included.
fn local_contrast(plane: &[f32], height: usize, width: usize, reach: usize) -> Vec<f32> {
    let sums = Sums::new(plane, height, width);
    let mut values = Vec::with_capacity(plane.len());
    for (y, row) in plane.chunks_exact(width).enumerate() {
        let rows = y.saturating_sub(reach)..(y + reach + 1).min(height);
        for (x, &v) in row.iter().enumerate() {
            let columns = x.saturating_sub(reach)..(x + reach + 1).min(width);
            values.push((f64::from(v) - sums.mean(&rows, &columns)).abs() as f32);
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
        sum / (rows.len() * columns.len()) as f64
    }
}

/// A value for each window of a frame, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowMap {
    /// Rows of windows.
    pub height: usize,
    /// Columns of windows.
    pub width: usize,
    /// `height * width` values.
    pub values: Vec<f64>,
}

impl WindowMap {
    /// Means of a map over square windows that lie within it, `stride` pixels apart; the window is
    /// cut to the map's size. [rows, columns] of windows: `(size - window) / stride + 1` each.
    pub fn means(map: &Map, window: usize, stride: usize) -> Self {
        let window = window.clamp(1, map.height.min(map.width).max(1));
        let stride = stride.max(1);
        let sums = Sums::new(&map.values, map.height, map.width);
        let height = (map.height - window) / stride + 1;
        let width = (map.width - window) / stride + 1;
        let value = |i: usize| {
            let (top, left) = (i / width * stride, i % width * stride);
            // Differences of sums can fall below zero by rounding; a mean of squares can't.
            at_least(0.0, sums.mean(&(top..top + window), &(left..left + window)))
        };
        Self {
            height,
            width,
            values: (0..height * width).map(value).collect(),
        }
    }

    /// For each window the largest value of those up to `reach` rows and columns away, itself
    /// included.
    pub(super) fn largest_around(&self, reach: usize) -> Self {
        let around = |i: usize, len: usize| i.saturating_sub(reach)..(i + reach + 1).min(len);
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::MIN, f64::max);
        let (height, width) = (self.height, self.width);
        let mut rows = Vec::with_capacity(self.values.len());
        for row in self.values.chunks_exact(width.max(1)) {
            rows.extend((0..width).map(|x| largest(&mut row[around(x, width)].iter().copied())));
        }
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let column = |(y, x)| largest(&mut around(y, height).map(|y| rows[y * width + x]));
        Self {
            values: places.map(column).collect(),
            ..*self
        }
    }

    /// The largest value; NaN where one is NaN.
    pub fn largest(&self) -> f64 {
        let larger = |a: f64, &b: &f64| if a.is_nan() || a > b { a } else { b };
        self.values.iter().fold(f64::NEG_INFINITY, larger)
    }
}

/// Unlike `f64::max`, NaN stays NaN: a score that can't be computed must not look like one.
fn at_least(least: f64, value: f64) -> f64 {
    if value < least { least } else { value }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;
    use msn_model::{ParityCase, TensorFile};
    use proptest::prelude::*;

    use super::*;

    const SIZE: (usize, usize) = (56, 60);

    fn maps(errors: &[f32]) -> FrameMaps {
        let prediction = Prediction {
            height: SIZE.0,
            width: SIZE.1,
            planes: errors.iter().map(|e| 2.0 * e).collect(),
            distances: Vec::new(),
        };
        FrameMaps::new(prediction, &vec![0.0; errors.len()])
    }

    proptest! {
        #[test]
        fn local_contrast_is_the_error_less_its_mean_around(
            errors in prop::collection::vec(-0.5f32..0.5, SIZE.0 * SIZE.1),
            shift in -0.4f32..0.4,
        ) {
            let contrast = maps(&errors).contrast.values;
            let shifted: Vec<f32> = errors.iter().map(|e| e + shift).collect();
            for (a, b) in maps(&shifted).contrast.values.iter().zip(&contrast) {
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
                let got = contrast[y * SIZE.1 + x];
                prop_assert!((got - want).abs() < 1e-6, "{y} {x}: {got}, not {want}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_largest_around_is_the_largest_of_a_square(
            (height, width, values) in (1usize..7, 1usize..7).prop_flat_map(|(h, w)| {
                (Just(h), Just(w), prop::collection::vec(-5.0f64..5.0, h * w))
            }),
            reach in 0usize..4,
        ) {
            let map = WindowMap { height, width, values };
            let around = map.largest_around(reach);
            for (i, &got) in around.values.iter().enumerate() {
                let (y, x) = (i / width, i % width);
                let near = |j: &usize| {
                    (j / width).abs_diff(y) <= reach && (j % width).abs_diff(x) <= reach
                };
                let all = (0..height * width).filter(near).map(|j| map.values[j]);
                prop_assert_eq!(Some(got), all.reduce(f64::max));
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
        assert!((maps.contrast.values[at] - 0.5 * (1.0 - 1.0 / 25.0) / 3.0).abs() < 1e-7);
        assert!((maps.contrast.values[at + 2] - 0.5 / 25.0 / 3.0).abs() < 1e-7);
        assert_eq!(maps.contrast.values[at + 3], 0.0);
    }

    /// PyTorch's predictions of the golden cases give PyTorch's errors and scores.
    #[test]
    fn scores_are_those_of_golden_cases() {
        let folder =
            Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/parity");
        let Ok(files) = folder.read_dir_utf8() else {
            return;
        };
        let mut cases = 0;
        for file in files {
            let path = file.unwrap().into_path();
            if path.extension() != Some("safetensors") {
                continue;
            }
            let file = TensorFile::read(&path).unwrap();
            let case = ParityCase::of(&file).unwrap();
            let of = |name: &str| &file.tensors[name];
            let (target, shape) = (of("input.target"), &of("input.target").shape);
            let [n, height, width] = [shape[0], shape[2], shape[3]];
            let frame = target.values.len() / n;
            for i in 0..n {
                let prediction = Prediction {
                    height,
                    width,
                    planes: of("eval.prediction").values[i * frame..][..frame].to_vec(),
                    distances: Vec::new(),
                };
                let maps = FrameMaps::new(prediction, &target.values[i * frame..][..frame]);
                let close = |ours: f64, golden: f32, what: &str| {
                    let golden = f64::from(golden);
                    assert!(
                        (ours - golden).abs() <= 1e-4 + 1e-4 * golden.abs(),
                        "{path}, {what} {i}: {ours}, not {golden}"
                    );
                };
                close(maps.psnr(), of("eval.psnr").values[i], "psnr");
                let [window, stride] = case.patch;
                let patch = WindowMap::means(&maps.error, window, stride).largest();
                close(patch, of("eval.patch").values[i], "patch");
                let golden = &of("eval.error_map").values[i * height * width..];
                for (&ours, &golden) in maps.error.values.iter().zip(golden) {
                    close(f64::from(ours), golden, "error");
                }
            }
            cases += 1;
        }
        assert!(cases > 0, "{folder} holds no golden case");
    }
}
