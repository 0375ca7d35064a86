//! How many events normal footage holds at each threshold.

use crate::rules::Smoother;
use crate::{Rules, ScoreSequence};

/// Share of the smoothed scores that no threshold is ever under.
const FLOOR: f64 = 0.9;
/// Thresholds that share one list of the frames that matter to them.
const BLOCK: usize = 256;

/// A smoothed score and its place.
#[derive(Debug, Clone, Copy)]
struct Scored {
    run: usize,
    frame: usize,
    score: f64,
}

/// A threshold, and whether the search ended there only because it goes no deeper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) threshold: f64,
    pub(crate) at_floor: bool,
}

/// Walks down the thresholds at which the number of events can change, once.
///
/// As a function of the threshold the number is constant between two neighbours of the scores and
/// the scores plus the hysteresis, so looking at these alone misses nothing but rounding.
pub(crate) struct Levels {
    rules: Rules,
    /// All smoothed scores in order of run and frame.
    scored: Vec<Scored>,
    /// Falling thresholds, from the largest score down to the floor.
    candidates: Vec<f64>,
    /// Candidates looked at so far.
    looked: usize,
    /// Frames above the release of every candidate up to `listed_to`.
    listed: Vec<Scored>,
    listed_to: usize,
    /// `reached[k]`: the smallest threshold at and above which there are at most k events, as far
    /// as this has been decided.
    reached: Vec<f64>,
}

impl Levels {
    /// Smooths checked footage with at least one frame.
    pub(crate) fn new(held_out: &[ScoreSequence], rules: &Rules) -> Self {
        let runs = held_out.iter().flat_map(|sequence| &sequence.runs);
        let scored: Vec<Scored> = runs
            .enumerate()
            .flat_map(|(run, r)| {
                let smoothed = Smoother::run(rules.smoothing, &r.scores)
                    .into_iter()
                    .enumerate();
                smoothed.map(move |(frame, score)| Scored { run, frame, score })
            })
            .collect();
        let mut sorted: Vec<f64> = scored.iter().map(|s| s.score).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        debug_assert!(!sorted.is_empty());
        let floor = sorted[((sorted.len() - 1) as f64 * FLOOR).ceil() as usize];
        let top = sorted[sorted.len() - 1];
        let mut candidates: Vec<f64> = sorted
            .iter()
            .flat_map(|&score| [score, score + rules.hysteresis])
            .filter(|candidate| (floor..=top).contains(candidate))
            .collect();
        candidates.sort_unstable_by(|a, b| b.total_cmp(a));
        candidates.dedup();
        Self {
            rules: *rules,
            scored,
            candidates,
            looked: 0,
            listed: Vec::new(),
            listed_to: 0,
            reached: Vec::new(),
        }
    }

    /// The smallest threshold at and above which there are at most `events` events.
    pub(crate) fn smallest(&mut self, events: usize) -> Level {
        while self.reached.len() <= events && self.looked < self.candidates.len() {
            self.list();
            let found = count(&self.listed, &self.rules, self.candidates[self.looked]).0;
            if found > self.reached.len() {
                // More than ever before: the threshold before this one was the last for all
                // smaller numbers. There is one before, for nothing lies above the first.
                let before = self.candidates[self.looked.saturating_sub(1)];
                self.reached.resize(found, before);
            }
            self.looked += 1;
        }
        match self.reached.get(events) {
            Some(&threshold) => Level {
                threshold,
                at_floor: false,
            },
            None => Level {
                threshold: self.candidates[self.candidates.len() - 1],
                at_floor: true,
            },
        }
    }

    /// Events at a threshold, and the frames in them.
    pub(crate) fn count(&self, threshold: f64) -> (usize, usize) {
        count(&self.scored, &self.rules, threshold)
    }

    /// Lists the frames that matter to the candidate that is next.
    fn list(&mut self) {
        if self.looked < self.listed_to {
            return;
        }
        self.listed_to = (self.looked + BLOCK).min(self.candidates.len());
        let release = self.rules.release(self.candidates[self.listed_to - 1]);
        self.listed = self
            .scored
            .iter()
            .copied()
            .filter(|s| s.score > release)
            .collect();
    }
}

/// Events and the frames in them among frames in order, of which those not above the release may
/// be left out.
fn count(scored: &[Scored], rules: &Rules, threshold: f64) -> (usize, usize) {
    let release = rules.release(threshold);
    let (mut events, mut frames) = (0, 0);
    // Run, first frame and last frame of the open event.
    let mut open: Option<(usize, usize, usize)> = None;
    let mut close = |open: Option<(usize, usize, usize)>| {
        if let Some((_, first, last)) = open
            && last - first + 1 >= rules.min_frames
        {
            events += 1;
            frames += last - first + 1;
        }
    };
    for &Scored { run, frame, score } in scored {
        let held =
            open.is_some_and(|(of, _, last)| of == run && last + 1 == frame) && score > release;
        if !held && score <= threshold {
            continue;
        }
        open = match open {
            Some((of, first, last)) if of == run && frame - last - 1 <= rules.merge_gap => {
                Some((run, first, frame))
            }
            other => {
                close(other);
                Some((run, frame, frame))
            }
        };
    }
    close(open);
    (events, frames)
}
