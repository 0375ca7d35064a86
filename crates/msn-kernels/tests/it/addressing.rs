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
