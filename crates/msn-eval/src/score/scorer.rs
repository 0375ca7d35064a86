//! Frames in, scores out: one path for loaded videos, sources, calibration and evaluation.

use std::ops::Range;

use msn_data::LoadedVideo;
use msn_model::Predictor;
use msn_video::{Item, Lost, VideoError, is_cut};
use serde::{Deserialize, Serialize};

use super::{
    calibration::Calibration,
    fair::{AnomalyScore, Windows},
    maps::{FrameMaps, WindowMap},
    stream::Stream,
};
use crate::EvalError;

/// The scores of one frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrameScore {
    /// Index in its video, 0-based.
    pub frame: usize,
    /// Time in seconds, where the source has times.
    pub seconds: Option<f64>,
    /// Peak signal-to-noise ratio of the prediction, dB.
    pub psnr: f64,
    /// Largest mean squared error in a window, 0..1.
    pub patch: f64,
    /// Mean of each pool's distance map, pools ascending.
    pub distances: Vec<f64>,
    /// The anomaly score before it is standardised: the largest window's excess over the baseline of
    /// its texture and position, or its log error without a calibration.
    pub excess: f64,
}

/// A frame with its scores and the maps they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredFrame {
    /// Scores of the frame as a whole.
    pub score: FrameScore,
    /// The prediction and its errors.
    pub maps: FrameMaps,
    /// Where the score comes from, by the errors of the newest frames; what heat and regions are made
    /// of. Before it is standardised.
    pub place: WindowMap,
    /// Largest on the thing that the score comes from; as [`place`](Self::place).
    pub thing: WindowMap,
    pub(super) windows: Windows,
}

impl ScoredFrame {
    /// Of maps that no network made.
    #[cfg(test)]
    pub(crate) fn of_maps(score: FrameScore, maps: FrameMaps, place: WindowMap) -> Self {
        let windows = Windows::new(&AnomalyScore::for_size(8, 8), &maps);
        Self {
            score,
            maps,
            thing: place.clone(),
            place,
            windows,
        }
    }

    /// The map of the anomaly score: how much each window has to do with it, standardised alike.
    pub fn fair_map(&self, calibration: &Calibration) -> WindowMap {
        let values = self.place.values.iter();
        WindowMap {
            values: values.map(|&v| calibration.standardise(v)).collect(),
            ..self.place
        }
    }
}

/// What [`Scorer::source`] reports while it goes through a source.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceStep {
    /// A frame with its scores.
    Scored(Box<ScoredFrame>),
    /// A frame that could not be read.
    Lost(Lost),
    /// The number of frames so far, lost ones included.
    Position(usize),
}

/// A network and how its scores are made.
#[derive(Clone)]
pub struct Scorer<'a> {
    /// The network that predicts.
    pub predictor: &'a dyn Predictor,
    /// Frames between two frames of a clip.
    pub stride: usize,
    /// Settings of the anomaly score.
    pub score: AnomalyScore,
}

impl std::fmt::Debug for Scorer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scorer")
            .field("stride", &self.stride)
            .field("score", &self.score)
            .finish_non_exhaustive()
    }
}

impl<'a> Scorer<'a> {
    /// Frames from a clip's first to its target.
    pub fn frames_needed(&self) -> usize {
        self.predictor.config().frames * self.stride + 1
    }

    /// A stream of the frames of one video, `height` x `width` pixels.
    pub fn stream(&self, video: &'a str, height: usize, width: usize) -> Stream<'a> {
        Stream::new(self.clone(), video, height, width)
    }

    /// Scores the given runs of frames of a video, in order.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`], [`EvalError::Data`] where a frame can't be read any more, or what
    /// `visit` returns.
    pub fn runs(
        &self,
        video: &'a LoadedVideo,
        runs: &[Range<usize>],
        visit: &mut dyn FnMut(ScoredFrame) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let [height, width] =
            [video.size.height, video.size.width].map(|v| usize::try_from(v).unwrap_or(usize::MAX));
        let mut stream = self.stream(&video.name, height, width);
        for run in runs {
            for frame in run.clone() {
                for scored in stream.push(frame, video.seconds[frame], &video.frame(frame)?)? {
                    visit(scored)?;
                }
            }
            for scored in stream.gap()? {
                visit(scored)?;
            }
        }
        Ok(())
    }

    /// Every score of a video.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`].
    pub fn video(&self, video: &'a LoadedVideo) -> Result<Vec<FrameScore>, EvalError> {
        let mut all = Vec::new();
        self.runs(video, &video.runs, &mut |scored| {
            all.push(scored.score);
            Ok(())
        })?;
        Ok(all)
    }

    /// Scores the frames of a source as they come, `size` pixels (height, width); gives the number
    /// of its frames, lost ones included. No clip crosses what is lost, or a cut in time where the
    /// ordinary step `step_seconds` is given ([`msn_video::is_cut`]).
    ///
    /// # Errors
    /// [`EvalError::Video`] where the source fails, [`EvalError::NotFinite`], or what `visit`
    /// returns.
    pub fn source(
        &self,
        name: &'a str,
        items: impl Iterator<Item = Result<Item, VideoError>>,
        size: (usize, usize),
        step_seconds: Option<f64>,
        visit: &mut dyn FnMut(SourceStep) -> Result<(), EvalError>,
    ) -> Result<usize, EvalError> {
        let mut stream = self.stream(name, size.0, size.1);
        let mut expected = 0;
        let mut latest = None;
        for item in items {
            let (index, scored, lost) = match item? {
                Item::Frame(frame) => {
                    let mut scored = Vec::new();
                    let cut = match (latest, frame.seconds, step_seconds) {
                        (Some(before), Some(now), Some(step)) => is_cut(before, now, step),
                        _ => false,
                    };
                    latest = frame.seconds;
                    if frame.index != expected || cut {
                        scored = stream.gap()?;
                    }
                    scored.extend(stream.push(
                        frame.index,
                        frame.seconds,
                        &frame.picture.pixels,
                    )?);
                    (frame.index, scored, None)
                }
                Item::Lost(lost) => (lost.index, stream.gap()?, Some(lost)),
            };
            expected = index + 1;
            for scored in scored {
                visit(SourceStep::Scored(Box::new(scored)))?;
            }
            if let Some(lost) = lost {
                visit(SourceStep::Lost(lost))?;
            }
            visit(SourceStep::Position(expected))?;
        }
        for scored in stream.gap()? {
            visit(SourceStep::Scored(Box::new(scored)))?;
        }
        Ok(expected)
    }
}
