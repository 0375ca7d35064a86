//! Files of golden cases: scores or boxes and the metrics that belong to them.
//!
//! Two forms of JSON are known, told apart by their keys:
//! `{"videos": [{"name", "labels": [0|1], "scores": [..]}]}` for metrics of frames, and
//! `{"frames", "tracks": [{"track", "frame", "x1", "y1", "x2", "y2"}],
//! "detections": [{"frame", "x1", "y1", "x2", "y2", "score"}]}` for RBDC and TBDC. Either may hold
//! `expect`, the metrics by name. Scores that JSON cannot hold (`NaN`, `Infinity`, as Python
//! writes them, or null) are read and then refused by frame.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::regions::{Detection, Region, RegionVideo, Track, rbdc, tbdc};
use crate::{
    FixtureError, MetricsError, ScoredVideo, average_precision, equal_error_rate, macro_auc_pad,
    macro_auc_skip, micro_auc,
};

/// What a fixture holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Fixture {
    /// Labels and scores of frames.
    Frames(Vec<ScoredVideo>),
    /// True and found boxes.
    Regions(Vec<RegionVideo>),
}

/// A fixture and the metrics it asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Scores or boxes.
    pub fixture: Fixture,
    /// Its `expect`, empty if it has none: metrics by name, null where undefined.
    pub expect: Map<String, Value>,
}

#[derive(Deserialize)]
struct FramesFile {
    videos: Vec<VideoEntry>,
    #[serde(default)]
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
struct VideoEntry {
    name: String,
    labels: Vec<Label>,
    scores: Vec<Score>,
}

#[derive(Deserialize)]
struct RegionsFile {
    frames: usize,
    tracks: Vec<TrackEntry>,
    detections: Vec<DetectionEntry>,
    #[serde(default)]
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
struct TrackEntry {
    track: i64,
    #[serde(flatten)]
    region: Region,
}

#[derive(Deserialize)]
struct DetectionEntry {
    score: Score,
    #[serde(flatten)]
    region: Region,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Label {
    Flag(bool),
    Number(u8),
}

/// A number, or what stands for one that is not finite.
#[derive(Deserialize)]
#[serde(untagged)]
enum Score {
    Number(f64),
    Word(String),
    Null(()),
}

impl Score {
    fn value(&self) -> Result<f64, FixtureError> {
        match self {
            Self::Number(value) => Ok(*value),
            Self::Null(()) => Ok(f64::NAN),
            Self::Word(word) => NON_FINITE
                .iter()
                .find(|(name, _)| name == word)
                .map(|&(_, value)| value)
                .ok_or_else(|| FixtureError::Score { word: word.clone() }),
        }
    }
}

/// Words for what JSON cannot hold; none begins with another.
const NON_FINITE: [(&str, f64); 3] = [
    ("NaN", f64::NAN),
    ("Infinity", f64::INFINITY),
    ("-Infinity", f64::NEG_INFINITY),
];

/// Reads a fixture.
///
/// # Errors
/// [`MetricsError::Read`], [`MetricsError::Fixture`].
pub fn read(path: &Path) -> Result<Case, MetricsError> {
    let text = std::fs::read_to_string(path).map_err(|source| MetricsError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    parse(&text).map_err(|source| MetricsError::Fixture {
        path: path.to_path_buf(),
        source,
    })
}

/// The metrics of a fixture by the keys of its `expect`, null where one is undefined.
///
/// # Errors
/// Those of [`read`] and of the metrics: a score that is NaN or infinite is refused with its
/// video and frame.
pub fn metrics(path: &Path) -> Result<Value, MetricsError> {
    read(path)?.fixture.metrics()
}

impl Fixture {
    /// The metrics by name, null where one is undefined.
    ///
    /// # Errors
    /// Those of the metrics.
    pub fn metrics(&self) -> Result<Value, MetricsError> {
        match self {
            Self::Frames(videos) => Ok(serde_json::json!({
                "micro_auc": micro_auc(videos)?,
                "macro_auc_skip": macro_auc_skip(videos)?.value,
                "macro_auc_pad": macro_auc_pad(videos)?,
                "average_precision": average_precision(videos)?,
                "equal_error_rate": equal_error_rate(videos)?,
            })),
            Self::Regions(videos) => Ok(serde_json::json!({
                "rbdc": rbdc(videos)?,
                "tbdc": tbdc(videos)?,
            })),
        }
    }
}

fn parse(text: &str) -> Result<Case, FixtureError> {
    let text = quote_non_finite(text);
    let value: Value = serde_json::from_str(&text)?;
    if value.get("videos").is_some() {
        let file: FramesFile = serde_json::from_value(value)?;
        let videos = file
            .videos
            .into_iter()
            .map(video)
            .collect::<Result<_, _>>()?;
        return Ok(Case {
            fixture: Fixture::Frames(videos),
            expect: file.expect,
        });
    }
    if ["frames", "tracks", "detections"]
        .iter()
        .all(|key| value.get(key).is_some())
    {
        let file: RegionsFile = serde_json::from_value(value)?;
        let expect = file.expect.clone();
        return Ok(Case {
            fixture: Fixture::Regions(vec![regions(file)?]),
            expect,
        });
    }
    Err(FixtureError::Form)
}

fn video(entry: VideoEntry) -> Result<ScoredVideo, FixtureError> {
    let labels = entry
        .labels
        .iter()
        .enumerate()
        .map(|(frame, label)| match label {
            Label::Flag(flag) => Ok(*flag),
            Label::Number(0) => Ok(false),
            Label::Number(1) => Ok(true),
            Label::Number(label) => Err(FixtureError::Label {
                video: entry.name.clone(),
                frame,
                label: *label,
            }),
        });
    Ok(ScoredVideo {
        labels: labels.collect::<Result<_, _>>()?,
        scores: entry
            .scores
            .iter()
            .map(Score::value)
            .collect::<Result<_, _>>()?,
        name: entry.name,
    })
}

fn regions(file: RegionsFile) -> Result<RegionVideo, FixtureError> {
    let mut tracks: BTreeMap<i64, Track> = BTreeMap::new();
    for TrackEntry { track, region } in file.tracks {
        tracks.entry(track).or_default().regions.push(region);
    }
    let detections = file
        .detections
        .into_iter()
        .map(|DetectionEntry { score, region }| {
            Ok(Detection {
                region,
                score: score.value()?,
            })
        });
    Ok(RegionVideo {
        name: "fixture".to_owned(),
        frames: file.frames,
        tracks: tracks.into_values().collect(),
        detections: detections.collect::<Result<_, FixtureError>>()?,
    })
}

/// Puts quotes around `NaN`, `Infinity` and `-Infinity` that stand outside of strings.
fn quote_non_finite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"]
            .into_iter()
            .find(|w| !quoted && rest.starts_with(w));
        let step = match word {
            Some(word) => {
                out.push('"');
                out.push_str(word);
                out.push('"');
                word.len()
            }
            None => {
                // An escaped character ends no string.
                let step = match (quoted && c == '\\', rest.chars().nth(1)) {
                    (true, Some(next)) => c.len_utf8() + next.len_utf8(),
                    _ => c.len_utf8(),
                };
                quoted ^= c == '"';
                out.push_str(&rest[..step]);
                step
            }
        };
        rest = &rest[step..];
    }
    out
}
