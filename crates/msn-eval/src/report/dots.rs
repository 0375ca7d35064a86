//! Values of several runs beside each other: a panel for each protocol, a column for each setting.

use maud::{Markup, PreEscaped, html};

use super::axis::ticks;

/// Pixels from one column's middle to the next.
const COLUMN: f64 = 74.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 80.0;
const HEIGHT: f64 = 260.0;
/// Labels fall by this many degrees, so that long ones do not meet.
const SLOPE: f64 = 35.0;
/// Width of a letter of a label, about.
const LETTER: f64 = 5.8;
/// An axis never magnifies a smaller range than this to the full height.
const SMALLEST: f64 = 0.01;

/// One panel of [`dots_svg`].
#[derive(Clone, Debug, PartialEq)]
pub struct DotsPanel {
    /// `legacy` or `fair`, which gives it its colour.
    pub protocol: &'static str,
    /// The values of each column, in its labels' order; a column may have none.
    pub columns: Vec<Vec<f64>>,
}

/// A dot for each value and a bar at each column's mean, as a standalone SVG picture for light and
/// dark. Each panel has its own axis: protocols are not comparable.
pub fn dots_svg(title: &str, labels: &[String], panels: &[DotsPanel]) -> String {
    let inner = (COLUMN * labels.len() as f64).max(2.0 * COLUMN);
    let letters = labels.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let (sine, cosine) = SLOPE.to_radians().sin_cos();
    let label = LETTER * letters as f64;
    // The last label runs from the middle of its column beyond the panel.
    let width = LEFT + inner + (label * cosine - COLUMN / 2.0).max(0.0) + 24.0;
    let all = (width * panels.len() as f64).round();
    let height = (TOP + HEIGHT + label * sine + 40.0).round();
    let svg = html! {
        svg class="chart" xmlns="http://www.w3.org/2000/svg" width=(all) height=(height)
            viewBox={ "0 0 " (all) " " (height) } role="img" aria-label=(title) {
            style {
                (PreEscaped(include_str!("colours.css")))
                (PreEscaped(include_str!("chart.css")))
                (PreEscaped(".chart circle.fair{fill:var(--fair)}.chart circle.legacy{fill:var(--legacy)}"))
            }
            rect width="100%" height="100%" style="fill:var(--paper)" {}
            text class="name" x="16" y="24" { (title) }
            @for (n, panel) in panels.iter().enumerate() {
                g transform={ "translate(" (format!("{:.0}", width * n as f64)) ",0)" } {
                    text x=(LEFT) y="52" { "protocol " (panel.protocol) }
                    (columns(panel, labels, inner))
                }
            }
        }
    };
    svg.into_string()
}

fn columns(panel: &DotsPanel, labels: &[String], inner: f64) -> Markup {
    let (low, high) = range(panel.columns.iter().flatten().copied());
    let y = |value: f64| format!("{:.1}", TOP + HEIGHT * (high - value) / (high - low));
    let class = panel.protocol;
    html! {
        rect class="panel" x=(LEFT) y=(TOP) width=(inner) height=(HEIGHT) {}
        @for tick in ticks(low, high, 6.0) {
            @let at = y(tick.value);
            line class="grid" x1=(LEFT) x2=(LEFT + inner) y1=(at) y2=(at) {}
            text class="end" x=(LEFT - 8.0) y=(at) dy="4" { (tick.text) }
        }
        @for (n, (values, label)) in panel.columns.iter().zip(labels).enumerate() {
            @let x = LEFT + COLUMN * (n as f64 + 0.5);
            @for value in values {
                circle class=(class) cx=(x) cy=(y(*value)) r="4" fill-opacity="0.6" {
                    title { (format!("{value:.4}")) }
                }
            }
            @if values.is_empty() {
                text class="mid" x=(x) y=(TOP + HEIGHT / 2.0) { "none" }
            } @else {
                @let mean = values.iter().sum::<f64>() / values.len() as f64;
                path class=(class) d={ "M" (x - 18.0) " " (y(mean)) "h36" } {}
                text class="mid" x=(x) y=(TOP - 6.0) { (format!("{mean:.3}")) }
            }
            text transform={ "translate(" (x) "," (TOP + HEIGHT + 18.0) ") rotate(" (SLOPE) ")" } {
                (label)
            }
        }
    }
}

/// An axis that holds all values with a margin; 0 to 1 where there are none.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
    if low > high {
        return (0.0, 1.0);
    }
    let margin = (0.06 * (high - low)).max((SMALLEST - (high - low)) / 2.0);
    (low - margin, high + margin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(protocol: &'static str, columns: &[&[f64]]) -> DotsPanel {
        DotsPanel {
            protocol,
            columns: columns.iter().map(|values| values.to_vec()).collect(),
        }
    }

    #[test]
    fn every_value_has_a_dot_and_every_column_a_bar() {
        let labels = ["pools none".to_owned(), "pools 2,3".to_owned()];
        let panels = [
            panel("legacy", &[&[0.9, 0.92], &[0.94]]),
            panel("fair", &[&[0.9], &[]]),
        ];
        let svg = dots_svg("a < b & c", &labels, &panels);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert_eq!(svg.matches("h36").count(), 3);
        assert_eq!(svg.matches(">none<").count(), 1);
        assert!(
            svg.contains("a &lt; b &amp; c") && svg.contains(">0.910<"),
            "{svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn axes_hold_their_values() {
        for values in [&[0.913, 0.934][..], &[0.5], &[0.9, 0.9001], &[]] {
            let (low, high) = range(values.iter().copied());
            assert!(high - low >= SMALLEST * 0.999, "{values:?}");
            assert!(values.iter().all(|v| low < *v && *v < high), "{values:?}");
            assert!(ticks(low, high, 6.0).len() >= 2, "{values:?}");
        }
    }
}
