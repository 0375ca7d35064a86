//! Frame labels: as they are read, and as they fit a decoded video.

pub(crate) mod arrays;
mod error;
pub(crate) mod events;
pub(crate) mod find;
pub(crate) mod lists;
pub(crate) mod masks;
pub(crate) mod mat;
pub(crate) mod matlab;
pub(crate) mod names;
pub(crate) mod npy;
pub(crate) mod numbers;
pub(crate) mod pickle;
mod plain;
pub(crate) mod regional;
pub(crate) mod tracks;
mod ucf;
pub(crate) mod unread;

pub use error::LabelError;
pub use plain::{ScoredFrames, read_frame_labels, read_score_labels};

use std::ops::Range;

use camino::Utf8PathBuf;

use crate::{DataError, LoadedVideo, Masks, Resampling};

/// The labels of one video as they were read, before the video's frames are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    /// The file or folder that they come from.
    pub file: Utf8PathBuf,
    /// The anomalous frames, as the file has them.
    pub annotation: Annotation,
    /// Frames a second of a video that has neither times nor a rate of its own, from the data
    /// set's sheet.
    pub fallback_rate_hz: Option<f64>,
}

/// What a label file has for one video.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Annotation {
    /// One value for each frame, true where anomalous.
    Frames(Vec<bool>),
    /// Anomalous spans; everything else is normal. Empty for a normal video.
    Spans(Vec<LabelSpan>),
    /// A pixel mask for each frame: anomalous if any pixel is. Read when the labels are
    /// resolved.
    Masks(Masks),
}

/// An anomalous span as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSpan {
    /// Where it lies.
    pub extent: Extent,
    /// What happens in it, in free text.
    pub kind: Option<String>,
}

/// Where a span lies in its video.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    /// Frames, 0-based, end exclusive.
    Frames(Range<usize>),
    /// Seconds, half-open.
    Seconds(Range<f64>),
}

/// Labels of the frames of one video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameLabels {
    /// For each frame, lost ones included, whether it is anomalous.
    pub anomalous: Vec<bool>,
    /// The anomalous spans, by their start. Spans that were read apart stay apart, even where
    /// they touch or overlap.
    pub spans: Vec<FrameSpan>,
}

/// An anomalous span in frames.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FrameSpan {
    /// First frame.
    pub start: usize,
    /// Frame after the last.
    pub end: usize,
    /// What happens in it, in free text.
    pub kind: Option<String>,
}

impl Labels {
    /// Labels with one value for each frame.
    #[must_use]
    pub fn frames(file: impl Into<Utf8PathBuf>, anomalous: Vec<bool>) -> Self {
        Self {
            file: file.into(),
            annotation: Annotation::Frames(anomalous),
            fallback_rate_hz: None,
        }
    }

    /// Labels made of spans.
    #[must_use]
    pub fn spans(file: impl Into<Utf8PathBuf>, spans: Vec<LabelSpan>) -> Self {
        Self {
            file: file.into(),
            annotation: Annotation::Spans(spans),
            fallback_rate_hz: None,
        }
    }

    /// Anomalous frames, where that is known without the video's frames and times.
    #[must_use]
    pub fn anomalous(&self) -> Option<usize> {
        let marked = self.marked_frames()?;
        Some(marked.iter().map(Range::len).sum())
    }

    /// The anomalous frames as sorted ranges that do not touch, where they are known without
    /// the video.
    pub(crate) fn marked_frames(&self) -> Option<Vec<Range<usize>>> {
        let mut ranges: Vec<Range<usize>> = match &self.annotation {
            Annotation::Frames(frames) => {
                let spans = FrameLabels::from_frames(frames.clone()).spans;
                spans.into_iter().map(|s| s.start..s.end).collect()
            }
            Annotation::Spans(spans) => spans
                .iter()
                .map(|span| match &span.extent {
                    Extent::Frames(range) => Some(range.clone()),
                    Extent::Seconds(_) => None,
                })
                .collect::<Option<_>>()?,
            Annotation::Masks(_) => return None,
        };
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        Some(joined)
    }

    /// Fits the labels to a video's frames and times.
    ///
    /// Labels that count frames count those of the source; a frame of a resampled video has the
    /// label of the source's frame that it shows. A frame lies in a span of seconds if its time does. Where the source has no times, frame
    /// i is at i / rate. A span may reach past the video's end by one frame, since seconds are
    /// rounded by hand.
    ///
    /// # Errors
    /// [`DataError::LabelLength`] and [`DataError::LabelRange`] where the labels do not fit;
    /// [`DataError::Label`] for seconds in a video that has neither times nor a rate.
    pub fn resolve(&self, video: &LoadedVideo) -> Result<FrameLabels, DataError> {
        let timing = Timing {
            source: &video.source,
            seconds: &video.seconds,
            rate_hz: video.rate_hz.or(self.fallback_rate_hz),
        };
        match &video.resampled {
            Some(resampling) if self.counts_frames() => {
                let unknown = vec![None; resampling.source_frames];
                let of_source = self.fit(&Timing {
                    seconds: &unknown,
                    ..timing
                })?;
                Ok(of_source.resampled(resampling))
            }
            _ => self.fit(&timing),
        }
    }

    /// Whether frames are named by their number, not by their time.
    fn counts_frames(&self) -> bool {
        match &self.annotation {
            Annotation::Frames(_) | Annotation::Masks(_) => true,
            Annotation::Spans(spans) => spans
                .iter()
                .all(|span| matches!(span.extent, Extent::Frames(_))),
        }
    }

    pub(crate) fn fit(&self, video: &Timing<'_>) -> Result<FrameLabels, DataError> {
        let frames = video.seconds.len();
        match &self.annotation {
            Annotation::Frames(anomalous) => self.of_frames(anomalous.clone(), video),
            Annotation::Masks(masks) => self.of_frames(masks.frames()?, video),
            Annotation::Spans(spans) => {
                let mut anomalous = vec![false; frames];
                let mut fitted = Vec::new();
                for span in spans {
                    let range = self.fit_span(span, video)?;
                    anomalous[range.clone()].fill(true);
                    fitted.push(FrameSpan {
                        start: range.start,
                        end: range.end,
                        kind: span.kind.clone(),
                    });
                }
                fitted.sort_by_key(|span| (span.start, span.end));
                Ok(FrameLabels {
                    anomalous,
                    spans: fitted,
                })
            }
        }
    }

    fn of_frames(
        &self,
        anomalous: Vec<bool>,
        video: &Timing<'_>,
    ) -> Result<FrameLabels, DataError> {
        let frames = video.seconds.len();
        if anomalous.len() != frames {
            return Err(DataError::LabelLength {
                labels: self.file.clone(),
                labelled: anomalous.len(),
                video: video.source.clone(),
                frames,
            });
        }
        Ok(FrameLabels::from_frames(anomalous))
    }

    fn fit_span(&self, span: &LabelSpan, video: &Timing<'_>) -> Result<Range<usize>, DataError> {
        let frames = video.seconds.len();
        let outside = |what: String, video_has: String| DataError::LabelRange {
            labels: self.file.clone(),
            what,
            video: video.source.clone(),
            video_has,
        };
        match &span.extent {
            Extent::Frames(range) => {
                if range.start >= range.end || range.end > frames {
                    return Err(outside(
                        format!("frames {} to {} (end exclusive)", range.start, range.end),
                        format!("has {frames} frames"),
                    ));
                }
                Ok(range.clone())
            }
            Extent::Seconds(range) => {
                let times = video.times().ok_or_else(|| {
                    let video = video.source.clone();
                    DataError::label(&self.file, LabelError::NoTimes { video })
                })?;
                let step = video.step(&times);
                let end = times.last().map_or(0.0, |last| last + step);
                let first = times.partition_point(|&t| t < range.start);
                let last = times.partition_point(|&t| t < range.end);
                if range.end > end + step || first >= last {
                    return Err(outside(
                        format!("seconds {} to {}", range.start, range.end),
                        format!("ends at {end:.3} seconds, and at least one frame must be inside"),
                    ));
                }
                Ok(first..last)
            }
        }
    }
}

impl FrameLabels {
    /// Labels from one value for each frame; each unbroken run of anomalous frames is a span.
    #[must_use]
    pub fn from_frames(anomalous: Vec<bool>) -> Self {
        let mut spans: Vec<FrameSpan> = Vec::new();
        for (index, _) in anomalous.iter().enumerate().filter(|(_, a)| **a) {
            match spans.last_mut() {
                Some(span) if span.end == index => span.end = index + 1,
                _ => spans.push(FrameSpan {
                    start: index,
                    end: index + 1,
                    kind: None,
                }),
            }
        }
        Self { anomalous, spans }
    }

    /// These labels for frames that show others.
    fn resampled(&self, resampling: &Resampling) -> Self {
        let shows = &resampling.source_index;
        let spans = self.spans.iter().filter_map(|span| {
            let start = shows.partition_point(|&frame| frame < span.start);
            let end = shows.partition_point(|&frame| frame < span.end);
            (start < end).then(|| FrameSpan {
                start,
                end,
                kind: span.kind.clone(),
            })
        });
        Self {
            anomalous: shows.iter().map(|&frame| self.anomalous[frame]).collect(),
            spans: spans.collect(),
        }
    }

    /// Anomalous frames.
    #[must_use]
    pub fn count(&self) -> usize {
        self.anomalous.iter().filter(|&&a| a).count()
    }
}

/// What labels need to know of a video.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing<'a> {
    pub source: &'a Utf8PathBuf,
    pub seconds: &'a [Option<f64>],
    pub rate_hz: Option<f64>,
}

impl Timing<'_> {
    /// A time for each frame, never falling, or nothing where the source has no times.
    fn times(&self) -> Option<Vec<f64>> {
        let rate = self.rate_hz.filter(|r| r.is_finite() && *r > 0.0);
        let known = |seconds: &Option<f64>| seconds.filter(|s| s.is_finite());
        let mut all = self.seconds.iter().enumerate();
        let first = all.find_map(|(index, seconds)| Some((index, known(seconds)?)));
        let mut last: Option<f64> = None;
        let mut times = Vec::with_capacity(self.seconds.len());
        for (index, seconds) in self.seconds.iter().enumerate() {
            let time = match (known(seconds), rate, first) {
                (Some(seconds), ..) => seconds,
                // A lost frame of a source with times lies one step after the one before it, and
                // those before the first time lie before that.
                (None, Some(rate), Some((first, at))) => match last {
                    Some(last) if index > first => last + 1.0 / rate,
                    _ => at - index_seconds(first.saturating_sub(index), rate),
                },
                (None, Some(rate), None) => index_seconds(index, rate),
                (None, None, Some((_, at))) => last.unwrap_or(at),
                (None, None, None) => return None,
            };
            let time = last.map_or(time, |last| time.max(last));
            times.push(time);
            last = Some(time);
        }
        Some(times)
    }

    /// How long the last frame lasts.
    fn step(&self, times: &[f64]) -> f64 {
        match (self.rate_hz, times) {
            (Some(rate), _) if rate.is_finite() && rate > 0.0 => 1.0 / rate,
            (_, [.., before, last]) => last - before,
            _ => 0.0,
        }
    }
}

fn index_seconds(index: usize, rate_hz: f64) -> f64 {
    index as f64 / rate_hz
}
