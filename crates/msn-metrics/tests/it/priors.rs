use msn_metrics::{Bootstrap, MetricsError, Prior, min_max, prior_rows, smooth_gaussian};

use crate::drawn::named;

const FEW: Bootstrap = Bootstrap {
    resamples: 20,
    seed: 0,
};

#[test]
fn priors_see_places_alone() {
    assert_eq!(Prior::Constant.prior_scores(3), [0.0; 3]);
    assert_eq!(Prior::Position.prior_scores(3), [0.0, 1.0, 2.0]);
    assert_eq!(
        Prior::EndDistance.prior_scores(5),
        [0.0, 1.0, 2.0, 1.0, 0.0]
    );
    assert_eq!(Prior::EndDistance.prior_scores(4), [0.0, 1.0, 1.0, 0.0]);
    assert!(Prior::ALL.iter().all(|p| p.prior_scores(0).is_empty()));
    assert_eq!(
        serde_json::to_value(Prior::EndDistance).unwrap(),
        Prior::EndDistance.name()
    );
}

#[test]
fn a_constant_is_chance_through_any_treatment() {
    // Anomalies in the middle, where zero-padded smoothing of a constant would find them.
    let middle = |n: usize| (0..n).map(|i| i > n / 4 && i < 3 * n / 4).collect();
    let videos = [
        named(0, middle(40), vec![9.0; 40]),
        named(1, middle(90), vec![1.0; 90]),
    ];
    let legacy =
        |_: &msn_metrics::ScoredVideo, scores: Vec<f64>| smooth_gaussian(&min_max(&scores), 15.0);
    let rows = prior_rows(&videos, &FEW, legacy).unwrap();
    assert_eq!(rows.iter().map(|r| r.prior).collect::<Vec<_>>(), Prior::ALL);
    let micro = |i: usize| rows[i].metrics.micro_auc.unwrap();
    assert_eq!(micro(0).value, 0.5);
    assert!((micro(1).value - 0.5).abs() < 0.05);
    assert!(
        micro(2).value > 0.99,
        "mid-clip anomalies are found by the clip's ends alone"
    );
    assert!(!micro(0).clears(0.5) && micro(2).clears(0.5));
}

#[test]
fn a_treatment_keeps_every_frame() {
    let videos = [named(7, vec![false, true], vec![0.0, 1.0])];
    let error = prior_rows(&videos, &FEW, |_, _| Ok(vec![0.0])).unwrap_err();
    assert!(
        matches!(
            error,
            MetricsError::Treatment {
                before: 2,
                after: 1,
                ..
            }
        ),
        "{error}"
    );
}
