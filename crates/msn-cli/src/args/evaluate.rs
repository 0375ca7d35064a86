//! What the commands that score take.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use msn_run::{Model, RunError};

use crate::selected_device::SelectedDevice;

use super::{DeviceArgs, FpsArgs, LayoutArgs, PrecisionArgs, SourceArgs, StoreArgs};

/// The calibration that scores are standardised by, and where they are computed.
#[derive(Debug, Args)]
pub(crate) struct NetworkArgs {
    /// Calibration file, such as another camera's [default: that of the run folder or beside the weights]
    #[arg(long, value_name = "FILE")]
    pub calibration: Option<Utf8PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    precision: PrecisionArgs,
}

impl NetworkArgs {
    /// Reads weights with the calibration that is asked for.
    pub fn open(&self, weights: &Utf8Path) -> Result<Model, RunError> {
        match &self.calibration {
            Some(file) => Model::open_with(weights, file),
            None => Model::open(weights),
        }
    }

    /// The device that is asked for.
    pub fn device(&self) -> Result<SelectedDevice> {
        SelectedDevice::new(&self.device, self.precision.precision)
    }
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Data set folder [default: the run's own]
    pub data: Option<Utf8PathBuf>,
    /// Print eval.json instead of the table
    #[arg(long)]
    pub json: bool,
    /// Where to write scores, alarms, report.html and eval.json [default: the run folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// Also write a video of each test video: heat of the anomaly score, labels, alarms, curve
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<Utf8PathBuf>,
    /// Standard deviation, in frames, of a centred Gaussian over legacy scores
    #[arg(long, value_name = "SIGMA")]
    pub smooth: Option<f64>,
    /// Also measure these kinds of anomaly together, such as cyclist,cart
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    pub kinds: Vec<String>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Video files, frame folders, folders of either, or globs such as 'cam*/**/*.mp4'
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// CSV file [default: scores.csv in the folder of --report, else standard output]. It grows as FILE.partial, and the same command goes on where it was stopped
    #[arg(long, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    /// Also write a video of each source: heat of the anomaly score, alarms, curve
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<Utf8PathBuf>,
    /// Print the alarms as JSON, as alarms.json has them; the scores go to --out or --report alone
    #[arg(long)]
    pub json: bool,
    /// Folder for report.html with a picture of each alarm, alarms.csv and alarms.json
    #[arg(long, value_name = "DIR")]
    pub report: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Data set folder that was trained on [default: that of the run]
    pub data: Option<Utf8PathBuf>,
    /// What is inserted where
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub store: StoreArgs,
}
