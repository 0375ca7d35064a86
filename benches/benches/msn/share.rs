//! What the three pools cost of a training step: the ratio to the whole step is their share.

use std::cell::RefCell;

use anyhow::Result;
use benches::{Device, Harness, PerDevice};
use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use msn_kernels::{
    Addressing, FeatureMap, Isa, PackedItems, PoolLossWeights, ReadGradient, Shape, TrainingLookup,
    View, WriteRule, write_items,
};
use msn_memory::{Pool, PoolConfig, queries};
use msn_model::Algorithm;
use msn_train::{BurnEngine, CpuEngine, Engine, Preset};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    draws,
    network::{Case, fresh},
};

pub fn all(harness: &mut Harness) -> Result<()> {
    let cases = if harness.options.short {
        vec![Case::new("tiny", Preset::Tiny, 8, 32, 2)]
    } else {
        vec![
            Case::new("cpu", Preset::Cpu, 16, 64, 8),
            Case::new("cpu", Preset::Cpu, 16, 128, 2),
            Case::new("width 32", Preset::Cpu, 32, 128, 2),
            Case::new("paper", Preset::Paper, 64, 256, 1),
        ]
    };
    for case in cases {
        on_kernels(harness, &case)?;
        for device in harness.devices() {
            // Elsewhere a step takes minutes.
            if device != Device::NdArray {
                let mut share = Share {
                    harness,
                    case: &case,
                    name: device.to_string(),
                };
                device.on(&mut share);
            }
        }
    }
    Ok(())
}

fn subject(case: &Case, name: &str) -> String {
    format!("pools' share of a training step, {}, {name}", case.name)
}

/// Side and features of each pool's map.
fn maps(case: &Case) -> [(usize, usize); 3] {
    [1, 2, 3].map(|p| (case.side >> p, case.settings.net.width << p))
}

fn on_kernels(harness: &mut Harness, case: &Case) -> Result<()> {
    let subject = subject(case, "fast");
    if !harness.wants(&subject) {
        return Ok(());
    }
    let engine = CpuEngine::new(&case.settings, &fresh(&case.settings), Algorithm::Fastest)?;
    let (engine, clips) = (RefCell::new(engine), case.clips());
    harness.time(&subject, "whole step", || {
        let _ = engine.borrow_mut().step(clips.clone(), 1e-6);
    });
    let how = Addressing {
        temperature: 1.0,
        top_k: 0,
    };
    let weights = PoolLossWeights {
        compactness: 0.1,
        separateness: 0.1,
        information: 0.01,
    };
    let rule = WriteRule {
        momentum: None,
        own_maximum: false,
    };
    let isa = Isa::detect();
    let mut pools = maps(case).map(|(side, d)| {
        let shape = Shape::new(case.batch, side, side, d);
        let feature = FeatureMap::from_view(View::dense(&draws(shape.len(), 1), shape));
        let empty = FeatureMap::zeros(shape);
        (
            d,
            feature,
            empty.clone(),
            empty,
            draws(10 * d, 2),
            TrainingLookup::default(),
        )
    });
    // On a thread of the pool, as within a step.
    let mut all = || {
        for (d, feature, read, gradient, items, lookup) in &mut pools {
            let packed = PackedItems::new(isa, items, 10, *d);
            lookup.read(feature.view(), &packed, how, read.view_mut(), None);
            let _ = lookup.losses(&packed, None);
            let (feature, to) = (feature.view(), gradient.view_mut());
            let of = ReadGradient {
                read: feature,
                queries: None,
            };
            lookup.backward(feature, &packed, weights, false, of, to);
            write_items(lookup, items, rule);
            let _ = lookup.usage();
        }
    };
    harness.time(&subject, "three pools", || rayon::scope(|_| all()));
    Ok(())
}

struct Share<'a> {
    harness: &'a mut Harness,
    case: &'a Case,
    name: String,
}

impl PerDevice for Share<'_> {
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device) {
        let subject = subject(self.case, &self.name);
        if !self.harness.wants(&subject) {
            return;
        }
        let mut engine = BurnEngine::<B>::new(&self.case.settings, device).expect("a preset");
        let clips = self.case.clips();
        self.harness.time(&subject, "whole step", || {
            let _ = engine.step(clips.clone(), 1e-6);
        });
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut pools = maps(self.case).map(|(side, d)| {
            let shape = [self.case.batch, d, side, side];
            let values = TensorData::new(draws(shape.iter().product(), 1), shape);
            let pool = Pool::<B>::new(PoolConfig::new(d), &mut rng, device).expect("a pool");
            (pool, Tensor::<B, 4>::from_data(values, device))
        });
        self.harness.time(&subject, "three pools", || {
            for (pool, feature) in &mut pools {
                let lookup = pool.lookup(queries(feature.clone().require_grad()));
                let losses = lookup.compactness() + lookup.separateness() + lookup.information();
                let gradients = (lookup.read().square().mean() + losses).backward();
                drop(gradients);
                pool.write(&lookup);
            }
            B::sync(device).expect("a device that computes");
        });
    }
}
