use msn_events::{
    Clock, EventMetrics, EventsError, FrameRange, LabelledEvents, Rules, ScoreSequence, detect,
    event_metrics, poisson_rate,
};
use proptest::prelude::*;

use crate::drawn::{BARE, rules, scores, sequence_of};

fn metrics_of(
    sequence: &ScoreSequence,
    rules: &Rules,
    threshold: f64,
    spans: &[FrameRange],
) -> EventMetrics {
    let events = detect(sequence, rules, threshold).unwrap();
    event_metrics(&[LabelledEvents {
        sequence,
        events: &events,
        spans,
    }])
    .unwrap()
}

/// Scores of 9 in the given frames of `n`, else 0, from frame 4 on, at 2 Hz.
fn loud(n: usize, frames: &[usize]) -> ScoreSequence {
    let score = |f| (f >= 4).then_some(if frames.contains(&f) { 9.0 } else { 0.0 });
    let scores: Vec<Option<f64>> = (0..n).map(score).collect();
    ScoreSequence::from_options("loud", &scores, Clock::Hz(2.0)).unwrap()
}

fn span(start: usize, end: usize) -> FrameRange {
    FrameRange { start, end }
}

#[test]
fn hand_worked() {
    let sequence = loud(104, &[10, 11, 12, 30, 50, 51, 90]);
    // Found after two frames; missed; found by an event that began before it; frame 30 and 90 are
    // false; the last span has no scored frame.
    let spans = [span(8, 12), span(20, 25), span(51, 60), span(0, 4)];
    let metrics = metrics_of(&sequence, &BARE, 1.0, &spans);
    assert_eq!(
        (metrics.spans, metrics.spans_found, metrics.spans_unscored),
        (3, 2, 1)
    );
    assert_eq!((metrics.events, metrics.false_alarms), (4, 2));
    assert_eq!(metrics.precision, Some(0.5));
    assert_eq!(metrics.recall, Some(2.0 / 3.0));
    assert!((metrics.f1.unwrap() - 4.0 / 7.0).abs() < 1e-15);
    let delay = metrics.delay.unwrap();
    assert_eq!(
        (delay.median_frames, delay.median_seconds),
        (1.0, Some(0.5))
    );
    assert_eq!((delay.p90_frames, delay.p90_seconds), (1.8, Some(0.9)));
    // A hundred scored frames, 4 + 5 + 9 of them in spans.
    assert_eq!(metrics.normal_frames, 82);
    assert_eq!(metrics.normal_hours, Some(82.0 / 7200.0));
    assert_eq!(
        metrics.false_alarms_per_hour.unwrap().value,
        2.0 / (82.0 / 7200.0)
    );
}

#[test]
fn an_alarm_comes_when_an_event_is_long_enough() {
    let sequence = loud(40, &[10, 11, 12, 13, 14]);
    let rules = Rules {
        min_frames: 4,
        ..BARE
    };
    let delay = |start, end| {
        metrics_of(&sequence, &rules, 1.0, &[span(start, end)])
            .delay
            .unwrap()
            .median_frames
    };
    assert_eq!(delay(10, 20), 3.0);
    // Found although the alarm is raised after the span's end.
    assert_eq!(delay(9, 11), 4.0);
    // The alarm was on.
    assert_eq!(delay(14, 20), 0.0);
    // A span that begins before anything is scored waits from its own beginning.
    assert_eq!(delay(0, 20), 13.0);
}

#[test]
fn the_first_alarm_of_a_span_counts() {
    let metrics = metrics_of(&loud(60, &[12, 20, 30]), &BARE, 1.0, &[span(10, 40)]);
    assert_eq!(
        (metrics.events, metrics.spans_found, metrics.precision),
        (3, 1, Some(1.0))
    );
    assert_eq!(metrics.delay.unwrap().median_frames, 2.0);
}

#[test]
fn normal_video_has_false_alarms_alone() {
    let sequence = loud(7204, &[100]);
    let metrics = metrics_of(&sequence, &BARE, 1.0, &[]);
    assert_eq!(
        (metrics.precision, metrics.recall, metrics.f1),
        (Some(0.0), None, None)
    );
    assert_eq!(metrics.delay, None);
    let rate = metrics.false_alarms_per_hour.unwrap();
    assert_eq!(rate.value, 1.0);
    assert!(
        (rate.low - 0.025317807984289876).abs() < 1e-9
            && (rate.high - 5.571643390938898).abs() < 1e-9
    );
    let quiet = metrics_of(&loud(7204, &[]), &BARE, 1.0, &[]);
    assert_eq!(quiet.precision, None);
    let rate = quiet.false_alarms_per_hour.unwrap();
    assert_eq!((rate.value, rate.low), (0.0, 0.0));
    assert!((rate.high - 3.6888794541139354).abs() < 1e-9);
}

#[test]
fn nothing_found_has_an_f1_of_0() {
    let metrics = metrics_of(&loud(40, &[]), &BARE, 1.0, &[span(10, 20)]);
    assert_eq!(
        (metrics.precision, metrics.recall, metrics.f1),
        (None, Some(0.0), Some(0.0))
    );
    let wrong = metrics_of(&loud(40, &[30]), &BARE, 1.0, &[span(10, 20)]);
    assert_eq!((wrong.precision, wrong.f1), (Some(0.0), Some(0.0)));
    let nothing = event_metrics(&[]).unwrap();
    assert_eq!(
        (nothing.recall, nothing.false_alarms_per_hour),
        (None, None)
    );
}

#[test]
fn without_times_there_is_nothing_per_hour() {
    let sequence = ScoreSequence {
        clock: Clock::Unknown,
        ..loud(40, &[10, 30])
    };
    let metrics = metrics_of(&sequence, &BARE, 1.0, &[span(8, 12)]);
    assert_eq!(
        (metrics.normal_hours, metrics.false_alarms_per_hour),
        (None, None)
    );
    let delay = metrics.delay.unwrap();
    assert_eq!((delay.median_frames, delay.median_seconds), (2.0, None));
    let json = serde_json::to_value(&metrics).unwrap();
    assert!(json["false_alarms_per_hour"].is_null());
    assert_eq!(
        serde_json::from_value::<EventMetrics>(json).unwrap(),
        metrics
    );
}

#[test]
fn what_is_wrong_is_named() {
    let sequence = loud(40, &[]);
    let video = |spans| LabelledEvents {
        sequence: &sequence,
        events: &[],
        spans,
    };
    let error = event_metrics(&[video(&[FrameRange { start: 5, end: 5 }])]).unwrap_err();
    assert!(matches!(
        error,
        EventsError::EmptySpan {
            start: 5,
            end: 5,
            ..
        }
    ));
    let twice = event_metrics(&[video(&[]), video(&[])]).unwrap_err();
    assert!(matches!(twice, EventsError::DuplicateVideo { .. }));
}

#[test]
fn poisson_intervals_are_exact() {
    // Halves of chi-squared quantiles by SciPy 1.
    for (count, low, high) in [
        (0, 0.0, 3.6888794541139354),
        (1, 0.025317807984289876, 5.571643390938898),
        (2, 0.24220927854396496, 7.22468766772396),
        (3, 0.6186721228956014, 8.767273069742323),
        (5, 1.6234863901184207, 11.66833207932267),
        (10, 4.7953886961324335, 18.39035604201778),
        (37, 26.05141456710603, 50.999626141930825),
        (100, 81.36399125092314, 121.62679379242638),
        (1000, 938.9730184076952, 1063.952136016302),
        (20000, 19723.767600607054, 20279.133627926407),
    ] {
        let rate = poisson_rate(count, 2.0).unwrap();
        assert_eq!(rate.value, count as f64 / 2.0);
        assert!(
            (rate.low * 2.0 - low).abs() <= 1e-7 * low.max(1e-3),
            "{count}: {} {low}",
            rate.low * 2.0
        );
        assert!(
            (rate.high * 2.0 - high).abs() <= 1e-7 * high,
            "{count}: {} {high}",
            rate.high * 2.0
        );
    }
    for exposure in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            poisson_rate(1, exposure),
            Err(EventsError::Exposure { .. })
        ));
    }
}

fn drawn_spans() -> impl Strategy<Value = Vec<FrameRange>> {
    proptest::collection::vec((0..60_usize, 1..15_usize), 0..5).prop_map(|all| {
        all.into_iter()
            .map(|(start, n)| span(start, start + n))
            .collect()
    })
}

proptest! {
    #[test]
    fn figures_are_the_plain_ones(a in scores(), rules in rules(), threshold in -2.0..5.0_f64, spans in drawn_spans()) {
        let sequence = sequence_of("a", &a);
        let events = detect(&sequence, &rules, threshold).unwrap();
        let metrics = event_metrics(&[LabelledEvents { sequence: &sequence, events: &events, spans: &spans }]).unwrap();
        // Frame by frame.
        let scored = |f: usize| a.get(f).copied().flatten().is_some();
        let known: Vec<&FrameRange> = spans.iter().filter(|s| (s.start..s.end).any(scored)).collect();
        let hit = |s: &FrameRange| events.iter().any(|e| (e.start..e.end).any(|f| s.contains(f)));
        prop_assert_eq!(metrics.spans, known.len());
        prop_assert_eq!(metrics.spans_found, known.iter().filter(|s| hit(s)).count());
        prop_assert_eq!(metrics.spans_unscored, spans.len() - known.len());
        let is_false = |e: &&msn_events::Event| (e.start..e.end).all(|f| !spans.iter().any(|s| s.contains(f)));
        prop_assert_eq!(metrics.false_alarms, events.iter().filter(is_false).count());
        let normal = (0..a.len()).filter(|&f| scored(f) && !spans.iter().any(|s| s.contains(f))).count();
        prop_assert_eq!(metrics.normal_frames, normal);
        prop_assert!((metrics.normal_hours.unwrap() - normal as f64 / 36000.0).abs() < 1e-15);
        prop_assert_eq!(metrics.delay.is_some(), metrics.spans_found > 0);
        for share in [metrics.precision, metrics.recall, metrics.f1].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&share));
        }
        if let Some(delay) = metrics.delay {
            prop_assert!(0.0 <= delay.median_frames && delay.median_frames <= delay.p90_frames);
            prop_assert!((delay.median_seconds.unwrap() - delay.median_frames / 10.0).abs() < 1e-9);
        }
    }

    #[test]
    fn perfect_events_are_perfect(labels in proptest::collection::vec(any::<bool>(), 1..60)) {
        prop_assume!(labels.contains(&true));
        let scores: Vec<Option<f64>> = labels.iter().map(|&l| Some(f64::from(u8::from(l)))).collect();
        let spans = FrameRange::of_labels(&labels);
        let metrics = metrics_of(&sequence_of("a", &scores), &BARE, 0.5, &spans);
        prop_assert_eq!((metrics.precision, metrics.recall, metrics.f1), (Some(1.0), Some(1.0), Some(1.0)));
        prop_assert_eq!(metrics.delay.unwrap().p90_frames, 0.0);
        prop_assert_eq!(metrics.false_alarms, 0);
    }

    #[test]
    fn an_interval_holds_its_rate_and_narrows(count in 0..500_usize, exposure in 0.1..100.0_f64) {
        let rate = poisson_rate(count, exposure).unwrap();
        prop_assert!(0.0 <= rate.low && rate.low <= rate.value && rate.value < rate.high);
        let more = poisson_rate(count + 1, exposure).unwrap();
        prop_assert!(more.low > rate.low && more.high > rate.high);
    }
}
