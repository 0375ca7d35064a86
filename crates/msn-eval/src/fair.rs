//! The fair score: a causal tube of the prediction error, standardised by held-out normal frames.

use std::collections::VecDeque;

use msn_model::{Calibration, Map, Map64};

use crate::EvalError;

/// Settings of the fair score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fair {
    /// Side of the square window, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
}

impl Fair {
    /// METHOD's first version for frames of this size: windows of an eighth of the shorter side,
    /// a quarter of a window apart, over the up to 8 latest scored frames.
    pub fn for_size(height: usize, width: usize) -> Self {
        let window = (height.min(width) / 8).max(1);
        Self {
            window,
            window_stride: (window / 4).max(1),
            history: 8,
        }
    }
}

impl From<&Calibration> for Fair {
    fn from(c: &Calibration) -> Self {
        Self {
            window: c.window,
            window_stride: c.window_stride,
            history: c.history,
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

    /// Each window's mean over the up to `history` latest frames, this one included.
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
        mean
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

/// Statistics of held-out normal frames: `frames` are their log errors, `pixels` the log values of
/// their windows.
pub(crate) fn calibrate(
    fair: Fair,
    frames: &[f64],
    pixels: &[f64],
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
        median,
        mad,
        frames: frames.len(),
        map_threshold: 0.0,
        alarm: None,
    };
    calibration.map_threshold = standardise(quantile(pixels, 0.995), &calibration);
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
        assert!(matches!(
            calibrate(fair, &[], &[]),
            Err(EvalError::NothingHeldOut)
        ));
        assert!(matches!(
            calibrate(fair, &[1.0; 9], &[1.0; 9]),
            Err(EvalError::NoSpread { .. })
        ));
        let c = calibrate(fair, &[1.0, 2.0, 3.0], &[1.0, 3.0]).unwrap();
        assert_eq!((c.median, c.mad, c.frames), (2.0, 1.0, 3));
        assert!((standardise(2.0 + 1.4826, &c) - 1.0).abs() < 1e-12);
    }
}
