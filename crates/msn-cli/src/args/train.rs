//! What `msn train` takes.

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::Args;

use super::{DeviceArgs, FpsArgs, NumberError, SourceArgs, StoreArgs};

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Data set folder [default: a small synthetic scene, made on the spot]
    pub data: Option<Utf8PathBuf>,
    /// Settings as key=value, such as epochs=8 pools=1,3 or pools=none; `msn train --help-settings` lists them
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// tiny (demo), cpu (two cores, minutes) or paper (a GPU) [default: tiny]
    #[arg(long, help_heading = "Training")]
    pub preset: Option<String>,
    /// Hours that training may take; the schedule is shortened to end in time. The same as hours=H
    #[arg(long, value_name = "H", help_heading = "Training")]
    pub hours: Option<f64>,
    /// List the settings with this preset's values, what they are and what they take, and stop
    #[arg(long, help_heading = "Training")]
    pub help_settings: bool,
    /// Say what a training would be: settings, size, expected time and memory, and stop
    #[arg(long, help_heading = "Training")]
    pub dry_run: bool,
    /// Print the run's folder and its evaluation as JSON
    #[arg(long, help_heading = "Training", conflicts_with_all = ["help_settings", "dry_run"])]
    pub json: bool,
    #[command(flatten, next_help_heading = "Device")]
    pub device: DeviceArgs,
    /// Run folder [default: runs/DATA/PRESET/vN]
    #[arg(long, value_name = "DIR", help_heading = "Run folder")]
    pub out: Option<Utf8PathBuf>,
    /// Go on with an interrupted run, with its own data set and settings: the newest, or that of DATA, --preset or --out
    #[arg(long, help_heading = "Run folder")]
    pub resume: bool,
    /// Minutes between two checkpoints
    #[arg(long, value_name = "M", default_value_t = 5.0, value_parser = minutes, help_heading = "Run folder")]
    pub checkpoint_minutes: f64,
    /// Also save a checkpoint every N steps
    #[arg(long, value_name = "N", help_heading = "Run folder")]
    pub checkpoint_steps: Option<NonZeroUsize>,
    /// The calibration split, as `msn data split` wrote it [default: drawn by the seed]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub split: Option<Utf8PathBuf>,
    #[command(flatten, next_help_heading = "Data")]
    pub source: SourceArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub fps: FpsArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub store: StoreArgs,
}

fn minutes(text: &str) -> Result<f64, NumberError> {
    let value: f64 = text.parse()?;
    match (0.0..=1e6).contains(&value) {
        true => Ok(value),
        false => Err(NumberError::Range("0 to 1000000")),
    }
}
