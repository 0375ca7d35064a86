//! The score that papers print, `legacy` among the protocols: each signal stretched over the whole
//! test video.

use msn_metrics::min_max;

use super::scorer::FrameScore;

/// Share of the prediction error in the legacy score, where there are pools.
pub const LAMBDA: f64 = 0.6;

/// `lambda norm(-psnr) + (1 - lambda) mean norm(distance)` of each frame of a video, in [0, 1]; norm
/// is min-max over the frames given. Without pools lambda is 1.
pub(crate) fn legacy_scores(scores: &[FrameScore]) -> Vec<f64> {
    let column =
        |f: &dyn Fn(&FrameScore) -> f64| min_max(&scores.iter().map(f).collect::<Vec<f64>>());
    let error = column(&|s| -s.psnr);
    let pools = scores.first().map_or(0, |s| s.distances.len());
    let distances: Vec<Vec<f64>> = (0..pools).map(|p| column(&|s| s.distances[p])).collect();
    let sum = |i: usize| distances.iter().map(|d| d[i]).sum::<f64>();
    let errors = error.iter().enumerate();
    errors.map(|(i, &e)| legacy(e, sum(i), pools)).collect()
}

/// The legacy score of a frame from its normalised error and the sum of its normalised distances.
pub(crate) fn legacy(error: f64, distances: f64, pools: usize) -> f64 {
    match pools {
        0 => error,
        _ => LAMBDA * error + (1.0 - LAMBDA) * (distances / pools as f64),
    }
}
