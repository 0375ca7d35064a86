use crate::MetricsError;

/// Widths of a Gaussian beyond which a frame has no part in the mean.
const REACH: f64 = 4.0;

/// The range of some values, seen one by one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MinMax {
    low: f64,
    high: f64,
}

impl Default for MinMax {
    fn default() -> Self {
        Self {
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }
}

impl MinMax {
    /// Takes a finite value in.
    pub fn add(&mut self, value: f64) {
        self.low = self.low.min(value);
        self.high = self.high.max(value);
    }

    /// Maps the smallest value that was seen to 0 and the largest to 1; where all were equal, all to
    /// 0. A range beyond the largest f64 is handled without overflow.
    pub fn normalise(&self, value: f64) -> f64 {
        let Self { low, high } = *self;
        if high.partial_cmp(&low) != Some(std::cmp::Ordering::Greater) {
            return 0.0;
        }
        // Halving keeps the range finite where the plain difference would overflow.
        let scale = if (high - low).is_finite() { 1.0 } else { 0.5 };
        (value * scale - low * scale) / (high * scale - low * scale)
    }
}

/// Maps the smallest value to 0 and the largest to 1; a constant signal becomes 0 throughout.
///
/// Values must be finite. A range beyond the largest f64 is handled without overflow.
pub fn min_max(values: &[f64]) -> Vec<f64> {
    let mut range = MinMax::default();
    values.iter().for_each(|&v| range.add(v));
    values.iter().map(|&v| range.normalise(v)).collect()
}

/// Gaussian mean centred on each frame, `sigma` in frames.
///
/// The window reaches four sigma to either side and is renormalised at the borders: frames that
/// do not exist have no weight, so a constant stays constant. It looks ahead, so it is for the
/// legacy protocol only. `sigma` 0 changes nothing. Give it one unbroken run at a time.
///
/// # Errors
/// [`MetricsError::Sigma`] if `sigma` is negative, NaN or infinite.
pub fn smooth_gaussian(values: &[f64], sigma: f64) -> Result<Vec<f64>, MetricsError> {
    if !(sigma.is_finite() && sigma >= 0.0) {
        return Err(MetricsError::Sigma { sigma });
    }
    let Some(last) = values.len().checked_sub(1) else {
        return Ok(Vec::new());
    };
    // A float turned into an integer saturates, and no frame lies beyond the last.
    let reach = ((REACH * sigma).round() as usize).min(last);
    let weights: Vec<f64> = (0..=reach)
        .map(|d| {
            if d == 0 {
                1.0
            } else {
                (-0.5 * (d as f64 / sigma).powi(2)).exp()
            }
        })
        .collect();
    let smoothed = (0..=last).map(|i| {
        // Around the centre's value, so that a constant comes out bit-equal.
        let centre = values[i];
        let window = i.saturating_sub(reach)..=(i + reach).min(last);
        let (sum, total) = window.fold((0.0, 0.0), |(sum, total), j| {
            let weight = weights[i.abs_diff(j)];
            (sum + weight * (values[j] - centre), total + weight)
        });
        centre + sum / total
    });
    Ok(smoothed.collect())
}
