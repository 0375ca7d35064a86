//! The fair score: prediction errors of a causal tube of windows beside those of normal windows with
//! as much texture, as near to the camera and to the picture's edge, standardised by held-out normal
//! frames.

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, ops::Range};

use msn_model::{Calibration, ErrorRange, FrameMaps, Map64, TextureClass, UsualErrors};

use crate::EvalError;

/// Added to errors before the logarithm: noise of about one grey level.
const ERROR_FLOOR: f64 = 4e-3;
/// Added to textures before the logarithm: below it a window is plain.
const TEXTURE_FLOOR: f64 = 1e-3;
/// Classes of texture, equally wide in its logarithm.
const CLASSES: usize = 24;
/// Windows that a class needs; thinner ones are joined with their neighbours.
const FEWEST_WINDOWS: usize = 400;
/// Least distance between typical and high log error: the unit of excess.
const LEAST_SPREAD: f64 = 0.2;
/// Weight of the excess over all normal windows, beside that over windows of like texture. Without
/// it, an odd thing that is rich in texture may err as much as its texture allows.
const OVERALL_WEIGHT: f64 = 0.5;
/// Share of normal windows whose error is not high.
const HIGH: f64 = 0.99;

/// Settings of the fair score.
#[derive(Clone, Debug, PartialEq)]
pub struct Fair {
    /// Side of the square window, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// What errors normal windows have; without it a window's log error counts as it is.
    pub usual: Option<UsualErrors>,
}

impl Fair {
    /// Uncalibrated, for frames of this size: windows of an eighth of the shorter side, a quarter of
    /// a window apart, over the up to 8 latest scored frames.
    pub fn for_size(height: usize, width: usize) -> Self {
        let window = (height.min(width) / 8).max(1);
        Self {
            window,
            window_stride: (window / 4).max(1),
            history: 8,
            usual: None,
        }
    }

    /// A window's error, what is usual for its place taken off, and the errors that are usual for its
    /// texture.
    fn beside_usual(&self, window: Window) -> Beside {
        let error = window.error + ERROR_FLOOR;
        let Some(usual) = &self.usual else {
            return Beside {
                error,
                ..Beside::default()
            };
        };
        let texture = log_texture(window.texture);
        let like = at_texture(&usual.by_texture, texture).unwrap_or(usual.overall);
        Beside {
            error: error * (-at_place(usual, window.row, window.edge)).exp(),
            typical: like.typical.exp(),
            high: like.high.exp(),
        }
    }

    /// How far mean errors lie above what is high for windows of their textures, and above what is
    /// high for any, in units of the distance between typical and high. NaN stays NaN.
    fn excess(&self, mean: Beside) -> f64 {
        let log = mean.error.ln();
        let Some(usual) = &self.usual else {
            return log;
        };
        let over =
            |range: ErrorRange| (log - range.high) / (range.high - range.typical).max(LEAST_SPREAD);
        let like = ErrorRange {
            typical: mean.typical.ln(),
            high: mean.high.ln(),
        };
        over(like) + OVERALL_WEIGHT * over(usual.overall)
    }
}

impl From<&Calibration> for Fair {
    fn from(c: &Calibration) -> Self {
        Self {
            window: c.window,
            window_stride: c.window_stride,
            history: c.history,
            usual: Some(c.usual.clone()),
        }
    }
}

/// Linear between the classes around a log texture, constant beyond the outermost.
fn at_texture(classes: &[TextureClass], texture: f64) -> Option<ErrorRange> {
    let (first, last) = classes.first().zip(classes.last())?;
    let after = classes.partition_point(|class| class.texture < texture);
    let (Some(before), Some(next)) = (after.checked_sub(1), classes.get(after)) else {
        return Some(if after == 0 { first } else { last }.errors);
    };
    let before = &classes[before];
    let share = (texture - before.texture) / (next.texture - before.texture);
    let mix = |a: f64, b: f64| a + (b - a) * share;
    Some(ErrorRange {
        typical: mix(before.errors.typical, next.errors.typical),
        high: mix(before.errors.high, next.errors.high),
    })
}

/// Log error by which windows of a row, at the picture's edge or not, exceed others of like texture.
fn at_place(usual: &UsualErrors, row: f64, edge: bool) -> f64 {
    usual.slope * row + if edge { usual.edge } else { 0.0 }
}

fn log_texture(texture: f64) -> f64 {
    (texture + TEXTURE_FLOOR).ln()
}

fn log_error(error: f64) -> f64 {
    (error + ERROR_FLOOR).ln()
}

/// One window of a frame.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// Mean of the error's detail.
    error: f64,
    /// Mean texture.
    texture: f64,
    /// From -1, the topmost, to 1, the lowest.
    row: f64,
    /// Whether it reaches into the outermost part of the picture, a window wide.
    edge: bool,
}

/// The windows of one frame.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows {
    pub error: Map64,
    pub texture: Map64,
    /// As [`Window::edge`].
    pub edge: Vec<bool>,
}

impl Windows {
    pub fn new(fair: &Fair, maps: &FrameMaps) -> Self {
        let error = maps.detail.windows(fair.window, fair.window_stride);
        // Whether a window that is the i-th of its row or column reaches into the outermost part.
        let reaches = |i: usize, side: usize| {
            let first = i * fair.window_stride;
            first < fair.window || first + 2 * fair.window > side
        };
        let edge = (0..error.values.len()).map(|i| {
            let (row, column) = (i / error.width, i % error.width);
            reaches(row, maps.detail.height) || reaches(column, maps.detail.width)
        });
        Self {
            edge: edge.collect(),
            texture: maps.texture.windows(fair.window, fair.window_stride),
            error,
        }
    }

    /// Row by row, from the top.
    fn all(&self) -> impl Iterator<Item = Window> {
        let pairs = self.error.values.iter().zip(&self.texture.values);
        let windows = pairs.zip(&self.edge).enumerate();
        windows.map(|(i, ((&error, &texture), &edge))| Window {
            error,
            texture,
            row: height_of_row(i / self.error.width, self.error.height),
            edge,
        })
    }
}

/// From -1 for the first row to 1 for the last; 0 where there is one.
fn height_of_row(row: usize, rows: usize) -> f64 {
    if rows < 2 {
        return 0.0;
    }
    2.0 * count(row) / count(rows - 1) - 1.0
}

/// An error and what is usual in its place, none of them a logarithm.
#[derive(Clone, Copy, Debug, Default)]
struct Beside {
    error: f64,
    typical: f64,
    high: f64,
}

/// The windows of the latest frames since the last gap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tube {
    latest: VecDeque<Vec<Beside>>,
}

impl Tube {
    /// A gap in time: what came before counts no more.
    pub fn clear(&mut self) {
        self.latest.clear();
    }

    /// Each window's excess by its means over the up to `history` latest frames, this one included.
    ///
    /// Errors and what is usual for each frame's texture are averaged apart.
    pub fn push(&mut self, fair: &Fair, newest: &Windows) -> Map64 {
        if self.latest.len() == fair.history.max(1) {
            self.latest.pop_front();
        }
        let beside = newest.all().map(|window| fair.beside_usual(window));
        self.latest.push_back(beside.collect());
        let n = count(self.latest.len());
        let mean = |i: usize| {
            let mut mean = Beside::default();
            for frame in &self.latest {
                mean.error += frame[i].error / n;
                mean.typical += frame[i].typical / n;
                mean.high += frame[i].high / n;
            }
            mean
        };
        let windows = 0..newest.error.values.len();
        Map64 {
            values: windows.map(|i| fair.excess(mean(i))).collect(),
            ..newest.error
        }
    }
}

/// Collects windows of normal frames and says what errors are usual.
#[derive(Clone, Debug, Default)]
pub(crate) struct Normal {
    windows: Vec<NormalWindow>,
}

#[derive(Clone, Copy, Debug)]
struct NormalWindow {
    /// Log texture.
    texture: f32,
    /// Log error.
    error: f32,
    /// As in [`Window`].
    row: f32,
    edge: bool,
}

impl Normal {
    pub fn push(&mut self, windows: &Windows) {
        #[expect(clippy::cast_possible_truncation, reason = "statistics of many")]
        let kept = |window: Window| NormalWindow {
            texture: log_texture(window.texture) as f32,
            error: log_error(window.error) as f32,
            row: window.row as f32,
            edge: window.edge,
        };
        self.windows.extend(windows.all().map(kept));
    }

    /// Typical and high errors; `None` without a window.
    pub fn usual(mut self) -> Option<UsualErrors> {
        self.windows.sort_by(|a, b| a.texture.total_cmp(&b.texture));
        let bounds = self.bounds()?;
        let mut usual = UsualErrors::default();
        let over = self.over_texture(&self.classes(&bounds));
        usual.slope = self.slope(&over);
        usual.edge = self.edge(&over, usual.slope);
        #[expect(clippy::cast_possible_truncation, reason = "statistics of many")]
        for window in &mut self.windows {
            window.error -= at_place(&usual, f64::from(window.row), window.edge) as f32;
        }
        usual.overall = range(&self.windows);
        usual.by_texture = self.classes(&bounds);
        Some(usual)
    }

    /// Where classes of windows, sorted by texture, begin and end; `None` without a window.
    fn bounds(&self) -> Option<Vec<Range<usize>>> {
        let (first, last) = self.windows.first().zip(self.windows.last())?;
        let (low, width) = (
            f64::from(first.texture),
            f64::from(last.texture - first.texture),
        );
        let ends = (1..=CLASSES).map(|i| {
            let edge = low + width * count(i) / count(CLASSES);
            match i {
                CLASSES => self.windows.len(),
                _ => self
                    .windows
                    .partition_point(|w| f64::from(w.texture) < edge),
            }
        });
        let (mut bounds, mut start) = (Vec::new(), 0);
        for end in ends {
            if end - start >= FEWEST_WINDOWS {
                bounds.push(start..end);
                start = end;
            }
        }
        match bounds.last_mut() {
            Some(richest) => richest.end = self.windows.len(),
            None => bounds.push(0..self.windows.len()),
        }
        Some(bounds)
    }

    fn classes(&self, bounds: &[Range<usize>]) -> Vec<TextureClass> {
        let class = |windows: &[NormalWindow]| TextureClass {
            texture: windows.iter().map(|w| f64::from(w.texture)).sum::<f64>()
                / count(windows.len()),
            errors: range(windows),
        };
        let parts = bounds.iter().map(|b| &self.windows[b.clone()]);
        parts.map(class).collect()
    }

    /// Each window's log error beside what is high for its texture anywhere.
    fn over_texture(&self, classes: &[TextureClass]) -> Vec<f64> {
        let over = |window: &NormalWindow| {
            let like = at_texture(classes, f64::from(window.texture));
            f64::from(window.error) - like.map_or(0.0, |errors| errors.high)
        };
        self.windows.iter().map(over).collect()
    }

    /// How much high log errors grow from the middle row to the lowest: the straight line through
    /// what is high in each row.
    ///
    /// What is near moves over more pixels, so it is predicted worse. A line, not a value for each
    /// row: rows where few went in held-out frames must not make whoever goes there odd.
    fn slope(&self, over: &[f64]) -> f64 {
        let mut rows: Vec<(f32, Vec<f64>)> = Vec::new();
        for (window, &over) in self.windows.iter().zip(over) {
            match rows.iter_mut().find(|(row, _)| *row == window.row) {
                Some((_, all)) => all.push(over),
                None => rows.push((window.row, vec![over])),
            }
        }
        let squares: f64 = rows.iter().map(|(row, _)| f64::from(row * row)).sum();
        if squares == 0.0 {
            return 0.0;
        }
        // Rows lie evenly around 0.
        let products = rows
            .iter()
            .map(|(row, over)| f64::from(*row) * quantile(over, HIGH));
        products.sum::<f64>() / squares
    }

    /// How far what is high at the picture's edge lies above what is high elsewhere, the slope taken
    /// off; 0 where it does not.
    ///
    /// What comes in can't be foreseen from frames in which it was not to be seen.
    fn edge(&self, over: &[f64], slope: f64) -> f64 {
        let (mut at_edge, mut inside) = (Vec::new(), Vec::new());
        for (window, over) in self.windows.iter().zip(over) {
            let side = if window.edge {
                &mut at_edge
            } else {
                &mut inside
            };
            side.push(over - slope * f64::from(window.row));
        }
        if at_edge.is_empty() || inside.is_empty() {
            return 0.0;
        }
        (quantile(&at_edge, HIGH) - quantile(&inside, HIGH)).max(0.0)
    }
}

fn range(windows: &[NormalWindow]) -> ErrorRange {
    let errors: Vec<f64> = windows.iter().map(|w| f64::from(w.error)).collect();
    ErrorRange {
        typical: quantile(&errors, 0.5),
        high: quantile(&errors, HIGH),
    }
}

/// Standardised by a calibration: 0 is a median normal frame, 1 a robust standard deviation more.
pub fn standardise(excess: f64, calibration: &Calibration) -> f64 {
    (excess - calibration.median) / (1.4826 * calibration.mad)
}

/// Statistics of held-out normal frames: `frames` are their largest excesses, `windows` those of all
/// their windows.
pub(crate) fn calibrate(
    fair: &Fair,
    usual: UsualErrors,
    frames: &[f64],
    windows: &[f64],
) -> Result<Calibration, EvalError> {
    if frames.is_empty() {
        return Err(EvalError::NothingHeldOut);
    }
    let median = quantile(frames, 0.5);
    let spread: Vec<f64> = frames.iter().map(|f| (f - median).abs()).collect();
    let mad = quantile(&spread, 0.5);
    if mad.is_nan() || mad < 1e-9 {
        return Err(EvalError::NoSpread { mad });
    }
    let mut calibration = Calibration {
        window: fair.window,
        window_stride: fair.window_stride,
        history: fair.history,
        usual,
        median,
        mad,
        frames: frames.len(),
        map_threshold: 0.0,
        alarm: None,
    };
    calibration.map_threshold = standardise(quantile(windows, 0.995), &calibration);
    Ok(calibration)
}

/// Linear between the two nearest values, as NumPy's default; 0 for none.
pub(crate) fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return 0.0;
    };
    let place = q * count(last);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to the last index"
    )]
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

pub(crate) fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
