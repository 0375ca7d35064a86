//! Networks and values to test with.

use msn_model::{HostTensor, NetConfig, Rewrite, Tensors};

/// Values in -1..1 from a seed (SplitMix64).
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    (0..len)
        .map(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z >> 40) as f32) / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// A small network.
pub fn config(pools: &[usize], rewrite: Rewrite, skip1: bool) -> NetConfig {
    NetConfig {
        frames: 2,
        width: 4,
        pools: pools.to_vec(),
        items: 5,
        skip1,
        rewrite,
        temperature: 0.5,
        top_k: 3,
        ..NetConfig::default()
    }
}

/// Plausible tensors, different for each name.
pub fn tensors(config: &NetConfig) -> Tensors {
    let all = config.tensors().into_iter();
    all.map(|(name, shape)| {
        let values = plausible(&name, &shape);
        (name, HostTensor { shape, values })
    })
    .collect()
}

fn plausible(name: &str, shape: &[usize]) -> Vec<f32> {
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
    let value = |v: f32| {
        if positive {
            1.0 + 0.3 * v
        } else {
            v * scale * 1.7
        }
    };
    let mut all: Vec<f32> = values(seed, len).into_iter().map(value).collect();
    if name.starts_with("pools") {
        for item in all.chunks_exact_mut(shape[1]) {
            let norm = item.iter().map(|v| v * v).sum::<f32>().sqrt();
            item.iter_mut().for_each(|v| *v /= norm);
        }
    }
    all
}
