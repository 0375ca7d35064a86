//! ROC and precision-recall curves.

use maud::{Markup, html};
use msn_metrics::{PrPoint, RocPoint, ScoredVideo, pr_curve, roc_curve};

use super::{
    axis::ticks,
    curve::percent,
    path::{Point, time_path},
};
use crate::EvalError;

/// Below this a step along the curve can't be seen.
const STEP: f64 = 1.0 / 300.0;
const SIDE: f64 = 600.0;

/// Both curves of one protocol; words where they are undefined.
pub(super) fn plots(class: &str, from: &str, videos: &[ScoredVideo]) -> Result<Markup, EvalError> {
    let roc = roc_curve(videos)?.map(|points| roc_path(&points));
    // Without a normal frame precision is 1 throughout and shows nothing.
    let pr = if roc.is_some() {
        pr_curve(videos)?.map(|points| pr_path(&points))
    } else {
        None
    };
    let (anomalous, all) = videos
        .iter()
        .flat_map(|v| &v.labels)
        .fold((0.0, 0.0), |(a, n), &l| {
            (a + f64::from(u8::from(l)), n + 1.0)
        });
    let level = 1.0 - anomalous / f64::max(all, 1.0);
    Ok(html! {
        @if let (Some(roc), Some(pr)) = (roc, pr) {
            div class="plots" {
                (plot(class, "ROC, micro", ("false positive rate", "true positive rate"), &roc, [1.0, 0.0], from))
                (plot(class, "Precision-recall, micro", ("recall", "precision"), &pr, [level, level], from))
            }
            p class="note" { "Dashed: a score that knows nothing." }
        } @else {
            p class="note" { "No curves: they need scored frames of both classes." }
        }
    })
}

fn plot(
    class: &str,
    title: &str,
    axes: (&str, &str),
    d: &str,
    chance: [f64; 2],
    from: &str,
) -> Markup {
    html! {
        figure {
            figcaption { b { (title) } }
            svg class="chart square" role="img" aria-label={ (title) ", " (from) } {
                title { (title) ", " (from) }
                rect class="panel" width="100%" height="100%" {}
                @for tick in ticks(0.0, 1.0, 2.0) {
                    @let (x, y) = (percent(tick.value), percent(1.0 - tick.value));
                    line class="grid" x1="0" x2="100%" y1=(y) y2=(y) {}
                    line class="grid" y1="0" y2="100%" x1=(x) x2=(x) {}
                    text class="end" x="-5" y=(y) dy="4" { (tick.text) }
                    text class="mid" x=(x) y="100%" dy="14" { (tick.text) }
                }
                line class="zero" x1="0" y1=(percent(chance[0])) x2="100%" y2=(percent(chance[1])) {}
                svg width="100%" height="100%" viewBox="0 0 600 600" preserveAspectRatio="none" overflow="visible" {
                    path class=(class) d=(d) {}
                }
                text class="mid" x="50%" y="100%" dy="29" { (axes.0) }
                text x="0" y="0" dx="-28" dy="-9" { (axes.1) }
            }
        }
    }
}

fn roc_path(points: &[RocPoint]) -> String {
    let points = points.iter().map(|p| Point {
        x: p.fpr,
        y: 1.0 - p.tpr,
        starts: false,
    });
    time_path(&seen(points), SIDE, SIDE)
}

/// Steps, so that the area under them is the average precision.
fn pr_path(points: &[PrPoint]) -> String {
    let mut recall = 0.0;
    let steps = points.iter().filter_map(|p| {
        let from = std::mem::replace(&mut recall, p.recall);
        let y = 1.0 - p.precision;
        (p.recall > from).then_some([from, p.recall].map(|x| Point {
            x,
            y,
            starts: false,
        }))
    });
    time_path(&seen(steps.flatten()), SIDE, SIDE)
}

/// Leaves out points that lie on the one before, as far as one can see.
fn seen(points: impl Iterator<Item = Point>) -> Vec<Point> {
    let mut out: Vec<Point> = Vec::new();
    let mut left = None;
    for p in points {
        let near = |q: &Point| (p.x - q.x).abs() < STEP && (p.y - q.y).abs() < STEP;
        if out.last().is_some_and(near) {
            left = Some(p);
        } else {
            // The corner before a long step belongs to the curve.
            out.extend(left.take());
            out.push(p);
        }
    }
    out.extend(left);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_of_a_worked_example() {
        let videos = [ScoredVideo {
            name: "a".into(),
            labels: vec![true, false, true, false],
            scores: vec![4.0, 3.0, 2.0, 1.0],
        }];
        let roc = roc_curve(&videos).unwrap().unwrap();
        assert_eq!(roc_path(&roc), "M0 600l0-300 300 0 0-300 300 0");
        let pr = pr_curve(&videos).unwrap().unwrap();
        assert_eq!(pr_path(&pr), "M0 0l300 0 0 200 300 0");
    }

    #[test]
    fn a_long_curve_is_short_to_write() {
        let points = (0..100_000).map(|i| Point {
            x: f64::from(i) / 1e5,
            y: 0.5,
            starts: false,
        });
        let kept = seen(points);
        assert!(kept.len() < 700, "{}", kept.len());
        assert!(kept.windows(2).all(|p| p[1].x - p[0].x < 2.0 * STEP));
    }
}
