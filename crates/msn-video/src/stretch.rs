//! Pictures of more than 8 bits: which values become black and white, and how many levels are left.

use crate::VideoError;

/// Values that 16 bits can tell apart.
const WORDS: usize = 1 << 16;
/// So many levels of 256, or fewer, are few.
const FEW_LEVELS: usize = 64;
/// Share of values outside of a stretch that is worth a note.
const MUCH_OUTSIDE: f64 = 0.01;
/// Share of values at either end that a measured stretch passes over: pixels that are stuck.
const OUTLIERS: f64 = 0.001;
/// Share of what lies between that is added at either end, for what training did not show.
const MARGIN: f64 = 0.25;

/// The values that become black and white in pictures of more than 8 bits. Those between are spread
/// evenly over 0 to 255, those beyond are clipped. Pictures of 8 bits stay as they are.
///
/// A camera that uses a small part of 16 bits, as raw thermal ones do, keeps its levels by it. It
/// has to be the same for all footage of a camera: never one for each picture or video.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    low: f64,
    high: f64,
}

impl Stretch {
    /// From `low` (black) to `high` (white), in the values of the file.
    ///
    /// # Errors
    /// [`VideoError::BadStretch`] unless both are finite and `low` is below `high`.
    pub fn new(low: f64, high: f64) -> Result<Self, VideoError> {
        if low.is_finite() && high.is_finite() && low < high {
            Ok(Self { low, high })
        } else {
            Err(VideoError::BadStretch { low, high })
        }
    }

    /// The value that becomes black.
    pub const fn low(self) -> f64 {
        self.low
    }

    /// The value that becomes white.
    pub const fn high(self) -> f64 {
        self.high
    }

    /// The level of a value; the cast saturates.
    pub(crate) fn level(self, value: f64) -> u8 {
        ((value - self.low) / (self.high - self.low) * 255.0 + 0.5) as u8
    }

    fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

impl std::fmt::Display for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.low, self.high)
    }
}

/// Samples of more than 8 bits.
pub(crate) enum Samples {
    /// Whole numbers of 16 bits, less what is to be added to them: -32,768 for signed ones.
    Words { values: Vec<u16>, offset: i32 },
    /// Other numbers, and what is black and white where their kind says it.
    Numbers {
        values: Vec<f64>,
        range: Option<(f64, f64)>,
    },
}

/// Numbers without a range of their own that lie outside of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "its values ({low} to {high}) are numbers without a black and a white: train with stretch=auto, or with stretch=LOW..HIGH"
)]
pub(crate) struct Unbounded {
    low: f64,
    high: f64,
}

/// The values of more than 8 bits in a source's pictures, and what became of them.
#[derive(Clone, Debug)]
pub struct Levels {
    stretch: Option<Stretch>,
    /// How often each value of 16 bits occurs; empty before the first.
    words: Vec<u64>,
    /// What is added to an index of `words` for the value.
    offset: i32,
    /// Least and greatest of other numbers.
    numbers: Option<(f64, f64)>,
    outside: u64,
    total: u64,
    used: Vec<bool>,
    /// Pictures that no stretch is for.
    unstretched: bool,
}

impl Levels {
    pub(crate) fn new(stretch: Option<Stretch>) -> Self {
        Self {
            stretch,
            words: Vec::new(),
            offset: 0,
            numbers: None,
            outside: 0,
            total: 0,
            used: vec![false; 256],
            unstretched: false,
        }
    }

    /// Notes a picture that no stretch is for: of 8 bits, or of a video in colour.
    pub(crate) fn saw_unstretched(&mut self) {
        self.unstretched = true;
    }

    /// The levels of samples.
    pub(crate) fn convert(&mut self, samples: &Samples) -> Result<Vec<u8>, Unbounded> {
        match samples {
            Samples::Words { values, offset } => {
                let mut out = vec![0; values.len()];
                // Rounded, as 65,535 is white.
                let whole = |word: u16| u8::try_from((u32::from(word) + 128) / 257);
                self.words(values.iter().copied(), *offset, &mut out, |word| {
                    whole(word).unwrap_or(u8::MAX)
                });
                Ok(out)
            }
            Samples::Numbers { values, range } => self.numbers(values, *range),
        }
    }

    /// The levels of a row of words; `plain` gives them where nothing is stretched.
    pub(crate) fn words(
        &mut self,
        row: impl Iterator<Item = u16>,
        offset: i32,
        out: &mut [u8],
        plain: impl Fn(u16) -> u8,
    ) {
        if self.words.is_empty() {
            self.words = vec![0; WORDS];
            self.offset = offset;
        }
        for (word, out) in row.zip(out) {
            let value = f64::from(i32::from(word) + offset);
            *out = match self.stretch {
                Some(stretch) => stretch.level(value),
                None => plain(word),
            };
            self.outside += u64::from(self.stretch.is_some_and(|s| !s.holds(value)));
            self.used[usize::from(*out)] = true;
            self.words[usize::from(word)] += 1;
            self.total += 1;
        }
    }

    fn numbers(&mut self, values: &[f64], range: Option<(f64, f64)>) -> Result<Vec<u8>, Unbounded> {
        let finite = values.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        if low <= high {
            let known = self.numbers.unwrap_or((low, high));
            self.numbers = Some((known.0.min(low), known.1.max(high)));
        }
        let stretch = match (self.stretch, range) {
            (Some(stretch), _) => stretch,
            (None, Some((low, high))) => Stretch { low, high },
            (None, None) if low < 0.0 || high > 1.0 => return Err(Unbounded { low, high }),
            (None, None) => Stretch {
                low: 0.0,
                high: 1.0,
            },
        };
        let levels = values.iter().map(|&value| {
            let level = stretch.level(value);
            self.outside += u64::from(!stretch.holds(value));
            self.used[usize::from(level)] = true;
            level
        });
        let levels = levels.collect();
        self.total += u64::try_from(values.len()).unwrap_or(u64::MAX);
        Ok(levels)
    }

    /// Whether no value of more than 8 bits was met.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.numbers.is_none()
    }

    /// Takes in what another source of the same camera has.
    pub fn merge(&mut self, other: &Self) {
        if self.words.is_empty() {
            self.words.clone_from(&other.words);
            self.offset = other.offset;
        } else {
            for (word, &count) in other.words.iter().enumerate() {
                // Signed and unsigned pictures of one camera have the same values in other places.
                let at = i64::try_from(word).unwrap_or(0) + i64::from(other.offset - self.offset);
                if let Some(own) = usize::try_from(at)
                    .ok()
                    .and_then(|at| self.words.get_mut(at))
                {
                    *own += count;
                }
            }
        }
        self.numbers = match (self.numbers, other.numbers) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    /// The stretch for a camera with these values: all but a thousandth at either end, and a quarter
    /// of that width more on both sides. `None` where [`Levels::is_empty`].
    pub fn stretch(&self) -> Option<Stretch> {
        let (low, high) = self.bounds(OUTLIERS)?;
        // One value alone gets some width, too.
        let margin = ((high - low) * MARGIN).max(if self.words.is_empty() { 1e-3 } else { 4.0 });
        let (low, high) = (low - margin, high + margin);
        let stretch = match self.words.is_empty() {
            true => Stretch { low, high },
            false => {
                let least = f64::from(self.offset);
                Stretch {
                    low: low.floor().max(least),
                    high: high.ceil().min(least + 65_535.0),
                }
            }
        };
        (stretch.low < stretch.high).then_some(stretch)
    }

    /// The least and the greatest value, without `share` of them at either end.
    fn bounds(&self, share: f64) -> Option<(f64, f64)> {
        let total: u64 = self.words.iter().sum();
        if total == 0 {
            return self.numbers;
        }
        // Casts saturate.
        let passed = (total as f64 * share) as u64;
        let end = |words: &mut dyn Iterator<Item = (usize, u64)>| {
            let mut seen = 0;
            for (word, count) in words {
                seen += count;
                if seen > passed {
                    return Some(word);
                }
            }
            None
        };
        let words = || self.words.iter().copied().enumerate();
        let value = |word: usize| Some(f64::from(i32::try_from(word).ok()? + self.offset));
        Some((value(end(&mut words())?)?, value(end(&mut words().rev())?)?))
    }

    /// What is worth a note.
    pub(crate) fn note(&self) -> Option<String> {
        if self.is_empty() {
            let stretch = self.stretch.filter(|_| self.unstretched)?;
            return Some(format!(
                "stretch={stretch} is for grey pictures of more than 8 bits, which these are not"
            ));
        }
        let (low, high) = self.bounds(0.0)?;
        let left = self.used.iter().filter(|used| **used).count();
        let values = self.words.iter().filter(|count| **count > 0).count();
        let outside = self.outside as f64 / self.total.max(1) as f64;
        if let Some(stretch) = self.stretch
            && outside > MUCH_OUTSIDE
        {
            return Some(format!(
                "{:.0} % of the values lie outside of stretch={stretch} and become black or white: \
                 values are {low} to {high}",
                outside * 100.0
            ));
        }
        if left > FEW_LEVELS || !self.words.is_empty() && values < 2 * left {
            return None;
        }
        let values = match values {
            0 => String::new(),
            values => format!("{values} "),
        };
        let way_out = match self.stretch {
            None => "a training with stretch=auto keeps more".to_owned(),
            Some(stretch) => format!("stretch={stretch} is wide for them"),
        };
        Some(format!(
            "few levels are left, {left} of 256, of the {values}values of more than 8 bits ({low} to \
             {high}): {way_out}"
        ))
    }
}
