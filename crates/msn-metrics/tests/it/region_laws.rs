use msn_metrics::regions::{
    Detection, RegionVideo, Track, check, curve, rbdc, region_metrics, tbdc,
};
use msn_metrics::{Bootstrap, MetricsError, reference};
use proptest::prelude::*;

use crate::drawn::{region, region_videos};

fn both(videos: &[RegionVideo]) -> Option<(f64, f64)> {
    rbdc(videos).unwrap().zip(tbdc(videos).unwrap())
}

fn close(a: Option<(f64, f64)>, b: Option<(f64, f64)>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12,
        (a, b) => a == b,
    }
}

proptest! {
    #[test]
    fn fast_areas_are_the_plain_ones(videos in region_videos()) {
        prop_assert!(close(both(&videos), reference::region_areas(&videos)), "{:?} {:?}", both(&videos), reference::region_areas(&videos));
    }

    #[test]
    fn the_area_under_the_points_is_the_metric(videos in region_videos()) {
        let Some(curves) = curve(&videos).unwrap() else {
            prop_assert_eq!(both(&videos), None);
            return Ok(());
        };
        let area = |points: &[msn_metrics::regions::RegionPoint]| points.windows(2)
            .map(|w| (w[1].false_per_frame - w[0].false_per_frame) * (w[0].found + w[1].found) / 2.0).sum();
        prop_assert!(close(Some((area(&curves.boxes), area(&curves.tracks))), both(&videos)));
        for points in [&curves.boxes, &curves.tracks] {
            prop_assert_eq!((points[0].false_per_frame, points[0].found), (0.0, 0.0));
            prop_assert_eq!(points[points.len() - 1].false_per_frame, 1.0);
            prop_assert!(points.windows(2).all(|w| w[0].false_per_frame <= w[1].false_per_frame && w[0].found <= w[1].found));
        }
    }

    #[test]
    fn a_rising_map_and_any_order_change_nothing(videos in region_videos()) {
        let mut other = videos.clone();
        other.reverse();
        for v in &mut other {
            v.detections.reverse();
            v.tracks.reverse();
            v.tracks.iter_mut().for_each(|t| t.regions.reverse());
            v.detections.iter_mut().for_each(|d| d.score *= 8.0);
        }
        prop_assert!(close(both(&videos), both(&other)));
    }

    #[test]
    fn a_false_detection_never_helps(videos in region_videos(), score in 0.0..5.0_f64) {
        let mut worse = videos.clone();
        // Far from every box, in a frame that the video has.
        worse[0].detections.push(Detection { region: region(0, 900, 900, 910, 910), score });
        worse[0].frames = worse[0].frames.max(6);
        let mut before = videos;
        before[0].frames = worse[0].frames;
        if let (Some(a), Some(b)) = (both(&before), both(&worse)) {
            prop_assert!(b.0 <= a.0 + 1e-12 && b.1 <= a.1 + 1e-12);
        }
    }

    #[test]
    fn videos_are_apart(videos in region_videos()) {
        // The same videos with frames numbered apart, joined into one: truth of one video must
        // not meet detections of another.
        let mut one = RegionVideo { name: "one".to_owned(), ..RegionVideo::default() };
        for (i, v) in videos.iter().enumerate() {
            let mut v = v.clone();
            v.tracks.iter_mut().flat_map(|t| &mut t.regions).for_each(|r| r.frame += 1000 * i);
            v.detections.iter_mut().for_each(|d| d.region.frame += 1000 * i);
            one.frames += v.frames;
            one.tracks.extend(v.tracks);
            one.detections.extend(v.detections);
        }
        prop_assert!(close(both(&videos), both(&[one])));
    }

    #[test]
    fn intervals_hold_their_metrics(videos in region_videos()) {
        let metrics = region_metrics(&videos, &Bootstrap { resamples: 40, seed: 0 }).unwrap();
        prop_assert_eq!(metrics.rbdc.map(|f| f.value), rbdc(&videos).unwrap());
        prop_assert_eq!(metrics.tbdc.map(|f| f.value), tbdc(&videos).unwrap());
        for f in metrics.rbdc.into_iter().chain(metrics.tbdc) {
            prop_assert!(0.0 <= f.low && f.low <= f.high && f.high <= 1.0);
        }
        if videos.len() == 1 {
            prop_assert!(metrics.rbdc.is_none_or(|f| f.low == f.value && f.high == f.value));
        }
    }
}

fn one(frames: usize, tracks: Vec<Track>, detections: Vec<Detection>) -> [RegionVideo; 1] {
    [RegionVideo {
        name: "east".to_owned(),
        frames,
        tracks,
        detections,
    }]
}

fn square(frame: usize) -> msn_metrics::regions::Region {
    region(frame, 0, 0, 9, 9)
}

fn at(frame: usize, score: f64) -> Detection {
    Detection {
        region: square(frame),
        score,
    }
}

#[test]
fn hand_worked() {
    // Frames 0 and 1 hold a box each. Falling score: box 0 found, a false one in frame 2, box 1
    // found. RBDC: (0, 1/2), (1/4, 1/2), (1/4, 1), flat to 1: 1/8 + 3/4. The track is whole at once.
    let tracks = vec![Track {
        regions: vec![square(0), square(1)],
    }];
    let videos = one(4, tracks, vec![at(0, 0.9), at(2, 0.8), at(1, 0.7)]);
    assert_eq!(both(&videos), Some((0.875, 1.0)));
    let curves = curve(&videos).unwrap().unwrap();
    let points: Vec<_> = curves
        .boxes
        .iter()
        .map(|p| (p.false_per_frame, p.found))
        .collect();
    assert_eq!(
        points,
        [(0.0, 0.0), (0.0, 0.5), (0.25, 0.5), (0.25, 1.0), (1.0, 1.0)]
    );
}

#[test]
fn ties_come_together() {
    // A false detection and a true one of one score: one slanted segment.
    let tracks = vec![Track {
        regions: vec![square(0)],
    }];
    let videos = one(2, tracks, vec![at(0, 0.5), at(1, 0.5)]);
    assert_eq!(both(&videos), Some((0.25 + 0.5, 0.25 + 0.5)));
}

#[test]
fn points_beyond_one_false_detection_per_frame_are_dropped() {
    // Two tied false detections in the one frame lead to 2 per frame, and what comes with them is
    // dropped too.
    let tracks = vec![Track {
        regions: vec![square(0)],
    }];
    let far = |score| Detection {
        region: region(0, 50, 50, 59, 59),
        score,
    };
    assert_eq!(
        both(&one(
            1,
            tracks.clone(),
            vec![far(0.5), far(0.5), at(0, 0.5)]
        )),
        Some((0.0, 0.0))
    );
    assert_eq!(
        both(&one(1, tracks.clone(), vec![far(0.5), at(0, 0.5)])),
        Some((0.5, 0.5))
    );
    assert_eq!(
        both(&one(1, tracks, vec![far(0.5), at(0, 0.4)])),
        Some((0.0, 0.0))
    );
}

#[test]
fn a_second_detection_on_a_found_box_is_neither() {
    let tracks = vec![Track {
        regions: vec![square(0)],
    }];
    let again = one(1, tracks, vec![at(0, 0.5), at(0, 0.4), at(0, 0.3)]);
    assert_eq!(both(&again), Some((1.0, 1.0)));
}

#[test]
fn an_overlap_of_one_tenth_counts() {
    // 10 of 100 pixels, then 9 of 100.
    let tracks = vec![Track {
        regions: vec![square(0)],
    }];
    let strip = |x2| {
        vec![Detection {
            region: region(0, 0, 0, x2, 0),
            score: 1.0,
        }]
    };
    assert_eq!(both(&one(1, tracks.clone(), strip(9))), Some((1.0, 1.0)));
    assert_eq!(both(&one(1, tracks, strip(8))), Some((0.0, 0.0)));
    assert_eq!(square(0).iou(&region(0, 0, 0, 9, 0)), 0.1);
    assert_eq!(square(0).iou(&region(0, 10, 0, 19, 9)), 0.0);
}

#[test]
fn a_track_needs_one_tenth_of_its_boxes() {
    let track = |n| {
        vec![Track {
            regions: (0..n).map(square).collect(),
        }]
    };
    let tbdc_of = |n: usize, found: usize| {
        tbdc(&one(n, track(n), (0..found).map(|f| at(f, 1.0)).collect()))
            .unwrap()
            .unwrap()
    };
    for (boxes, needed) in [
        (1, 1),
        (9, 1),
        (10, 1),
        (11, 2),
        (20, 2),
        (21, 3),
        (30, 3),
        (70, 7),
    ] {
        assert_eq!(tbdc_of(boxes, needed), 1.0, "{boxes}");
        assert_eq!(tbdc_of(boxes, needed - 1), 0.0, "{boxes}");
    }
}

#[test]
fn nothing_true_is_undefined_and_nothing_found_is_zero() {
    assert_eq!(both(&[]), None);
    assert_eq!(both(&one(3, vec![], vec![at(0, 1.0)])), None);
    assert_eq!(
        both(&one(
            3,
            vec![Track {
                regions: vec![square(0)]
            }],
            vec![]
        )),
        Some((0.0, 0.0))
    );
    assert_eq!(curve(&one(0, vec![], vec![])).unwrap(), None);
}

#[test]
fn wrong_boxes_are_named() {
    let text = |videos: &[RegionVideo]| check(videos).unwrap_err().to_string();
    let inside_out = Detection {
        region: region(4, 5, 0, 4, 9),
        score: 1.0,
    };
    let error = text(&one(9, vec![], vec![inside_out]));
    assert!(
        error.contains("east") && error.contains("frame 4"),
        "{error}"
    );
    let error = text(&one(9, vec![], vec![at(6, f64::NAN)]));
    assert!(
        error.contains("east") && error.contains("frame 6"),
        "{error}"
    );
    let error = text(&one(1, vec![], vec![at(0, 1.0), at(6, 1.0)]));
    assert!(error.contains("2 different frames"), "{error}");
    assert!(text(&one(1, vec![Track::default()], vec![])).contains("track 0"));
    let twice = [one(1, vec![], vec![]), one(1, vec![], vec![])].concat();
    assert!(matches!(
        rbdc(&twice),
        Err(MetricsError::DuplicateVideo { .. })
    ));
}
