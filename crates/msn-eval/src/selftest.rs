//! Synthetic anomalies in normal footage: what a network and its score detect, without a test label.
//!
//! Moving objects are cut out of training videos and drawn into those of the calibration split in
//! ways in which nothing moved there. Settings can be chosen by what is detected; how well real
//! anomalies are detected is another question.

mod objects;
#[cfg(test)]
mod tests;
mod verdict;

use std::{collections::BTreeMap, fmt};

use msn_data::{LoadedVideo, Segment};
use msn_events::{FrameRange, Rules, ScoreSequence, detect};
use msn_metrics::{ScoredVideo, micro_auc, regions::MapSize};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::objects::{Cut, MovingObject, moving_objects, noise};
use crate::{Calibration, EvalError, Scorer, score::alarm::clock};

/// Version of a [`SelfTest`] in JSON.
pub const SELF_TEST_FORMAT: &str = "msn-selftest-2";

/// Frames of the calibration split that each kind is inserted into, at most; less footage is used
/// again, with other objects, up to so many times.
const MOST_FRAMES: usize = 2000;
const MOST_ROUNDS: usize = 5;
/// Training videos that objects are cut out of, and frames of each, at most.
const DONORS: usize = 20;
const DONOR_FRAMES: usize = 300;
/// Frames between two anomalies: the score's history and some more.
const BREAK: std::ops::Range<usize> = 16..32;
/// Side of the foreign texture, pixels.
const TEXTURE: usize = 32;
/// Factors of the pixels of untouched footage, as a cloud or an exposure control would change it.
const GAINS: [f64; 2] = [0.94, 1.06];

/// What is inserted into normal footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injected {
    /// An object as it moved elsewhere: no anomaly, but it shows what drawing alone does.
    Control,
    /// An object 1.7 times its size.
    Larger,
    /// An object at twice its speed.
    Faster,
    /// An object that moves backwards.
    Reversed,
    /// An object that stops for good halfway; it counts from there.
    Stopped,
    /// An object filled with a foreign texture.
    Texture,
}

impl Injected {
    /// All, the control first.
    pub const ALL: [Self; 6] = [
        Self::Control,
        Self::Larger,
        Self::Faster,
        Self::Reversed,
        Self::Stopped,
        Self::Texture,
    ];
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Control => "control",
            Self::Larger => "larger",
            Self::Faster => "faster",
            Self::Reversed => "reversed",
            Self::Stopped => "stopped",
            Self::Texture => "texture",
        })
    }
}

/// How well one kind is detected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectedMetrics {
    /// What was inserted.
    pub kind: Injected,
    /// How often it was inserted.
    pub spans: usize,
    /// Of these, overlapped by an event at the calibrated threshold; `None` without a threshold.
    pub detected: Option<usize>,
    /// AUC of its frames against the untouched ones, anomaly score.
    pub auc: Option<f64>,
    /// AUC of its frames against those with a control drawn in, which share what drawing does;
    /// `None` for the control itself.
    pub auc_to_control: Option<f64>,
}

/// What a change of brightness alone does to normal frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BrightnessMetrics {
    /// Factor of their pixels.
    pub gain: f64,
    /// Events in them: false alarms; `None` without a calibrated threshold.
    pub false_alarms: Option<usize>,
    /// AUC of these frames against the untouched ones; 0.5 where brightness changes nothing.
    pub auc: Option<f64>,
}

/// The result of [`self_test`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// [`SELF_TEST_FORMAT`].
    pub format: String,
    /// Seed of what was inserted where.
    pub seed: u64,
    /// Moving objects that were cut out.
    pub objects: usize,
    /// Frames of the calibration split that were scored untouched.
    pub frames: usize,
    /// Events in these: false alarms; `None` without a calibrated threshold.
    pub false_alarms: Option<usize>,
    /// The same frames at another brightness.
    pub brightness: Vec<BrightnessMetrics>,
    /// How well each kind is detected, in the order of [`Injected::ALL`].
    pub kinds: Vec<InjectedMetrics>,
    /// Mean over kinds but the control of both AUCs: what settings can be chosen by.
    pub criterion: Option<f64>,
    /// The same of the prediction error alone: `patch`, the largest window's mean square, and
    /// `psnr`.
    pub prediction_error: BTreeMap<String, Option<f64>>,
    /// What this comes to, in sentences: what is found, what is not, what to do.
    #[serde(default)]
    pub verdict: Vec<String>,
}

/// The scores of a frame: the anomaly score, then the prediction error alone.
type Scores = [f64; 1 + ERRORS.len()];
const ERRORS: [&str; 2] = ["patch", "psnr"];

/// Frames with something inserted, or untouched.
struct Scene {
    /// Of each scored frame.
    scores: Vec<Scores>,
    /// Whether the frame counts as anomalous.
    anomalous: Vec<bool>,
    events: Option<Vec<FrameRange>>,
    spans: Vec<FrameRange>,
}

/// Inserts every kind of [`Injected`], cut out of the segments `donors`, into the segments
/// `normal`, and scores them.
///
/// # Errors
/// [`EvalError::NothingMoves`] where nothing can be cut out, [`EvalError::NothingToCalibrate`] where
/// no frame can be scored, and what scoring itself may return.
pub fn self_test(
    scorer: &Scorer<'_>,
    calibration: &Calibration,
    videos: &[LoadedVideo],
    normal: &[Segment],
    donors: &[Segment],
    seed: u64,
) -> Result<SelfTest, EvalError> {
    let mut objects = Vec::new();
    let every = donors.len().div_ceil(DONORS).max(1);
    for donor in donors.iter().step_by(every) {
        let end = donor.frames.end.min(donor.frames.start + DONOR_FRAMES);
        objects.extend(moving_objects(
            &videos[donor.video],
            donor.frames.start..end,
        )?);
    }
    if objects.is_empty() {
        return Err(EvalError::NothingMoves);
    }
    let footage: usize = normal.iter().map(|segment| segment.frames.len()).sum();
    let rounds = (MOST_FRAMES / footage.max(1)).clamp(1, MOST_ROUNDS);
    let run = |kind: Option<Injected>, gain: f64| -> Result<Vec<Scene>, EvalError> {
        // The same objects at the same positions for every kind.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut left = MOST_FRAMES;
        let mut scenes = Vec::new();
        let rounds = kind.map_or(1, |_| rounds);
        for segment in std::iter::repeat_n(normal, rounds).flatten() {
            let frames = segment.frames.len().min(left);
            if frames < scorer.frames_needed() {
                continue;
            }
            left -= frames;
            let video = &videos[segment.video];
            let start = segment.frames.start;
            let mut footage = (start..start + frames)
                .map(|frame| video.frame(frame).map(|pixels| brightened(&pixels, gain)))
                .collect::<Result<Vec<_>, _>>()?;
            let anomalous = match kind {
                Some(kind) => inject(kind, &mut footage, video, &objects, scorer, &mut rng),
                None => vec![false; frames],
            };
            scenes.push(scene(
                scorer,
                calibration,
                video,
                start,
                &footage,
                &anomalous,
            )?);
        }
        Ok(scenes)
    };
    let untouched = run(None, 1.0)?;
    let frames: usize = untouched.iter().map(|s| s.scores.len()).sum();
    if frames == 0 {
        return Err(EvalError::NothingToCalibrate);
    }
    let all_scores = |scenes: &[Scene]| -> Vec<Scores> {
        let of = |s: &Scene| s.scores.clone();
        scenes.iter().flat_map(of).collect()
    };
    let events = |scenes: &[Scene]| scenes.iter().map(|s| s.events.as_ref().map(Vec::len)).sum();
    let untouched_scores = all_scores(&untouched);
    let mut brightness = Vec::new();
    for gain in GAINS {
        let scenes = run(None, gain)?;
        brightness.push(BrightnessMetrics {
            gain,
            false_alarms: events(&scenes),
            auc: aucs(&all_scores(&scenes), &untouched_scores)?[0],
        });
    }
    let anomalous_scores = |scenes: &[Scene]| -> Vec<Scores> {
        let pairs = scenes
            .iter()
            .flat_map(|s| s.scores.iter().zip(&s.anomalous));
        pairs
            .filter(|(_, anomalous)| **anomalous)
            .map(|(v, _)| *v)
            .collect()
    };
    let mut control = Vec::new();
    let mut kinds = Vec::new();
    let mut all_aucs = Vec::new();
    for kind in Injected::ALL {
        let scenes = run(Some(kind), 1.0)?;
        let scores = anomalous_scores(&scenes);
        let to_untouched = aucs(&scores, &untouched_scores)?;
        let to_control = if kind == Injected::Control {
            control.clone_from(&scores);
            [None; 1 + ERRORS.len()]
        } else {
            let to_control = aucs(&scores, &control)?;
            all_aucs.extend([to_untouched, to_control]);
            to_control
        };
        let hit = |s: &Scene| {
            let events = s.events.as_ref()?;
            let found = |span: &&FrameRange| {
                events
                    .iter()
                    .any(|e| e.start < span.end && span.start < e.end)
            };
            Some(s.spans.iter().filter(found).count())
        };
        kinds.push(InjectedMetrics {
            kind,
            spans: scenes.iter().map(|s| s.spans.len()).sum(),
            detected: scenes.iter().map(hit).sum(),
            auc: to_untouched[0],
            auc_to_control: to_control[0],
        });
    }
    let criterion = |score: usize| -> Option<f64> {
        let all: Option<Vec<f64>> = all_aucs.iter().map(|aucs| aucs[score]).collect();
        all.map(|all| all.iter().sum::<f64>() / all.len() as f64)
    };
    let mut test = SelfTest {
        format: SELF_TEST_FORMAT.to_owned(),
        seed,
        objects: objects.len(),
        frames,
        false_alarms: events(&untouched),
        brightness,
        kinds,
        criterion: criterion(0),
        prediction_error: (1..)
            .zip(ERRORS)
            .map(|(score, name)| (name.to_owned(), criterion(score)))
            .collect(),
        verdict: Vec::new(),
    };
    test.verdict = verdict::verdict(&test);
    Ok(test)
}

/// AUC of anomalous frames over normal ones by each of the scores.
fn aucs(
    anomalous: &[Scores],
    normal: &[Scores],
) -> Result<[Option<f64>; 1 + ERRORS.len()], EvalError> {
    let mut all = [None; 1 + ERRORS.len()];
    for (score, auc) in all.iter_mut().enumerate() {
        let video = ScoredVideo {
            name: String::new(),
            labels: [vec![true; anomalous.len()], vec![false; normal.len()]].concat(),
            scores: anomalous.iter().chain(normal).map(|s| s[score]).collect(),
        };
        *auc = micro_auc(&[video])?;
    }
    Ok(all)
}

/// Pixels times a factor.
fn brightened(pixels: &[u8], gain: f64) -> Vec<u8> {
    let byte = |&p: &u8| (f64::from(p) * gain).round().clamp(0.0, 255.0) as u8;
    pixels.iter().map(byte).collect()
}

/// Draws objects into footage, one after the other; gives which frames count as anomalous.
fn inject(
    kind: Injected,
    footage: &mut [Vec<u8>],
    video: &LoadedVideo,
    objects: &[MovingObject],
    scorer: &Scorer<'_>,
    rng: &mut ChaCha8Rng,
) -> Vec<bool> {
    let size = MapSize {
        width: usize::try_from(video.size.width).unwrap_or(0),
        height: usize::try_from(video.size.height).unwrap_or(0),
    };
    let channels = video.color.channels();
    let mut anomalous = vec![false; footage.len()];
    let mut at = scorer.frames_needed() + scorer.score.history;
    while at < footage.len() {
        let object = &objects[rng.random_range(0..objects.len())];
        let texture = noise(TEXTURE, rng);
        for (step, cut) in path(kind, object).into_iter().enumerate() {
            let Some(frame) = footage.get_mut(at + step) else {
                break;
            };
            let cut = match kind {
                Injected::Larger => cut.enlarged(1.7, channels),
                Injected::Texture => cut.filled(&texture, TEXTURE, channels),
                _ => cut.clone(),
            };
            cut.draw(frame, size, channels);
            anomalous[at + step] = kind != Injected::Stopped || step >= object.cuts.len() / 2;
        }
        // As long as the longest path, so that every kind has the same objects at the same times.
        at += object.cuts.len() + rng.random_range(BREAK);
    }
    anomalous
}

/// An object's pictures in the order in which they are drawn.
fn path(kind: Injected, object: &MovingObject) -> Vec<&Cut> {
    let cuts = &object.cuts;
    match kind {
        Injected::Control | Injected::Larger | Injected::Texture => cuts.iter().collect(),
        Injected::Faster => cuts.iter().step_by(2).collect(),
        Injected::Reversed => cuts.iter().rev().collect(),
        Injected::Stopped => (0..cuts.len())
            .map(|i| &cuts[i.min(cuts.len() / 2)])
            .collect(),
    }
}

/// Scores footage of some frames of a video, `start` the first of them.
fn scene(
    scorer: &Scorer<'_>,
    calibration: &Calibration,
    video: &LoadedVideo,
    start: usize,
    footage: &[Vec<u8>],
    anomalous: &[bool],
) -> Result<Scene, EvalError> {
    let side = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
    let mut stream = scorer.stream(&video.name, side(video.size.height), side(video.size.width));
    let mut scored = Vec::new();
    for (i, pixels) in footage.iter().enumerate() {
        scored.extend(stream.push(start + i, video.seconds[start + i], pixels)?);
    }
    scored.extend(stream.gap()?);
    let frames: Vec<usize> = scored.iter().map(|s| s.score.frame).collect();
    let scores: Vec<Scores> = scored
        .iter()
        .map(|s| &s.score)
        .map(|s| [calibration.standardise(s.excess), s.patch, -s.psnr])
        .collect();
    let fair: Vec<f64> = scores.iter().map(|s| s[0]).collect();
    let events = match calibration.alarm {
        Some(alarm) => {
            let sequence = ScoreSequence::from_frames(&video.name, &frames, &fair, clock(video))?;
            let events = detect(&sequence, &Rules::default(), alarm.threshold)?;
            let span = |e: &msn_events::Event| FrameRange {
                start: e.start,
                end: e.end,
            };
            Some(events.iter().map(span).collect())
        }
        None => None,
    };
    let spans = FrameRange::of_labels(anomalous)
        .into_iter()
        .map(|s| FrameRange {
            start: s.start + start,
            end: s.end + start,
        })
        .collect();
    Ok(Scene {
        anomalous: frames.iter().map(|f| anomalous[f - start]).collect(),
        scores,
        events,
        spans,
    })
}
