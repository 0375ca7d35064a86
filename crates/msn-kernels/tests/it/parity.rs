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
            let values = t.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            (name, (t.shape().to_vec(), values))
        });
        Self {
            name: path.file_stem().expect("a name").to_string_lossy().into_owned(),
            tensors: tensors.collect(),
            config: serde_json::from_str(&meta["config"]).expect("a configuration"),
            loss: meta.get("loss").map_or(Value::Null, |l| serde_json::from_str(l).expect("loss weights")),
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
            pools: self.config["pools"].as_array().expect("pools").iter().map(|p| p.as_u64().expect("a pool") as usize).collect(),
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
        let [n, t, c, h, w] = shape[..] else { panic!("frames of shape {shape:?}") };
        let target = &self.tensors["input.target"].1;
        ([n, h, w], channels_last(frames, n, t * c, h * w), channels_last(target, n, c, h * w))
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
                let mut net = Inference::with_isa(&case.config(), &case.weights(), algorithm, isa).expect("a network");
                // Twice: what is left in the buffers must not matter.
                let first = net.run(&input, n, h, w).expect("an output");
                let other = net.run(&vec![0.3; 8 * 16 * case.number("frames") * case.number("channels")], 1, 8, 16);
                assert!(other.is_ok());
                let output = net.run(&input, n, h, w).expect("an output");
                assert!(first == output, "{}: a second run differs", case.name);
                let mut compared = 0;
                let mut check = |name: &str, ours: &[f32], golden: Option<&[f32]>| {
                    if let Some(golden) = golden {
                        let e = excess(ours, golden, times * 1e-4, times * 1e-4);
                        eprintln!("{} {isa} {algorithm:?} {name}: {e:.4} of the tolerance", case.name);
                        assert!(e <= 1.0, "{} {isa} {algorithm:?} {name}: {e}", case.name);
                        compared += 1;
                    }
                };
                let golden = case.get("eval.prediction").map(|g| channels_last(g, n, case.number("channels"), h * w));
                check("prediction", &output.prediction, golden.as_deref());
                assert_eq!(output.distance_maps.len(), case.config().pools.len());
                for (pool, map) in &output.distance_maps {
                    check(&format!("distance map {pool}"), map, case.get(&format!("eval.distance_map.{pool}")));
                }
                assert!(compared > 0 || case.get("eval.prediction").is_none());
            }
        }
    }
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
    assert_eq!(none, KernelError::MissingTensor { name: "encoder.level1.conv1.weight".into() });
    let short = Inference::new(&config, &|_| Some(vec![0.0]), Algorithm::Direct).expect_err("short tensors");
    assert!(short.to_string().contains("encoder.level1.conv1.weight has 1 values, the configuration asks for 9"), "{short}");
}
