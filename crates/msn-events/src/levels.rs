//! How many events normal footage holds at each threshold, in one walk down.
//!
//! Whether a frame is active at a threshold t depends on one number, its level: it is active if
//! its smoothed score s is above t, or if the frame before it is active and s + hysteresis is
//! above t; so the level is max(s, min(level before, s + hysteresis)), and the frame is active
//! wherever t is under it. As t falls frames only ever become active, each once, and the number of
//! events changes at levels alone.

use std::collections::BTreeMap;

use crate::rules::Smoother;
use crate::{Rules, ScoreSequence};

/// Share of the smoothed scores that no threshold is ever under.
const FLOOR: f64 = 0.9;

/// A frame and the threshold under which it is active.
#[derive(Debug, Clone, Copy)]
struct Leveled {
    level: f64,
    run: usize,
    frame: usize,
}

/// A threshold, and whether the search ended there only because it goes no deeper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    pub(crate) threshold: f64,
    pub(crate) at_floor: bool,
}

/// Walks down the thresholds at which the number of events changes, once.
pub(crate) struct Levels {
    /// All frames, highest level first.
    frames: Vec<Leveled>,
    /// Frames that are active at the threshold looked at.
    active: usize,
    /// Threshold looked at last.
    threshold: f64,
    floor: f64,
    joined: Joined,
    /// `reached[k]`: the smallest threshold at and above which there are at most k events, as far
    /// as this has been decided.
    reached: Vec<f64>,
}

impl Levels {
    /// Smooths checked footage with at least one frame.
    pub(crate) fn new(footage: &[ScoreSequence], rules: &Rules) -> Self {
        let mut frames = Vec::new();
        let mut sorted = Vec::new();
        for (run, r) in footage
            .iter()
            .flat_map(|sequence| &sequence.runs)
            .enumerate()
        {
            let mut level = f64::NEG_INFINITY;
            for (frame, score) in Smoother::run(rules.smoothing, &r.scores)
                .into_iter()
                .enumerate()
            {
                level = score.max(level.min(score + rules.hysteresis));
                frames.push(Leveled { level, run, frame });
                sorted.push(score);
            }
        }
        debug_assert!(!sorted.is_empty());
        frames.sort_by(|a, b| b.level.total_cmp(&a.level));
        sorted.sort_unstable_by(f64::total_cmp);
        let floor = sorted[((sorted.len() - 1) as f64 * FLOOR).ceil() as usize];
        Self {
            threshold: frames[0].level,
            frames,
            active: 0,
            floor,
            joined: Joined::new(rules),
            reached: Vec::new(),
        }
    }

    /// The smallest threshold at and above which there are at most `events` events.
    pub(crate) fn smallest(&mut self, events: usize) -> Level {
        while self.reached.len() <= events && self.threshold > self.floor {
            let above = self.threshold;
            // The next level down; no frame is active between the two that is not at it.
            while let Some(frame) = self.frames.get(self.active).filter(|f| f.level >= above) {
                self.joined.add(frame.run, frame.frame);
                self.active += 1;
            }
            let next = self
                .frames
                .get(self.active)
                .map_or(self.floor, |frame| frame.level);
            self.threshold = next.max(self.floor);
            if self.joined.events > self.reached.len() {
                // More than ever before: the threshold above was the last for all smaller numbers.
                self.reached.resize(self.joined.events, above);
            }
        }
        match self.reached.get(events) {
            Some(&threshold) => Level {
                threshold,
                at_floor: false,
            },
            None => Level {
                threshold: self.threshold,
                at_floor: true,
            },
        }
    }

    /// Events at a threshold, and the frames in them.
    pub(crate) fn count(&self, rules: &Rules, threshold: f64) -> (usize, usize) {
        let mut joined = Joined::new(rules);
        for frame in self
            .frames
            .iter()
            .take_while(|frame| frame.level > threshold)
        {
            joined.add(frame.run, frame.frame);
        }
        (joined.events, joined.frames)
    }
}

/// Active frames joined over short gaps, whatever order they come in.
struct Joined {
    min_frames: usize,
    merge_gap: usize,
    /// Last frame of each joined stretch by run and first frame.
    stretches: BTreeMap<(usize, usize), usize>,
    /// Stretches that are long enough.
    events: usize,
    /// Frames in them.
    frames: usize,
}

impl Joined {
    fn new(rules: &Rules) -> Self {
        let Rules {
            min_frames,
            merge_gap,
            ..
        } = *rules;
        Self {
            min_frames,
            merge_gap,
            stretches: BTreeMap::new(),
            events: 0,
            frames: 0,
        }
    }

    fn add(&mut self, run: usize, frame: usize) {
        let (mut first, mut last) = (frame, frame);
        let left = self
            .stretches
            .range(..=(run, frame))
            .next_back()
            .map(|(&key, &end)| (key, end));
        if let Some(((of, start), end)) = left.filter(|((of, _), _)| *of == run) {
            if frame <= end {
                return;
            }
            if frame - end - 1 <= self.merge_gap {
                self.take(of, start, end);
                first = start;
            }
        }
        let right = self
            .stretches
            .range((run, frame)..)
            .next()
            .map(|(&key, &end)| (key, end));
        if let Some(((of, start), end)) = right.filter(|((of, _), _)| *of == run)
            && start - frame - 1 <= self.merge_gap
        {
            self.take(of, start, end);
            last = end;
        }
        self.stretches.insert((run, first), last);
        let length = last - first + 1;
        if length >= self.min_frames {
            self.events += 1;
            self.frames += length;
        }
    }

    fn take(&mut self, run: usize, first: usize, last: usize) {
        self.stretches.remove(&(run, first));
        let length = last - first + 1;
        if length >= self.min_frames {
            self.events -= 1;
            self.frames -= length;
        }
    }
}
