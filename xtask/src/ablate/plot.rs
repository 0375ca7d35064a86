//! The grid's micro AUC as an SVG: a panel for each protocol, a column for each setting, a dot
//! for each seed and a bar at the mean.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::grid::Grid;
use super::results::{Protocol, Summary};
use super::run::Run;
use super::table::runs_of;
use super::write_whole;

const METRIC: &str = "micro_auc";
const COLUMN: f64 = 74.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 76.0;
const HEIGHT: f64 = 260.0;
/// Width of a letter of a label, about.
const LETTER: f64 = 5.8;
/// Labels fall by this many degrees.
const SLOPE: f64 = 35.0;
const INK: &str = "#333333";
const GRID: &str = "#e2e2e2";

/// Writes `plot.svg` into `out`.
pub fn write(out: &Path, title: &str, grid: &Grid, runs: &[Run]) -> Result<()> {
    write_whole(
        &out.join("plot.svg"),
        &svg(title, grid, runs).context("plot.svg")?,
    )
}

/// One column: its label and the values of its seeds.
struct Column {
    label: String,
    values: Vec<f64>,
}

fn svg(title: &str, grid: &Grid, runs: &[Run]) -> Result<String> {
    let panels = Protocol::ALL.map(|protocol| {
        let columns: Vec<Column> = grid
            .combinations()
            .iter()
            .map(|combination| {
                let runs = runs_of(combination, runs).into_iter();
                let figures = runs.filter_map(|r| r.eval.figure(protocol, METRIC));
                let values = figures.map(|f| f.value).collect();
                Column {
                    label: grid.label(combination),
                    values,
                }
            })
            .collect();
        (protocol, columns)
    });
    let columns = panels[0].1.len();
    let inner = COLUMN * f64::from(u32::try_from(columns).context("too many columns")?);
    let inner = inner.max(160.0);
    // Labels run down to the right from the middle of their columns.
    let letters = panels[0].1.iter().map(|c| c.label.chars().count()).max();
    let label = LETTER * f64::from(u32::try_from(letters.unwrap_or(0)).context("long labels")?);
    let (sine, cosine) = SLOPE.to_radians().sin_cos();
    let panel = LEFT + inner + (label * cosine - COLUMN / 2.0).max(0.0) + 24.0;
    let (width, height) = (2.0 * panel, TOP + HEIGHT + label * sine + 36.0);

    let mut text = String::new();
    writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">"
    )?;
    writeln!(text, "<title>{}</title>", escaped(title))?;
    writeln!(
        text,
        "<rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>"
    )?;
    let seeds = grid.seeds.len();
    writeln!(
        text,
        "<text x=\"16\" y=\"22\" font-size=\"14\">{}: frame-level micro AUC, a dot for each of {seeds} \
         seeds, a bar at the mean</text>",
        escaped(title)
    )?;
    for ((protocol, columns), x) in panels.iter().zip([0.0, panel]) {
        let colour = match protocol {
            Protocol::Legacy => "#3b6fb6",
            Protocol::Fair => "#c8682a",
        };
        writeln!(text, "<g transform=\"translate({x:.0},0)\">")?;
        writeln!(
            text,
            "<text x=\"{LEFT}\" y=\"48\" font-weight=\"bold\">protocol {}</text>",
            protocol.name()
        )?;
        draw(&mut text, columns, inner, colour)?;
        writeln!(text, "</g>")?;
    }
    writeln!(text, "</svg>")?;
    Ok(text)
}

fn draw(text: &mut String, columns: &[Column], inner: f64, colour: &str) -> Result<()> {
    let scale = Scale::of(columns.iter().flat_map(|c| c.values.iter().copied()));
    let y = |value: f64| TOP + HEIGHT * (1.0 - (value - scale.low) / (scale.high - scale.low));
    for tick in scale.ticks() {
        let at = y(tick);
        writeln!(
            text,
            "<path d=\"M{LEFT} {at:.1}h{inner}\" stroke=\"{GRID}\"/>"
        )?;
        let (x, below) = (LEFT - 8.0, at + 4.0);
        writeln!(
            text,
            "<text x=\"{x}\" y=\"{below:.1}\" text-anchor=\"end\">{tick:.*}</text>",
            scale.decimals
        )?;
    }
    let mut x = LEFT + COLUMN / 2.0;
    for column in columns {
        for value in &column.values {
            let at = y(*value);
            writeln!(
                text,
                "<circle cx=\"{x}\" cy=\"{at:.1}\" r=\"4\" fill=\"{colour}\" fill-opacity=\"0.6\"><title>{value:.4}</title></circle>"
            )?;
        }
        match Summary::of(&column.values) {
            Some(summary) => {
                let (left, at, above) = (x - 18.0, y(summary.mean), TOP - 4.0);
                writeln!(
                    text,
                    "<path d=\"M{left} {at:.1}h36\" stroke=\"{colour}\" stroke-width=\"2.5\"/>"
                )?;
                writeln!(
                    text,
                    "<text x=\"{x}\" y=\"{above}\" text-anchor=\"middle\" font-size=\"11\">{:.3}</text>",
                    summary.mean
                )?;
            }
            None => {
                let at = TOP + HEIGHT / 2.0;
                writeln!(
                    text,
                    "<text x=\"{x}\" y=\"{at}\" text-anchor=\"middle\">none</text>"
                )?;
            }
        }
        let below = TOP + HEIGHT + 18.0;
        writeln!(
            text,
            "<text transform=\"translate({x},{below}) rotate({SLOPE})\" font-size=\"11\">{}</text>",
            escaped(&column.label)
        )?;
        x += COLUMN;
    }
    Ok(())
}

/// The range of an axis, on round numbers.
#[derive(Debug, PartialEq)]
struct Scale {
    low: f64,
    high: f64,
    step: f64,
    decimals: usize,
}

impl Scale {
    /// A range that holds all values, with three to eleven ticks.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values
            .filter(|v| v.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
                (low.min(v), high.max(v))
            });
        if low > high {
            return Self {
                low: 0.0,
                high: 1.0,
                step: 0.2,
                decimals: 1,
            };
        }
        let steps = [
            (0.2, 1),
            (0.1, 1),
            (0.05, 2),
            (0.02, 2),
            (0.01, 2),
            (0.005, 3),
        ];
        // The last one is for values that nearly agree.
        let fits = |step: f64| (high - low) / step >= 3.0;
        let (step, decimals) = steps.into_iter().find(|s| fits(s.0)).unwrap_or((0.005, 3));
        let low = (low / step).floor() * step;
        let mut high = (high / step).ceil() * step;
        if high - low < step / 2.0 {
            high = low + step;
        }
        Self {
            low,
            high,
            step,
            decimals,
        }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..)
            .map(|i| self.low + self.step * f64::from(i))
            .take_while(|t| *t < self.high + self.step / 2.0)
    }
}

/// Text inside an element.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablate::table::tests::sample;

    #[test]
    fn a_plot_has_a_dot_for_each_run_and_a_bar_for_each_setting() {
        let (grid, runs) = sample();
        let text = svg("a < b & c", &grid, &runs).unwrap();
        // Eight runs, of which those with seed 0 have a fair score too.
        assert_eq!(text.matches("<circle").count(), 8 + 4);
        assert_eq!(text.matches("stroke-width").count(), 4 + 4);
        assert!(text.contains("a &lt; b &amp; c"));
        assert_eq!(text.matches("<g ").count(), text.matches("</g>").count());
        assert!(text.trim_end().ends_with("</svg>"));
        assert!(!text.contains("NaN") && !text.contains("inf"));
    }

    #[test]
    fn a_plot_without_runs_is_empty() {
        let (grid, _) = sample();
        let text = svg("x", &grid, &[]).unwrap();
        assert_eq!(text.matches(">none<").count(), 8);
    }

    #[test]
    fn scales_hold_their_values_on_round_numbers() {
        for values in [
            &[0.913, 0.921, 0.934][..],
            &[0.5],
            &[0.0, 1.0],
            &[0.9, 0.9001],
            &[1.0, 1.0],
        ] {
            let scale = Scale::of(values.iter().copied());
            let ticks: Vec<f64> = scale.ticks().collect();
            assert!((2..=16).contains(&ticks.len()), "{values:?} {ticks:?}");
            let (first, last) = (ticks[0], ticks[ticks.len() - 1]);
            assert!(
                values
                    .iter()
                    .all(|v| first <= v + 1e-9 && *v <= last + 1e-9),
                "{values:?} {ticks:?}"
            );
        }
    }
}
