//! The fair score: a causal tube of the prediction error, standardised by held-out normal frames.
//!
//! A fixed camera mostly looks along the ground, so how large normal things are, and with them their
//! errors, depends on the height in the picture above all. Each row of windows is therefore divided
//! by what held-out normal frames show there. Single places would say more, and need more held-out
//! frames than there are.

use std::collections::VecDeque;

use msn_model::{Calibration, Map, Map64};

use crate::EvalError;

/// Share of the whole picture's mean error in what a row is divided by: a row where nothing happened
/// must not make noise an anomaly. Chosen on synthetic scenes that no figure is given for.
const WHOLE: f64 = 0.3;

/// Settings of the fair score.
#[derive(Clone, Debug, PartialEq)]
pub struct Fair {
    /// Side of the square window, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// What each row of windows is divided by, from the top; none for all 1.
    pub rows: Vec<f64>,
}

impl Fair {
    /// For frames of this size: windows of an eighth of the shorter side, a quarter of a window
    /// apart, over the up to 8 latest scored frames; rows are not known before a calibration.
    pub fn for_size(height: usize, width: usize) -> Self {
        let window = (height.min(width) / 8).max(1);
        Self {
            window,
            window_stride: (window / 4).max(1),
            history: 8,
            rows: Vec::new(),
        }
    }

    /// Windows divided by their row.
    fn divided(&self, mut windows: Map64) -> Map64 {
        let rows = windows.values.chunks_mut(windows.width.max(1));
        for (row, &by) in rows.zip(&self.rows) {
            row.iter_mut().for_each(|v| *v /= by);
        }
        windows
    }
}

impl From<&Calibration> for Fair {
    fn from(c: &Calibration) -> Self {
        Self {
            window: c.window,
            window_stride: c.window_stride,
            history: c.history,
            rows: c.rows.clone(),
        }
    }
}

/// Window means of the latest frames since the last gap.
#[derive(Clone, Debug)]
pub(crate) struct Tube {
    fair: Fair,
    latest: VecDeque<Map64>,
}

impl Tube {
    pub fn new(fair: Fair) -> Self {
        Self {
            fair,
            latest: VecDeque::new(),
        }
    }

    /// A gap in time: what came before counts no more.
    pub fn clear(&mut self) {
        self.latest.clear();
    }

    /// Each window's mean over the up to `history` latest frames, this one included, divided by its
    /// row.
    pub fn push(&mut self, error: &Map) -> Map64 {
        if self.latest.len() == self.fair.history.max(1) {
            self.latest.pop_front();
        }
        let newest = error.windows(self.fair.window, self.fair.window_stride);
        let mut mean = Map64 {
            values: vec![0.0; newest.values.len()],
            ..newest
        };
        self.latest.push_back(newest);
        for map in &self.latest {
            for (sum, v) in mean.values.iter_mut().zip(&map.values) {
                *sum += v;
            }
        }
        let n = count(self.latest.len());
        mean.values.iter_mut().for_each(|v| *v /= n);
        self.fair.divided(mean)
    }
}

/// `ln max(m, 1e-10)`; NaN stays NaN.
pub(crate) fn log_error(m: f64) -> f64 {
    if m < 1e-10 { 1e-10f64.ln() } else { m.ln() }
}

/// Standardised by a calibration: 0 is a median normal frame, 1 a robust standard deviation more.
pub fn standardise(log_error: f64, calibration: &Calibration) -> f64 {
    (log_error - calibration.median) / (1.4826 * calibration.mad)
}

/// Statistics of held-out normal frames, given their undivided tubes.
pub(crate) fn calibrate(fair: &Fair, tubes: Vec<Map64>) -> Result<Calibration, EvalError> {
    let fair = Fair {
        rows: rows(&tubes),
        ..fair.clone()
    };
    let tubes: Vec<Map64> = tubes.into_iter().map(|t| fair.divided(t)).collect();
    let frames: Vec<f64> = tubes.iter().map(|t| log_error(t.largest())).collect();
    if frames.is_empty() {
        return Err(EvalError::NothingHeldOut);
    }
    let median = quantile(&frames, 0.5);
    let spread: Vec<f64> = frames.iter().map(|f| (f - median).abs()).collect();
    let mad = quantile(&spread, 0.5);
    if mad.is_nan() || mad < 1e-9 {
        return Err(EvalError::NoSpread { mad });
    }
    let mut calibration = Calibration {
        window: fair.window,
        window_stride: fair.window_stride,
        history: fair.history,
        rows: fair.rows,
        median,
        mad,
        frames: frames.len(),
        map_threshold: 0.0,
    };
    let windows = tubes.iter().flat_map(|t| &t.values);
    let windows: Vec<f64> = windows.map(|&m| log_error(m)).collect();
    calibration.map_threshold = standardise(quantile(&windows, 0.995), &calibration);
    Ok(calibration)
}

/// Each row's mean over windows and frames, with [`WHOLE`] of the mean of all, over their mean.
fn rows(tubes: &[Map64]) -> Vec<f64> {
    let Some(first) = tubes.first() else {
        return Vec::new();
    };
    let mut sums = vec![0.0; first.height];
    for tube in tubes {
        for (sum, row) in sums.iter_mut().zip(tube.values.chunks(tube.width)) {
            *sum += row.iter().sum::<f64>();
        }
    }
    let mean = sums.iter().sum::<f64>() / count(sums.len());
    // Frames without any error have no spread, which is said in its place.
    let mean = if mean > 0.0 { mean } else { 1.0 };
    sums.iter()
        .map(|sum| (sum / mean + WHOLE) / (1.0 + WHOLE))
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: f32) -> Map {
        Map {
            height: 4,
            width: 4,
            values: vec![value; 16],
        }
    }

    #[test]
    fn a_tube_averages_the_latest_frames_alone() {
        let mut tube = Tube::new(Fair {
            window: 2,
            window_stride: 1,
            history: 3,
            rows: vec![1.0; 3],
        });
        let means: Vec<f64> = [1.0, 2.0, 3.0, 7.0]
            .map(|v| tube.push(&map(v)).largest())
            .to_vec();
        assert_eq!(means, [1.0, 1.5, 2.0, 4.0]);
        tube.clear();
        assert_eq!(tube.push(&map(5.0)).largest(), 5.0);
    }

    #[test]
    fn quantiles_are_numpys() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert!((quantile(&[0.0, 10.0], 0.995) - 9.95).abs() < 1e-12);
    }

    #[test]
    fn calibration_needs_spread() {
        let fair = Fair::for_size(64, 64);
        let tube = |top: f64, bottom: f64| Map64 {
            height: 2,
            width: 2,
            values: vec![top, top, bottom, bottom],
        };
        assert!(matches!(
            calibrate(&fair, vec![]),
            Err(EvalError::NothingHeldOut)
        ));
        assert!(matches!(
            calibrate(&fair, vec![tube(1.0, 1.0); 9]),
            Err(EvalError::NoSpread { .. })
        ));
        let c = calibrate(&fair, [1.0, 2.0, 4.0].map(|v| tube(v, v)).into()).unwrap();
        assert_eq!((c.rows.clone(), c.frames), (vec![1.0, 1.0], 3));
        assert!((c.median - 2f64.ln()).abs() < 1e-12 && (c.mad - 2f64.ln()).abs() < 1e-12);
        assert!((standardise(2f64.ln() + 1.4826 * c.mad, &c) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_large_everywhere_in_a_row_counts_less_there() {
        let tube = |top: f64, bottom: f64| Map64 {
            height: 2,
            width: 1,
            values: vec![top, bottom],
        };
        let normal = vec![tube(1.0, 9.0), tube(0.5, 8.0), tube(2.0, 10.0)];
        let fair = Fair {
            window: 1,
            window_stride: 1,
            history: 1,
            rows: Vec::new(),
        };
        let c = calibrate(&fair, normal).unwrap();
        assert!((c.rows.iter().sum::<f64>() - 2.0).abs() < 1e-12);
        let fair = Fair::from(&c);
        // Five times the usual above is more than a little over the usual below.
        let score = |t| fair.divided(t).largest();
        assert!(score(tube(5.0, 9.0)) > score(tube(1.0, 11.0)));
    }
}
