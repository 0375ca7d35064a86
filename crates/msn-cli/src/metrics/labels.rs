//! The labels of a method's scored frames.

use std::collections::HashMap;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    EventTable, ScoredFrames, is_same_video, natural_order, read_number_arrays, read_score_labels,
};
use msn_metrics::{LABEL_NAMES, MetricsError, ScoredVideo, TableScores, read_scores_csv};

use super::scores::{split, truth};
use crate::Usage;

/// Joins scores with labels: those of `labels`, or their own.
pub(super) fn join(
    scores: &[TableScores],
    source: &Utf8Path,
    labels: Option<&Utf8Path>,
) -> Result<Vec<ScoredVideo>> {
    let flags = match labels {
        Some(labels) => read(labels, scores)?,
        None => own(scores, source)?,
    };
    let joined = scores.iter().zip(flags);
    Ok(joined
        .map(|(video, labels)| ScoredVideo {
            name: video.name.clone(),
            labels,
            scores: video.scores.clone(),
        })
        .collect())
}

/// The labels that stand beside the scores.
fn own(scores: &[TableScores], source: &Utf8Path) -> Result<Vec<Vec<bool>>> {
    let own = scores.iter().map(|video| match &video.labels {
        None if video.frames.is_empty() => Some(Vec::new()),
        labels => labels.clone(),
    });
    own.collect::<Option<_>>().ok_or_else(|| {
        Usage(format!(
            "{source} needs labels: add a column or array `label`, or name events.csv, a .npy, .npz, .mat or CSV file, or a folder with one per video"
        ))
        .into()
    })
}

fn read(path: &Utf8Path, scores: &[TableScores]) -> Result<Vec<Vec<bool>>> {
    let inside = path.join("events.csv");
    let path: &Utf8Path = if inside.is_file() { &inside } else { path };
    let tables = tables_in(path)?;
    if !tables.is_empty() {
        return of_tables(path, &tables, scores);
    }
    if path.extension() == Some("mat")
        && let Some(labels) = of_vector(path, scores)?
    {
        return Ok(labels);
    }
    let names = event_names(path, scores)?;
    let frames = scores.iter().zip(&names).map(|(video, name)| ScoredFrames {
        video: name,
        frames: &video.frames,
        seconds: &video.seconds,
    });
    let frames: Vec<ScoredFrames<'_>> = frames.collect();
    Ok(read_score_labels(path, &frames)?)
}

/// The names under which a table of events has the videos: methods leave out endings and folders.
fn event_names(path: &Utf8Path, scores: &[TableScores]) -> Result<Vec<String>> {
    let own = || scores.iter().map(|video| video.name.clone());
    if path.extension() != Some("csv") {
        return Ok(own().collect());
    }
    let mut table = EventTable::read(path)?;
    let names: Vec<String> = own().collect();
    table.take(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let left: Vec<String> = table.rest().map(|(name, _)| name.to_owned()).collect();
    let renamed = |name: &String| {
        let mut same = left.iter().filter(|other| is_same_video(name, other));
        match (same.next(), same.next()) {
            (Some(other), None) => other.clone(),
            _ => name.clone(),
        }
    };
    Ok(names.iter().map(renamed).collect())
}

/// The CSV files of labels of frames that a path is or holds; none where it is something else.
fn tables_in(path: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    if path.is_dir() {
        let entries = path
            .read_dir_utf8()
            .map_err(|e| anyhow!("can't list {path}: {e}"))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
        let mut files: Vec<Utf8PathBuf> = files.filter(|f| f.extension() == Some("csv")).collect();
        files.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
        return Ok(files);
    }
    let is_table = path.extension() == Some("csv") && path.is_file() && !is_events(path);
    Ok(is_table.then(|| path.to_owned()).into_iter().collect())
}

/// Whether the first line of a CSV file names the columns of events.
fn is_events(path: &Utf8Path) -> bool {
    let reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(path);
    let header = reader.and_then(|mut reader| reader.headers().cloned());
    header.is_ok_and(|header| header.iter().any(|h| h == "start" || h == "start_frame"))
}

/// Labels in tables with a row for each frame.
fn of_tables(
    path: &Utf8Path,
    tables: &[Utf8PathBuf],
    scores: &[TableScores],
) -> Result<Vec<Vec<bool>>> {
    let mut videos: HashMap<String, HashMap<usize, bool>> = HashMap::new();
    for table in tables {
        for video in label_table(table)? {
            let flags = truth(&video.scores).ok_or_else(|| {
                anyhow!(
                    "{table}: video {} has labels other than 0 and 1",
                    video.name
                )
            })?;
            let of_video = videos.entry(video.name).or_default();
            of_video.extend(video.frames.into_iter().zip(flags));
        }
    }
    let single = scores.len() == 1 && videos.len() == 1;
    let mut all = Vec::new();
    for video in scores {
        let mut same = videos
            .iter()
            .filter(|(name, _)| is_same_video(name, &video.name));
        let found = videos
            .get(&video.name)
            .or_else(|| match (same.next(), same.next()) {
                (Some((_, labels)), None) => Some(labels),
                _ => None,
            });
        // One video of scores and one of labels may have the names of their files.
        let found = found.or_else(|| videos.values().next().filter(|_| single));
        let labels =
            found.ok_or_else(|| anyhow!("{path} has no labels of video {}", video.name))?;
        let flags = video.frames.iter().map(|frame| {
            labels.get(frame).copied().ok_or_else(|| {
                anyhow!("{path} has no label of video {}, frame {frame}", video.name)
            })
        });
        all.push(flags.collect::<Result<_>>()?);
    }
    Ok(all)
}

/// A table of labels, whatever its column is called.
fn label_table(path: &Utf8Path) -> Result<Vec<TableScores>, MetricsError> {
    let named = |name: &&str| read_scores_csv(path.as_std_path(), Some(*name)).ok();
    match LABEL_NAMES.iter().find_map(named) {
        Some(videos) => Ok(videos),
        None => read_scores_csv(path.as_std_path(), None),
    }
}

/// Labels in a numeric variable of a `.mat`: one after the other, or a row or element for each video.
/// `None` where there is none of 0 and 1.
fn of_vector(path: &Utf8Path, scores: &[TableScores]) -> Result<Option<Vec<Vec<bool>>>> {
    let mut arrays = read_number_arrays(path)?;
    arrays.retain(|array| !array.values.is_empty() && truth(&array.values).is_some());
    let named = |array: &msn_data::NumberArray| {
        let name = array.name.as_deref().unwrap_or_default();
        LABEL_NAMES.iter().any(|n| name.eq_ignore_ascii_case(n))
    };
    if arrays.iter().any(named) {
        arrays.retain(named);
    }
    if arrays.is_empty() {
        return Ok(None);
    }
    let counts: Vec<usize> = scores
        .iter()
        .map(|v| v.frames.last().map_or(0, |f| f + 1))
        .collect();
    let mut parts: Vec<Vec<f64>> = split(path, arrays)?.into_iter().map(|(_, v)| v).collect();
    if let [all] = parts.as_slice()
        && counts.len() > 1
    {
        let total: usize = counts.iter().sum();
        if all.len() != total {
            return Err(anyhow!(
                "labels {path} are for {} frames, but the scores are of {total}",
                all.len()
            ));
        }
        let mut rest = all.as_slice();
        let mut of_videos = Vec::new();
        for count in &counts {
            let (video, others) = rest.split_at(*count);
            of_videos.push(video.to_vec());
            rest = others;
        }
        parts = of_videos;
    }
    if parts.len() != counts.len() {
        return Err(anyhow!(
            "labels {path} are for {} videos, but the scores are of {}",
            parts.len(),
            counts.len()
        ));
    }
    let mut all = Vec::new();
    for (video, part) in scores.iter().zip(&parts) {
        let flags = truth(part).unwrap_or_default();
        all.push(video.with_labels(&flags)?.labels);
    }
    Ok(Some(all))
}
