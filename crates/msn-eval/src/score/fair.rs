//! The anomaly score, `fair` among the protocols: prediction errors of a causal tube of windows
//! compared with those of normal windows of as much texture, as near to the camera and to the
//! picture's edge.

use std::collections::VecDeque;

use super::{
    baseline::{Baseline, ErrorQuantiles, at_texture},
    calibration::Calibration,
    maps::{FrameMaps, WindowMap},
};

/// Added to errors before the logarithm: noise of about one grey level.
pub(super) const ERROR_FLOOR: f64 = 4e-3;
/// Added to textures before the logarithm: below it a window is plain.
pub(super) const TEXTURE_FLOOR: f64 = 1e-3;
/// Least distance between the median and the 99th percentile of log errors: the unit of excess.
const LEAST_SPREAD: f64 = 0.2;
/// Of the excess over windows of like texture and that over all normal windows, the weight of the
/// lesser one. A score is mostly the former: plain ground may err less. The latter is part of it, or
/// an unusual object that is rich in texture could err as much as its texture allows. In the map it
/// is the other way round: behind something that moves, plain ground comes to light that was not
/// foreseen either, and by its texture it would lead.
const LESSER_WEIGHT: f64 = 0.5;
/// Scored frames whose errors say where a score comes from, the newest ones: the thing has moved on
/// from where older ones err.
const NEWEST: usize = 2;

/// Settings of the anomaly score.
#[derive(Clone, Debug, PartialEq)]
pub struct AnomalyScore {
    /// Side of the square window, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// Errors of normal windows; without it a window's log error counts as it is.
    pub baseline: Option<Baseline>,
}

impl AnomalyScore {
    /// Uncalibrated, for frames of this size: windows of an eighth of the shorter side, a quarter of
    /// a window apart, over the up to 8 latest scored frames.
    pub fn for_size(height: usize, width: usize) -> Self {
        let window = (height.min(width) / 8).max(1);
        Self {
            window,
            window_stride: (window / 4).max(1),
            history: 8,
            baseline: None,
        }
    }

    /// A window's error less its position's offset, and the baseline at its texture.
    pub(super) fn terms(&self, window: Window) -> WindowTerms {
        let error = window.error + ERROR_FLOOR;
        let Some(baseline) = &self.baseline else {
            return WindowTerms {
                error,
                ..WindowTerms::default()
            };
        };
        let texture = log_texture(window.texture);
        let like = at_texture(&baseline.by_texture, texture).unwrap_or(baseline.overall);
        WindowTerms {
            error: error * (-baseline.position_offset(window.row, window.edge)).exp(),
            median: like.median.exp(),
            p99: like.p99.exp(),
        }
    }

    /// How far a mean error lies above the 99th percentile of windows of its texture, and of all, in
    /// units of the distance between median and 99th percentile. NaN stays NaN.
    fn excess(&self, mean: WindowTerms) -> Excess {
        let log = mean.error.ln();
        let Some(baseline) = &self.baseline else {
            return Excess {
                like: log,
                all: 0.0,
            };
        };
        let over = |errors: ErrorQuantiles| {
            (log - errors.p99) / (errors.p99 - errors.median).max(LEAST_SPREAD)
        };
        let like = ErrorQuantiles {
            median: mean.median.ln(),
            p99: mean.p99.ln(),
        };
        Excess {
            like: over(like),
            all: over(baseline.overall),
        }
    }
}

/// What a window's error has above normal windows.
#[derive(Clone, Copy, Debug)]
struct Excess {
    /// Above those of its texture.
    like: f64,
    /// Above all.
    all: f64,
}

impl Excess {
    fn score(self) -> f64 {
        self.like + LESSER_WEIGHT * self.all
    }

    fn map(self) -> f64 {
        self.all + LESSER_WEIGHT * self.like
    }
}

impl From<&Calibration> for AnomalyScore {
    fn from(c: &Calibration) -> Self {
        Self {
            window: c.window,
            window_stride: c.window_stride,
            history: c.history,
            baseline: Some(c.baseline.clone()),
        }
    }
}

pub(super) fn log_texture(texture: f64) -> f64 {
    (texture + TEXTURE_FLOOR).ln()
}

pub(super) fn log_error(error: f64) -> f64 {
    (error + ERROR_FLOOR).ln()
}

/// One window of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Mean local contrast of the error.
    pub error: f64,
    /// Mean squared gradient of the target frame.
    pub texture: f64,
    /// From -1, the topmost, to 1, the lowest.
    pub row: f64,
    /// Whether it reaches into the outermost part of the picture, a window wide.
    pub edge: bool,
}

/// The windows of one frame; 17 bytes each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows {
    pub error: WindowMap,
    pub texture: WindowMap,
    /// As [`Window::edge`].
    pub edge: Vec<bool>,
}

impl Windows {
    pub fn new(score: &AnomalyScore, maps: &FrameMaps) -> Self {
        let means = |map| WindowMap::means(map, score.window, score.window_stride);
        let error = means(&maps.contrast);
        // Whether a window that is the i-th of its row or column reaches into the outermost part.
        let reaches = |i: usize, side: usize| {
            let first = i * score.window_stride;
            first < score.window || first + 2 * score.window > side
        };
        let edge = (0..error.values.len()).map(|i| {
            let (row, column) = (i / error.width, i % error.width);
            reaches(row, maps.contrast.height) || reaches(column, maps.contrast.width)
        });
        Self {
            edge: edge.collect(),
            texture: means(&maps.texture),
            error,
        }
    }

    /// Row by row, from the top.
    pub(super) fn all(&self) -> impl Iterator<Item = Window> {
        let pairs = self.error.values.iter().zip(&self.texture.values);
        let windows = pairs.zip(&self.edge).enumerate();
        windows.map(|(i, ((&error, &texture), &edge))| Window {
            error,
            texture,
            row: row_position(i / self.error.width, self.error.height),
            edge,
        })
    }
}

/// From -1 for the first row to 1 for the last; 0 where there is one.
pub(super) fn row_position(row: usize, rows: usize) -> f64 {
    if rows < 2 {
        return 0.0;
    }
    2.0 * row as f64 / (rows - 1) as f64 - 1.0
}

/// A window's error and its baseline, none of them a logarithm, so that they can be averaged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WindowTerms {
    error: f64,
    median: f64,
    p99: f64,
}

/// The windows of the latest frames since the last gap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tube {
    latest: VecDeque<Vec<WindowTerms>>,
}

impl Tube {
    /// A gap in time: what came before counts no more.
    pub fn clear(&mut self) {
        self.latest.clear();
    }

    /// Each window's excess by its means over the up to `history` latest frames, this one included.
    ///
    /// Errors and the baselines of each frame's texture are averaged apart.
    pub fn push(&mut self, score: &AnomalyScore, newest: &Windows) -> WindowMap {
        if self.latest.len() == score.history.max(1) {
            self.latest.pop_front();
        }
        let terms = newest.all().map(|window| score.terms(window));
        self.latest.push_back(terms.collect());
        self.map(score, newest, self.latest.len(), Excess::score)
    }

    /// Where the score of the latest push comes from, on the same scale: what heat and regions are
    /// made of.
    pub fn place(&self, score: &AnomalyScore, newest: &Windows) -> WindowMap {
        self.map(score, newest, NEWEST, Excess::map)
    }

    /// Largest on the thing that the score of the latest push comes from, on the same scale: each
    /// window's largest excess around it over the newest frames, less what the window's own error
    /// lacks to the largest around.
    ///
    /// Ground that a thing has uncovered can lead even in [`place`](Self::place); the thing, next to
    /// it, errs more.
    pub fn thing(&self, score: &AnomalyScore, newest: &Windows) -> WindowMap {
        // As far as windows touch.
        let reach = score.window / score.window_stride.max(1);
        let excess = self
            .map(score, newest, NEWEST, Excess::score)
            .largest_around(reach);
        let own = self.map(score, newest, NEWEST, |excess| excess.all);
        let around = own.largest_around(reach);
        let lacking = around.values.iter().zip(&own.values).map(|(a, o)| a - o);
        // What both parts of an excess lose where an error falls.
        let slope = 1.0 + LESSER_WEIGHT;
        let values = excess.values.iter().zip(lacking);
        WindowMap {
            values: values.map(|(e, l)| e - slope * l).collect(),
            ..excess
        }
    }

    /// Of each window's means over the up to `frames` latest frames.
    fn map(
        &self,
        score: &AnomalyScore,
        newest: &Windows,
        frames: usize,
        of: fn(Excess) -> f64,
    ) -> WindowMap {
        let n = frames.min(self.latest.len());
        let mean = |i: usize| {
            let mut mean = WindowTerms::default();
            for frame in self.latest.range(self.latest.len() - n..) {
                mean.error += frame[i].error / n as f64;
                mean.median += frame[i].median / n as f64;
                mean.p99 += frame[i].p99 / n as f64;
            }
            mean
        };
        let windows = 0..newest.error.values.len();
        WindowMap {
            values: windows.map(|i| of(score.excess(mean(i)))).collect(),
            ..newest.error
        }
    }
}
