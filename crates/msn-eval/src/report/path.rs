//! Lines of a drawing, thinned to what pixels can show.

use std::fmt::Write as _;

/// A place on a drawing, shares of width and height from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
    /// Whether a new line starts here.
    pub starts: bool,
}

/// The lowest and the highest point of each pixel column, in their order.
pub(super) fn thin(points: &[Point], columns: f64) -> Vec<Point> {
    let mut out = Vec::new();
    let column = |p: &Point| (p.x * columns).floor();
    for points in points.chunk_by(|a, b| column(a) == column(b)) {
        let (mut low, mut high) = (0, 0);
        for (i, p) in points.iter().enumerate() {
            if p.y < points[low].y {
                low = i;
            }
            if p.y > points[high].y {
                high = i;
            }
        }
        let (first, second) = (low.min(high), low.max(high));
        // A gap within one column is narrower than a pixel.
        out.push(Point {
            starts: points[0].starts,
            ..points[first]
        });
        if second != first {
            out.push(Point {
                starts: false,
                ..points[second]
            });
        }
    }
    out
}

/// Path data in whole units of a box; a point alone becomes a dot.
pub(super) fn time_path(points: &[Point], width: f64, height: f64) -> String {
    let mut d = String::new();
    let mut at = (0.0, 0.0);
    for (i, p) in points.iter().enumerate() {
        // Adding 0.0 takes the sign off a zero.
        let (x, y) = ((p.x * width).round() + 0.0, (p.y * height).round() + 0.0);
        // Writing to a string can't fail.
        if p.starts || i == 0 {
            let _ = write!(d, "M{x} {y}");
            d += if points.get(i + 1).is_none_or(|next| next.starts) {
                "h0"
            } else {
                "l"
            };
        } else {
            for step in [x - at.0 + 0.0, y - at.1 + 0.0] {
                if step >= 0.0 && !d.ends_with('l') {
                    d.push(' ');
                }
                let _ = write!(d, "{step}");
            }
        }
        at = (x, y);
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64, starts: bool) -> Point {
        Point { x, y, starts }
    }

    #[test]
    fn thinning_keeps_extremes() {
        let n = 10_000;
        let y = |i: i32| {
            if i == 4321 {
                -9.0
            } else {
                f64::from(i * 7919 % 1000) / 1000.0
            }
        };
        let points: Vec<Point> = (0..n)
            .map(|i| point(f64::from(i) / f64::from(n), y(i), i == 0))
            .collect();
        let thinned = thin(&points, 100.0);
        assert_eq!(thinned.len(), 200);
        for column in 0..100 {
            let within = |p: &&Point| (p.x * 100.0).floor() == f64::from(column);
            let ends = |all: &[Point]| {
                let ys = all.iter().filter(within).map(|p| p.y);
                ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), y| {
                    (l.min(y), h.max(y))
                })
            };
            assert_eq!(ends(&points), ends(&thinned));
        }
        assert!(thinned.windows(2).all(|p| p[0].x < p[1].x));
        assert_eq!(thinned.iter().filter(|p| p.starts).count(), 1);
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let points = [
            point(0.0, 0.5, true),
            point(0.3, 0.1, false),
            point(0.7, 0.9, true),
            point(0.9, 0.9, false),
        ];
        assert_eq!(thin(&points, 600.0), points);
    }

    #[test]
    fn a_path_breaks_at_gaps() {
        let points = [
            point(0.0, 0.5, true),
            point(0.2, 0.1, false),
            point(0.3, 0.2, false),
            point(0.7, 0.9, true),
        ];
        assert_eq!(time_path(&points, 100.0, 10.0), "M0 5l20-4 10 1M70 9h0");
        assert_eq!(time_path(&[], 100.0, 10.0), "");
    }
}
