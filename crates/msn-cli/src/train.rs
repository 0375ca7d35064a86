//! `msn train`.

use std::{collections::BTreeMap, ops::ControlFlow, time::Instant};

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    HoldOut, Keep, LoadOptions, LoadedVideo, Manifest, Segment, Size, clips, data_hash, hold_out,
    load_within, short_videos, usual_rate_hz,
};
use msn_eval::write_file;
use msn_model::{Input, Meta, Precision, WEIGHTS_FORMAT, Weights};
use msn_train::{Engine, Observer, Preset, Progress, Settings, TrainError, TrainEvent};

use crate::{
    OnAllRanks, Usage,
    args::TrainArgs,
    data, dry_run,
    engine::engine,
    eval::{Request, evaluate},
    figures,
    log::Log,
    memory,
    ranks::Ranks,
    run::{self, Found, Lock, RunCard, RunData},
    saving::{Keeper, restore},
    signal::{Interrupted, Signals},
    strip::Strip,
};

pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    let began = Instant::now();
    let (data, settings) = resolve(args)?;
    if args.help_settings {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let ranks = Ranks::start()?;
    let first = ranks.is_first();
    if let Some(uneven) = TrainError::uneven(settings.train.batch, ranks.world_size()) {
        return Err(OnAllRanks(Usage(uneven.to_string()).into()).into());
    }
    if args.dry_run && ranks.world_size() > 1 {
        return Err(Usage("--dry-run is for one process".into()).into());
    }
    let mut engine = engine(&settings, &args.place, &ranks)?;
    let data = match data {
        Some(data) => data,
        None => ranks.first_alone(|| data::demo_scene(settings.train.seed))?,
    };
    let set = run::open(&data, &args.source, args.fps.fps)?;
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
    if first {
        eprintln!(
            "reading {} training videos of {} ({})",
            set.train.len(),
            set.name,
            set.layout
        );
    }
    // Videos of several rates are brought to the middle one.
    let told = || usual_rate_hz(&set.train).or(set.folder_hz);
    let rate_hz = settings.input.rate().or_else(told);
    let options = LoadOptions {
        size,
        color: run::color(settings.net.channels),
        rate_hz,
        folder_hz: set.folder_hz,
    };
    let keep = run::keep(&args.keep);
    let videos = load_within(&set.train, &options, &keep)?;
    let (past, stride) = (settings.net.frames, settings.input.stride);
    let short = short_videos(&videos, past, stride)?;
    if first {
        data::warn(&videos);
        for short in short {
            eprintln!("warning: {short}");
        }
    }
    let held = match &args.split {
        Some(file) => Manifest::read(file)?.apply(&videos, past, stride)?,
        None => hold_out(&videos, past, stride, settings.train.seed),
    };
    let needed = settings.net.frames * stride + 1;
    if clips(&held.train, settings.net.frames, stride).is_empty() {
        return Err(TrainError::NoClips { needed }.into());
    }
    if clips(&held.held, past, stride).is_empty() {
        return Err(anyhow!(
            "no video that is held out for calibration has the {needed} unbroken frames of a clip: hold out longer ones (--split)"
        ));
    }
    if args.dry_run {
        return dry_run::print(&settings, &videos, &held, engine.as_mut());
    }
    if !first {
        return follow(&ranks, &settings, &videos, &held, engine.as_mut());
    }
    // Labels that do not fit are better known now than after an hour.
    let unkept = Keep {
        memory: 0,
        cache: None,
    };
    for (video, loaded) in set
        .test
        .iter()
        .zip(load_within(&set.test, &options, &unkept)?)
    {
        video
            .labels
            .as_ref()
            .map(|l| l.resolve(&loaded))
            .transpose()?;
    }
    let hash = data_hash(&videos)?;
    let folder = if args.resume {
        run::resume_folder(args.out.as_deref(), &set.name, &settings.preset.to_string())?
    } else {
        run::make_folder(args.out.as_deref(), &set.name, &settings.preset.to_string())?
    };
    let lock = Lock::take(&folder)?;
    let mut card = card(args, &settings, &set, &data, &videos, &held, &hash);
    let mut done = Progress::default();
    if args.resume {
        if let Some(begun) = run::begun(&folder, &settings, &card)? {
            card = begun;
            if card.seconds.is_some() {
                println!("{folder} is a finished run: nothing to resume");
                ranks.any(true);
                return Ok(());
            }
        }
        done = restore(engine.as_mut(), &folder, &settings, &hash)?;
        if done.steps > 0 {
            card.resumed_at.push(done.steps);
        }
    }
    write_file(&folder.join("config.toml"), settings.to_toml().as_bytes())?;
    write_file(&folder.join("run.json"), run::json(&card)?.as_bytes())?;
    eprintln!(
        "held out for calibration: {}",
        card.data.held_out.join(", ")
    );

    let mut keeper = Keeper::new(&folder, &settings, &hash, args);
    let mut log = Log::open(&folder, &settings.net.pools)?;
    let strip = Strip::new(&folder, &settings, &videos, &held)?;
    let signals = Signals::catch()?;
    let mut watch = Watch {
        signals: &signals,
        log: &mut log,
        strip: strip.as_ref(),
        keeper: &mut keeper,
        diverged: None,
    };
    // No rank has a finished run.
    ranks.any(false);
    let trained = msn_train::train(&settings, &videos, &held, engine.as_mut(), done, &mut watch);
    let progress = match (trained, watch.diverged) {
        (Ok(ControlFlow::Continue(progress)), _) => progress,
        (Ok(ControlFlow::Break(Stop::Failed(error))), _) => return Err(error),
        (Ok(ControlFlow::Break(Stop::Interrupted)), _) => {
            let signal = ranks.largest(signals.caught().unwrap_or(0));
            return Err(Interrupted { signal, folder }.into());
        }
        (Err(e @ TrainError::Diverged { .. }), Some(path)) => {
            let error = anyhow!("{e}; network and optimiser as they then were: {path}");
            return Err(OnAllRanks(error).into());
        }
        (Err(error), _) => return Err(of_ranks(error)),
    };
    drop(signals);
    log.finish()?;
    let mut finish = |engine: &mut dyn Engine, name: &str, epoch: Option<usize>| {
        let watch = &mut |event: TrainEvent<'_>| match log.take(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        };
        if let ControlFlow::Break(error) =
            msn_train::finish(&settings, &videos, &held, engine, watch)?
        {
            return Err(error);
        }
        eprintln!("calibrating {name} weights on held-out videos");
        let mut meta = meta(&settings, &card, rate_hz.unwrap_or(0.0));
        if let Some(epoch) = epoch {
            let text = format!("epoch {epoch}, best by held-out loss");
            meta.origin.insert("weights".into(), text);
        }
        let path = folder.join(format!("weights/{name}.safetensors"));
        let tensors = engine.tensors();
        let mut found = Found {
            path: path.clone(),
            weights: Weights { meta, tensors },
            run: None,
        };
        let predictor = run::predictor(&found, &args.place, Precision::F32)?;
        let scorer = run::scorer(predictor.as_ref(), &found.weights.meta);
        found.weights.meta.calibration = Some(scorer.calibrate(&videos, &held.held)?);
        std::fs::create_dir_all(folder.join("weights"))
            .map_err(|e| anyhow!("can't write {folder}/weights: {e}"))?;
        found.weights.write(&path)?;
        Ok::<(), anyhow::Error>(())
    };
    finish(engine.as_mut(), "last", None)?;
    if let Some(best) = progress.best {
        let mut state = engine.state();
        state.tensors = best.tensors;
        engine.restore(state)?;
        finish(engine.as_mut(), "best", Some(best.epoch))?;
    }
    let found = run::find(&folder)?;
    let footage = (&videos[..], &held.train[..]);
    let memory = memory::of_training(&folder, &found, &set.name, footage, &args.place)?;
    drop((engine, videos));

    if set.test.is_empty() {
        eprintln!("{data} has no test videos: nothing to evaluate");
    } else {
        let request = Request {
            found: &found,
            set: &set,
            place: &args.place,
            precision: Precision::F32,
            keep,
            out: Some(&folder),
            memory,
            overlay: None,
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
    lock.release();
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
    if let Some(hours) = args.hours {
        settings.train.hours = hours;
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
    data_hash: &str,
) -> RunCard {
    let part = |s: &Segment| s.label(&videos[s.video]);
    RunCard {
        format: "msn-run-1".into(),
        command: run::command_line(),
        seed: settings.train.seed,
        device: args.place.device.to_string(),
        kernels: args.place.kernels().map(|k| k.to_string()),
        resumed_at: Vec::new(),
        data: RunData {
            name: set.name.clone(),
            path: data.canonicalize_utf8().unwrap_or_else(|_| data.to_owned()),
            hash: data_hash.to_owned(),
            training_videos: videos.len(),
            training_frames: videos.iter().map(LoadedVideo::frames).sum(),
            held_out: held.held.iter().map(part).collect(),
        },
        versions: run::versions(),
        seconds: None,
    }
}

fn meta(settings: &Settings, card: &RunCard, rate_hz: f64) -> Meta {
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
        input: Input {
            rate_hz,
            ..settings.input
        },
        calibration: None,
        origin: origin
            .map(|(k, v)| (k.to_owned(), v))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    }
}

/// Why a training was ended.
enum Stop {
    /// By a signal, on all ranks after the same step.
    Interrupted,
    Failed(anyhow::Error),
}

/// Writes tables, pictures and checkpoints while a network trains.
struct Watch<'a, 'b> {
    signals: &'a Signals,
    log: &'a mut Log,
    strip: Option<&'a Strip>,
    keeper: &'a mut Keeper<'b>,
    /// Where a diverged training was saved.
    diverged: Option<Utf8PathBuf>,
}

impl Watch<'_, '_> {
    fn take(&mut self, event: TrainEvent<'_>) -> Result<()> {
        self.log.take(event)?;
        match event {
            TrainEvent::Epoch(report, predictor) => {
                if let Some(strip) = self.strip {
                    strip.draw(report.epoch, predictor)?;
                }
            }
            TrainEvent::Step(report, engine, progress) => {
                if report.stop || self.keeper.is_due(report) {
                    self.log.flush()?;
                    self.keeper.save(engine, progress)?;
                }
            }
            TrainEvent::Diverged(_, engine, progress) => {
                self.log.flush()?;
                self.diverged = Some(self.keeper.save_diverged(engine, progress)?);
            }
            TrainEvent::Statistics { .. } => {}
        }
        Ok(())
    }
}

impl Observer<Stop> for Watch<'_, '_> {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<Stop> {
        if let Err(error) = self.take(event) {
            return ControlFlow::Break(Stop::Failed(error));
        }
        interrupted(event)
    }

    fn stop_requested(&self) -> bool {
        self.signals.caught().is_some()
    }
}

/// Ends a training where a rank was asked to.
fn interrupted(event: TrainEvent<'_>) -> ControlFlow<Stop> {
    match event {
        TrainEvent::Step(report, ..) if report.stop => ControlFlow::Break(Stop::Interrupted),
        _ => ControlFlow::Continue(()),
    }
}

/// Follows a training on a rank that writes nothing.
struct Silent<'a>(&'a Signals);

impl Observer<Stop> for Silent<'_> {
    fn observe(&mut self, event: TrainEvent<'_>) -> ControlFlow<Stop> {
        interrupted(event)
    }

    fn stop_requested(&self) -> bool {
        self.0.caught().is_some()
    }
}

/// Tells an error of all ranks from one of this process.
fn of_ranks(error: TrainError) -> anyhow::Error {
    match error.is_on_all_ranks() {
        true => OnAllRanks(error.into()).into(),
        false => error.into(),
    }
}

/// Trains as a rank that writes nothing.
fn follow(
    ranks: &Ranks,
    settings: &Settings,
    videos: &[LoadedVideo],
    held: &HoldOut,
    engine: &mut dyn Engine,
) -> Result<()> {
    let signals = Signals::catch()?;
    if ranks.any(false) {
        // Rank 0 has a finished run.
        return Ok(());
    }
    let (done, mut watch) = (Progress::default(), Silent(&signals));
    let trained = msn_train::train(settings, videos, held, engine, done, &mut watch);
    match trained.map_err(of_ranks)? {
        ControlFlow::Continue(_) => Ok(()),
        ControlFlow::Break(Stop::Failed(error)) => Err(error),
        ControlFlow::Break(Stop::Interrupted) => Err(Interrupted {
            signal: ranks.largest(signals.caught().unwrap_or(0)),
            folder: Utf8PathBuf::new(),
        }
        .into()),
    }
}
