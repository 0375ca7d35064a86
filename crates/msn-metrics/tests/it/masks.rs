use std::collections::HashSet;

use msn_metrics::MetricsError;
use msn_metrics::regions::{MapSize, Region, components, tracks_from_masks};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::drawn::region;

/// A mask drawn with `#`, one string a row.
fn mask(rows: &[&str]) -> Vec<bool> {
    rows.iter()
        .flat_map(|row| row.bytes().map(|b| b == b'#'))
        .collect()
}

fn size(rows: &[&str]) -> MapSize {
    MapSize {
        width: rows[0].len(),
        height: rows.len(),
    }
}

fn tracks(frames: &[&[&str]]) -> Vec<Vec<Region>> {
    let masks = frames.iter().map(|rows| mask(rows));
    tracks_from_masks(size(frames[0]), masks)
        .unwrap()
        .into_iter()
        .map(|t| t.regions)
        .collect()
}

#[test]
fn corners_touch_and_boxes_are_inclusive() {
    let map = [
        0.0, 0.9, 0.0, 0.0, //
        0.7, 0.0, 0.0, 0.6, //
        0.0, 0.0, 0.0, 0.8,
    ];
    let found = components(
        &map,
        MapSize {
            width: 4,
            height: 3,
        },
        0.5,
    )
    .unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].region(7), region(7, 0, 0, 1, 1));
    assert_eq!((found[0].score, found[0].pixels), (0.9, 2));
    assert_eq!(found[1].detection(7).region, region(7, 3, 1, 3, 2));
    assert_eq!(found[1].detection(7).score, 0.8);
    // Above, not at, the threshold.
    assert_eq!(
        components(
            &map,
            MapSize {
                width: 4,
                height: 3
            },
            0.8
        )
        .unwrap()
        .len(),
        1
    );
    // Rows do not join at the edges of the map.
    assert_eq!(
        components(
            &[0_u8, 0, 1, 1, 0, 0],
            MapSize {
                width: 3,
                height: 2
            },
            0.0
        )
        .unwrap()
        .len(),
        2
    );
}

#[test]
fn maps_that_do_not_fit() {
    let size = MapSize {
        width: 2,
        height: 2,
    };
    assert!(matches!(
        components(&[1.0_f32; 3], size, 0.0),
        Err(MetricsError::MapSize { values: 3, .. })
    ));
    let nan = components(&[1.0, 0.0, f64::NAN, 0.0], size, 0.0).unwrap_err();
    assert!(
        matches!(nan, MetricsError::MapNotFinite { x: 0, y: 1, .. }),
        "{nan}"
    );
    assert!(matches!(
        components(&[1.0; 4], size, f64::NAN),
        Err(MetricsError::Threshold)
    ));
    assert_eq!(
        components::<f64>(
            &[],
            MapSize {
                width: 0,
                height: 0
            },
            0.0
        )
        .unwrap(),
        []
    );
    assert_eq!(
        components::<f64>(
            &[],
            MapSize {
                width: 5,
                height: 0
            },
            0.0
        )
        .unwrap(),
        []
    );
    let huge = MapSize {
        width: usize::MAX,
        height: 2,
    };
    assert!(components::<f64>(&[], huge, 0.0).is_err());
    assert!(tracks_from_masks(size, [vec![true; 5]]).is_err());
}

#[test]
fn a_moving_part_is_one_track() {
    let found = tracks(&[
        &["##...", "....."],
        &[".##..", "....."],
        &["..##.", "....."],
    ]);
    assert_eq!(
        found,
        [vec![
            region(0, 0, 0, 1, 0),
            region(1, 1, 0, 2, 0),
            region(2, 2, 0, 3, 0)
        ]]
    );
}

#[test]
fn a_jump_or_an_empty_frame_ends_a_track() {
    assert_eq!(tracks(&[&["#..."], &["..#."]]).len(), 2);
    assert_eq!(tracks(&[&["#..."], &["...."], &["#..."]]).len(), 2);
    // Pixels must be shared: to lie side by side is not enough.
    assert_eq!(tracks(&[&["##.."], &["..##"]]).len(), 2);
}

#[test]
fn at_a_split_the_larger_part_keeps_the_track() {
    let found = tracks(&[&["#######"], &["##.####"], &["#...###"]]);
    assert_eq!(
        found,
        [
            vec![
                region(0, 0, 0, 6, 0),
                region(1, 3, 0, 6, 0),
                region(2, 4, 0, 6, 0)
            ],
            vec![region(1, 0, 0, 1, 0), region(2, 0, 0, 0, 0)],
        ]
    );
    // Equal parts that share equally: the first keeps it.
    let equal = tracks(&[&["#####"], &["##.##"]]);
    assert_eq!(equal[0][1], region(1, 0, 0, 1, 0));
    // Larger counts in pixels of the part, not in shared ones.
    let grown = tracks(&[&["..####......"], &["####.#######"]]);
    assert_eq!(grown[0][1], region(1, 5, 0, 11, 0));
}

#[test]
fn at_a_merge_the_larger_share_goes_on() {
    let found = tracks(&[&["##.####"], &["#######"]]);
    assert_eq!(
        found,
        [
            vec![region(0, 0, 0, 1, 0)],
            vec![region(0, 3, 0, 6, 0), region(1, 0, 0, 6, 0)]
        ]
    );
}

#[test]
fn at_a_merge_of_equals_the_earlier_one_goes_on() {
    let found = tracks(&[&["##.##"], &["#####"]]);
    assert_eq!(found[0].len(), 2);
    assert_eq!(found[1].len(), 1);
}

fn drawn_masks() -> impl Strategy<Value = (MapSize, Vec<Vec<bool>>)> {
    (1..9_usize, 1..9_usize).prop_flat_map(|(width, height)| {
        let one = vec(proptest::bool::weighted(0.4), width * height);
        (Just(MapSize { width, height }), vec(one, 0..5))
    })
}

/// Components by growing sets of pixels until nothing changes.
fn plain_components(mask: &[bool], size: MapSize) -> HashSet<(i32, i32, i32, i32, usize)> {
    let mut left: Vec<(i32, i32)> = (0..mask.len())
        .filter(|&i| mask[i])
        .map(|i| {
            (
                i32::try_from(i % size.width).unwrap(),
                i32::try_from(i / size.width).unwrap(),
            )
        })
        .collect();
    let mut out = HashSet::new();
    while let Some(first) = left.pop() {
        let mut part = vec![first];
        loop {
            let near = |p: &(i32, i32)| {
                part.iter()
                    .any(|q| (p.0 - q.0).abs() <= 1 && (p.1 - q.1).abs() <= 1)
            };
            let (more, rest): (Vec<_>, Vec<_>) = left.iter().partition(|p| near(p));
            left = rest;
            if more.is_empty() {
                break;
            }
            part.extend(more);
        }
        let xs = part.iter().map(|p| p.0);
        let ys = part.iter().map(|p| p.1);
        out.insert((
            xs.clone().min().unwrap(),
            ys.clone().min().unwrap(),
            xs.max().unwrap(),
            ys.max().unwrap(),
            part.len(),
        ));
    }
    out
}

proptest! {
    #[test]
    fn components_are_the_plain_ones((size, masks) in drawn_masks()) {
        for mask in masks {
            let map: Vec<u8> = mask.iter().map(|&m| u8::from(m)).collect();
            let found = components(&map, size, 0.0).unwrap();
            let boxes: HashSet<_> = found.iter().map(|c| (c.x1, c.y1, c.x2, c.y2, c.pixels)).collect();
            prop_assert_eq!(boxes, plain_components(&mask, size));
            prop_assert_eq!(found.iter().map(|c| c.pixels).sum::<usize>(), mask.iter().filter(|&&m| m).count());
        }
    }

    #[test]
    fn tracks_hold_every_component_once_and_have_no_holes((size, masks) in drawn_masks()) {
        let tracks = tracks_from_masks(size, &masks).unwrap();
        for track in &tracks {
            prop_assert!(!track.regions.is_empty());
            prop_assert!(track.regions.windows(2).all(|w| w[1].frame == w[0].frame + 1));
        }
        let mut boxes: Vec<_> = tracks.iter().flat_map(|t| &t.regions).map(|r| (r.frame, r.x1, r.y1, r.x2, r.y2)).collect();
        let mut expected: Vec<_> = masks.iter().enumerate().flat_map(|(f, mask)| {
            let map: Vec<u8> = mask.iter().map(|&m| u8::from(m)).collect();
            components(&map, size, 0.0).unwrap().into_iter().map(move |c| (f, c.x1, c.y1, c.x2, c.y2))
        }).collect();
        boxes.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(boxes, expected);
    }
}
