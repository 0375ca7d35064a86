//! The frames of one video, one by one.

use std::collections::VecDeque;

use msn_model::{Clips, Prediction, push_planes};

use super::{
    fair::{Tube, Windows},
    maps::FrameMaps,
    scorer::{FrameScore, ScoredFrame, Scorer},
};
use crate::EvalError;

/// Clips that are evaluated together.
const BATCH: usize = 8;

/// One frame of the sliding window.
struct Recent {
    index: usize,
    seconds: Option<f64>,
    planes: Vec<f32>,
}

/// The frames of one video, one by one; memory does not grow with its length.
pub struct Stream<'a> {
    scorer: Scorer<'a>,
    video: &'a str,
    height: usize,
    width: usize,
    recent: VecDeque<Recent>,
    pending: Clips,
    targets: Vec<(usize, Option<f64>)>,
    tube: Tube,
}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("video", &self.video)
            .finish_non_exhaustive()
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(scorer: Scorer<'a>, video: &'a str, height: usize, width: usize) -> Self {
        Self {
            scorer,
            video,
            height,
            width,
            recent: VecDeque::new(),
            pending: Clips::default(),
            targets: Vec::new(),
            tube: Tube::default(),
        }
    }

    /// Takes the next frame, interleaved 8-bit pixels; gives scores a batch at a time.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`], [`EvalError::Predict`].
    pub fn push(
        &mut self,
        index: usize,
        seconds: Option<f64>,
        pixels: &[u8],
    ) -> Result<Vec<ScoredFrame>, EvalError> {
        let config = self.scorer.predictor.config();
        let mut planes = Vec::with_capacity(pixels.len());
        push_planes(pixels, config.channels, &mut planes);
        self.recent.push_back(Recent {
            index,
            seconds,
            planes,
        });
        if self.recent.len() < self.scorer.frames_needed() {
            return Ok(Vec::new());
        }
        if self.pending.count == 0 {
            self.pending = Clips {
                height: self.height,
                width: self.width,
                ..Clips::default()
            };
        }
        let past = self.recent.iter().step_by(self.scorer.stride);
        for frame in past.take(config.frames) {
            self.pending.frames.extend_from_slice(&frame.planes);
        }
        if let Some(target) = self.recent.back() {
            self.pending.target.extend_from_slice(&target.planes);
            self.targets.push((target.index, target.seconds));
        }
        self.pending.count += 1;
        self.recent.pop_front();
        if self.pending.count == BATCH {
            self.flush()
        } else {
            Ok(Vec::new())
        }
    }

    /// Ends a run of frames: gives what is left and forgets the frames before.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`], [`EvalError::Predict`].
    pub fn gap(&mut self) -> Result<Vec<ScoredFrame>, EvalError> {
        let left = self.flush();
        self.recent.clear();
        self.tube.clear();
        left
    }

    fn flush(&mut self) -> Result<Vec<ScoredFrame>, EvalError> {
        let clips = std::mem::take(&mut self.pending);
        if clips.count == 0 {
            return Ok(Vec::new());
        }
        let predictions = self.scorer.predictor.predict(&clips)?;
        let frames = std::mem::take(&mut self.targets);
        let pairs = predictions.into_iter().zip(clips.targets());
        let scored = frames.into_iter().zip(pairs);
        scored
            .map(|((frame, seconds), (prediction, target))| {
                self.scored(frame, seconds, prediction, target)
            })
            .collect()
    }

    fn scored(
        &mut self,
        frame: usize,
        seconds: Option<f64>,
        prediction: Prediction,
        target: &[f32],
    ) -> Result<ScoredFrame, EvalError> {
        let anomaly = &self.scorer.score;
        let maps = FrameMaps::new(prediction, target);
        let windows = Windows::new(anomaly, &maps);
        let excess = self.tube.push(anomaly, &windows);
        let place = self.tube.place(anomaly, &windows);
        let thing = self.tube.thing(anomaly, &windows);
        let distances = &maps.prediction.distances;
        let score = FrameScore {
            frame,
            seconds,
            psnr: maps.psnr(),
            patch: maps.patch(),
            distances: distances.iter().map(|(_, map)| map.mean()).collect(),
            excess: excess.largest(),
        };
        let numbers = [
            ("psnr", score.psnr),
            ("patch", score.patch),
            ("fair", score.excess),
        ];
        let distances = score.distances.iter().map(|&d| ("distance", d));
        for (name, value) in numbers.into_iter().chain(distances) {
            finite(self.video, frame, name, value)?;
        }
        Ok(ScoredFrame {
            score,
            maps,
            place,
            thing,
            windows,
        })
    }
}

/// # Errors
/// [`EvalError::NotFinite`].
pub(super) fn finite(
    video: &str,
    frame: usize,
    score: &'static str,
    value: f64,
) -> Result<(), EvalError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(EvalError::NotFinite {
        video: video.to_owned(),
        frame,
        score,
        value,
    })
}
