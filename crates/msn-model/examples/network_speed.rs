//! Prints how long predictions and training steps of the network take on this machine's CPU.
//!
//! Run with `cargo run --release -p msn-model --example network_speed`.
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use burn::backend::Flex;
use msn_model::{
    Adam, Algorithm, CpuNet, CpuTraining, Isa, LossWeights, Method, MsnNet, NetConfig, Precision,
};

/// Best and median of some runs, in milliseconds.
fn times(mut f: impl FnMut()) -> (f64, f64) {
    f();
    let mut all: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    all.sort_by(f64::total_cmp);
    (all[0], all[all.len() / 2])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let isa = Isa::detect();
    println!(
        "{isa}, {} threads; best / median of 15 runs",
        rayon::current_num_threads()
    );
    for width in [16, 32] {
        let config = NetConfig {
            width,
            ..NetConfig::default()
        };
        let tensors = MsnNet::<Flex>::new(&config, 0, &Default::default())?.tensors();
        let frames = |batch: usize, size: usize, channels: usize| -> Vec<f32> {
            (0..batch * size * size * channels)
                .map(|i| ((i * 31) % 255) as f32 / 127.5 - 1.0)
                .collect()
        };
        for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
            let net = CpuNet::new(&config, &tensors, algorithm)?;
            for batch in [1, 8] {
                let input = frames(batch, 128, 4);
                let (best, median) = times(|| assert!(net.run(&input, batch, 128, 128).is_ok()));
                println!(
                    "width {width} {algorithm:?}: predict {batch} x 128 px: {best:.2} / {median:.2} ms ({:.0} frames/s)",
                    batch as f64 / median * 1e3
                );
            }
            if isa.has_bf16() {
                let method = Method {
                    precision: Precision::Bf16,
                    ..Method::new(algorithm)
                };
                let net = CpuNet::new(&config, &tensors, method)?;
                let input = frames(1, 128, 4);
                let (best, median) = times(|| assert!(net.run(&input, 1, 128, 128).is_ok()));
                println!(
                    "width {width} {algorithm:?}: predict 1 x 128 px in bf16: {best:.2} / {median:.2} ms"
                );
            }
            let weights = LossWeights::default();
            let mut net = CpuTraining::new(&config, weights, &tensors, algorithm)?;
            let (input, target) = (frames(8, 64, 4), frames(8, 64, 1));
            let (best, median) = times(|| {
                net.step(&input, &target, 8, 64, 64).expect("a step");
                net.update(&Adam::default(), 1e-4);
                net.write();
            });
            println!(
                "width {width} {algorithm:?}: train on 8 x 64 px: {best:.1} / {median:.1} ms a step"
            );
        }
    }
    Ok(())
}
