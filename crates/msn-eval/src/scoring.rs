//! Frames in, scores out: one path for loaded videos, streams, calibration and evaluation.

use std::{collections::VecDeque, ops::Range};

use msn_data::{LoadedVideo, Segment};
use msn_events::ScoreSequence;
use msn_model::{Calibration, Clips, FrameMaps, Map64, Predictor, UsualErrors, push_planes};
use msn_video::{Item, Lost, VideoError, is_cut};

use crate::{
    EvalError, Fair,
    events::alarm,
    fair::{Normal, Tube, Windows, calibrate, standardise},
};

/// Clips that are evaluated together.
const BATCH: usize = 8;
/// Held-out frames, evenly chosen, whose windows say what errors are usual.
const NORMAL_FRAMES: usize = 1000;

/// The scores of one frame.
#[derive(Clone, Debug, PartialEq)]
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
    /// The fair score before it is standardised: the largest window's excess over the errors that
    /// are usual for its texture and place, or its log error without a calibration.
    pub excess: f64,
}

/// A frame with its scores and the maps they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredFrame {
    /// Its numbers.
    pub score: FrameScore,
    /// What the network saw.
    pub maps: FrameMaps,
    /// Each window's excess, over the latest frames.
    pub excess: Map64,
    pub(crate) windows: Windows,
}

impl ScoredFrame {
    /// The map of the fair score: each window's standardised excess.
    pub fn fair_map(&self, calibration: &Calibration) -> Map64 {
        let value = |&excess: &f64| standardise(excess, calibration);
        Map64 {
            values: self.excess.values.iter().map(value).collect(),
            ..self.excess
        }
    }
}

/// What [`Scorer::source`] tells while it goes through a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// A frame with its scores.
    Scored(Box<ScoredFrame>),
    /// A frame that could not be read.
    Lost(Lost),
    /// So many places have been read.
    Read(usize),
}

/// A network and how its scores are read.
#[derive(Clone)]
pub struct Scorer<'a> {
    /// The network.
    pub predictor: &'a dyn Predictor,
    /// Frames between two frames of a clip.
    pub stride: usize,
    /// The fair score.
    pub fair: Fair,
}

impl std::fmt::Debug for Scorer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scorer")
            .field("stride", &self.stride)
            .field("fair", &self.fair)
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
        Stream {
            scorer: self.clone(),
            video,
            height,
            width,
            window: VecDeque::new(),
            pending: Clips::default(),
            targets: Vec::new(),
            tube: Tube::default(),
        }
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

    /// Scores the frames of a source as they come, `size` pixels (height, width); how many places it
    /// had. No clip crosses what is lost, or a cut in time where a usual step of `step_seconds` is
    /// given ([`msn_video::is_cut`]).
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
        visit: &mut dyn FnMut(Seen) -> Result<(), EvalError>,
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
                visit(Seen::Scored(Box::new(scored)))?;
            }
            if let Some(lost) = lost {
                visit(Seen::Lost(lost))?;
            }
            visit(Seen::Read(expected))?;
        }
        for scored in stream.gap()? {
            visit(Seen::Scored(Box::new(scored)))?;
        }
        Ok(expected)
    }

    /// Standardises the fair score on held-out segments of normal videos: first what errors are
    /// usual for windows of how much texture in which row, then how far frames' largest windows lie above that.
    ///
    /// # Errors
    /// [`EvalError::NothingHeldOut`], [`EvalError::NoSpread`] or [`EvalError::NotFinite`].
    pub fn calibrate(
        &self,
        videos: &'a [LoadedVideo],
        held: &[Segment],
    ) -> Result<Calibration, EvalError> {
        let usual = self.usual(videos, held)?;
        let usual = usual.ok_or(EvalError::NothingHeldOut)?;
        let fair = Fair {
            usual: Some(usual.clone()),
            ..self.fair.clone()
        };
        let scorer = Self {
            fair: fair.clone(),
            ..*self
        };
        let (mut frames, mut windows) = (Vec::new(), Vec::new());
        // Places of each segment's frames in `frames`.
        let mut segments = Vec::new();
        for segment in held {
            let mut places = Vec::new();
            scorer.runs(
                &videos[segment.video],
                std::slice::from_ref(&segment.frames),
                &mut |scored| {
                    places.push(scored.score.frame);
                    frames.push(scored.score.excess);
                    windows.extend(scored.excess.values);
                    Ok(())
                },
            )?;
            segments.push((&videos[segment.video], places));
        }
        let mut calibration = calibrate(&fair, usual, &frames, &windows)?;
        let mut scores = frames.iter().map(|&f| standardise(f, &calibration));
        let mut sequences = Vec::new();
        for (i, (video, places)) in segments.into_iter().enumerate() {
            let scores: Vec<f64> = scores.by_ref().take(places.len()).collect();
            // Two segments may be of one video.
            let name = format!("{} ({i})", video.name);
            let clock = crate::events::clock(video);
            sequences.push(ScoreSequence::from_frames(name, &places, &scores, clock)?);
        }
        calibration.alarm = alarm(&sequences)?;
        Ok(calibration)
    }

    /// What errors are usual in held-out segments, by texture and place; `None` without a frame.
    fn usual(
        &self,
        videos: &'a [LoadedVideo],
        held: &[Segment],
    ) -> Result<Option<UsualErrors>, EvalError> {
        let frames: usize = held.iter().map(|segment| segment.frames.len()).sum();
        let every = frames.div_ceil(NORMAL_FRAMES).max(1);
        let (mut normal, mut seen) = (Normal::default(), 0);
        for segment in held {
            let runs = std::slice::from_ref(&segment.frames);
            self.runs(&videos[segment.video], runs, &mut |scored| {
                if seen % every == 0 {
                    normal.push(&scored.windows);
                }
                seen += 1;
                Ok(())
            })?;
        }
        Ok(normal.usual())
    }
}

/// One frame of the sliding window.
struct Held {
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
    window: VecDeque<Held>,
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

impl Stream<'_> {
    /// Takes the next frame, interleaved 8-bit pixels; gives scores a batch at a time.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`].
    pub fn push(
        &mut self,
        index: usize,
        seconds: Option<f64>,
        pixels: &[u8],
    ) -> Result<Vec<ScoredFrame>, EvalError> {
        let config = self.scorer.predictor.config();
        let mut planes = Vec::with_capacity(pixels.len());
        push_planes(pixels, config.channels, &mut planes);
        self.window.push_back(Held {
            index,
            seconds,
            planes,
        });
        if self.window.len() < self.scorer.frames_needed() {
            return Ok(Vec::new());
        }
        if self.pending.count == 0 {
            self.pending = Clips {
                height: self.height,
                width: self.width,
                ..Clips::default()
            };
        }
        for held in self
            .window
            .iter()
            .step_by(self.scorer.stride)
            .take(config.frames)
        {
            self.pending.frames.extend_from_slice(&held.planes);
        }
        if let Some(target) = self.window.back() {
            self.pending.target.extend_from_slice(&target.planes);
            self.targets.push((target.index, target.seconds));
        }
        self.pending.count += 1;
        self.window.pop_front();
        if self.pending.count == BATCH {
            self.flush()
        } else {
            Ok(Vec::new())
        }
    }

    /// Ends a run of frames: gives what is left and forgets the frames before.
    ///
    /// # Errors
    /// [`EvalError::NotFinite`].
    pub fn gap(&mut self) -> Result<Vec<ScoredFrame>, EvalError> {
        let left = self.flush();
        self.window.clear();
        self.tube.clear();
        left
    }

    fn flush(&mut self) -> Result<Vec<ScoredFrame>, EvalError> {
        let clips = std::mem::take(&mut self.pending);
        if clips.count == 0 {
            return Ok(Vec::new());
        }
        let maps = self.scorer.predictor.maps(clips)?;
        let targets = std::mem::take(&mut self.targets);
        targets
            .into_iter()
            .zip(maps)
            .map(|((frame, seconds), maps)| self.scored(frame, seconds, maps))
            .collect()
    }

    fn scored(
        &mut self,
        frame: usize,
        seconds: Option<f64>,
        maps: FrameMaps,
    ) -> Result<ScoredFrame, EvalError> {
        let fair = &self.scorer.fair;
        let windows = Windows::new(fair, &maps);
        let excess = self.tube.push(fair, &windows);
        let score = FrameScore {
            frame,
            seconds,
            psnr: maps.psnr(),
            patch: maps.patch(),
            distances: maps.distances.iter().map(|(_, map)| map.mean()).collect(),
            excess: excess.largest(),
        };
        let numbers = [
            ("psnr", score.psnr),
            ("patch", score.patch),
            ("fair", score.excess),
        ];
        let distances = score.distances.iter().map(|&d| ("distance", d));
        for (name, value) in numbers.into_iter().chain(distances) {
            if !value.is_finite() {
                let video = self.video.to_owned();
                return Err(EvalError::NotFinite {
                    video,
                    frame,
                    score: name,
                    value,
                });
            }
        }
        Ok(ScoredFrame {
            score,
            maps,
            excess,
            windows,
        })
    }
}
