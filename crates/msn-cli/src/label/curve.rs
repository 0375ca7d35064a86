//! The score curve of a video, and its peaks.

use std::collections::HashMap;

use anyhow::Result;
use camino::Utf8Path;
use msn_data::is_same_video;
use msn_metrics::TableScores;
use serde::Serialize;

use super::film::{FilmInfo, Unit};
use crate::metrics;

/// Most points of a curve: a phone's screen has fewer columns.
const POINTS: usize = 1000;
/// Most peaks to jump to.
const PEAKS: usize = 20;

/// What the page draws.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    /// Position and largest score of equal parts of the video.
    pub points: Vec<(f64, f64)>,
    /// Positions of peaks, in order.
    pub peaks: Vec<f64>,
}

/// The scores of a data set's test videos, by name.
pub(super) struct Scores(HashMap<String, TableScores>);

impl Scores {
    /// Scores as `msn score` and `msn eval` write them, or any that `msn metrics` reads.
    pub fn read(path: &Utf8Path, column: Option<&str>) -> Result<Self> {
        let videos = metrics::read_scores(path, column)?.into_iter();
        Ok(Self(videos.map(|v| (v.name.clone(), v)).collect()))
    }

    /// Whether there is one of these videos.
    pub fn fit<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names.into_iter().any(|name| self.of(name).is_some())
    }

    fn of(&self, name: &str) -> Option<&TableScores> {
        let same = || self.0.values().find(|v| is_same_video(&v.name, name));
        self.0.get(name).or_else(same)
    }

    /// The curve of a video; `None` where it has no scores, or none that can be placed in it.
    pub fn curve(&self, name: &str, film: &FilmInfo) -> Option<Curve> {
        let scores = self.of(name)?;
        let placed = scores
            .frames
            .iter()
            .zip(&scores.seconds)
            .zip(&scores.scores);
        let placed = placed.filter_map(|((&frame, &seconds), &score)| {
            let at = match film.unit {
                Unit::Seconds => seconds?,
                Unit::Frames => frame as f64,
            };
            Some((at, score))
        });
        let placed: Vec<(f64, f64)> = placed.collect();
        let end = placed.last()?.0.max(film.length);
        let part = (end / POINTS as f64).max(film.step);
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut number = f64::NEG_INFINITY;
        for (at, score) in placed {
            let of = (at / part).floor();
            match points.last_mut() {
                Some(highest) if of <= number => {
                    if score > highest.1 {
                        *highest = (at, score);
                    }
                }
                _ => {
                    number = of;
                    points.push((at, score));
                }
            }
        }
        let apart: f64 = match film.unit {
            Unit::Seconds => 2.0,
            Unit::Frames => 20.0,
        };
        let peaks = peaks(&points, apart.max(end / 100.0));
        Some(Curve { points, peaks })
    }
}

/// The highest places of a curve, so far apart, no lower than halfway from its median to its top; in
/// order of position.
fn peaks(points: &[(f64, f64)], apart: f64) -> Vec<f64> {
    let mut by_score: Vec<&(f64, f64)> = points.iter().collect();
    by_score.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (Some(top), Some(median)) = (by_score.first(), by_score.get(by_score.len() / 2)) else {
        return Vec::new();
    };
    let lowest = f64::midpoint(top.1, median.1);
    let mut found: Vec<f64> = Vec::new();
    if top.1 > median.1 {
        for (at, score) in by_score {
            if *score < lowest || found.len() == PEAKS {
                break;
            }
            if found.iter().all(|other| (at - other).abs() >= apart) {
                found.push(*at);
            }
        }
    }
    found.sort_by(f64::total_cmp);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour at ten frames a second with bumps at some seconds.
    fn scores(bumps: &[f64]) -> Scores {
        let seconds: Vec<f64> = (0..36_000).map(|i| f64::from(i) / 10.0).collect();
        let score = |t: &f64| {
            let near = bumps
                .iter()
                .map(|b| (b - t).abs())
                .fold(f64::INFINITY, f64::min);
            (t * 7.0).sin() * 0.1 + (3.0 - near).max(0.0)
        };
        let video = TableScores {
            name: "a.mp4".to_owned(),
            frames: (0..36_000).collect(),
            scores: seconds.iter().map(score).collect(),
            seconds: seconds.into_iter().map(Some).collect(),
            labels: None,
        };
        Scores([(video.name.clone(), video)].into())
    }

    #[test]
    fn a_long_curve_is_short_and_has_its_peaks() {
        let film = FilmInfo {
            unit: Unit::Seconds,
            length: 3600.0,
            step: 0.1,
            rate_hz: 10.0,
            width: 4,
            height: 4,
        };
        let curve = scores(&[100.0, 700.0, 3500.0])
            .curve("a.mp4", &film)
            .unwrap();
        assert!(curve.points.len() <= POINTS + 1, "{}", curve.points.len());
        assert_eq!(curve.peaks.len(), 3, "{:?}", curve.peaks);
        for (peak, wanted) in curve.peaks.iter().zip([100.0, 700.0, 3500.0]) {
            assert!((peak - wanted).abs() < 0.3, "{peak}");
        }
        assert!(scores(&[]).curve("b.mp4", &film).is_none());
        let flat = [(0.0, 1.0), (1.0, 1.0)];
        assert!(peaks(&flat, 1.0).is_empty());
    }
}
