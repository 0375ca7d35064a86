//! `msn metrics`: metrics of any method's scores.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::natural_order;
use msn_metrics::{
    Bootstrap, FrameMetrics, ScoredVideo, TableScores, fixture, frame_metrics, min_max, prior_rows,
    read_scores_csv,
};
use serde_json::{Map, Value, json};

use crate::{Usage, args::MetricsArgs, command_line::print_json};

/// Scores of a CSV file, or of all CSV files of a folder, as a run's `scores`.
fn scores(path: &Utf8Path, column: Option<&str>) -> Result<Vec<TableScores>> {
    if !path.is_dir() {
        return Ok(read_scores_csv(path.as_std_path(), column)?);
    }
    let mut files: Vec<Utf8PathBuf> = path
        .read_dir_utf8()
        .and_then(|entries| entries.map(|entry| Ok(entry?.into_path())).collect())
        .with_context(|| format!("can't list {path}"))?;
    files.retain(|file| file.extension() == Some("csv"));
    files.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
    if files.is_empty() {
        return Err(anyhow!(
            "{path} holds no .csv file: name a file of scores, or a folder of such files"
        ));
    }
    let mut all = Vec::new();
    let mut names = BTreeSet::new();
    for file in files {
        for video in read_scores_csv(file.as_std_path(), column)? {
            if !names.insert(video.name.clone()) {
                return Err(anyhow!(
                    "{file} has video {}, which another file of the folder has too: keep one of them",
                    video.name
                ));
            }
            all.push(video);
        }
    }
    Ok(all)
}

pub(crate) fn metrics(args: &MetricsArgs) -> Result<()> {
    let found = match (args.file.extension(), &args.labels) {
        (Some("json"), None) => fixture::metrics(args.file.as_std_path())?,
        (Some("json"), Some(_)) => {
            return Err(Usage(format!(
                "{} holds its own labels: give no label file",
                args.file
            ))
            .into());
        }
        (_, None) => {
            return Err(Usage(format!(
                "{} needs labels: name a .npy file, or a folder with one per video",
                args.file
            ))
            .into());
        }
        (_, Some(labels)) => {
            let scores = scores(&args.file, args.column.as_deref())?;
            let counts: Vec<(&str, usize)> = scores
                .iter()
                .map(|v| (v.name.as_str(), v.frames.last().map_or(0, |f| f + 1)))
                .collect();
            let labels = msn_data::read_frame_labels(labels, &counts)?;
            let videos = scores
                .iter()
                .zip(&labels)
                .map(|(v, l)| v.with_labels(l))
                .collect::<Result<Vec<ScoredVideo>, _>>()?;
            let mut all = serde_json::to_value(frame_metrics(&videos, &Bootstrap::default())?)?;
            all["priors"] = priors(&videos)?;
            all
        }
    };
    if args.json {
        return print_json(&found);
    }
    let Value::Object(found) = found else {
        return Err(anyhow!("no metrics"));
    };
    let priors = found.get("priors").cloned();
    for (name, value) in found.iter().filter(|(name, _)| *name != "priors") {
        let of = |key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        match value {
            Value::Object(_) => println!(
                "{name:<20}{:.4} [{:.4}, {:.4}]",
                of("value"),
                of("low"),
                of("high")
            ),
            Value::Null => println!("{name:<20}undefined"),
            other => println!("{name:<20}{other}"),
        }
    }
    let raw = priors.as_ref().and_then(|p| p["raw"].as_object());
    for name in raw.into_iter().flat_map(Map::keys) {
        let micro = |treatment: &str| {
            let value = priors.as_ref()?[treatment][name]["micro_auc"]["value"].as_f64()?;
            Some(format!("{value:.4}"))
        };
        let text = ["raw", "min_max"].map(|t| micro(t).unwrap_or_else(|| "undefined".to_owned()));
        println!(
            "prior {name:<14}{}, normalised in each video {} (micro_auc)",
            text[0], text[1]
        );
    }
    Ok(())
}

/// Metrics of scores that never look at a pixel: as they are, and min-max normalised in each video,
/// since a table does not say how its scores were treated.
fn priors(videos: &[ScoredVideo]) -> Result<Value> {
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
