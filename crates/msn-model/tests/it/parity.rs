//! Both networks against golden cases from PyTorch, where they are at hand.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;

use burn::{
    backend::{Flex, NdArray},
    tensor::{Tensor, TensorData, backend::Backend},
};
use camino::{Utf8Path, Utf8PathBuf};
use msn_model::*;

/// One golden case.
struct Case {
    name: String,
    file: TensorFile,
    settings: ParityCase,
    weights: Tensors,
}

impl Case {
    fn read(path: &Utf8Path) -> Self {
        let file = TensorFile::read(path).expect("a readable case");
        let weights = file.tensors.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix("weights.")?;
            Some((name.to_owned(), tensor.clone()))
        });
        Self {
            name: path.file_stem().expect("a name").to_owned(),
            settings: ParityCase::of(&file).expect("settings"),
            weights: weights.collect(),
            file,
        }
    }

    fn get(&self, name: &str) -> Option<&[f32]> {
        self.file.tensors.get(name).map(|t| &t.values[..])
    }

    /// `[N, T*C, H, W]` and `[N, C, H, W]`.
    fn clips(&self) -> Clips {
        let frames = &self.file.tensors["input.frames"];
        let [count, _, _, height, width] = frames.shape[..] else {
            panic!("frames of shape {:?}", frames.shape)
        };
        Clips {
            count,
            height,
            width,
            frames: frames.values.clone(),
            target: self.file.tensors["input.target"].values.clone(),
        }
    }

    /// Input and target as the kernels take them.
    fn channels_last(&self) -> (Clips, Vec<f32>, Vec<f32>) {
        let (clips, config) = (self.clips(), &self.settings.config);
        let area = clips.height * clips.width;
        let past = config.frames * config.channels;
        let input = channels_last(&clips.frames, clips.count, past, area);
        let target = channels_last(&clips.target, clips.count, config.channels, area);
        (clips, input, target)
    }
}

fn fixtures() -> Utf8PathBuf {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/parity")
}

/// All cases; none, with a line that says so, where they are not at hand.
fn cases() -> Vec<Case> {
    let Ok(entries) = fixtures().read_dir_utf8() else {
        eprintln!("skipped: no golden cases at {}", fixtures());
        return Vec::new();
    };
    let paths = entries.map(|e| e.expect("an entry").into_path());
    let mut paths: Vec<_> = paths
        .filter(|p| p.extension() == Some("safetensors"))
        .collect();
    paths.sort();
    paths.iter().map(|p| Case::read(p)).collect()
}

/// Largest excess of |ours - golden| over the tolerance `absolute + relative |golden|`, as a
/// fraction of it: up to 1 is a pass.
fn excess(ours: &[f32], golden: &[f32], absolute: f64, relative: f64) -> f64 {
    assert_eq!(ours.len(), golden.len());
    let each = ours.iter().zip(golden).map(|(a, b)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        (a - b).abs() / (absolute + relative * b.abs())
    });
    each.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// Compares a prediction `[N, C, H, W]` and distance maps by pool; how many tensors were compared.
fn compare_evaluation(
    case: &Case,
    title: &str,
    times: f64,
    prediction: &[f32],
    distances: &[(usize, Vec<f32>)],
) -> usize {
    let (mut compared, mut worst) = (0, 0.0_f64);
    let mut check = |name: &str, ours: &[f32]| {
        if let Some(golden) = case.get(&format!("eval.{name}")) {
            let e = excess(ours, golden, times * 1e-4, times * 1e-4);
            worst = worst.max(e);
            assert!(e <= 1.0, "{} {title} {name}: {e}", case.name);
            compared += 1;
        }
    };
    check("prediction", prediction);
    assert_eq!(distances.len(), case.settings.config.pools.len());
    for (pool, map) in distances {
        check(&format!("distance_map.{pool}"), map);
    }
    eprintln!("{} {title}: worst {worst:.4} of the tolerance", case.name);
    compared
}

fn evaluation_on<B: Backend>(title: &str) {
    let device = Default::default();
    for case in cases() {
        let net = MsnNet::<B>::new(&case.settings.config, 0, &device).expect("a network");
        let net = net.with_tensors(&case.weights).expect("tensors that fit");
        let [frames, _] = case.clips().tensors::<B>(&case.settings.config, &device);
        let output = net.forward(frames, Mode::Evaluate);
        let distances = output.lookups.iter().map(|at| {
            let map = at.distance_map().into_data().iter::<f32>().collect();
            (at.pool, map)
        });
        let distances: Vec<_> = distances.collect();
        let prediction: Vec<f32> = output.prediction.into_data().iter::<f32>().collect();
        let compared = compare_evaluation(&case, title, 1.0, &prediction, &distances);
        assert!(compared > 0, "{}", case.name);
    }
}

#[test]
fn burns_network_agrees_with_the_golden_cases_on_flex() {
    evaluation_on::<Flex>("flex");
}

#[test]
fn burns_network_agrees_with_the_golden_cases_on_ndarray() {
    evaluation_on::<NdArray>("ndarray");
}

/// The losses of a training step's forward pass, on batch statistics.
#[test]
fn burns_losses_agree_with_the_golden_cases() {
    let device = Default::default();
    for case in cases() {
        let config = &case.settings.config;
        let net = MsnNet::<Flex>::new(config, 0, &device).expect("a network");
        let net = net.with_tensors(&case.weights).expect("tensors that fit");
        let clips = case.clips();
        let shape = [clips.count, config.channels, clips.height, clips.width];
        let target = TensorData::new(clips.target.clone(), shape);
        let [frames, _] = clips.tensors::<Flex>(config, &device);
        let output = net.forward(frames, Mode::Train);
        let losses = Losses::new(&output, Tensor::from_data(target, &device));
        let total = losses.total(&case.settings.loss);
        let mut compared = 0;
        for (name, ours) in [
            ("prediction", losses.prediction),
            ("compactness", losses.compactness),
            ("separateness", losses.separateness),
            ("information", losses.information),
            ("loss", total),
        ] {
            if let Some(golden) = case.get(&format!("train.{name}")) {
                let ours: Vec<f32> = ours.into_data().iter::<f32>().collect();
                let e = excess(&ours, golden, 1e-4, 1e-4);
                assert!(e <= 1.0, "{} {name}: {e}", case.name);
                compared += 1;
            }
        }
        assert!(compared > 0, "{}", case.name);
    }
}

#[test]
fn the_cpus_evaluation_agrees_with_the_golden_cases() {
    for case in cases() {
        let config = &case.settings.config;
        let (clips, input, _) = case.channels_last();
        let (n, h, w) = (clips.count, clips.height, clips.width);
        for isa in Isa::available() {
            for (algorithm, times) in [(Algorithm::Direct, 1.0), (Algorithm::Winograd, 10.0)] {
                let method = Method {
                    isa,
                    ..Method::new(algorithm)
                };
                let net = CpuNet::new(config, &case.weights, method).expect("a network");
                // Twice: what is left in the buffers must not matter.
                let first = net.run(&input, n, h, w).expect("an output");
                let other = vec![0.3; 8 * 16 * config.frames * config.channels];
                assert!(net.run(&other, 1, 8, 16).is_ok());
                let output = net.run(&input, n, h, w).expect("an output");
                assert!(first == output, "{}: a second run differs", case.name);
                let predicted = net.predict(&clips).expect("a prediction");
                let prediction: Vec<f32> = predicted.into_iter().flat_map(|p| p.planes).collect();
                let title = format!("{isa} {algorithm:?}");
                let compared =
                    compare_evaluation(&case, &title, times, &prediction, &output.distances);
                assert!(compared > 0, "{}", case.name);
            }
        }
    }
}

/// One step of training as the case has it: forward, backward, Adam, write.
fn trained(case: &Case, algorithm: Algorithm, isa: Isa) -> (Losses, Tensors, Tensors) {
    let ParityCase {
        config,
        loss,
        lr,
        adam,
        ..
    } = &case.settings;
    let method = Method {
        isa,
        ..Method::new(algorithm)
    };
    let mut net = CpuTraining::new(config, *loss, &case.weights, method).expect("a network");
    let (clips, input, target) = case.channels_last();
    let losses = net
        .step(&input, &target, clips.count, clips.height, clips.width)
        .expect("a step");
    let gradients = net.gradients();
    net.update(adam, *lr);
    net.write();
    (losses, gradients, net.tensors())
}

#[test]
fn the_cpus_training_step_agrees_with_the_golden_cases() {
    for case in cases() {
        for isa in Isa::available() {
            for (algorithm, times) in [
                (Algorithm::Direct, 1.0),
                (Algorithm::Fastest, 10.0),
                (Algorithm::Winograd, 10.0),
            ] {
                let (losses, gradients, tensors) = trained(&case, algorithm, isa);
                let title = format!("{} {isa} {algorithm:?}", case.name);
                let mut worst = BTreeMap::new();
                let mut check = |kind: &'static str, name: &str, e: f64| {
                    let worst = worst.entry(kind).or_insert(0.0_f64);
                    *worst = worst.max(e);
                    assert!(e <= 1.0, "{title}: {kind} {name}: {e} of the tolerance");
                };
                for (name, ours) in [
                    ("prediction", losses.prediction),
                    ("compactness", losses.compactness),
                    ("separateness", losses.separateness),
                    ("information", losses.information),
                    ("loss", losses.total(&case.settings.loss)),
                ] {
                    if let Some(golden) = case.get(&format!("train.{name}")) {
                        check(
                            "loss",
                            name,
                            excess(&[ours as f32], golden, times * 1e-4, times * 1e-4),
                        );
                    }
                }
                // On each and every layer, Winograd's rounding decides the side of a ReLU here and
                // there, which moves single gradients: there they are held to their norm.
                let by_norm = algorithm == Algorithm::Winograd;
                let (mut distance, mut norm) = (0.0_f64, 0.0_f64);
                for (name, ours) in &gradients {
                    let Some(golden) = case.get(&format!("train.grad.{name}")) else {
                        continue;
                    };
                    let ours = &ours.values;
                    let largest = golden.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
                    let tolerance = times * (1e-4 * f64::from(largest) + 1e-6);
                    if !by_norm {
                        check("gradient", name, excess(ours, golden, tolerance, 0.0));
                    }
                    distance += ours
                        .iter()
                        .zip(golden)
                        .map(|(a, b)| f64::from(a - b).powi(2))
                        .sum::<f64>();
                    norm += golden.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
                }
                check(
                    "gradients' norm",
                    "of all",
                    distance.sqrt()
                        / (if by_norm { 0.1 } else { times * 1e-4 } * norm.sqrt() + 1e-12),
                );
                for (name, ours) in &tensors {
                    let Some(golden) = case.get(&format!("train.after.{name}")) else {
                        continue;
                    };
                    let ours = &ours.values;
                    if let Some(gradient) = case.get(&format!("train.grad.{name}")) {
                        let pairs = ours
                            .iter()
                            .zip(golden)
                            .zip(gradient)
                            .filter(|(_, g)| g.abs() >= 1e-6);
                        let (a, b): (Vec<f32>, Vec<f32>) = pairs.map(|(p, _)| (*p.0, *p.1)).unzip();
                        check("after", name, excess(&a, &b, times * 2e-4, 0.0));
                    } else {
                        check("after", name, excess(ours, golden, times * 1e-4, 0.0));
                    }
                }
                for (prefix, ours) in [("train.grad.", &gradients), ("train.after.", &tensors)] {
                    let golden = case.file.tensors.keys();
                    let missing: Vec<_> = golden
                        .filter_map(|k| k.strip_prefix(prefix))
                        .filter(|k| !ours.contains_key(*k))
                        .collect();
                    assert!(missing.is_empty(), "{title}: no {prefix}{missing:?}");
                }
                eprintln!("{title}: worst {worst:.4?} of the tolerance");
            }
        }
    }
}

/// The same step gives the same bits on any number of threads.
#[test]
fn training_does_not_depend_on_the_number_of_threads() {
    let Some(case) = cases().into_iter().next() else {
        return;
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        pool.install(|| trained(&case, Algorithm::Fastest, Isa::detect()).2)
    };
    let one = run(1);
    assert!(one == run(2) && one == run(5));
}
