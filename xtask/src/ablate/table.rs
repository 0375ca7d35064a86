//! The grid's results as Markdown and CSV.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::grid::Grid;
use super::results::{METRICS, Protocol, Summary};
use super::run::Run;
use super::write_whole;

/// Writes `table.md`, `summary.csv` (one row for each setting and figure) and `runs.csv` (one row
/// for each run and figure) into `out`.
pub fn write(out: &Path, title: &str, grid: &Grid, runs: &[Run]) -> Result<()> {
    write_whole(
        &out.join("table.md"),
        &markdown(title, grid, runs).context("table.md")?,
    )?;
    write_whole(
        &out.join("summary.csv"),
        &summary_csv(grid, runs).context("summary.csv")?,
    )?;
    write_whole(
        &out.join("runs.csv"),
        &runs_csv(grid, runs).context("runs.csv")?,
    )
}

/// The runs of one combination of values, by seed.
pub fn runs_of<'a>(values: &[String], runs: &'a [Run]) -> Vec<&'a Run> {
    let mut found: Vec<&Run> = runs.iter().filter(|r| r.cell.values == values).collect();
    found.sort_by_key(|r| r.cell.seed);
    found
}

fn figures(runs: &[&Run], protocol: Protocol, metric: &str) -> Vec<f64> {
    runs.iter()
        .filter_map(|r| r.eval.figure(protocol, metric))
        .map(|f| f.value)
        .collect()
}

fn markdown(title: &str, grid: &Grid, runs: &[Run]) -> Result<String> {
    let mut text = String::new();
    let seeds: Vec<_> = grid.seeds.iter().map(u64::to_string).collect();
    writeln!(text, "# Ablation: {title}\n")?;
    writeln!(
        text,
        "Seeds {}. Each figure: mean over seeds, (spread: largest minus smallest; sample standard \
         deviation), number of runs where some are missing.",
        seeds.join(", ")
    )?;
    let measured: BTreeSet<_> = runs.iter().map(|r| r.eval.measured()).collect();
    for measured in measured {
        writeln!(text, "\nMeasured on {measured}.")?;
    }
    let keys: Vec<_> = grid.axes.iter().map(|a| a.key.as_str()).collect();
    for protocol in Protocol::ALL {
        writeln!(text, "\n## Protocol {}\n", protocol.name())?;
        let names: Vec<_> = METRICS.iter().map(|(_, name)| *name).collect();
        writeln!(text, "| {} | {} |", keys.join(" | "), names.join(" | "))?;
        writeln!(text, "|{}", " --- |".repeat(keys.len() + names.len()))?;
        for values in grid.combinations() {
            let runs = runs_of(&values, runs);
            let cells = METRICS.map(|(metric, _)| {
                let summary = Summary::of(&figures(&runs, protocol, metric));
                summary.map_or_else(|| "-".to_owned(), |s| shown(s, grid.seeds.len()))
            });
            writeln!(text, "| {} | {} |", values.join(" | "), cells.join(" | "))?;
        }
    }
    writeln!(
        text,
        "\n## Runs\n\n| {} | seed | legacy micro AUC | fair micro AUC | folder |",
        keys.join(" | ")
    )?;
    writeln!(text, "|{}", " --- |".repeat(keys.len() + 4))?;
    for values in grid.combinations() {
        for run in runs_of(&values, runs) {
            let figure = |protocol| {
                let figure = run.eval.figure(protocol, "micro_auc");
                figure.map_or_else(|| "-".to_owned(), |f| format!("{:.4}", f.value))
            };
            writeln!(
                text,
                "| {} | {} | {} | {} | `{}` |",
                values.join(" | "),
                run.cell.seed,
                figure(Protocol::Legacy),
                figure(Protocol::Fair),
                run.cell.name
            )?;
        }
    }
    Ok(text)
}

fn shown(summary: Summary, seeds: usize) -> String {
    let deviation = summary
        .deviation
        .map_or_else(|| "-".to_owned(), |d| format!("{d:.4}"));
    let count = if summary.count == seeds {
        String::new()
    } else {
        format!(", n {}", summary.count)
    };
    format!(
        "{:.4} ({:.4}; {deviation}{count})",
        summary.mean, summary.range
    )
}

fn summary_csv(grid: &Grid, runs: &[Run]) -> Result<String> {
    let mut text = String::new();
    for axis in &grid.axes {
        write!(text, "{},", quoted(&axis.key))?;
    }
    writeln!(text, "protocol,metric,runs,mean,spread,standard_deviation")?;
    for values in grid.combinations() {
        let runs = runs_of(&values, runs);
        for protocol in Protocol::ALL {
            for (metric, _) in METRICS {
                let Some(summary) = Summary::of(&figures(&runs, protocol, metric)) else {
                    continue;
                };
                for value in &values {
                    write!(text, "{},", quoted(value))?;
                }
                let Summary {
                    count,
                    mean,
                    range,
                    deviation,
                } = summary;
                let deviation = deviation.map(|d| format!("{d:.6}")).unwrap_or_default();
                writeln!(
                    text,
                    "{},{metric},{count},{mean:.6},{range:.6},{deviation}",
                    protocol.name()
                )?;
            }
        }
    }
    Ok(text)
}

fn runs_csv(grid: &Grid, runs: &[Run]) -> Result<String> {
    let mut text = String::new();
    for axis in &grid.axes {
        write!(text, "{},", quoted(&axis.key))?;
    }
    writeln!(text, "seed,protocol,metric,value,low,high,folder")?;
    for values in grid.combinations() {
        for run in runs_of(&values, runs) {
            for protocol in Protocol::ALL {
                for (metric, _) in METRICS {
                    let Some(figure) = run.eval.figure(protocol, metric) else {
                        continue;
                    };
                    for value in &values {
                        write!(text, "{},", quoted(value))?;
                    }
                    let bound =
                        |bound: Option<f64>| bound.map(|b| b.to_string()).unwrap_or_default();
                    writeln!(
                        text,
                        "{},{},{metric},{},{},{},{}",
                        run.cell.seed,
                        protocol.name(),
                        figure.value,
                        bound(figure.low),
                        bound(figure.high),
                        run.cell.name
                    )?;
                }
            }
        }
    }
    Ok(text)
}

/// A field of CSV, in quotes where it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ablate::results::{Eval, Figure, Figures};

    pub(in crate::ablate) fn sample() -> (Grid, Vec<Run>) {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let grid = Grid::new(&words("none 2,3"), &words("0 1"), &words("items=10,20")).unwrap();
        let runs = grid
            .cells()
            .into_iter()
            .enumerate()
            .map(|(index, cell)| {
                let value = 0.9 + f64::from(u32::try_from(index).unwrap()) / 100.0;
                let figure = Some(Figure {
                    value,
                    low: Some(0.8),
                    high: None,
                });
                let legacy = Figures {
                    micro_auc: figure,
                    ..Figures::default()
                };
                let fair = (cell.seed == 0).then(|| legacy.clone());
                Run {
                    cell,
                    eval: Eval {
                        legacy,
                        fair,
                        ..Eval::default()
                    },
                }
            })
            .collect();
        (grid, runs)
    }

    #[test]
    fn markdown_has_a_row_for_each_setting_and_each_run() {
        let (grid, runs) = sample();
        let text = markdown("ped2, preset cpu", &grid, &runs).unwrap();
        assert!(
            text.starts_with("# Ablation: ped2, preset cpu\n\nSeeds 0, 1. "),
            "{text}"
        );
        assert_eq!(text.matches("\nMeasured on ").count(), 1);
        // Cells 0 and 4: 0.90 and 0.94.
        let row = "| none | 10 | 0.9200 (0.0400; 0.0283) | - | - | - |";
        assert!(text.contains(row), "{text}");
        let row = "| none | 10 | 0.9000 (0.0000; -, n 1) | - | - | - |";
        assert!(text.contains(row), "{text}");
        let row = "| 2,3 | 20 | 1 | 0.9700 | - | `pools-2.3_items-20_seed-1` |";
        assert!(text.contains(row), "{text}");
    }

    #[test]
    fn tables_of_csv_have_as_many_fields_in_every_row() {
        let (grid, runs) = sample();
        for text in [
            summary_csv(&grid, &runs).unwrap(),
            runs_csv(&grid, &runs).unwrap(),
        ] {
            let fields = |line: &str| line.replace("\"2,3\"", "x").split(',').count();
            let mut lines = text.lines();
            let head = fields(lines.next().unwrap());
            assert!(lines.clone().count() > 4);
            assert!(lines.all(|line| fields(line) == head), "{text}");
        }
    }

    #[test]
    fn csv_holds_the_figures() {
        let (grid, runs) = sample();
        let text = runs_csv(&grid, &runs).unwrap();
        let row = "\"2,3\",10,0,legacy,micro_auc,0.92,0.8,,pools-2.3_items-10_seed-0\n";
        assert!(text.contains(row), "{text}");
        let text = summary_csv(&grid, &runs).unwrap();
        assert!(
            text.contains("none,10,legacy,micro_auc,2,0.920000,0.040000,0.028284\n"),
            "{text}"
        );
    }

    #[test]
    fn a_grid_without_runs_has_a_table_too() {
        let (grid, _) = sample();
        assert!(
            markdown("x", &grid, &[])
                .unwrap()
                .contains("| none | 10 | - |")
        );
    }
}
