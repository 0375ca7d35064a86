//! Several ranks, here threads, with parts of a batch are one rank with the whole batch.

use std::sync::Arc;

use msn_kernels::reference::ThreadRank;
use msn_memory::{Write, WriteMax};
use msn_model::*;

use crate::support::{config, tensors, values};

const BATCH: usize = 6;
const HEIGHT: usize = 16;
const WIDTH: usize = 8;
const LOSS: LossWeights = LossWeights {
    compactness: 0.5,
    separateness: 0.5,
    information: 0.5,
};

/// Some steps; the losses and gradients of the last one, and the network.
fn steps(
    config: &NetConfig,
    collective: Option<ThreadRank>,
    part: std::ops::Range<usize>,
    steps: u64,
) -> (Losses, Tensors, Tensors) {
    let mut net = CpuTraining::new(config, LOSS, &tensors(config), Algorithm::Direct).unwrap();
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
        net.write();
    }
    (losses, net.gradients(), net.tensors())
}

fn on_ranks(config: &NetConfig, ranks: usize, count: u64) -> Vec<(Losses, Tensors, Tensors)> {
    let share = BATCH / ranks;
    std::thread::scope(|scope| {
        let start = |(i, thread)| {
            let part = i * share..(i + 1) * share;
            scope.spawn(move || steps(config, Some(thread), part, count))
        };
        let threads = ThreadRank::all(ranks).into_iter().enumerate();
        let running: Vec<_> = threads.map(start).collect();
        running.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Largest difference of two networks, as a share of each tensor's largest value.
fn distance(a: &Tensors, b: &Tensors) -> f32 {
    let mut worst = 0.0f32;
    for ((name, a), b) in a.iter().zip(b.values()) {
        let (a, b) = (&a.values, &b.values);
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

/// Networks with each rule of writing.
fn rules(pools: &[usize], rewrites: [Rewrite; 3]) -> [NetConfig; 3] {
    let rules = [
        (Write::Sum, 0.0, WriteMax::All),
        (Write::Mean, 0.7, WriteMax::All),
        (Write::Mean, 0.2, WriteMax::Own),
    ];
    std::array::from_fn(|i| {
        let (write, momentum, write_max) = rules[i];
        NetConfig {
            write,
            momentum,
            write_max,
            ..config(pools, rewrites[i], true)
        }
    })
}

#[test]
fn a_step_on_several_ranks_is_one_with_the_whole_batch() {
    let rewrites = [Rewrite::Replace, Rewrite::Concat, Rewrite::Replace];
    for config in rules(&[1, 2, 3], rewrites) {
        let (losses, gradients, tensors) = steps(&config, None, 0..BATCH, 1);
        for ranks in [1, 2, 3] {
            for (l, g, t) in on_ranks(&config, ranks, 1) {
                assert!(distance(&gradients, &g) < 2e-4);
                let statistics_and_items = |all: &Tensors| -> Tensors {
                    let mut all = all.clone();
                    all.retain(|name, _| !name.ends_with("weight") && !name.ends_with("bias"));
                    all
                };
                // Adam's first step has the size of the rate wherever a gradient points, so
                // weights tell nothing; statistics and items do.
                let [a, b] = [&tensors, &t].map(statistics_and_items);
                assert!(distance(&a, &b) < 1e-5);
                for (a, b) in [
                    (losses.prediction, l.prediction),
                    (losses.compactness, l.compactness),
                    (losses.separateness, l.separateness),
                    (losses.information, l.information),
                    (losses.total(&LOSS), l.total(&LOSS)),
                ] {
                    assert!((a - b).abs() < 1e-5, "{ranks}: {losses:?} {l:?}");
                }
            }
        }
    }
}

#[test]
fn all_ranks_end_with_the_same_bits() {
    for config in rules(&[1, 3], [Rewrite::Replace; 3]) {
        for ranks in [2, 3] {
            let all = on_ranks(&config, ranks, 4);
            let bits = |tensors: &Tensors| -> Vec<u32> {
                let values = tensors.values().flat_map(|t| &t.values);
                values.map(|v| v.to_bits()).collect()
            };
            for other in &all[1..] {
                assert!(bits(&all[0].2) == bits(&other.2), "{ranks} ranks");
            }
        }
    }
}
