//! Scoring of sources frame by frame, with memory that grows neither with the frames' size nor with
//! their number.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Seek as _, Write},
};

use camino::Utf8Path;
use msn_data::{LoadOptions, Video};
use msn_eval::{
    AlarmCollector, AlarmSource, Calibration, ScoreSpool, Scorer, SourceStep, VideoAlarms,
    VideoScores,
};
use msn_video::{Options, open_ahead};

use crate::{
    Devices, Model, Notice, Observer, RunError,
    alarms::{note_foreign, note_threshold},
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
    /// Whether [`ScoreSummary::videos`] is to hold all scores, for a report.
    pub collect: bool,
}

/// What became of the sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreSummary {
    /// Sources with scores.
    pub scored: usize,
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
    let model = request.model;
    if model.calibration.is_none() {
        observer.notice(&Notice::Uncalibrated(model.path.clone()));
    }
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    let scorer = model.scorer(predictor.as_ref());
    let load = model.load_options(request.folder_hz);
    let pools = &model.weights.meta.config.pools;
    note_threshold(model, observer);
    let mut summary = ScoreSummary::default();
    for video in request.sources {
        if observer.stop_requested() {
            return Err(RunError::Interrupted);
        }
        let spool = ScoreSpool::new(request.temporary, pools.len())?;
        let calibration = model.calibration.as_ref();
        match score_video(video, spool, &scorer, &load, calibration, observer) {
            Ok((mut scores, alarms)) => {
                note_foreign(&alarms, observer);
                if request.collect {
                    let rows = scores.scores()?;
                    let video =
                        VideoScores::new(&video.name, alarms.frames, rows, None, calibration);
                    summary.videos.push(video);
                }
                summary.alarms.push(alarms);
                // One header for all.
                let header = summary.scored == 0;
                scores.write_csv(&video.name, pools, header, calibration, to)?;
                let flushed = to.flush();
                flushed.map_err(RunError::write(format!("the scores of {}", video.name)))?;
                summary.scored += 1;
            }
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

/// [`score`] into a file, which is written whole or not at all, and only where a source has scores.
/// It grows on the disk of [`ScoreRequest::temporary`].
///
/// # Errors
/// Those of [`score`], and [`RunError::Write`].
pub fn score_to_file(
    request: &ScoreRequest<'_>,
    out: &Utf8Path,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<ScoreSummary, RunError> {
    let at = request.temporary;
    let mut table = tempfile::tempfile_in(at).map_err(RunError::write(at))?;
    let summary = score(request, &mut BufWriter::new(&table), devices, observer)?;
    if summary.scored > 0 {
        table.rewind().map_err(RunError::write(at))?;
        write_from(out, table)?;
    }
    Ok(summary)
}

fn write_from(out: &Utf8Path, table: File) -> Result<(), RunError> {
    if let Some(folder) = out.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(RunError::write(folder))?;
    }
    msn_data::write_atomically_from(out, &mut BufReader::new(table))?;
    Ok(())
}

fn score_video(
    video: &Video,
    mut scores: ScoreSpool,
    scorer: &Scorer<'_>,
    load: &LoadOptions,
    calibration: Option<&Calibration>,
    observer: &mut dyn Observer,
) -> Result<(ScoreSpool, VideoAlarms), RunError> {
    let source = &video.source;
    let options = Options {
        size: Some(load.size),
        color: load.color,
        threads: rayon::current_num_threads(),
        folder_hz: load.folder_hz,
        stretch: load.stretch,
    };
    // Says what is wrong with a file better than its packets could.
    msn_video::open(source, &options)?;
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
    let mut reader = open_ahead(source, &options, rate_hz, READ_AHEAD)?;
    let mut alarms = AlarmCollector::new(calibration, load.size)?;
    let size = (load.size.height as usize, load.size.width as usize);
    let frames = scorer.source(&video.name, reader.by_ref(), size, step, &mut |step| {
        match step {
            // Only numbers are kept of what has been scored.
            SourceStep::Scored(scored) => {
                scores.push(&scored.score)?;
                alarms.push(&scored)?;
            }
            SourceStep::Lost(lost) => observer.notice(&Notice::LostFrame {
                source: source.clone(),
                lost,
            }),
            SourceStep::Position(frames) => observer.frames_scored(source, frames),
        }
        Ok(())
    })?;
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
    if scores.is_empty() {
        return Err(RunError::TooShort {
            path: source.clone(),
            frames,
            needed: scorer.frames_needed(),
        });
    }
    let alarms = alarms.finish(&AlarmSource {
        video: &video.name,
        path: source,
        size: reader.info().size,
        resampled_hz: rate_hz,
        frames,
    })?;
    Ok((scores, alarms))
}
