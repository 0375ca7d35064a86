//! `msn eval`, and the evaluation that ends `msn train`: the same code.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{DataSet, FrameStore, LoadedVideo, Video, data_hash};
use msn_eval::{
    DataCard, EvalError, EvalOptions, Evaluation, HeatMaps, LabelCard, MemoryCard, Picture,
    RegionJudge, VideoScores, scores_csv, write_file, write_overlay,
};
use msn_metrics::Bootstrap;
use msn_model::Precision;

use crate::{
    Usage,
    args::{EvalArgs, PlaceArgs},
    data, figures,
    highlights::Highlights,
    memory,
    run::{self, Found, RunCard},
    strip,
};

pub(crate) fn eval(args: &EvalArgs) -> Result<()> {
    if let Some(sigma) = args.smooth
        && !(sigma > 0.0 && sigma.is_finite())
    {
        return Err(Usage(format!(
            "--smooth {sigma} is out of range: give a standard deviation above 0 frames"
        ))
        .into());
    }
    if args.overlay.is_some() && !cfg!(feature = "ffmpeg") {
        return Err(Usage(
            "--overlay writes video files, and this build is without FFmpeg: build with the feature `ffmpeg`".to_owned(),
        )
        .into());
    }
    let found = run::find(&args.weights)?;
    if args.overlay.is_some() && found.weights.meta.calibration.is_none() {
        return Err(anyhow!(
            "{} has no calibration, so there is no fair score for --overlay to draw: `msn weights calibrate {0} NORMAL_VIDEOS` adds one",
            found.path
        ));
    }
    let card = found.run.as_deref().and_then(|run| RunCard::read(run).ok());
    let data = match (&args.data, &card) {
        (Some(data), _) => data.clone(),
        (None, Some(card)) => card.data.path.clone(),
        (None, None) => {
            return Err(Usage(format!(
                "{} does not say what to evaluate: name a data set folder",
                args.weights
            ))
            .into());
        }
    };
    let set = run::open(&data, &args.source, args.fps.fps)?;
    if set.test.is_empty() {
        return Err(anyhow!("{data} has no test videos to evaluate"));
    }
    // A run's own figures are not overwritten by those on other data.
    let own = card
        .as_ref()
        .is_some_and(|c| data.canonicalize_utf8().is_ok_and(|d| d == c.data.path));
    let beside = found.run.as_ref().map(|run| {
        if own {
            run.clone()
        } else {
            run.join("eval").join(&set.name)
        }
    });
    let out = args.out.clone().or(beside);
    if let Some(dir) = &args.overlay {
        overlay_paths(&set, dir)?;
    }
    let store = run::frame_store(&args.keep);
    let run = found.run.as_deref();
    let memory =
        run.and_then(|run| memory::of_run(run, &found, card.as_ref(), &args.place, &store));
    let request = Request {
        found: &found,
        set: &set,
        place: &args.place,
        precision: args.precision.precision,
        store,
        out: out.as_deref(),
        memory,
        overlay: args.overlay.as_deref(),
        smooth: args.smooth,
        groups: if args.kinds.is_empty() {
            Vec::new()
        } else {
            vec![args.kinds.clone()]
        },
        seed: card
            .map(|c| c.seed)
            .or_else(|| found.weights.meta.origin.get("seed")?.parse().ok()),
    };
    let evaluation = evaluate(&request)?;
    match evaluation {
        Some(evaluation) if args.json => print!("{}", run::json(&evaluation)?),
        Some(evaluation) => print!("{}", figures::table(&evaluation)),
        None if args.json => println!("null"),
        None => {}
    }
    for place in [out, args.overlay.clone()].into_iter().flatten() {
        eprintln!("written to {place}");
    }
    Ok(())
}

/// The overlay video of each test video.
///
/// # Errors
/// Where one would take the place of a test video.
fn overlay_paths(set: &DataSet, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let path = |video: &Video| dir.join(format!("{}.mp4", video.name));
    let paths: Vec<_> = set.test.iter().map(path).collect();
    let sources = set
        .test
        .iter()
        .filter_map(|v| v.source.canonicalize_utf8().ok());
    let sources: Vec<_> = sources.collect();
    let taken = |p: &&Utf8PathBuf| p.canonicalize_utf8().is_ok_and(|p| sources.contains(&p));
    match paths.iter().find(taken) {
        Some(path) => Err(Usage(format!(
            "--overlay would write over the test video {path}: give another folder"
        ))
        .into()),
        None => Ok(paths),
    }
}

/// What is to be evaluated with what.
pub(crate) struct Request<'a> {
    pub found: &'a Found,
    pub set: &'a DataSet,
    pub place: &'a PlaceArgs,
    pub precision: Precision,
    /// Where decoded frames are stored.
    pub store: FrameStore,
    /// Where scores, `eval.json` and `report.html` go.
    pub out: Option<&'a Utf8Path>,
    /// What the memory has learned, for the report.
    pub memory: Option<MemoryCard>,
    /// Where a video of each test video goes.
    pub overlay: Option<&'a Utf8Path>,
    pub smooth: Option<f64>,
    pub groups: Vec<Vec<String>>,
    pub seed: Option<u64>,
}

/// Scores and evaluates a test set; `None` where it has no labels (scores are written all the same).
pub(crate) fn evaluate(request: &Request<'_>) -> Result<Option<Evaluation>> {
    let Request { found, set, .. } = request;
    let meta = &found.weights.meta;
    if meta.calibration.is_none() {
        eprintln!(
            "note: {} has no calibration, so fair scores are null: `msn weights calibrate {0} NORMAL_VIDEOS` adds one",
            found.path
        );
    }
    let predictor = run::predictor(found, request.place, request.precision)?;
    let scorer = run::scorer(predictor.as_ref(), meta);
    eprintln!("reading {} test videos", set.test.len());
    let load = run::load_options(meta, set.folder_hz);
    let videos = request.store.load(&set.test, &load)?;
    data::warn(&videos);
    let has_regions = set.regions.iter().any(Option::is_some);
    let (mut scored, mut regions) = (Vec::new(), Vec::new());
    let mut highlights = Highlights::default();
    let overlays = request.overlay.map(|dir| overlay_paths(set, dir));
    let overlays = overlays.transpose()?;
    for (i, (video, loaded)) in set.test.iter().zip(&videos).enumerate() {
        let labels = video
            .labels
            .as_ref()
            .map(|l| l.resolve(loaded))
            .transpose()?;
        // Where a set has regions, a video without them and without anomalous frames has none.
        let normal = labels.as_ref().is_some_and(|l| l.count() == 0);
        let source = set.regions.get(i).and_then(Option::as_ref);
        let mut judge = match &meta.calibration {
            // Regions are told frame by frame of the source.
            Some(_) if loaded.resampled.is_some() && source.is_some() => {
                eprintln!(
                    "note: {} is at another rate, so it is left out of RBDC and TBDC",
                    video.name
                );
                None
            }
            Some(c) if has_regions && (source.is_some() || normal) => {
                Some(RegionJudge::new(source, loaded, c)?)
            }
            _ => None,
        };
        let mut heat = match (&overlays, &meta.calibration) {
            (Some(paths), Some(c)) => Some((&paths[i], HeatMaps::new(loaded, c))),
            _ => None,
        };
        let mut scores = Vec::new();
        scorer.runs(loaded, &loaded.runs, &mut |frame| {
            if let Some(judge) = &mut judge {
                judge.push(&frame)?;
            }
            if let Some((_, heat)) = &mut heat {
                heat.push(&frame);
            }
            if let Some(labels) = &labels {
                highlights.see(loaded, labels, &frame)?;
            }
            scores.push(frame.score);
            Ok(())
        })?;
        regions.extend(judge.map(RegionJudge::finish));
        if scores.is_empty() {
            eprintln!(
                "warning: {} is too short to be scored ({} frames)",
                video.name,
                loaded.frames()
            );
        }
        let scores = VideoScores {
            clock: msn_eval::clock(loaded),
            ..VideoScores::new(
                &video.name,
                loaded.frames(),
                scores,
                labels,
                meta.calibration.as_ref(),
            )
        };
        if let Some((path, heat)) = &heat {
            write_overlay(path, &scores, loaded, heat)?;
        }
        scored.push(scores);
        eprintln!("scored {} ({} of {})", video.name, i + 1, videos.len());
    }
    if scored.iter().all(|v| v.scores.is_empty()) {
        return Err(EvalError::NothingScored {
            needed: scorer.frames_needed(),
        }
        .into());
    }
    if let Some(out) = request.out {
        for video in &scored {
            let csv = scores_csv(video, &meta.config.pools);
            write_file(
                &out.join("scores").join(format!("{}.csv", video.name)),
                csv.as_bytes(),
            )?;
        }
    }
    if scored.iter().all(|v| v.labels.is_none()) {
        eprintln!(
            "{} has no labels: scores are written, there are no figures",
            set.root
        );
        return Ok(None);
    }
    let options = EvalOptions {
        smooth: request.smooth,
        bootstrap: Bootstrap::default(),
        groups: request.groups.clone(),
        command: run::command_line(),
        seed: request.seed,
        calibration: meta.calibration.clone(),
    };
    if let Some(out) = request.out {
        for video in scored.iter().filter(|v| v.labels.is_some()) {
            let alarm = meta.calibration.as_ref().and_then(|c| c.alarm);
            let svg = msn_eval::curve_svg(video, alarm.map(|a| a.threshold));
            write_file(
                &out.join("curves").join(format!("{}.svg", video.name)),
                svg.as_bytes(),
            )?;
        }
    }
    let evaluation = msn_eval::evaluate(&scored, regions, card(set, &videos, &scored)?, &options)?;
    if let Some(out) = request.out {
        write_file(&out.join("eval.json"), run::json(&evaluation)?.as_bytes())?;
        let mut pictures = Vec::new();
        let mut add = |title: &str, picture: Option<(Vec<u8>, String)>| {
            pictures.extend(picture.map(|(png, caption)| Picture {
                title: title.to_owned(),
                caption,
                png,
            }));
        };
        let calibration = meta.calibration.as_ref();
        add("Frames worth a look", highlights.draw(calibration)?);
        let strip = found.run.as_deref().and_then(strip::newest);
        add("What the network predicts", strip);
        write_file(
            &out.join("report.html"),
            msn_eval::report(
                &evaluation,
                &scored,
                meta,
                &pictures,
                request.memory.as_ref(),
            )?
            .as_bytes(),
        )?;
    }
    Ok(Some(evaluation))
}

fn card(set: &DataSet, videos: &[LoadedVideo], scored: &[VideoScores]) -> Result<DataCard> {
    let labelled = |v: &VideoScores| v.labels.as_ref().map_or(0, msn_data::FrameLabels::count);
    let anomalous = |v: &VideoScores| {
        let labels = v.labels.as_ref();
        v.scores
            .iter()
            .filter(|s| labels.is_some_and(|l| l.anomalous[s.frame]))
            .count()
    };
    let relative = |p: &camino::Utf8PathBuf| p.strip_prefix(&set.root).unwrap_or(p).to_string();
    Ok(DataCard {
        name: set.name.clone(),
        hash: data_hash(videos)?,
        videos: videos.len(),
        frames: videos.iter().map(LoadedVideo::frames).sum(),
        scored_frames: scored.iter().map(|v| v.scores.len()).sum(),
        anomalous_scored_frames: scored.iter().map(anomalous).sum(),
        labels: set.labels.as_ref().map(|l| LabelCard {
            format: l.format.clone(),
            files: l.paths.iter().map(relative).collect(),
            hash: l.hash.clone(),
            anomalous_frames: scored.iter().map(labelled).sum(),
        }),
    })
}
