use serde::{Deserialize, Serialize};

use crate::{Bootstrap, FrameMetrics, MetricsError, ScoredVideo, check, frame_metrics};

/// A score that never looks at a pixel: what a metric must clear to mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// 0 for every frame.
    Constant,
    /// The frame's place in the video, in frames from the start.
    Position,
    /// Distance to the nearer end of the video, in frames.
    EndDistance,
}

impl Prior {
    /// All priors, in the order they are printed.
    pub const ALL: [Self; 3] = [Self::Constant, Self::Position, Self::EndDistance];

    /// Name of the row, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Position => "position",
            Self::EndDistance => "end_distance",
        }
    }

    /// Scores of a video of `n` frames, before any normalisation or smoothing.
    pub fn prior_scores(self, n: usize) -> Vec<f64> {
        (0..n)
            .map(|i| match self {
                Self::Constant => 0.0,
                Self::Position => i as f64,
                Self::EndDistance => i.min(n - 1 - i) as f64,
            })
            .collect()
    }
}

/// The metrics of one prior.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PriorRow {
    /// Which prior.
    pub prior: Prior,
    /// Its metrics.
    pub metrics: FrameMetrics,
}

/// Metrics of the three priors on the frames of `videos`, whose own scores are not looked at.
///
/// `treat` is the normalisation and smoothing that the scores went through; it gets the video
/// and its prior scores and gives as many scores back.
///
/// # Errors
/// Those of [`check`] and of `treat`; [`MetricsError::Treatment`] if `treat` changes the number
/// of scores; [`MetricsError::NoResamples`].
pub fn prior_rows(
    videos: &[ScoredVideo],
    bootstrap: &Bootstrap,
    treat: impl Fn(&ScoredVideo, Vec<f64>) -> Result<Vec<f64>, MetricsError>,
) -> Result<Vec<PriorRow>, MetricsError> {
    check(videos)?;
    Prior::ALL
        .into_iter()
        .map(|prior| {
            let scored: Vec<ScoredVideo> = videos
                .iter()
                .map(|video| {
                    let before = video.scores.len();
                    let scores = treat(video, prior.prior_scores(before))?;
                    if scores.len() != before {
                        return Err(MetricsError::Treatment {
                            video: video.name.clone(),
                            before,
                            after: scores.len(),
                        });
                    }
                    Ok(ScoredVideo {
                        name: video.name.clone(),
                        labels: video.labels.clone(),
                        scores,
                    })
                })
                .collect::<Result<_, _>>()?;
            Ok(PriorRow {
                prior,
                metrics: frame_metrics(&scored, bootstrap)?,
            })
        })
        .collect()
}
