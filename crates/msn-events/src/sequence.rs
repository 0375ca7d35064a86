use serde::{Deserialize, Serialize};

use crate::EventsError;

/// When the frames of a video are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Not known: seconds stay empty and metrics per hour undefined.
    #[default]
    Unknown,
    /// Frames a second, positive; frame 0 is at 0 s.
    Hz(f64),
    /// Seconds of every frame of the video, from frame 0, never falling.
    Seconds(Vec<f64>),
}

impl Clock {
    /// Seconds at which a frame is, if known.
    pub fn seconds(&self, frame: usize) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::Hz(hz) => Some(frame as f64 / hz),
            Self::Seconds(seconds) => seconds.get(frame).copied(),
        }
    }

    /// Seconds until the next frame; the last frame lasts as long as the one before it, and a
    /// single one not at all.
    pub fn duration(&self, frame: usize) -> Option<f64> {
        match self {
            Self::Unknown => None,
            Self::Hz(hz) => Some(1.0 / hz),
            Self::Seconds(seconds) => {
                let last = seconds.len().checked_sub(1)?;
                let from = match frame {
                    _ if frame > last => return None,
                    _ if frame == last => frame.saturating_sub(1),
                    _ => frame,
                };
                Some(seconds[(from + 1).min(last)] - seconds[from])
            }
        }
    }
}

/// Scored frames without a gap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoreRun {
    /// Frame of the first score, counted from 0 in the video.
    pub first_frame: usize,
    /// Finite scores of this and the following frames; higher is more anomalous.
    pub scores: Vec<f64>,
}

impl ScoreRun {
    /// Frame after the last.
    pub fn end(&self) -> usize {
        self.first_frame.saturating_add(self.scores.len())
    }
}

/// The scores of one video: runs of scored frames, and between them frames about which nothing is
/// known (the first of each unbroken run of pictures, damaged ones). Unknown is never anomalous:
/// no event reaches into or over a gap.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ScoreSequence {
    /// Name of the video.
    pub name: String,
    /// Runs in rising order, with at least one unknown frame between two.
    pub runs: Vec<ScoreRun>,
    /// When its frames are.
    pub clock: Clock,
}

impl ScoreSequence {
    /// Splits scores into runs wherever a frame is missing.
    ///
    /// # Errors
    /// [`EventsError::LengthMismatch`], and those of [`ScoreSequence::check`].
    pub fn from_frames(
        name: impl Into<String>,
        frames: &[usize],
        scores: &[f64],
        clock: Clock,
    ) -> Result<Self, EventsError> {
        let name = name.into();
        if frames.len() != scores.len() {
            return Err(EventsError::LengthMismatch {
                video: name,
                frames: frames.len(),
                scores: scores.len(),
            });
        }
        let mut runs: Vec<ScoreRun> = Vec::new();
        let mut before = None;
        for (&frame, &score) in frames.iter().zip(scores) {
            if let Some(before) = before.filter(|&before| frame <= before) {
                return Err(EventsError::Order {
                    video: name,
                    frame,
                    before,
                });
            }
            before = Some(frame);
            match runs.last_mut() {
                Some(run) if run.end() == frame => run.scores.push(score),
                _ => runs.push(ScoreRun {
                    first_frame: frame,
                    scores: vec![score],
                }),
            }
        }
        let sequence = Self { name, runs, clock };
        sequence.check()?;
        Ok(sequence)
    }

    /// Scores of the frames from 0 on, `None` where nothing is known.
    ///
    /// # Errors
    /// Those of [`ScoreSequence::check`].
    pub fn from_options(
        name: impl Into<String>,
        scores: &[Option<f64>],
        clock: Clock,
    ) -> Result<Self, EventsError> {
        let known = scores
            .iter()
            .enumerate()
            .filter_map(|(frame, s)| s.map(|s| (frame, s)));
        let (frames, scores): (Vec<usize>, Vec<f64>) = known.unzip();
        Self::from_frames(name, &frames, &scores, clock)
    }

    /// Refuses what no event can be found in; the functions of this crate call it.
    ///
    /// # Errors
    /// [`EventsError::NotFinite`] names the frame; [`EventsError::Order`] and
    /// [`EventsError::Adjoining`] for runs that overlap or have no gap between them;
    /// [`EventsError::Rate`], [`EventsError::Time`] and [`EventsError::MissingTime`] for clocks.
    pub fn check(&self) -> Result<(), EventsError> {
        let video = || self.name.clone();
        let mut before: Option<usize> = None;
        for run in &self.runs {
            if let Some(before) = before.filter(|&before| run.first_frame <= before) {
                return Err(EventsError::Order {
                    video: video(),
                    frame: run.first_frame,
                    before,
                });
            }
            if before.is_some_and(|before| run.first_frame == before + 1) {
                return Err(EventsError::Adjoining {
                    video: video(),
                    frame: run.first_frame,
                });
            }
            if let Some(i) = run.scores.iter().position(|score| !score.is_finite()) {
                let frame = run.first_frame + i;
                return Err(EventsError::NotFinite {
                    video: video(),
                    frame,
                    value: run.scores[i],
                });
            }
            if !run.scores.is_empty() {
                before = Some(run.end() - 1);
            }
        }
        match &self.clock {
            Clock::Unknown => Ok(()),
            Clock::Hz(hz) if hz.is_finite() && *hz > 0.0 => Ok(()),
            Clock::Hz(hz) => Err(EventsError::Rate {
                video: video(),
                hz: *hz,
            }),
            Clock::Seconds(seconds) => {
                for (frame, &time) in seconds.iter().enumerate() {
                    if !time.is_finite() || (frame > 0 && time < seconds[frame - 1]) {
                        return Err(EventsError::Time {
                            video: video(),
                            frame,
                            seconds: time,
                        });
                    }
                }
                match self.runs.iter().rev().find(|run| !run.scores.is_empty()) {
                    Some(run) if run.end() > seconds.len() => Err(EventsError::MissingTime {
                        video: video(),
                        times: seconds.len(),
                        frame: run.end() - 1,
                    }),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Number of scored frames.
    pub fn frames(&self) -> usize {
        self.runs.iter().map(|run| run.scores.len()).sum()
    }

    /// Hours of the scored frames that `counts` picks; `None` without a clock.
    pub fn hours(&self, counts: impl Fn(usize) -> bool) -> Option<f64> {
        let frames = || self.runs.iter().flat_map(|run| run.first_frame..run.end());
        match &self.clock {
            Clock::Unknown => None,
            // One division for the lot, so that whole hours come out whole.
            Clock::Hz(hz) => Some(frames().filter(|&f| counts(f)).count() as f64 / (3600.0 * hz)),
            Clock::Seconds(_) => {
                let seconds = frames()
                    .filter(|&f| counts(f))
                    .filter_map(|f| self.clock.duration(f));
                Some(seconds.sum::<f64>() / 3600.0)
            }
        }
    }
}

/// Anomalous frames of a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FrameRange {
    /// First frame, counted from 0.
    pub start: usize,
    /// Frame after the last.
    pub end: usize,
}

impl FrameRange {
    /// Whether a frame lies in it.
    pub fn contains(&self, frame: usize) -> bool {
        (self.start..self.end).contains(&frame)
    }

    /// The unbroken stretches of anomalous frames of a video, from a label for each frame.
    pub fn of_labels(labels: &[bool]) -> Vec<Self> {
        let mut spans: Vec<Self> = Vec::new();
        for (frame, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
            match spans.last_mut() {
                Some(span) if span.end == frame => span.end += 1,
                _ => spans.push(Self {
                    start: frame,
                    end: frame + 1,
                }),
            }
        }
        spans
    }
}
