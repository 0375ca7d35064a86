//! Laws of what training uses: losses, gradients, health and the start.

use burn::{
    backend::Autodiff,
    tensor::{Tensor, TensorData, backend::Backend},
};
use msn_memory::{Monitor, PoolConfig, queries, reference, reference::Rows};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::cases::{Case, close, for_all, hangs_on_rounding, pool, tensor, values};

pub(crate) fn information_is_lowest_sharp_and_balanced<B: Backend>(device: &B::Device) {
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
        // One query at each item, ever sharper: -1; all queries at one item: 0.
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

pub(crate) fn everything_is_finite_at_the_extremes<B: Backend>(device: &B::Device) {
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
pub(crate) fn slopes(case: &Case, loss: impl Fn(&Rows) -> f64) -> Vec<f64> {
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

pub(crate) fn gradients_are_those_of_finite_differences<B: Backend>(device: &B::Device) {
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

pub(crate) fn no_gradient_reaches_the_items<B: Backend>(device: &B::Device) {
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

pub(crate) fn health_counts_usage_and_death<B: Backend>(device: &B::Device) {
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

pub(crate) fn a_start_takes_real_queries_seeded<B: Backend>(device: &B::Device) {
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
