//! The engines against golden cases from PyTorch, where they are at hand.
#![allow(clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use msn_kernels::*;
use safetensors::SafeTensors;
use serde_json::Value;

/// One golden case.
pub struct Case {
    pub name: String,
    pub tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    pub config: Value,
    pub loss: Value,
}

impl Case {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).expect("a readable case");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("safetensors");
        let meta = header.metadata().clone().expect("metadata");
        assert_eq!(meta["format"], "msn-parity-1", "{}", path.display());
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.tensors().into_iter().map(|(name, t)| {
            let values = t
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            (name, (t.shape().to_vec(), values))
        });
        Self {
            name: path
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned(),
            tensors: tensors.collect(),
            config: serde_json::from_str(&meta["config"]).expect("a configuration"),
            loss: meta.get("loss").map_or(Value::Null, |l| {
                serde_json::from_str(l).expect("loss weights")
            }),
        }
    }

    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(|(_, v)| &v[..])
    }

    pub fn number(&self, key: &str) -> usize {
        usize::try_from(self.config[key].as_u64().expect(key)).expect(key)
    }

    pub fn config(&self) -> NetworkConfig {
        let flag = |key: &str| self.config[key].as_bool().expect(key);
        NetworkConfig {
            frames: self.number("frames"),
            channels: self.number("channels"),
            width: self.number("width"),
            pools: self.config["pools"]
                .as_array()
                .expect("pools")
                .iter()
                .map(|p| p.as_u64().expect("a pool") as usize)
                .collect(),
            items: self.number("items"),
            skip1: flag("skip1"),
            concat: self.config["rewrite"] == "concat",
            temperature: self.config["temperature"].as_f64().expect("a temperature") as f32,
            top_k: self.number("top_k"),
        }
    }

    pub fn weights(&self) -> impl Fn(&str) -> Option<Vec<f32>> {
        |name| self.get(&format!("weights.{name}")).map(<[f32]>::to_vec)
    }

    /// `[batch, height, width]` and the input and target, channels last.
    pub fn input(&self) -> ([usize; 3], Vec<f32>, Vec<f32>) {
        let (shape, frames) = &self.tensors["input.frames"];
        let [n, t, c, h, w] = shape[..] else {
            panic!("frames of shape {shape:?}")
        };
        let target = &self.tensors["input.target"].1;
        (
            [n, h, w],
            channels_last(frames, n, t * c, h * w),
            channels_last(target, n, c, h * w),
        )
    }
}

/// `[N, C, HW]` to `[N, HW, C]`.
pub fn channels_last(from: &[f32], n: usize, channels: usize, pixels: usize) -> Vec<f32> {
    let mut to = Vec::with_capacity(from.len());
    for n in 0..n {
        for p in 0..pixels {
            to.extend((0..channels).map(|c| from[(n * channels + c) * pixels + p]));
        }
    }
    to
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/parity")
}

/// All cases; none, with a line that says so, where they are not at hand.
pub fn cases() -> Vec<Case> {
    let Ok(entries) = std::fs::read_dir(fixtures()) else {
        eprintln!("skipped: no golden cases at {}", fixtures().display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    paths.iter().map(|p| Case::read(p)).collect()
}

/// Largest excess of |ours - golden| over the tolerance `absolute + relative |golden|`, as a
/// fraction of it: up to 1 is a pass.
pub fn excess(ours: &[f32], golden: &[f32], absolute: f64, relative: f64) -> f64 {
    assert_eq!(ours.len(), golden.len());
    let each = ours.iter().zip(golden).map(|(a, b)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        (a - b).abs() / (absolute + relative * b.abs())
    });
    each.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

#[test]
fn evaluation_agrees_with_the_golden_cases() {
    for case in cases() {
        let ([n, h, w], input, _) = case.input();
        for isa in Isa::available() {
            for (algorithm, times) in [(Algorithm::Direct, 1.0), (Algorithm::Winograd, 10.0)] {
                let mut net = Inference::with_method(
                    &case.config(),
                    &case.weights(),
                    Method {
                        isa,
                        ..Method::new(algorithm)
                    },
                )
                .expect("a network");
                // Twice: what is left in the buffers must not matter.
                let first = net.run(&input, n, h, w).expect("an output");
                let other = net.run(
                    &vec![0.3; 8 * 16 * case.number("frames") * case.number("channels")],
                    1,
                    8,
                    16,
                );
                assert!(other.is_ok());
                let output = net.run(&input, n, h, w).expect("an output");
                assert!(first == output, "{}: a second run differs", case.name);
                let (mut compared, mut worst) = (0, 0.0_f64);
                let mut check = |name: &str, ours: &[f32], golden: Option<&[f32]>| {
                    if let Some(golden) = golden {
                        let e = excess(ours, golden, times * 1e-4, times * 1e-4);
                        worst = worst.max(e);
                        assert!(e <= 1.0, "{} {isa} {algorithm:?} {name}: {e}", case.name);
                        compared += 1;
                    }
                };
                let golden = case
                    .get("eval.prediction")
                    .map(|g| channels_last(g, n, case.number("channels"), h * w));
                check("prediction", &output.prediction, golden.as_deref());
                assert_eq!(output.distance_maps.len(), case.config().pools.len());
                for (pool, map) in &output.distance_maps {
                    check(
                        &format!("distance map {pool}"),
                        map,
                        case.get(&format!("eval.distance_map.{pool}")),
                    );
                }
                eprintln!(
                    "{} {isa} {algorithm:?}: worst {worst:.4} of the tolerance",
                    case.name
                );
                assert!(compared > 0 || case.get("eval.prediction").is_none());
            }
        }
    }
}

/// Tensors by name.
type Named = Vec<(String, Vec<f32>)>;

/// One step of training as the case has it: forward, backward, Adam, write.
fn trained(case: &Case, algorithm: Algorithm, isa: Isa) -> (Losses, Named, Named) {
    let weight = |key: &str| case.loss[key].as_f64().unwrap_or(0.0) as f32;
    let training = TrainingConfig {
        losses: LossWeights {
            compactness: weight("compactness"),
            separateness: weight("separateness"),
            information: weight("information"),
        },
        detach_read: case.config["detach_read"].as_bool().expect("detach_read"),
    };
    let mut net = Training::with_isa(&case.config(), training, &case.weights(), algorithm, isa)
        .expect("a network");
    let ([n, h, w], input, target) = case.input();
    let losses = net.step(&input, &target, n, h, w).expect("a step");
    let gradients = net.gradients();
    net.update(&Adam::default(), 1e-3);
    let momentum = case.config["momentum"].as_f64().expect("momentum") as f32;
    net.write(WriteRule {
        momentum: (case.config["write"] == "mean").then_some(momentum),
        own_maximum: case.config["write_max"] == "own",
    });
    (losses, gradients, net.tensors())
}

#[test]
fn a_training_step_agrees_with_the_golden_cases() {
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
                    ("loss", losses.total),
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
                let named = gradients.iter().map(|(n, _)| n.as_str());
                let missing: Vec<_> = case
                    .tensors
                    .keys()
                    .filter_map(|k| k.strip_prefix("train.grad."))
                    .filter(|k| !named.clone().any(|n| n == *k))
                    .collect();
                assert!(missing.is_empty(), "{title}: no gradient of {missing:?}");
                let named = tensors.iter().map(|(n, _)| n.as_str());
                let missing: Vec<_> = case
                    .tensors
                    .keys()
                    .filter_map(|k| k.strip_prefix("train.after."))
                    .filter(|k| !named.clone().any(|n| n == *k))
                    .collect();
                assert!(
                    missing.is_empty(),
                    "{title}: no tensor {missing:?} after the step"
                );
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

#[test]
fn a_missing_or_wrong_tensor_is_named() {
    let config = NetworkConfig {
        frames: 1,
        channels: 1,
        width: 1,
        pools: vec![],
        items: 2,
        skip1: true,
        concat: false,
        temperature: 1.0,
        top_k: 0,
    };
    let none = Inference::new(&config, &|_| None, Algorithm::Direct).expect_err("no tensors");
    assert_eq!(
        none,
        KernelError::MissingTensor {
            name: "encoder.level1.conv1.weight".into()
        }
    );
    let short = Inference::new(&config, &|_| Some(vec![0.0]), Algorithm::Direct)
        .expect_err("short tensors");
    assert!(
        short
            .to_string()
            .contains("encoder.level1.conv1.weight has 1 values, the configuration asks for 9"),
        "{short}"
    );
}
