//! Drawn pools, and what compares them.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use msn_memory::{Pool, PoolConfig, Write, WriteMax, reference, reference::Rows};
use proptest::{prelude::*, test_runner::TestRunner};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A drawn pool, its items and queries as unit rows.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub config: PoolConfig,
    pub items: Rows,
    pub queries: Rows,
    pub seed: u64,
}

pub(crate) fn rows(n: usize, d: usize, rng: &mut ChaCha8Rng) -> Rows {
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

pub(crate) fn cases() -> impl Strategy<Value = Case> {
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

pub(crate) fn tensor<B: Backend>(rows: &Rows, device: &B::Device) -> Tensor<B, 2> {
    let shape = [rows.len(), rows[0].len()];
    let flat: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
    Tensor::from_data(TensorData::new(flat, shape), device)
}

pub(crate) fn values<B: Backend, const N: usize>(t: Tensor<B, N>) -> Vec<f64> {
    t.into_data().iter::<f64>().collect()
}

pub(crate) fn bits<B: Backend, const N: usize>(t: Tensor<B, N>) -> Vec<u32> {
    t.into_data().iter::<f32>().map(f32::to_bits).collect()
}

pub(crate) fn pool<B: Backend>(case: &Case, device: &B::Device) -> Pool<B> {
    Pool::from_items(case.config.clone(), tensor(&case.items, device)).unwrap()
}

pub(crate) fn close(ours: &[f64], theirs: &[f64], tolerance: f64) -> Result<(), TestCaseError> {
    prop_assert_eq!(ours.len(), theirs.len());
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        prop_assert!((a - b).abs() <= tolerance, "at {}: {} against {}", i, a, b);
    }
    Ok(())
}

/// Whether a query lies so close to the border between two choices that f32 may take the other one.
pub(crate) fn hangs_on_rounding(case: &Case) -> bool {
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

pub(crate) fn for_all(law: impl Fn(Case) -> Result<(), TestCaseError>) {
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config).run(&cases(), law).unwrap();
}
