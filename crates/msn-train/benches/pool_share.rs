//! What the three pools cost of a training step, at the sizes of the `cpu` and `paper` presets.
//!
//! `cargo bench --workspace --bench pool_share`. Prints medians and ratios of one run.
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use burn::{
    backend::{Autodiff, Flex},
    tensor::{Distribution, Tensor, TensorData},
};
use msn_memory::{Pool, PoolConfig, queries, reference};
use msn_model::{Algorithm, Clips};
use msn_train::{BurnEngine, CpuEngine, Engine, Preset, Settings};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

type B = Autodiff<Flex>;

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn time(times: usize, mut work: impl FnMut()) -> f64 {
    work();
    let one = |_| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    median((0..times).map(one).collect())
}

/// A pool computes what its plain twin computes, before it is timed.
fn assert_right() {
    let device = Default::default();
    let config = PoolConfig::new(128);
    let pool = Pool::<B>::new(config.clone(), &mut ChaCha8Rng::seed_from_u64(0), &device)
        .expect("default settings");
    let features = Tensor::<B, 4>::random([1, 128, 8, 8], Distribution::Default, &device);
    let rows = |t: Tensor<B, 2>| -> Vec<Vec<f64>> {
        let width = t.dims()[1];
        let flat: Vec<f64> = t.into_data().iter::<f64>().collect();
        flat.chunks(width).map(<[f64]>::to_vec).collect()
    };
    let q = queries(features);
    let ours = rows(pool.lookup(q.clone()).read()).concat();
    let plain = reference::read(&rows(q), &rows(pool.items()), &config).concat();
    assert!(
        ours.iter().zip(&plain).all(|(a, b)| (a - b).abs() < 1e-5),
        "a read differs from its plain twin"
    );
}

/// One pool's part of a step: queries, read, losses, their gradient, write.
fn pool_step(side: usize, features: usize, batch: usize) -> f64 {
    let device = Default::default();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut pool =
        Pool::<B>::new(PoolConfig::new(features), &mut rng, &device).expect("default settings");
    let shape = [batch, features, side, side];
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random()).collect();
    let input = Tensor::<B, 4>::from_data(TensorData::new(values, shape), &device);
    time(5, || {
        let lookup = pool.lookup(queries(input.clone().require_grad()));
        let losses = lookup.compactness() + lookup.separateness() + lookup.information();
        let gradients = (lookup.read().square().mean() + losses).backward();
        drop(gradients);
        pool.write(&lookup);
    })
}

fn clips(settings: &Settings, side: usize, batch: usize) -> Clips {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |n: usize| (0..n).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect();
    let (frames, area) = (settings.net.frames, side * side);
    Clips {
        count: batch,
        height: side,
        width: side,
        frames: draw(batch * frames * area),
        target: draw(batch * area),
    }
}

fn step(engine: &mut dyn Engine, clips: &Clips, times: usize) -> f64 {
    time(times, || {
        engine.step(clips.clone(), 1e-4).expect("a step");
    })
}

fn main() {
    assert_right();
    println!(
        "{:<42}{:>12}{:>12}{:>10}",
        "", "step, ms", "pools, ms", "share"
    );
    for (preset, side, batch, times) in [(Preset::Cpu, 64, 8, 9), (Preset::Paper, 256, 1, 3)] {
        let mut settings = Settings::preset(preset);
        let w = settings.net.width;
        let batch_clips = clips(&settings, side, batch);
        let pools: f64 = [1, 2, 3]
            .map(|p| pool_step(side >> p, w << p, batch))
            .iter()
            .sum();
        let mut burn = BurnEngine::<B>::new(&settings, &Default::default()).expect("preset");
        let whole = step(&mut burn, &batch_clips, times);
        row(
            &format!("{preset}, {batch} x {side} px, plain (flex)"),
            whole,
            pools,
        );

        let with = CpuEngine::new(&settings, &burn.tensors(), Algorithm::Fastest);
        let with = step(&mut with.expect("preset"), &batch_clips, times);
        settings.net.pools.clear();
        let bare = BurnEngine::<B>::new(&settings, &Default::default())
            .expect("preset")
            .tensors();
        let bare = CpuEngine::new(&settings, &bare, Algorithm::Fastest);
        let without = step(&mut bare.expect("preset"), &batch_clips, times);
        row(
            &format!("{preset}, {batch} x {side} px, fast kernels"),
            with,
            with - without,
        );
    }
}

fn row(name: &str, step: f64, pools: f64) {
    println!(
        "{name:<42}{:>12.1}{:>12.1}{:>9.1}%",
        step * 1e3,
        pools * 1e3,
        100.0 * pools / step
    );
}
