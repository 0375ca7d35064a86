//! `msn runs`: what was trained, with what settings, to what metrics.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_train::Settings;
use serde::Serialize;
use serde_json::Value;

use crate::{
    args::RunsArgs,
    run::{self, RunCard},
};

/// Folders nested deeper hold no runs of ours.
const DEEPEST: usize = 6;

/// One run.
#[derive(Debug, Serialize)]
struct Run {
    folder: Utf8PathBuf,
    /// Whether it came to its end.
    finished: bool,
    data: String,
    data_hash: String,
    device: String,
    seed: u64,
    seconds: Option<f64>,
    /// Micro AUC by protocol, where there is an `eval.json`.
    legacy_micro_auc: Option<f64>,
    fair_micro_auc: Option<f64>,
    /// `section.key` to value.
    settings: BTreeMap<String, String>,
}

pub(crate) fn runs(args: &RunsArgs) -> Result<()> {
    let mut folders = Vec::new();
    for dir in &args.dirs {
        if !dir.is_dir() {
            return Err(anyhow!(
                "{dir} is no folder: name run folders, or one that holds them"
            ));
        }
        gather(dir, &mut folders, 0)?;
    }
    let mut runs = Vec::new();
    for folder in folders {
        match read(&folder) {
            Ok(run) => runs.push(run),
            // One that can't be read hides no other.
            Err(error) => eprintln!("warning: {error}"),
        }
    }
    if args.json {
        print!("{}", run::json(&runs)?);
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

/// Run folders in a folder, itself included, in order of their names.
fn gather(dir: &Utf8Path, found: &mut Vec<Utf8PathBuf>, depth: usize) -> Result<()> {
    if dir.join("run.json").is_file() {
        found.push(dir.to_owned());
        return Ok(());
    }
    if depth == DEEPEST {
        return Ok(());
    }
    let failed = |e: std::io::Error| anyhow!("{dir} can't be listed: {e}");
    let mut inside = Vec::new();
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // `latest` and other links name what is there anyway.
        if entry.file_type().map_err(failed)?.is_dir() {
            inside.push(entry.into_path());
        }
    }
    inside.sort_by(|a, b| msn_data::natural_order(a.as_str(), b.as_str()));
    for dir in inside {
        gather(&dir, found, depth + 1)?;
    }
    Ok(())
}

fn read(folder: &Utf8Path) -> Result<Run> {
    let card = RunCard::read(folder)?;
    let path = folder.join("config.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| anyhow!("can't read {path}: {e}"))?;
    // Older files lack newer settings; these had their defaults.
    let known = Settings::from_toml(&text).map_err(|e| anyhow!("{path} can't be used: {e}"))?;
    let config: toml::Table = toml::from_str(&known.to_toml())?;
    let mut settings = BTreeMap::new();
    for (section, value) in &config {
        match value {
            toml::Value::Table(table) => settings.extend(
                table
                    .iter()
                    .map(|(key, value)| (format!("{section}.{key}"), value.to_string())),
            ),
            value => {
                settings.insert(section.clone(), value.to_string());
            }
        }
    }
    // As it is set, and apart from the network's width.
    settings.retain(|key, _| !matches!(key.as_str(), "input.height" | "input.width"));
    let size = format!("{}x{}", known.input.height, known.input.width);
    settings.insert("input.size".to_owned(), size);
    let evaluation = std::fs::read_to_string(folder.join("eval.json"))
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
        .unwrap_or_default();
    let auc = |protocol: &str| evaluation[protocol]["micro_auc"]["value"].as_f64();
    Ok(Run {
        folder: folder.to_owned(),
        finished: card.seconds.is_some(),
        data: card.data.name,
        data_hash: card.data.hash,
        device: match card.kernels {
            Some(kernels) => format!("{} {kernels}", card.device),
            None => card.device,
        },
        seed: card.seed,
        seconds: card.seconds,
        legacy_micro_auc: auc("legacy"),
        fair_micro_auc: auc("fair"),
        settings,
    })
}

/// A line for each run, with the settings in which the runs differ.
fn table(runs: &[Run]) -> String {
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
        let time = match run.seconds {
            Some(seconds) => crate::figures::time(std::time::Duration::from_secs_f64(seconds)),
            None => "unfinished".to_owned(),
        };
        let mut row = vec![
            run.folder.to_string(),
            run.data.clone(),
            run.device.clone(),
            time,
            number(run.legacy_micro_auc),
            number(run.fair_micro_auc),
        ];
        let value = |key: &&String| {
            run.settings
                .get(*key)
                .map_or("-", String::as_str)
                .to_owned()
        };
        row.extend(
            keys.iter()
                .map(value)
                .map(|v| v.split_whitespace().collect()),
        );
        rows.push(row);
    }
    crate::figures::columns(&rows)
}
