use msn_metrics::{
    MetricsError, ScoredVideo, average_precision, check, equal_error_rate, macro_auc_pad,
    macro_auc_skip, micro_auc, pr_curve, reference, roc_curve, video_auc,
};
use proptest::prelude::*;

use crate::drawn::{named, video, videos};

fn close(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-12,
        (a, b) => a == b,
    }
}

fn scored(videos: &[ScoredVideo], f: impl Fn(f64) -> f64) -> Vec<ScoredVideo> {
    let mut out = videos.to_vec();
    out.iter_mut()
        .flat_map(|v| &mut v.scores)
        .for_each(|s| *s = f(*s));
    out
}

fn mirrored(videos: &[ScoredVideo]) -> Vec<ScoredVideo> {
    let mut out = scored(videos, |s| -s);
    out.iter_mut()
        .flat_map(|v| &mut v.labels)
        .for_each(|l| *l = !*l);
    out
}

proptest! {
    #[test]
    fn fast_metrics_are_the_plain_ones(videos in videos()) {
        prop_assert!(close(micro_auc(&videos).unwrap(), reference::micro_auc(&videos)));
        prop_assert!(close(average_precision(&videos).unwrap(), reference::average_precision(&videos)));
        prop_assert!(close(equal_error_rate(&videos).unwrap(), reference::equal_error_rate(&videos)));
    }

    #[test]
    fn a_rising_map_of_the_scores_changes_nothing(videos in videos()) {
        // Exact in f64, so that ties stay ties and no new ones appear.
        let mapped = scored(&videos, |s| 4.0 * s);
        let bent = scored(&videos, |s| if s > 0.0 { 1024.0 * s } else { s });
        for other in [mapped, bent] {
            prop_assert_eq!(micro_auc(&videos).unwrap(), micro_auc(&other).unwrap());
            prop_assert_eq!(macro_auc_skip(&videos).unwrap(), macro_auc_skip(&other).unwrap());
            prop_assert_eq!(average_precision(&videos).unwrap(), average_precision(&other).unwrap());
            prop_assert_eq!(equal_error_rate(&videos).unwrap(), equal_error_rate(&other).unwrap());
        }
    }

    #[test]
    fn negated_scores_mirror_the_auc(videos in videos()) {
        let negated = scored(&videos, |s| -s);
        let mirror = |auc: Option<f64>| auc.map(|auc| 1.0 - auc);
        prop_assert!(close(micro_auc(&negated).unwrap(), mirror(micro_auc(&videos).unwrap())));
        let skip = |v: &[ScoredVideo]| macro_auc_skip(v).unwrap().value;
        prop_assert!(close(skip(&negated), mirror(skip(&videos))));
    }

    #[test]
    fn classes_and_scores_turned_round_keep_auc_and_eer(videos in videos()) {
        let turned = mirrored(&videos);
        prop_assert!(close(micro_auc(&turned).unwrap(), micro_auc(&videos).unwrap()));
        prop_assert!(close(equal_error_rate(&turned).unwrap(), equal_error_rate(&videos).unwrap()));
    }

    #[test]
    fn order_of_frames_and_videos_does_not_matter(videos in videos(), shift in 0..30_usize) {
        let mut other = videos.clone();
        for v in &mut other {
            let by = if v.scores.is_empty() { 0 } else { shift % v.scores.len() };
            v.scores.rotate_left(by);
            v.labels.rotate_left(by);
            v.scores.reverse();
            v.labels.reverse();
        }
        other.reverse();
        prop_assert_eq!(micro_auc(&videos).unwrap(), micro_auc(&other).unwrap());
        prop_assert_eq!(average_precision(&videos).unwrap(), average_precision(&other).unwrap());
        prop_assert_eq!(equal_error_rate(&videos).unwrap(), equal_error_rate(&other).unwrap());
        prop_assert!(close(macro_auc_skip(&videos).unwrap().value, macro_auc_skip(&other).unwrap().value));
        prop_assert!(close(macro_auc_pad(&videos).unwrap(), macro_auc_pad(&other).unwrap()));
    }

    #[test]
    fn every_frame_twice_changes_nothing_but_the_padding(videos in videos()) {
        let mut twice = videos.clone();
        for v in &mut twice {
            v.scores.extend_from_within(..);
            v.labels.extend_from_within(..);
        }
        prop_assert!(close(micro_auc(&videos).unwrap(), micro_auc(&twice).unwrap()));
        prop_assert!(close(average_precision(&videos).unwrap(), average_precision(&twice).unwrap()));
        prop_assert!(close(equal_error_rate(&videos).unwrap(), equal_error_rate(&twice).unwrap()));
        prop_assert_eq!(macro_auc_skip(&videos).unwrap().skipped, macro_auc_skip(&twice).unwrap().skipped);
    }

    #[test]
    fn metrics_lie_between_0_and_1(videos in videos()) {
        let all = [
            micro_auc(&videos).unwrap(),
            macro_auc_skip(&videos).unwrap().value,
            macro_auc_pad(&videos).unwrap(),
            average_precision(&videos).unwrap(),
            equal_error_rate(&videos).unwrap(),
        ];
        for metric in all.into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&metric), "{}", metric);
        }
    }

    #[test]
    fn the_eer_bounds_the_auc(videos in videos()) {
        if let (Some(auc), Some(eer)) = (micro_auc(&videos).unwrap(), equal_error_rate(&videos).unwrap()) {
            // At the crossing the curve passes (eer, 1 - eer); the areas left and right of it bound the AUC.
            prop_assert!(auc <= 1.0 - eer * eer + 1e-12);
            prop_assert!(auc >= (1.0 - eer) * (1.0 - eer) - 1e-12);
        }
    }

    #[test]
    fn the_area_under_the_roc_points_is_the_auc(videos in videos()) {
        let curve = roc_curve(&videos).unwrap();
        prop_assert_eq!(curve.is_some(), micro_auc(&videos).unwrap().is_some());
        if let Some(points) = curve {
            let area = points.windows(2).map(|w| (w[1].fpr - w[0].fpr) * (w[0].tpr + w[1].tpr) / 2.0).sum();
            prop_assert!(close(Some(area), micro_auc(&videos).unwrap()));
            let (first, last) = (points[0], points[points.len() - 1]);
            prop_assert_eq!((first.fpr, first.tpr, last.fpr, last.tpr), (0.0, 0.0, 1.0, 1.0));
            prop_assert!(points.windows(2).all(|w| w[0].threshold > w[1].threshold));
        }
    }

    #[test]
    fn the_steps_of_the_pr_points_are_the_ap(videos in videos()) {
        let curve = pr_curve(&videos).unwrap();
        prop_assert_eq!(curve.is_some(), average_precision(&videos).unwrap().is_some());
        if let Some(points) = curve {
            let mut recall = 0.0;
            let mut area = 0.0;
            for point in points {
                area += (point.recall - recall) * point.precision;
                recall = point.recall;
            }
            prop_assert!(close(Some(area), average_precision(&videos).unwrap()));
        }
    }

    #[test]
    fn a_perfect_ranking_is_perfect(labels in proptest::collection::vec(any::<bool>(), 2..40)) {
        prop_assume!(labels.contains(&true) && labels.contains(&false));
        let scores = labels.iter().enumerate().map(|(i, &l)| i as f64 + if l { 1000.0 } else { 0.0 }).collect();
        let videos = [named(0, labels, scores)];
        prop_assert_eq!(micro_auc(&videos).unwrap(), Some(1.0));
        prop_assert_eq!(average_precision(&videos).unwrap(), Some(1.0));
        prop_assert_eq!(equal_error_rate(&videos).unwrap(), Some(0.0));
        prop_assert_eq!(macro_auc_pad(&videos).unwrap(), Some(1.0));
        let wrong = scored(&videos, |s| -s);
        prop_assert_eq!(micro_auc(&wrong).unwrap(), Some(0.0));
        prop_assert_eq!(equal_error_rate(&wrong).unwrap(), Some(1.0));
    }

    #[test]
    fn all_tied_is_chance(labels in proptest::collection::vec(any::<bool>(), 2..40), score in -5.0..5.0) {
        prop_assume!(labels.contains(&true) && labels.contains(&false));
        let anomalous = labels.iter().filter(|&&l| l).count() as f64;
        let share = anomalous / labels.len() as f64;
        let videos = [named(0, labels.clone(), vec![score; labels.len()])];
        prop_assert_eq!(micro_auc(&videos).unwrap(), Some(0.5));
        prop_assert!(close(average_precision(&videos).unwrap(), Some(share)));
        prop_assert_eq!(equal_error_rate(&videos).unwrap(), Some(0.5));
    }

    #[test]
    fn one_video_has_one_auc(videos in videos()) {
        for v in &videos {
            let one = std::slice::from_ref(v);
            prop_assert_eq!(video_auc(v).unwrap(), micro_auc(one).unwrap());
            prop_assert_eq!(video_auc(v).unwrap(), macro_auc_skip(one).unwrap().value);
        }
    }

    #[test]
    fn a_score_that_is_no_number_is_refused_by_frame(
        videos in videos(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(),
        bad in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
    ) {
        let mut videos = videos;
        let which = which.index(videos.len());
        prop_assume!(!videos[which].scores.is_empty());
        let at = at.index(videos[which].scores.len());
        videos[which].scores[at] = bad;
        match micro_auc(&videos) {
            Err(MetricsError::NotFinite { video, frame, .. }) => {
                prop_assert_eq!((video, frame), (videos[which].name.clone(), at));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(macro_auc_skip(&videos).is_err() && macro_auc_pad(&videos).is_err());
        prop_assert!(average_precision(&videos).is_err() && equal_error_rate(&videos).is_err());
        prop_assert!(roc_curve(&videos).is_err() && pr_curve(&videos).is_err());
        prop_assert!(video_auc(&videos[which]).is_err());
    }
}

#[test]
fn hand_worked() {
    // Anomalous 3 and 1, normal 2 and 1: pairs won 1, 1, lost 1, tied 1/2 of 4.
    let one = [video(&[1, 0, 1, 0], &[3.0, 2.0, 1.0, 1.0])];
    assert_eq!(micro_auc(&one).unwrap(), Some(2.5 / 4.0));
    // Recall 1/2 at precision 1, then 1 at 2/4.
    assert_eq!(average_precision(&one).unwrap(), Some(0.75));
    // ROC (0, 0), (0, 1/2), (1/2, 1/2), ...: false negatives are 1/2 all along the second segment.
    assert_eq!(equal_error_rate(&one).unwrap(), Some(0.5));
    // Normalised 1, 1/2, 0, 0 with a normal 0 and an anomalous 1 added: of 9 pairs 3 are won by
    // each of the two 1s, and the anomalous 0 loses one and ties two.
    assert_eq!(macro_auc_pad(&one).unwrap(), Some(7.0 / 9.0));
}

#[test]
fn one_class_or_nothing_is_undefined() {
    let normal = [video(&[0, 0, 0], &[1.0, 2.0, 3.0])];
    assert_eq!(micro_auc(&normal).unwrap(), None);
    assert_eq!(average_precision(&normal).unwrap(), None);
    assert_eq!(equal_error_rate(&normal).unwrap(), None);
    assert_eq!(macro_auc_skip(&normal).unwrap().skipped, 1);
    assert_eq!(macro_auc_skip(&normal).unwrap().value, None);
    assert!(macro_auc_pad(&normal).unwrap().is_some());
    let anomalous = [video(&[1], &[0.5])];
    assert_eq!(micro_auc(&anomalous).unwrap(), None);
    assert_eq!(average_precision(&anomalous).unwrap(), Some(1.0));
    assert_eq!(equal_error_rate(&anomalous).unwrap(), None);
    for nothing in [vec![], vec![video(&[], &[])]] {
        assert_eq!(micro_auc(&nothing).unwrap(), None);
        assert_eq!(macro_auc_pad(&nothing).unwrap(), None);
        assert_eq!(macro_auc_skip(&nothing).unwrap().skipped, nothing.len());
    }
}

#[test]
fn wrong_input_is_named() {
    let mut short = video(&[0, 1], &[1.0]);
    "west".clone_into(&mut short.name);
    let error = check(std::slice::from_ref(&short)).unwrap_err().to_string();
    assert!(
        error.contains("west") && error.contains("2 labels for 1 scores"),
        "{error}"
    );
    let twice = [video(&[0], &[1.0]), video(&[0], &[1.0])];
    assert!(matches!(check(&twice), Err(MetricsError::DuplicateVideo { video }) if video == "00"));
    let nan = check(&[video(&[0, 0], &[1.0, f64::NAN])])
        .unwrap_err()
        .to_string();
    assert!(nan.contains("video 00") && nan.contains("frame 1"), "{nan}");
}
