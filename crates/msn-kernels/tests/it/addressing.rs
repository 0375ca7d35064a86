//! Memory pools.

use msn_kernels::*;
use proptest::prelude::*;

use crate::support::*;

fn unit(v: &[f64]) -> Vec<f64> {
    let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
    v.iter().map(|v| v / norm).collect()
}

fn items_of(seed: u64, count: usize, features: usize) -> Vec<f32> {
    let raw: Vec<f64> = values(seed, count * features)
        .into_iter()
        .map(f64::from)
        .collect();
    raw.chunks_exact(features)
        .flat_map(unit)
        .map(|v| v as f32)
        .collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn reading_is_its_definition(
        shape in shapes(70), wider in 0_usize..5, count in 1_usize..64, seed: u64, cold: bool, top: usize,
    ) {
        let d = shape.channels;
        let features = Source::new(seed, shape, wider);
        let items = items_of(seed ^ 1, count, d);
        let how = Addressing { temperature: if cold { 0.05 } else { 1.0 }, top_k: top % (count + 1) };
        let m: Vec<Vec<f64>> = items.chunks_exact(d).map(|m| m.iter().map(|&v| f64::from(v)).collect()).collect();
        let (mut queries, mut read, mut addresses, mut distances, mut similarities) = (vec![], vec![], vec![], vec![], vec![]);
        for pixel in features.images().data.chunks_exact(d) {
            let q = unit(pixel);
            let s: Vec<f64> = m.iter().map(|m| q.iter().zip(m).map(|(a, b)| a * b).sum::<f64>()).collect();
            let mut order = s.clone();
            order.sort_by(|a, b| b.total_cmp(a));
            let kth = if how.top_k > 0 { order[how.top_k - 1] } else { f64::NEG_INFINITY };
            // A gap as small as f32's rounding would make the two sides choose differently.
            if how.top_k > 0 && how.top_k < count && kth - order[how.top_k] < 1e-6 { return Ok(()); }
            let e: Vec<f64> = s.iter().map(|&v| if v < kth { 0.0 } else { ((v - order[0]) / f64::from(how.temperature)).exp() }).collect();
            let total: f64 = e.iter().sum();
            let a: Vec<f64> = e.iter().map(|e| e / total).collect();
            read.extend((0..d).map(|i| a.iter().zip(&m).map(|(a, m)| a * m[i]).sum::<f64>()));
            let near = s.iter().position(|&v| v == order[0]).expect("an item");
            distances.push(q.iter().zip(&m[near]).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / d as f64);
            queries.extend(q);
            addresses.extend(a);
            similarities.extend(s);
        }
        for isa in Isa::available() {
            let packed = PackedItems::new(isa, &items, count, d);
            for view in features.views() {
                let (mut q, mut r) = (target(shape, wider), target(shape, wider));
                let range = wider / 2..wider / 2 + d;
                let by_item = shape.with_channels(count);
                let (mut a, mut s) = (vec![0.0; by_item.len()], vec![0.0; by_item.len()]);
                let mut dist = vec![0.0; shape.pixels()];
                read_items(view, &packed, how, Readings {
                    queries: Some(q.view_mut().channels(range.clone())),
                    read: Some(r.view_mut().channels(range.clone())),
                    addresses: Some(ViewMut::dense(&mut a, by_item)),
                    similarities: Some(ViewMut::dense(&mut s, by_item)),
                    distances: Some(&mut dist),
                });
                prop_assert!(error(&result(&q, d), &queries) < 1e-6);
                prop_assert!(error(&s, &similarities) < 2e-6);
                prop_assert!(error(&a, &addresses) < 3e-5, "{isa} {}", error(&a, &addresses));
                prop_assert!(error(&result(&r, d), &read) < 3e-5);
                prop_assert!(error(&dist, &distances) < 2e-6, "{isa} {}", error(&dist, &distances));
            }
        }
    }
}

#[test]
fn a_pixel_of_zeros_addresses_all_items_alike() {
    let shape = Shape::new(1, 1, 1, 3);
    for isa in Isa::available() {
        let packed = PackedItems::new(isa, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 2, 3);
        let mut read = [0.0; 3];
        let to = Readings {
            read: Some(ViewMut::dense(&mut read, shape)),
            ..Readings::default()
        };
        read_items(
            View::dense(&[0.0; 3], shape),
            &packed,
            Addressing {
                temperature: 1.0,
                top_k: 0,
            },
            to,
        );
        assert_eq!(read, [0.5, 0.5, 0.0], "{isa}");
    }
}

#[test]
fn an_exact_item_with_top_k_of_one_returns_it() {
    let items = items_of(5, 7, 33);
    let shape = Shape::new(1, 1, 7, 33);
    for isa in Isa::available() {
        let packed = PackedItems::new(isa, &items, 7, 33);
        let mut read = vec![0.0; items.len()];
        let to = Readings {
            read: Some(ViewMut::dense(&mut read, shape)),
            ..Readings::default()
        };
        read_items(
            View::dense(&items, shape),
            &packed,
            Addressing {
                temperature: 1.0,
                top_k: 1,
            },
            to,
        );
        assert_eq!(read, items, "{isa}");
    }
}

/// The pool's share of a loss in f64: what is read and the queries times given gradients, and the
/// weighted losses. Items are constants.
fn loss(
    features: &[f64],
    items: &[Vec<f64>],
    how: Addressing,
    weights: PoolLossWeights,
    of_read: &[f64],
    of_queries: &[f64],
) -> (f64, [f64; 3]) {
    let d = items[0].len();
    let queries = features.len() / d;
    let entropy = |p: &[f64]| -p.iter().map(|&p| p * p.max(1e-12).ln()).sum::<f64>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut direct, mut compact, mut apart, mut sharp) = (0.0, 0.0, 0.0, 0.0);
    let mut mean = vec![0.0; items.len()];
    for (k, x) in features.chunks_exact(d).enumerate() {
        let q = unit(x);
        let s: Vec<f64> = items.iter().map(|m| dot(&q, m)).collect();
        let mut order: Vec<usize> = (0..s.len()).collect();
        order.sort_by(|&a, &b| s[b].total_cmp(&s[a]));
        let kth = if how.top_k > 0 {
            s[order[how.top_k - 1]]
        } else {
            f64::NEG_INFINITY
        };
        let e: Vec<f64> = s
            .iter()
            .map(|&v| {
                if v < kth {
                    0.0
                } else {
                    ((v - s[order[0]]) / f64::from(how.temperature)).exp()
                }
            })
            .collect();
        let total: f64 = e.iter().sum();
        let a: Vec<f64> = e.iter().map(|e| e / total).collect();
        let read: Vec<f64> = (0..d)
            .map(|i| a.iter().zip(items).map(|(a, m)| a * m[i]).sum())
            .collect();
        direct += dot(&read, &of_read[k * d..][..d]) + dot(&q, &of_queries[k * d..][..d]);
        let distance = |m: &[f64], shift: f64| {
            q.iter()
                .zip(m)
                .map(|(q, m)| (q - m + shift).powi(2))
                .sum::<f64>()
        };
        compact += distance(&items[order[0]], 0.0);
        apart += (distance(&items[order[0]], 1e-6).sqrt()
            - distance(&items[order[1]], 1e-6).sqrt()
            + 1.0)
            .max(0.0);
        sharp += entropy(&a);
        for (m, a) in mean.iter_mut().zip(&a) {
            *m += a / queries as f64;
        }
    }
    let queries = queries as f64;
    let parts = [
        compact / (queries * d as f64),
        apart / queries,
        (sharp / queries - entropy(&mean)) / (items.len() as f64).ln(),
    ];
    let total = direct
        + f64::from(weights.compactness) * parts[0]
        + f64::from(weights.separateness) * parts[1]
        + f64::from(weights.information) * parts[2];
    (total, parts)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn losses_and_gradients_of_a_pool_are_those_of_its_definition(
        size in (1_usize..4, 1_usize..9, 1_usize..9), d in 2_usize..40, count in 2_usize..40, seed: u64, cold: bool, top: usize, detach: bool,
    ) {
        let shape = Shape::new(size.0, size.1, size.2, d);
        let features = Source::new(seed, shape, 3);
        let (of_read, of_queries) = (Source::new(seed ^ 2, shape, 3), Source::new(seed ^ 3, shape, 3));
        let items = items_of(seed ^ 1, count, d);
        let rows: Vec<Vec<f64>> = items.chunks_exact(d).map(|m| m.iter().map(|&v| f64::from(v)).collect()).collect();
        let how = Addressing { temperature: if cold { 0.2 } else { 1.0 }, top_k: top % (count + 1) };
        let weights = PoolLossWeights { compactness: 3.0, separateness: 2.0, information: 5.0 };
        let x = features.images().data;
        // With the read detached, its gradient counts for nothing.
        let through: Vec<f64> = of_read.images().data.into_iter().map(|g| if detach { 0.0 } else { g }).collect();
        let at = |x: &[f64]| loss(x, &rows, how, weights, &through, &of_queries.images().data);
        let (_, parts) = at(&x);
        // Central differences along two directions; a kink within the step shows as a slope that
        // depends on the step's size.
        let mut slopes = Vec::new();
        for i in 0..2_u64 {
            let direction: Vec<f64> = values(seed ^ (9 + i), x.len()).into_iter().map(f64::from).collect();
            let slope = |h: f64| {
                let moved = |h: f64| -> Vec<f64> { x.iter().zip(&direction).map(|(x, d)| x + h * d).collect() };
                (at(&moved(h)).0 - at(&moved(-h)).0) / (2.0 * h)
            };
            let (coarse, fine) = (slope(2e-5), slope(1e-5));
            prop_assume!((coarse - fine).abs() < 1e-5 * (1.0 + fine.abs()));
            slopes.push((direction, fine));
        }
        for isa in Isa::available() {
            let packed = PackedItems::new(isa, &items, count, d);
            let mut lookup = TrainingLookup::default();
            let (mut read, mut queries, mut gradient) = (target(shape, 0), target(shape, 0), target(shape, 4));
            lookup.read(features.views()[1], &packed, how, read.view_mut(), Some(queries.view_mut()));
            for (query, x) in queries.view().to_vec().chunks_exact(d).zip(x.chunks_exact(d)) {
                let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
                prop_assert!(query.iter().zip(x).all(|(q, v)| (f64::from(*q) - v / norm).abs() < 1e-6));
            }
            let ours = lookup.losses(&packed, None);
            for (ours, golden) in [ours.compactness, ours.separateness, ours.information].into_iter().zip(parts) {
                prop_assert!((ours - golden).abs() < 1e-5, "{isa}: {ours} {golden}");
            }
            lookup.backward(
                features.views()[1], &packed, weights, detach, ReadGradient { read: of_read.views()[0], queries: Some(of_queries.views()[1]) },
                gradient.view_mut().channels(2..2 + d),
            );
            let gradient = result(&gradient, d);
            for (direction, slope) in &slopes {
                let ours: f64 = gradient.iter().zip(direction).map(|(g, d)| f64::from(*g) * d).sum();
                let scale = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt() * (x.len() as f64 / 3.0).sqrt();
                prop_assert!((ours - slope).abs() < 1e-4 * (1.0 + scale), "{isa}: {ours} {slope}");
            }
        }
    }
}

#[test]
fn gradients_of_a_query_of_zeros_are_finite() {
    let shape = Shape::new(1, 1, 2, 3);
    let weights = PoolLossWeights {
        compactness: 0.1,
        separateness: 0.1,
        information: 0.1,
    };
    for isa in Isa::available() {
        let packed = PackedItems::new(isa, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0], 2, 3);
        let how = Addressing {
            temperature: 1.0,
            top_k: 0,
        };
        let features = View::dense(&[0.0; 6], shape);
        let (mut read, mut gradient) = ([0.0; 6], [0.0; 6]);
        let mut lookup = TrainingLookup::default();
        lookup.read(
            features,
            &packed,
            how,
            ViewMut::dense(&mut read, shape),
            None,
        );
        let losses = lookup.losses(&packed, None);
        assert!(
            losses.compactness.is_finite()
                && losses.separateness.is_finite()
                && losses.information.is_finite()
        );
        let of_read = View::dense(&[0.1; 6], shape);
        lookup.backward(
            features,
            &packed,
            weights,
            false,
            ReadGradient {
                read: of_read,
                queries: None,
            },
            ViewMut::dense(&mut gradient, shape),
        );
        assert!(gradient.iter().all(|g| g.is_finite()), "{isa} {gradient:?}");
    }
}

/// Items after a write, in f64 and from whole lists; `None` where f32 could choose another owner.
fn written(
    features: &[f64],
    items: &[Vec<f64>],
    temperature: f64,
    rule: WriteRule,
) -> Option<Vec<f64>> {
    let mut queries = Vec::new();
    for pixel in features.chunks_exact(items[0].len()) {
        let q = unit(pixel);
        let s: Vec<f64> = items
            .iter()
            .map(|m| q.iter().zip(m).map(|(a, b)| a * b).sum())
            .collect();
        let best = s.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if s.iter().filter(|v| best - **v < 1e-6).count() > 1 {
            return None;
        }
        let owner = s.iter().position(|v| *v == best)?;
        queries.push((q, s, owner));
    }
    let mut new = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let own = || queries.iter().filter(|(_, _, owner)| *owner == i);
        let top = queries
            .iter()
            .filter(|(_, _, owner)| !rule.own_maximum || *owner == i)
            .map(|(_, s, _)| s[i])
            .fold(f64::NEG_INFINITY, f64::max);
        let weight = |s: &[f64]| ((s[i] - top) / temperature).exp();
        let total: f64 = own().map(|(_, s, _)| weight(s)).sum();
        let mixed: Vec<f64> = (0..item.len())
            .map(|d| {
                let sum: f64 = own().map(|(q, s, _)| weight(s) * q[d]).sum();
                match rule.momentum.map(f64::from) {
                    Some(m) => m * item[d] + (1.0 - m) * sum / total.max(1e-12),
                    None => item[d] + sum,
                }
            })
            .collect();
        let norm = mixed.iter().map(|v| v * v).sum::<f64>().sqrt();
        // Near the norm below which an item stays, f32 could decide otherwise.
        if own().count() > 0 && norm < 1e-3 {
            return None;
        }
        new.extend(if own().count() > 0 {
            unit(&mixed)
        } else {
            item.clone()
        });
    }
    Some(new)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_write_is_its_definition(
        shape in shapes(40), count in 1_usize..12, seed: u64, temperature in prop::sample::select(vec![1.0_f32, 0.2, 0.02]),
        momentum in prop::option::of(0.0_f32..0.99), own_maximum: bool,
    ) {
        let features = Source::new(seed, shape, 3);
        let d = shape.channels;
        let items = items_of(seed ^ 1, count, d);
        let rows: Vec<Vec<f64>> = items.chunks_exact(d).map(|m| m.iter().map(|&v| f64::from(v)).collect()).collect();
        let rule = WriteRule { momentum, own_maximum };
        let Some(expected) = written(&features.images().data, &rows, f64::from(temperature), rule) else { return Ok(()) };
        for isa in Isa::available() {
            let packed = PackedItems::new(isa, &items, count, d);
            let (mut lookup, mut read) = (TrainingLookup::default(), target(shape, 0));
            lookup.read(features.views()[1], &packed, Addressing { temperature, top_k: 0 }, read.view_mut(), None);
            let mut new = items.clone();
            write_items(&lookup, &mut new, rule);
            // Rounding of a similarity counts by the temperature.
            let tolerance = 1e-5 + 1e-6 / f64::from(temperature);
            for (ours, expected) in new.iter().zip(&expected) {
                prop_assert!((f64::from(*ours) - expected).abs() < tolerance, "{isa}: {ours} {expected}");
            }
        }
    }
}

#[test]
fn a_write_is_worked_by_hand() {
    // Two items; two queries near the first, none near the second.
    let items = [1.0, 0.0, 0.0, 1.0];
    let features = [3.0, 4.0_f32, 4.0, 3.0].map(|v| v * 2.0);
    let features = [features[2], features[3], 10.0, 0.0];
    let shape = Shape::new(1, 1, 2, 2);
    let isa = Isa::detect();
    let packed = PackedItems::new(isa, &items, 2, 2);
    let mut lookup = TrainingLookup::default();
    let mut read = [0.0; 4];
    let how = Addressing {
        temperature: 0.5,
        top_k: 0,
    };
    lookup.read(
        View::dense(&features, shape),
        &packed,
        how,
        ViewMut::dense(&mut read, shape),
        None,
    );
    assert_eq!(lookup.usage(), [2, 0]);
    // Queries (0.8, 0.6) and (1, 0); similarities to the first 0.8 and 1: weights e^-0.4 and 1.
    let w = (-0.4_f64).exp();
    let unit = |x: f64, y: f64| [(x / x.hypot(y)) as f32, (y / x.hypot(y)) as f32];
    let cases = [
        (None, unit(1.0 + 1.0 + 0.8 * w, 0.6 * w)),
        (
            Some(0.0),
            unit((1.0 + 0.8 * w) / (1.0 + w), 0.6 * w / (1.0 + w)),
        ),
        (
            Some(0.5),
            unit(
                0.5 + 0.5 * (1.0 + 0.8 * w) / (1.0 + w),
                0.5 * 0.6 * w / (1.0 + w),
            ),
        ),
    ];
    for (momentum, expected) in cases {
        let mut new = items;
        write_items(
            &lookup,
            &mut new,
            WriteRule {
                momentum,
                own_maximum: false,
            },
        );
        assert!(
            (new[0] - expected[0]).abs() < 1e-6 && (new[1] - expected[1]).abs() < 1e-6,
            "{momentum:?}: {new:?}"
        );
        assert_eq!(new[2..], items[2..], "an item without queries stays");
    }
}

/// A training that diverges shows in its loss, so nothing may fail before.
#[test]
fn features_that_are_no_numbers_belong_to_some_item() {
    let shape = Shape::new(1, 1, 3, 8);
    let mut features = values(3, shape.len());
    features[8..16].fill(f32::NAN);
    features[16..].fill(f32::INFINITY);
    for isa in Isa::available() {
        let items = items_of(5, 10, 8);
        let packed = PackedItems::new(isa, &items, 10, 8);
        let mut lookup = TrainingLookup::default();
        let mut read = [0.0; 24];
        let how = Addressing {
            temperature: 1.0,
            top_k: 0,
        };
        let (from, to) = (
            View::dense(&features, shape),
            ViewMut::dense(&mut read, shape),
        );
        lookup.read(from, &packed, how, to, None);
        assert_eq!(lookup.usage().iter().sum::<usize>(), 3);
        assert!(lookup.losses(&packed, None).compactness.is_nan());
        for own_maximum in [false, true] {
            let rule = WriteRule {
                momentum: None,
                own_maximum,
            };
            write_items(&lookup, &mut items.clone(), rule);
        }
    }
}
