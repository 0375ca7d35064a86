//! Plain twins of detection and calibration, written from the rules: slow, and what tests compare
//! with. Inputs are taken as checked.

use crate::{FrameRange, Rules, ScoreSequence, Smoothing};

/// Smoothed scores of one run, each from the scores before it anew.
pub fn smoothed(scores: &[f64], smoothing: Smoothing) -> Vec<f64> {
    let at = |i: usize| match smoothing {
        Smoothing::None => scores[i],
        Smoothing::Mean(frames) => {
            let window = &scores[(i + 1).saturating_sub(frames)..=i];
            window.iter().sum::<f64>() / window.len() as f64
        }
        Smoothing::HalfLife(frames) => {
            let keep = 0.5_f64.powf(1.0 / frames);
            scores[1..=i]
                .iter()
                .fold(scores[0], |mean, s| keep * mean + (1.0 - keep) * s)
        }
    };
    (0..scores.len()).map(at).collect()
}

/// First and last frames of the events of a video: mark active frames, fill short gaps between
/// them, drop what is too short, each in a pass of its own.
pub fn events(sequence: &ScoreSequence, rules: &Rules, threshold: f64) -> Vec<FrameRange> {
    let mut out = Vec::new();
    for run in &sequence.runs {
        let scores = smoothed(&run.scores, rules.smoothing);
        let mut active = vec![false; scores.len()];
        for i in 0..scores.len() {
            let goes_on = i > 0 && active[i - 1] && scores[i] + rules.hysteresis > threshold;
            active[i] = scores[i] > threshold || goes_on;
        }
        let mut filled = active.clone();
        for i in 0..active.len() {
            let before = active[..i].iter().rposition(|&a| a);
            let after = active[i..].iter().position(|&a| a).map(|ahead| i + ahead);
            if let (Some(before), Some(after)) = (before, after) {
                filled[i] |= after - before - 1 <= rules.merge_gap;
            }
        }
        let spans = FrameRange::of_labels(&filled).into_iter();
        out.extend(
            spans
                .filter(|span| span.end - span.start >= rules.min_frames)
                .map(|span| FrameRange {
                    start: run.first_frame + span.start,
                    end: run.first_frame + span.end,
                }),
        );
    }
    out
}
