//! What `msn ablate` takes.

use camino::Utf8PathBuf;
use clap::Args;

use super::{DeviceArgs, FpsArgs, SourceArgs, StoreArgs};

#[derive(Debug, Args)]
pub(crate) struct AblateArgs {
    /// Data set folder
    pub data: Utf8PathBuf,
    /// Settings of every run as key=value; a list key=a,b,c is a further axis of the grid
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Pools, an axis of the grid: none, or numbers joined by commas
    #[arg(long, num_args = 1.., default_values = ["none", "3", "2,3", "1,2,3"])]
    pub pools: Vec<String>,
    /// Seeds that every combination is trained with
    #[arg(long, num_args = 1.., default_values = ["0", "1", "2"])]
    pub seeds: Vec<String>,
    /// tiny, cpu or paper
    #[arg(long, default_value = "tiny")]
    pub preset: String,
    /// Folder of the grid: a run folder for each run, tables and the plot
    #[arg(long, value_name = "DIR", default_value = "runs/ablate")]
    pub out: Utf8PathBuf,
    /// Print the metrics of all runs as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten, next_help_heading = "Device")]
    pub device: DeviceArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub source: SourceArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub fps: FpsArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub store: StoreArgs,
}
