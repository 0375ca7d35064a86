use msn_events::{Clock, EventsError, FrameRange, ScoreRun, ScoreSequence};
use proptest::prelude::*;

use crate::drawn::scores;

proptest! {
    #[test]
    fn runs_are_the_known_frames(all in scores()) {
        let s = ScoreSequence::from_options("s", &all, Clock::Unknown).unwrap();
        let mut back = vec![None; all.len()];
        for run in &s.runs {
            prop_assert!(!run.scores.is_empty());
            for (frame, &score) in (run.first_frame..run.end()).zip(&run.scores) {
                back[frame] = Some(score);
            }
        }
        prop_assert_eq!(back, all);
        prop_assert!(s.runs.windows(2).all(|w| w[0].end() < w[1].first_frame));
    }

    #[test]
    fn spans_are_the_anomalous_frames(labels in proptest::collection::vec(any::<bool>(), 0..40)) {
        let spans = FrameRange::of_labels(&labels);
        for (frame, &label) in labels.iter().enumerate() {
            prop_assert_eq!(spans.iter().any(|span| span.contains(frame)), label);
        }
        prop_assert!(spans.windows(2).all(|w| w[0].end < w[1].start));
    }

    #[test]
    fn even_times_are_a_rate(n in 1..50_usize, hz in 1.0..60.0_f64) {
        let all = vec![Some(0.0); n + 1];
        let times = (0..=n).map(|f| f as f64 / hz).collect();
        let timed = ScoreSequence::from_options("s", &all, Clock::Seconds(times)).unwrap();
        let rated = ScoreSequence::from_options("s", &all, Clock::Hz(hz)).unwrap();
        let (a, b) = (timed.hours(|f| f % 3 > 0).unwrap(), rated.hours(|f| f % 3 > 0).unwrap());
        prop_assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn frames_last_until_the_next() {
    let uneven = Clock::Seconds(vec![0.0, 1.0, 4.0]);
    assert_eq!(
        [0, 1, 2, 3].map(|f| uneven.duration(f)),
        [Some(1.0), Some(3.0), Some(3.0), None]
    );
    assert_eq!(Clock::Seconds(vec![7.0]).duration(0), Some(0.0));
    assert_eq!(Clock::Seconds(vec![]).duration(0), None);
    assert_eq!(Clock::Hz(4.0).duration(9), Some(0.25));
    assert_eq!(Clock::Unknown.duration(0), None);
}

#[test]
fn what_is_wrong_is_named() {
    let of = |frames: &[usize], scores: &[f64], clock| {
        ScoreSequence::from_frames("west", frames, scores, clock).unwrap_err()
    };
    assert!(matches!(
        of(&[0, 1], &[1.0], Clock::Unknown),
        EventsError::LengthMismatch { .. }
    ));
    assert!(matches!(
        of(&[0, 0], &[1.0, 1.0], Clock::Unknown),
        EventsError::Order {
            frame: 0,
            before: 0,
            ..
        }
    ));
    let error = of(&[4, 7], &[1.0, f64::NAN], Clock::Unknown).to_string();
    assert!(
        error.contains("west") && error.contains("frame 7"),
        "{error}"
    );
    for hz in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            of(&[0], &[1.0], Clock::Hz(hz)),
            EventsError::Rate { .. }
        ));
    }
    let falling = Clock::Seconds(vec![0.0, 2.0, 1.0]);
    assert!(matches!(
        of(&[0], &[1.0], falling),
        EventsError::Time { frame: 2, .. }
    ));
    let short = Clock::Seconds(vec![0.0, 2.0]);
    assert!(matches!(
        of(&[2], &[1.0], short),
        EventsError::MissingTime {
            frame: 2,
            times: 2,
            ..
        }
    ));
    let runs = |runs: &[(usize, usize)]| ScoreSequence {
        runs: runs
            .iter()
            .map(|&(first_frame, n)| ScoreRun {
                first_frame,
                scores: vec![0.0; n],
            })
            .collect(),
        ..ScoreSequence::default()
    };
    assert!(matches!(
        runs(&[(0, 3), (3, 1)]).check(),
        Err(EventsError::Adjoining { frame: 3, .. })
    ));
    assert!(matches!(
        runs(&[(5, 3), (2, 1)]).check(),
        Err(EventsError::Order {
            frame: 2,
            before: 7,
            ..
        })
    ));
    assert!(runs(&[(0, 3), (4, 0), (4, 1)]).check().is_ok());
}
