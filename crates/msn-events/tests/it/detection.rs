use msn_events::{
    Clock, Detector, Event, EventsError, FrameRange, Rules, ScoreSequence, Smoothing, TimedScore,
    detect, reference,
};
use proptest::prelude::*;

use crate::drawn::{BARE, known, rules, scores, sequence, sequence_of};

fn spans(events: &[Event]) -> Vec<FrameRange> {
    events
        .iter()
        .map(|e| FrameRange {
            start: e.start,
            end: e.end,
        })
        .collect()
}

fn frames(events: &[Event]) -> Vec<usize> {
    events.iter().flat_map(|e| e.start..e.end).collect()
}

/// Exact in any order of summing: quarters of small numbers under smoothing that only halves.
fn quarters(sequence: &ScoreSequence) -> ScoreSequence {
    let mut out = sequence.clone();
    out.runs
        .iter_mut()
        .flat_map(|r| &mut r.scores)
        .for_each(|s| *s = (*s * 4.0).round() / 4.0);
    out
}

proptest! {
    #[test]
    fn events_are_those_of_the_plain_twin(s in sequence(), rules in rules(), threshold in -2.0..5.0_f64) {
        // A threshold away from every sum of a few scores, so that rounding decides nothing.
        let found = detect(&s, &rules, threshold).unwrap();
        prop_assert_eq!(spans(&found), reference::events(&s, &rules, threshold));
    }

    #[test]
    fn events_are_those_of_the_plain_twin_on_ties(s in sequence(), mut rules in rules(), threshold in -8..20_i32) {
        let s = quarters(&s);
        rules.hysteresis = rules.hysteresis.round();
        if let Smoothing::Mean(_) | Smoothing::HalfLife(_) = rules.smoothing {
            rules.smoothing = Smoothing::Mean(2);
        }
        let threshold = f64::from(threshold) / 4.0;
        prop_assert_eq!(spans(&detect(&s, &rules, threshold).unwrap()), reference::events(&s, &rules, threshold));
    }

    #[test]
    fn raising_the_threshold_never_adds_frames(s in sequence(), rules in rules(), threshold in -2.0..5.0_f64, more in 0.0..3.0_f64) {
        let low = frames(&detect(&s, &rules, threshold).unwrap());
        let high = frames(&detect(&s, &rules, threshold + more).unwrap());
        prop_assert!(high.iter().all(|frame| low.contains(frame)));
    }

    #[test]
    fn more_hysteresis_never_takes_frames(s in sequence(), rules in rules(), threshold in -2.0..5.0_f64, more in 0.0..3.0_f64) {
        let wide = Rules { hysteresis: rules.hysteresis + more, ..rules };
        let narrow = frames(&detect(&s, &rules, threshold).unwrap());
        let wide = frames(&detect(&s, &wide, threshold).unwrap());
        prop_assert!(narrow.iter().all(|frame| wide.contains(frame)));
    }

    #[test]
    fn events_keep_the_rules(s in sequence(), rules in rules(), threshold in -2.0..5.0_f64) {
        let events = detect(&s, &rules, threshold).unwrap();
        for e in &events {
            prop_assert!(e.frames() >= rules.min_frames);
            prop_assert!(e.start <= e.peak && e.peak < e.end);
            prop_assert!(e.start + rules.min_frames <= e.alarm + 1 && e.alarm < e.end);
            prop_assert!(e.score > threshold);
            // Unknown is never anomalous: each event lies in one run.
            prop_assert!(s.runs.iter().any(|run| run.first_frame <= e.start && e.end <= run.end()));
            prop_assert_eq!(e.start_seconds, s.clock.seconds(e.start));
            prop_assert_eq!(e.peak_seconds, s.clock.seconds(e.peak));
            prop_assert_eq!(e.alarm_seconds, s.clock.seconds(e.alarm));
            prop_assert_eq!(e.end_seconds, s.clock.seconds(e.end));
        }
        for pair in events.windows(2) {
            let one_run = s.runs.iter().any(|run| run.first_frame <= pair[0].start && pair[1].end <= run.end());
            let apart = if one_run { rules.merge_gap } else { 0 };
            prop_assert!(pair[1].start > pair[0].end + apart);
        }
    }

    #[test]
    fn the_past_does_not_depend_on_the_future(all in scores(), more in scores(), rules in rules(), threshold in -2.0..5.0_f64) {
        let push = |scores: &[Option<f64>]| {
            let mut detector = Detector::new(rules, threshold).unwrap();
            let steps: Vec<_> = scores.iter().enumerate()
                .map(|(index, &score)| (detector.push(TimedScore { index, seconds: None, score }).unwrap(), detector.alarm()))
                .collect();
            steps
        };
        let mut longer = all.clone();
        longer.extend(more);
        prop_assert_eq!(&push(&longer)[..all.len()], &push(&all)[..]);
    }

    #[test]
    fn alarms_are_raised_once_for_each_event(all in scores(), rules in rules(), threshold in -2.0..5.0_f64) {
        let mut detector = Detector::new(rules, threshold).unwrap();
        let mut raised = Vec::new();
        for (index, &score) in all.iter().enumerate() {
            let step = detector.push(TimedScore { index, seconds: None, score }).unwrap();
            if step.raised {
                raised.push(index);
                prop_assert!(step.active && detector.alarm());
            }
            prop_assert_eq!(step.smoothed.is_some(), score.is_some());
            prop_assert!(step.active || !detector.alarm());
        }
        let events = detect(&sequence_of("all", &all), &rules, threshold).unwrap();
        prop_assert_eq!(raised, events.iter().map(|e| e.alarm).collect::<Vec<_>>());
    }

    #[test]
    fn a_gap_forgets_everything(a in scores(), b in scores(), rules in rules(), threshold in -2.0..5.0_f64) {
        let mut joined = a.clone();
        joined.push(None);
        let offset = joined.len();
        joined.extend(&b);
        let mut apart = spans(&detect(&sequence_of("a", &a), &rules, threshold).unwrap());
        let later = spans(&detect(&sequence_of("b", &b), &rules, threshold).unwrap());
        apart.extend(later.iter().map(|s| FrameRange { start: s.start + offset, end: s.end + offset }));
        prop_assert_eq!(spans(&detect(&sequence_of("joined", &joined), &rules, threshold).unwrap()), apart);
    }

    #[test]
    fn a_constant_is_above_no_threshold_of_its_own(value in -1e6..1e6_f64, n in 1..40_usize, rules in rules()) {
        prop_assert_eq!(detect(&known(&vec![value; n]), &rules, value).unwrap(), vec![]);
    }
}

#[test]
fn hand_worked() {
    let rules = Rules {
        hysteresis: 1.0,
        min_frames: 2,
        merge_gap: 2,
        ..BARE
    };
    // Above 3 from frame 1, kept by the release of 2 to frame 3, joined over 4 and 5 with frame 6;
    // three frames later another, too short.
    let s = known(&[0.0, 4.0, 2.5, 2.5, 0.0, 2.5, 5.0, 0.0, 0.0, 0.0, 9.0, 0.0]);
    let events = detect(&s, &rules, 3.0).unwrap();
    assert_eq!(events.len(), 1);
    let e = events[0];
    assert_eq!(
        (e.start, e.end, e.peak, e.alarm, e.score),
        (1, 7, 6, 2, 5.0)
    );
    assert_eq!((e.start_seconds, e.end_seconds), (Some(0.1), Some(0.7)));
    // Without joining the second part is too short as well.
    let apart = detect(
        &s,
        &Rules {
            merge_gap: 1,
            ..rules
        },
        3.0,
    )
    .unwrap();
    assert_eq!(spans(&apart), [FrameRange { start: 1, end: 4 }]);
    // The first of several peaks.
    assert_eq!(
        detect(&known(&[5.0, 9.0, 9.0, 9.0]), &rules, 3.0).unwrap()[0].peak,
        1
    );
    // Exactly at the threshold is not above it.
    assert_eq!(detect(&known(&[3.0, 3.0, 3.0]), &rules, 3.0).unwrap(), []);
}

#[test]
fn smoothing_is_causal_and_uses_what_there_is() {
    let mean = Rules {
        smoothing: Smoothing::Mean(4),
        ..BARE
    };
    // Means: 8, 4, 8/3, 2, 0.
    let s = known(&[8.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(
        spans(&detect(&s, &mean, 1.9).unwrap()),
        [FrameRange { start: 0, end: 4 }]
    );
    let half = Rules {
        smoothing: Smoothing::HalfLife(1.0),
        ..BARE
    };
    // 8, 4, 2, 1, 1/2.
    assert_eq!(
        spans(&detect(&s, &half, 0.9).unwrap()),
        [FrameRange { start: 0, end: 4 }]
    );
}

#[test]
fn times_come_from_the_clock() {
    let scores = [Some(0.0), Some(9.0), None, Some(9.0), Some(9.0)];
    let times = vec![0.0, 0.5, 0.75, 2.0, 2.25];
    let timed = ScoreSequence::from_options("t", &scores, Clock::Seconds(times)).unwrap();
    let events = detect(&timed, &BARE, 1.0).unwrap();
    let ends: Vec<_> = events
        .iter()
        .map(|e| (e.start_seconds, e.end_seconds))
        .collect();
    // The unknown frame has a time; after the last frame only its duration is left.
    assert_eq!(ends, [(Some(0.5), Some(0.75)), (Some(2.0), Some(2.5))]);
    let timeless = ScoreSequence::from_options("t", &scores, Clock::Unknown).unwrap();
    let events = detect(&timeless, &BARE, 1.0).unwrap();
    assert!(
        events
            .iter()
            .all(|e| e.start_seconds.is_none() && e.end_seconds.is_none())
    );
    assert_eq!(
        spans(&events),
        [
            FrameRange { start: 1, end: 2 },
            FrameRange { start: 3, end: 5 }
        ]
    );
}

#[test]
fn a_live_source_skips_frames_and_makes_mistakes() {
    let mut detector = Detector::new(BARE, 1.0).unwrap();
    let frame = |index, score| TimedScore {
        index,
        seconds: None,
        score: Some(score),
    };
    assert!(detector.push(frame(0, 5.0)).unwrap().raised);
    assert!(detector.alarm());
    // Refused frames change nothing.
    assert!(matches!(
        detector.push(frame(0, 5.0)),
        Err(EventsError::Order {
            frame: 0,
            before: 0,
            ..
        })
    ));
    assert!(matches!(
        detector.push(frame(1, f64::NAN)),
        Err(EventsError::NotFinite { frame: 1, .. })
    ));
    let odd = TimedScore {
        index: 1,
        seconds: Some(f64::INFINITY),
        score: Some(1.0),
    };
    assert!(matches!(
        detector.push(odd),
        Err(EventsError::Time { frame: 1, .. })
    ));
    // Frame 1 is left out: a gap.
    let step = detector.push(frame(2, 5.0)).unwrap();
    assert_eq!(step.ended.map(|e| (e.start, e.end)), Some((0, 1)));
    assert!(step.raised);
    assert_eq!(detector.finish().map(|e| (e.start, e.end)), Some((2, 3)));
    let mut last = Detector::new(BARE, 1.0).unwrap();
    last.push(frame(usize::MAX, 5.0)).unwrap();
    assert!(last.push(frame(usize::MAX, 5.0)).is_err());
    assert!(last.finish().is_some());
}

#[test]
fn rules_out_of_range_are_named() {
    for (rules, name) in [
        (
            Rules {
                min_frames: 0,
                ..BARE
            },
            "min_frames",
        ),
        (
            Rules {
                hysteresis: -1.0,
                ..BARE
            },
            "hysteresis",
        ),
        (
            Rules {
                hysteresis: f64::NAN,
                ..BARE
            },
            "hysteresis",
        ),
        (
            Rules {
                smoothing: Smoothing::Mean(0),
                ..BARE
            },
            "mean",
        ),
        (
            Rules {
                smoothing: Smoothing::HalfLife(0.0),
                ..BARE
            },
            "half-life",
        ),
    ] {
        let error = Detector::new(rules, 0.0).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
    assert!(matches!(
        Detector::new(BARE, f64::NAN),
        Err(EventsError::Threshold { .. })
    ));
    assert!(Rules::default().check().is_ok());
}

#[test]
fn rules_and_events_survive_json() {
    let rules: Rules =
        serde_json::from_str(r#"{"smoothing": {"mean": 3}, "min_frames": 2}"#).unwrap();
    assert_eq!(
        rules,
        Rules {
            smoothing: Smoothing::Mean(3),
            min_frames: 2,
            ..Rules::default()
        }
    );
    assert!(serde_json::from_str::<Rules>(r#"{"min_frame": 2}"#).is_err());
    let events = detect(&known(&[0.0, 4.0, 4.0]), &BARE, 1.0).unwrap();
    let text = serde_json::to_string(&events).unwrap();
    assert_eq!(serde_json::from_str::<Vec<Event>>(&text).unwrap(), events);
}
