//! Predicts one frame: a bright square moves to the right, a network learns to move it on.
//!
//! Run with `cargo run -p msn-model --example predict`.
#![allow(clippy::print_stdout, missing_docs)]

use burn::{
    backend::{Autodiff, Flex},
    module::AutodiffModule,
    optim::{AdamConfig, GradientsParams, Optimizer},
    tensor::{Tensor, TensorData, backend::Backend},
};
use msn_model::{LossWeights, Losses, Mode, MsnNet, NetConfig, predict, push_planes};

const SIDE: usize = 32;

/// A grey frame with the square at `x`.
fn frame(x: usize) -> Vec<u8> {
    let inside = |i: usize| (12..20).contains(&(i / SIDE)) && (x..x + 8).contains(&(i % SIDE));
    (0..SIDE * SIDE)
        .map(|i| if inside(i) { 230 } else { 30 })
        .collect()
}

/// Four frames and the next one, starting with the square at `x`.
fn clip<B: Backend>(x: usize, device: &B::Device) -> [Tensor<B, 4>; 2] {
    let planes = |from: usize, to: usize| {
        let mut values = Vec::new();
        (from..to).for_each(|t| push_planes(&frame(x + 2 * t), 1, &mut values));
        Tensor::from_data(TensorData::new(values, [1, to - from, SIDE, SIDE]), device)
    };
    [planes(0, 4), planes(4, 5)]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    type B = Autodiff<Flex>;
    let device = Default::default();
    let config = NetConfig {
        width: 4,
        ..NetConfig::default()
    };
    let mut net = MsnNet::<B>::new(&config, 0, &device)?;
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    for step in 0..60 {
        let [frames, target] = clip(step * 5 % 14, &device);
        let output = net.forward(frames, Mode::Train);
        let loss = Losses::new(&output, target).total(&LossWeights::default());
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = adam.step(5e-3, net, gradients);
        net.update_statistics(&output.statistics, 0.1);
        net.write(&output.lookups);
    }
    let net = net.valid();
    let [frames, target] = clip(5, &device);
    let [_, elsewhere] = clip(14, &device);
    let prediction = &predict(&net, frames)[0];
    let [moved, jumped] = [target, elsewhere].map(|frame| {
        let frame: Vec<f32> = frame.into_data().iter::<f32>().collect();
        -10.0 * prediction.squared_error(&frame).mean().log10()
    });
    println!("the square moves on: PSNR {moved:.1} dB; it jumps: {jumped:.1} dB");
    if moved > jumped {
        Ok(())
    } else {
        Err("the jump was predicted better".into())
    }
}
