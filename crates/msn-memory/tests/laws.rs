//! Laws of a pool, on every device: each subject also compared with the plain f64 oracle.
//!
//! Without `MSN_DEVICE` the suite runs on flex and ndarray; `MSN_DEVICE=cuda:0` (feature
//! `test-cuda`) or `wgpu` (`test-wgpu`) runs it there alone.
#![allow(missing_docs, clippy::print_stderr)]

use burn::{
    backend::Autodiff,
    tensor::{Tensor, TensorData, backend::Backend},
};
use msn_memory::{Monitor, Pool, PoolConfig, Write, WriteMax, queries, reference, reference::Rows};
use proptest::{prelude::*, test_runner::TestRunner};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// A drawn pool, its items and queries as unit rows.
#[derive(Clone, Debug)]
struct Case {
    config: PoolConfig,
    items: Rows,
    queries: Rows,
    seed: u64,
}

fn rows(n: usize, d: usize, rng: &mut ChaCha8Rng) -> Rows {
    let draw = (0..n)
        .map(|_| (0..d).map(|_| rng.random::<f64>() * 2.0 - 1.0).collect())
        .collect();
    let rounded = |x: Rows| {
        x.into_iter()
            .map(|r| r.into_iter().map(|v| f64::from(v as f32)).collect())
            .collect()
    };
    rounded(reference::unit(&draw))
}

fn cases() -> impl Strategy<Value = Case> {
    let settings = (2usize..9, 2usize..20, 1usize..40, 0usize..9);
    let switches = (
        prop_oneof![Just(1.0), Just(0.1), Just(3.0)],
        any::<[bool; 3]>(),
        0.0..0.95f64,
        any::<u64>(),
    );
    (settings, switches).prop_map(
        |((items, features, k, top_k), (temperature, [sum, all, detach], momentum, seed))| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let config = PoolConfig {
                items,
                features,
                temperature,
                top_k: top_k.min(items),
                detach_read: detach,
                write: if sum { Write::Sum } else { Write::Mean },
                write_max: if all { WriteMax::All } else { WriteMax::Own },
                momentum,
            };
            Case {
                items: rows(items, features, &mut rng),
                queries: rows(k, features, &mut rng),
                config,
                seed,
            }
        },
    )
}

fn tensor<B: Backend>(rows: &Rows, device: &B::Device) -> Tensor<B, 2> {
    let shape = [rows.len(), rows[0].len()];
    let flat: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
    Tensor::from_data(TensorData::new(flat, shape), device)
}

fn values<B: Backend, const N: usize>(t: Tensor<B, N>) -> Vec<f64> {
    t.into_data().iter::<f64>().collect()
}

fn bits<B: Backend, const N: usize>(t: Tensor<B, N>) -> Vec<u32> {
    t.into_data().iter::<f32>().map(f32::to_bits).collect()
}

fn pool<B: Backend>(case: &Case, device: &B::Device) -> Pool<B> {
    Pool::from_items(case.config.clone(), tensor(&case.items, device)).unwrap()
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.len(), theirs.len());
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        prop_assert!((a - b).abs() <= tolerance, "at {}: {} against {}", i, a, b);
    }
    Ok(())
}

/// Whether a query lies so close to the border between two choices that f32 may take the other one.
fn hangs_on_rounding(case: &Case) -> bool {
    reference::similarity(&case.queries, &case.items, &case.config)
        .iter()
        .any(|s| {
            let mut sorted = s.clone();
            sorted.sort_by(f64::total_cmp);
            sorted
                .windows(2)
                .any(|w| w[1] - w[0] < 1e-5 / case.config.temperature)
        })
}

fn for_all(law: impl Fn(Case) -> Result<(), TestCaseError>) {
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(&cases(), law).unwrap();
}

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

fn information_is_lowest_sharp_and_balanced<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let lookup = |items: &Rows, queries: &Rows, temperature: f64| {
            let config = PoolConfig {
                temperature,
                top_k: 0,
                ..case.config.clone()
            };
            let case = Case {
                config,
                items: items.clone(),
                ..case.clone()
            };
            values(
                pool::<B>(&case, device)
                    .lookup(tensor(queries, device))
                    .information(),
            )[0]
        };
        let drawn = lookup(&case.items, &case.queries, case.config.temperature);
        prop_assert!((-1.0 - 1e-5..=1e-5).contains(&drawn), "{}", drawn);
        // Every item asked once by itself, ever sharper: -1; one item asked by all: 0.
        let items = (0..2)
            .map(|i| {
                (0..case.config.features)
                    .map(|d| f64::from(u8::from(d == i)))
                    .collect()
            })
            .collect();
        let pair = PoolConfig {
            items: 2,
            ..case.config.clone()
        };
        let two = Case {
            config: pair,
            items,
            ..case.clone()
        };
        let of = |queries: &Rows, temperature: f64| {
            let config = PoolConfig {
                temperature,
                top_k: 0,
                ..two.config.clone()
            };
            let two = Case {
                config,
                ..two.clone()
            };
            values(
                pool::<B>(&two, device)
                    .lookup(tensor(queries, device))
                    .information(),
            )[0]
        };
        let balanced = of(&two.items, 1e-3);
        prop_assert!((balanced + 1.0).abs() < 1e-5, "balanced {}", balanced);
        let one_sided = of(&vec![two.items[0].clone(); 3], 1e-3);
        prop_assert!(one_sided.abs() < 1e-5, "one-sided {}", one_sided);
        prop_assert!(of(&two.items, 10.0) > balanced);
        Ok(())
    });
}

fn everything_is_finite_at_the_extremes<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let d = case.config.features;
        let pool = pool::<Autodiff<B>>(&case, device);
        let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
        let scale = [0.0, 1e-30, 1e-12, 1.0, 1e8, 1e15];
        let data: Vec<f32> = (0..d * 6)
            .map(|i| (scale[i % 6] * (rng.random::<f64>() * 2.0 - 1.0)) as f32)
            .collect();
        let features =
            Tensor::<Autodiff<B>, 4>::from_data(TensorData::new(data, [1, d, 2, 3]), device)
                .require_grad();
        let lookup = pool.lookup(queries(features.clone()));
        let parts = [
            lookup.compactness(),
            lookup.separateness(),
            lookup.information(),
            lookup.read().square().mean(),
        ];
        let loss = parts.iter().cloned().reduce(|a, b| a + b).unwrap();
        prop_assert!(values(loss.clone())[0].is_finite());
        prop_assert!(
            values(pool.written(lookup.gather()))
                .iter()
                .all(|v| v.is_finite())
        );
        let gradient = values(features.grad(&loss.backward()).unwrap());
        prop_assert!(gradient.iter().all(|v| v.is_finite()), "{:?}", gradient);
        Ok(())
    });
}

/// The gradient of a loss to the queries by central differences of the oracle.
fn slopes(case: &Case, loss: impl Fn(&Rows) -> f64) -> Vec<f64> {
    let mut out = Vec::new();
    for k in 0..case.queries.len() {
        for d in 0..case.config.features {
            let at = |step: f64| {
                let mut q = case.queries.clone();
                q[k][d] += step;
                loss(&q)
            };
            out.push((at(1e-6) - at(-1e-6)) / 2e-6);
        }
    }
    out
}

fn gradients_are_those_of_finite_differences<B: Backend>(device: &B::Device) {
    for_all(|mut case| {
        case.queries.truncate(4);
        prop_assume!(!hangs_on_rounding(&case));
        let (m, c) = (&case.items, &case.config);
        let mix: Vec<f64> = (0..case.queries.len() * c.features)
            .map(|i| (i as f64).sin())
            .collect();
        let weighted = Tensor::<Autodiff<B>, 2>::from_data(
            TensorData::new(
                mix.iter().map(|&v| v as f32).collect::<Vec<f32>>(),
                [case.queries.len(), c.features],
            ),
            device,
        );
        let pool = pool::<Autodiff<B>>(&case, device);
        let q = tensor::<Autodiff<B>>(&case.queries, device).require_grad();
        let gradient = |loss: Tensor<Autodiff<B>, 1>| q.grad(&loss.backward()).map(values);
        let lookup = || pool.lookup(q.clone());

        let read = gradient((lookup().read() * weighted).sum());
        if c.detach_read {
            prop_assert!(
                read.is_none_or(|g| g.iter().all(|&v| v == 0.0)),
                "a detached read has no gradient"
            );
        } else {
            let dot = |q: &Rows| {
                reference::read(q, m, c)
                    .concat()
                    .iter()
                    .zip(&mix)
                    .map(|(a, b)| a * b)
                    .sum()
            };
            close(&read.unwrap(), &slopes(&case, dot), 2e-3)?;
        }
        type Oracle = fn(&Rows, &Rows, &PoolConfig) -> f64;
        let checks: [(Tensor<Autodiff<B>, 1>, Oracle); 3] = [
            (lookup().compactness(), reference::compactness),
            (lookup().separateness(), reference::separateness),
            (lookup().information(), reference::information),
        ];
        for (loss, oracle) in checks {
            close(
                &gradient(loss).unwrap(),
                &slopes(&case, |q| oracle(q, m, c)),
                2e-3,
            )?;
        }
        Ok(())
    });
}

fn no_gradient_reaches_the_items<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let pool = pool::<Autodiff<B>>(&case, device);
        let q = tensor::<Autodiff<B>>(&case.queries, device).require_grad();
        let lookup = pool.lookup(q);
        let loss = lookup.read().square().mean()
            + lookup.compactness()
            + lookup.separateness()
            + lookup.information();
        prop_assert!(pool.items().grad(&loss.backward()).is_none());
        prop_assert!(!pool.items().is_require_grad());
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

fn health_counts_usage_and_death<B: Backend>(device: &B::Device) {
    let items = vec![
        vec![1.0, 0.0, 0.0],
        vec![0.0, 1.0, 0.0],
        vec![0.0, 0.6, 0.8],
    ];
    let config = PoolConfig {
        items: 3,
        ..PoolConfig::new(3)
    };
    let case = Case {
        config,
        queries: vec![items[0].clone(), items[1].clone()],
        items,
        seed: 0,
    };
    let mut pool = pool::<Autodiff<B>>(&case, device);
    let lookup = pool.lookup(tensor(&case.queries, device));
    let mut monitor = Monitor::new(3);
    let mut health = monitor.observe(&lookup, &pool);
    assert!((health.usage_entropy - 2f64.ln() / 3f64.ln()).abs() < 1e-6);
    assert!((health.largest_cosine - 0.6).abs() < 1e-6);
    assert_eq!(health.dead_items, 0);
    for _ in 0..msn_memory::DEAD_AFTER_STEPS {
        health = monitor.observe(&lookup, &pool);
    }
    assert_eq!((health.dead_items, monitor.dead()), (1, vec![2]));

    assert_eq!(pool.revive(&lookup, &mut monitor), 1);
    assert!(monitor.dead().is_empty());
    let revived = &values(pool.items())[6..9];
    assert!(
        case.queries.iter().any(|q| close(revived, q, 1e-6).is_ok()),
        "{revived:?} is none of the queries"
    );
}

fn a_start_takes_real_queries_seeded<B: Backend>(device: &B::Device) {
    for_all(|case| {
        let mut pool = pool::<Autodiff<B>>(&case, device);
        let zero = vec![vec![0.0; case.config.features]];
        let all: Rows = case.queries.iter().chain(&zero).cloned().collect();
        let mut start = || {
            let mut rng = ChaCha8Rng::seed_from_u64(case.seed);
            pool.start_from(tensor(&all, device), &mut rng)
                .map(|()| values(pool.items()))
        };
        let (first, second) = (start(), start());
        if case.queries.len() < case.config.items {
            prop_assert!(first.is_err());
            return Ok(());
        }
        let (first, second) = (first.unwrap(), second.unwrap());
        prop_assert_eq!(&first, &second);
        let rows: Vec<&[f64]> = first.chunks(case.config.features).collect();
        for (i, row) in rows.iter().enumerate() {
            prop_assert!(case.queries.iter().any(|q| close(row, q, 1e-6).is_ok()));
            prop_assert!(!rows[..i].contains(row), "a query was picked twice");
        }
        Ok(())
    });
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
