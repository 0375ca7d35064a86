//! Both protocols over a test set: `eval.json`.

use std::collections::BTreeMap;

use msn_data::FrameLabels;
use msn_events::Clock;
use msn_metrics::{
    Bootstrap, Figure, FrameFigures, ScoredVideo, frame_figures, micro_auc_difference, min_max,
    prior_rows, regions::region_figures, smooth_gaussian,
};
use msn_model::Calibration;
use serde::{Deserialize, Serialize};

use crate::{
    EvalError, EventCard, FrameScore, JudgedRegions, RegionCard, events::judge, fair::standardise,
};

/// Share of the prediction error in the legacy score, where there are pools.
pub const LAMBDA: f64 = 0.6;

/// A test video's scores and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoScores {
    /// Its name.
    pub name: String,
    /// Frames of the video, scored or not.
    pub frames: usize,
    /// Its scored frames, in order.
    pub scores: Vec<FrameScore>,
    /// `lambda norm(-psnr) + (1 - lambda) mean norm(distance)` of each scored frame, in [0, 1].
    pub legacy: Vec<f64>,
    /// The standardised score of each scored frame; `None` without a calibration.
    pub fair: Option<Vec<f64>>,
    /// Labels of all frames, where there are some.
    pub labels: Option<FrameLabels>,
    /// When the frames are.
    pub clock: Clock,
}

impl VideoScores {
    /// Adds both protocols' scores.
    pub fn new(
        name: &str,
        frames: usize,
        scores: Vec<FrameScore>,
        labels: Option<FrameLabels>,
        calibration: Option<&Calibration>,
    ) -> Self {
        let legacy = legacy_scores(&scores);
        let fair = calibration.map(|c| scores.iter().map(|s| standardise(s.excess, c)).collect());
        Self {
            name: name.to_owned(),
            frames,
            scores,
            legacy,
            fair,
            labels,
            clock: Clock::Unknown,
        }
    }

    /// Scored frames that `keep` wants, as a metric takes them.
    fn scored(&self, scores: &[f64], keep: impl Fn(usize) -> bool) -> ScoredVideo {
        let labels = self.labels.as_ref();
        let kept = self
            .scores
            .iter()
            .zip(scores)
            .filter(|(s, _)| keep(s.frame));
        let (labels, scores) = kept
            .map(|(s, &v)| (labels.is_some_and(|l| l.anomalous[s.frame]), v))
            .unzip();
        ScoredVideo {
            name: self.name.clone(),
            labels,
            scores,
        }
    }
}

fn legacy_scores(scores: &[FrameScore]) -> Vec<f64> {
    let column =
        |f: &dyn Fn(&FrameScore) -> f64| min_max(&scores.iter().map(f).collect::<Vec<f64>>());
    let error = column(&|s| -s.psnr);
    let pools = scores.first().map_or(0, |s| s.distances.len());
    let distances: Vec<Vec<f64>> = (0..pools).map(|p| column(&|s| s.distances[p])).collect();
    let sum = |i: usize| distances.iter().map(|d| d[i]).sum::<f64>();
    let legacies = error.iter().enumerate();
    legacies.map(|(i, &e)| legacy(e, sum(i), pools)).collect()
}

/// The legacy score of a frame from its normalised error and the sum of its normalised distances.
pub(crate) fn legacy(error: f64, distances: f64, pools: usize) -> f64 {
    match pools {
        0 => error,
        _ => LAMBDA * error + (1.0 - LAMBDA) * (distances / crate::fair::count(pools)),
    }
}

/// The frame-level figures of one protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Protocol {
    /// AUC over the frames of all videos joined.
    pub micro_auc: Option<Figure>,
    /// Mean of each video's AUC, one-class videos left out.
    pub macro_auc_skip: Option<Figure>,
    /// Mean of each padded video's AUC.
    pub macro_auc_pad: Option<Figure>,
    /// Average precision.
    pub average_precision: Option<Figure>,
    /// Where false positive and false negative rate meet.
    pub equal_error_rate: Option<Figure>,
}

impl From<FrameFigures> for Protocol {
    fn from(f: FrameFigures) -> Self {
        Self {
            micro_auc: f.micro_auc,
            macro_auc_skip: f.macro_auc_skip,
            macro_auc_pad: f.macro_auc_pad,
            average_precision: f.average_precision,
            equal_error_rate: f.equal_error_rate,
        }
    }
}

/// Frame-level figures over normal frames and those of some kinds of anomaly alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindFigures {
    /// Scored frames of the kind.
    pub frames: usize,
    /// Micro AUC of the legacy score.
    pub legacy_micro_auc: Option<Figure>,
    /// Micro AUC of the fair score.
    pub fair_micro_auc: Option<Figure>,
}

/// What the figures were measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataCard {
    /// The data set's name.
    pub name: String,
    /// Hash of the decoded test frames.
    pub hash: String,
    /// Test videos.
    pub videos: usize,
    /// Their frames.
    pub frames: usize,
    /// Frames with a score.
    pub scored_frames: usize,
    /// Scored frames that are anomalous.
    pub anomalous_scored_frames: usize,
    /// The labels in use.
    pub labels: Option<LabelCard>,
}

/// Which version of the labels is in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCard {
    /// Their format.
    pub format: String,
    /// Their files.
    pub files: Vec<String>,
    /// Hash of what was used.
    pub hash: String,
    /// Anomalous frames, scored or not.
    pub anomalous_frames: usize,
}

/// The figures of scores that never look at a pixel, by protocol and name.
pub type Priors = BTreeMap<String, BTreeMap<String, Protocol>>;

/// A prediction error as it is, nothing normalised, as a score: what the fair score has to be worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorFigures {
    /// Its figures.
    pub figures: Protocol,
    /// Micro AUC of the fair score less that of this, over the same resamples.
    pub fair_ahead: Option<Figure>,
}

/// `eval.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `msn-eval-1`.
    pub format: String,
    /// Normalised per test video; see PROTOCOLS. Looks at the whole test video.
    pub legacy: Protocol,
    /// Standardised by held-out normal clips; null for weights without a calibration.
    pub fair: Option<Protocol>,
    /// Standard deviation in frames of the Gaussian smoothing of legacy scores; null for none.
    pub smoothing: Option<f64>,
    /// Videos that macro AUC (skip) leaves out.
    pub skipped_videos: usize,
    /// By kind of anomaly, where labels name kinds.
    pub kinds: BTreeMap<String, KindFigures>,
    /// By protocol (`legacy`, `fair`) and prior.
    pub priors: Priors,
    /// The prediction error alone: `patch`, the largest window's mean square, and `psnr`.
    #[serde(default)]
    pub errors: BTreeMap<String, ErrorFigures>,
    /// Area under the curve of found boxes by the fair score's map, where true regions are known.
    #[serde(default)]
    pub rbdc: Option<Figure>,
    /// The same of found tracks.
    #[serde(default)]
    pub tbdc: Option<Figure>,
    /// What the two were measured on.
    #[serde(default)]
    pub regions: Option<RegionCard>,
    /// Events of the fair score at the calibrated threshold; null without one.
    #[serde(default)]
    pub events: Option<EventCard>,
    /// The test set.
    pub data: DataCard,
    /// The command that made this.
    pub command: String,
    /// The run's seed, where it is known.
    pub seed: Option<u64>,
}

/// How a test set is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOptions {
    /// Standard deviation of a centred Gaussian over legacy scores, frames.
    pub smooth: Option<f64>,
    /// Resamples of the bootstrap and its seed.
    pub bootstrap: Bootstrap,
    /// Groups of kinds to be measured together, beside each kind alone.
    pub groups: Vec<Vec<String>>,
    /// The command to be noted.
    pub command: String,
    /// The run's seed.
    pub seed: Option<u64>,
    /// What standardised the fair scores.
    pub calibration: Option<Calibration>,
}

/// Evaluates scored test videos; those without labels are left out. `regions` are those of the
/// videos whose true regions are known.
///
/// # Errors
/// [`EvalError::Metrics`].
pub fn evaluate(
    videos: &[VideoScores],
    regions: Vec<JudgedRegions>,
    data: DataCard,
    options: &EvalOptions,
) -> Result<Evaluation, EvalError> {
    let videos: Vec<&VideoScores> = videos
        .iter()
        .filter(|v| v.labels.is_some() && !v.scores.is_empty())
        .collect();
    let all = |_: &VideoScores, _: usize| true;
    let legacy = scored(&videos, options, true, all)?;
    let fair = scored(&videos, options, false, all)?;
    let bootstrap = &options.bootstrap;
    let figures = frame_figures(&legacy, bootstrap)?;
    let skipped_videos = figures.skipped;

    let mut priors = Priors::new();
    let rows = prior_rows(&legacy, bootstrap, |_, scores| {
        smoothed(min_max(&scores), options.smooth)
    })?;
    priors.insert(
        "legacy".into(),
        rows.into_iter()
            .map(|r| (r.prior.name().into(), r.figures.into()))
            .collect(),
    );
    let rows = prior_rows(&legacy, bootstrap, |_, scores| Ok(scores))?;
    priors.insert(
        "fair".into(),
        rows.into_iter()
            .map(|r| (r.prior.name().into(), r.figures.into()))
            .collect(),
    );

    let threshold = regions.first().map_or(0.0, |r| r.threshold);
    let from_masks = regions.iter().any(|r| r.from_masks);
    let judged: Vec<_> = regions.into_iter().map(|r| r.video).collect();
    let regions = (!judged.is_empty())
        .then(|| region_figures(&judged, bootstrap))
        .transpose()?;

    let errors = errors(&videos, &fair, bootstrap)?;
    let fair = match fair.is_empty() {
        true => None,
        false => Some(frame_figures(&fair, bootstrap)?.into()),
    };
    Ok(Evaluation {
        format: "msn-eval-1".into(),
        legacy: figures.into(),
        fair,
        smoothing: options.smooth,
        skipped_videos,
        kinds: kinds(&videos, options)?,
        priors,
        errors,
        rbdc: regions.as_ref().and_then(|r| r.rbdc),
        tbdc: regions.as_ref().and_then(|r| r.tbdc),
        regions: regions.map(|r| RegionCard::new(&r, threshold, from_masks)),
        events: judge(&videos, options.calibration.as_ref())?,
        data,
        command: options.command.clone(),
        seed: options.seed,
    })
}

/// What the prediction error is worth alone, beside the fair scores of the same frames, if any.
fn errors(
    videos: &[&VideoScores],
    fair: &[ScoredVideo],
    bootstrap: &Bootstrap,
) -> Result<BTreeMap<String, ErrorFigures>, EvalError> {
    let patch = |s: &FrameScore| s.patch;
    let psnr = |s: &FrameScore| -s.psnr;
    let mut all = BTreeMap::new();
    for (name, column) in [
        ("patch", &patch as &dyn Fn(&FrameScore) -> f64),
        ("psnr", &psnr),
    ] {
        let alone = |video: &&VideoScores| {
            let scores: Vec<f64> = video.scores.iter().map(column).collect();
            video.scored(&scores, |_| true)
        };
        let alone: Vec<ScoredVideo> = videos.iter().map(alone).collect();
        let fair_ahead = match fair.len() == alone.len() {
            true => micro_auc_difference(fair, &alone, bootstrap)?,
            false => None,
        };
        let figures = frame_figures(&alone, bootstrap)?.into();
        all.insert(
            name.to_owned(),
            ErrorFigures {
                figures,
                fair_ahead,
            },
        );
    }
    Ok(all)
}

fn smoothed(scores: Vec<f64>, sigma: Option<f64>) -> Result<Vec<f64>, msn_metrics::MetricsError> {
    match sigma {
        Some(sigma) => smooth_gaussian(&scores, sigma),
        None => Ok(scores),
    }
}

/// One protocol's scores of the frames that `keep` wants; empty for fair without a calibration.
fn scored(
    videos: &[&VideoScores],
    options: &EvalOptions,
    legacy: bool,
    keep: impl Fn(&VideoScores, usize) -> bool,
) -> Result<Vec<ScoredVideo>, EvalError> {
    let mut all = Vec::new();
    for video in videos {
        let scores = match (legacy, &video.fair) {
            (true, _) => smoothed(video.legacy.clone(), options.smooth)?,
            (false, Some(fair)) => fair.clone(),
            (false, None) => continue,
        };
        let video = video.scored(&scores, |frame| keep(video, frame));
        if !video.scores.is_empty() {
            all.push(video);
        }
    }
    Ok(all)
}

fn kinds(
    videos: &[&VideoScores],
    options: &EvalOptions,
) -> Result<BTreeMap<String, KindFigures>, EvalError> {
    let spans = videos
        .iter()
        .filter_map(|v| v.labels.as_ref())
        .flat_map(|l| &l.spans);
    let mut groups: Vec<Vec<String>> = spans
        .filter_map(|s| s.kind.clone())
        .map(|kind| vec![kind])
        .collect();
    groups.sort();
    groups.dedup();
    groups.extend(options.groups.iter().cloned());
    let mut out = BTreeMap::new();
    for group in groups {
        let of_group = |video: &VideoScores, frame: usize| {
            let Some(labels) = &video.labels else {
                return false;
            };
            let inside = |s: &msn_data::FrameSpan| {
                (s.start..s.end).contains(&frame)
                    && s.kind.as_ref().is_some_and(|k| group.contains(k))
            };
            !labels.anomalous[frame] || labels.spans.iter().any(inside)
        };
        let legacy = scored(videos, options, true, of_group)?;
        let fair = scored(videos, options, false, of_group)?;
        let micro = |videos: &[ScoredVideo]| -> Result<Option<Figure>, EvalError> {
            Ok(frame_figures(videos, &options.bootstrap)?.micro_auc)
        };
        let figures = KindFigures {
            frames: legacy
                .iter()
                .flat_map(|v| &v.labels)
                .filter(|&&l| l)
                .count(),
            legacy_micro_auc: micro(&legacy)?,
            fair_micro_auc: if fair.is_empty() { None } else { micro(&fair)? },
        };
        out.insert(group.join("+"), figures);
    }
    Ok(out)
}
