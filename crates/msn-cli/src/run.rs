//! Run folders and weights files.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::{Context as _, Result, anyhow};
use burn::tensor::backend::{AutodiffBackend, Backend};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{Color, DataSet, FrameStore, LoadOptions, OpenOptions, Size};
use msn_eval::{Fair, Scorer};
use msn_model::{CpuNet, Meta, OnDevice, Precision, Predictor, Weights};
use msn_train::{Checkpoint, Choose, Settings};
use serde::{Deserialize, Serialize};

use crate::{
    Usage,
    args::{KeepArgs, LayoutArgs, PlaceArgs, SourceArgs},
    device::{Job, on},
};

/// `run.json`: what a run was made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunCard {
    /// `msn-run-1`.
    pub format: String,
    pub command: String,
    pub seed: u64,
    pub device: String,
    /// How the CPU computed, where it did.
    #[serde(default)]
    pub kernels: Option<String>,
    /// Steps after which the training was resumed.
    #[serde(default)]
    pub resumed_at: Vec<usize>,
    pub data: RunData,
    pub versions: BTreeMap<String, String>,
    /// Seconds from start to finished evaluation; absent while training.
    pub seconds: Option<f64>,
}

/// The data a run was trained on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunData {
    pub name: String,
    /// As given on the command line, made absolute.
    pub path: Utf8PathBuf,
    /// Hash of the decoded training frames.
    pub hash: String,
    pub training_videos: usize,
    pub training_frames: usize,
    /// Names of the videos (with frames) that were held out.
    pub held_out: Vec<String>,
}

impl RunCard {
    pub fn read(folder: &Utf8Path) -> Result<Self> {
        let path = folder.join("run.json");
        let text = std::fs::read_to_string(&path).map_err(|e| anyhow!("can't read {path}: {e}"))?;
        serde_json::from_str(&text).map_err(|e| anyhow!("{path} is no run card: {e}"))
    }
}

/// Weights that were found by a run folder or a file.
pub(crate) struct Found {
    pub path: Utf8PathBuf,
    pub weights: Weights,
    /// The run folder, where one was given.
    pub run: Option<Utf8PathBuf>,
}

/// The weights file that a run is evaluated with.
fn chosen(run: &Utf8Path) -> &'static str {
    let config = std::fs::read_to_string(run.join("config.toml"));
    let settings = config.ok().and_then(|text| Settings::from_toml(&text).ok());
    match settings.map_or(Choose::Last, |settings| settings.train.choose) {
        Choose::Last => "last.safetensors",
        Choose::Best => "best.safetensors",
    }
}

/// Reads the weights of a run folder, or a weights file.
pub(crate) fn find(path: &Utf8Path) -> Result<Found> {
    let file = weights_file(path)?;
    Ok(Found {
        weights: Weights::read(&file)?,
        run: path.is_dir().then(|| path.to_owned()),
        path: file,
    })
}

/// The weights file of a run folder, or the path itself.
pub(crate) fn weights_file(path: &Utf8Path) -> Result<Utf8PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let file = path.join("weights").join(chosen(path));
    if !file.exists() {
        let name = file.strip_prefix(path).unwrap_or(&file);
        return Err(anyhow!("{path} is no finished run: it has no {name}"));
    }
    Ok(file)
}

/// A network on a device, ready to evaluate.
pub(crate) fn predictor(
    found: &Found,
    place: &PlaceArgs,
    precision: Precision,
) -> Result<Box<dyn Predictor>> {
    if let Some(method) = place.method(precision)? {
        let net = CpuNet::new(&found.weights.meta.config, &found.weights.tensors, method);
        return Ok(Box::new(net.map_err(|e| anyhow!("{}: {e}", found.path))?));
    }
    struct Load<'a>(&'a Found);
    impl Job for Load<'_> {
        type Output = Box<dyn Predictor>;

        fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Box<dyn Predictor>> {
            fn load<B: Backend>(found: &Found, device: &B::Device) -> Result<Box<dyn Predictor>> {
                let net = found.weights.net::<B>(&found.path, device)?;
                Ok(Box::new(OnDevice {
                    net,
                    device: device.clone(),
                }))
            }
            load::<B::InnerBackend>(self.0, device)
        }
    }
    on(place.device, Load(found))
}

/// How scores are read from a network with this metadata.
pub(crate) fn scorer<'a>(predictor: &'a dyn Predictor, meta: &Meta) -> Scorer<'a> {
    let [height, width] =
        [meta.input.height, meta.input.width].map(|v| usize::try_from(v).unwrap_or(usize::MAX));
    let fair = meta
        .calibration
        .as_ref()
        .map_or_else(|| Fair::for_size(height, width), Fair::from);
    Scorer {
        predictor,
        stride: meta.input.stride,
        fair,
    }
}

/// Frames as weights with this metadata want them, those of folders at `folder_hz`.
pub(crate) fn load_options(meta: &Meta, folder_hz: Option<f64>) -> LoadOptions {
    LoadOptions {
        size: Size {
            height: meta.input.height,
            width: meta.input.width,
        },
        color: color(meta.config.channels),
        rate_hz: meta.input.rate(),
        folder_hz,
    }
}

/// Where the command line has decoded frames stored.
pub(crate) fn frame_store(args: &KeepArgs) -> FrameStore {
    let folder = |name: &str| std::env::var(name).ok().filter(|path| !path.is_empty());
    let own = || {
        let caches = folder("XDG_CACHE_HOME").or_else(|| folder("LOCALAPPDATA"));
        let caches = caches.map(Utf8PathBuf::from);
        let caches = caches.or_else(|| Some(Utf8PathBuf::from(folder("HOME")?).join(".cache")));
        Some(caches?.join("msn/frames"))
    };
    let cache = match &args.cache {
        Some(path) if path == "none" => None,
        Some(path) => Some(path.clone()),
        None => own(),
    };
    FrameStore::new(args.memory.as_u64(), cache)
}

pub(crate) fn color(channels: usize) -> Color {
    if channels == 3 {
        Color::Rgb
    } else {
        Color::Grey
    }
}

/// What the command line says of a data set.
pub(crate) fn open_options(source: &SourceArgs, folder_hz: Option<f64>) -> Result<OpenOptions> {
    Ok(OpenOptions {
        labels: source.labels.clone(),
        folder_hz,
        ..with_layout(&source.layout)?
    })
}

/// What the command line says of a data set's folders.
pub(crate) fn with_layout(args: &LayoutArgs) -> Result<OpenOptions> {
    let parse = |l: &String| l.parse().map_err(|e| Usage(format!("--layout {l}: {e}")));
    Ok(OpenOptions {
        layout: args.layout.as_ref().map(parse).transpose()?,
        ..OpenOptions::default()
    })
}

/// Opens a data set and says what a user should know of it.
pub(crate) fn open(
    data: &Utf8Path,
    source: &SourceArgs,
    folder_hz: Option<f64>,
) -> Result<DataSet> {
    let set = DataSet::open(data, &open_options(source, folder_hz)?)?;
    for warning in &set.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(set)
}

/// Makes `runs/<data>/<preset>/vN`, the first N that is free, or takes `out`, which must be empty.
pub(crate) fn make_folder(out: Option<&Utf8Path>, data: &str, preset: &str) -> Result<Utf8PathBuf> {
    if let Some(out) = out {
        let failed = |e: std::io::Error| anyhow!("can't write {out}: {e}");
        std::fs::create_dir_all(out).map_err(failed)?;
        if out.read_dir_utf8().map_err(failed)?.next().is_some() {
            return Err(anyhow!(
                "{out} is not empty: give --out a new folder, or --resume to go on with a run"
            ));
        }
        return Ok(out.to_owned());
    }
    let parent = Utf8PathBuf::from("runs").join(data).join(preset);
    std::fs::create_dir_all(&parent).map_err(|e| anyhow!("can't write {parent}: {e}"))?;
    for n in 1.. {
        let folder = parent.join(format!("v{n}"));
        match std::fs::create_dir(&folder) {
            Ok(()) => {
                link_latest(&parent, &format!("v{n}"));
                return Ok(folder);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(anyhow!("can't write {folder}: {e}")),
        }
    }
    unreachable!("folders are numbered without end")
}

/// The folder of the run to go on with: `out`, or the newest of this data set and preset. A new one
/// where there is none.
pub(crate) fn resume_folder(
    out: Option<&Utf8Path>,
    data: &str,
    preset: &str,
) -> Result<Utf8PathBuf> {
    match existing(out, data, preset)? {
        Some(folder) => Ok(folder),
        None => make_folder(out, data, preset),
    }
}

/// Steps of the newest checkpoint to go on from; 0 where there is none.
pub(crate) fn steps_at_hand(out: Option<&Utf8Path>, data: &str, preset: &str) -> Result<usize> {
    let Some(folder) = existing(out, data, preset)? else {
        return Ok(0);
    };
    // What is wrong with it is told when it is read to go on from.
    let newest = Checkpoint::newest(&folder.join("checkpoints"))
        .ok()
        .flatten();
    Ok(newest.map_or(0, |newest| newest.checkpoint.progress.steps))
}

/// The folder of the run to go on with, where there is one.
fn existing(out: Option<&Utf8Path>, data: &str, preset: &str) -> Result<Option<Utf8PathBuf>> {
    let parent = Utf8PathBuf::from("runs").join(data).join(preset);
    Ok(match out {
        Some(out) if out.is_dir() => {
            let of_a_run = |name: &str| out.join(name).exists();
            if out.read_dir_utf8()?.next().is_some()
                && !["config.toml", "run.lock"].into_iter().any(of_a_run)
            {
                return Err(anyhow!(
                    "{out} is no run folder (it has no config.toml): give --out the run to resume"
                ));
            }
            Some(out.to_owned())
        }
        Some(_) => None,
        None => parent
            .join("latest")
            .read_link_utf8()
            .ok()
            .map(|v| parent.join(v)),
    })
}

/// The card of a run that was begun in this folder, if one was.
///
/// # Errors
/// Where it has other settings, and which.
pub(crate) fn begun(
    folder: &Utf8Path,
    settings: &Settings,
    now: &RunCard,
) -> Result<Option<RunCard>> {
    let path = folder.join("config.toml");
    let Ok(then) = std::fs::read_to_string(&path) else {
        return Ok(None);
    };
    let ours = settings.to_toml();
    if let Some((then, ours)) = then.lines().zip(ours.lines()).find(|(a, b)| a != b) {
        return Err(anyhow!(
            "{folder} was begun with `{then}`, not `{ours}`: resume it with its own settings ({path})"
        ));
    }
    if !folder.join("run.json").exists() {
        return Ok(None);
    }
    let card = RunCard::read(folder)?;
    if (&card.device, &card.kernels) != (&now.device, &now.kernels) {
        eprintln!(
            "warning: {folder} was begun on another device: its weights will differ in their last bits"
        );
    }
    Ok(Some(card))
}

/// A run folder that no other process may train in.
pub(crate) struct Lock {
    path: Utf8PathBuf,
    _file: std::fs::File,
}

impl Lock {
    pub fn take(folder: &Utf8Path) -> Result<Self> {
        let path = folder.join("run.lock");
        let file = std::fs::File::create(&path).map_err(|e| anyhow!("can't write {path}: {e}"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(anyhow!(
                "another process trains in {folder}: wait for it, or give --out another folder"
            )),
            Err(std::fs::TryLockError::Error(e)) => Err(anyhow!("can't lock {path}: {e}")),
        }
    }

    /// Leaves no file behind.
    pub fn release(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Points `latest` at the newest run; a system without links goes without.
fn link_latest(parent: &Utf8Path, newest: &str) {
    #[cfg(unix)]
    {
        let link = parent.join("latest");
        let fresh = parent.join(format!(".latest-{newest}"));
        if std::os::unix::fs::symlink(newest, &fresh).is_ok()
            && std::fs::rename(&fresh, &link).is_err()
        {
            let _ = std::fs::remove_file(&fresh);
        }
    }
    #[cfg(not(unix))]
    let _ = (parent, newest);
}

/// Versions of what computes.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let entries = [
        ("msn", env!("CARGO_PKG_VERSION")),
        ("burn", "0.21.0"),
        ("target", std::env::consts::ARCH),
    ];
    let mut all: BTreeMap<String, String> =
        entries.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    all.insert("os".into(), std::env::consts::OS.into());
    all
}

/// The command line, as a user would type it again.
pub(crate) fn command_line() -> String {
    let mut words = std::env::args();
    let _ = words.next();
    let mut line = "msn".to_owned();
    for word in words {
        let plain = word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_=.,/:".contains(c))
            && !word.is_empty();
        let _ = if plain {
            write!(line, " {word}")
        } else {
            write!(line, " '{}'", word.replace('\'', r"'\''"))
        };
    }
    line
}

/// JSON for a file, ending in a newline.
pub(crate) fn json(value: &impl Serialize) -> Result<String> {
    Ok(serde_json::to_string_pretty(value).context("JSON can't hold this")? + "\n")
}
