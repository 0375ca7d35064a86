//! The fair score: prediction errors in a causal tube, beside those of normal windows with as much
//! texture, standardised by held-out normal frames.

use std::collections::VecDeque;

use msn_model::{
    Calibration, ErrorRange, FrameMaps, Map, Map64, Measure, TextureClass, UsualErrors,
};

use crate::EvalError;

/// Added to errors before the logarithm: noise of about one grey level.
fn floor(measure: Measure) -> f64 {
    match measure {
        Measure::Square => 2e-5,
        Measure::Detail => 4e-3,
    }
}

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

/// Settings of the fair score.
#[derive(Clone, Debug, PartialEq)]
pub struct Fair {
    /// Side of the square window, pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// What of the prediction's error counts.
    pub measure: Measure,
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
            measure: Measure::Detail,
            usual: None,
        }
    }

    /// How far a window's mean error lies above what is high for windows of its texture, and
    /// above what is high for any, in units of the distance between typical and high. NaN stays NaN.
    pub(crate) fn excess(&self, error: f64, texture: f64) -> f64 {
        let Some(usual) = &self.usual else {
            return if error < 1e-10 {
                1e-10f64.ln()
            } else {
                error.ln()
            };
        };
        let log = (error + floor(self.measure)).ln();
        let over =
            |range: ErrorRange| (log - range.high) / (range.high - range.typical).max(LEAST_SPREAD);
        let like = at_texture(&usual.by_texture, log_texture(texture)).unwrap_or(usual.overall);
        over(like) + OVERALL_WEIGHT * over(usual.overall)
    }
}

impl From<&Calibration> for Fair {
    fn from(c: &Calibration) -> Self {
        Self {
            window: c.window,
            window_stride: c.window_stride,
            history: c.history,
            measure: c.measure,
            usual: c.usual.clone(),
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

fn log_texture(texture: f64) -> f64 {
    (texture + TEXTURE_FLOOR).ln()
}

/// Window means of the latest frames since the last gap.
#[derive(Clone, Debug)]
pub(crate) struct Tube {
    fair: Fair,
    error: Means,
    texture: Means,
}

impl Tube {
    pub fn new(fair: Fair) -> Self {
        Self {
            fair,
            error: Means::default(),
            texture: Means::default(),
        }
    }

    /// A gap in time: what came before counts no more.
    pub fn clear(&mut self) {
        self.error.latest.clear();
        self.texture.latest.clear();
    }

    /// Each window's error and texture, means over the up to `history` latest frames, this one
    /// included.
    pub fn push(&mut self, maps: &FrameMaps) -> Windows {
        let error = match self.fair.measure {
            Measure::Square => &maps.error,
            Measure::Detail => &maps.detail,
        };
        Windows {
            error: self.error.push(&self.fair, error),
            texture: self.texture.push(&self.fair, &maps.texture),
        }
    }
}

/// Window means of a frame's causal tube.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Windows {
    pub error: Map64,
    pub texture: Map64,
}

impl Windows {
    /// Each window's error and texture.
    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> {
        let textures = self.texture.values.iter().copied();
        self.error.values.iter().copied().zip(textures)
    }

    /// Each window's excess over the usual error.
    pub fn excess(&self, fair: &Fair) -> Map64 {
        Map64 {
            values: self.pairs().map(|(e, t)| fair.excess(e, t)).collect(),
            ..self.error
        }
    }
}

/// A running mean of maps of windows.
#[derive(Clone, Debug, Default)]
struct Means {
    latest: VecDeque<Map64>,
}

impl Means {
    fn push(&mut self, fair: &Fair, map: &Map) -> Map64 {
        if self.latest.len() == fair.history.max(1) {
            self.latest.pop_front();
        }
        let newest = map.windows(fair.window, fair.window_stride);
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

/// Collects windows of normal frames and says what errors are usual.
#[derive(Clone, Debug)]
pub(crate) struct Normal {
    /// Added to errors.
    floor: f64,
    /// Log texture and log error of each window.
    windows: Vec<(f32, f32)>,
}

impl Normal {
    pub fn new(measure: Measure) -> Self {
        Self {
            floor: floor(measure),
            windows: Vec::new(),
        }
    }

    pub fn push(&mut self, windows: &Windows) {
        #[expect(clippy::cast_possible_truncation, reason = "statistics of many")]
        let pair = |(e, t): (f64, f64)| (log_texture(t) as f32, (e + self.floor).ln() as f32);
        self.windows.extend(windows.pairs().map(pair));
    }

    /// Typical and high errors; `None` without a window.
    pub fn usual(mut self) -> Option<UsualErrors> {
        self.windows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let range = |class: &[(f32, f32)]| {
            let errors: Vec<f64> = class.iter().map(|w| f64::from(w.1)).collect();
            ErrorRange {
                typical: quantile(&errors, 0.5),
                high: quantile(&errors, 0.99),
            }
        };
        let class = |class: &[(f32, f32)]| TextureClass {
            texture: class.iter().map(|w| f64::from(w.0)).sum::<f64>() / count(class.len()),
            errors: range(class),
        };
        let (first, last) = self.windows.first().zip(self.windows.last())?;
        let (low, width) = (f64::from(first.0), f64::from(last.0 - first.0));
        let ends = (1..=CLASSES).map(|i| {
            let edge = low + width * count(i) / count(CLASSES);
            match i {
                CLASSES => self.windows.len(),
                _ => self.windows.partition_point(|w| f64::from(w.0) < edge),
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
        Some(UsualErrors {
            overall: range(&self.windows),
            by_texture: bounds
                .into_iter()
                .map(|b| class(&self.windows[b]))
                .collect(),
        })
    }
}

/// Standardised by a calibration: 0 is a median normal frame, 1 a robust standard deviation more.
pub fn standardise(excess: f64, calibration: &Calibration) -> f64 {
    (excess - calibration.median) / (1.4826 * calibration.mad)
}

/// Statistics of held-out normal frames: `frames` are their largest excesses, `windows` those of all
/// their windows.
pub(crate) fn calibrate(
    fair: Fair,
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
        measure: fair.measure,
        usual: fair.usual,
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

    fn fair(usual: Option<UsualErrors>) -> Fair {
        Fair {
            window: 2,
            window_stride: 1,
            history: 3,
            measure: Measure::Square,
            usual,
        }
    }

    fn range(typical: f64, high: f64) -> ErrorRange {
        ErrorRange { typical, high }
    }

    #[test]
    fn a_tube_averages_the_latest_frames_alone() {
        let mut tube = Tube::new(fair(None));
        let maps = |v: f32| FrameMaps {
            prediction: Vec::new(),
            error: map(v),
            detail: map(3.0 * v),
            texture: map(2.0 * v),
            distances: Vec::new(),
        };
        let push = |tube: &mut Tube, v: f32| {
            let windows = tube.push(&maps(v));
            (windows.error.largest(), windows.texture.largest())
        };
        let means = [1.0, 2.0, 3.0, 7.0].map(|v| push(&mut tube, v));
        assert_eq!(means, [(1.0, 2.0), (1.5, 3.0), (2.0, 4.0), (4.0, 8.0)]);
        tube.clear();
        assert_eq!(push(&mut tube, 5.0), (5.0, 10.0));
        let mut tube = Tube::new(Fair {
            measure: Measure::Detail,
            ..fair(None)
        });
        assert_eq!(tube.push(&maps(5.0)).error.largest(), 15.0);
    }

    #[test]
    fn an_error_is_held_against_what_is_usual_for_its_texture() {
        let [plain, rich] = [0.0, 0.1].map(log_texture);
        let class = |texture, errors| TextureClass { texture, errors };
        let fair = fair(Some(UsualErrors {
            overall: range(-8.0, -4.0),
            by_texture: vec![
                class(plain, range(-9.0, -8.0)),
                class(rich, range(-6.0, -4.0)),
            ],
        }));
        let error = |log: f64| log.exp() - floor(Measure::Square);
        // Beyond the ends the curve is flat.
        for (log, texture, like, overall) in [
            (-8.0, 0.0, 0.0, -1.0),
            (-7.0, 0.0, 1.0, -0.75),
            (-4.0, 0.1, 0.0, 0.0),
            (-2.0, 0.1, 1.0, 0.5),
            (-2.0, 0.4, 1.0, 0.5),
            // Halfway between the two classes both ranges are the mean of theirs.
            (
                -4.5,
                ((plain + rich) / 2.0).exp() - TEXTURE_FLOOR,
                1.0,
                -0.125,
            ),
        ] {
            let got = fair.excess(error(log), texture);
            let want = like + OVERALL_WEIGHT * overall;
            assert!(
                (got - want).abs() < 1e-9,
                "{log} {texture}: {got}, not {want}"
            );
        }
        assert!(fair.excess(f64::NAN, 0.1).is_nan());
    }

    #[test]
    fn one_window_in_a_hundred_exceeds_what_is_high_in_every_class() {
        let mut normal = Normal::new(Measure::Square);
        // Errors grow with texture and spread by a factor of up to e.
        let mut noise = 12345u32;
        let mut jitter = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(noise >> 8) / f64::from(1 << 24)
        };
        for _ in 0..60_000 {
            let (texture, jitter) = (0.1 * jitter(), jitter());
            let error = 1e-3 * (texture + 0.01) * jitter.exp();
            let one = |value| Map64 {
                height: 1,
                width: 1,
                values: vec![value],
            };
            normal.push(&Windows {
                error: one(error),
                texture: one(texture),
            });
        }
        let pairs = normal.windows.clone();
        let classes = normal.usual().unwrap().by_texture;
        assert!(classes.len() > CLASSES / 2);
        assert!(classes.is_sorted_by(|a, b| a.texture < b.texture));
        for part in pairs.chunks(10_000) {
            let above = part.iter().filter(|(texture, error)| {
                let high = at_texture(&classes, f64::from(*texture)).unwrap().high;
                f64::from(*error) > high
            });
            let share = count(above.count()) / 10_000.0;
            assert!((0.0005..0.015).contains(&share), "{share}");
        }
    }

    #[test]
    fn few_windows_make_one_class() {
        let windows = Windows {
            error: Map64 {
                height: 1,
                width: 3,
                values: vec![0.0, 0.1, 0.2],
            },
            texture: Map64 {
                height: 1,
                width: 3,
                values: vec![0.0, 0.1, 0.3],
            },
        };
        let mut normal = Normal::new(Measure::Square);
        assert!(normal.clone().usual().is_none());
        normal.push(&windows);
        assert_eq!(normal.usual().unwrap().by_texture.len(), 1);
    }

    #[test]
    fn quantiles_are_numpys() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
        assert!((quantile(&[0.0, 10.0], 0.995) - 9.95).abs() < 1e-12);
    }

    #[test]
    fn calibration_needs_spread() {
        assert!(matches!(
            calibrate(fair(None), &[], &[]),
            Err(EvalError::NothingHeldOut)
        ));
        assert!(matches!(
            calibrate(fair(None), &[1.0; 9], &[1.0; 9]),
            Err(EvalError::NoSpread { .. })
        ));
        let c = calibrate(fair(None), &[1.0, 2.0, 3.0], &[1.0, 3.0]).unwrap();
        assert_eq!((c.median, c.mad, c.frames), (2.0, 1.0, 3));
        assert!((standardise(2.0 + 1.4826, &c) - 1.0).abs() < 1e-12);
    }
}
