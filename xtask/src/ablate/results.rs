//! What a run left behind: its `eval.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// Figures of one protocol, by their names in `eval.json`.
pub const METRICS: [(&str, &str); 4] = [
    ("micro_auc", "micro AUC"),
    ("macro_auc_skip", "macro AUC (skip)"),
    ("average_precision", "AP (micro)"),
    ("equal_error_rate", "EER (micro)"),
];

/// The part of `eval.json` that tables are made of.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Eval {
    pub legacy: Figures,
    /// Missing where the run has no calibration.
    pub fair: Option<Figures>,
    /// Standard deviation, in frames, of the smoothing of legacy scores.
    #[serde(default)]
    pub smoothing: Option<f64>,
    #[serde(default)]
    pub data: Option<Data>,
}

/// What the figures were measured on.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Data {
    pub name: String,
    #[serde(default)]
    pub labels: Option<Labels>,
}

/// The version of the labels.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Labels {
    pub format: String,
    pub hash: String,
}

/// Figures of one protocol; `None` where the labels do not define one.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Figures {
    #[serde(default)]
    pub micro_auc: Option<Figure>,
    #[serde(default)]
    pub macro_auc_skip: Option<Figure>,
    #[serde(default)]
    pub average_precision: Option<Figure>,
    #[serde(default)]
    pub equal_error_rate: Option<Figure>,
}

/// A figure with its bootstrap interval.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Figure {
    pub value: f64,
    #[serde(default)]
    pub low: Option<f64>,
    #[serde(default)]
    pub high: Option<f64>,
}

/// One of the two protocols. Their figures never share a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Legacy,
    Fair,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Legacy, Self::Fair];

    pub fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Fair => "fair",
        }
    }
}

impl Eval {
    /// Reads a run's `eval.json`.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join("eval.json");
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} holds no complete evaluation", path.display()))
    }

    /// What every figure of this run is to carry: data set, label version, smoothing.
    pub fn measured(&self) -> String {
        let data = self.data.as_ref();
        let name = data.map_or("an unnamed data set", |d| d.name.as_str());
        let labels = data.and_then(|d| d.labels.as_ref()).map_or_else(
            || "labels unknown".to_owned(),
            |l| {
                format!(
                    "{} labels {}",
                    l.format,
                    l.hash.get(..12).unwrap_or(&l.hash)
                )
            },
        );
        let smoothing = self.smoothing.map_or_else(
            || "no smoothing".to_owned(),
            |s| format!("legacy smoothed by {s} frames"),
        );
        format!("{name}, {labels}, {smoothing}")
    }

    /// A figure by its name in [`METRICS`].
    pub fn figure(&self, protocol: Protocol, metric: &str) -> Option<Figure> {
        let figures = match protocol {
            Protocol::Legacy => &self.legacy,
            Protocol::Fair => self.fair.as_ref()?,
        };
        match metric {
            "micro_auc" => figures.micro_auc,
            "macro_auc_skip" => figures.macro_auc_skip,
            "average_precision" => figures.average_precision,
            "equal_error_rate" => figures.equal_error_rate,
            _ => None,
        }
    }
}

/// Mean and two measures of spread over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub count: usize,
    pub mean: f64,
    /// Largest minus smallest.
    pub range: f64,
    /// Sample standard deviation; `None` for a single value.
    pub deviation: Option<f64>,
}

impl Summary {
    /// Of no values there is none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len();
        let number = f64::from(u32::try_from(count).ok()?);
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / number;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let deviation = (count > 1).then(|| (squares / (number - 1.0)).sqrt());
        Some(Self {
            count,
            mean,
            range: high - low,
            deviation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Eval> {
        let run = tempfile::tempdir().unwrap();
        fs::write(run.path().join("eval.json"), text).unwrap();
        Eval::read(run.path())
    }

    #[test]
    fn an_evaluation_is_read_with_gaps() {
        let eval = read(
            r#"{"version": 1, "legacy": {"micro_auc": {"value": 0.9, "low": 0.8, "high": 0.95},
            "macro_auc_skip": null}, "fair": null}"#,
        )
        .unwrap();
        let figure = eval.figure(Protocol::Legacy, "micro_auc").unwrap();
        assert_eq!(
            (figure.value, figure.low, figure.high),
            (0.9, Some(0.8), Some(0.95))
        );
        assert_eq!(eval.figure(Protocol::Legacy, "macro_auc_skip"), None);
        assert_eq!(eval.figure(Protocol::Fair, "micro_auc"), None);
        assert_eq!(
            eval.measured(),
            "an unnamed data set, labels unknown, no smoothing"
        );
    }

    #[test]
    fn an_evaluation_says_what_it_was_measured_on() {
        let eval = read(
            r#"{"legacy": {}, "fair": null, "smoothing": 3.0, "data": {"name": "ped2", "videos": 12,
            "labels": {"format": "npy", "files": [], "hash": "0123456789abcdef"}}}"#,
        );
        let text = "ped2, npy labels 0123456789ab, legacy smoothed by 3 frames";
        assert_eq!(eval.unwrap().measured(), text);
    }

    #[test]
    fn every_metric_of_the_table_is_known() {
        let one = Some(Figure {
            value: 0.5,
            low: None,
            high: None,
        });
        let figures = Figures {
            micro_auc: one,
            macro_auc_skip: one,
            average_precision: one,
            equal_error_rate: one,
        };
        let eval = Eval {
            legacy: figures,
            ..Eval::default()
        };
        assert!(
            METRICS
                .iter()
                .all(|(name, _)| eval.figure(Protocol::Legacy, name) == one)
        );
    }

    #[test]
    fn an_incomplete_evaluation_is_none() {
        assert!(read("").is_err());
        assert!(read("{\"legacy\": {\"micro_auc\"").is_err());
        assert!(read("{\"fair\": {}}").is_err());
        assert!(Eval::read(Path::new("no/such/run")).is_err());
    }

    #[test]
    fn summaries_are_those_worked_by_hand() {
        let summary = Summary::of(&[1.0, 2.0, 6.0]).unwrap();
        assert_eq!((summary.count, summary.mean, summary.range), (3, 3.0, 5.0));
        assert!((summary.deviation.unwrap() - 7.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Summary::of(&[0.5]).unwrap().deviation, None);
        assert_eq!(Summary::of(&[]), None);
    }
}
