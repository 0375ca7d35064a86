//! What a program hears while a training, an evaluation or a scoring runs, and how it stops one.

use std::fmt;

use camino::Utf8PathBuf;
use msn_train::{CheckpointError, EpochReport, StepReport};
use msn_video::Lost;

use crate::RunError;

/// Follows what runs. Every method does nothing unless it is written, so `struct Quiet; impl Observer
/// for Quiet {}` follows in silence.
pub trait Observer {
    /// Something that a user should know.
    fn notice(&mut self, notice: &Notice) {
        let _ = notice;
    }

    /// Training steps begin: from now on [`Observer::stop_requested`] ends them, and what was trained
    /// is saved.
    fn training_begins(&mut self) {}

    /// A training step is done.
    fn step(&mut self, report: &StepReport) {
        let _ = report;
    }

    /// An epoch is done and validated.
    fn epoch(&mut self, report: &EpochReport) {
        let _ = report;
    }

    /// Training steps have ended, all or by a stop.
    fn training_ends(&mut self) {}

    /// So many frames of some work are done, of so many where that is known or can be guessed. The
    /// last call for a work has both alike.
    fn progress(&mut self, work: &Work<'_>, done: usize, total: Option<usize>) {
        let _ = (work, done, total);
    }

    /// One of several sources can't be scored; the others are, all the same.
    fn source_failed(&mut self, error: &RunError) {
        let _ = error;
    }

    /// Whether to stop: asked after each training step, after which the run is saved
    /// ([`crate::TrainOutcome::Interrupted`]), before each test video and, where sources are scored,
    /// after each frame ([`RunError::Interrupted`]).
    fn stop_requested(&self) -> bool {
        false
    }
}

/// Work on frames that takes long. [`fmt::Display`] says what is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work<'a> {
    /// So many videos are being decoded.
    Reading(usize),
    /// Batch-norm statistics are being recomputed on whole frames.
    Statistics,
    /// The calibration split is being scored.
    Calibrating,
    /// A video or source is being scored.
    Scoring(&'a str),
    /// The overlay video of a video or source is being drawn.
    Drawing(&'a str),
    /// Inserted anomalies are being scored.
    SelfTest,
}

impl fmt::Display for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reading(1) => f.write_str("reading 1 video"),
            Self::Reading(videos) => write!(f, "reading {videos} videos"),
            Self::Statistics => f.write_str("batch-norm statistics on whole frames"),
            Self::Calibrating => f.write_str("calibrating"),
            Self::Scoring(name) => write!(f, "scoring {name}"),
            Self::Drawing(name) => write!(f, "drawing the overlay of {name}"),
            Self::SelfTest => f.write_str("self-test"),
        }
    }
}

/// Follows in silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Observer for Quiet {}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeLevel {
    /// What is being done.
    Info,
    /// What a reader of the results should know.
    Note,
    /// What may be wrong.
    Warning,
}

/// Something that a user should know. [`fmt::Display`] says it in a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// Training videos are being read.
    ReadingTraining {
        /// Videos.
        videos: usize,
        /// The data set's name.
        data: String,
    },
    /// Test videos are being read.
    ReadingTest {
        /// Videos.
        videos: usize,
    },
    /// What is odd about a data set or a video.
    Data(String),
    /// Which normal footage is not trained on.
    CalibrationSplit(Vec<String>),
    /// A run to be resumed has no checkpoint.
    NoCheckpoint(Utf8PathBuf),
    /// A checkpoint can't be read, and an earlier one is taken.
    DamagedCheckpoint(CheckpointError),
    /// A training goes on after this step.
    Resumed(usize),
    /// A run was begun on another device.
    OtherDevice(Utf8PathBuf),
    /// A pool has collapsed.
    Pool {
        /// Its number, 1 to 3.
        pool: usize,
        /// What is wrong with it.
        warning: String,
        /// Steps done, from 1.
        step: usize,
    },
    /// Share of the training time, 0..=1, that went into waiting for clips.
    WaitedForClips(f64),
    /// Weights (`last` or `best`) are being calibrated.
    Calibrating(&'static str),
    /// Weights have no calibration, so that there are no anomaly scores.
    Uncalibrated(Utf8PathBuf),
    /// A data set without test videos.
    NothingToEvaluate(Utf8PathBuf),
    /// A test set without labels.
    NoLabels(Utf8PathBuf),
    /// A video that can't be judged by regions, which are known for frames of the source.
    LeftOutOfRegions(String),
    /// A test video without a scored frame.
    NotScored {
        /// Its name in the data set.
        video: String,
        /// Frames that it has.
        frames: usize,
    },
    /// The threshold of alarms is an estimate.
    EstimatedThreshold(String),
    /// Nearly all scores of a video lie far from those of the calibration.
    Foreign {
        /// The video.
        video: String,
        /// How far, and a way out.
        text: String,
    },
    /// An alarm has no picture in the report.
    NoPicture {
        /// Its video.
        video: String,
        /// Why it can't be read any more.
        reason: String,
    },
    /// A test video is scored.
    Scored {
        /// Its name in the data set.
        video: String,
        /// Its alarms, as [`msn_eval::VideoAlarms::summary`] has them.
        alarms: String,
        /// Videos scored so far.
        done: usize,
        /// Videos in all.
        videos: usize,
    },
    /// The report is without what the memory has learned.
    NoMemoryReport(Box<RunError>),
    /// Weights were trained on footage other than that of a folder.
    OtherFootage {
        /// Path of the weights file.
        weights: Utf8PathBuf,
        /// Folder of the data set.
        data: Utf8PathBuf,
    },
    /// A source's frames are taken at another rate than their own.
    Resampled {
        /// Path of the video.
        source: Utf8PathBuf,
        /// Frames a second that are taken.
        rate_hz: f64,
    },
    /// A frame of a source can't be decoded.
    LostFrame {
        /// Path of the video, or of the folder of frames.
        source: Utf8PathBuf,
        /// The frame and the reason.
        lost: Lost,
    },
    /// A scoring that was stopped goes on.
    ScoresResumed {
        /// Sources whose scores are there already.
        done: usize,
        /// Sources in all.
        sources: usize,
        /// The unfinished table.
        partial: Utf8PathBuf,
    },
    /// An unfinished table of scores is of other weights or another calibration.
    ScoresBegunAnew(Utf8PathBuf),
    /// Why frames of a source were lost.
    Losses {
        /// Path of the video, or of the folder of frames.
        source: Utf8PathBuf,
        /// As the decoder words it.
        reason: String,
    },
    /// What is particular about a source.
    Source {
        /// Path of the video, or of the folder of frames.
        source: Utf8PathBuf,
        /// What is particular, in a sentence.
        note: String,
    },
}

impl Notice {
    /// How much it matters.
    pub const fn level(&self) -> NoticeLevel {
        match self {
            Self::Data(_)
            | Self::DamagedCheckpoint(_)
            | Self::OtherDevice(_)
            | Self::Pool { .. }
            | Self::NotScored { .. }
            | Self::Foreign { .. }
            | Self::LostFrame { .. }
            | Self::Losses { .. } => NoticeLevel::Warning,
            Self::Uncalibrated(_)
            | Self::LeftOutOfRegions(_)
            | Self::NoMemoryReport(_)
            | Self::EstimatedThreshold(_)
            | Self::NoPicture { .. }
            | Self::OtherFootage { .. }
            | Self::ScoresBegunAnew(_)
            | Self::Resampled { .. }
            | Self::Source { .. } => NoticeLevel::Note,
            _ => NoticeLevel::Info,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadingTraining { videos, data } => {
                let s = if *videos == 1 { "" } else { "s" };
                write!(f, "reading {videos} training video{s} of {data}")
            }
            Self::ReadingTest { videos } => {
                let s = if *videos == 1 { "" } else { "s" };
                write!(f, "reading {videos} test video{s}")
            }
            Self::Data(warning) => f.write_str(warning),
            Self::CalibrationSplit(names) => {
                write!(
                    f,
                    "calibration split (not trained on): {}",
                    names.join(", ")
                )
            }
            Self::NoCheckpoint(folder) => {
                write!(
                    f,
                    "{folder} has no checkpoint yet: beginning at the first step"
                )
            }
            Self::DamagedCheckpoint(error) => write!(f, "{error}; taking an earlier one"),
            Self::Resumed(step) => write!(f, "going on after step {step}"),
            Self::OtherDevice(folder) => write!(
                f,
                "{folder} was begun on another device: its weights will differ in their last bits"
            ),
            Self::Pool {
                pool,
                warning,
                step,
            } => write!(f, "pool {pool} {warning} (step {step})"),
            Self::WaitedForClips(share) => write!(
                f,
                "{:.1} % of the training time went into waiting for clips",
                share * 100.0
            ),
            Self::Calibrating(weights) => {
                write!(
                    f,
                    "calibrating the {weights} weights on the calibration split"
                )
            }
            Self::Uncalibrated(path) => write!(
                f,
                "{path} has no calibration, so there are no anomaly scores and no alarms: `msn weights calibrate {path} NORMAL_VIDEOS` adds one"
            ),
            Self::NothingToEvaluate(root) => {
                write!(f, "{root} has no test videos: nothing to evaluate")
            }
            Self::NoLabels(root) => {
                write!(
                    f,
                    "{root} has no labels: there are alarms and scores, and no metrics"
                )
            }
            Self::LeftOutOfRegions(video) => {
                write!(
                    f,
                    "{video} is at another rate, so it is left out of RBDC and TBDC"
                )
            }
            Self::NotScored { video, frames } => {
                let s = if *frames == 1 { "" } else { "s" };
                write!(f, "{video} is too short to be scored ({frames} frame{s})")
            }
            Self::EstimatedThreshold(caveat) => {
                write!(f, "{caveat}; more normal footage makes it sure")
            }
            Self::Foreign { video, text } => write!(f, "{video}: {text}"),
            Self::NoPicture { video, reason } => {
                write!(f, "the report has no picture of {video}: {reason}")
            }
            Self::Scored {
                video,
                alarms,
                done,
                videos,
            } => write!(f, "{video} ({done} of {videos}): {alarms}"),
            Self::NoMemoryReport(error) => {
                write!(
                    f,
                    "the report does not show what the memory has learned: {error}"
                )
            }
            Self::OtherFootage { weights, data } => {
                write!(f, "{weights} was trained on other footage than {data}")
            }
            Self::ScoresResumed {
                done,
                sources,
                partial,
            } => write!(
                f,
                "going on with {partial}: {done} of {sources} sources are scored"
            ),
            Self::ScoresBegunAnew(partial) => write!(
                f,
                "{partial} was begun with other weights, another calibration or another device: it is begun anew"
            ),
            Self::Resampled { source, rate_hz } => write!(
                f,
                "{source}: frames of an uneven pace or another rate are taken at {rate_hz:.3} Hz"
            ),
            Self::LostFrame { source, lost } => {
                write!(f, "{source}, frame {} is lost: {}", lost.index, lost.reason)
            }
            Self::Losses { source, reason } => write!(f, "{source}: {reason}"),
            Self::Source { source, note } => write!(f, "{source}: {note}"),
        }
    }
}
