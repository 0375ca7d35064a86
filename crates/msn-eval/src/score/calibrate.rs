//! Measures the calibration of a network on normal footage.

use msn_data::{LoadedVideo, Segment};
use msn_events::ScoreSequence;
use msn_metrics::stats::{quantile, quantile_of_sorted};

use super::{
    alarm::{clock, threshold},
    baseline::{Baseline, BaselineSamples},
    calibration::Calibration,
    fair::{AnomalyScore, Tube, Windows},
    scorer::Scorer,
    stream::finite,
};
use crate::EvalError;

/// Frames, evenly chosen, whose windows make the baseline.
const BASELINE_FRAMES: usize = 1000;

/// The windows of a segment's scored frames.
struct SegmentWindows<'a> {
    video: &'a LoadedVideo,
    frames: Vec<usize>,
    windows: Vec<Windows>,
}

impl<'a> Scorer<'a> {
    /// Standardises the anomaly score on segments of normal videos that were not trained on: first
    /// the baseline of windows by texture and position, then how far frames' largest windows lie
    /// above it.
    ///
    /// The network runs once over the frames. In between, the windows of each are kept, 17 bytes a
    /// window: 14 kB a frame at the 29 x 29 windows of square frames, 1.3 GB for an hour at 25
    /// frames a second. Each is dropped when its excess, 8 bytes a window, is known.
    ///
    /// # Errors
    /// [`EvalError::NothingToCalibrate`], [`EvalError::NoSpread`], [`EvalError::NotFinite`], and what
    /// scoring may return.
    pub fn calibrate(
        &self,
        videos: &'a [LoadedVideo],
        segments: &[Segment],
    ) -> Result<Calibration, EvalError> {
        self.calibrate_watched(videos, segments, &mut |_, _| {})
    }

    /// [`Scorer::calibrate`], which reports the frames scored so far, and all.
    ///
    /// # Errors
    /// Those of [`Scorer::calibrate`].
    pub fn calibrate_watched(
        &self,
        videos: &'a [LoadedVideo],
        segments: &[Segment],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Calibration, EvalError> {
        let uncalibrated = Self {
            score: AnomalyScore {
                baseline: None,
                ..self.score.clone()
            },
            ..*self
        };
        let footage: usize = segments.iter().map(|segment| segment.frames.len()).sum();
        let every = footage.div_ceil(BASELINE_FRAMES).max(1);
        let (mut samples, mut scored) = (BaselineSamples::default(), 0);
        let mut kept = Vec::new();
        for segment in segments {
            let video = &videos[segment.video];
            let (mut frames, mut windows) = (Vec::new(), Vec::new());
            let runs = std::slice::from_ref(&segment.frames);
            uncalibrated.runs(video, runs, &mut |frame| {
                if scored % every == 0 {
                    samples.push(&frame.windows);
                }
                scored += 1;
                progress(scored, footage);
                frames.push(frame.score.frame);
                windows.push(frame.windows);
                Ok(())
            })?;
            kept.push(SegmentWindows {
                video,
                frames,
                windows,
            });
        }
        // Frames before the first clip's end have no score.
        progress(footage, footage);
        let baseline = samples.baseline().ok_or(EvalError::NothingToCalibrate)?;
        let score = AnomalyScore {
            baseline: Some(baseline.clone()),
            ..self.score.clone()
        };
        let (mut largest, mut all) = (Vec::new(), Vec::new());
        let mut sequences = Vec::new();
        for segment in kept {
            let mut tube = Tube::default();
            for (&frame, windows) in segment.frames.iter().zip(segment.windows) {
                let excess = tube.push(&score, &windows);
                finite(&segment.video.name, frame, "fair", excess.largest())?;
                largest.push(excess.largest());
                all.extend(tube.place(&score, &windows).values);
            }
            sequences.push((segment.video, segment.frames));
        }
        let mut calibration = standardised(&score, baseline, &largest, all)?;
        let mut scores = largest.iter().map(|&v| calibration.standardise(v));
        let mut timed = Vec::new();
        for (i, (video, frames)) in sequences.into_iter().enumerate() {
            let scores: Vec<f64> = scores.by_ref().take(frames.len()).collect();
            // Two segments may be of one video.
            let name = format!("{} ({i})", video.name);
            let sequence = ScoreSequence::from_frames(name, &frames, &scores, clock(video))?;
            timed.push(sequence);
        }
        calibration.alarm = threshold(&timed)?;
        Ok(calibration)
    }
}

/// A calibration by the largest excess of each frame and the maps of all frames.
pub(super) fn standardised(
    score: &AnomalyScore,
    baseline: Baseline,
    largest: &[f64],
    mut windows: Vec<f64>,
) -> Result<Calibration, EvalError> {
    let median = quantile(largest, 0.5).ok_or(EvalError::NothingToCalibrate)?;
    let spread: Vec<f64> = largest.iter().map(|f| (f - median).abs()).collect();
    let mad = quantile(&spread, 0.5).ok_or(EvalError::NothingToCalibrate)?;
    if mad.is_nan() || mad < 1e-9 {
        return Err(EvalError::NoSpread { mad });
    }
    let mut calibration = Calibration {
        window: score.window,
        window_stride: score.window_stride,
        history: score.history,
        baseline,
        median,
        mad,
        frames: largest.len(),
        map_threshold: 0.0,
        alarm: None,
    };
    windows.sort_unstable_by(f64::total_cmp);
    let upper = quantile_of_sorted(&windows, 0.995).unwrap_or(0.0);
    calibration.map_threshold = calibration.standardise(upper);
    Ok(calibration)
}
