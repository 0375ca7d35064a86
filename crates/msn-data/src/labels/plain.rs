//! Frame labels without a data set: for the scores of any method.

use camino::{Utf8Path, Utf8PathBuf};

use super::find::{LabelSearch, named};
use super::{Annotation, Extent, LabelSpan, Timing};
use crate::{DataError, DatasetLayout, LabelError, Labels, Video};

/// The frames of a video that have scores.
#[derive(Clone, Copy, Debug)]
pub struct ScoredFrames<'a> {
    /// The video's name.
    pub video: &'a str,
    /// Rising numbers of its scored frames, from 0.
    pub frames: &'a [usize],
    /// The time of each of them in seconds, where that is known.
    pub seconds: &'a [Option<f64>],
}

/// Reads the labels of scored frames, a value for each, from what [`read_frame_labels`] takes, or
/// from spans in seconds (`events.csv`) where the frames have times: a frame lies in a span if its
/// time does.
///
/// # Errors
/// Those of [`read_frame_labels`], and [`DataError::Label`] for spans in seconds and frames without
/// times.
pub fn read_score_labels(
    path: &Utf8Path,
    videos: &[ScoredFrames<'_>],
) -> Result<Vec<Vec<bool>>, DataError> {
    let last = |v: &ScoredFrames<'_>| v.frames.last().map_or(0, |f| f + 1);
    let counted: Vec<(&str, usize)> = videos.iter().map(|v| (v.video, last(v))).collect();
    let read = read(path, &counted)?.into_iter().zip(videos);
    read.map(|((video, labels), scored)| {
        if let Annotation::Spans(spans) = &labels.annotation
            && spans.iter().any(|s| matches!(s.extent, Extent::Seconds(_)))
        {
            return in_seconds(&video, path, spans, scored);
        }
        let frames = last(scored);
        let all = fit(&video, &labels, frames)?;
        Ok(scored.frames.iter().map(|&frame| all[frame]).collect())
    })
    .collect()
}

/// Whether the time of each scored frame lies in a span.
fn in_seconds(
    video: &Video,
    path: &Utf8Path,
    spans: &[LabelSpan],
    scored: &ScoredFrames<'_>,
) -> Result<Vec<bool>, DataError> {
    let no_times = || {
        let video = video.source.clone();
        DataError::label(path, LabelError::NoTimes { video })
    };
    let times: Option<Vec<f64>> = scored.seconds.iter().copied().collect();
    let times = times.ok_or_else(no_times)?;
    let end = times.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ranges = spans.iter().filter_map(|span| match &span.extent {
        Extent::Seconds(range) => Some(range),
        Extent::Frames(_) => None,
    });
    if let Some(range) = ranges.clone().find(|r| r.start > end && !times.is_empty()) {
        return Err(DataError::LabelRange {
            labels: path.to_owned(),
            what: format!("seconds {} to {}", range.start, range.end),
            video: video.source.clone(),
            video_has: format!("has its last score at {end:.3} seconds"),
        });
    }
    let inside = |time: &f64| ranges.clone().any(|range| range.contains(time));
    Ok(times.iter().map(inside).collect())
}

/// Reads the frame labels of `videos`, each a name and its number of frames, in the order in
/// which a file without names holds them.
///
/// `path` is a file of labels of all videos (`.npy`, `.npz`, `.mat`, `.m`, or an `events.csv` in
/// frames), or a folder with a file for each (`.npy`, `.mat` of masks, `.txt` of boxes, a folder
/// of mask pictures).
///
/// # Errors
/// [`DataError::Label`] for unreadable labels, [`DataError::LabelLength`] and its kin where they
/// do not fit the videos, [`DataError::Io`] where a file can't be read.
pub fn read_frame_labels(
    path: &Utf8Path,
    videos: &[(&str, usize)],
) -> Result<Vec<Vec<bool>>, DataError> {
    let read = read(path, videos)?.into_iter().zip(videos);
    read.map(|((video, labels), &(_, frames))| fit(&video, &labels, frames))
        .collect()
}

/// The labels of each video, as the file has them.
fn read(path: &Utf8Path, videos: &[(&str, usize)]) -> Result<Vec<(Video, Labels)>, DataError> {
    // Where there are scores alone, they stand for the videos in messages.
    let scores = Utf8PathBuf::from("scores");
    let test: Vec<Video> = videos
        .iter()
        .map(|&(name, _)| Video::new(name, scores.join(name)))
        .collect();
    let counts: Vec<usize> = videos.iter().map(|&(_, frames)| frames).collect();
    let search = LabelSearch {
        root: &scores,
        name: "",
        layout: DatasetLayout::Own,
        test_folder: &scores,
        named: Some(path),
        counts: Some(&counts),
    };
    let labels = named(&search, path, &test)?.read(&test)?;
    let labelled = test.into_iter().zip(labels);
    labelled
        .map(|(video, labels)| match labels {
            Some(labels) => Ok((video, labels)),
            None => Err(DataError::Unlabelled {
                video: video.source,
                labels: path.to_owned(),
            }),
        })
        .collect()
}

/// The labels of each frame of a video.
fn fit(video: &Video, labels: &Labels, frames: usize) -> Result<Vec<bool>, DataError> {
    let seconds = vec![None; frames];
    let timing = Timing {
        source: &video.source,
        seconds: &seconds,
        rate_hz: None,
    };
    Ok(labels.fit(&timing)?.anomalous)
}
