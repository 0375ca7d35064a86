//! What the errors of normal footage are: the baseline that a window's error is compared with.

use std::ops::Range;

use msn_metrics::stats::quantile;
use serde::{Deserialize, Serialize};

use super::fair::{Window, Windows, log_error, log_texture};

/// Classes of texture, equally wide in its logarithm.
pub(super) const CLASSES: usize = 24;
/// Windows that a class needs; thinner ones are joined with their neighbours.
const FEWEST_WINDOWS: usize = 400;
/// Quantile that counts as the upper end of normal errors.
const UPPER: f64 = 0.99;

/// Errors of the windows of normal frames, by texture and position.
///
/// Every error is the logarithm of a window's mean local contrast of the error plus a floor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// Log error by which windows of the lowest row exceed those of the middle one, those of the
    /// middle one those of the topmost, at like texture: perspective. Subtracted before the
    /// quantiles.
    pub slope: f64,
    /// Log error by which windows at the picture's edge, where objects come in unforeseen, exceed
    /// the others at like texture and row; at least 0. Subtracted before the quantiles.
    pub edge: f64,
    /// Of all windows.
    pub overall: ErrorQuantiles,
    /// Of windows of like texture, textures ascending; at least one class.
    pub by_texture: Vec<TextureClass>,
}

/// Windows of like texture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextureClass {
    /// Mean log texture of the windows.
    pub texture: f64,
    /// Their log errors.
    pub errors: ErrorQuantiles,
}

/// Quantiles of the log errors of many windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorQuantiles {
    /// Median.
    pub median: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Baseline {
    /// Log error by which windows of a row (-1 the topmost, 1 the lowest), at the picture's edge or
    /// not, exceed others of like texture.
    pub(super) fn position_offset(&self, row: f64, edge: bool) -> f64 {
        self.slope * row + if edge { self.edge } else { 0.0 }
    }
}

/// Quantiles at a log texture: linear between the classes around it, constant beyond the outermost;
/// `None` without a class.
pub(super) fn at_texture(classes: &[TextureClass], texture: f64) -> Option<ErrorQuantiles> {
    let (first, last) = classes.first().zip(classes.last())?;
    let after = classes.partition_point(|class| class.texture < texture);
    let (Some(before), Some(next)) = (after.checked_sub(1), classes.get(after)) else {
        return Some(if after == 0 { first } else { last }.errors);
    };
    let before = &classes[before];
    let share = (texture - before.texture) / (next.texture - before.texture);
    let mix = |a: f64, b: f64| a + (b - a) * share;
    Some(ErrorQuantiles {
        median: mix(before.errors.median, next.errors.median),
        p99: mix(before.errors.p99, next.errors.p99),
    })
}

/// Windows of normal frames, collected for a baseline; 16 bytes each.
#[derive(Clone, Debug, Default)]
pub(super) struct BaselineSamples {
    pub windows: Vec<Sample>,
}

/// One window of a normal frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Log texture.
    pub texture: f32,
    /// Log error.
    pub error: f32,
    /// As in [`Window`].
    pub row: f32,
    pub edge: bool,
}

impl BaselineSamples {
    pub fn push(&mut self, windows: &Windows) {
        let kept = |window: Window| Sample {
            texture: log_texture(window.texture) as f32,
            error: log_error(window.error) as f32,
            row: window.row as f32,
            edge: window.edge,
        };
        self.windows.extend(windows.all().map(kept));
    }

    /// Their baseline; `None` without a window.
    pub fn baseline(mut self) -> Option<Baseline> {
        self.windows.sort_by(|a, b| a.texture.total_cmp(&b.texture));
        let bounds = self.bounds()?;
        let mut baseline = Baseline::default();
        let over = self.over_texture(&self.classes(&bounds));
        baseline.slope = self.slope(&over);
        baseline.edge = self.edge(&over, baseline.slope);
        for window in &mut self.windows {
            let offset = baseline.position_offset(f64::from(window.row), window.edge);
            window.error -= offset as f32;
        }
        baseline.overall = quantiles(&self.windows);
        baseline.by_texture = self.classes(&bounds);
        Some(baseline)
    }

    /// Where classes of windows, sorted by texture, begin and end; `None` without a window.
    fn bounds(&self) -> Option<Vec<Range<usize>>> {
        let (first, last) = self.windows.first().zip(self.windows.last())?;
        let (low, width) = (
            f64::from(first.texture),
            f64::from(last.texture - first.texture),
        );
        let ends = (1..=CLASSES).map(|i| {
            let edge = low + width * i as f64 / CLASSES as f64;
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
        let class = |windows: &[Sample]| TextureClass {
            texture: windows.iter().map(|w| f64::from(w.texture)).sum::<f64>()
                / windows.len() as f64,
            errors: quantiles(windows),
        };
        let parts = bounds.iter().map(|b| &self.windows[b.clone()]);
        parts.map(class).collect()
    }

    /// Each window's log error less the 99th percentile of its texture anywhere.
    fn over_texture(&self, classes: &[TextureClass]) -> Vec<f64> {
        let over = |window: &Sample| {
            let like = at_texture(classes, f64::from(window.texture));
            f64::from(window.error) - like.map_or(0.0, |errors| errors.p99)
        };
        self.windows.iter().map(over).collect()
    }

    /// How much the 99th percentile of log errors grows from the middle row to the lowest: the
    /// straight line through that of each row.
    ///
    /// What is near moves over more pixels, so it is predicted worse. A line, not a value for each
    /// row: rows where few went in the calibration split must not make whoever goes there anomalous.
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
            .map(|(row, over)| f64::from(*row) * quantile(over, UPPER).unwrap_or(0.0));
        products.sum::<f64>() / squares
    }

    /// How far the 99th percentile at the picture's edge lies above that elsewhere, the slope
    /// subtracted; 0 where it does not.
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
        match quantile(&at_edge, UPPER).zip(quantile(&inside, UPPER)) {
            Some((at_edge, inside)) => (at_edge - inside).max(0.0),
            None => 0.0,
        }
    }
}

fn quantiles(windows: &[Sample]) -> ErrorQuantiles {
    let mut errors: Vec<f64> = windows.iter().map(|w| f64::from(w.error)).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let of = |q| msn_metrics::stats::quantile_of_sorted(&errors, q).unwrap_or(0.0);
    ErrorQuantiles {
        median: of(0.5),
        p99: of(UPPER),
    }
}
