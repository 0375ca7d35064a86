use msn_metrics::{
    Bootstrap, MetricsError, ScoredVideo, frame_metrics, metric_differences, micro_auc,
    micro_auc_difference,
};
use proptest::prelude::*;

use crate::drawn::{named, video, videos};

const FEW: Bootstrap = Bootstrap {
    resamples: 50,
    seed: 3,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn metrics_with_intervals_are_the_plain_metrics(videos in videos()) {
        let metrics = frame_metrics(&videos, &FEW).unwrap();
        let values = [
            (metrics.micro_auc, msn_metrics::micro_auc(&videos).unwrap()),
            (metrics.macro_auc_skip, msn_metrics::macro_auc_skip(&videos).unwrap().value),
            (metrics.macro_auc_pad, msn_metrics::macro_auc_pad(&videos).unwrap()),
            (metrics.average_precision, msn_metrics::average_precision(&videos).unwrap()),
            (metrics.equal_error_rate, msn_metrics::equal_error_rate(&videos).unwrap()),
        ];
        for (metric, value) in values {
            prop_assert_eq!(metric.map(|f| f.value), value);
            if let Some(f) = metric {
                prop_assert!(0.0 <= f.low && f.low <= f.high && f.high <= 1.0);
            }
        }
        prop_assert_eq!(metrics.skipped, msn_metrics::macro_auc_skip(&videos).unwrap().skipped);
        prop_assert_eq!(metrics.frames, videos.iter().map(|v| v.scores.len()).sum::<usize>());
    }

    #[test]
    fn a_difference_is_that_of_the_metrics_and_turns_its_sign(videos in videos(), seed: u64) {
        // Other scores of the same frames.
        let others: Vec<ScoredVideo> = videos
            .iter()
            .map(|v| {
                let other = |(i, s): (usize, &f64)| s.sin() + (seed.rotate_left(i as u32) % 7) as f64;
                ScoredVideo { scores: v.scores.iter().enumerate().map(other).collect(), ..v.clone() }
            })
            .collect();
        let ahead = micro_auc_difference(&videos, &others, &FEW).unwrap();
        let behind = micro_auc_difference(&others, &videos, &FEW).unwrap();
        let metrics = |v: &[ScoredVideo]| micro_auc(v).unwrap();
        prop_assert_eq!(ahead.map(|f| f.value), metrics(&videos).zip(metrics(&others)).map(|(a, b)| a - b));
        if let (Some(ahead), Some(behind)) = (ahead, behind) {
            for (a, b) in [(ahead.value, behind.value), (ahead.low, behind.high), (ahead.high, behind.low)] {
                prop_assert!((a + b).abs() < 1e-12);
            }
            // As wide as videos that differ make it, and nothing where both are one score.
            let same = micro_auc_difference(&videos, &videos, &FEW).unwrap().unwrap();
            prop_assert_eq!((same.value, same.low, same.high), (0.0, 0.0, 0.0));
        }
        // One of all differences, each of which is that of the metrics.
        let all = metric_differences(&videos, &others, &FEW).unwrap();
        prop_assert_eq!(all.micro_auc, ahead);
        let [ours, theirs] = [&videos, &others].map(|v| frame_metrics(v, &FEW).unwrap());
        for (difference, a, b) in [
            (all.macro_auc_skip, ours.macro_auc_skip, theirs.macro_auc_skip),
            (all.macro_auc_pad, ours.macro_auc_pad, theirs.macro_auc_pad),
            (all.average_precision, ours.average_precision, theirs.average_precision),
            (all.equal_error_rate, ours.equal_error_rate, theirs.equal_error_rate),
        ] {
            let wanted = a.zip(b).map(|(a, b)| a.value - b.value);
            prop_assert_eq!(difference.map(|d| d.value), wanted);
        }
    }

    #[test]
    fn a_weight_is_a_video_given_so_often(videos in videos(), seed in 0..1000_u64) {
        // The AUC of videos repeated by hand, percentiles and all, against that of the weights.
        let bootstrap = Bootstrap { resamples: 1, seed };
        let drawn = std::sync::Mutex::new(Vec::new());
        let keep = |weights: &[u64]| { drawn.lock().unwrap().push(weights.to_vec()); [Some(0.0)] };
        bootstrap.estimates(videos.len(), keep).unwrap();
        let weights = drawn.into_inner().unwrap().pop().unwrap();
        prop_assert_eq!(weights.iter().sum::<u64>(), videos.len() as u64);
        let mut repeated: Vec<ScoredVideo> = Vec::new();
        for (v, &w) in videos.iter().zip(&weights) {
            for _ in 0..w {
                repeated.push(named(repeated.len(), v.labels.clone(), v.scores.clone()));
            }
        }
        let all = frame_metrics(&videos, &bootstrap).unwrap();
        let again = frame_metrics(&repeated, &FEW).unwrap();
        for (whole, by_hand) in [
            (all.micro_auc, again.micro_auc),
            (all.macro_auc_skip, again.macro_auc_skip),
            (all.macro_auc_pad, again.macro_auc_pad),
            (all.average_precision, again.average_precision),
            (all.equal_error_rate, again.equal_error_rate),
        ] {
            if let (Some(whole), Some(by_hand)) = (whole, by_hand) {
                // One resample: both ends of the interval are its metric.
                prop_assert!((whole.low - by_hand.value).abs() < 1e-12);
                prop_assert_eq!(whole.low, whole.high);
            }
        }
    }
}

/// Ten videos whose AUCs differ.
fn ten() -> Vec<ScoredVideo> {
    let wave =
        |v: usize, f: usize| ((v * 31 + f * 17) % 23) as f64 + if f > 20 { v as f64 } else { 0.0 };
    (0..10)
        .map(|v| {
            named(
                v,
                (0..40).map(|f| f > 20).collect(),
                (0..40).map(|f| wave(v, f)).collect(),
            )
        })
        .collect()
}

#[test]
fn one_seed_gives_one_interval() {
    let videos = ten();
    let bootstrap = Bootstrap::default();
    assert_eq!(bootstrap.resamples, 2000);
    let first = frame_metrics(&videos, &bootstrap).unwrap();
    assert_eq!(first, frame_metrics(&videos, &bootstrap).unwrap());
    let other = frame_metrics(
        &videos,
        &Bootstrap {
            seed: 1,
            ..bootstrap
        },
    )
    .unwrap();
    let (a, b) = (first.micro_auc.unwrap(), other.micro_auc.unwrap());
    assert_ne!(a, b);
    assert_eq!(a.value, b.value);
    assert!((a.low - b.low).abs() < 0.02 && (a.high - b.high).abs() < 0.02);
    assert!(a.low < a.value && a.value < a.high);
}

#[test]
fn the_interval_is_that_of_a_known_distribution() {
    // The mean of 100 draws from 0 and 1, equally many: binomial. P(X <= 39) = 0.018 and
    // P(X <= 40) = 0.028, so the 2.5 % point is 40 of 100, and 60 on the other side.
    let metric = |w: &[u64]| [Some(w[50..].iter().sum::<u64>() as f64 / 100.0)];
    let [found] = Bootstrap {
        resamples: 20_000,
        seed: 0,
    }
    .estimates(100, metric)
    .unwrap();
    let found = found.unwrap();
    assert_eq!((found.low, found.value, found.high), (0.40, 0.5, 0.60));
}

#[test]
fn resamples_without_a_class_are_left_out() {
    // One normal, one anomalous video: half the resamples hold one class only.
    let videos = [
        named(0, vec![false; 3], vec![1.0, 2.0, 3.0]),
        named(1, vec![true], vec![2.5]),
    ];
    let metrics = frame_metrics(&videos, &Bootstrap::default()).unwrap();
    let auc = metrics.micro_auc.unwrap();
    assert_eq!(
        (auc.low, auc.value, auc.high),
        (2.0 / 3.0, 2.0 / 3.0, 2.0 / 3.0)
    );
    assert_eq!(metrics.macro_auc_skip, None);
    assert_eq!(metrics.skipped, 2);
    assert!(metrics.macro_auc_pad.is_some());
}

#[test]
fn none_and_no_resamples() {
    let normal = [video(&[0, 0], &[1.0, 2.0])];
    let metrics = frame_metrics(&normal, &FEW).unwrap();
    assert_eq!(metrics.micro_auc, None);
    assert_eq!(
        serde_json::to_value(&metrics).unwrap()["micro_auc"],
        serde_json::Value::Null
    );
    assert_eq!(frame_metrics(&[], &FEW).unwrap().macro_auc_pad, None);
    let none = Bootstrap {
        resamples: 0,
        seed: 0,
    };
    assert!(matches!(
        frame_metrics(&normal, &none),
        Err(MetricsError::NoResamples)
    ));
    let nan = [video(&[0, 1], &[1.0, f64::NAN])];
    assert!(matches!(
        frame_metrics(&nan, &FEW),
        Err(MetricsError::NotFinite { frame: 1, .. })
    ));
}

#[test]
fn metrics_survive_json() {
    let metrics = frame_metrics(&ten(), &FEW).unwrap();
    let text = serde_json::to_string(&metrics).unwrap();
    assert_eq!(
        serde_json::from_str::<msn_metrics::FrameMetrics>(&text).unwrap(),
        metrics
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["micro_auc"]["value"].as_f64(),
        micro_auc(&ten()).unwrap()
    );
}
