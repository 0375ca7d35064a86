//! What ends a training, an evaluation or a scoring: one sentence each, with the file or folder and
//! a way out.

use camino::Utf8PathBuf;
use msn_data::{DataError, ReadError, WriteError};
use msn_eval::{CalibrationError, EvalError};
use msn_model::{PredictError, WeightsError};
use msn_train::{CheckpointError, SettingsError, TrainError};
use msn_video::VideoError;

use crate::{DeviceError, RUN_FORMAT};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The system can't read a file or list a folder.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The system can't write a file or make a folder.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A table of a run that is damaged.
    #[error("{path} is damaged ({source}): move it away to begin it anew")]
    Table {
        /// `metrics.csv` or `epochs.csv` of the run.
        path: Utf8PathBuf,
        /// The line, and what does not parse there.
        source: csv::Error,
    },
    /// `run.json` that can't be understood.
    #[error("{path} does not describe a run ({source}): it is damaged, or not of msn")]
    Card {
        /// Path of the `run.json`.
        path: Utf8PathBuf,
        /// The line and column, and what does not parse there.
        source: serde_json::Error,
    },
    /// `run.json` of a later version.
    #[error("{path} has the format `{format}`: this version of msn reads {RUN_FORMAT} and older")]
    CardFormat {
        /// Path of the `run.json`.
        path: Utf8PathBuf,
        /// What stands under its key `format`.
        format: String,
    },
    /// `config.toml` that can't be used.
    #[error("{path} can't be used: {source}")]
    Config {
        /// Path of the `config.toml`.
        path: Utf8PathBuf,
        /// The setting that is wrong, or the line.
        source: SettingsError,
    },
    /// A folder for a new run that holds something.
    #[error(
        "{folder} is not empty: give a new folder (--out), or go on with the run in it (--resume)"
    )]
    NotEmpty {
        /// As it was given for a new run.
        folder: Utf8PathBuf,
    },
    /// A folder to resume that is no run folder.
    #[error("{folder} is no run folder, as it has no config.toml: name the run to resume (--out)")]
    NoRun {
        /// As it was given to resume.
        folder: Utf8PathBuf,
    },
    /// A run folder without the weights that it is evaluated with.
    #[error("{folder} is no finished run: it has no {file}")]
    Unfinished {
        /// Path of the run folder.
        folder: Utf8PathBuf,
        /// The missing file, relative to the folder.
        file: Utf8PathBuf,
    },
    /// A run that another process is at.
    #[error("another process trains in {folder}: wait for it, or train in another folder (--out)")]
    Locked {
        /// Path of the run folder, whose `run.lock` another process holds.
        folder: Utf8PathBuf,
    },
    /// A run that was begun with other settings.
    #[error(
        "{folder} was begun with `{begun}`, not `{now}`: resume it with its own settings, those of {folder}/config.toml"
    )]
    OtherSettings {
        /// Path of the run folder.
        folder: Utf8PathBuf,
        /// The first line of its `config.toml` that differs.
        begun: String,
        /// The same line of the present settings.
        now: String,
    },
    /// A checkpoint of other settings.
    #[error("{path} is of other settings: give those of the run's config.toml")]
    CheckpointSettings {
        /// The newest checkpoint that can be read.
        path: Utf8PathBuf,
    },
    /// A checkpoint of other footage.
    #[error("{path} is of other training frames: the data set has changed since")]
    CheckpointFrames {
        /// The newest checkpoint that can be read.
        path: Utf8PathBuf,
    },
    /// A data set without training videos.
    #[error("{root} has no training videos: the layout `{layout}` has them in its training folder")]
    NoTrainingVideos {
        /// The data set's folder.
        root: Utf8PathBuf,
        /// The layout that it is read in, given or recognised.
        layout: msn_data::DatasetLayout,
    },
    /// A data set without test videos.
    #[error("{root} has no test videos to evaluate")]
    NoTestVideos {
        /// The data set's folder.
        root: Utf8PathBuf,
    },
    /// A calibration split without a clip.
    #[error(
        "no video of the calibration split has the {needed} unbroken frames of a clip: choose longer ones (--split)"
    )]
    NoCalibrationClips {
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// Training videos that are not those of the run.
    #[error(
        "the training videos of {root} are no longer those of the run (its calibration split: {}): name the data set folder that it was trained on",
        .calibration_split.join(", ")
    )]
    OtherVideos {
        /// The data set's folder.
        root: Utf8PathBuf,
        /// The videos of the run's calibration split.
        calibration_split: Vec<String>,
    },
    /// Weights without a calibration, where something needs one.
    #[error(
        "{path} has no calibration, which {purpose} needs: `msn weights calibrate {path} NORMAL_VIDEOS` adds one"
    )]
    Uncalibrated {
        /// Path of the weights file.
        path: Utf8PathBuf,
        /// What is to be done with it, as in "the overlay".
        purpose: &'static str,
    },
    /// A training that left the range of finite losses.
    #[error("{source}; network and optimiser as they then were: {state}")]
    Diverged {
        /// The step, the loss and the clips.
        source: Box<TrainError>,
        /// Path of the checkpoint that holds them; it is not gone on from.
        state: Utf8PathBuf,
    },
    /// A test video whose outputs could not be named after it.
    #[error("{path} can't be evaluated: {reason}")]
    LongName {
        /// The test video.
        path: Utf8PathBuf,
        /// How long its name may be.
        reason: String,
    },
    /// An output whose path the system does not take.
    #[error(
        "{path} would be a path of {bytes} bytes, more than {limit}: give a folder nearer to the root (--out)"
    )]
    LongPath {
        /// The file that would be written.
        path: Utf8PathBuf,
        /// Its bytes, with the folders above it and what is added while it is written.
        bytes: usize,
        /// What the system takes.
        limit: usize,
    },
    /// A source that is too short for one score.
    #[error("{path} has {frames} frames, too few for one score: {needed} unbroken ones are needed")]
    TooShort {
        /// The video file or folder of frames.
        path: Utf8PathBuf,
        /// Frames that it has, at the network's rate.
        frames: usize,
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// An overlay video that would take the place of a video.
    #[error("the overlay would write over the video {path}: give another folder")]
    OverlayOverSource {
        /// Path of the video.
        path: Utf8PathBuf,
    },
    /// An output file that is a folder.
    #[error("{path} is a folder: give a file to write")]
    OutputFolder {
        /// The folder.
        path: Utf8PathBuf,
    },
    /// An output that would take the place of an input.
    #[error("{path} would write over the input {input}: give another file")]
    OutputOverInput {
        /// The output.
        path: Utf8PathBuf,
        /// The input.
        input: Utf8PathBuf,
    },
    /// A table of scores that another process writes.
    #[error("another process writes {path}: wait for it, or give another file")]
    OutputLocked {
        /// The table.
        path: Utf8PathBuf,
    },
    /// A folder that holds no run.
    #[error("{path} is no folder: name run folders, or one that holds them")]
    NoFolder {
        /// As it was given.
        path: Utf8PathBuf,
    },
    /// The observer asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A network can't be made where it was to be computed.
    #[error(transparent)]
    Device(DeviceError),
    /// A value that JSON lacks.
    #[error("{path} can't be written as JSON: {source}")]
    Json {
        /// Where it was to be written.
        path: Utf8PathBuf,
        /// The value, such as a number that is not finite.
        source: serde_json::Error,
    },
    /// A picture that can't be made.
    #[error("a picture can't be made: {0}")]
    Picture(#[from] image::ImageError),
    /// Data sets and their labels.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Videos.
    #[error(transparent)]
    Video(#[from] VideoError),
    /// Frames that do not fit a network.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// Weights files.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Calibration files.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// Checkpoints.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The training loop.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Scores and metrics.
    #[error(transparent)]
    Eval(#[from] EvalError),
}

impl RunError {
    /// For a file that can't be read.
    pub(crate) fn read(path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let error = ReadError::at(path);
        |source| Self::Read(error(source))
    }

    /// For a file that can't be written.
    pub(crate) fn write(path: impl Into<Utf8PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let error = WriteError::at(path);
        |source| Self::Write(error(source))
    }
}
