//! What the command line takes.

mod data;

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand};

use msn_model::{Isa, Kernels, Method, Precision};

pub(crate) use data::{DataCommand, FpsArgs, KeepArgs, LayoutArgs, SourceArgs};

use crate::{Usage, device::Device};

/// Video anomaly detection: learns what is normal in a fixed camera's footage, tells what is not.
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
    /// Put anomalies into held-out normal footage and say which are found: no test label is needed
    Selftest(SelftestArgs),
    /// Compare this build with a golden case, tensor by tensor, on Burn's own operations unless --kernels is given
    Verify(VerifyArgs),
    /// Figures of any method's scores: a CSV with labels, or a JSON of scores or regions
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
    /// List finished and unfinished runs with their figures and the settings in which they differ
    Runs(RunsArgs),
    /// Say what this machine and this build have: processor, libraries, devices
    Doctor(DoctorArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Data set folder [default: a small synthetic scene, made on the spot]
    pub data: Option<Utf8PathBuf>,
    /// Settings as key=value, such as epochs=8 pools=1,3 or pools=none; `msn train --help-settings` lists them
    #[arg(value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// tiny (demo), cpu (two cores, minutes) or paper (a GPU)
    #[arg(long, default_value = "tiny", help_heading = "Training")]
    pub preset: String,
    /// Hours that training may take; the schedule is shortened to end in time. The same as hours=H
    #[arg(long, value_name = "H", help_heading = "Training")]
    pub hours: Option<f64>,
    /// List the settings with this preset's values, and stop
    #[arg(long, help_heading = "Training")]
    pub help_settings: bool,
    /// Say what a training would be: settings, size, expected time and memory, and stop
    #[arg(long, help_heading = "Training")]
    pub dry_run: bool,
    #[command(flatten, next_help_heading = "Device")]
    pub place: PlaceArgs,
    /// Run folder [default: runs/DATA/PRESET/vN]
    #[arg(long, value_name = "DIR", help_heading = "Run folder")]
    pub out: Option<Utf8PathBuf>,
    /// Go on with an interrupted run: the newest of this data set and preset, or that of --out
    #[arg(long, help_heading = "Run folder")]
    pub resume: bool,
    /// Minutes between two checkpoints
    #[arg(long, value_name = "M", default_value_t = 5.0, value_parser = minutes, help_heading = "Run folder")]
    pub checkpoint_minutes: f64,
    /// Also save a checkpoint every N steps
    #[arg(long, value_name = "N", help_heading = "Run folder")]
    pub checkpoint_steps: Option<NonZeroUsize>,
    /// Which training videos are held out, as `msn data split` wrote it [default: drawn by the seed]
    #[arg(long, value_name = "FILE", help_heading = "Data")]
    pub split: Option<Utf8PathBuf>,
    #[command(flatten, next_help_heading = "Data")]
    pub source: SourceArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub fps: FpsArgs,
    #[command(flatten, next_help_heading = "Data")]
    pub keep: KeepArgs,
}

/// Where and how to compute.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlaceArgs {
    /// flex, ndarray, cuda (cuda:N with a number; in several processes each takes its own) or wgpu, where compiled in
    #[arg(long, default_value_t)]
    pub device: Device,
    /// How flex computes convolutions: plain (Burn's own), direct or fast [default: fast]
    #[arg(long, value_name = "KIND")]
    pub kernels: Option<Kernels>,
    /// Instruction set of direct and fast: avx512, avx2 or portable [default: the best there is]
    #[arg(long, value_name = "SET", value_parser = Isa::named)]
    pub isa: Option<Isa>,
}

/// What predictions are computed in.
#[derive(Debug, Args)]
pub(crate) struct PrecisionArgs {
    /// What direct and fast multiply in: f32, or bf16 where the processor has AVX-512 BF16
    #[arg(long, value_name = "f32|bf16", default_value_t)]
    pub precision: Precision,
}

fn minutes(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "give a number".to_owned())?;
    if (0.0..=1e6).contains(&value) {
        Ok(value)
    } else {
        Err("give 0 to 1000000".to_owned())
    }
}

impl PlaceArgs {
    /// How the CPU computes, where it does.
    pub fn kernels(&self) -> Option<Kernels> {
        let flex = self.device == Device::Flex && cfg!(feature = "flex");
        flex.then(|| self.kernels.unwrap_or(Kernels::Fast))
    }

    /// How the project's own kernels are to compute, where they are.
    ///
    /// # Errors
    /// [`Usage`] where what was asked for by name can't be had.
    pub fn method(&self, precision: Precision) -> Result<Option<Method>, Usage> {
        let own = "what the kernels direct and fast of --device flex compute";
        let algorithm = match self.kernels() {
            Some(kernels) => kernels.algorithm(),
            None => match (self.device, self.kernels) {
                (_, None | Some(Kernels::Plain)) => None,
                (device, Some(kernels)) => {
                    return Err(Usage(format!(
                        "--kernels {kernels} computes on the CPU: leave out --device {device}"
                    )));
                }
            },
        };
        let Some(algorithm) = algorithm else {
            let asked = match (precision, self.isa) {
                (Precision::F32, None) => return Ok(None),
                (Precision::F32, Some(isa)) => format!("--isa {isa}"),
                (precision, _) => format!("--precision {precision}"),
            };
            let instead = match self.kernels {
                Some(kernels) => format!("--kernels {kernels}"),
                None => format!("--device {}", self.device),
            };
            return Err(Usage(format!("{asked} is {own}: leave out {instead}")));
        };
        let isa = self.isa.unwrap_or_else(Isa::detect);
        if !isa.computes_in(precision) {
            return Err(Usage(format!(
                "--precision {precision} needs AVX-512 BF16, which {} has not: leave it out",
                match self.isa {
                    Some(isa) => format!("--isa {isa}"),
                    None => "this processor".to_owned(),
                }
            )));
        }
        Ok(Some(Method {
            isa,
            algorithm,
            precision,
        }))
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
    /// Where to write scores, eval.json and report.html [default: the run folder]
    #[arg(long, value_name = "DIR")]
    pub out: Option<Utf8PathBuf>,
    /// Also write a video of each test video: heat of the fair score, labels, alarms, curve
    #[arg(long, value_name = "DIR")]
    pub overlay: Option<Utf8PathBuf>,
    /// Standard deviation, in frames, of a centred Gaussian over legacy scores
    #[arg(long, value_name = "SIGMA")]
    pub smooth: Option<f64>,
    /// Also measure these kinds of anomaly together, such as cyclist,cart
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    pub kinds: Vec<String>,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ScoreArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Video files, frame folders, folders of either, or globs such as 'cam*/**/*.mp4'
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<String>,
    /// CSV file [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub place: PlaceArgs,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
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
    /// Data set folder whose training part the memory is asked about [default: the run's own]
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
    pub keep: KeepArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Golden case
    pub file: Utf8PathBuf,
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Print JSON instead of the table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Scores as CSV or a folder of CSV files, or JSON with scores and labels or with regions
    pub file: Utf8PathBuf,
    /// Frame labels of a CSV's videos: a .npy file, or a folder of one per video
    pub labels: Option<Utf8PathBuf>,
    /// Column of the scores [default: score, else the only score column]
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// Print JSON instead of the table
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
    pub keep: KeepArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SelftestArgs {
    /// Run folder or weights file
    #[arg(value_name = "RUN|WEIGHTS")]
    pub weights: Utf8PathBuf,
    /// Data set folder that was trained on [default: that of the run]
    pub data: Option<Utf8PathBuf>,
    /// What is put where
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
    pub place: PlaceArgs,
    #[command(flatten)]
    pub precision: PrecisionArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
}

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
    /// Make a weights file of a PyTorch state dict (.safetensors, .pt) of this network
    Import {
        /// State dict
        file: Utf8PathBuf,
        /// Weights file to write
        #[arg(long, value_name = "FILE")]
        out: Utf8PathBuf,
        /// Settings that tensors do not tell, such as top_k=5 size=256 stride=1
        #[arg(value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Standardise the fair score of a weights file on normal footage it was not trained on
    Calibrate {
        /// Run folder or weights file; it is rewritten
        #[arg(value_name = "RUN|WEIGHTS")]
        weights: Utf8PathBuf,
        /// Normal videos: files, frame folders, or a data set folder (its training part)
        #[arg(required = true)]
        normal: Vec<String>,
        #[command(flatten)]
        layout: LayoutArgs,
        #[command(flatten)]
        fps: FpsArgs,
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        precision: PrecisionArgs,
        #[command(flatten)]
        keep: KeepArgs,
    },
}
