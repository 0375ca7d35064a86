//! Laws of the CPU's network that need no golden case.

use msn_model::*;

use crate::support::{config, tensors, values};

const CASES: [(&[usize], Rewrite, bool); 4] = [
    (&[1, 2, 3], Rewrite::Replace, true),
    (&[1, 2, 3], Rewrite::Concat, false),
    (&[2], Rewrite::Concat, true),
    (&[], Rewrite::Replace, false),
];
const NO_POOL_LOSSES: LossWeights = LossWeights {
    compactness: 0.0,
    separateness: 0.0,
    information: 0.0,
};
const SIZE: (usize, usize, usize) = (3, 16, 24);

fn data(config: &NetConfig) -> (Vec<f32>, Vec<f32>) {
    let pixels = SIZE.0 * SIZE.1 * SIZE.2;
    (
        values(1, pixels * config.frames * config.channels),
        values(2, pixels * config.channels),
    )
}

#[test]
fn gradients_are_slopes_of_the_loss() {
    let weights = LossWeights {
        compactness: 0.5,
        separateness: 0.5,
        information: 0.5,
    };
    for (pools, rewrite, skip1) in CASES {
        // Where an item enters the top k the loss jumps.
        let config = NetConfig {
            top_k: 0,
            ..config(pools, rewrite, skip1)
        };
        let (input, target) = data(&config);
        let start = tensors(&config);
        let loss = |tensors: &Tensors| {
            let mut net =
                CpuTraining::new(&config, weights, tensors, Algorithm::Direct).expect("a network");
            let losses = net
                .step(&input, &target, SIZE.0, SIZE.1, SIZE.2)
                .expect("a step");
            (losses.total(&weights), net.gradients())
        };
        let (_, gradients) = loss(&start);
        // Each layer by itself, along its own gradient: there the slope is the gradient's norm.
        for (name, gradient) in gradients.iter().filter(|(n, _)| n.ends_with("weight")) {
            let norm = gradient
                .values
                .iter()
                .map(|g| f64::from(*g).powi(2))
                .sum::<f64>()
                .sqrt();
            let step = 4e-4;
            let along = |h: f64| {
                let mut moved = start.clone();
                let values = &mut moved.get_mut(name).expect("a parameter").values;
                for (v, g) in values.iter_mut().zip(&gradient.values) {
                    *v += (h * f64::from(*g) / norm) as f32;
                }
                loss(&moved).0
            };
            let slope = (along(step) - along(-step)) / (2.0 * step);
            assert!(
                (slope - norm).abs() < 0.06 * norm + 4e-3,
                "{pools:?} {rewrite:?} {skip1} {name}: {slope} {norm}"
            );
        }
    }
}

#[test]
fn a_network_learns_and_predicts_what_it_has_learnt() {
    for (pools, rewrite, skip1) in CASES {
        let config = config(pools, rewrite, skip1);
        let (input, _) = data(&config);
        // The newest frame is the next one.
        let target: Vec<f32> = input.iter().skip(1).step_by(2).map(|v| v * 0.5).collect();
        let start = tensors(&config);
        let mut net = CpuTraining::new(&config, NO_POOL_LOSSES, &start, Algorithm::Fastest)
            .expect("a network");
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
        let eval = CpuNet::new(&config, &net.tensors(), Algorithm::Direct).expect("a network");
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
fn frames_of_other_sizes_are_refused() {
    let config = config(&[1], Rewrite::Replace, true);
    let net = CpuNet::new(&config, &tensors(&config), Algorithm::Direct).expect("a network");
    let error = net.run(&[0.0; 2 * 12 * 8], 1, 12, 8).expect_err("12 rows");
    assert!(error.to_string().contains("12 x 8"), "{error}");
    let error = net.run(&[0.0; 5], 1, 8, 8).expect_err("five values");
    assert!(error.to_string().contains("has 5 values"), "{error}");
}

/// Predictions in bf16 are those in `f32` but for its rounding, and not the same.
#[test]
fn a_prediction_in_bf16_is_near_that_in_f32() {
    for (pools, rewrite, skip1) in CASES {
        let config = NetConfig {
            width: 16,
            ..config(pools, rewrite, skip1)
        };
        let (input, _) = data(&config);
        let run = |method: Method| {
            let net = CpuNet::new(&config, &tensors(&config), method).expect("a network");
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
fn training_is_in_f32_alone() {
    let config = config(&[1], Rewrite::Replace, true);
    let method = Method {
        precision: Precision::Bf16,
        isa: Isa::portable(),
        ..Method::default()
    };
    let error =
        CpuTraining::new(&config, NO_POOL_LOSSES, &tensors(&config), method).expect_err("bf16");
    assert!(error.to_string().contains("in f32, not in bf16"), "{error}");
}

#[test]
fn a_missing_or_wrong_tensor_is_named() {
    let config = config(&[], Rewrite::Replace, true);
    let error = |tensors: &Tensors| {
        CpuNet::new(&config, tensors, Algorithm::Direct).expect_err("tensors that do not fit")
    };
    let name = "encoder.level1.conv1.weight".to_owned();
    let missing = TensorError::Missing { name: name.clone() };
    assert_eq!(error(&Tensors::new()), CpuError::Tensor(missing));

    let mut short = tensors(&config);
    let tensor = HostTensor {
        shape: vec![1],
        values: vec![0.0],
    };
    short.insert(name, tensor.clone());
    let message = error(&short).to_string();
    assert!(
        message
            .contains("encoder.level1.conv1.weight has shape [1], the network wants [4, 2, 3, 3]"),
        "{message}"
    );

    let mut more = tensors(&config);
    more.insert("pools.1.items".to_owned(), tensor);
    let message = error(&more).to_string();
    assert!(
        message.contains("pools.1.items belongs to no part"),
        "{message}"
    );
}

/// A checkpoint's Adam state continues bit for bit; one that does not fit names its tensor.
#[test]
fn an_optimiser_state_goes_on_bit_for_bit() {
    let config = config(&[1, 3], Rewrite::Concat, true);
    let (input, target) = data(&config);
    let step = |net: &mut CpuTraining| {
        net.step(&input, &target, SIZE.0, SIZE.1, SIZE.2)
            .expect("a step");
        net.update(&Adam::default(), 1e-3);
        net.write();
    };
    let new = |tensors: &Tensors| {
        let weights = LossWeights::default();
        CpuTraining::new(&config, weights, tensors, Algorithm::Fastest).expect("a network")
    };
    let mut net = new(&tensors(&config));
    step(&mut net);
    step(&mut net);
    let mut other = new(&net.tensors());
    let mut state = net.optimiser();
    other.set_optimiser(&state).expect("a state that fits");
    step(&mut net);
    step(&mut other);
    assert!(net.tensors() == other.tensors() && net.optimiser() == other.optimiser());

    state.mean.remove("decoder.level4.conv1.bias");
    let error = other.set_optimiser(&state).expect_err("a missing mean");
    assert!(
        error.to_string().contains("decoder.level4.conv1.bias"),
        "{error}"
    );
}

#[test]
fn a_set_without_bf16_says_so() {
    let config = config(&[1], Rewrite::Replace, true);
    for isa in Isa::available().into_iter().filter(|isa| !isa.has_bf16()) {
        let method = Method {
            isa,
            precision: Precision::Bf16,
            ..Method::default()
        };
        let error = CpuNet::new(&config, &tensors(&config), method)
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
    let config = config(&[1, 2, 3], Rewrite::Replace, true);
    let (input, target) = data(&config);
    let start = tensors(&config);
    let mut net = CpuNet::new(&config, &start, Algorithm::Fastest).expect("a network");
    let run = |net: &mut CpuNet| {
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
    let mut net =
        CpuTraining::new(&config, NO_POOL_LOSSES, &start, Algorithm::Fastest).expect("a network");
    net.profile().start();
    let ran = net.step(&input, &target, SIZE.0, SIZE.1, SIZE.2);
    ran.expect("a step");
    net.write();
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
