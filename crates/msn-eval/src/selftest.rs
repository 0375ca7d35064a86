//! Anomalies put into normal footage: what a network and its score can tell, without a test label.
//!
//! Things that move in training videos are cut out and drawn into held-out ones, in ways in which
//! nothing moved there. Settings can be chosen by what is found; how well real anomalies are found
//! is another question.

mod movers;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use msn_data::{LoadedVideo, Segment};
use msn_events::{Rules, ScoreSequence, Span, detect};
use msn_metrics::{ScoredVideo, micro_auc, regions::MapSize};
use msn_model::Calibration;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use self::movers::{Cut, Mover, movers, noise};
use crate::{EvalError, Scorer, events::clock, fair::standardise};

/// Frames of held-out footage that each kind is put into, at most; less footage is used again, with
/// other things, up to so many times.
const MOST_FRAMES: usize = 2000;
const MOST_ROUNDS: usize = 5;
/// Training videos that things are cut out of, and frames of each, at most.
const DONORS: usize = 20;
const DONOR_FRAMES: usize = 300;
/// Frames between two anomalies: the score's memory and some more.
const BREAK: std::ops::Range<usize> = 16..32;
/// Side of the foreign texture, pixels.
const TEXTURE: usize = 32;
/// Factors of the pixels of untouched footage, as a cloud or an exposure control would change it.
const GAINS: [f64; 2] = [0.94, 1.06];

/// What is put into normal footage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Injected {
    /// A thing as it moved elsewhere: no anomaly, but it shows what drawing alone does.
    Ordinary,
    /// A thing 1.7 times its size.
    Larger,
    /// A thing at twice its speed.
    Faster,
    /// A thing that moves backwards.
    Reversed,
    /// A thing that stops for good halfway; it counts from there.
    Stopped,
    /// A thing filled with a foreign texture.
    Texture,
}

impl Injected {
    /// All, the ordinary one first.
    pub const ALL: [Self; 6] = [
        Self::Ordinary,
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
            Self::Ordinary => "ordinary",
            Self::Larger => "larger",
            Self::Faster => "faster",
            Self::Reversed => "reversed",
            Self::Stopped => "stopped",
            Self::Texture => "texture",
        })
    }
}

/// What was found of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InjectedFigures {
    /// The kind.
    pub kind: Injected,
    /// How often it was put in.
    pub spans: usize,
    /// Of these, overlapped by an event at the calibrated threshold; `None` without a threshold.
    pub found: Option<usize>,
    /// AUC of its frames against the untouched ones, fair score.
    pub auc: Option<f64>,
    /// AUC of its frames against those with an ordinary thing drawn in, which share what drawing
    /// does; `None` for the ordinary kind itself.
    pub auc_beside_ordinary: Option<f64>,
}

/// What a change of light alone does to held-out frames.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LightFigures {
    /// Factor of their pixels.
    pub gain: f64,
    /// Events in them: false alarms; `None` without a calibrated threshold.
    pub false_alarms: Option<usize>,
    /// AUC of these frames against the untouched ones; 0.5 where light changes nothing.
    pub auc: Option<f64>,
}

/// What [`self_test`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Seed of what was put where.
    pub seed: u64,
    /// Things that were cut out.
    pub movers: usize,
    /// Held-out frames that were scored untouched.
    pub frames: usize,
    /// Events in these: false alarms; `None` without a calibrated threshold.
    pub false_alarms: Option<usize>,
    /// The same frames in other light.
    pub light: Vec<LightFigures>,
    /// Each kind.
    pub kinds: Vec<InjectedFigures>,
    /// Mean over kinds but the ordinary of both AUCs: what settings can be chosen by.
    pub criterion: Option<f64>,
    /// The same of the prediction error alone: `patch`, the largest window's mean square, and
    /// `psnr`.
    pub errors: BTreeMap<String, Option<f64>>,
}

/// What a frame is judged by: the fair score, then the prediction error alone.
type Scores = [f64; 1 + ERRORS.len()];
const ERRORS: [&str; 2] = ["patch", "psnr"];

/// Frames with something in them, or untouched.
struct Scene {
    /// Of each scored frame.
    scores: Vec<Scores>,
    /// Whether the frame counts as odd.
    odd: Vec<bool>,
    events: Option<Vec<Span>>,
    spans: Vec<Span>,
}

/// Puts every kind of [`Injected`] into the `held` segments, cut out of the `donors`, and scores
/// them.
///
/// # Errors
/// [`EvalError::NothingMoves`] where nothing can be cut out, [`EvalError::NothingHeldOut`] where no
/// held-out frame can be scored, and what scoring itself may return.
pub fn self_test(
    scorer: &Scorer<'_>,
    calibration: &Calibration,
    videos: &[LoadedVideo],
    held: &[Segment],
    donors: &[Segment],
    seed: u64,
) -> Result<SelfTest, EvalError> {
    let mut things = Vec::new();
    let every = donors.len().div_ceil(DONORS).max(1);
    for donor in donors.iter().step_by(every) {
        let end = donor.frames.end.min(donor.frames.start + DONOR_FRAMES);
        things.extend(movers(&videos[donor.video], donor.frames.start..end)?);
    }
    if things.is_empty() {
        return Err(EvalError::NothingMoves);
    }
    let footage: usize = held.iter().map(|segment| segment.frames.len()).sum();
    let rounds = (MOST_FRAMES / footage.max(1)).clamp(1, MOST_ROUNDS);
    let run = |kind: Option<Injected>, gain: f64| -> Result<Vec<Scene>, EvalError> {
        // The same things at the same places for every kind.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut left = MOST_FRAMES;
        let mut scenes = Vec::new();
        let rounds = kind.map_or(1, |_| rounds);
        for segment in std::iter::repeat_n(held, rounds).flatten() {
            let frames = segment.frames.len().min(left);
            if frames < scorer.frames_needed() {
                continue;
            }
            left -= frames;
            let video = &videos[segment.video];
            let start = segment.frames.start;
            let mut footage = (start..start + frames)
                .map(|frame| video.frame(frame).map(|pixels| lit(&pixels, gain)))
                .collect::<Result<Vec<_>, _>>()?;
            let odd = match kind {
                Some(kind) => inject(kind, &mut footage, video, &things, scorer, &mut rng),
                None => vec![false; frames],
            };
            scenes.push(scene(scorer, calibration, video, start, &footage, &odd)?);
        }
        Ok(scenes)
    };
    let untouched = run(None, 1.0)?;
    let frames: usize = untouched.iter().map(|s| s.scores.len()).sum();
    if frames == 0 {
        return Err(EvalError::NothingHeldOut);
    }
    let all_scores = |scenes: &[Scene]| -> Vec<Scores> {
        let of = |s: &Scene| s.scores.clone();
        scenes.iter().flat_map(of).collect()
    };
    let events = |scenes: &[Scene]| scenes.iter().map(|s| s.events.as_ref().map(Vec::len)).sum();
    let normal = all_scores(&untouched);
    let mut light = Vec::new();
    for gain in GAINS {
        let scenes = run(None, gain)?;
        light.push(LightFigures {
            gain,
            false_alarms: events(&scenes),
            auc: aucs(&all_scores(&scenes), &normal)?[0],
        });
    }
    let odd_scores = |scenes: &[Scene]| -> Vec<Scores> {
        let pairs = scenes.iter().flat_map(|s| s.scores.iter().zip(&s.odd));
        pairs.filter(|(_, odd)| **odd).map(|(v, _)| *v).collect()
    };
    let mut ordinary = Vec::new();
    let mut kinds = Vec::new();
    let mut judged = Vec::new();
    for kind in Injected::ALL {
        let scenes = run(Some(kind), 1.0)?;
        let scores = odd_scores(&scenes);
        let beside_normal = aucs(&scores, &normal)?;
        let beside_ordinary = if kind == Injected::Ordinary {
            ordinary.clone_from(&scores);
            [None; 1 + ERRORS.len()]
        } else {
            let beside_ordinary = aucs(&scores, &ordinary)?;
            judged.extend([beside_normal, beside_ordinary]);
            beside_ordinary
        };
        let hit = |s: &Scene| {
            let events = s.events.as_ref()?;
            let found = |span: &&Span| {
                events
                    .iter()
                    .any(|e| e.start < span.end && span.start < e.end)
            };
            Some(s.spans.iter().filter(found).count())
        };
        kinds.push(InjectedFigures {
            kind,
            spans: scenes.iter().map(|s| s.spans.len()).sum(),
            found: scenes.iter().map(hit).sum(),
            auc: beside_normal[0],
            auc_beside_ordinary: beside_ordinary[0],
        });
    }
    let criterion = |score: usize| -> Option<f64> {
        let all: Option<Vec<f64>> = judged.iter().map(|aucs| aucs[score]).collect();
        all.map(|all| all.iter().sum::<f64>() / crate::fair::count(all.len()))
    };
    Ok(SelfTest {
        seed,
        movers: things.len(),
        frames,
        false_alarms: events(&untouched),
        light,
        kinds,
        criterion: criterion(0),
        errors: (1..)
            .zip(ERRORS)
            .map(|(score, name)| (name.to_owned(), criterion(score)))
            .collect(),
    })
}

/// AUC of odd frames over normal ones by each of the scores.
fn aucs(odd: &[Scores], normal: &[Scores]) -> Result<[Option<f64>; 1 + ERRORS.len()], EvalError> {
    let mut all = [None; 1 + ERRORS.len()];
    for (score, auc) in all.iter_mut().enumerate() {
        let video = ScoredVideo {
            name: String::new(),
            labels: [vec![true; odd.len()], vec![false; normal.len()]].concat(),
            scores: odd.iter().chain(normal).map(|s| s[score]).collect(),
        };
        *auc = micro_auc(&[video])?;
    }
    Ok(all)
}

/// Pixels times a factor.
fn lit(pixels: &[u8], gain: f64) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a byte"
    )]
    let byte = |&p: &u8| (f64::from(p) * gain).round().clamp(0.0, 255.0) as u8;
    pixels.iter().map(byte).collect()
}

/// Draws things into footage, one after the other; which frames count as odd.
fn inject(
    kind: Injected,
    footage: &mut [Vec<u8>],
    video: &LoadedVideo,
    things: &[Mover],
    scorer: &Scorer<'_>,
    rng: &mut ChaCha8Rng,
) -> Vec<bool> {
    let size = MapSize {
        width: usize::try_from(video.size.width).unwrap_or(0),
        height: usize::try_from(video.size.height).unwrap_or(0),
    };
    let channels = video.color.channels();
    let mut odd = vec![false; footage.len()];
    let mut at = scorer.frames_needed() + scorer.fair.history;
    while at < footage.len() {
        let thing = &things[rng.random_range(0..things.len())];
        let texture = noise(TEXTURE, rng);
        for (step, cut) in way(kind, thing).into_iter().enumerate() {
            let Some(frame) = footage.get_mut(at + step) else {
                break;
            };
            let cut = match kind {
                Injected::Larger => cut.enlarged(1.7, channels),
                Injected::Texture => cut.filled(&texture, TEXTURE, channels),
                _ => cut.clone(),
            };
            cut.draw(frame, size, channels);
            odd[at + step] = kind != Injected::Stopped || step >= thing.cuts.len() / 2;
        }
        // Room for the longest way, so that every kind has the same things at the same times.
        at += thing.cuts.len() + rng.random_range(BREAK);
    }
    odd
}

/// A thing's pictures in the order in which they are drawn.
fn way(kind: Injected, thing: &Mover) -> Vec<&Cut> {
    let cuts = &thing.cuts;
    match kind {
        Injected::Ordinary | Injected::Larger | Injected::Texture => cuts.iter().collect(),
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
    odd: &[bool],
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
        .map(|s| [standardise(s.excess, calibration), s.patch, -s.psnr])
        .collect();
    let fair: Vec<f64> = scores.iter().map(|s| s[0]).collect();
    let events = match calibration.alarm {
        Some(alarm) => {
            let sequence = ScoreSequence::from_frames(&video.name, &frames, &fair, clock(video))?;
            let events = detect(&sequence, &Rules::default(), alarm.threshold)?;
            let span = |e: &msn_events::Event| Span {
                start: e.start,
                end: e.end,
            };
            Some(events.iter().map(span).collect())
        }
        None => None,
    };
    let spans = Span::of_labels(odd)
        .into_iter()
        .map(|s| Span {
            start: s.start + start,
            end: s.end + start,
        })
        .collect();
    Ok(Scene {
        odd: frames.iter().map(|f| odd[f - start]).collect(),
        scores,
        events,
        spans,
    })
}
