use msn_model::Prediction;

use super::{
    baseline::{
        Baseline, BaselineSamples, CLASSES, ErrorQuantiles, Sample, TextureClass, at_texture,
    },
    calibrate::standardised,
    fair::{
        AnomalyScore, ERROR_FLOOR, TEXTURE_FLOOR, Tube, Window, Windows, log_texture, row_position,
    },
    maps::{FrameMaps, WindowMap},
};
use crate::EvalError;

fn grid(height: usize, width: usize, values: Vec<f64>) -> WindowMap {
    WindowMap {
        height,
        width,
        values,
    }
}

fn quantiles(median: f64, p99: f64) -> ErrorQuantiles {
    ErrorQuantiles { median, p99 }
}

fn window(log_error: f64, texture: f64, row: f64, edge: bool) -> Window {
    Window {
        error: log_error.exp() - ERROR_FLOOR,
        texture,
        row,
        edge,
    }
}

/// Evenly spread in 0..1, the same at every call.
fn noise() -> impl FnMut() -> f64 {
    let mut state = 12345u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    }
}

/// The excess of windows, one a frame, that follow each other.
fn excesses(score: &AnomalyScore, windows: &[Window]) -> Vec<f64> {
    let mut tube = Tube::default();
    let mut excess = |w: &Window| {
        // The window's row among three; the others stay empty.
        let at = |value: f64| {
            let row = |r| {
                if row_position(r, 3) == w.row {
                    value
                } else {
                    0.0
                }
            };
            grid(3, 1, (0..3).map(row).collect())
        };
        let windows = Windows {
            error: at(w.error),
            texture: at(w.texture),
            edge: vec![w.edge; 3],
        };
        tube.push(score, &windows).largest()
    };
    windows.iter().map(&mut excess).collect()
}

#[test]
fn a_tube_averages_the_latest_frames_alone() {
    let score = AnomalyScore {
        history: 3,
        ..AnomalyScore::for_size(64, 64)
    };
    let mut tube = Tube::default();
    let mut push = |v: f64| {
        let windows = Windows {
            error: grid(1, 2, vec![v, 0.0]),
            texture: grid(1, 2, vec![0.0; 2]),
            edge: vec![false; 2],
        };
        let [log, plain] = tube.push(&score, &windows).values[..] else {
            panic!("two windows");
        };
        assert!((plain - ERROR_FLOOR.ln()).abs() < 1e-12);
        if v == 7.0 {
            tube.clear();
        }
        log.exp() - ERROR_FLOOR
    };
    for (v, mean) in [(1.0, 1.0), (2.0, 1.5), (3.0, 2.0), (7.0, 4.0), (5.0, 5.0)] {
        assert!((push(v) - mean).abs() < 1e-12);
    }
}

/// A thing of rich texture errs, and behind it plain ground that it has uncovered, which by its
/// texture should err less: the score is highest on the ground, its place is the thing.
#[test]
fn the_place_of_a_score_is_the_thing_and_not_the_ground_behind_it() {
    let score = two_classes(0.0, 0.0);
    let mut tube = Tube::default();
    let mut push = |logs: [f64; 3]| {
        let windows = Windows {
            error: grid(1, 3, logs.map(|log| log.exp() - ERROR_FLOOR).to_vec()),
            texture: grid(1, 3, vec![0.0, 0.1, 0.0]),
            edge: vec![false; 3],
        };
        let map = tube.push(&score, &windows).values;
        let place = tube.thing(&score, &windows).values;
        let at = |values: &[f64]| (0..3).max_by(|&a, &b| values[a].total_cmp(&values[b]));
        (at(&map).unwrap(), at(&place).unwrap())
    };
    assert_eq!(push([-2.3, -1.0, -5.0]), (0, 1));
    // Two frames later it is the next one's, while the mean over all still has the first.
    push([-5.0, -5.0, -5.0]);
    assert_eq!(push([-5.0, -5.0, -3.0]), (0, 2));
}

fn two_classes(slope: f64, edge: f64) -> AnomalyScore {
    let class = |texture, errors| TextureClass {
        texture: log_texture(texture),
        errors,
    };
    AnomalyScore {
        baseline: Some(Baseline {
            slope,
            edge,
            overall: quantiles(-5.0, -3.0),
            by_texture: vec![
                class(0.0, quantiles(-5.0, -4.0)),
                class(0.1, quantiles(-4.5, -2.5)),
            ],
        }),
        ..AnomalyScore::for_size(64, 64)
    }
}

#[test]
fn an_error_is_compared_with_the_baseline_of_its_texture_and_position() {
    let score = two_classes(0.25, 0.5);
    let halfway = f64::midpoint(log_texture(0.0), log_texture(0.1)).exp() - TEXTURE_FLOOR;
    // Beyond the ends the curve is flat; halfway between two classes ranges are means of theirs.
    for (log, texture, like, overall) in [
        (-4.0, 0.0, 0.0, -0.5),
        (-3.0, 0.0, 1.0, 0.0),
        (-2.5, 0.1, 0.0, 0.25),
        (-0.5, 0.1, 1.0, 1.25),
        (-0.5, 0.4, 1.0, 1.25),
        (-1.75, halfway, 1.0, 0.625),
    ] {
        for (row, edge) in [(-1.0, false), (0.0, true), (1.0, false)] {
            let log = log + 0.25 * row + if edge { 0.5 } else { 0.0 };
            let [got] = excesses(&score, &[window(log, texture, row, edge)])[..] else {
                panic!("one frame");
            };
            let want = like + 0.5 * overall;
            assert!(
                (got - want).abs() < 1e-9,
                "{log} {texture} {row} {edge}: {got}, not {want}"
            );
        }
    }
    let [nan] = excesses(&score, &[window(f64::NAN, 0.1, 0.0, false)])[..] else {
        panic!("one frame");
    };
    assert!(nan.is_nan());
}

#[test]
fn one_window_in_a_hundred_exceeds_the_99th_percentile_in_every_class_and_position() {
    let mut samples = BaselineSamples::default();
    let (mut jitter, rows, columns) = (noise(), 5, 4);
    let edge = |row, column| row == 0 || row + 1 == rows || column == 0 || column + 1 == columns;
    // Errors grow with texture, from row to row and at the edge, and spread by a factor of up to
    // e.
    for _ in 0..6_000 {
        let textures: Vec<f64> = (0..rows * columns).map(|_| 0.1 * jitter()).collect();
        let error = |(i, texture): (usize, &f64)| {
            let (row, column) = (i / columns, i % columns);
            let place = if edge(row, column) { 0.4 } else { 0.0 };
            let log = (texture + 0.01).ln() + jitter() + 0.3 * row_position(row, rows) + place;
            // Such errors are over the floor.
            2.0 * log.exp()
        };
        let errors = textures.iter().enumerate().map(error).collect();
        samples.push(&Windows {
            error: grid(rows, columns, errors),
            texture: grid(rows, columns, textures),
            edge: (0..rows * columns)
                .map(|i| edge(i / columns, i % columns))
                .collect(),
        });
    }
    let pairs = samples.windows.clone();
    let baseline = samples.baseline().unwrap();
    assert!((baseline.slope - 0.3).abs() < 0.03, "{}", baseline.slope);
    assert!((baseline.edge - 0.4).abs() < 0.05, "{}", baseline.edge);
    let classes = &baseline.by_texture;
    assert!(classes.len() > CLASSES / 2);
    assert!(classes.is_sorted_by(|a, b| a.texture < b.texture));
    for (row, edge) in [
        (0, true),
        (1, false),
        (2, true),
        (2, false),
        (3, true),
        (4, true),
    ] {
        let row = row_position(row, rows) as f32;
        let there = |w: &&Sample| w.row == row && w.edge == edge;
        let there: Vec<_> = pairs.iter().filter(there).collect();
        let above = there.iter().filter(|w| {
            let high = at_texture(classes, f64::from(w.texture)).unwrap().p99;
            f64::from(w.error) - baseline.position_offset(f64::from(w.row), w.edge) > high
        });
        let share = above.count() as f64 / there.len() as f64;
        assert!((0.001..0.02).contains(&share), "{row} {edge}: {share}");
    }
}

#[test]
fn few_windows_make_one_class_and_one_row_no_slope_and_all_edge_no_edge() {
    let mut samples = BaselineSamples::default();
    assert!(samples.clone().baseline().is_none());
    samples.push(&Windows {
        error: grid(1, 3, vec![0.0, 0.1, 0.2]),
        texture: grid(1, 3, vec![0.0, 0.1, 0.3]),
        edge: vec![true; 3],
    });
    let baseline = samples.baseline().unwrap();
    assert_eq!(baseline.by_texture.len(), 1);
    assert_eq!((baseline.slope, baseline.edge), (0.0, 0.0));
}

#[test]
fn calibration_needs_spread() {
    let (score, baseline) = (AnomalyScore::for_size(64, 64), Baseline::default);
    assert!(matches!(
        standardised(&score, baseline(), &[], Vec::new()),
        Err(EvalError::NothingToCalibrate)
    ));
    assert!(matches!(
        standardised(&score, baseline(), &[1.0; 9], vec![1.0; 9]),
        Err(EvalError::NoSpread { .. })
    ));
    let c = standardised(&score, baseline(), &[1.0, 2.0, 3.0], vec![1.0, 3.0]).unwrap();
    assert_eq!((c.median, c.mad, c.frames), (2.0, 1.0, 3));
    assert!((c.standardise(2.0 + 1.4826) - 1.0).abs() < 1e-12);
}

#[test]
fn the_edge_is_as_wide_as_a_window() {
    // At 112 pixels windows of 14 lie 3 apart, which does not divide 14.
    for side in [64, 72, 112, 128] {
        let score = AnomalyScore::for_size(side, side);
        let blank = vec![0.0; side * side];
        let prediction = Prediction {
            height: side,
            width: side,
            planes: blank.clone(),
            distances: Vec::new(),
        };
        let maps = FrameMaps::new(prediction, &blank);
        let windows = Windows::new(&score, &maps);
        let columns = windows.error.width;
        for (i, window) in windows.all().enumerate() {
            let outside = |i: usize| {
                let first = i * score.window_stride;
                (first..first + score.window)
                    .any(|pixel| pixel < score.window || pixel >= side - score.window)
            };
            assert_eq!(window.edge, outside(i / columns) || outside(i % columns));
        }
        assert!(windows.edge.contains(&false));
    }
}
