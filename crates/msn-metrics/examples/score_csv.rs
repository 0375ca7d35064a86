//! Scores another method's CSV: `score_csv SCORES.csv LABELS.csv [COLUMN]`.
//!
//! `SCORES.csv` has the columns `video`, `frame` and a score, `LABELS.csv` the columns `video`,
//! `frame` and `label` (0 or 1) for every frame. Without arguments a made-up pair is scored.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use msn_metrics::{Bootstrap, Estimate, ScoredVideo, frame_metrics, prior_rows, read_scores_csv};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = tempfile::tempdir()?;
    let (scores, labels) = match arguments.as_slice() {
        [] => made_up(folder.path())?,
        [scores, labels, ..] => (PathBuf::from(scores), PathBuf::from(labels)),
        _ => return Err("give SCORES.csv LABELS.csv, or nothing".into()),
    };
    let column = arguments.get(2).map(String::as_str);
    let videos = join(&scores, column, &labels)?;

    let bootstrap = Bootstrap::default();
    let metrics = frame_metrics(&videos, &bootstrap)?;
    println!(
        "{} frames, {} anomalous",
        metrics.frames, metrics.anomalous_frames
    );
    print_row("micro AUC", metrics.micro_auc);
    print_row("macro AUC", metrics.macro_auc_skip);
    println!(
        "{:>14} of {} videos with one class left out",
        metrics.skipped, metrics.videos
    );
    print_row("AP", metrics.average_precision);
    print_row("EER", metrics.equal_error_rate);

    // What scores that never look at a pixel reach on the same frames.
    for row in prior_rows(&videos, &bootstrap, |_, scores| Ok(scores))? {
        print_row(row.prior.name(), row.metrics.micro_auc);
        if let (Some(ours), Some(prior)) = (metrics.micro_auc, row.metrics.micro_auc)
            && !ours.clears(prior.value)
        {
            println!(
                "{:>14} is not cleared by the interval of the micro AUC",
                row.prior.name()
            );
        }
    }
    Ok(())
}

/// Labels are read as a table of scores of 0 and 1, one for every frame from 0.
fn join(
    scores: &Path,
    column: Option<&str>,
    labels: &Path,
) -> Result<Vec<ScoredVideo>, Box<dyn Error>> {
    let labels: HashMap<String, Vec<bool>> = read_scores_csv(labels, Some("label"))?
        .into_iter()
        .map(|video| {
            (
                video.name,
                video.scores.iter().map(|&label| label > 0.0).collect(),
            )
        })
        .collect();
    read_scores_csv(scores, column)?
        .iter()
        .map(|video| {
            let labels = labels
                .get(&video.name)
                .ok_or(format!("video {} has no labels", video.name))?;
            Ok(video.with_labels(labels)?)
        })
        .collect()
}

fn print_row(name: &str, metric: Option<Estimate>) {
    match metric {
        Some(Estimate { value, low, high }) => {
            println!("{name:>14} {value:.3} [{low:.3}, {high:.3}]")
        }
        None => println!("{name:>14} undefined"),
    }
}

/// Eight videos whose scores rise in an anomaly, and waver; the first four frames have none.
fn made_up(folder: &Path) -> std::io::Result<(PathBuf, PathBuf)> {
    let (mut scores, mut labels) = (
        "video,frame,score\n".to_owned(),
        "video,frame,label\n".to_owned(),
    );
    for video in 0..8_u32 {
        for frame in 0..120_u32 {
            let anomalous = (40 + 3 * video..70 + 4 * video).contains(&frame);
            labels.push_str(&format!("{video:02},{frame},{}\n", u8::from(anomalous)));
            let waver = f64::from((frame * 37 + video * 11) % 29) / 29.0;
            if frame >= 4 {
                let score = waver + if anomalous { 0.6 } else { 0.0 };
                scores.push_str(&format!("{video:02},{frame},{score}\n"));
            }
        }
    }
    let paths = (folder.join("scores.csv"), folder.join("labels.csv"));
    std::fs::write(&paths.0, scores)?;
    std::fs::write(&paths.1, labels)?;
    Ok(paths)
}
