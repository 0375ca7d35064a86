//! Laws of a pool, on every device: each subject also compared with the plain f64 oracle.
//!
//! Without `MSN_DEVICE` the suite runs on flex and ndarray; `MSN_DEVICE=cuda:0` (feature
//! `test-cuda`) or `wgpu` (`test-wgpu`) runs it there alone.
#![allow(missing_docs, clippy::disallowed_methods, clippy::print_stderr)]

mod cases;
mod learning;

use burn::{backend::Autodiff, tensor::backend::Backend};
use msn_memory::{PoolConfig, reference, reference::Rows};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use cases::{Case, bits, close, for_all, hangs_on_rounding, pool, tensor, values};
use learning::*;

fn agrees_with_the_oracle<B: Backend>(device: &B::Device) {
    for_all(|case| {
        prop_assume!(!hangs_on_rounding(&case));
        let (q, m, c) = (&case.queries, &case.items, &case.config);
        let pool = pool::<Autodiff<B>>(&case, device);
        let lookup = pool.lookup(tensor(q, device));
        close(
            &values(lookup.address()),
            &reference::address(q, m, c).concat(),
            1e-5,
        )?;
        close(
            &values(lookup.read()),
            &reference::read(q, m, c).concat(),
            1e-5,
        )?;
        close(
            &values(lookup.distance()),
            &reference::distance(q, m, c),
            1e-5,
        )?;
        close(
            &values(lookup.compactness()),
            &[reference::compactness(q, m, c)],
            1e-5,
        )?;
        close(
            &values(lookup.separateness()),
            &[reference::separateness(q, m, c)],
            1e-5,
        )?;
        close(
            &values(lookup.information()),
            &[reference::information(q, m, c)],
            1e-5,
        )?;
        let written = pool.written(lookup.gather());
        close(&values(written), &reference::write(q, m, c).concat(), 2e-5)
    });
}

fn rows_are_unit_after_any_write<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let mut pool = pool::<Autodiff<B>>(&case, device);
        pool.write(&pool.lookup(tensor(&case.queries, device)));
        for norm in values(pool.items().square().sum_dim(1)) {
            prop_assert!((norm - 1.0).abs() < 1e-5, "squared norm {}", norm);
        }
        Ok(())
    });
}

fn permuting_items_permutes_addresses<B: Backend>(device: &B::Device) {
    for_all(|case| {
        prop_assume!(!hangs_on_rounding(&case));
        let mut order: Vec<usize> = (0..case.config.items).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(case.seed));
        let shuffled = Case {
            items: order.iter().map(|&i| case.items[i].clone()).collect(),
            ..case.clone()
        };
        let q = tensor::<B>(&case.queries, device);
        let a = values(pool(&case, device).lookup(q.clone()).address());
        let b = values(pool(&shuffled, device).lookup(q).address());
        let m = case.config.items;
        let expected: Vec<f64> = (0..a.len()).map(|i| a[i / m * m + order[i % m]]).collect();
        close(&b, &expected, 1e-6)
    });
}

fn a_write_ignores_the_order_of_queries<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let mut shuffled = case.queries.clone();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(case.seed));
        let pool = pool::<Autodiff<B>>(&case, device);
        let write = |q: &Rows| values(pool.written(pool.lookup(tensor(q, device)).gather()));
        close(&write(&shuffled), &write(&case.queries), 2e-5)
    });
}

fn halves_merge_into_the_whole<B: Backend>(device: &B::Device) {
    for_all(|case| {
        prop_assume!(case.queries.len() >= 2);
        let pool = pool::<Autodiff<B>>(&case, device);
        let (a, b) = case.queries.split_at(case.queries.len() / 2);
        let gather = |q: &[Vec<f64>]| pool.lookup(tensor(&q.to_vec(), device)).gather();
        let whole = values(pool.written(gather(&case.queries)));
        close(
            &values(pool.written(gather(a).merge(gather(b)))),
            &whole,
            2e-5,
        )
    });
}

fn untouched_items_stay_bit_equal<B: Backend>(device: &B::Device) {
    for_all(|case| {
        // All queries are near copies of one item, so every other item must stay as it is.
        let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
        let chosen = rng.random_range(0..case.config.items);
        let near = |_: &Vec<f64>| {
            case.items[chosen]
                .iter()
                .map(|v| v + 1e-3 * rng.random::<f64>())
                .collect()
        };
        let queries: Rows = reference::unit(&case.queries.iter().map(near).collect());
        let moved = Case {
            queries,
            ..case.clone()
        };
        prop_assume!(!hangs_on_rounding(&moved));
        let first =
            |s: &Vec<f64>| (0..s.len()).max_by(|&a, &b| s[a].total_cmp(&s[b])) == Some(chosen);
        prop_assume!(
            reference::similarity(&moved.queries, &case.items, &case.config)
                .iter()
                .all(first)
        );
        let mut pool = pool::<Autodiff<B>>(&case, device);
        let before = bits(pool.items());
        pool.write(&pool.lookup(tensor(&moved.queries, device)));
        let after = bits(pool.items());
        let d = case.config.features;
        for item in (0..case.config.items).filter(|&i| i != chosen) {
            prop_assert_eq!(
                &before[item * d..(item + 1) * d],
                &after[item * d..(item + 1) * d]
            );
        }
        Ok(())
    });
}

fn an_exact_item_reads_as_itself<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let case = Case {
            config: PoolConfig {
                top_k: 1,
                ..case.config.clone()
            },
            queries: case.items.clone(),
            ..case
        };
        prop_assume!(!hangs_on_rounding(&case));
        let read = pool::<B>(&case, device)
            .lookup(tensor(&case.queries, device))
            .read();
        close(&values(read), &case.items.concat(), 1e-6)
    });
}

fn temperature_to_zero_picks_the_nearest<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let config = PoolConfig {
            temperature: 1e-7,
            top_k: 0,
            ..case.config.clone()
        };
        let case = Case { config, ..case };
        let warm = Case {
            config: PoolConfig {
                temperature: 1.0,
                ..case.config.clone()
            },
            ..case.clone()
        };
        prop_assume!(!hangs_on_rounding(&warm));
        let lookup = pool::<B>(&case, device).lookup(tensor(&case.queries, device));
        let nearest = values(lookup.nearest().float());
        let m = case.config.items;
        for (k, row) in values(lookup.address()).chunks(m).enumerate() {
            prop_assert!((row[nearest[k] as usize] - 1.0).abs() < 1e-4, "{:?}", row);
        }
        Ok(())
    });
}

fn a_read_is_convex<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let lookup = pool::<B>(&case, device).lookup(tensor(&case.queries, device));
        for row in values(lookup.address()).chunks(case.config.items) {
            prop_assert!(row.iter().all(|&a| (0.0..=1.0 + 1e-6).contains(&a)));
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        }
        for row in values(lookup.read()).chunks(case.config.features) {
            for (d, &v) in row.iter().enumerate() {
                let column = case.items.iter().map(|m| m[d]);
                let (low, high) =
                    column.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
                prop_assert!(v >= low - 1e-5 && v <= high + 1e-5);
            }
        }
        Ok(())
    });
}

fn top_k_of_all_items_is_no_top_k<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let read = |top_k| {
            let case = Case {
                config: PoolConfig {
                    top_k,
                    ..case.config.clone()
                },
                ..case.clone()
            };
            bits(
                pool::<B>(&case, device)
                    .lookup(tensor(&case.queries, device))
                    .read(),
            )
        };
        prop_assert_eq!(read(0), read(case.config.items));
        Ok(())
    });
}

fn a_batch_of_one_is_a_row_of_a_batch<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let pool = pool::<B>(&case, device);
        let whole = pool.lookup(tensor(&case.queries, device));
        let (address, read) = (values(whole.address()), values(whole.read()));
        let (m, d) = (case.config.items, case.config.features);
        for (k, q) in case.queries.iter().enumerate() {
            let one = pool.lookup(tensor(&vec![q.clone()], device));
            close(&values(one.address()), &address[k * m..(k + 1) * m], 1e-5)?;
            close(&values(one.read()), &read[k * d..(k + 1) * d], 1e-5)?;
        }
        Ok(())
    });
}

fn ties_go_to_the_lowest_index<B: Backend>(device: &B::Device) {
    let config = PoolConfig {
        items: 3,
        ..PoolConfig::new(2)
    };
    let items = vec![vec![0.0, 1.0], vec![1.0, 0.0], vec![1.0, 0.0]];
    let case = Case {
        config,
        items,
        queries: vec![vec![1.0, 0.0], vec![0.0, 0.0]],
        seed: 0,
    };
    let lookup = pool::<B>(&case, device).lookup(tensor(&case.queries, device));
    assert_eq!(values(lookup.nearest().float()), [1.0, 0.0]);
    assert_eq!(values(lookup.usage()), [1.0, 1.0, 0.0]);
}

macro_rules! laws {
    ($($law:ident),+ $(,)?) => {
        mod flex { $(#[test] fn $law() { super::unless_named(|| super::$law::<burn::backend::Flex>(&Default::default())); })+ }
        mod ndarray { $(#[test] fn $law() { super::unless_named(|| super::$law::<burn::backend::NdArray>(&Default::default())); })+ }
        #[cfg(feature = "test-cuda")]
        mod cuda { $(#[test] fn $law() {
            let Some(index) = std::env::var("MSN_DEVICE").ok().and_then(|d| d.strip_prefix("cuda:")?.parse().ok()) else { return };
            super::$law::<burn::backend::Cuda>(&burn::backend::cuda::CudaDevice::new(index));
        })+ }
        #[cfg(feature = "test-wgpu")]
        mod wgpu { $(#[test] fn $law() {
            if std::env::var("MSN_DEVICE").is_ok_and(|d| d == "wgpu") {
                super::$law::<burn::backend::Wgpu>(&Default::default());
            }
        })+ }
    };
}

/// Runs a law on a default device, unless `MSN_DEVICE` names another.
fn unless_named(law: impl FnOnce()) {
    match std::env::var("MSN_DEVICE") {
        Ok(name) if !["flex", "ndarray"].contains(&name.as_str()) => {
            let known = (cfg!(feature = "test-cuda") && name.starts_with("cuda:"))
                || (cfg!(feature = "test-wgpu") && name == "wgpu");
            assert!(
                known,
                "MSN_DEVICE={name} is not compiled in: add --features test-cuda or test-wgpu"
            );
            eprintln!("skipped: MSN_DEVICE={name}");
        }
        _ => law(),
    }
}

laws!(
    agrees_with_the_oracle,
    rows_are_unit_after_any_write,
    permuting_items_permutes_addresses,
    a_write_ignores_the_order_of_queries,
    halves_merge_into_the_whole,
    untouched_items_stay_bit_equal,
    an_exact_item_reads_as_itself,
    temperature_to_zero_picks_the_nearest,
    a_read_is_convex,
    top_k_of_all_items_is_no_top_k,
    a_batch_of_one_is_a_row_of_a_batch,
    information_is_lowest_sharp_and_balanced,
    everything_is_finite_at_the_extremes,
    gradients_are_those_of_finite_differences,
    no_gradient_reaches_the_items,
    ties_go_to_the_lowest_index,
    health_counts_usage_and_death,
    a_start_takes_real_queries_seeded,
);
