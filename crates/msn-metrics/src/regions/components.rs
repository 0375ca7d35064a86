use serde::{Deserialize, Serialize};

use super::{Detection, Region};
use crate::MetricsError;

/// Size of a map or mask in pixels; values lie row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MapSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
}

impl MapSize {
    /// Refuses a map of another number of values, or with a side that no box can hold.
    pub(super) fn check(self, values: usize) -> Result<(), MetricsError> {
        let Self { width, height } = self;
        let fits = i32::try_from(width).is_ok() && i32::try_from(height).is_ok();
        if fits && width.checked_mul(height) == Some(values) {
            Ok(())
        } else {
            Err(MetricsError::MapSize {
                width,
                height,
                values,
            })
        }
    }
}

/// A connected part of a map: its bounding box and largest value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Leftmost pixel.
    pub x1: i32,
    /// Topmost pixel.
    pub y1: i32,
    /// Rightmost pixel, inclusive.
    pub x2: i32,
    /// Lowest pixel, inclusive.
    pub y2: i32,
    /// Number of its pixels.
    pub pixels: usize,
    /// Largest value in it.
    pub score: f64,
}

impl Component {
    /// Its bounding box, in a frame.
    pub fn region(&self, frame: usize) -> Region {
        let Self { x1, y1, x2, y2, .. } = *self;
        Region {
            frame,
            x1,
            y1,
            x2,
            y2,
        }
    }

    /// Its bounding box and score, in a frame.
    pub fn detection(&self, frame: usize) -> Detection {
        Detection {
            region: self.region(frame),
            score: self.score,
        }
    }
}

/// The 8-connected components of the pixels above `threshold`, in the order of their first pixels
/// row by row.
///
/// `values` is a score map (f32 or f64) or a mask (u8, with a threshold of 0).
///
/// # Errors
/// [`MetricsError::MapSize`] if `values` does not fit `size`; [`MetricsError::MapNotFinite`] names
/// the pixel; [`MetricsError::Threshold`] for a NaN.
pub fn components<T: Copy + Into<f64>>(
    values: &[T],
    size: MapSize,
    threshold: f64,
) -> Result<Vec<Component>, MetricsError> {
    size.check(values.len())?;
    if threshold.is_nan() {
        return Err(MetricsError::Threshold);
    }
    if let Some(i) = values.iter().position(|&v| !v.into().is_finite()) {
        let (x, y) = (i % size.width, i / size.width);
        return Err(MetricsError::MapNotFinite {
            x,
            y,
            value: values[i].into(),
        });
    }
    let labels = Labels::new(size, |i| values[i].into() > threshold);
    Ok(labels.components(size, |i| values[i].into()))
}

/// The component of each pixel.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) of_pixel: Vec<Option<usize>>,
    pub(super) count: usize,
}

impl Labels {
    /// Labels the 8-connected components of the pixels that `inside` picks, by their places in a
    /// map of `size`, which was checked.
    pub(super) fn new(size: MapSize, inside: impl Fn(usize) -> bool) -> Self {
        let MapSize { width, height } = size;
        let mut of_pixel = vec![None; width * height];
        let mut count = 0;
        let mut stack = Vec::new();
        for start in 0..width * height {
            if of_pixel[start].is_some() || !inside(start) {
                continue;
            }
            of_pixel[start] = Some(count);
            stack.push(start);
            while let Some(i) = stack.pop() {
                let (x, y) = (i % width, i / width);
                for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                        let next = ny * width + nx;
                        if of_pixel[next].is_none() && inside(next) {
                            of_pixel[next] = Some(count);
                            stack.push(next);
                        }
                    }
                }
            }
            count += 1;
        }
        Self { of_pixel, count }
    }

    pub(super) fn components(&self, size: MapSize, value: impl Fn(usize) -> f64) -> Vec<Component> {
        let mut out: Vec<Option<Component>> = vec![None; self.count];
        let mut i = 0;
        // Sides were checked to fit, so counting in i32 is safe and needs no conversion.
        for (y, _) in (0_i32..).zip(0..size.height) {
            for (x, _) in (0_i32..).zip(0..size.width) {
                if let Some(label) = self.of_pixel[i] {
                    let score = value(i);
                    let one = Component {
                        x1: x,
                        y1: y,
                        x2: x,
                        y2: y,
                        pixels: 0,
                        score,
                    };
                    let c = out[label].get_or_insert(one);
                    c.x1 = c.x1.min(x);
                    c.x2 = c.x2.max(x);
                    c.y2 = y;
                    c.pixels += 1;
                    c.score = c.score.max(score);
                }
                i += 1;
            }
        }
        out.into_iter().flatten().collect()
    }
}
