//! The scores of one test video by both protocols.

use msn_data::FrameLabels;
use msn_events::{Clock, Event};
use msn_metrics::ScoredVideo;

use crate::{
    Calibration, EvalError, FrameScore,
    score::{
        alarm::{detected, smoothed},
        legacy::legacy_scores,
    },
};

/// A test video's scores and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoScores {
    /// Name of the video, unique in its set.
    pub name: String,
    /// Frames of the video, scored or not.
    pub frames: usize,
    /// Its scored frames, in order.
    pub scores: Vec<FrameScore>,
    /// `lambda norm(-psnr) + (1 - lambda) mean norm(distance)` of each scored frame, in [0, 1].
    pub legacy: Vec<f64>,
    /// The standardised score of each scored frame; `None` without a calibration.
    pub fair: Option<Vec<f64>>,
    /// Smoothed anomaly score above which an alarm begins; `None` without a calibration.
    pub threshold: Option<f64>,
    /// Labels of all frames, where there are some.
    pub labels: Option<FrameLabels>,
    /// When the frames are.
    pub clock: Clock,
}

impl VideoScores {
    /// Adds both protocols' scores.
    pub fn new(
        name: &str,
        frames: usize,
        scores: Vec<FrameScore>,
        labels: Option<FrameLabels>,
        calibration: Option<&Calibration>,
    ) -> Self {
        let legacy = legacy_scores(&scores);
        let fair = calibration.map(|c| scores.iter().map(|s| c.standardise(s.excess)).collect());
        Self {
            name: name.to_owned(),
            frames,
            scores,
            legacy,
            fair,
            threshold: calibration.and_then(|c| Some(c.alarm?.threshold)),
            labels,
            clock: Clock::Unknown,
        }
    }

    /// The alarms of its anomaly score; none without a threshold.
    ///
    /// # Errors
    /// [`EvalError::Events`] for scores that are not finite or times that do not fit them.
    pub fn events(&self) -> Result<Vec<Event>, EvalError> {
        match self.threshold {
            Some(threshold) => Ok(detected(self, threshold)?.1),
            None => Ok(Vec::new()),
        }
    }

    /// The smoothed anomaly score of each scored frame, which the threshold applies to; none without
    /// a calibration.
    ///
    /// # Errors
    /// [`EvalError::Events`] for scores that are not finite.
    pub fn smoothed(&self) -> Result<Option<Vec<f64>>, EvalError> {
        let frames = self.scores.iter().map(|s| s.frame);
        let fair = self.fair.as_ref();
        fair.map(|fair| smoothed(frames.zip(fair.iter().copied())))
            .transpose()
    }

    /// Scored frames that `keep` wants, as a metric takes them.
    pub(crate) fn scored(&self, scores: &[f64], keep: impl Fn(usize) -> bool) -> ScoredVideo {
        let labels = self.labels.as_ref();
        let kept = self
            .scores
            .iter()
            .zip(scores)
            .filter(|(s, _)| keep(s.frame));
        let (labels, scores) = kept
            .map(|(s, &v)| (labels.is_some_and(|l| l.anomalous[s.frame]), v))
            .unzip();
        ScoredVideo {
            name: self.name.clone(),
            labels,
            scores,
        }
    }
}
