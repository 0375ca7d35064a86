//! How evenly a file's frames follow each other.

use camino::Utf8Path;

use crate::VideoError;

/// Steps that differ from the median by more than this share of it are uneven.
const TOLERANCE: f64 = 0.5;
/// Share of uneven steps from which on a file has a variable rate: a few lost packets are none.
const VARIABLE: f64 = 0.02;
/// Rates that differ by less are one.
const SAME_RATE: f64 = 0.02;
/// A stated rate that differs by less is the measured one without its rounding.
const STATED_RATE: f64 = 0.002;
/// Between two frames of one take pass at most so many steps, or so many seconds.
const CUT_STEPS: f64 = 10.0;
const CUT_SECONDS: f64 = 1.0;
/// A clock that goes back by more steps begins again; by less, it is uneven.
const BACK_STEPS: f64 = 5.0;
/// Two times that are rounded to milliseconds are further apart, or nearer, by up to twice half of
/// one; here with room.
const ROUNDING: f64 = 2e-3;
/// The highest rate to which frames are brought.
pub(crate) const MAX_HZ: f64 = 1000.0;
/// Shorter steps, in milliseconds, are not to be told in whole ones.
const SHORT_STEP: f64 = 4.0;

/// Whether time is cut between two frames that follow each other, the median step being
/// `step_seconds`: over ten steps and over a second pass, or time goes back.
pub fn is_cut(before_seconds: f64, seconds: f64, step_seconds: f64) -> bool {
    seconds < before_seconds || is_longer(seconds - before_seconds, gap_seconds(step_seconds))
}

/// Whether two rates are one, to 2 %: 29.97 and 30 Hz are.
pub fn same_rate(own_hz: f64, wanted_hz: f64) -> bool {
    (wanted_hz / own_hz - 1.0).abs() <= SAME_RATE
}

/// The longest time between two frames of one take.
pub(crate) fn gap_seconds(step_seconds: f64) -> f64 {
    (CUT_STEPS * step_seconds).max(CUT_SECONDS)
}

/// Whether one time is longer than another by more than rounding.
pub(crate) fn is_longer(seconds: f64, most_seconds: f64) -> bool {
    seconds > most_seconds + ROUNDING
}

/// Whether a clock goes back so far between two frames that it begins again.
pub(crate) fn is_restart(before_seconds: f64, seconds: f64, step_seconds: f64) -> bool {
    seconds < before_seconds - (BACK_STEPS * step_seconds).min(CUT_SECONDS)
}

/// Whole milliseconds, halves up: what Matroska and flv store of a time.
pub(crate) fn milliseconds(seconds: f64) -> f64 {
    // A half may have lost its last bits.
    (seconds * 1e3 + 1e-4).round()
}

/// Times between a file's frames, as its packets have them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// The nominal time between two frames, seconds: the mean of the steps about the median, or of
    /// all where over half of them are far shorter than their mean.
    pub step_seconds: f64,
    /// Share of the steps that differ from the nominal one by over half of it, 0..=1.
    pub uneven: f64,
    /// The step of times in whole milliseconds, which is the same in every container.
    step_millis: f64,
}

/// Nominal step and share of uneven ones.
struct Steps {
    nominal: f64,
    uneven: f64,
}

impl Steps {
    /// Those of times about in order, `second` of which are a second; `None` for fewer than two.
    fn of(times: &[f64], second: f64) -> Option<Self> {
        let mut steps = Vec::new();
        let mut take: Vec<f64> = Vec::new();
        let mut end_take = |take: &mut Vec<f64>| {
            take.sort_by(f64::total_cmp);
            let pairs = take.windows(2).map(|pair| pair[1] - pair[0]);
            steps.extend(pairs.filter(|step| *step > 0.0));
            take.clear();
        };
        let mut latest = f64::NEG_INFINITY;
        for &time in times {
            // Packets are out of order by less.
            if time < latest - CUT_SECONDS * second {
                end_take(&mut take);
                latest = time;
            }
            latest = latest.max(time);
            take.push(time);
        }
        end_take(&mut take);
        if steps.len() < 2 {
            return None;
        }
        steps.sort_by(f64::total_cmp);
        let median = steps[steps.len() / 2];
        // Gaps are no steps.
        let gap = gap_seconds(median / second);
        let whole = steps.partition_point(|&step| !is_longer(step / second, gap));
        let mean = steps[..whole].iter().sum::<f64>() / whole.max(1) as f64;
        // Frames that come in bursts have a median that nothing moves at. Else the mean of what
        // lies about the median, since timestamps may be rounded to milliseconds.
        let nominal = if mean > 2.0 * median {
            mean
        } else {
            let first = steps.partition_point(|&step| step < (1.0 - TOLERANCE) * median);
            let last = steps.partition_point(|&step| step <= (1.0 + TOLERANCE) * median);
            steps[first..last].iter().sum::<f64>() / (last - first).max(1) as f64
        };
        let uneven = steps[..whole]
            .iter()
            .filter(|step| (*step - nominal).abs() > TOLERANCE * nominal)
            .count();
        Some(Self {
            nominal,
            uneven: uneven as f64 / whole.max(1) as f64,
        })
    }
}

impl Pace {
    /// The pace of frames at these times, about in order, as packets are; `None` for fewer than
    /// three frames. Where time goes back by over a second, another take begins.
    pub fn of(seconds: &[f64]) -> Option<Self> {
        let times: Vec<f64> = seconds.iter().copied().filter(|t| t.is_finite()).collect();
        let exact = Steps::of(&times, 1.0)?;
        let first = times[0];
        let rounded: Vec<f64> = times.iter().map(|t| milliseconds(t - first)).collect();
        // Not where whole milliseconds tell too little: frames so close that their times are one.
        let exact_millis = exact.nominal * 1e3;
        let rounded = Steps::of(&rounded, 1e3).filter(|steps| {
            steps.nominal >= SHORT_STEP
                && (steps.nominal - exact_millis).abs() <= 0.1 * exact_millis
        });
        Some(Self {
            step_seconds: exact.nominal,
            uneven: rounded.as_ref().map_or(exact.uneven, |steps| steps.uneven),
            step_millis: rounded.map_or(exact.nominal * 1e3, |steps| steps.nominal),
        })
    }

    /// The nominal step in milliseconds, of times in whole milliseconds.
    pub(crate) fn step_millis(&self) -> f64 {
        self.step_millis
    }

    /// Frames a second at the nominal step.
    pub fn rate_hz(&self) -> f64 {
        1.0 / self.step_seconds
    }

    /// Frames a second at the nominal step; as the container states them, where that is the same but
    /// for rounding (0.2 %).
    pub fn rate_near(&self, stated_hz: Option<f64>) -> f64 {
        let own = self.rate_hz();
        stated_hz
            .filter(|stated| (stated / own - 1.0).abs() <= STATED_RATE)
            .unwrap_or(own)
    }

    /// Whether more than a few steps are uneven.
    pub fn is_variable(&self) -> bool {
        self.uneven > VARIABLE
    }

    /// The rate at which the frames have to be resampled for a fixed step: `wanted_hz`, or that of
    /// the median step where none is wanted (at most 1000 Hz). `None` where they already have that
    /// step to 2 %.
    pub fn resample_hz(&self, wanted_hz: Option<f64>) -> Option<f64> {
        let own = self.rate_hz();
        let wanted = wanted_hz.unwrap_or(own);
        (self.is_variable() || !same_rate(own, wanted)).then_some(wanted.min(MAX_HZ))
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
        Ok(Pace::of(&crate::stream::packet_seconds(path)?))
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
        assert_eq!(Pace::of(&even).unwrap().resample_hz(None), None);
        even.drain(50..53);
        let pace = Pace::of(&even).unwrap();
        assert!(!pace.is_variable() && pace.uneven > 0.0);
        assert_eq!(pace.resample_hz(Some(25.2)), None);
        assert_eq!(pace.resample_hz(Some(10.0)), Some(10.0));
        let variable: Vec<f64> = (0..90)
            .map(|i| f64::from(i) * 0.04 + if i % 3 == 0 { 0.03 } else { 0.0 })
            .collect();
        assert!(Pace::of(&variable).unwrap().is_variable());
        assert_eq!(Pace::of(&[0.0, 1.0]), None);
        assert_eq!(Pace::of(&[f64::NAN; 9]), None);
        // Two takes one after the other, a gap of a minute, and both.
        let take = |from: f64| (0..100).map(move |i| from + f64::from(i) * 0.04);
        for two in [0.0, 64.0, -30.0, 3.98] {
            let pace = Pace::of(&take(0.0).chain(take(two)).collect::<Vec<_>>()).unwrap();
            assert!(!pace.is_variable(), "{two}");
            assert!((pace.rate_hz() - 25.0).abs() < 0.1, "{two}: {pace:?}");
        }
        // Bursts of three frames.
        let bursts: Vec<f64> = (0..90)
            .map(|i| f64::from(i / 3) * 0.12 + f64::from(i % 3) * 0.0002)
            .collect();
        let pace = Pace::of(&bursts).unwrap();
        assert!(
            pace.is_variable() && (20.0..30.0).contains(&pace.rate_hz()),
            "{pace:?}"
        );
    }

    proptest! {
        #[test]
        fn reordered_packets_and_rounding_change_nothing(hz in 1.0..120.0f64, n in 10..80u32) {
            let mut times: Vec<f64> = (0..n).map(|i| (f64::from(i) / hz * 1000.0).round() / 1000.0).collect();
            let pace = Pace::of(&times).unwrap();
            prop_assert!(!pace.is_variable());
            // As B-frames do.
            times.chunks_exact_mut(3).for_each(|three| three.rotate_left(1));
            if hz > 3.0 {
                prop_assert_eq!(Pace::of(&times), Some(pace));
            }
        }
    }
}
