//! What the command line takes.

mod ablate;
mod data;
mod device;
mod evaluate;
mod train;
mod weights;

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

pub(crate) use ablate::AblateArgs;
pub(crate) use data::{
    DataCommand, FpsArgs, LabelArgs, LayoutArgs, SourceArgs, StoreArgs, sources,
};
pub(crate) use device::{DeviceArgs, PrecisionArgs};
pub(crate) use evaluate::{EvalArgs, ScoreArgs, SelftestArgs};
pub(crate) use train::TrainArgs;
pub(crate) use weights::{MemoryCommand, MemoryShowArgs, VerifyArgs, WeightsCommand};

/// A number on the command line that can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("give a number")]
    Syntax(#[from] std::num::ParseFloatError),
    #[error("give {0}")]
    Range(&'static str),
}

/// Video anomaly detection: learns what is normal in a fixed camera's footage and scores what is not.
#[derive(Debug, Parser)]
#[command(name = "msn", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Threads to compute with [default: all cores]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train on a data set's normal videos, score its test videos, evaluate both protocols
    Train(TrainArgs),
    /// Score and evaluate a data set's test videos with a finished run or a weights file
    Eval(EvalArgs),
    /// Score video files and frame folders; CSV out
    Score(ScoreArgs),
    /// Insert synthetic anomalies into normal footage and say which are detected: no test label is needed
    Selftest(SelftestArgs),
    /// Compare this build with a golden case, tensor by tensor, on Burn's own operations unless --kernels is given
    Verify(VerifyArgs),
    /// Metrics of any method's scores: a CSV with labels, or a JSON of scores or regions
    Metrics(MetricsArgs),
    /// Show what the memory pools have learned
    #[command(subcommand)]
    Memory(MemoryCommand),
    /// Show, import or calibrate weights files
    #[command(subcommand)]
    Weights(WeightsCommand),
    /// Make, check, split and label data sets
    #[command(subcommand)]
    Data(DataCommand),
    /// Train a grid of settings with several seeds each and compare them: tables and a plot
    Ablate(AblateArgs),
    /// List finished and unfinished runs with their metrics and the settings in which they differ
    Runs(RunsArgs),
    /// Say what this machine and this build have: processor, libraries, devices
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Scores: a CSV, .npy, .npz or .mat file, a folder of them such as a run's scores, or JSON with scores and labels or with regions
    #[arg(value_name = "SCORES")]
    pub file: Utf8PathBuf,
    /// Labels: events.csv, a .npy, .npz, .mat or CSV file, a folder of one per video, or a data set folder with events.csv [default: the scores' own column or array `label`]
    pub labels: Option<Utf8PathBuf>,
    /// Column or array of the scores, or several to compare [default: score, else the only score column, else fair]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub column: Vec<String>,
    /// Another method's scores of the same videos, to be compared with SCORES on the frames that all score
    #[arg(long, value_name = "[NAME=]PATH")]
    pub compare: Vec<String>,
    /// Frames a second, for labels in seconds and scores without a column `seconds`
    #[arg(long, value_name = "HZ", value_parser = data::frames_per_second)]
    pub fps: Option<f64>,
    /// Also measure the events above this score
    #[arg(long, value_name = "SCORE", allow_negative_numbers = true)]
    pub threshold: Option<f64>,
    /// Print JSON instead of the table, with the AUC of each video, ROC and precision-recall points, and events
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Run folders, or folders that hold them at any depth
    #[arg(default_value = "runs")]
    pub dirs: Vec<Utf8PathBuf>,
    /// Print JSON, with all settings
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreArgs,
}
