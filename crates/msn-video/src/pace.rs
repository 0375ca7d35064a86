//! How evenly a file's frames follow each other.

use camino::Utf8Path;

use crate::VideoError;

/// Steps that differ from the median by more than this share of it are uneven.
const TOLERANCE: f64 = 0.5;
/// Share of uneven steps from which on a file has a variable rate: a few lost packets are none.
const VARIABLE: f64 = 0.02;
/// Rates that differ by less are one: 29.97 and 30 Hz are.
const SAME_RATE: f64 = 0.02;

/// Times between a file's frames, as its packets tell them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Median time between two frames, seconds.
    pub step_seconds: f64,
    /// Share of the steps that differ from the median by over half of it, 0..=1.
    pub uneven: f64,
}

impl Pace {
    /// The pace of frames at these times, in any order; `None` for fewer than three frames.
    pub fn of(mut seconds: Vec<f64>) -> Option<Self> {
        seconds.retain(|t| t.is_finite());
        seconds.sort_by(f64::total_cmp);
        let steps: Vec<f64> = seconds
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .filter(|step| *step > 0.0)
            .collect();
        if steps.len() < 2 {
            return None;
        }
        let mut sorted = steps.clone();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        let odd = steps
            .iter()
            .filter(|step| (*step - median).abs() > TOLERANCE * median)
            .count();
        let share = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        Some(Self {
            step_seconds: median,
            uneven: share(odd) / share(steps.len()),
        })
    }

    /// Whether more than a few steps are uneven.
    pub fn is_variable(&self) -> bool {
        self.uneven > VARIABLE
    }

    /// The rate at which the frames have to be resampled for a fixed step: `wanted_hz`, or that of
    /// the median step where none is wanted. `None` where they already have that step to 2 %.
    pub fn resample_hz(&self, wanted_hz: Option<f64>) -> Option<f64> {
        let own = 1.0 / self.step_seconds;
        let wanted = wanted_hz.unwrap_or(own);
        (self.is_variable() || (wanted / own - 1.0).abs() > SAME_RATE).then_some(wanted)
    }
}

/// The pace of a video file: its packets are read, nothing is decoded. `None` for folders, for
/// streams without timestamps and for fewer than three frames.
///
/// # Errors
/// [`VideoError`] for a file that can't be opened.
pub fn pace(path: &Utf8Path) -> Result<Option<Pace>, VideoError> {
    if path.is_dir() {
        return Ok(None);
    }
    #[cfg(feature = "ffmpeg")]
    {
        Ok(Pace::of(crate::file::packet_seconds(path)?))
    }
    #[cfg(not(feature = "ffmpeg"))]
    {
        Err(VideoError::WithoutFfmpeg {
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_few_gaps_are_no_variable_rate() {
        let mut even: Vec<f64> = (0..200).map(|i| f64::from(i) * 0.04).collect();
        assert_eq!(Pace::of(even.clone()).unwrap().resample_hz(None), None);
        even.drain(50..53);
        let pace = Pace::of(even).unwrap();
        assert!(!pace.is_variable() && pace.uneven > 0.0);
        assert_eq!(pace.resample_hz(Some(25.2)), None);
        assert_eq!(pace.resample_hz(Some(10.0)), Some(10.0));
        let variable: Vec<f64> = (0..90)
            .map(|i| f64::from(i) * 0.04 + if i % 3 == 0 { 0.03 } else { 0.0 })
            .collect();
        assert!(Pace::of(variable).unwrap().is_variable());
        assert_eq!(Pace::of(vec![0.0, 1.0]), None);
        assert_eq!(Pace::of(vec![f64::NAN; 9]), None);
    }

    proptest! {
        #[test]
        fn order_and_rounding_change_nothing(hz in 1.0..120.0f64, n in 10..80u32, seed in any::<u64>()) {
            let mut times: Vec<f64> = (0..n).map(|i| (f64::from(i) / hz * 1000.0).round() / 1000.0).collect();
            let pace = Pace::of(times.clone()).unwrap();
            prop_assert!(!pace.is_variable());
            let at = usize::try_from(seed % u64::from(n)).unwrap();
            times.rotate_left(at);
            prop_assert_eq!(Pace::of(times), Some(pace));
        }
    }
}
