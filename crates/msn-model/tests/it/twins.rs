//! Burn's network and the CPU's are the same network.

use burn::{
    backend::{Autodiff, Flex},
    optim::GradientsParams,
    tensor::{Tensor, TensorData},
};
use msn_model::*;
use proptest::prelude::*;

use crate::{
    config::configs,
    support::{tensors, values},
};

const SIDES: (usize, usize) = (16, 8);

fn clips(config: &NetConfig, seed: u64, count: usize) -> Clips {
    let area = count * SIDES.0 * SIDES.1;
    Clips {
        count,
        height: SIDES.0,
        width: SIDES.1,
        frames: values(seed, area * config.frames * config.channels),
        target: values(seed ^ 1, area * config.channels),
    }
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let worse = |m: f32, d: f32| if d > m || d.is_nan() { d } else { m };
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, worse)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn predictions_and_distances_agree(config in configs(), seed: u64) {
        // Reading the nearest k alone jumps where two items are equally near.
        let config = NetConfig { top_k: 0, ..config };
        let (tensors, device) = (tensors(&config), Default::default());
        let burn = MsnNet::<Flex>::new(&config, 0, &device).unwrap();
        let burn = OnDevice { net: burn.with_tensors(&tensors).unwrap(), device };
        let cpu = CpuNet::new(&config, &tensors, Algorithm::Direct).unwrap();
        let clips = clips(&config, seed, 2);
        let (a, b) = (burn.predict(&clips).unwrap(), cpu.predict(&clips).unwrap());
        for (a, b) in a.iter().zip(&b) {
            let far = distance(&a.planes, &b.planes);
            prop_assert!(far < 1e-4, "{config:?}: {far}");
            prop_assert_eq!(a.distances.len(), config.pools.len());
            for ((p, a), (q, b)) in a.distances.iter().zip(&b.distances) {
                prop_assert_eq!((p, a.height, a.width), (q, b.height, b.width));
                let far = distance(&a.values, &b.values);
                prop_assert!(far < 1e-4, "{config:?} pool {p}: {far}");
            }
        }
    }

    #[test]
    fn losses_of_a_training_pass_agree(config in configs(), seed: u64) {
        type B = Autodiff<Flex>;
        let config = NetConfig { top_k: 0, ..config };
        let (tensors, device) = (tensors(&config), Default::default());
        let weights = LossWeights::default();
        let burn = MsnNet::<B>::new(&config, 0, &device).unwrap();
        let burn = burn.with_tensors(&tensors).unwrap();
        let clips = clips(&config, seed, 2);
        let (n, h, w) = (clips.count, clips.height, clips.width);
        let past = config.frames * config.channels;
        let input = channels_last(&clips.frames, n, past, h * w);
        let target = channels_last(&clips.target, n, config.channels, h * w);
        let mut cpu = CpuTraining::new(&config, weights, &tensors, Algorithm::Direct).unwrap();
        let ours = cpu.step(&input, &target, n, h, w).unwrap();

        let planes = |values: &[f32], c: usize| {
            Tensor::<B, 4>::from_data(TensorData::new(values.to_vec(), [n, c, h, w]), &device)
        };
        let output = burn.forward(planes(&clips.frames, past), Mode::Train);
        let losses = Losses::new(&output, planes(&clips.target, config.channels));
        let total = losses.total(&weights);
        let number = |t: &Tensor<B, 1>| -> f64 { t.clone().into_scalar().into() };
        for (name, burn, cpu) in [
            ("prediction", number(&losses.prediction), ours.prediction),
            ("compactness", number(&losses.compactness), ours.compactness),
            ("separateness", number(&losses.separateness), ours.separateness),
            ("information", number(&losses.information), ours.information),
            ("total", number(&total), ours.total(&weights)),
        ] {
            prop_assert!((burn - cpu).abs() < 1e-4, "{config:?} {name}: {burn} {cpu}");
        }
        // All gradients as one vector: a ReLU at its edge may turn a single one.
        let gradients = cpu.gradients();
        let mut theirs = Collected { grads: GradientsParams::from_grads(total.backward(), &burn), named: Tensors::new() };
        burn.visit_tensors(&mut theirs);
        let (mut apart, mut all) = (0.0f64, 0.0f64);
        for (name, theirs) in &theirs.named {
            for (a, b) in theirs.values.iter().zip(&gradients[name].values) {
                apart += f64::from(a - b).powi(2);
                all += f64::from(*a).powi(2);
            }
        }
        prop_assert!(!theirs.named.is_empty());
        prop_assert!(apart.sqrt() < 2e-2 * all.sqrt() + 1e-5, "{config:?}: {} {}", apart.sqrt(), all.sqrt());
    }
}

struct Collected {
    grads: GradientsParams,
    named: Tensors,
}

impl Visit<Autodiff<Flex>> for Collected {
    fn tensor<const D: usize>(
        &mut self,
        name: &str,
        param: &burn::module::Param<Tensor<Autodiff<Flex>, D>>,
    ) {
        if let Some(gradient) = self.grads.get::<Flex, D>(param.id) {
            self.named.insert(name.to_owned(), HostTensor::of(gradient));
        }
    }
}
