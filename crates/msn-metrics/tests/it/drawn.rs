//! What laws are tried on.

use msn_metrics::ScoredVideo;
use msn_metrics::regions::{Detection, Region, RegionVideo, Track};
use proptest::collection::vec;
use proptest::prelude::*;

/// Up to five videos of up to thirty frames; half the time scores from a few values, so that many
/// are tied.
pub fn videos() -> impl Strategy<Value = Vec<ScoredVideo>> {
    let tied = (-3..4_i32).prop_map(|k| f64::from(k) / 2.0);
    let score = prop_oneof![tied.boxed(), (-100.0..100.0_f64).boxed()];
    let share = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64];
    let video = (vec(score, 0..30), share).prop_flat_map(|(scores, share)| {
        (
            vec(proptest::bool::weighted(share), scores.len()),
            Just(scores),
        )
    });
    vec(video, 1..6).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(i, (labels, scores))| named(i, labels, scores))
            .collect()
    })
}

pub fn named(i: usize, labels: Vec<bool>, scores: Vec<f64>) -> ScoredVideo {
    ScoredVideo {
        name: format!("{i:02}"),
        labels,
        scores,
    }
}

pub fn video(labels: &[u8], scores: &[f64]) -> ScoredVideo {
    named(0, labels.iter().map(|&l| l == 1).collect(), scores.to_vec())
}

pub fn region(frame: usize, x1: i32, y1: i32, x2: i32, y2: i32) -> Region {
    Region {
        frame,
        x1,
        y1,
        x2,
        y2,
    }
}

fn regions(frames: usize) -> impl Strategy<Value = Region> {
    (0..frames, 0..12_i32, 0..12_i32, 0..8_i32, 0..8_i32)
        .prop_map(|(frame, x, y, w, h)| region(frame, x, y, x + w, y + h))
}

/// Up to three videos with boxes crowded into a small picture, many scores tied.
pub fn region_videos() -> impl Strategy<Value = Vec<RegionVideo>> {
    let video = (1..6_usize).prop_flat_map(|frames| {
        let track = vec(regions(frames), 1..25).prop_map(|regions| Track { regions });
        let score = prop_oneof![
            (0..5_i32).prop_map(f64::from).boxed(),
            (0.0..5.0_f64).boxed()
        ];
        let detection =
            (regions(frames), score).prop_map(|(region, score)| Detection { region, score });
        (Just(frames), vec(track, 0..4), vec(detection, 0..25))
    });
    vec(video, 1..4).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(i, (frames, tracks, detections))| RegionVideo {
                name: i.to_string(),
                frames,
                tracks,
                detections,
            })
            .collect()
    })
}
