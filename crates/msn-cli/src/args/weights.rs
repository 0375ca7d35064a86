//! What the commands take that look into weights.

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::{DeviceArgs, FpsArgs, LayoutArgs, PrecisionArgs, SourceArgs, StoreArgs};
use crate::device::Device;

#[derive(Debug, Subcommand)]
pub(crate) enum WeightsCommand {
    /// Show settings, calibration, origin and tensors of a weights file
    Show {
        /// Run folder, weights file, or any safetensors file
        file: Utf8PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a weights file of a PyTorch state dict (.safetensors, or .pt where the feature `pytorch` is built in) of this network; prefixes of names such as `module.` are taken off
    Import {
        /// State dict
        file: Utf8PathBuf,
        /// Weights file to write
        #[arg(long, value_name = "FILE")]
        out: Utf8PathBuf,
        /// Settings that the tensors' shapes do not determine, such as top_k=5 size=256 stride=1
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
        /// Print what was inferred as JSON
        #[arg(long)]
        json: bool,
    },
    /// Standardise the anomaly score of a network on normal footage it was not trained on
    Calibrate {
        /// Run folder or weights file; it stays as it is
        #[arg(value_name = "RUN|WEIGHTS")]
        weights: Utf8PathBuf,
        /// Calibration file to write [default: calibration.json of the run folder, NAME.calibration.json beside weights NAME.safetensors]
        #[arg(long, value_name = "FILE")]
        out: Option<Utf8PathBuf>,
        /// Normal videos: files, frame folders, or a data set folder (its training part)
        #[arg(required = true)]
        normal: Vec<String>,
        #[command(flatten)]
        layout: LayoutArgs,
        #[command(flatten)]
        fps: FpsArgs,
        #[command(flatten)]
        device: DeviceArgs,
        #[command(flatten)]
        precision: PrecisionArgs,
        #[command(flatten)]
        store: StoreArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MemoryCommand {
    /// Each pool's items: how training frames use them, which places are most like them, how alike they are
    Show(MemoryShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MemoryShowArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Data set folder whose training part is looked up in the memory [default: the run's own]
    pub data: Option<Utf8PathBuf>,
    /// Also write a page with pictures of the places that are most like each item
    #[arg(long, value_name = "FILE")]
    pub html: Option<Utf8PathBuf>,
    /// Print JSON, with all cosines and places
    #[arg(long)]
    pub json: bool,
    /// At most so many training clips, spread evenly
    #[arg(long, value_name = "N", default_value = "500")]
    pub clips: NonZeroUsize,
    /// At most so many places of each item
    #[arg(long, value_name = "N", default_value = "8")]
    pub patches: NonZeroUsize,
    /// flex, ndarray, cuda:0 or wgpu, where compiled in
    #[arg(long, default_value_t)]
    pub device: Device,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Golden case
    pub file: Utf8PathBuf,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}
