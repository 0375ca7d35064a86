//! What the command line says of footage, and the commands of `msn data`.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, Subcommand};
use msn_data::{DataSet, FrameStore, OpenOptions, PassedOver, Video};
use msn_run::RunData;

use super::NumberError;
use crate::Usage;

/// How a data set's folders are read.
#[derive(Debug, Args)]
pub(crate) struct LayoutArgs {
    /// Layout of the data set [default: recognised]
    #[arg(long)]
    pub layout: Option<String>,
}

impl LayoutArgs {
    /// How a data set is opened whose folders of frames have `folder_hz`.
    ///
    /// # Errors
    /// [`Usage`] for a layout that does not exist.
    pub fn options(&self, folder_hz: Option<f64>) -> Result<OpenOptions, Usage> {
        let parse = |l: &String| l.parse().map_err(|e| Usage(format!("--layout {l}: {e}")));
        Ok(OpenOptions {
            layout: self.layout.as_ref().map(parse).transpose()?,
            folder_hz,
            ..OpenOptions::default()
        })
    }
}

/// How a data set is read.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    pub layout: LayoutArgs,
    /// Frame labels [default: found by their conventional place]
    #[arg(long, value_name = "PATH")]
    pub labels: Option<Utf8PathBuf>,
}

impl SourceArgs {
    /// How the data set is opened.
    ///
    /// # Errors
    /// [`Usage`] for a layout that does not exist.
    pub fn options(&self, folder_hz: Option<f64>) -> Result<OpenOptions, Usage> {
        Ok(OpenOptions {
            labels: self.labels.clone(),
            ..self.layout.options(folder_hz)?
        })
    }

    /// These, and where they are not given those that a run was begun with.
    pub fn or_as_begun(&self, begun: Option<&RunData>) -> Self {
        let layout = || begun?.layout.clone();
        let labels = || begun?.labels.clone();
        Self {
            layout: LayoutArgs {
                layout: self.layout.layout.clone().or_else(layout),
            },
            labels: self.labels.clone().or_else(labels),
        }
    }

    /// Opens a data set and says nothing.
    pub fn open_quietly(&self, data: &Utf8Path, folder_hz: Option<f64>) -> Result<DataSet> {
        Ok(DataSet::open(data, &self.options(folder_hz)?)?)
    }

    /// Opens a data set and says what a user should know of it.
    pub fn open(&self, data: &Utf8Path, folder_hz: Option<f64>) -> Result<DataSet> {
        let set = self.open_quietly(data, folder_hz)?;
        for warning in &set.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(set)
    }
}

/// The videos that arguments name; says what lies in their folders and is not used.
///
/// # Errors
/// Those of [`msn_data::find_sources`].
pub(crate) fn sources(arguments: &[String]) -> Result<Vec<Video>> {
    let found = msn_data::find_sources(arguments)?;
    let mut notable = found.passed_over;
    notable.retain(PassedOver::is_notable);
    for sentence in PassedOver::sentences(&notable) {
        eprintln!("warning: {sentence}");
    }
    Ok(found.videos)
}

/// What folders of frames lack.
#[derive(Debug, Args)]
pub(crate) struct FpsArgs {
    /// Frames a second of frame folders [default: rate_hz in the data set's dataset.toml, else their frames have no times]
    #[arg(long, value_name = "HZ", value_parser = frames_per_second)]
    pub fps: Option<f64>,
}

/// Where decoded frames are stored.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Memory for decoded frames, such as 4GiB or 500MB; what does not fit goes to the cache
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub memory: bytesize::ByteSize,
    /// Folder for frames that do not fit into memory, safe to delete, or none: then they are decoded again and again [default: msn/frames in the user's cache folder]
    #[arg(long, value_name = "DIR|none")]
    pub cache: Option<Utf8PathBuf>,
}

impl StoreArgs {
    /// The store that is asked for.
    pub fn store(&self) -> FrameStore {
        let cache = match &self.cache {
            Some(path) if path == "none" => None,
            Some(path) => Some(path.clone()),
            None => user_cache(),
        };
        FrameStore::new(self.memory.as_u64(), cache)
    }
}

/// `msn/frames` in the user's cache folder.
fn user_cache() -> Option<Utf8PathBuf> {
    let folder = |name: &str| std::env::var(name).ok().filter(|path| !path.is_empty());
    let caches = folder("XDG_CACHE_HOME").or_else(|| folder("LOCALAPPDATA"));
    let caches = caches.map(Utf8PathBuf::from);
    let caches = caches.or_else(|| Some(Utf8PathBuf::from(folder("HOME")?).join(".cache")));
    Some(caches?.join("msn/frames"))
}

pub(super) fn frames_per_second(text: &str) -> Result<f64, NumberError> {
    let value: f64 = text.parse()?;
    match value > 0.0 && value <= 1000.0 {
        true => Ok(value),
        false => Err(NumberError::Range("a number above 0 and up to 1000")),
    }
}

#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// Data set folder
    pub dir: Utf8PathBuf,
    /// Port of the page on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Scores whose curve is drawn: a run folder, or what `msn metrics` reads [default: those of the newest run on the data set in runs]
    #[arg(long, value_name = "PATH")]
    pub scores: Option<Utf8PathBuf>,
    /// Column of the scores [default: score, else the only score column, else fair]
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    #[command(flatten)]
    pub layout: LayoutArgs,
    #[command(flatten)]
    pub fps: FpsArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Make the synthetic scene: a plaza with walkers and labelled anomalies
    Synth {
        /// Folder to make
        dir: Utf8PathBuf,
        /// The same seed gives the same frames
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Training clips
        #[arg(long, value_name = "N")]
        train: Option<usize>,
        /// Test clips
        #[arg(long, value_name = "N")]
        test: Option<usize>,
        /// Seconds of a clip
        #[arg(long)]
        seconds: Option<f64>,
        /// Write folders of frames instead of video files
        #[arg(long)]
        frames: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Draw the calibration split, as a file for `msn train --split`
    Split {
        /// Data set folder
        dir: Utf8PathBuf,
        /// The same seed draws the same videos
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// TOML file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<Utf8PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Mark anomalies of test videos on a timeline, in a page on this machine; writes events.csv
    Label(LabelArgs),
    /// Say what a folder is recognised as, and what is wrong with it
    Check {
        /// Data set folder
        dir: Utf8PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        fps: FpsArgs,
    },
}
