//! Prints how long predictions and training steps of an MSN-net take on this machine.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use msn_kernels::*;

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

fn main() {
    let isa = Isa::detect();
    println!(
        "{isa}, {} threads; best / median of 15 runs",
        rayon::current_num_threads()
    );
    for width in [16, 32] {
        let config = NetworkConfig {
            frames: 4,
            channels: 1,
            width,
            pools: vec![1, 2, 3],
            items: 10,
            skip1: true,
            concat: false,
            temperature: 1.0,
            top_k: 0,
        };
        let shapes = config.tensors();
        // Weights of a plausible size, positive variances, items that are not all alike.
        let tensor = |name: &str| {
            let (_, shape) = shapes.iter().find(|(n, _)| n == name)?;
            let len: usize = shape.iter().product();
            let scale = if shape.len() == 4 {
                (2.0 / (9 * shape[1]) as f32).sqrt()
            } else {
                1.0
            };
            let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
            let one = name.contains("norm") && (name.ends_with("weight") || name.ends_with("var"));
            Some(
                (0..len)
                    .map(|i| if one { 1.0 } else { value(i) * scale })
                    .collect(),
            )
        };
        let frames = |batch: usize, size: usize, channels: usize| -> Vec<f32> {
            (0..batch * size * size * channels)
                .map(|i| ((i * 31) % 255) as f32 / 127.5 - 1.0)
                .collect()
        };
        for algorithm in [Algorithm::Direct, Algorithm::Fastest] {
            let mut net = Inference::new(&config, &tensor, algorithm).expect("a network");
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
                let mut net = Inference::with_method(&config, &tensor, method).expect("a network");
                let input = frames(1, 128, 4);
                let (best, median) = times(|| assert!(net.run(&input, 1, 128, 128).is_ok()));
                println!(
                    "width {width} {algorithm:?}: predict 1 x 128 px in bf16: {best:.2} / {median:.2} ms"
                );
            }
            let losses = LossWeights {
                compactness: 0.1,
                separateness: 0.1,
                information: 0.01,
            };
            let training = TrainingConfig {
                losses,
                detach_read: false,
            };
            let mut net = Training::new(&config, training, &tensor, algorithm).expect("a network");
            let (input, target) = (frames(8, 64, 4), frames(8, 64, 1));
            let (best, median) = times(|| {
                net.step(&input, &target, 8, 64, 64).expect("a step");
                net.update(&Adam::default(), 1e-4);
                net.write(WriteRule {
                    momentum: None,
                    own_maximum: false,
                });
            });
            println!(
                "width {width} {algorithm:?}: train on 8 x 64 px: {best:.1} / {median:.1} ms a step"
            );
        }
    }
}
