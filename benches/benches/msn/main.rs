//! `cargo xtask bench`: every layer over every compiled backend.
#![allow(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod convolutions;
mod network;
mod pools;
mod serve;
mod share;
mod video;

use std::process::ExitCode;

use anyhow::Result;
use benches::{Harness, Options};
use clap::Parser;

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    if let Some(threads) = options.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()?;
    }
    if options.serve {
        return serve::serve();
    }
    let mut harness = Harness::new(options);
    video::decode(&mut harness)?;
    video::batches(&mut harness)?;
    pools::all(&mut harness);
    convolutions::all(&mut harness);
    network::inference(&mut harness)?;
    network::training(&mut harness)?;
    share::all(&mut harness)?;
    video::scoring(&mut harness)?;
    harness.finish()
}

/// Values in -1..1 that differ.
fn draws(n: usize, seed: u64) -> Vec<f32> {
    use rand::{RngExt, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect()
}

/// Fails where two results differ by more than `tolerance` of the largest value.
fn assert_close(what: &str, ours: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), expected.len(), "{what}: sizes differ");
    let largest = expected.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    let differs = |(a, b): (&f32, &f32)| (a - b).abs() > tolerance * largest || a.is_nan();
    let wrong = ours.iter().zip(expected).position(differs);
    if let Some(i) = wrong {
        panic!("{what}: value {i} is {}, not {}", ours[i], expected[i]);
    }
}
