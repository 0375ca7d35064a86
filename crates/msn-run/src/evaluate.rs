//! Scoring and evaluation of a test set, with all that it leaves.

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{FrameLabels, LoadedVideo, data_hash};
use msn_eval::{
    AlarmCollector, AlarmSource, DataCard, EvalError, EvalOptions, Evaluation, HeatMaps, LabelCard,
    MemoryCard, RegionCollector, ReportImage, Scorer, VideoAlarms, VideoRegions, VideoScores,
    curve_svg, scores_csv, write_overlay,
};
use msn_metrics::Bootstrap;

use crate::{
    Devices, Model, Notice, Observer, ReportRequest, RunError, TestSet,
    alarms::{note_foreign, note_threshold},
    files::{check_paths, write_file, write_json},
    highlights::Highlights,
    write_report,
};

/// What is to be evaluated with what.
#[derive(Debug)]
pub struct EvaluateRequest<'a> {
    /// What predicts, and what its scores are standardised by.
    pub model: &'a Model,
    /// Decoded at the model's size and rate.
    pub test: &'a TestSet<'a>,
    /// Where scores, curves, `report.html`, `alarms.csv`, `alarms.json` and, with labels, `eval.json`
    /// go.
    pub out: Option<&'a Utf8Path>,
    /// Where an overlay video of each test video goes.
    pub overlay: Option<&'a Utf8Path>,
    /// What the memory has learned, for the report.
    pub memory: Option<MemoryCard>,
    /// Standard deviation, frames, of a centred Gaussian over legacy scores.
    pub smooth: Option<f64>,
    /// Groups of kinds of anomaly to be measured together.
    pub groups: Vec<Vec<String>>,
    /// The run's seed, to be noted.
    pub seed: Option<u64>,
    /// The command, to be noted.
    pub command: String,
}

impl<'a> EvaluateRequest<'a> {
    /// Metrics alone: nothing is written.
    pub fn new(model: &'a Model, test: &'a TestSet<'a>) -> Self {
        Self {
            model,
            test,
            out: None,
            overlay: None,
            memory: None,
            smooth: None,
            groups: Vec::new(),
            seed: None,
            command: String::new(),
        }
    }
}

/// Scores and evaluates a test set; `None` where it has no labels (scores, alarms and the report are
/// written all the same).
///
/// # Errors
/// [`RunError`]; [`RunError::Interrupted`] where the observer asks to stop, [`EvalError::NothingScored`]
/// where no test video is long enough.
pub fn evaluate(
    request: &EvaluateRequest<'_>,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<Option<Evaluation>, RunError> {
    let (model, test) = (request.model, request.test);
    if test.videos.is_empty() {
        return Err(RunError::NoTestVideos {
            root: test.data.root.clone(),
        });
    }
    for folder in request.out.into_iter().chain(request.overlay) {
        check_paths(folder, test.videos.iter().map(|video| video.name.as_str()))?;
    }
    let overlays = match request.overlay {
        Some(folder) => {
            model.calibration_for("an overlay")?;
            Some(overlay_paths(test.data, folder)?)
        }
        None => None,
    };
    if model.calibration.is_none() {
        observer.notice(&Notice::Uncalibrated(model.path.clone()));
    }
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    let scorer = model.scorer(predictor.as_ref());
    let mut scored = score_videos(request, &scorer, overlays.as_deref(), observer)?;
    note_threshold(model, observer);
    for alarms in &scored.alarms {
        note_foreign(alarms, observer);
    }
    let evaluation = match scored.videos.iter().all(|v| v.labels.is_none()) {
        true => {
            observer.notice(&Notice::NoLabels(test.data.root.clone()));
            None
        }
        false => {
            let options = EvalOptions {
                smooth: request.smooth,
                bootstrap: Bootstrap::default(),
                groups: request.groups.clone(),
                command: request.command.clone(),
                seed: request.seed,
                calibration: model.calibration.clone(),
            };
            let data = data_card(test, &scored.videos)?;
            let regions = std::mem::take(&mut scored.regions);
            Some(msn_eval::evaluate(&scored.videos, regions, data, &options)?)
        }
    };
    if let Some(out) = request.out {
        write(request, out, &scored, evaluation.as_ref(), observer)?;
    }
    Ok(evaluation)
}

/// Writes all that an evaluation leaves.
fn write(
    request: &EvaluateRequest<'_>,
    out: &Utf8Path,
    scored: &Scored,
    evaluation: Option<&Evaluation>,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let model = request.model;
    for video in &scored.videos {
        let csv = scores_csv(video, &model.weights.meta.config.pools);
        let path = out.join("scores").join(format!("{}.csv", video.name));
        write_file(&path, csv.as_bytes())?;
    }
    write_curves(out, &scored.videos)?;
    if let Some(evaluation) = evaluation {
        write_json(&out.join("eval.json"), evaluation)?;
    }
    let highlights = scored.highlights.draw(model.calibration.as_ref())?;
    let highlights = highlights.map(|(png, caption)| ReportImage {
        title: "Frames worth a look".to_owned(),
        caption,
        png,
    });
    let report = ReportRequest {
        model,
        name: &request.test.data.name,
        videos: &scored.videos,
        alarms: &scored.alarms,
        evaluation,
        images: highlights.as_slice(),
        memory: request.memory.as_ref(),
        command: &request.command,
    };
    write_report(&report, out, observer)
}

/// A scored test set.
struct Scored {
    videos: Vec<VideoScores>,
    alarms: Vec<VideoAlarms>,
    regions: Vec<VideoRegions>,
    highlights: Highlights,
}

fn score_videos(
    request: &EvaluateRequest<'_>,
    scorer: &Scorer<'_>,
    overlays: Option<&[Utf8PathBuf]>,
    observer: &mut dyn Observer,
) -> Result<Scored, RunError> {
    let loaded = &request.test.videos;
    let mut scored = Scored {
        videos: Vec::new(),
        alarms: Vec::new(),
        regions: Vec::new(),
        highlights: Highlights::default(),
    };
    for (i, video) in loaded.iter().enumerate() {
        if observer.stop_requested() {
            return Err(RunError::Interrupted);
        }
        let overlay = overlays.map(|paths| paths[i].as_path());
        let scores = score_video(request, scorer, i, overlay, &mut scored, observer)?;
        if scores.scores.is_empty() {
            observer.notice(&Notice::NotScored {
                video: video.name.clone(),
                frames: video.frames(),
            });
        }
        scored.videos.push(scores);
        observer.notice(&Notice::Scored {
            video: video.name.clone(),
            alarms: scored
                .alarms
                .last()
                .map_or_else(String::new, VideoAlarms::summary),
            done: i + 1,
            videos: loaded.len(),
        });
    }
    if scored.videos.iter().all(|v| v.scores.is_empty()) {
        let needed = scorer.frames_needed();
        return Err(EvalError::NothingScored { needed }.into());
    }
    Ok(scored)
}

/// Scores test video `index`, with its regions, highlights and overlay.
fn score_video(
    request: &EvaluateRequest<'_>,
    scorer: &Scorer<'_>,
    index: usize,
    overlay: Option<&Utf8Path>,
    scored: &mut Scored,
    observer: &mut dyn Observer,
) -> Result<VideoScores, RunError> {
    let video = &request.test.videos[index];
    let labels = request.test.labels[index].as_ref();
    let calibration = request.model.calibration.as_ref();
    let mut collector = region_collector(request, index, observer)?;
    let mut heat = match (overlay, calibration) {
        (Some(path), Some(c)) => Some((path, HeatMaps::new(video, c))),
        _ => None,
    };
    let mut alarms = AlarmCollector::new(calibration, video.size)?;
    let mut scores = Vec::new();
    let highlights = &mut scored.highlights;
    scorer.runs(video, &video.runs, &mut |frame| {
        if let Some(collector) = &mut collector {
            collector.push(&frame)?;
        }
        if let Some((_, heat)) = &mut heat {
            heat.push(&frame);
        }
        if let Some(labels) = labels {
            highlights.see(video, labels, &frame)?;
        }
        alarms.push(&frame)?;
        scores.push(frame.score);
        Ok(())
    })?;
    scored.alarms.push(alarms.finish(&AlarmSource {
        video: &video.name,
        path: &video.source,
        size: video.source_size,
        resampled_hz: video.resampled.as_ref().and(video.rate_hz),
        frames: video.frames(),
    })?);
    scored
        .regions
        .extend(collector.map(RegionCollector::finish));
    let scores = VideoScores {
        clock: msn_eval::clock(video),
        ..VideoScores::new(
            &video.name,
            video.frames(),
            scores,
            labels.cloned(),
            calibration,
        )
    };
    if let Some((path, heat)) = &heat {
        write_overlay(path, &scores, video, heat)?;
    }
    Ok(scores)
}

/// What collects the regions of a video, where they are known.
fn region_collector<'a>(
    request: &'a EvaluateRequest<'_>,
    index: usize,
    observer: &mut dyn Observer,
) -> Result<Option<RegionCollector<'a>>, RunError> {
    let test = request.test;
    let video = &test.videos[index];
    let regions = &test.data.regions;
    let source = regions.get(index).and_then(Option::as_ref);
    // Where a set has regions, a video without them and without anomalous frames has none.
    let normal = test.labels[index].as_ref().is_some_and(|l| l.count() == 0);
    let has_regions = regions.iter().any(Option::is_some);
    match &request.model.calibration {
        // Regions are known frame by frame of the source.
        Some(_) if video.resampled.is_some() && source.is_some() => {
            observer.notice(&Notice::LeftOutOfRegions(video.name.clone()));
            Ok(None)
        }
        Some(c) if has_regions && (source.is_some() || normal) => {
            Ok(Some(RegionCollector::new(source, video, c)?))
        }
        _ => Ok(None),
    }
}

fn write_curves(out: &Utf8Path, videos: &[VideoScores]) -> Result<(), RunError> {
    for video in videos {
        let svg = curve_svg(video, video.threshold);
        let path = out.join("curves").join(format!("{}.svg", video.name));
        write_file(&path, svg.as_bytes())?;
    }
    Ok(())
}

/// The overlay video of each test video of a data set.
///
/// # Errors
/// [`RunError::OverlayOverSource`] where one would take the place of a test video.
pub fn overlay_paths(
    data: &msn_data::DataSet,
    folder: &Utf8Path,
) -> Result<Vec<Utf8PathBuf>, RunError> {
    let paths = data.test.iter();
    let paths: Vec<_> = paths
        .map(|video| folder.join(format!("{}.mp4", video.name)))
        .collect();
    let sources = data.test.iter();
    let sources: Vec<_> = sources
        .filter_map(|v| v.source.canonicalize_utf8().ok())
        .collect();
    let taken = |p: &&Utf8PathBuf| p.canonicalize_utf8().is_ok_and(|p| sources.contains(&p));
    match paths.iter().find(taken) {
        Some(path) => Err(RunError::OverlayOverSource { path: path.clone() }),
        None => Ok(paths),
    }
}

fn data_card(test: &TestSet<'_>, scored: &[VideoScores]) -> Result<DataCard, RunError> {
    let (set, videos) = (test.data, &test.videos);
    let labelled = |v: &VideoScores| v.labels.as_ref().map_or(0, FrameLabels::count);
    let anomalous = |v: &VideoScores| {
        let labels = v.labels.as_ref();
        let scores = v.scores.iter();
        scores
            .filter(|s| labels.is_some_and(|l| l.anomalous[s.frame]))
            .count()
    };
    let relative = |p: &Utf8PathBuf| p.strip_prefix(&set.root).unwrap_or(p).to_string();
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
