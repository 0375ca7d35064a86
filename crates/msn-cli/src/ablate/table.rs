//! The grid's results as Markdown and CSV.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use msn_eval::{Evaluation, ProtocolMetrics};
use msn_metrics::Estimate;

use super::{
    grid::Grid,
    run::{Failure, GridRun},
};

/// The metrics of one protocol in an evaluation.
pub(super) type Protocol = fn(&Evaluation) -> Option<&ProtocolMetrics>;

/// The two protocols. Their metrics never share a column.
pub(super) const PROTOCOLS: [(&str, Protocol); 2] = [
    ("legacy", |evaluation| Some(&evaluation.legacy)),
    ("fair", |evaluation| evaluation.fair.as_ref()),
];

type Metric = fn(&ProtocolMetrics) -> Option<&Estimate>;

/// Metrics by their names in `eval.json` and in a table's head.
const METRICS: [(&str, &str, Metric); 4] = [
    ("micro_auc", "micro AUC", |m| m.micro_auc.as_ref()),
    ("macro_auc_skip", "macro AUC (skip)", |m| {
        m.macro_auc_skip.as_ref()
    }),
    ("average_precision", "AP (micro)", |m| {
        m.average_precision.as_ref()
    }),
    ("equal_error_rate", "EER (micro)", |m| {
        m.equal_error_rate.as_ref()
    }),
];

/// Writes `table.md`, `summary.csv` (a row for each combination and metric) and `runs.csv` (a row
/// for each run and metric) into `out`.
pub(super) fn write(
    out: &Utf8Path,
    title: &str,
    grid: &Grid,
    runs: &[GridRun],
    failed: &[Failure],
) -> Result<()> {
    let files = [
        ("table.md", markdown(title, grid, runs, failed)),
        ("summary.csv", summary_csv(grid, runs)?),
        ("runs.csv", runs_csv(grid, runs)?),
    ];
    for (name, text) in files {
        msn_data::write_atomically(&out.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// The runs of one combination of values, by seed.
pub(super) fn runs_of<'a>(values: &[String], runs: &'a [GridRun]) -> Vec<&'a GridRun> {
    let mut found: Vec<&GridRun> = runs.iter().filter(|r| r.cell.values == values).collect();
    found.sort_by_key(|r| r.cell.seed);
    found
}

/// Mean and two measures of spread over seeds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Summary {
    count: usize,
    mean: f64,
    /// Largest minus smallest.
    range: f64,
    /// Sample standard deviation; `None` for a single value.
    deviation: Option<f64>,
}

impl Summary {
    /// Of the runs that have the metric; of none there is none.
    fn of(runs: &[&GridRun], protocol: Protocol, metric: Metric) -> Option<Self> {
        let metrics = runs.iter().filter_map(|run| protocol(&run.evaluation));
        let values: Vec<f64> = metrics.filter_map(|m| Some(metric(m)?.value)).collect();
        Self::of_values(&values)
    }

    fn of_values(values: &[f64]) -> Option<Self> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        let deviation = (count > 1).then(|| (squares / (count as f64 - 1.0)).sqrt());
        Some(Self {
            count,
            mean,
            range: high - low,
            deviation,
        })
    }

    fn shown(&self, seeds: usize) -> String {
        let deviation = self
            .deviation
            .map_or_else(|| "-".to_owned(), |d| format!("{d:.4}"));
        let count = match self.count == seeds {
            true => String::new(),
            false => format!(", n {}", self.count),
        };
        format!("{:.4} ({:.4}; {deviation}{count})", self.mean, self.range)
    }
}

/// What a metric of this run is to carry: data set, version of the labels, smoothing.
fn measured(evaluation: &Evaluation) -> String {
    let labels = evaluation.data.labels.as_ref().map_or_else(
        || "labels unknown".to_owned(),
        |l| {
            format!(
                "{} labels {}",
                l.format,
                l.hash.get(..12).unwrap_or(&l.hash)
            )
        },
    );
    let smoothing = evaluation.smoothing.map_or_else(
        || "no smoothing".to_owned(),
        |s| format!("legacy smoothed by {s} frames"),
    );
    format!("{}, {labels}, {smoothing}", evaluation.data.name)
}

fn markdown(title: &str, grid: &Grid, runs: &[GridRun], failed: &[Failure]) -> String {
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head = |cells: &[String]| row(cells) + "|" + &" --- |".repeat(cells.len()) + "\n";
    let keys: Vec<String> = grid.axes.iter().map(|axis| axis.key.clone()).collect();
    let seeds: Vec<_> = grid.seeds.iter().map(u64::to_string).collect();
    let mut text = format!(
        "# Ablation: {title}\n\nSeeds {}. Each metric: mean over seeds, (spread: largest minus \
         smallest; sample standard deviation), number of runs where some are missing.\n",
        seeds.join(", ")
    );
    let all: BTreeSet<_> = runs.iter().map(|run| measured(&run.evaluation)).collect();
    for measured in all {
        // Writing to a string can't fail.
        let _ = writeln!(text, "\nMeasured on {measured}.");
    }
    for (name, protocol) in PROTOCOLS {
        let metrics = METRICS.map(|(_, name, _)| name.to_owned());
        let _ = writeln!(text, "\n## Protocol {name}\n");
        text += &head(&[&keys[..], &metrics].concat());
        for values in grid.combinations() {
            let runs = runs_of(&values, runs);
            let cells = METRICS.map(|(_, _, metric)| {
                let summary = Summary::of(&runs, protocol, metric);
                summary.map_or_else(|| "-".to_owned(), |s| s.shown(grid.seeds.len()))
            });
            text += &row(&[&values[..], &cells].concat());
        }
    }
    let columns = ["seed", "legacy micro AUC", "fair micro AUC", "folder"].map(str::to_owned);
    text += "\n## Runs\n\n";
    text += &head(&[&keys[..], &columns].concat());
    for values in grid.combinations() {
        for run in runs_of(&values, runs) {
            let auc = PROTOCOLS.map(|(_, protocol)| {
                let auc = protocol(&run.evaluation).and_then(|m| m.micro_auc.as_ref());
                auc.map_or_else(|| "-".to_owned(), |e| format!("{:.4}", e.value))
            });
            let (seed, folder) = (run.cell.seed.to_string(), format!("`{}`", run.cell.name));
            text += &row(&[&values[..], &[seed], &auc, &[folder]].concat());
        }
    }
    if !failed.is_empty() {
        text += "\n## Failed\n\nThe same command trains these anew.\n\n";
        for Failure { cell, error } in failed {
            let _ = writeln!(text, "- `{cell}`: {error:#}");
        }
    }
    text
}

/// A CSV whose first columns are the grid's axes.
fn csv(grid: &Grid, columns: &[&str], rows: Vec<Vec<String>>) -> Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let keys = grid.axes.iter().map(|axis| axis.key.as_str());
    writer.write_record(keys.chain(columns.iter().copied()))?;
    for row in rows {
        writer.write_record(row)?;
    }
    String::from_utf8(writer.into_inner()?).context("a setting that is no text")
}

fn summary_csv(grid: &Grid, runs: &[GridRun]) -> Result<String> {
    let mut rows = Vec::new();
    for values in grid.combinations() {
        let runs = runs_of(&values, runs);
        for (name, protocol) in PROTOCOLS {
            for (metric, _, of) in METRICS {
                let Some(summary) = Summary::of(&runs, protocol, of) else {
                    continue;
                };
                let mut row = values.clone();
                row.extend([
                    name.to_owned(),
                    metric.to_owned(),
                    summary.count.to_string(),
                ]);
                row.extend([summary.mean, summary.range].map(|v| format!("{v:.6}")));
                row.push(
                    summary
                        .deviation
                        .map(|d| format!("{d:.6}"))
                        .unwrap_or_default(),
                );
                rows.push(row);
            }
        }
    }
    let columns = [
        "protocol",
        "metric",
        "runs",
        "mean",
        "spread",
        "standard_deviation",
    ];
    csv(grid, &columns, rows)
}

fn runs_csv(grid: &Grid, runs: &[GridRun]) -> Result<String> {
    let mut rows = Vec::new();
    for values in grid.combinations() {
        for run in runs_of(&values, runs) {
            for (name, protocol) in PROTOCOLS {
                for (metric, _, of) in METRICS {
                    let Some(estimate) = protocol(&run.evaluation).and_then(of) else {
                        continue;
                    };
                    let mut row = values.clone();
                    row.extend([
                        run.cell.seed.to_string(),
                        name.to_owned(),
                        metric.to_owned(),
                    ]);
                    row.extend(
                        [estimate.value, estimate.low, estimate.high].map(|v| v.to_string()),
                    );
                    row.push(run.cell.name.clone());
                    rows.push(row);
                }
            }
        }
    }
    let columns = [
        "seed", "protocol", "metric", "value", "low", "high", "folder",
    ];
    csv(grid, &columns, rows)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use msn_eval::{DataCard, EVALUATION_FORMAT};

    /// An evaluation by the protocol legacy alone.
    pub(in crate::ablate) fn evaluation(micro_auc: f64) -> Evaluation {
        Evaluation {
            format: EVALUATION_FORMAT.to_owned(),
            legacy: ProtocolMetrics {
                micro_auc: Some(Estimate {
                    value: micro_auc,
                    low: 0.8,
                    high: 1.0,
                }),
                macro_auc_skip: None,
                macro_auc_pad: None,
                average_precision: None,
                equal_error_rate: None,
            },
            fair: None,
            smoothing: None,
            skipped_videos: 0,
            kinds: Default::default(),
            priors: Default::default(),
            prediction_error: Default::default(),
            rbdc: None,
            tbdc: None,
            regions: None,
            events: None,
            data: DataCard {
                name: "ped2".to_owned(),
                hash: String::new(),
                videos: 12,
                frames: 2010,
                scored_frames: 1962,
                anomalous_scored_frames: 1600,
                labels: None,
            },
            command: String::new(),
            seed: None,
        }
    }

    /// Runs with micro AUC 0.90, 0.91, ...; those with seed 0 have a fair one, too.
    fn sample() -> (Grid, Vec<GridRun>) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let grid = Grid::new(&words("none 2,3"), &words("0 1"), &words("items=10,20")).unwrap();
        let run = |(n, cell): (u32, _)| {
            let mut evaluation = evaluation(0.9 + f64::from(n) / 100.0);
            let cell: super::super::grid::Cell = cell;
            evaluation.fair = (cell.seed == 0).then(|| evaluation.legacy.clone());
            GridRun { cell, evaluation }
        };
        let runs = (0..).zip(grid.cells()).map(run).collect();
        (grid, runs)
    }

    #[test]
    fn markdown_has_a_row_for_each_combination_and_each_run() {
        let (grid, runs) = sample();
        let text = markdown("ped2, preset cpu", &grid, &runs, &[]);
        let start = "# Ablation: ped2, preset cpu\n\nSeeds 0, 1. ";
        assert!(text.starts_with(start), "{text}");
        let measured = "\nMeasured on ped2, labels unknown, no smoothing.\n";
        assert_eq!(text.matches(measured).count(), 1, "{text}");
        // Cells 0 and 4: 0.90 and 0.94.
        for row in [
            "| none | 10 | 0.9200 (0.0400; 0.0283) | - | - | - |",
            "| none | 10 | 0.9000 (0.0000; -, n 1) | - | - | - |",
            "| 2,3 | 20 | 1 | 0.9700 | - | `pools-2.3_items-20_seed-1` |",
        ] {
            assert!(text.contains(row), "{text}");
        }
        assert!(!text.contains("Failed"), "{text}");
        let failure = Failure {
            cell: "pools-none_items-10_seed-0".to_owned(),
            error: anyhow::anyhow!("no memory"),
        };
        let text = markdown("x", &grid, &[], &[failure]);
        assert!(text.contains("| none | 10 | - |"), "{text}");
        let line = "\n- `pools-none_items-10_seed-0`: no memory\n";
        assert!(text.ends_with(line), "{text}");
    }

    #[test]
    fn csv_holds_the_metrics() {
        let (grid, runs) = sample();
        let text = runs_csv(&grid, &runs).unwrap();
        let row = "\"2,3\",10,0,legacy,micro_auc,0.92,0.8,1,pools-2.3_items-10_seed-0\n";
        assert!(text.contains(row), "{text}");
        let text = summary_csv(&grid, &runs).unwrap();
        let row = "none,10,legacy,micro_auc,2,0.920000,0.040000,0.028284\n";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn summaries_are_those_worked_by_hand() {
        let summary = Summary::of_values(&[1.0, 2.0, 6.0]).unwrap();
        assert_eq!((summary.count, summary.mean, summary.range), (3, 3.0, 5.0));
        assert!((summary.deviation.unwrap() - 7.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(Summary::of_values(&[0.5]).unwrap().deviation, None);
        assert_eq!(Summary::of_values(&[]), None);
    }
}
