//! `msn train`.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    FrameStore, LoadOptions, LoadedVideo, Segment, Size, Split, SplitManifest, calibration_split,
    clips, data_hash, median_rate_hz, short_videos,
};
use msn_eval::write_file;
use msn_model::{Input, Meta, Precision, WEIGHTS_FORMAT, Weights};
use msn_train::{Engine, Event, Link, Node, Place, Preset, Progress, Settings, TrainError};

use crate::{
    Usage,
    args::TrainArgs,
    data, dry_run,
    engine::engine,
    eval::{Request, evaluate},
    figures,
    log::Log,
    memory,
    nodes::{self, Start},
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
    let several = args.nodes.addresses()?.is_some();
    check_split(&settings, args.place.device.0.len())?;
    let mut engine = engine(&settings, &args.place, None)?;
    let data = match data {
        Some(data) => data,
        None => data::demo_scene(settings.train.seed)?,
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
    eprintln!(
        "reading {} training videos of {} ({})",
        set.train.len(),
        set.name,
        set.layout
    );
    // Videos of several rates are brought to the middle one.
    let told = || median_rate_hz(&set.train).or(set.folder_hz);
    let rate_hz = settings.input.rate().or_else(told);
    let options = LoadOptions {
        size,
        color: run::color(settings.net.channels),
        rate_hz,
        folder_hz: set.folder_hz,
    };
    let store = run::frame_store(&args.keep);
    let videos = store.load(&set.train, &options)?;
    data::warn(&videos);
    let (past, stride) = (settings.net.frames, settings.input.stride);
    for short in short_videos(&videos, past, stride)? {
        eprintln!("warning: {short}");
    }
    let held = match &args.split {
        Some(file) => SplitManifest::read(file)?.apply(&videos, past, stride)?,
        None => calibration_split(&videos, past, stride, settings.train.seed),
    };
    let needed = settings.net.frames * stride + 1;
    if clips(&held.train, settings.net.frames, stride).is_empty() {
        return Err(TrainError::NoClips { needed }.into());
    }
    if clips(&held.calibration, past, stride).is_empty() {
        return Err(anyhow!(
            "no video that is held out for calibration has the {needed} unbroken frames of a clip: hold out longer ones (--split)"
        ));
    }
    if args.dry_run {
        return dry_run::print(&settings, &videos, &held, engine.as_mut());
    }
    // Labels that do not fit are better known now than after an hour.
    for (video, loaded) in set
        .test
        .iter()
        .zip(FrameStore::nowhere().load(&set.test, &options)?)
    {
        video
            .labels
            .as_ref()
            .map(|l| l.resolve(&loaded))
            .transpose()?;
    }
    let hash = data_hash(&videos)?;
    let mut node = None;
    if several {
        let preset = settings.preset.to_string();
        let step = if args.resume {
            run::steps_at_hand(args.out.as_deref(), &set.name, &preset)?
        } else {
            0
        };
        drop(engine);
        let devices = args.place.device.0.len();
        let joined = args.nodes.join(&settings, &hash, devices, step)?;
        node = joined.map(Arc::new);
        let link = node.clone().map(|node| node as Arc<dyn Link>);
        engine = crate::engine::engine(&settings, &args.place, link)?;
        if let Some(node) = node.as_deref().filter(|node| node.number() > 0) {
            return follow(node, &settings, &videos, &held, engine.as_mut());
        }
    }
    let folder = if args.resume {
        run::resume_folder(args.out.as_deref(), &set.name, &settings.preset.to_string())?
    } else {
        run::make_folder(args.out.as_deref(), &set.name, &settings.preset.to_string())?
    };
    let lock = Lock::take(&folder)?;
    let mut card = card(args, &settings, &set, &data, &videos, &held, &hash);
    let mut done = Progress::default();
    let mut from = None;
    if args.resume {
        if let Some(begun) = run::begun(&folder, &settings, &card)? {
            card = begun;
            if card.seconds.is_some() {
                println!("{folder} is a finished run: nothing to resume");
                if let Some(node) = &node {
                    nodes::tell(node, &Start::Finished)?;
                    node.finish();
                }
                return Ok(());
            }
        }
        (done, from) = restore(engine.as_mut(), &folder, &settings, &hash)?;
        if done.steps > 0 {
            card.resumed_at.push(done.steps);
        }
    }
    if let Some(node) = &node {
        let start = from.as_deref().map_or(Start::Fresh, Start::Checkpoint);
        nodes::tell(node, &start)?;
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
    let mut interrupted = false;
    let mut saved = None;
    let mut watch = |event: Event<'_>| {
        let mut take = || -> Result<()> {
            log.take(event)?;
            match event {
                Event::Epoch(report, predictor) => {
                    if let Some(strip) = &strip {
                        strip.draw(report.epoch, predictor)?;
                    }
                }
                Event::Step(report, engine, progress) => {
                    interrupted = report.stop;
                    if interrupted || keeper.is_due(report) {
                        log.flush()?;
                        keeper.save(engine, progress)?;
                    }
                }
                Event::Diverged(_, engine, progress) => {
                    log.flush()?;
                    saved = Some(keeper.save_diverged(engine, progress)?);
                }
                Event::Statistics(..) => {}
            }
            Ok(())
        };
        take().map_err(|e| e.to_string())?;
        match interrupted {
            true => Err("interrupted".to_owned()),
            false => Ok(()),
        }
    };
    let place = Place {
        node: node.as_deref(),
        stop: &|| signals.caught().is_some(),
    };
    let trained = msn_train::train_at(
        &place,
        &settings,
        &videos,
        &held,
        engine.as_mut(),
        done,
        &mut watch,
    );
    if let (Some(node), true) = (&node, trained.is_ok() || interrupted) {
        node.finish();
    }
    if interrupted {
        let Some(signal) = signals.caught() else {
            return Err(anyhow!(
                "another node was interrupted; this one saved: the same commands with --resume go on with {folder}"
            ));
        };
        return Err(Interrupted { signal, folder }.into());
    }
    let progress = match (trained, saved) {
        (Err(e @ TrainError::Diverged { .. }), Some(path)) => {
            return Err(anyhow!(
                "{e}; network and optimiser as they then were: {path}"
            ));
        }
        (trained, _) => trained?,
    };
    drop(signals);
    log.finish()?;
    let mut finish = |engine: &mut dyn Engine, name: &str, epoch: Option<usize>| {
        let watch = &mut |event: Event<'_>| log.take(event).map_err(|e| e.to_string());
        msn_train::finish(&settings, &videos, &held, engine, watch)?;
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
        let predictor = run::predictor(&found, &args.place.one(), Precision::F32)?;
        let scorer = run::scorer(predictor.as_ref(), &found.weights.meta);
        found.weights.meta.calibration = Some(scorer.calibrate(&videos, &held.calibration)?);
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
    let memory = memory::of_training(&folder, &found, &set.name, footage, &args.place.one())?;
    drop((engine, videos));

    if set.test.is_empty() {
        eprintln!("{data} has no test videos: nothing to evaluate");
    } else {
        let request = Request {
            found: &found,
            set: &set,
            place: &args.place.one(),
            precision: Precision::F32,
            store,
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
    held: &Split,
    data_hash: &str,
) -> RunCard {
    let part = |s: &Segment| s.label(&videos[s.video]);
    RunCard {
        format: "msn-run-1".into(),
        command: run::command_line(),
        seed: settings.train.seed,
        device: args.place.device.to_string(),
        kernels: args.place.one().kernels().map(|k| k.to_string()),
        resumed_at: Vec::new(),
        data: RunData {
            name: set.name.clone(),
            path: data.canonicalize_utf8().unwrap_or_else(|_| data.to_owned()),
            hash: data_hash.to_owned(),
            training_videos: videos.len(),
            training_frames: videos.iter().map(LoadedVideo::frames).sum(),
            held_out: held.calibration.iter().map(part).collect(),
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

/// Trains as a node that writes nothing.
fn follow(
    node: &Node,
    settings: &Settings,
    videos: &[LoadedVideo],
    held: &Split,
    engine: &mut dyn Engine,
) -> Result<()> {
    let Some(done) = nodes::follow(node, engine)? else {
        println!(
            "node 0 ({}) has a finished run: nothing to resume",
            node.first()
        );
        node.finish();
        return Ok(());
    };
    let signals = Signals::catch()?;
    let place = Place {
        node: Some(node),
        stop: &|| signals.caught().is_some(),
    };
    let mut interrupted = false;
    let mut watch = |event: Event<'_>| match event {
        Event::Step(report, ..) if report.stop => {
            interrupted = true;
            Err("interrupted".to_owned())
        }
        _ => Ok(()),
    };
    let trained = msn_train::train_at(&place, settings, videos, held, engine, done, &mut watch);
    if trained.is_ok() || interrupted {
        node.finish();
    }
    let first = node.first();
    match signals.caught() {
        Some(signal) if interrupted => Err(Interrupted {
            signal,
            folder: format!("the run of node 0 ({first})").into(),
        }
        .into()),
        None if interrupted => Err(anyhow!(
            "another node was interrupted, and node 0 ({first}) saved: the same commands with --resume go on"
        )),
        _ => {
            trained?;
            println!("done: node 0 ({first}) has the run folder");
            Ok(())
        }
    }
}

/// Whether a batch can be split over devices.
fn check_split(settings: &Settings, devices: usize) -> Result<(), Usage> {
    let batch = settings.train.batch;
    if batch.is_multiple_of(devices) {
        return Ok(());
    }
    Err(Usage(format!(
        "batch={batch} can't be split evenly over {devices} devices: give batch={}",
        batch.next_multiple_of(devices)
    )))
}
