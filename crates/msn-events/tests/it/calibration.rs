use msn_events::{
    Basis, Budget, Clock, EventsError, Rules, ScoreSequence, Smoothing, ThresholdCalibration,
    calibrate_threshold, detect, reference,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::drawn::{BARE, known, rules, scores, sequence_of};

/// So many events in a thousand frames that just `allowed` are allowed in the footage.
fn allowing(allowed: usize, sequences: &[ScoreSequence]) -> Budget {
    let frames: usize = sequences.iter().map(ScoreSequence::frames).sum();
    Budget::PerThousandFrames(1000.0 * allowed as f64 / frames as f64)
}

fn events_at(sequences: &[ScoreSequence], rules: &Rules, threshold: f64) -> usize {
    sequences
        .iter()
        .map(|s| detect(s, rules, threshold).unwrap().len())
        .sum()
}

/// All thresholds at which the number of events can change, falling, by the plain twin.
fn thresholds(sequences: &[ScoreSequence], rules: &Rules) -> Vec<f64> {
    let runs = sequences.iter().flat_map(|s| &s.runs);
    let scores: Vec<f64> = runs
        .flat_map(|r| reference::smoothed(&r.scores, rules.smoothing))
        .collect();
    let mut all: Vec<f64> = scores
        .iter()
        .flat_map(|&s| [s, s + rules.hysteresis])
        .collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.dedup();
    all
}

proptest! {
    #[test]
    fn the_threshold_is_the_smallest_at_and_above_which_the_budget_holds(
        a in scores(), b in scores(), mut rules in rules(), allowed in 1..6_usize,
    ) {
        // Halves of whole numbers, so that the twin's sums are exact.
        rules.smoothing = match rules.smoothing { Smoothing::None => Smoothing::None, _ => Smoothing::Mean(2) };
        rules.hysteresis = rules.hysteresis.round();
        let whole = |all: &[Option<f64>]| all.iter().map(|s| s.map(f64::round)).collect::<Vec<_>>();
        let footage = [sequence_of("a", &whole(&a)), sequence_of("b", &whole(&b))];
        prop_assume!(footage.iter().any(|s| s.frames() > 0));
        let found = calibrate_threshold(&footage, &rules, allowing(allowed, &footage)).unwrap();
        prop_assert_eq!(found.allowed, allowed);
        let all = thresholds(&footage, &rules);
        let plain = |t: f64| footage.iter().map(|s| reference::events(s, &rules, t).len()).sum::<usize>();
        // At and above it the budget holds,
        for &t in all.iter().filter(|&&t| t >= found.threshold) {
            prop_assert!(plain(t) <= allowed);
        }
        prop_assert_eq!(found.events, plain(found.threshold));
        // and at the next one below it does not, unless the search ended at its floor.
        match found.basis {
            Basis::Counted => {
                let next = all.iter().copied().find(|&t| t < found.threshold).unwrap();
                prop_assert!(plain(next) > allowed);
            }
            Basis::Floor => {}
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_larger_budget_never_raises_the_threshold(a in scores(), rules in rules(), budget in 0.01..50.0_f64, more in 1.0..20.0_f64) {
        let footage = [sequence_of("a", &a)];
        prop_assume!(footage[0].frames() > 0);
        let small = calibrate_threshold(&footage, &rules, Budget::PerThousandFrames(budget)).unwrap();
        let large = calibrate_threshold(&footage, &rules, Budget::PerThousandFrames(budget * more)).unwrap();
        prop_assert!(large.threshold <= small.threshold + 1e-12);
    }

    #[test]
    fn results_fit_together(a in scores(), rules in rules(), budget in 0.01..50.0_f64) {
        let footage = [sequence_of("a", &a)];
        prop_assume!(footage[0].frames() > 0);
        let c = calibrate_threshold(&footage, &rules, Budget::PerThousandFrames(budget)).unwrap();
        prop_assert!(c.threshold.is_finite());
        prop_assert!(c.events <= c.allowed);
        prop_assert_eq!(c.events, events_at(&footage, &rules, c.threshold));
        let in_events: usize = detect(&footage[0], &rules, c.threshold).unwrap().iter().map(|e| e.frames()).sum();
        prop_assert!((c.alarm_share - in_events as f64 / c.frames as f64).abs() < 1e-12);
        prop_assert!(c.rate.low <= c.rate.value && c.rate.value <= c.rate.high);
        prop_assert_eq!(c.caveat().is_none(), c.basis == Basis::Counted);
        if c.allowed == 0 {
            prop_assert!(c.basis != Basis::Counted && c.basis != Basis::Floor);
            prop_assert_eq!(c.events, 0);
        }
        let text = serde_json::to_string(&c).unwrap();
        prop_assert!(serde_json::from_str::<ThresholdCalibration>(&text).is_ok());
    }

    #[test]
    fn a_shift_of_the_scores_shifts_the_threshold(a in scores(), mut rules in rules(), budget in 0.01..50.0_f64, shift in -8..8_i32) {
        rules.smoothing = Smoothing::None;
        rules.hysteresis = rules.hysteresis.round();
        let quarters: Vec<Option<f64>> = a.iter().map(|s| s.map(|s| (4.0 * s).round() / 4.0)).collect();
        let moved: Vec<Option<f64>> = quarters.iter().map(|s| s.map(|s| s + f64::from(shift))).collect();
        prop_assume!(quarters.iter().any(Option::is_some));
        let budget = Budget::PerThousandFrames(budget);
        let one = calibrate_threshold(&[sequence_of("a", &quarters)], &rules, budget).unwrap();
        let two = calibrate_threshold(&[sequence_of("a", &moved)], &rules, budget).unwrap();
        prop_assert!((one.threshold + f64::from(shift) - two.threshold).abs() < 1e-9);
    }
}

#[test]
fn hand_worked() {
    // Peaks 9, 7, 5 over noise of 0 to 1 in a hundred frames.
    let mut scores: Vec<f64> = (0..100_u8).map(|f| f64::from(f % 7) / 7.0).collect();
    for (frame, score) in [(20, 9.0), (50, 7.0), (80, 5.0)] {
        scores[frame] = score;
    }
    let footage = [known(&scores)];
    let at = |allowed| calibrate_threshold(&footage, &BARE, allowing(allowed, &footage)).unwrap();
    assert_eq!((at(1).threshold, at(1).events), (7.0, 1));
    assert_eq!((at(2).threshold, at(2).events), (5.0, 2));
    assert_eq!(at(1).basis, Basis::Counted);
    assert_eq!(at(1).alarm_share, 0.01);
    // With a least length of two frames single peaks are no events, and ordinary frames never
    // make two of them: the threshold stops at its floor.
    let lasting = Rules {
        min_frames: 2,
        ..BARE
    };
    let found = calibrate_threshold(&footage, &lasting, allowing(50, &footage)).unwrap();
    assert_eq!(found.basis, Basis::Floor);
    assert!(found.caveat().unwrap().contains("90th percentile"));
    assert!(found.alarm_share <= 0.1);
}

#[test]
fn a_threshold_under_everything_is_not_a_single_event() {
    // One event at any low threshold and two in between: the naive smallest would be 0.
    let mut scores = vec![0.0; 100];
    scores[1..6].copy_from_slice(&[4.0, 4.0, 1.0, 5.0, 5.0]);
    let footage = [known(&scores)];
    let found = calibrate_threshold(&footage, &BARE, allowing(1, &footage)).unwrap();
    assert_eq!((found.threshold, found.events), (4.0, 1));
}

/// Hours of frames at 1 Hz with exponentially distributed peaks, 60 an hour, each alone.
fn footage(hours: usize, seed: u64) -> ScoreSequence {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let scores: Vec<Option<f64>> = (0..3600 * hours)
        .map(|f| {
            Some(if f % 60 == 30 {
                1.0 - 2.0 * (1.0 - rng.random::<f64>()).ln()
            } else {
                0.0
            })
        })
        .collect();
    ScoreSequence::from_options(format!("seed {seed}"), &scores, Clock::Hz(1.0)).unwrap()
}

#[test]
fn short_footage_is_drawn_on_and_says_so() {
    // True rate over t: 60 exp(-(t - 1) / 2) an hour; once in 100 hours at t = 1 + 2 ln 6000.
    let truth = 1.0 + 2.0 * 6000.0_f64.ln();
    let mut errors = Vec::new();
    for seed in 0..20 {
        let short = [footage(2, seed)];
        let found = calibrate_threshold(&short, &BARE, Budget::PerHour(0.01)).unwrap();
        let Basis::Extrapolated {
            events,
            scale,
            from,
        } = found.basis
        else {
            panic!("{found:?}")
        };
        assert_eq!((events, found.allowed, found.events), (20, 0, 0));
        assert!(
            from < found.threshold && (0.5..4.0).contains(&scale),
            "{found:?}"
        );
        assert_eq!((found.needed, found.hours), (100.0, Some(2.0)));
        let caveat = found.caveat().unwrap();
        assert!(
            caveat.contains("100.000 hours") && caveat.contains("estimate"),
            "{caveat}"
        );
        errors.push(found.threshold - truth);
    }
    let mean = errors.iter().sum::<f64>() / 20.0;
    assert!(mean.abs() < 1.5, "mean error {mean}");
}

#[test]
fn long_footage_is_counted_and_holds_on_new_footage() {
    let found = calibrate_threshold(&[footage(10, 100)], &BARE, Budget::PerHour(2.0)).unwrap();
    assert_eq!(
        (found.basis, found.allowed, found.events),
        (Basis::Counted, 20, 20)
    );
    assert_eq!(found.rate.value, 2.0);
    let fresh = events_at(&[footage(50, 101)], &BARE, found.threshold) as f64 / 50.0;
    assert!(
        found.rate.low <= fresh && fresh <= found.rate.high,
        "{fresh} {:?}",
        found.rate
    );
}

#[test]
fn an_estimate_is_never_under_what_was_seen() {
    // Five events, one far out: the fitted tail alone would allow it.
    let mut scores = vec![0.0; 100];
    for (i, score) in [5.0, 5.25, 5.5, 5.75, 100.0].into_iter().enumerate() {
        scores[10 + 20 * i] = score;
    }
    let footage = [known(&scores)];
    let found = calibrate_threshold(&footage, &BARE, Budget::PerThousandFrames(9.9)).unwrap();
    let Basis::Extrapolated {
        events,
        from,
        scale,
    } = found.basis
    else {
        panic!("{found:?}")
    };
    assert_eq!((events, from), (5, 0.0));
    assert!(from + scale * (5.0 / 0.99_f64).ln() < 50.0);
    assert_eq!((found.threshold, found.events), (100.0, 0));
}

#[test]
fn too_short_for_an_estimate() {
    let quiet = [known(&[1.0; 50])];
    let found = calibrate_threshold(&quiet, &BARE, Budget::PerHour(1.0)).unwrap();
    assert_eq!(
        (found.threshold, found.basis, found.events),
        (1.0, Basis::NoEvent, 0)
    );
    let caveat = found.caveat().unwrap();
    assert!(caveat.contains("per hour"), "{caveat}");
}

#[test]
fn what_cannot_be_calibrated_is_named() {
    let good = || known(&[1.0, 2.0]);
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = calibrate_threshold(&[good()], &BARE, Budget::PerHour(value)).unwrap_err();
        assert!(matches!(error, EventsError::Budget { .. }));
    }
    let mut timeless = good();
    timeless.clock = Clock::Unknown;
    let error = calibrate_threshold(std::slice::from_ref(&timeless), &BARE, Budget::PerHour(1.0))
        .unwrap_err();
    assert!(matches!(error, EventsError::NoRate { video } if video == "known"));
    let counted =
        calibrate_threshold(&[timeless], &BARE, Budget::PerThousandFrames(500.0)).unwrap();
    assert_eq!((counted.hours, counted.allowed), (None, 1));
    assert!(matches!(
        calibrate_threshold(&[], &BARE, Budget::PerHour(1.0)),
        Err(EventsError::NoFrames)
    ));
    let twice = calibrate_threshold(&[good(), good()], &BARE, Budget::PerHour(1.0)).unwrap_err();
    assert!(matches!(twice, EventsError::DuplicateVideo { .. }));
    let frozen = ScoreSequence {
        clock: Clock::Seconds(vec![1.0; 2]),
        ..good()
    };
    let error = calibrate_threshold(&[frozen], &BARE, Budget::PerHour(1.0)).unwrap_err();
    assert!(matches!(error, EventsError::Exposure { .. }));
    let rules = Rules {
        min_frames: 0,
        ..BARE
    };
    assert!(matches!(
        calibrate_threshold(&[good()], &rules, Budget::PerHour(1.0)),
        Err(EventsError::Rule { .. })
    ));
}
