//! Several devices, here threads, with parts of a batch are one device with the whole batch.

use std::sync::{Arc, Barrier, Mutex};

use msn_kernels::*;

use crate::{
    network::{config, tensor},
    support::values,
};

/// One of several threads.
#[derive(Debug)]
struct Thread {
    number: usize,
    slots: Arc<Mutex<Vec<Vec<f32>>>>,
    barrier: Arc<Barrier>,
}

impl Thread {
    fn all(count: usize) -> Vec<Self> {
        let slots = Arc::new(Mutex::new(vec![Vec::new(); count]));
        let barrier = Arc::new(Barrier::new(count));
        let one = |number| Self {
            number,
            slots: slots.clone(),
            barrier: barrier.clone(),
        };
        (0..count).map(one).collect()
    }
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.number
    }

    fn world_size(&self) -> usize {
        self.slots.lock().unwrap().len()
    }

    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>> {
        self.slots.lock().unwrap()[self.number] = own.to_vec();
        self.barrier.wait();
        let all = self.slots.lock().unwrap().clone();
        self.barrier.wait();
        all
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        let all = self.all_gather(values);
        for (i, v) in values.iter_mut().enumerate() {
            *v = all.iter().map(|part| part[i]).sum();
        }
    }
}

const BATCH: usize = 6;
const HEIGHT: usize = 16;
const WIDTH: usize = 8;
type Named = Vec<(String, Vec<f32>)>;

fn training() -> TrainingConfig {
    TrainingConfig {
        losses: LossWeights {
            compactness: 0.5,
            separateness: 0.5,
            information: 0.5,
        },
        detach_read: false,
    }
}

/// Some steps; the losses and gradients of the last one, and the network.
fn steps(
    config: &NetworkConfig,
    rule: WriteRule,
    collective: Option<Thread>,
    part: std::ops::Range<usize>,
    steps: u64,
) -> (Losses, Named, Named) {
    let start = |name: &str| tensor(config, name);
    let mut net = Training::new(config, training(), &start, Algorithm::Direct).unwrap();
    if let Some(collective) = collective {
        net.share(Arc::new(collective));
    }
    let mut losses = Losses::default();
    for step in 0..steps {
        let data = |seed, channels: usize| {
            let clip = HEIGHT * WIDTH * channels;
            values(seed, BATCH * clip)[part.start * clip..part.end * clip].to_vec()
        };
        let input = data(2 * step + 1, config.frames * config.channels);
        let target = data(2 * step + 2, config.channels);
        losses = net
            .step(&input, &target, part.len(), HEIGHT, WIDTH)
            .unwrap();
        net.all_reduce_gradients();
        net.update(&Adam::default(), 1e-3);
        net.write(rule);
    }
    (losses, net.gradients(), net.tensors())
}

fn on_devices(
    config: &NetworkConfig,
    rule: WriteRule,
    devices: usize,
    count: u64,
) -> Vec<(Losses, Named, Named)> {
    let share = BATCH / devices;
    std::thread::scope(|scope| {
        let start = |(i, thread)| {
            let part = i * share..(i + 1) * share;
            scope.spawn(move || steps(config, rule, Some(thread), part, count))
        };
        let threads = Thread::all(devices).into_iter().enumerate();
        let running: Vec<_> = threads.map(start).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Largest difference of two networks, as a share of each tensor's largest value.
fn distance(a: &Named, b: &Named) -> f32 {
    let mut worst = 0.0f32;
    for ((name, a), (_, b)) in a.iter().zip(b) {
        // A bias in front of a norm has a gradient of rounding alone.
        let size = a.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
        let d = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        if d / size > worst {
            worst = d / size;
            assert!(worst < 1e-3, "{name} {worst}");
        }
    }
    worst
}

const RULES: [WriteRule; 3] = [
    WriteRule {
        momentum: None,
        own_maximum: false,
    },
    WriteRule {
        momentum: Some(0.7),
        own_maximum: false,
    },
    WriteRule {
        momentum: Some(0.2),
        own_maximum: true,
    },
];

#[test]
fn a_step_on_several_devices_is_one_with_the_whole_batch() {
    for (rule, concat) in RULES.into_iter().zip([false, true, false]) {
        let config = config(&[1, 2, 3], concat, true);
        let (losses, gradients, tensors) = steps(&config, rule, None, 0..BATCH, 1);
        for devices in [1, 2, 3] {
            for (l, g, t) in on_devices(&config, rule, devices, 1) {
                assert!(distance(&gradients, &g) < 2e-4);
                let items = |all: &Named| -> Named {
                    let mut all = all.clone();
                    all.retain(|(name, _)| !name.ends_with("weight") && !name.ends_with("bias"));
                    all
                };
                // Adam's first step has the size of the rate wherever a gradient points, so
                // weights tell nothing; statistics and items do.
                assert!(distance(&items(&tensors), &items(&t)) < 1e-5);
                for (a, b) in [
                    (losses.prediction, l.prediction),
                    (losses.compactness, l.compactness),
                    (losses.separateness, l.separateness),
                    (losses.information, l.information),
                    (losses.total, l.total),
                ] {
                    assert!((a - b).abs() < 1e-5, "{devices}: {losses:?} {l:?}");
                }
            }
        }
    }
}

#[test]
fn all_devices_end_with_the_same_bits() {
    for rule in RULES {
        let config = config(&[1, 3], false, true);
        for devices in [2, 3] {
            let all = on_devices(&config, rule, devices, 4);
            let bits = |named: &Named| -> Vec<u32> {
                let values = named.iter().flat_map(|(_, v)| v);
                values.map(|v| v.to_bits()).collect()
            };
            for other in &all[1..] {
                assert!(bits(&all[0].2) == bits(&other.2), "{devices} devices");
            }
        }
    }
}
