//! Laws of the whole network that need no golden case.

use msn_kernels::*;

use crate::support::values;

pub(crate) fn config(pools: &[usize], concat: bool, skip1: bool) -> NetworkConfig {
    NetworkConfig {
        frames: 2,
        channels: 1,
        width: 4,
        pools: pools.to_vec(),
        items: 5,
        skip1,
        concat,
        temperature: 0.5,
        top_k: 3,
    }
}

/// Plausible weights, different for each name.
pub(crate) fn tensor(config: &NetworkConfig, name: &str) -> Option<Vec<f32>> {
    let (_, shape) = config.tensors().into_iter().find(|(n, _)| n == name)?;
    let len = shape.iter().product();
    let seed = name
        .bytes()
        .fold(7, |h: u64, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let scale = if shape.len() == 4 {
        (2.0 / (9.0 * shape[1] as f32)).sqrt()
    } else {
        0.3
    };
    let positive = name.contains("norm") && (name.ends_with("weight") || name.ends_with("var"));
    let mut v: Vec<f32> = values(seed, len)
        .into_iter()
        .map(|v| {
            if positive {
                1.0 + 0.3 * v
            } else {
                v * scale * 1.7
            }
        })
        .collect();
    if name.starts_with("pools") {
        for item in v.chunks_exact_mut(shape[1]) {
            let norm = item.iter().map(|v| v * v).sum::<f32>().sqrt();
            item.iter_mut().for_each(|v| *v /= norm);
        }
    }
    Some(v)
}

const CASES: [(&[usize], bool, bool); 4] = [
    (&[1, 2, 3], false, true),
    (&[1, 2, 3], true, false),
    (&[2], true, true),
    (&[], false, false),
];
const SIZE: (usize, usize, usize) = (3, 16, 24);

fn data(config: &NetworkConfig) -> (Vec<f32>, Vec<f32>) {
    let pixels = SIZE.0 * SIZE.1 * SIZE.2;
    (
        values(1, pixels * config.frames * config.channels),
        values(2, pixels * config.channels),
    )
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    let training = TrainingConfig {
        losses: LossWeights {
            compactness: 0.5,
            separateness: 0.5,
            information: 0.5,
        },
        detach_read: false,
    };
    for (pools, concat, skip1) in CASES {
        // Where an item enters the top k the loss jumps.
        let config = NetworkConfig {
            top_k: 0,
            ..config(pools, concat, skip1)
        };
        let (input, target) = data(&config);
        let loss = |moved: &dyn Fn(&str, Vec<f32>) -> Vec<f32>| {
            let tensor = |name: &str| Some(moved(name, tensor(&config, name)?));
            let mut net =
                Training::new(&config, training, &tensor, Algorithm::Direct).expect("a network");
            let losses = net
                .step(&input, &target, SIZE.0, SIZE.1, SIZE.2)
                .expect("a step");
            (losses.total, net.gradients())
        };
        let (_, gradients) = loss(&|_, v| v);
        // Each layer by itself, along its own gradient: there the slope is the gradient's norm.
        for (name, gradient) in gradients.iter().filter(|(n, _)| n.ends_with("weight")) {
            let norm = gradient
                .iter()
                .map(|g| f64::from(*g).powi(2))
                .sum::<f64>()
                .sqrt();
            let step = 4e-4;
            let along = |h: f64| {
                let moved = |n: &str, v: Vec<f32>| {
                    if n != name {
                        return v;
                    }
                    v.iter()
                        .zip(gradient)
                        .map(|(v, g)| v + (h * f64::from(*g) / norm) as f32)
                        .collect()
                };
                loss(&moved).0
            };
            let slope = (along(step) - along(-step)) / (2.0 * step);
            assert!(
                (slope - norm).abs() < 0.06 * norm + 4e-3,
                "{pools:?} {concat} {skip1} {name}: {slope} {norm}"
            );
        }
    }
}

#[test]
fn a_network_learns_and_predicts_what_it_has_learnt() {
    for (pools, concat, skip1) in CASES {
        let config = config(pools, concat, skip1);
        let (input, _) = data(&config);
        // The newest frame is the next one.
        let target: Vec<f32> = input.iter().skip(1).step_by(2).map(|v| v * 0.5).collect();
        let training = TrainingConfig::default();
        let start = |name: &str| tensor(&config, name);
        let mut net =
            Training::new(&config, training, &start, Algorithm::Fastest).expect("a network");
        let mut losses = Vec::new();
        for _ in 0..60 {
            losses.push(
                net.step(&input, &target, SIZE.0, SIZE.1, SIZE.2)
                    .expect("a step")
                    .prediction,
            );
            net.update(&Adam::default(), 3e-3);
        }
        assert!(
            losses[59] < 0.5 * losses[0],
            "{pools:?}: {} {}",
            losses[0],
            losses[59]
        );
        // Statistics of this very batch alone: evaluation then is training's forward pass.
        net.statistics(&input, SIZE.0, SIZE.1, SIZE.2, 1.0)
            .expect("statistics");
        let tensors = net.tensors();
        let lookup = |name: &str| {
            tensors
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.clone())
        };
        let mut eval = Inference::new(&config, &lookup, Algorithm::Direct).expect("a network");
        let output = eval
            .run(&input, SIZE.0, SIZE.1, SIZE.2)
            .expect("a prediction");
        let error = output
            .prediction
            .iter()
            .zip(&target)
            .map(|(p, t)| f64::from(p - t).powi(2))
            .sum::<f64>();
        let error = error / target.len() as f64;
        // The unbiased variance differs from the biased one, most where pixels are few.
        assert!(
            error < 1.5 * losses[59] + 0.01,
            "{pools:?}: {error} {}",
            losses[59]
        );
    }
}

#[test]
fn pictures_of_other_sizes_are_refused() {
    let config = config(&[1], false, true);
    let start = |name: &str| tensor(&config, name);
    let mut net = Inference::new(&config, &start, Algorithm::Direct).expect("a network");
    let error = net.run(&[0.0; 2 * 12 * 8], 1, 12, 8).expect_err("12 rows");
    assert!(error.to_string().contains("12 x 8"), "{error}");
    let error = net.run(&[0.0; 5], 1, 8, 8).expect_err("five values");
    assert!(error.to_string().contains("has 5 values"), "{error}");
}

#[test]
fn settings_that_no_network_has_are_named() {
    for (change, setting) in [
        (
            NetworkConfig {
                width: 0,
                ..config(&[], false, true)
            },
            "width",
        ),
        (
            NetworkConfig {
                items: 1,
                ..config(&[], false, true)
            },
            "items",
        ),
        (
            NetworkConfig {
                top_k: 6,
                ..config(&[], false, true)
            },
            "top_k",
        ),
        (
            NetworkConfig {
                temperature: f32::NAN,
                ..config(&[], false, true)
            },
            "temperature",
        ),
        (config(&[2, 1], false, true), "pools"),
        (config(&[4], false, true), "pools"),
    ] {
        let error = change.check().expect_err(setting);
        assert!(error.to_string().starts_with(setting), "{error}");
    }
}

/// Predictions in bf16 are those in `f32` but for its rounding, and not the same.
#[test]
fn a_prediction_in_bf16_is_near_that_in_f32() {
    for (pools, concat, skip1) in CASES {
        let config = NetworkConfig {
            width: 16,
            ..config(pools, concat, skip1)
        };
        let (input, _) = data(&config);
        let run = |method: Method| {
            let tensor = |name: &str| tensor(&config, name);
            let mut net = Inference::with_method(&config, &tensor, method).expect("a network");
            net.run(&input, SIZE.0, SIZE.1, SIZE.2)
                .expect("a prediction")
                .prediction
        };
        let full = run(Method::new(Algorithm::Direct));
        let size = (full.iter().map(|v| v * v).sum::<f32>() / full.len() as f32).sqrt();
        for isa in Isa::available().into_iter().filter(|isa| isa.has_bf16()) {
            for (algorithm, tolerance) in [(Algorithm::Direct, 0.02), (Algorithm::Fastest, 0.06)] {
                let half = run(Method {
                    isa,
                    algorithm,
                    precision: Precision::Bf16,
                });
                let squares = half.iter().zip(&full).map(|(a, b)| (a - b).powi(2));
                let e = (squares.sum::<f32>() / full.len() as f32).sqrt() / size;
                assert!(
                    e > 1e-5 && e < tolerance,
                    "{pools:?} {isa} {algorithm:?}: {e}"
                );
            }
        }
    }
}

#[test]
fn a_set_without_bf16_says_so() {
    let config = config(&[1], false, true);
    for isa in Isa::available().into_iter().filter(|isa| !isa.has_bf16()) {
        let method = Method {
            isa,
            precision: Precision::Bf16,
            ..Method::default()
        };
        let error = Inference::with_method(&config, &|name| tensor(&config, name), method)
            .expect_err("no bf16")
            .to_string();
        assert!(
            error.contains(isa.name()) && error.contains("f32"),
            "{error}"
        );
    }
}

/// The profile counts what ran, and nothing before it is started.
#[test]
fn a_profile_names_what_ran() {
    let config = config(&[1, 2, 3], false, true);
    let (input, target) = data(&config);
    let tensor = |name: &str| tensor(&config, name);
    let mut net = Inference::new(&config, &tensor, Algorithm::Fastest).expect("a network");
    let run = |net: &mut Inference| {
        let ran = net.run(&input, SIZE.0, SIZE.1, SIZE.2);
        ran.expect("a prediction");
    };
    run(&mut net);
    assert!(net.profile().rows().is_empty());
    net.profile().start();
    run(&mut net);
    let has = |profile: &Profile, operation, level| {
        let mut rows = profile.rows().iter();
        rows.any(|(o, l, time)| (*o, *l) == (operation, level) && !time.is_zero())
    };
    for level in 1..=4 {
        assert!(has(net.profile(), Operation::Convolution, level));
        assert_eq!(has(net.profile(), Operation::Read, level), level > 1);
        assert_eq!(
            has(net.profile(), Operation::UpConvolution, level),
            level < 4
        );
    }
    let mut net = Training::new(
        &config,
        TrainingConfig::default(),
        &tensor,
        Algorithm::Fastest,
    )
    .expect("a network");
    net.profile().start();
    let ran = net.step(&input, &target, SIZE.0, SIZE.1, SIZE.2);
    ran.expect("a step");
    net.write(WriteRule {
        momentum: None,
        own_maximum: false,
    });
    for operation in [
        Operation::Read,
        Operation::PoolLosses,
        Operation::PoolGradient,
        Operation::Write,
        Operation::InputGradient,
    ] {
        assert!(has(net.profile(), operation, 2), "{operation:?}");
    }
    assert!(has(net.profile(), Operation::InputGradient, 1));
    assert!(!has(net.profile(), Operation::Update, 0));
}
