//! `msn train`.

use std::{
    collections::BTreeMap,
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use burn::tensor::backend::AutodiffBackend;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    HoldOut, LoadOptions, LoadedVideo, Segment, Size, clips, data_hash, hold_out, load_all,
};
use msn_eval::write_file;
use msn_model::{Meta, WEIGHTS_FORMAT, Weights};
use msn_train::{BurnEngine, CpuEngine, Engine, Event, Preset, Settings, StepReport, TrainError};

use crate::{
    Usage,
    args::TrainArgs,
    data,
    device::{Job, on},
    eval::{Request, evaluate},
    figures,
    run::{self, Found, RunCard, RunData},
};

/// Time between two progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    let began = Instant::now();
    let (data, settings) = resolve(args)?;
    if args.help_settings {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let mut engine = on(args.place.device, Fresh(&settings))?;
    if let Some(algorithm) = args.place.algorithm()? {
        engine = Box::new(CpuEngine::new(&settings, &engine.tensors(), algorithm)?);
    }
    let data = match data {
        Some(data) => data,
        None => data::demo_scene(settings.train.seed)?,
    };
    let set = run::open(&data, &args.source)?;
    if set.train.is_empty() {
        return Err(anyhow!(
            "{data} has no training videos: the layout `{}` keeps them in its training folder",
            set.layout
        ));
    }
    let size = Size {
        height: settings.input.height,
        width: settings.input.width,
    };
    eprintln!(
        "reading {} training videos of {} ({})",
        set.train.len(),
        set.name,
        set.layout
    );
    let videos = load_all(
        &set.train,
        &LoadOptions {
            size,
            color: run::color(settings.net.channels),
        },
    )?;
    data::warn(&videos);
    let stride = settings.input.stride;
    let held = hold_out(&videos, settings.net.frames, stride, settings.train.seed);
    let needed = settings.net.frames * stride + 1;
    if clips(&held.train, settings.net.frames, stride).is_empty() {
        return Err(TrainError::NoClips { needed }.into());
    }
    // Labels that do not fit are better known now than after an hour.
    let color = run::color(settings.net.channels);
    for (video, loaded) in set
        .test
        .iter()
        .zip(load_all(&set.test, &LoadOptions { size, color })?)
    {
        video
            .labels
            .as_ref()
            .map(|l| l.resolve(&loaded))
            .transpose()?;
    }
    let folder = run::make_folder(args.out.as_deref(), &set.name, &settings.preset.to_string())?;
    let mut card = card(args, &settings, &set, &data, &videos, &held);
    write_file(&folder.join("config.toml"), settings.to_toml().as_bytes())?;
    write_file(&folder.join("run.json"), run::json(&card)?.as_bytes())?;
    eprintln!(
        "held out for calibration: {}",
        card.data.held_out.join(", ")
    );

    let mut log = Log::create(&folder, &settings.net.pools)?;
    let mut watch = |event: Event<'_>| log.take(event).map_err(|e| e.to_string());
    msn_train::train(&settings, &videos, &held.train, engine.as_mut(), &mut watch)?;
    log.finish()?;
    let path = folder.join("weights/last.safetensors");
    let weights = Weights {
        meta: meta(&settings, &card),
        tensors: engine.tensors(),
    };
    drop(engine);
    let mut found = Found {
        path: path.clone(),
        weights,
        run: Some(folder.clone()),
    };
    eprintln!("calibrating on held-out videos");
    let predictor = run::predictor(&found, &args.place)?;
    let scorer = run::scorer(predictor.as_ref(), &found.weights.meta);
    found.weights.meta.calibration = Some(scorer.calibrate(&videos, &held.held)?);
    std::fs::create_dir_all(folder.join("weights"))
        .map_err(|e| anyhow!("can't write {folder}/weights: {e}"))?;
    found.weights.write(&path)?;
    drop((predictor, videos));

    if set.test.is_empty() {
        eprintln!("{data} has no test videos: nothing to evaluate");
    } else {
        let found = run::find(&folder)?;
        let request = Request {
            found: &found,
            set: &set,
            place: &args.place,
            out: Some(&folder),
            smooth: None,
            groups: Vec::new(),
            seed: Some(settings.train.seed),
        };
        if let Some(evaluation) = evaluate(&request)? {
            print!("{}", figures::table(&evaluation));
        }
    }
    card.seconds = Some(began.elapsed().as_secs_f64());
    write_file(&folder.join("run.json"), run::json(&card)?.as_bytes())?;
    println!("run folder: {folder}");
    Ok(())
}

/// The data folder and the settings that the command line asks for.
fn resolve(args: &TrainArgs) -> Result<(Option<Utf8PathBuf>, Settings)> {
    let usage = |e: msn_train::SettingsError| Usage(e.to_string());
    let preset: Preset = args.preset.parse().map_err(usage)?;
    let mut settings = Settings::preset(preset);
    // `msn train epochs=2` has no data folder, unless one of that name is there.
    let mut data = args.data.clone();
    let mut texts: Vec<&str> = args.settings.iter().map(String::as_str).collect();
    if let Some(first) = &args.data
        && first.as_str().contains('=')
        && !first.exists()
    {
        data = None;
        texts.insert(0, first.as_str());
    }
    for text in texts {
        settings.set(text).map_err(usage)?;
    }
    settings.check().map_err(usage)?;
    Ok((data, settings))
}

fn card(
    args: &TrainArgs,
    settings: &Settings,
    set: &msn_data::DataSet,
    data: &Utf8Path,
    videos: &[LoadedVideo],
    held: &HoldOut,
) -> RunCard {
    let part = |s: &Segment| match &videos[s.video] {
        v if v.frames() == s.frames.len() => v.name.clone(),
        v => format!("{} frames {} to {}", v.name, s.frames.start, s.frames.end),
    };
    RunCard {
        format: "msn-run-1".into(),
        command: run::command_line(),
        seed: settings.train.seed,
        device: args.place.device.to_string(),
        data: RunData {
            name: set.name.clone(),
            path: data.canonicalize_utf8().unwrap_or_else(|_| data.to_owned()),
            hash: data_hash(videos),
            training_videos: videos.len(),
            training_frames: videos.iter().map(LoadedVideo::frames).sum(),
            held_out: held.held.iter().map(part).collect(),
        },
        versions: run::versions(),
        seconds: None,
    }
}

fn meta(settings: &Settings, card: &RunCard) -> Meta {
    let origin = [
        ("data", card.data.name.clone()),
        ("data_hash", card.data.hash.clone()),
        ("preset", settings.preset.to_string()),
        ("seed", settings.train.seed.to_string()),
        ("epochs", settings.train.epochs.to_string()),
        ("msn", env!("CARGO_PKG_VERSION").to_owned()),
        ("burn", "0.21.0".to_owned()),
    ];
    Meta {
        format: WEIGHTS_FORMAT.into(),
        config: settings.net.clone(),
        input: settings.input,
        calibration: None,
        origin: origin
            .map(|(k, v)| (k.to_owned(), v))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}

/// A fresh network on a backend.
struct Fresh<'a>(&'a Settings);

impl Job for Fresh<'_> {
    type Output = Box<dyn Engine>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Box<dyn Engine>> {
        Ok(Box::new(BurnEngine::<B>::new(self.0, device)?))
    }
}

/// Progress lines and `metrics.csv`.
struct Log {
    path: Utf8PathBuf,
    file: std::io::BufWriter<std::fs::File>,
    spoke: Option<Instant>,
    warned: Vec<usize>,
}

impl Log {
    fn create(folder: &Utf8Path, pools: &[usize]) -> Result<Self> {
        let path = folder.join("metrics.csv");
        let file = std::fs::File::create(&path).map_err(|e| anyhow!("can't write {path}: {e}"))?;
        let mut log = Self {
            path,
            file: std::io::BufWriter::new(file),
            spoke: None,
            warned: Vec::new(),
        };
        log.line(&StepReport::csv_header(pools))?;
        Ok(log)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| anyhow!("can't write {}: {e}", self.path))
    }

    fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Step(report) => {
                self.line(&report.csv_line())?;
                self.warn(report);
                let last = report.step == report.steps;
                if last || self.spoke.is_none_or(|t| t.elapsed() >= PROGRESS_EVERY) {
                    self.spoke = Some(Instant::now());
                    eprintln!("{}", progress(report));
                }
            }
            Event::Statistics(done, all) => {
                if done == all || self.spoke.is_none_or(|t| t.elapsed() >= PROGRESS_EVERY) {
                    self.spoke = Some(Instant::now());
                    eprintln!("batch-norm statistics on whole frames: {done} of {all}");
                }
            }
        }
        Ok(())
    }

    /// Says once per pool that it has collapsed.
    fn warn(&mut self, report: &StepReport) {
        for (pool, health) in &report.numbers.health {
            if let Some(warning) = health.warning()
                && !self.warned.contains(pool)
            {
                self.warned.push(*pool);
                eprintln!("warning: pool {pool} {warning} (step {})", report.step);
            }
        }
    }

    fn finish(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|e| anyhow!("can't write {}: {e}", self.path))
    }
}

fn progress(r: &StepReport) -> String {
    format!(
        "epoch {}/{} step {}/{} loss {:.5} {:.0} frames/s {} left",
        r.epoch,
        r.epochs,
        r.step,
        r.steps,
        r.numbers.loss,
        r.frames_per_second(),
        figures::time(r.left())
    )
}
