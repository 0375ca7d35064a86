//! What laws are tried on.

use msn_events::{Clock, Rules, ScoreSequence, Smoothing};
use proptest::collection::vec;
use proptest::prelude::*;

/// Up to sixty frames, some unknown, half the time with scores from a few values.
pub fn scores() -> impl Strategy<Value = Vec<Option<f64>>> {
    let tied = (-2..5_i32).prop_map(f64::from);
    let score = prop_oneof![tied.boxed(), (-2.0..5.0_f64).boxed()];
    vec(proptest::option::weighted(0.9, score), 0..60)
}

pub fn sequence() -> impl Strategy<Value = ScoreSequence> {
    scores().prop_map(|scores| sequence_of("drawn", &scores))
}

pub fn sequence_of(name: &str, scores: &[Option<f64>]) -> ScoreSequence {
    ScoreSequence::from_options(name, scores, Clock::Hz(10.0)).unwrap()
}

/// A sequence of one run from frame 0.
pub fn known(scores: &[f64]) -> ScoreSequence {
    let scores: Vec<Option<f64>> = scores.iter().copied().map(Some).collect();
    sequence_of("known", &scores)
}

pub fn rules() -> impl Strategy<Value = Rules> {
    let smoothing = prop_oneof![
        Just(Smoothing::None),
        (1..8_usize).prop_map(Smoothing::Mean),
        (0.2..6.0_f64).prop_map(Smoothing::HalfLife),
    ];
    let hysteresis = prop_oneof![Just(0.0), Just(1.0), 0.0..3.0_f64];
    (smoothing, hysteresis, 1..8_usize, 0..8_usize).prop_map(
        |(smoothing, hysteresis, min_frames, merge_gap)| Rules {
            smoothing,
            hysteresis,
            min_frames,
            merge_gap,
        },
    )
}

/// No smoothing, hysteresis, least length or joining.
pub const BARE: Rules = Rules {
    smoothing: Smoothing::None,
    hysteresis: 0.0,
    min_frames: 1,
    merge_gap: 0,
};
