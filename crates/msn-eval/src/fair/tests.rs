use super::*;

fn grid(height: usize, width: usize, values: Vec<f64>) -> Map64 {
    Map64 {
        height,
        width,
        values,
    }
}

fn range(typical: f64, high: f64) -> ErrorRange {
    ErrorRange { typical, high }
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
fn excesses(fair: &Fair, windows: &[Window]) -> Vec<f64> {
    let mut tube = Tube::default();
    let mut excess = |w: &Window| {
        // The window's row among three; the others stay empty.
        let at = |value: f64| {
            let row = |r| {
                if height_of_row(r, 3) == w.row {
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
        tube.push(fair, &windows).largest()
    };
    windows.iter().map(&mut excess).collect()
}

#[test]
fn a_tube_averages_the_latest_frames_alone() {
    let fair = Fair {
        history: 3,
        ..Fair::for_size(64, 64)
    };
    let mut tube = Tube::default();
    let mut push = |v: f64| {
        let windows = Windows {
            error: grid(1, 2, vec![v, 0.0]),
            texture: grid(1, 2, vec![0.0; 2]),
            edge: vec![false; 2],
        };
        let [log, plain] = tube.push(&fair, &windows).values[..] else {
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

fn two_classes(slope: f64, edge: f64) -> Fair {
    let class = |texture, errors| TextureClass {
        texture: log_texture(texture),
        errors,
    };
    Fair {
        usual: Some(UsualErrors {
            slope,
            edge,
            overall: range(-5.0, -3.0),
            by_texture: vec![class(0.0, range(-5.0, -4.0)), class(0.1, range(-4.5, -2.5))],
        }),
        ..Fair::for_size(64, 64)
    }
}

#[test]
fn an_error_is_held_against_what_is_usual_for_its_texture_and_place() {
    let fair = two_classes(0.25, 0.5);
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
            let [got] = excesses(&fair, &[window(log, texture, row, edge)])[..] else {
                panic!("one frame");
            };
            let want = like + OVERALL_WEIGHT * overall;
            assert!(
                (got - want).abs() < 1e-9,
                "{log} {texture} {row} {edge}: {got}, not {want}"
            );
        }
    }
    let nan = fair.excess(fair.beside_usual(window(f64::NAN, 0.1, 0.0, false)));
    assert!(nan.is_nan());
}

#[test]
fn one_window_in_a_hundred_exceeds_what_is_high_in_every_class_and_place() {
    let mut normal = Normal::default();
    let (mut jitter, rows, columns) = (noise(), 5, 4);
    let edge = |row, column| row == 0 || row + 1 == rows || column == 0 || column + 1 == columns;
    // Errors grow with texture, from row to row and at the edge, and spread by a factor of up to
    // e.
    for _ in 0..6_000 {
        let textures: Vec<f64> = (0..rows * columns).map(|_| 0.1 * jitter()).collect();
        let error = |(i, texture): (usize, &f64)| {
            let (row, column) = (i / columns, i % columns);
            let place = if edge(row, column) { 0.4 } else { 0.0 };
            let log = (texture + 0.01).ln() + jitter() + 0.3 * height_of_row(row, rows) + place;
            // Such errors are over the floor.
            2.0 * log.exp()
        };
        let errors = textures.iter().enumerate().map(error).collect();
        normal.push(&Windows {
            error: grid(rows, columns, errors),
            texture: grid(rows, columns, textures),
            edge: (0..rows * columns)
                .map(|i| edge(i / columns, i % columns))
                .collect(),
        });
    }
    let pairs = normal.windows.clone();
    let usual = normal.usual().unwrap();
    assert!((usual.slope - 0.3).abs() < 0.03, "{}", usual.slope);
    assert!((usual.edge - 0.4).abs() < 0.05, "{}", usual.edge);
    let classes = &usual.by_texture;
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
        #[expect(clippy::cast_possible_truncation, reason = "as kept")]
        let row = height_of_row(row, rows) as f32;
        let there = |w: &&NormalWindow| w.row == row && w.edge == edge;
        let there: Vec<_> = pairs.iter().filter(there).collect();
        let above = there.iter().filter(|w| {
            let high = at_texture(classes, f64::from(w.texture)).unwrap().high;
            f64::from(w.error) - at_place(&usual, f64::from(w.row), w.edge) > high
        });
        let share = count(above.count()) / count(there.len());
        assert!((0.001..0.02).contains(&share), "{row} {edge}: {share}");
    }
}

#[test]
fn few_windows_make_one_class_and_one_row_no_slope_and_all_edge_no_edge() {
    let mut normal = Normal::default();
    assert!(normal.clone().usual().is_none());
    normal.push(&Windows {
        error: grid(1, 3, vec![0.0, 0.1, 0.2]),
        texture: grid(1, 3, vec![0.0, 0.1, 0.3]),
        edge: vec![true; 3],
    });
    let usual = normal.usual().unwrap();
    assert_eq!(usual.by_texture.len(), 1);
    assert_eq!((usual.slope, usual.edge), (0.0, 0.0));
}

#[test]
fn quantiles_are_numpys() {
    assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
    assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.5);
    assert!((quantile(&[0.0, 10.0], 0.995) - 9.95).abs() < 1e-12);
}

#[test]
fn calibration_needs_spread() {
    let (fair, usual) = (Fair::for_size(64, 64), UsualErrors::default);
    assert!(matches!(
        calibrate(&fair, usual(), &[], &[]),
        Err(EvalError::NothingHeldOut)
    ));
    assert!(matches!(
        calibrate(&fair, usual(), &[1.0; 9], &[1.0; 9]),
        Err(EvalError::NoSpread { .. })
    ));
    let c = calibrate(&fair, usual(), &[1.0, 2.0, 3.0], &[1.0, 3.0]).unwrap();
    assert_eq!((c.median, c.mad, c.frames), (2.0, 1.0, 3));
    assert!((standardise(2.0 + 1.4826, &c) - 1.0).abs() < 1e-12);
}

#[test]
fn the_edge_is_as_wide_as_a_window() {
    // At 112 pixels windows of 14 lie 3 apart, which does not divide 14.
    for side in [64, 72, 112, 128] {
        let fair = Fair::for_size(side, side);
        let blank = vec![0.0; side * side];
        let maps = FrameMaps::new(blank.clone(), &blank, (side, side), Vec::new());
        let windows = Windows::new(&fair, &maps);
        let columns = windows.error.width;
        for (i, window) in windows.all().enumerate() {
            let outside = |i: usize| {
                let first = i * fair.window_stride;
                (first..first + fair.window)
                    .any(|pixel| pixel < fair.window || pixel >= side - fair.window)
            };
            assert_eq!(window.edge, outside(i / columns) || outside(i % columns));
        }
        assert!(windows.edge.contains(&false));
    }
}
