//! Scoring of sources frame by frame, with memory that grows neither with the frames' size nor with
//! their number.

use std::{cell::Cell, io::Write};

use camino::Utf8Path;
use msn_data::{LoadOptions, Video};
use msn_eval::{
    AlarmCollector, AlarmSource, Calibration, EvalError, FrameScore, HeatMaps, OverlaySource,
    ScoreSpool, Scorer, SourceStep, VideoAlarms, VideoScores, write_overlay,
};
use msn_video::{Info, Options, Pace, open_ahead};

use crate::{
    Devices, Model, Notice, Observer, RunError, Work,
    alarms::{note_foreign, note_threshold},
    evaluate::overlay_paths,
};

/// Frames that wait decoded for the network: two of its batches.
const READ_AHEAD: usize = 16;

/// What is to be scored with what.
#[derive(Clone, Copy, Debug)]
pub struct ScoreRequest<'a> {
    /// The network.
    pub model: &'a Model,
    /// Video files and folders of frames ([`msn_data::sources`]).
    pub sources: &'a [Video],
    /// Frames a second of folders of frames, which do not have times of their own.
    pub folder_hz: Option<f64>,
    /// Folder whose disk holds the scores of a video until the ranges of the whole are known.
    pub temporary: &'a Utf8Path,
    /// Where an overlay video of each source goes.
    pub overlay: Option<&'a Utf8Path>,
    /// Whether [`ScoreSummary::videos`] is to hold all scores, for a report.
    pub collect: bool,
}

/// What became of the sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreSummary {
    /// Sources with scores.
    pub scored: usize,
    /// Those of them that an earlier process had scored.
    pub resumed: usize,
    /// Sources that can't be scored; [`Observer::source_failed`] has heard why.
    pub failed: usize,
    /// Alarms of those with scores, in their order.
    pub alarms: Vec<VideoAlarms>,
    /// Their scores, where [`ScoreRequest::collect`] is set.
    pub videos: Vec<VideoScores>,
}

/// Writes the scores of sources as one CSV table to `to`, source after source.
///
/// # Errors
/// [`RunError`]; that of a source only where it is the only one. [`RunError::Interrupted`] where the
/// observer asks to stop.
pub fn score(
    request: &ScoreRequest<'_>,
    to: &mut dyn Write,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<ScoreSummary, RunError> {
    let mut rows = Stream { to, begun: false };
    score_rows(request, &mut rows, devices, observer)
}

/// Writes the rows of a source, after a header where the flag says so.
pub(crate) type RowWriter<'a> = Box<dyn FnOnce(&mut dyn Write, bool) -> Result<(), EvalError> + 'a>;

/// What is known of a source with rows.
pub(crate) struct Kept {
    pub alarms: VideoAlarms,
    /// Where [`ScoreRequest::collect`] was set.
    pub scores: Option<Vec<FrameScore>>,
}

/// Where the rows of sources go.
pub(crate) trait Rows {
    /// What is known of a source whose rows are there already.
    fn kept(&self, video: &Video) -> Option<Kept>;
    /// Whether the overlay video of a source is there already.
    fn has_overlay(&self, video: &Video) -> bool;
    /// Takes those of the next source.
    fn add(&mut self, video: &Video, kept: &Kept, write: RowWriter<'_>) -> Result<(), RunError>;
    /// The overlay video of a source is written.
    fn drawn(&mut self, video: &Video) -> Result<(), RunError>;
}

struct Stream<'a> {
    to: &'a mut dyn Write,
    begun: bool,
}

impl Rows for Stream<'_> {
    fn kept(&self, _: &Video) -> Option<Kept> {
        None
    }

    fn has_overlay(&self, _: &Video) -> bool {
        false
    }

    fn add(&mut self, video: &Video, _: &Kept, write: RowWriter<'_>) -> Result<(), RunError> {
        write(self.to, !self.begun)?;
        self.begun = true;
        let flushed = self.to.flush();
        flushed.map_err(RunError::write(format!("the scores of {}", video.name)))
    }

    fn drawn(&mut self, _: &Video) -> Result<(), RunError> {
        Ok(())
    }
}

/// Scores the sources that are not done yet.
pub(crate) fn score_rows(
    request: &ScoreRequest<'_>,
    rows: &mut dyn Rows,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<ScoreSummary, RunError> {
    let model = request.model;
    let calibration = model.calibration.as_ref();
    let overlays = match request.overlay {
        Some(folder) => {
            model.calibration_for("an overlay")?;
            Some(overlay_paths(request.sources, folder)?)
        }
        None => None,
    };
    if calibration.is_none() {
        observer.notice(&Notice::Uncalibrated(model.path.clone()));
    }
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    let scorer = model.scorer(predictor.as_ref());
    let load = model.load_options(request.folder_hz);
    let pools = &model.weights.meta.config.pools;
    note_threshold(model, observer);
    let mut summary = ScoreSummary::default();
    for (i, video) in request.sources.iter().enumerate() {
        let overlay = overlays.as_ref().map(|paths| paths[i].as_path());
        let overlay = overlay.filter(|_| !rows.has_overlay(video));
        let kept = rows.kept(video);
        let there = kept.is_some();
        if there {
            summary.resumed += 1;
        }
        // A report needs scores, which are kept where one was wanted from the start.
        if let Some(Kept { alarms, scores }) = kept
            && overlay.is_none()
            && (scores.is_some() || !request.collect)
        {
            if request.collect {
                let scores = scores.unwrap_or_default();
                let video = VideoScores::new(&video.name, alarms.frames, scores, None, calibration);
                summary.videos.push(video);
            }
            note_foreign(&alarms, observer);
            summary.alarms.push(alarms);
            summary.scored += 1;
            continue;
        }
        if observer.stop_requested() {
            return Err(RunError::Interrupted);
        }
        let mut scored = Scored {
            spool: ScoreSpool::new(request.temporary, pools.len())?,
            drawing: calibration
                .filter(|_| overlay.is_some())
                .map(|calibration| Drawing::new(&load, calibration)),
        };
        match score_video(video, &mut scored, &scorer, &load, calibration, observer) {
            Ok(alarms) => {
                let Scored { mut spool, drawing } = scored;
                note_foreign(&alarms, observer);
                let scores = match request.collect {
                    true => Some(spool.scores()?),
                    false => None,
                };
                let frames = alarms.frames;
                let kept = Kept { alarms, scores };
                if !there {
                    let write: RowWriter<'_> = Box::new(move |to, header| {
                        spool.write_csv(&video.name, pools, header, calibration, to)
                    });
                    rows.add(video, &kept, write)?;
                }
                if let Some(scores) = kept.scores {
                    let video = VideoScores::new(&video.name, frames, scores, None, calibration);
                    summary.videos.push(video);
                }
                summary.alarms.push(kept.alarms);
                if let (Some(path), Some(drawing)) = (overlay, drawing) {
                    drawing.draw(path, video, frames, calibration, observer)?;
                    rows.drawn(video)?;
                }
                summary.scored += 1;
            }
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(error) if request.sources.len() == 1 => return Err(error),
            // The others are worth their scores all the same.
            Err(error) => {
                observer.source_failed(&error);
                summary.failed += 1;
            }
        }
    }
    Ok(summary)
}

/// What the frames of a source leave.
struct Scored {
    spool: ScoreSpool,
    /// Where an overlay is wanted.
    drawing: Option<Drawing>,
}

/// What an overlay video needs.
struct Drawing {
    scores: Vec<FrameScore>,
    heat: HeatMaps,
    source: Option<OverlaySource>,
}

impl Drawing {
    fn new(load: &LoadOptions, calibration: &Calibration) -> Self {
        Self {
            scores: Vec::new(),
            heat: HeatMaps::of_size(load.size, calibration),
            source: None,
        }
    }

    fn draw(
        self,
        path: &Utf8Path,
        video: &Video,
        frames: usize,
        calibration: Option<&Calibration>,
        observer: &mut dyn Observer,
    ) -> Result<(), RunError> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        let scores = VideoScores::new(&video.name, frames, self.scores, None, calibration);
        let work = Work::Drawing(&video.name);
        let finished = write_overlay(path, &scores, source, &self.heat, &mut |done| {
            observer.progress(&work, done, Some(frames.max(done)));
            !observer.stop_requested()
        })?;
        match finished {
            true => Ok(()),
            false => Err(RunError::Interrupted),
        }
    }
}

/// Frames that a source will have, as far as it says.
fn frames_expected(info: &Info, pace: Option<Pace>, rate_hz: Option<f64>) -> Option<usize> {
    let frames = info.frames?;
    Some(match (pace, rate_hz) {
        // The cast saturates.
        (Some(pace), Some(hz)) => (frames as f64 * pace.step_seconds * hz).round() as usize,
        _ => frames,
    })
}

/// Scores a source.
fn score_video(
    video: &Video,
    scored: &mut Scored,
    scorer: &Scorer<'_>,
    load: &LoadOptions,
    calibration: Option<&Calibration>,
    observer: &mut dyn Observer,
) -> Result<VideoAlarms, RunError> {
    let source = &video.source;
    let options = Options {
        size: Some(load.size),
        color: load.color,
        threads: rayon::current_num_threads(),
        folder_hz: load.folder_hz,
        stretch: load.stretch,
    };
    // Says what is wrong with a file better than its packets could.
    let opened = msn_video::open(source, &options)?;
    let pace = msn_video::pace(source)?;
    let rate_hz = pace.and_then(|pace| pace.resample_hz(load.rate_hz));
    // What is resampled has its cuts as losses.
    let step = pace
        .filter(|_| rate_hz.is_none())
        .map(|pace| pace.step_seconds);
    if let Some(rate_hz) = rate_hz {
        observer.notice(&Notice::Resampled {
            source: source.clone(),
            rate_hz,
        });
    }
    let expected = frames_expected(opened.info(), pace, rate_hz);
    drop(opened);
    let mut reader = open_ahead(source, &options, rate_hz, READ_AHEAD)?;
    let mut alarms = AlarmCollector::new(calibration, load.size)?;
    if let Some(drawing) = &mut scored.drawing {
        drawing.source = Some(OverlaySource {
            path: source.clone(),
            size: reader.info().size,
            resampled_hz: rate_hz,
            rate_hz: rate_hz
                .or(pace.map(|pace| pace.rate_near(reader.info().rate_hz)))
                .or(reader.info().rate_hz)
                .or(load.folder_hz.filter(|_| source.is_dir())),
            stretch: load.stretch,
        });
    }
    let work = Work::Scoring(&video.name);
    let stop = Cell::new(false);
    let items = reader.by_ref().take_while(|_| !stop.get());
    let size = (load.size.height as usize, load.size.width as usize);
    let frames = scorer.source(&video.name, items, size, step, &mut |step| {
        match step {
            SourceStep::Scored(frame) => {
                // Only numbers are kept of what has been scored.
                scored.spool.push(&frame.score)?;
                alarms.push(&frame)?;
                if let Some(drawing) = &mut scored.drawing {
                    drawing.heat.push(&frame);
                    drawing.scores.push(frame.score);
                }
            }
            SourceStep::Lost(lost) => observer.notice(&Notice::LostFrame {
                source: source.clone(),
                lost,
            }),
            SourceStep::Position(frames) => {
                let total = expected.map(|expected| expected.max(frames));
                observer.progress(&work, frames, total);
                stop.set(observer.stop_requested());
            }
        }
        Ok(())
    })?;
    if stop.get() {
        return Err(RunError::Interrupted);
    }
    observer.progress(&work, frames, Some(frames));
    for note in &reader.info().notes {
        observer.notice(&Notice::Source {
            source: source.clone(),
            note: note.to_string(),
        });
    }
    for reason in &reader.decode_errors().reasons {
        observer.notice(&Notice::Losses {
            source: source.clone(),
            reason: reason.to_string(),
        });
    }
    if scored.spool.is_empty() {
        return Err(RunError::TooShort {
            path: source.clone(),
            frames,
            needed: scorer.frames_needed(),
        });
    }
    Ok(alarms.finish(&AlarmSource {
        video: &video.name,
        path: source,
        size: reader.info().size,
        resampled_hz: rate_hz,
        frames,
    })?)
}
