//! What is measured of a method, as JSON has it.

use anyhow::Result;
use msn_events::{
    Clock, Event, EventMetrics, FrameRange, LabelledEvents, Rules, ScoreSequence, detect,
    event_metrics,
};
use msn_metrics::{
    Bootstrap, FrameMetrics, MetricDifferences, PrPoint, RocPoint, ScoredVideo, TableScores,
    frame_metrics, min_max, pr_curve, prior_rows, roc_curve, video_auc,
};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The format of what `msn metrics --json` prints.
pub(super) const METRICS_FORMAT: &str = "msn-metrics-1";

/// Most points of a curve; more are thinned evenly along it.
const MOST_POINTS: usize = 1000;

/// One method's metrics.
#[derive(Debug, Serialize)]
pub(super) struct MethodMetrics {
    pub name: String,
    #[serde(flatten)]
    pub metrics: FrameMetrics,
    pub by_video: Vec<VideoMetrics>,
    /// Null with one class only, as the next.
    pub roc: Option<Vec<RocPoint>>,
    pub precision_recall: Option<Vec<PrPoint>>,
    pub events: EventList,
}

#[derive(Debug, Serialize)]
pub(super) struct VideoMetrics {
    pub name: String,
    pub frames: usize,
    pub anomalous_frames: usize,
    /// Null with one class only.
    pub auc: Option<f64>,
}

/// Labelled events, and those that a threshold finds.
#[derive(Debug, Serialize)]
pub(super) struct EventList {
    pub labelled: Vec<LabelledEvent>,
    pub threshold: Option<f64>,
    pub rules: Option<Rules>,
    pub found: Option<Vec<FoundEvent>>,
    pub metrics: Option<EventMetrics>,
}

/// An unbroken run of anomalous scored frames.
#[derive(Debug, Serialize)]
pub(super) struct LabelledEvent {
    pub video: String,
    pub start_frame: usize,
    /// The frame after the last.
    pub end_frame: usize,
    pub start: Option<f64>,
    /// Of its last frame.
    pub end: Option<f64>,
    pub highest_score: f64,
    /// Share of all normal frames whose score is at least that high.
    pub false_positive_rate: Option<f64>,
    /// Whether an event above the threshold overlaps it.
    pub found: Option<bool>,
}

/// An event above the threshold.
#[derive(Debug, Serialize)]
pub(super) struct FoundEvent {
    pub video: String,
    pub start_frame: usize,
    pub end_frame: usize,
    pub peak_frame: usize,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub peak: Option<f64>,
    /// Largest smoothed score.
    pub score: f64,
    /// Whether it overlaps a labelled event.
    pub labelled: bool,
}

/// Another method against the first.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    #[serde(flatten)]
    pub method: MethodMetrics,
    /// Its metrics less those of the first method.
    pub difference: MetricDifferences,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Output {
    pub format: &'static str,
    #[serde(flatten)]
    pub first: MethodMetrics,
    pub priors: Value,
    pub compared: Vec<Compared>,
    /// Scores of each method that not all methods have, in the order of methods.
    pub left_out: Vec<usize>,
}

/// A method's scores with labels.
pub(super) struct Method {
    pub name: String,
    /// Whether scores are in robust standard deviations, which the rules of events are made for.
    pub standardised: bool,
    pub scores: Vec<TableScores>,
    pub videos: Vec<ScoredVideo>,
}

impl Method {
    pub fn measure(&self, threshold: Option<f64>) -> Result<MethodMetrics> {
        let videos = &self.videos;
        let by_video = videos.iter().map(|video| {
            Ok(VideoMetrics {
                name: video.name.clone(),
                frames: video.scores.len(),
                anomalous_frames: video.labels.iter().filter(|&&label| label).count(),
                auc: video_auc(video)?,
            })
        });
        Ok(MethodMetrics {
            name: self.name.clone(),
            metrics: frame_metrics(videos, &Bootstrap::default())?,
            by_video: by_video.collect::<Result<_>>()?,
            roc: roc_curve(videos)?.map(|points| thinned(points, |p| [p.fpr, p.tpr])),
            precision_recall: pr_curve(videos)?
                .map(|points| thinned(points, |p| [p.recall, p.precision])),
            events: self.events(threshold)?,
        })
    }

    fn events(&self, threshold: Option<f64>) -> Result<EventList> {
        let rules = Rules {
            hysteresis: if self.standardised {
                Rules::default().hysteresis
            } else {
                0.0
            },
            ..Rules::default()
        };
        let mut sequences = Vec::new();
        for (scores, video) in self.scores.iter().zip(&self.videos) {
            let sequence = ScoreSequence::from_frames(
                &video.name,
                &scores.frames,
                &video.scores,
                clock(scores),
            )?;
            let events = match threshold {
                Some(threshold) => detect(&sequence, &rules, threshold)?,
                None => Vec::new(),
            };
            sequences.push((sequence, events, spans(&scores.frames, &video.labels)));
        }
        let labelled: Vec<LabelledEvents<'_>> = sequences
            .iter()
            .map(|(sequence, events, spans)| LabelledEvents {
                sequence,
                events,
                spans,
            })
            .collect();
        let metrics = threshold.map(|_| event_metrics(&labelled)).transpose()?;
        let mut normal = Vec::new();
        for video in &self.videos {
            let frames = video.scores.iter().zip(&video.labels);
            normal.extend(
                frames
                    .filter(|(_, label)| !**label)
                    .map(|(score, _)| *score),
            );
        }
        normal.sort_unstable_by(f64::total_cmp);
        let mut list = EventList {
            labelled: Vec::new(),
            threshold,
            rules: threshold.map(|_| rules),
            found: threshold.map(|_| Vec::new()),
            metrics,
        };
        for (scores, (sequence, events, spans)) in self.scores.iter().zip(&sequences) {
            let video = &sequence.name;
            let time = |frame: usize| seconds(scores, frame);
            let overlap =
                |event: &Event, span: &FrameRange| event.start < span.end && span.start < event.end;
            for span in spans {
                let first = scores.frames.partition_point(|&f| f < span.start);
                let end = scores.frames.partition_point(|&f| f < span.end);
                let highest = scores.scores[first..end].iter().copied();
                let highest = highest.fold(f64::NEG_INFINITY, f64::max);
                let below = normal.partition_point(|&score| score < highest);
                let share = (normal.len() - below) as f64 / normal.len().max(1) as f64;
                list.labelled.push(LabelledEvent {
                    video: video.clone(),
                    start_frame: span.start,
                    end_frame: span.end,
                    start: time(span.start),
                    end: time(span.end - 1),
                    highest_score: highest,
                    false_positive_rate: (!normal.is_empty()).then_some(share),
                    found: threshold.map(|_| events.iter().any(|event| overlap(event, span))),
                });
            }
            let found = events.iter().map(|event| FoundEvent {
                video: video.clone(),
                start_frame: event.start,
                end_frame: event.end,
                peak_frame: event.peak,
                start: time(event.start),
                end: time(event.end - 1),
                peak: time(event.peak),
                score: event.score,
                labelled: spans.iter().any(|span| overlap(event, span)),
            });
            if let Some(all) = &mut list.found {
                all.extend(found);
            }
        }
        Ok(list)
    }
}

/// Runs of anomalous frames among those that are scored; a frame without a score ends one.
fn spans(frames: &[usize], labels: &[bool]) -> Vec<FrameRange> {
    let mut spans: Vec<FrameRange> = Vec::new();
    for (&frame, _) in frames.iter().zip(labels).filter(|(_, label)| **label) {
        match spans.last_mut() {
            Some(span) if span.end == frame => span.end = frame + 1,
            _ => spans.push(FrameRange {
                start: frame,
                end: frame + 1,
            }),
        }
    }
    spans
}

/// The time of a scored frame.
fn seconds(scores: &TableScores, frame: usize) -> Option<f64> {
    let at = scores.frames.binary_search(&frame).ok()?;
    scores.seconds.get(at).copied().flatten()
}

/// The mean rate of a video's frames, where they have times.
fn clock(scores: &TableScores) -> Clock {
    let frames = scores.frames.iter().zip(&scores.seconds);
    let mut timed = frames.filter_map(|(&frame, seconds)| Some((frame, (*seconds)?)));
    let ends = timed
        .next()
        .and_then(|first| Some((first, timed.next_back()?)));
    match ends {
        Some(((a, from), (b, to))) if to > from && b > a => Clock::Hz((b - a) as f64 / (to - from)),
        _ => Clock::Unknown,
    }
}

/// At most [`MOST_POINTS`] points, first and last among them, evenly spread along the curve that they
/// lie on.
fn thinned<T>(points: Vec<T>, place: impl Fn(&T) -> [f64; 2]) -> Vec<T> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let mut along = vec![0.0];
    for pair in points.windows(2) {
        let [a, b] = [place(&pair[0]), place(&pair[1])];
        let step = (b[0] - a[0]).abs() + (b[1] - a[1]).abs();
        along.push(along[along.len() - 1] + step);
    }
    let end = points.len() - 1;
    let step = along[end] / (MOST_POINTS - 2) as f64;
    let mut next = 0.0;
    let mut kept = Vec::new();
    for (i, point) in points.into_iter().enumerate() {
        if along[i] >= next || i == end {
            next = along[i] + step;
            kept.push(point);
        }
    }
    kept
}

/// Metrics of scores that never look at a pixel: as they are, and min-max normalised in each video,
/// since a table does not say how its scores were treated.
pub(super) fn priors(videos: &[ScoredVideo]) -> Result<Value> {
    let only = |f: FrameMetrics| {
        json!({
            "micro_auc": f.micro_auc,
            "macro_auc_skip": f.macro_auc_skip,
            "macro_auc_pad": f.macro_auc_pad,
            "average_precision": f.average_precision,
            "equal_error_rate": f.equal_error_rate,
        })
    };
    let rows = |normalised: bool| -> Result<Map<String, Value>> {
        let treat = |_: &ScoredVideo, scores: Vec<f64>| match normalised {
            true => Ok(min_max(&scores)),
            false => Ok(scores),
        };
        let rows = prior_rows(videos, &Bootstrap::default(), treat)?;
        let named = rows
            .into_iter()
            .map(|r| (r.prior.name().to_owned(), only(r.metrics)));
        Ok(named.collect())
    };
    Ok(json!({ "raw": rows(false)?, "min_max": rows(true)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends_and_its_shape() {
        let points: Vec<f64> = (0..50_000).map(|i| f64::from(i) / 50_000.0).collect();
        let kept = thinned(points.clone(), |p| [*p, 0.0]);
        assert!((900..=MOST_POINTS).contains(&kept.len()), "{}", kept.len());
        assert_eq!((kept.first(), kept.last()), (points.first(), points.last()));
        assert!(kept.windows(2).all(|p| p[0] < p[1] && p[1] - p[0] < 0.003));
        assert_eq!(thinned(vec![1.0, 2.0], |p| [*p, 0.0]), [1.0, 2.0]);
    }
}
