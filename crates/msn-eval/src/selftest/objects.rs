//! Moving objects of normal footage: cut out of it, and inserted elsewhere in another way.

use std::ops::Range;

use msn_data::LoadedVideo;
use msn_metrics::regions::{Component, MapSize, components};
use rand::{Rng, RngExt};

use crate::EvalError;

/// Fewest frames of an object's path.
const LEAST_FRAMES: usize = 10;
/// Share of the picture's width that it must have moved.
const LEAST_PATH: f64 = 0.04;
/// Frames that a background is the median of.
const BACKGROUND_FRAMES: usize = 60;
/// Least difference to the background that counts, in grey levels.
const LEAST_DIFFERENCE: f32 = 8.0;

/// A picture cut out of a frame: 8-bit pixels, interleaved, and how much of each covers what is
/// behind, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cut {
    /// Middle in the frame, pixels.
    pub y: f64,
    pub x: f64,
    pub height: usize,
    pub width: usize,
    pub pixels: Vec<u8>,
    pub cover: Vec<f32>,
}

/// An object along its path through consecutive frames.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MovingObject {
    pub cuts: Vec<Cut>,
}

/// An object that is still tracked.
struct Tracked {
    latest: Component,
    cuts: Vec<Cut>,
}

/// Finds the moving objects in some frames of a video: components that differ from the median frame,
/// are of a third of the picture at most, do not touch its edge, and move on.
pub(super) fn moving_objects(
    video: &LoadedVideo,
    frames: Range<usize>,
) -> Result<Vec<MovingObject>, EvalError> {
    let size = MapSize {
        width: usize::try_from(video.size.width).unwrap_or(0),
        height: usize::try_from(video.size.height).unwrap_or(0),
    };
    let channels = video.color.channels();
    let background = background(video, frames.clone())?;
    let mut threshold = None;
    let (mut tracked, mut done): (Vec<Tracked>, Vec<Tracked>) = (Vec::new(), Vec::new());
    for frame in frames {
        let pixels = video.frame(frame)?;
        let difference = difference(&pixels, &background, channels);
        let smooth = blurred(&difference, size);
        // Four robust standard deviations of what is noise in most of the picture.
        let threshold = *threshold.get_or_insert_with(|| {
            let mut sorted = smooth.clone();
            sorted.sort_by(f32::total_cmp);
            (4.0 * 1.4826 * sorted[sorted.len() / 2]).max(LEAST_DIFFERENCE)
        });
        let mut parts = components(&smooth, size, f64::from(threshold))?;
        parts.retain(|part| is_object_sized(part, size));
        let mut next = Vec::new();
        for mut object in tracked {
            let alike = |part: &Component| {
                let ratio = part.pixels as f64 / object.latest.pixels as f64;
                (0.6..1.6).contains(&ratio)
            };
            let best = (0..parts.len())
                .filter(|&i| alike(&parts[i]))
                .max_by_key(|&i| overlap(&parts[i], &object.latest));
            match best.filter(|&i| overlap(&parts[i], &object.latest) > 0) {
                Some(i) => {
                    object.latest = parts.swap_remove(i);
                    object.cuts.push(cut(
                        &object.latest,
                        &pixels,
                        &smooth,
                        threshold,
                        size,
                        channels,
                    ));
                    next.push(object);
                }
                None => done.push(object),
            }
        }
        next.extend(parts.into_iter().map(|latest| Tracked {
            cuts: vec![cut(&latest, &pixels, &smooth, threshold, size, channels)],
            latest,
        }));
        tracked = next;
    }
    done.extend(tracked);
    let moves_on = |cuts: &[Cut]| {
        let (first, last) = (&cuts[0], &cuts[cuts.len() - 1]);
        (last.x - first.x).hypot(last.y - first.y) >= LEAST_PATH * size.width as f64
    };
    Ok(done
        .into_iter()
        .map(|object| MovingObject { cuts: object.cuts })
        .filter(|m| m.cuts.len() >= LEAST_FRAMES && moves_on(&m.cuts))
        .collect())
}

/// Median of each byte over up to [`BACKGROUND_FRAMES`] frames.
fn background(video: &LoadedVideo, frames: Range<usize>) -> Result<Vec<u8>, EvalError> {
    let every = frames.len().div_ceil(BACKGROUND_FRAMES).max(1);
    let taken = frames
        .step_by(every)
        .map(|frame| video.frame(frame).map(|pixels| pixels.to_vec()))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes = taken.first().map_or(0, Vec::len);
    let median = |i: usize| {
        let mut values: Vec<u8> = taken.iter().map(|pixels| pixels[i]).collect();
        let middle = values.len() / 2;
        *values.select_nth_unstable(middle).1
    };
    Ok((0..bytes).map(median).collect())
}

/// Largest difference over channels, grey levels.
fn difference(pixels: &[u8], background: &[u8], channels: usize) -> Vec<f32> {
    let of = |(a, b): (&[u8], &[u8])| {
        let largest = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b)).max();
        f32::from(largest.unwrap_or(0))
    };
    let pairs = pixels
        .chunks_exact(channels)
        .zip(background.chunks_exact(channels));
    pairs.map(of).collect()
}

/// Means over 3 x 3 pixels.
fn blurred(values: &[f32], size: MapSize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for y in 0..size.height {
        for x in 0..size.width {
            let (mut sum, mut count) = (0.0, 0.0);
            for ny in y.saturating_sub(1)..=(y + 1).min(size.height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(size.width - 1) {
                    sum += values[ny * size.width + nx];
                    count += 1.0;
                }
            }
            out.push(sum / count);
        }
    }
    out
}

fn is_object_sized(part: &Component, size: MapSize) -> bool {
    let (width, height) = (side(part.x1, part.x2), side(part.y1, part.y2));
    let inside = part.x1 > 0
        && part.y1 > 0
        && whole(part.x2) + 1 < size.width
        && whole(part.y2) + 1 < size.height;
    let least = (size.width * size.height / 2000).max(8);
    inside && part.pixels >= least && width <= size.width / 3 && height <= size.height / 3
}

/// Pixels in which two boxes overlap.
fn overlap(a: &Component, b: &Component) -> usize {
    let width = side(a.x1.max(b.x1), a.x2.min(b.x2));
    width * side(a.y1.max(b.y1), a.y2.min(b.y2))
}

/// Pixels from the first to the last, both included; none where they are the wrong way round.
fn side(first: i32, last: i32) -> usize {
    usize::try_from(last + 1 - first).unwrap_or(0)
}

fn whole(place: i32) -> usize {
    usize::try_from(place).unwrap_or(0)
}

/// A part with a pixel of soft edge around it; it does not touch the frame's edge.
fn cut(
    part: &Component,
    pixels: &[u8],
    difference: &[f32],
    threshold: f32,
    size: MapSize,
    channels: usize,
) -> Cut {
    let (top, left) = (whole(part.y1) - 1, whole(part.x1) - 1);
    let (height, width) = (side(part.y1, part.y2) + 2, side(part.x1, part.x2) + 2);
    let mut out = Vec::with_capacity(height * width * channels);
    let mut inside = Vec::with_capacity(height * width);
    for y in 0..height {
        let start = (top + y) * size.width + left;
        out.extend_from_slice(&pixels[start * channels..(start + width) * channels]);
        let covers = |(x, &d): (usize, &f32)| {
            let rim = y == 0 || x == 0 || y + 1 == height || x + 1 == width;
            f32::from(u8::from(!rim && d > threshold))
        };
        inside.extend(
            difference[start..start + width]
                .iter()
                .enumerate()
                .map(covers),
        );
    }
    Cut {
        y: top as f64 + height as f64 / 2.0,
        x: left as f64 + width as f64 / 2.0,
        height,
        width,
        pixels: out,
        cover: blurred(&inside, MapSize { width, height }),
    }
}

impl Cut {
    /// The same object, larger, around the same middle; bilinear.
    pub fn enlarged(&self, factor: f64, channels: usize) -> Self {
        let scaled = |side: usize| {
            let side = (side as f64 * factor).round() as usize;
            side.max(1)
        };
        let (height, width) = (scaled(self.height), scaled(self.width));
        let (mut pixels, mut cover) = (Vec::new(), Vec::new());
        for y in 0..height {
            for x in 0..width {
                let (fy, fx) = ((y as f64 + 0.5) / factor, (x as f64 + 0.5) / factor);
                let at = |c: usize| {
                    let value = |i: usize| f64::from(self.pixels[i * channels + c]);
                    self.bilinear(fy, fx, value)
                };
                pixels.extend((0..channels).map(|c| at(c).round() as u8));
                cover.push(self.bilinear(fy, fx, |i| f64::from(self.cover[i])) as f32);
            }
        }
        Self {
            height,
            width,
            pixels,
            cover,
            ..*self
        }
    }

    /// A value between pixels; `y` and `x` count from the upper left corner of the first.
    fn bilinear(&self, y: f64, x: f64, value: impl Fn(usize) -> f64) -> f64 {
        let along = |place: f64, side: usize| {
            let place = (place - 0.5).clamp(0.0, (side - 1) as f64);
            let before = place.floor() as usize;
            (before, (before + 1).min(side - 1), place - place.floor())
        };
        let ((y0, y1, v), (x0, x1, u)) = (along(y, self.height), along(x, self.width));
        let row = |y: usize| {
            let (a, b) = (value(y * self.width + x0), value(y * self.width + x1));
            a + (b - a) * u
        };
        row(y0) + (row(y1) - row(y0)) * v
    }

    /// The same silhouette filled with blurred noise of strong contrast.
    pub fn filled(&self, noise: &[f32], side: usize, channels: usize) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let value = noise[y % side * side + x % side].clamp(0.0, 255.0) as u8;
                pixels.extend(std::iter::repeat_n(value, channels));
            }
        }
        Self {
            pixels,
            ..self.clone()
        }
    }

    /// Draws it into a frame; what would lie outside is cut off.
    pub fn draw(&self, frame: &mut [u8], size: MapSize, channels: usize) {
        let corner = |middle: f64, side: usize| (middle - side as f64 / 2.0).round() as i64;
        let (top, left) = (corner(self.y, self.height), corner(self.x, self.width));
        let place = |corner: i64, at: usize, side: usize| {
            let place = corner + i64::try_from(at).unwrap_or(i64::MAX);
            usize::try_from(place).ok().filter(|&p| p < side)
        };
        for y in 0..self.height {
            let Some(row) = place(top, y, size.height) else {
                continue;
            };
            for x in 0..self.width {
                let Some(column) = place(left, x, size.width) else {
                    continue;
                };
                let (from, to) = (y * self.width + x, row * size.width + column);
                let cover = self.cover[from];
                let ours = &self.pixels[from * channels..(from + 1) * channels];
                let theirs = &mut frame[to * channels..(to + 1) * channels];
                for (t, &o) in theirs.iter_mut().zip(ours) {
                    let mixed = f32::from(o) * cover + f32::from(*t) * (1.0 - cover);
                    let byte = mixed.round() as u8;
                    *t = byte;
                }
            }
        }
    }
}

/// `side` x `side` values of blurred noise around the middle of the grey levels.
pub(super) fn noise(side: usize, rng: &mut impl Rng) -> Vec<f32> {
    let size = MapSize {
        width: side,
        height: side,
    };
    let values: Vec<f32> = (0..side * side)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    // Blurring leaves a third of the contrast.
    blurred(&values, size)
        .into_iter()
        .map(|v| 128.0 + 230.0 * v)
        .collect()
}
