//! Runs at a glance: what was trained, with what settings, to what metrics.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::natural_order;
use msn_video::{EntryKind, list_folder};
use serde::Serialize;
use serde_json::Value;

use crate::{RunError, RunFolder};

/// Folders nested deeper hold no runs of ours.
const DEEPEST: usize = 6;

/// One run, finished or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// Its folder.
    pub folder: Utf8PathBuf,
    /// Whether it came to its end.
    pub finished: bool,
    /// Name of its data set.
    pub data: String,
    /// Hash of its training frames.
    pub data_hash: String,
    /// The device, and the CPU kernels where they computed.
    pub device: String,
    /// Its seed.
    pub seed: u64,
    /// Seconds that it took.
    pub seconds: Option<f64>,
    /// Micro AUC of the protocol `legacy`, where there is an `eval.json`.
    pub legacy_micro_auc: Option<f64>,
    /// The same of `fair`.
    pub fair_micro_auc: Option<f64>,
    /// Settings as `section.key` to value.
    pub settings: BTreeMap<String, String>,
}

impl RunFolder {
    /// The run folders in a folder, itself included, at any depth up to six, in natural order.
    ///
    /// # Errors
    /// [`RunError::NoFolder`] or [`RunError::Read`].
    pub fn all_in(folder: &Utf8Path) -> Result<Vec<Self>, RunError> {
        if !folder.is_dir() {
            return Err(RunError::NoFolder {
                path: folder.to_owned(),
            });
        }
        let mut found = Vec::new();
        gather(folder, &mut found, 0)?;
        Ok(found)
    }

    /// What the run is at a glance. Settings that are newer than the run have their defaults.
    ///
    /// # Errors
    /// Those of [`RunFolder::card`] and [`RunFolder::settings`].
    pub fn summary(&self) -> Result<RunSummary, RunError> {
        let card = self.card()?;
        let known = self.settings()?;
        let mut settings = BTreeMap::new();
        // What a run writes as TOML is TOML.
        let config: toml::Table = toml::from_str(&known.to_toml()).unwrap_or_default();
        for (section, value) in &config {
            match value {
                toml::Value::Table(table) => settings.extend(
                    table
                        .iter()
                        .map(|(key, value)| (format!("{section}.{key}"), plain(value))),
                ),
                value => {
                    settings.insert(section.clone(), plain(value));
                }
            }
        }
        // As it is set, and apart from the network's width.
        settings.retain(|key, _| !matches!(key.as_str(), "input.height" | "input.width"));
        let size = format!("{}x{}", known.input.height, known.input.width);
        settings.insert("input.size".to_owned(), size);
        let metrics = std::fs::read_to_string(self.evaluation())
            .ok()
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .unwrap_or_default();
        let auc = |protocol: &str| metrics[protocol]["micro_auc"]["value"].as_f64();
        Ok(RunSummary {
            folder: self.path().to_owned(),
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
}

/// A value as it is given on the command line: words without quotes.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn gather(dir: &Utf8Path, found: &mut Vec<RunFolder>, depth: usize) -> Result<(), RunError> {
    let folder = RunFolder::open(dir);
    if folder.has_card() {
        found.push(folder);
        return Ok(());
    }
    if depth == DEEPEST {
        return Ok(());
    }
    let mut inside = Vec::new();
    // What has a name that is not UTF-8 is no run of ours.
    for entry in list_folder(dir).map_err(RunError::read(dir))?.entries {
        // `latest` and other links name what is there anyway.
        if entry.kind == EntryKind::Folder && !entry.is_link {
            inside.push(entry.path);
        }
    }
    inside.sort_by(|a, b| natural_order(a.as_str(), b.as_str()));
    for dir in inside {
        gather(&dir, found, depth + 1)?;
    }
    Ok(())
}
