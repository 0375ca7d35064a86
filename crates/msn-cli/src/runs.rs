//! `msn runs`: what was trained, with what settings, to what metrics.

use std::time::Duration;

use anyhow::Result;
use camino::Utf8PathBuf;
use msn_run::{RunFolder, RunSummary};
use serde_json::json;

use crate::{
    args::RunsArgs,
    command_line::print_json,
    text::{columns, time},
};

pub(crate) fn runs(args: &RunsArgs) -> Result<()> {
    let mut runs = Vec::new();
    for dir in &args.dirs {
        for folder in RunFolder::all_in(dir)? {
            match folder.summary() {
                Ok(run) => runs.push(run),
                // One that can't be read hides no other.
                Err(error) => eprintln!("warning: {error}"),
            }
        }
    }
    if args.json {
        print_json(&json!({ "format": "msn-runs-1", "runs": runs }))?;
    } else if runs.is_empty() {
        println!("no runs under {}", join(&args.dirs));
    } else {
        print!("{}", table(&runs));
    }
    Ok(())
}

fn join(dirs: &[Utf8PathBuf]) -> String {
    let names: Vec<&str> = dirs.iter().map(|d| d.as_str()).collect();
    names.join(", ")
}

/// A line for each run, with the settings in which the runs differ.
fn table(runs: &[RunSummary]) -> String {
    let mut keys: Vec<&String> = runs.iter().flat_map(|run| run.settings.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = |key: &&String| {
        let mut values = runs.iter().map(|run| run.settings.get(*key));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let keys: Vec<&String> = keys.into_iter().filter(differ).collect();
    let mut rows = vec![
        ["run", "data", "device", "time", "legacy", "fair"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows[0].extend(keys.iter().map(|key| {
        let name = key.split_once('.').map_or(key.as_str(), |(_, name)| name);
        name.to_owned()
    }));
    for run in runs {
        let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
        let mut row = vec![
            run.folder.to_string(),
            run.data.clone(),
            run.device.clone(),
            match run.seconds {
                Some(seconds) => time(Duration::from_secs_f64(seconds)),
                None => "unfinished".to_owned(),
            },
            number(run.legacy_micro_auc),
            number(run.fair_micro_auc),
        ];
        let value = |key: &&String| {
            let value = run.settings.get(*key);
            value.map_or("-", String::as_str).to_owned()
        };
        row.extend(
            keys.iter()
                .map(value)
                .map(|v| v.split_whitespace().collect()),
        );
        rows.push(row);
    }
    columns(&rows)
}
