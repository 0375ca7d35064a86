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

    /// Batch-norm statistics are being recomputed on whole frames: frames done, and in all.
    fn statistics(&mut self, done: usize, frames: usize) {
        let _ = (done, frames);
    }

    /// So many frames of a source have been read and scored.
    fn frames_scored(&mut self, source: &camino::Utf8Path, frames: usize) {
        let _ = (source, frames);
    }

    /// One of several sources can't be scored; the others are, all the same.
    fn source_failed(&mut self, error: &RunError) {
        let _ = error;
    }

    /// Whether to stop: asked after each training step, after which the run is saved
    /// ([`crate::TrainOutcome::Interrupted`]), and before each video that is scored
    /// ([`RunError::Interrupted`]).
    fn stop_requested(&self) -> bool {
        false
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
                write!(f, "reading {videos} training videos of {data}")
            }
            Self::ReadingTest { videos } => write!(f, "reading {videos} test videos"),
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
                write!(f, "{video} is too short to be scored ({frames} frames)")
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
