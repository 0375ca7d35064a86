use msn_metrics::{MetricsError, min_max, smooth_gaussian};
use proptest::collection::vec;
use proptest::prelude::*;

/// The definition, frame by frame: weights over the frames within four sigma that exist.
fn plain_gaussian(values: &[f64], sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma).round();
    let mean = |i: usize| {
        let (mut sum, mut total) = (0.0, 0.0);
        for (j, value) in values.iter().enumerate() {
            let distance = i.abs_diff(j) as f64;
            if distance <= reach {
                let weight = if distance == 0.0 {
                    1.0
                } else {
                    (-distance * distance / (2.0 * sigma * sigma)).exp()
                };
                sum += weight * value;
                total += weight;
            }
        }
        sum / total
    };
    (0..values.len()).map(mean).collect()
}

proptest! {
    #[test]
    fn min_max_spans_0_to_1(values in vec(-1e3..1e3_f64, 1..30)) {
        let out = min_max(&values);
        prop_assert_eq!(out.len(), values.len());
        prop_assert!(out.iter().all(|v| (0.0..=1.0).contains(v)));
        if values.iter().any(|&v| v != values[0]) {
            prop_assert!(out.contains(&0.0) && out.contains(&1.0));
        }
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                prop_assert!(a <= b || out[i] >= out[j]);
            }
        }
    }

    #[test]
    fn min_max_of_a_constant_is_0(value in -1e300..1e300_f64, n in 0..20_usize) {
        prop_assert_eq!(min_max(&vec![value; n]), vec![0.0; n]);
    }

    #[test]
    fn gaussian_is_its_definition(values in vec(-10.0..10.0_f64, 0..40), sigma in 0.0..12.0_f64) {
        let fast = smooth_gaussian(&values, sigma).unwrap();
        for (a, b) in fast.iter().zip(plain_gaussian(&values, sigma)) {
            prop_assert!((a - b).abs() < 1e-9);
        }
        prop_assert_eq!(fast.len(), values.len());
    }

    #[test]
    fn a_constant_stays_constant_to_the_bit(value in -1e9..1e9_f64, n in 1..50_usize, sigma in 0.0..100.0_f64) {
        prop_assert_eq!(smooth_gaussian(&vec![value; n], sigma).unwrap(), vec![value; n]);
    }

    #[test]
    fn smoothing_turns_round_with_its_signal(values in vec(-10.0..10.0_f64, 1..40), sigma in 0.1..12.0_f64) {
        let mut reversed = values.clone();
        reversed.reverse();
        let mut back = smooth_gaussian(&reversed, sigma).unwrap();
        back.reverse();
        for (a, b) in back.iter().zip(smooth_gaussian(&values, sigma).unwrap()) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn smoothing_stays_within_the_signal(values in vec(-10.0..10.0_f64, 1..40), sigma in 0.0..50.0_f64) {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min) - 1e-9;
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 1e-9;
        prop_assert!(smooth_gaussian(&values, sigma).unwrap().iter().all(|v| (low..=high).contains(v)));
    }
}

#[test]
fn min_max_survives_the_largest_range() {
    assert_eq!(min_max(&[-f64::MAX, 0.0, f64::MAX]), [0.0, 0.5, 1.0]);
    assert_eq!(min_max(&[]), Vec::<f64>::new());
}

#[test]
fn widths_that_are_none() {
    assert_eq!(
        smooth_gaussian(&[1.0, 5.0, 2.0], 0.0).unwrap(),
        [1.0, 5.0, 2.0]
    );
    for sigma in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            smooth_gaussian(&[1.0], sigma),
            Err(MetricsError::Sigma { .. })
        ));
    }
    // Wider than anything: the plain mean.
    let wide = smooth_gaussian(&[1.0, 5.0, 3.0], 1e300).unwrap();
    assert!(wide.iter().all(|v| (v - 3.0).abs() < 1e-12));
}
