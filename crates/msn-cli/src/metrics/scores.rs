//! The scores of a method, from whatever file they lie in.

use std::collections::HashSet;

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{NumberArray, natural_order, read_number_arrays};
use msn_metrics::{
    LABEL_NAMES, SCORE_NAMES, TableScores,
    fixture::{self, Fixture},
    read_score_table, read_scores_csv,
};

/// Folders nested deeper are taken for a loop of links.
const DEEPEST: usize = 16;

/// Scores of a file, or of all files of a folder at any depth.
pub(crate) fn read(path: &Utf8Path, column: Option<&str>) -> Result<Vec<TableScores>> {
    if !path.is_dir() {
        return of_file(path, column);
    }
    let mut files = Vec::new();
    gather(path, &mut files, 0)?;
    files.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
    let tables = files.iter().any(|file| file.extension() == Some("csv"));
    files.retain(|file| (file.extension() == Some("csv")) == tables);
    if files.is_empty() {
        return Err(anyhow!(
            "{path} holds no .csv file and no .npy, .npz or .mat: name a file of scores, or a folder of such files"
        ));
    }
    let mut all: Vec<TableScores> = Vec::new();
    let mut names = HashSet::new();
    for file in files {
        let mut videos = match tables {
            true => read_score_table(file.as_std_path(), column)?,
            false => of_file(&file, column)?,
        };
        if videos.is_empty() {
            // The table of a video that is too short to be scored.
            videos.push(TableScores {
                name: file.file_stem().unwrap_or_default().to_owned(),
                ..TableScores::default()
            });
        }
        for video in videos {
            if !names.insert(video.name.clone()) {
                return Err(anyhow!(
                    "{file} has video {}, which another file of the folder has too: keep one of them",
                    video.name
                ));
            }
            all.push(video);
        }
    }
    if all.iter().all(|video| video.scores.is_empty()) {
        let column = column.map_or_else(String::new, |c| format!(" in column {c}"));
        return Err(anyhow!("{path} holds no score{column}"));
    }
    Ok(all)
}

fn gather(folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>, depth: usize) -> Result<()> {
    let entries: std::io::Result<Vec<_>> = folder
        .read_dir_utf8()
        .and_then(|entries| entries.map(|entry| Ok(entry?.into_path())).collect());
    for path in entries.with_context(|| format!("can't list {folder}"))? {
        if path.is_dir() {
            if depth < DEEPEST {
                gather(&path, found, depth + 1)?;
            }
        } else if matches!(path.extension(), Some("csv" | "npy" | "npz" | "mat")) {
            found.push(path);
        }
    }
    Ok(())
}

fn of_file(path: &Utf8Path, column: Option<&str>) -> Result<Vec<TableScores>> {
    match path.extension() {
        Some("npy" | "npz" | "mat") => of_arrays(path, read_number_arrays(path)?, column),
        Some("json") => match fixture::read(path.as_std_path())?.fixture {
            Fixture::Frames(videos) => Ok(videos
                .into_iter()
                .map(|v| table(v.name, v.scores, Some(v.labels)))
                .collect()),
            Fixture::Regions(_) => Err(anyhow!(
                "{path} holds regions, which are measured by themselves: give scores of frames"
            )),
        },
        _ => Ok(read_scores_csv(path.as_std_path(), column)?),
    }
}

fn table(name: String, scores: Vec<f64>, labels: Option<Vec<bool>>) -> TableScores {
    TableScores {
        frames: (0..scores.len()).collect(),
        seconds: vec![None; scores.len()],
        name,
        scores,
        labels,
    }
}

fn is_named(array: &NumberArray, names: &[&str]) -> bool {
    let name = array.name.as_deref().unwrap_or_default();
    names.iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// Scores in arrays: one of a video each, by its name; or one of that name for all videos, as a row
/// or an element for each. An array called `labels` holds the labels.
fn of_arrays(
    path: &Utf8Path,
    arrays: Vec<NumberArray>,
    column: Option<&str>,
) -> Result<Vec<TableScores>> {
    let (labels, mut scores): (Vec<_>, Vec<_>) =
        arrays.into_iter().partition(|a| is_named(a, &LABEL_NAMES));
    let wanted: &[&str] = match &column {
        Some(name) => std::slice::from_ref(name),
        None => &SCORE_NAMES,
    };
    // An .npy has no names.
    if scores.iter().any(|a| is_named(a, wanted)) {
        scores.retain(|a| is_named(a, wanted));
    } else if let Some(name) = column.filter(|_| scores.iter().any(|a| a.name.is_some())) {
        let names: Vec<&str> = scores.iter().filter_map(|a| a.name.as_deref()).collect();
        return Err(anyhow!(
            "{path} has no array {name}; it has: {}",
            names.join(", ")
        ));
    }
    let scores = split(path, scores)?;
    if scores.is_empty() {
        return Err(anyhow!("{path} holds no array of scores"));
    }
    let mut labels = split(path, labels)?.into_iter();
    let labelled = labels.len() > 0;
    if labelled && labels.len() != scores.len() {
        return Err(anyhow!(
            "{path} holds labels of {} videos for scores of {}: one array, row or element of each is needed",
            labels.len(),
            scores.len()
        ));
    }
    let mut videos = Vec::new();
    for (name, values) in scores {
        if let Some(frame) = values.iter().position(|v| !v.is_finite()) {
            return Err(anyhow!(
                "{path}: the score of video {name}, frame {frame} is {}; a finite number is needed",
                values[frame]
            ));
        }
        let labels = labels
            .next()
            .map(|(_, flags)| of_video(path, &name, &values, &flags));
        videos.push(table(name, values, labels.transpose()?));
    }
    Ok(videos)
}

/// The labels of one video.
fn of_video(path: &Utf8Path, name: &str, scores: &[f64], flags: &[f64]) -> Result<Vec<bool>> {
    if flags.len() != scores.len() {
        return Err(anyhow!(
            "{path}: video {name} has {} labels for {} scores: one for each is needed",
            flags.len(),
            scores.len()
        ));
    }
    truth(flags).ok_or_else(|| anyhow!("{path}: video {name} has labels other than 0 and 1"))
}

/// Numbers that are all 0 or 1 as truth values.
pub(super) fn truth(flags: &[f64]) -> Option<Vec<bool>> {
    let flag = |&v: &f64| (v == 0.0 || v == 1.0).then_some(v == 1.0);
    flags.iter().map(flag).collect()
}

/// The values of each video: arrays by their name, elements and rows by their number from 1.
pub(super) fn split(path: &Utf8Path, arrays: Vec<NumberArray>) -> Result<Vec<(String, Vec<f64>)>> {
    let alone = arrays.len() == 1;
    let mut videos = Vec::new();
    for array in arrays {
        let name = match (array.element, &array.name) {
            (Some(i), _) => (i + 1).to_string(),
            (None, Some(name)) if !alone => name.clone(),
            _ => path.file_stem().unwrap_or_default().to_owned(),
        };
        if array.is_flat() {
            videos.push((name, array.values));
            continue;
        }
        match array.shape[..] {
            [_, columns] if alone && array.element.is_none() => {
                let rows = array.values.chunks_exact(columns).enumerate();
                videos.extend(rows.map(|(i, row)| ((i + 1).to_string(), row.to_vec())));
            }
            _ => {
                return Err(anyhow!(
                    "{path}: array {name} is of shape {:?}; one number for each frame of a video, or a row for each video, was expected",
                    array.shape
                ));
            }
        }
    }
    Ok(videos)
}
