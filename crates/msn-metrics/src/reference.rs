//! Plain twins of the fast metrics, written from their definitions: slow, and what tests compare
//! with.
//!
//! Each goes over all frames or boxes again for each threshold. Inputs are taken as checked.

use crate::ScoredVideo;
use crate::regions::{Detection, Region, RegionVideo};

/// AUC over all frames joined: the share of pairs of an anomalous and a normal frame in which the
/// anomalous one has the higher score, a tie counting half; `None` with one class only.
pub fn micro_auc(videos: &[ScoredVideo]) -> Option<f64> {
    let frames = joined(videos);
    let (mut won, mut pairs) = (0.0, 0.0);
    for &(_, high) in frames.iter().filter(|(anomalous, _)| *anomalous) {
        for &(_, low) in frames.iter().filter(|(anomalous, _)| !*anomalous) {
            pairs += 1.0;
            won += if high > low {
                1.0
            } else if high == low {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// Average precision over all frames joined; `None` without an anomalous frame.
pub fn average_precision(videos: &[ScoredVideo]) -> Option<f64> {
    let frames = joined(videos);
    let all = count(&frames, |_| true).0;
    let (mut area, mut recall) = (0.0, 0.0);
    for threshold in thresholds(frames.iter().map(|f| f.1)) {
        let (hits, alarms) = count(&frames, |score| score >= threshold);
        let now = hits / all;
        area += (now - recall) * hits / (hits + alarms);
        recall = now;
    }
    (all > 0.0).then_some(area)
}

/// Equal error rate over all frames joined; `None` with one class only.
pub fn equal_error_rate(videos: &[ScoredVideo]) -> Option<f64> {
    let frames = joined(videos);
    let (p, n) = count(&frames, |_| true);
    if p == 0.0 || n == 0.0 {
        return None;
    }
    let mut before = (0.0, 1.0);
    for threshold in thresholds(frames.iter().map(|f| f.1)) {
        let (hits, alarms) = count(&frames, |score| score >= threshold);
        let (fpr, fnr) = (alarms / n, (p - hits) / p);
        if fpr >= fnr {
            // Bisect the straight line for the place where the two rates meet.
            let at = |t: f64| {
                (
                    before.0 + t * (fpr - before.0),
                    before.1 + t * (fnr - before.1),
                )
            };
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..100 {
                let middle = (low + high) / 2.0;
                let (x, y) = at(middle);
                if x < y {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            return Some(at(high).0);
        }
        before = (fpr, fnr);
    }
    None
}

/// RBDC and TBDC; `None` without a frame or a true box.
pub fn region_areas(videos: &[RegionVideo]) -> Option<(f64, f64)> {
    let frames: usize = videos.iter().map(|v| v.frames).sum();
    let tracks: Vec<(usize, &[Region])> = videos
        .iter()
        .enumerate()
        .flat_map(|(v, video)| video.tracks.iter().map(move |t| (v, t.regions.as_slice())))
        .collect();
    let boxes: usize = tracks.iter().map(|(_, regions)| regions.len()).sum();
    if frames == 0 || boxes == 0 {
        return None;
    }
    let detections: Vec<(usize, &Detection)> = videos
        .iter()
        .enumerate()
        .flat_map(|(v, video)| video.detections.iter().map(move |d| (v, d)))
        .collect();
    let overlaps = |video: usize, truth: &Region, (of, d): (usize, &Detection)| {
        video == of && truth.frame == d.region.frame && truth.iou(&d.region) >= 0.1
    };
    let mut box_curve = vec![(0.0, 0.0)];
    let mut track_curve = vec![(0.0, 0.0)];
    for threshold in thresholds(detections.iter().map(|(_, d)| d.score)) {
        let now: Vec<_> = detections
            .iter()
            .filter(|(_, d)| d.score >= threshold)
            .collect();
        let is_false = |d: &(usize, &Detection)| {
            !tracks
                .iter()
                .any(|(v, regions)| regions.iter().any(|r| overlaps(*v, r, *d)))
        };
        let rate = now.iter().filter(|d| is_false(d)).count() as f64 / frames as f64;
        let found = |(v, regions): &(usize, &[Region])| {
            regions
                .iter()
                .filter(|r| now.iter().any(|d| overlaps(*v, r, **d)))
                .count()
        };
        let found: Vec<usize> = tracks.iter().map(found).collect();
        let whole = tracks
            .iter()
            .zip(&found)
            .filter(|((_, r), n)| 10 * **n >= r.len())
            .count();
        box_curve.push((rate, found.iter().sum::<usize>() as f64 / boxes as f64));
        track_curve.push((rate, whole as f64 / tracks.len() as f64));
    }
    Some((area(box_curve), area(track_curve)))
}

fn area(mut points: Vec<(f64, f64)>) -> f64 {
    points.retain(|point| point.0 <= 1.0);
    let end = points.last().map_or(0.0, |point| point.1);
    points.push((1.0, end));
    points
        .windows(2)
        .map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0)
        .sum()
}

fn joined(videos: &[ScoredVideo]) -> Vec<(bool, f64)> {
    let frames = videos.iter().flat_map(|v| v.labels.iter().zip(&v.scores));
    frames.map(|(&label, &score)| (label, score)).collect()
}

/// Anomalous and normal frames whose scores `counts` picks.
fn count(frames: &[(bool, f64)], counts: impl Fn(f64) -> bool) -> (f64, f64) {
    let of = |class: bool| {
        frames
            .iter()
            .filter(|f| f.0 == class && counts(f.1))
            .count() as f64
    };
    (of(true), of(false))
}

fn thresholds(scores: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut all: Vec<f64> = scores.collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.dedup();
    all
}
