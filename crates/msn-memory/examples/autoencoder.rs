//! A memory in somebody else's autoencoder: it learns what normal sine waves look like and tells a
//! square wave apart by its distance to what it remembers.
//!
//! Run with `cargo run -p msn-memory --example autoencoder`.
#![allow(clippy::print_stdout, missing_docs)]

use burn::{
    backend::{Autodiff, Flex},
    module::{AutodiffModule, Module},
    nn::{Linear, LinearConfig},
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{Tensor, TensorData, backend::Backend},
};
use msn_memory::{Pool, PoolConfig, Write, unit};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SAMPLES: usize = 32;
const CODE: usize = 8;

#[derive(Module, Debug)]
struct Autoencoder<B: Backend> {
    encode: Linear<B>,
    memory: Pool<B>,
    decode: Linear<B>,
}

fn sine(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (phase, height) = (rng.random::<f32>() * 6.3, 0.8 + 0.4 * rng.random::<f32>());
    (0..SAMPLES)
        .map(|i| height * (i as f32 * 0.4 + phase).sin())
        .collect()
}

fn batch<B: Backend>(waves: Vec<Vec<f32>>, device: &B::Device) -> Tensor<B, 2> {
    let rows = waves.len();
    Tensor::from_data(TensorData::new(waves.concat(), [rows, SAMPLES]), device)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let config = PoolConfig {
        write: Write::Mean,
        momentum: 0.9,
        temperature: 0.1,
        ..PoolConfig::new(CODE)
    };
    let mut net = Autoencoder::<B> {
        encode: LinearConfig::new(SAMPLES, CODE).init(&device),
        memory: Pool::new(config, &mut rng, &device)?,
        decode: LinearConfig::new(CODE, SAMPLES).init(&device),
    };
    let mut adam = AdamConfig::new().init();
    for step in 0..300 {
        let x = batch::<B>((0..64).map(|_| sine(&mut rng)).collect(), &device);
        let lookup = net.memory.lookup(unit(net.encode.forward(x.clone()), 1));
        let y = net.decode.forward(lookup.read());
        let error = (y - x).square().mean();
        let loss = error.clone() + lookup.compactness() * 0.1 + lookup.separateness() * 0.1;
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = adam.step(0.01, net, gradients);
        net.memory.write(&lookup);
        if step % 100 == 99 {
            println!("step {}: error {:.4}", step + 1, error.into_scalar());
        }
    }

    // Evaluation lives on the inner backend, where the memory has no way to be written.
    let net = net.valid();
    let error = |waves: Vec<Vec<f32>>| {
        let x = batch::<Flex>(waves, &device);
        let y = net.decode.forward(
            net.memory
                .lookup(unit(net.encode.forward(x.clone()), 1))
                .read(),
        );
        (y - x).square().mean().into_scalar()
    };
    let normal = error((0..64).map(|_| sine(&mut rng)).collect());
    let square = (0..SAMPLES)
        .map(|i| if (i / 4) % 2 == 0 { 1.0 } else { -1.0 })
        .collect();
    let odd = error(vec![square]);
    println!("error of sine waves {normal:.3}, of a square wave {odd:.3}");
    if odd > 2.0 * normal {
        Ok(())
    } else {
        Err("the square wave was not distinguished".into())
    }
}
