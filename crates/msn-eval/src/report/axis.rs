//! Axes: places in time and round ticks.

use crate::{VideoScores, clock_text};

/// The time axis of a video.
#[derive(Debug)]
pub(super) struct Axis {
    /// Frames and seconds of the scored frames; empty for an axis in frames.
    times: Vec<(f64, f64)>,
    /// Where the video starts, in `unit`.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// `seconds` or `frames`.
    pub unit: &'static str,
}

impl Axis {
    /// In seconds where all scored frames have rising times, else in frames.
    pub fn of(video: &VideoScores) -> Self {
        let scored = video.scores.last().map_or(0, |s| s.frame.saturating_add(1));
        let frames = video.frames.max(scored).max(1) as f64;
        let times: Option<Vec<(f64, f64)>> = video
            .scores
            .iter()
            .map(|s| s.seconds.map(|t| (s.frame as f64, t)))
            .collect();
        let rising =
            |t: &[(f64, f64)]| t[0].0 < t[1].0 && t[0].1 < t[1].1 && (t[1].1 - t[0].1).is_finite();
        let times = times.filter(|t| t.len() > 1 && t.windows(2).all(rising));
        match times {
            Some(times) => {
                let mut axis = Self {
                    times,
                    low: 0.0,
                    high: 0.0,
                    unit: "seconds",
                };
                (axis.low, axis.high) = (axis.value(0.0), axis.value(frames));
                axis
            }
            None => Self {
                times: Vec::new(),
                low: 0.0,
                high: frames,
                unit: "frames",
            },
        }
    }

    /// Where a frame starts, in `unit`: straight between scored frames and beyond them.
    fn value(&self, frame: f64) -> f64 {
        if self.times.len() < 2 {
            return frame;
        }
        let after = self
            .times
            .partition_point(|t| t.0 <= frame)
            .clamp(1, self.times.len() - 1);
        let ((f0, t0), (f1, t1)) = (self.times[after - 1], self.times[after]);
        t0 + (t1 - t0) * (frame - f0) / (f1 - f0)
    }

    /// Round places on it, at most `most` steps; minutes and hours from a minute on.
    pub fn ticks(&self, most: f64) -> Vec<Tick> {
        let Some(step) = self.clock_step(most) else {
            return ticks(self.low, self.high, most);
        };
        let first = (self.low / step - 1e-9).ceil();
        let values = (0..).map(|i| (first + f64::from(i)) * step);
        let tick = |value| Tick {
            value,
            text: clock_text(Some(value), 0),
        };
        let end = self.high + step * 1e-9;
        values.take_while(|value| *value <= end).map(tick).collect()
    }

    /// Seconds between two ticks that are read as a clock's time; none for short or no times.
    fn clock_step(&self, most: f64) -> Option<f64> {
        const STEPS: [f64; 16] = [
            10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0, 3600.0, 7200.0, 14400.0,
            43_200.0, 86_400.0, 172_800.0, 604_800.0,
        ];
        let range = self.high - self.low;
        let step = STEPS.into_iter().find(|step| range / step <= most);
        step.filter(|_| self.unit == "seconds" && range >= 60.0)
    }

    /// What the texts of [`ticks`](Self::ticks) are.
    pub fn tick_unit(&self, most: f64) -> &'static str {
        match self.clock_step(most) {
            Some(_) => "minutes and seconds",
            None => self.unit,
        }
    }

    /// Share of the width, 0 to 1, of a value in `unit`.
    pub fn share(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Share of the width at which a frame starts.
    pub fn place(&self, frame: usize) -> f64 {
        self.share(self.value(frame as f64))
    }
}

/// A place on an axis and what stands there.
#[derive(Debug, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub text: String,
}

/// Round values in `low..=high`, about as many as `most` steps and never more.
pub(crate) fn ticks(low: f64, high: f64, most: f64) -> Vec<Tick> {
    let range = high - low;
    if !(range.is_finite() && range > 0.0) {
        return Vec::new();
    }
    let tens = 10f64.powf((range / most).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * tens);
    let step = steps
        .into_iter()
        .find(|s| range / s <= most * (1.0 + 1e-9))
        .unwrap_or(10.0 * tens);
    let digits = (-step.log10().floor()).clamp(0.0, 9.0);
    let mut all = Vec::new();
    let mut n = (low / step - 1e-9).ceil();
    while n * step <= high + step * 1e-9 {
        // A zero without a sign.
        let value = n * step + 0.0;
        all.push(Tick {
            value,
            text: decimal(value, digits),
        });
        n += 1.0;
    }
    all
}

fn decimal(value: f64, digits: f64) -> String {
    let text = format!("{:.*}", digits as usize, value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if value < 0.0 { "−" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{}{point}{fraction}", grouped(whole))
}

/// `12,345`.
pub(super) fn number(n: usize) -> String {
    grouped(&n.to_string())
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, most: f64) -> Vec<String> {
        ticks(low, high, most).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(0.0, 1.0, 5.0),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(texts(0.0, 1.0, 1.0), ["0", "1"]);
        assert_eq!(texts(-3.2, 12.0, 4.0), ["0", "5", "10"]);
        assert_eq!(texts(-12.0, 3.0, 3.0), ["−10", "−5", "0"]);
        assert_eq!(texts(0.0, 12_000.0, 3.0), ["0", "5,000", "10,000"]);
        assert!(ticks(1.0, 1.0, 5.0).is_empty() && ticks(0.0, f64::NAN, 5.0).is_empty());
    }

    #[test]
    fn long_times_are_read_as_a_clock() {
        let axis = |high| Axis {
            times: Vec::new(),
            low: 0.0,
            high,
            unit: "seconds",
        };
        let texts = |high| -> Vec<String> {
            let ticks = axis(high).ticks(6.0);
            ticks.into_iter().map(|t| t.text).collect()
        };
        assert_eq!(texts(12.0), ["0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(texts(70.0), ["00:00", "00:15", "00:30", "00:45", "01:00"]);
        assert_eq!(
            texts(5400.0),
            ["00:00", "20:00", "40:00", "1:00:00", "1:20:00"]
        );
        // Longer than any step of a clock.
        assert!(texts(1e6).len() <= 7);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(number),
            ["0", "999", "1,000", "1,234,567"]
        );
    }
}
