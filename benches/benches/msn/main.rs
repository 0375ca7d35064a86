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
use msn_model::{Algorithm, Isa, Method, Precision};

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

/// The ways in which the project's kernels compute, by name: on the best instruction set of this
/// processor, in bf16 where it has that, and on its lesser sets.
fn methods() -> Vec<(String, Method)> {
    let fast = Method::default();
    let mut all = vec![
        ("direct".to_owned(), Method::new(Algorithm::Direct)),
        ("fast".to_owned(), fast),
    ];
    let bf16 = Method {
        precision: Precision::Bf16,
        ..fast
    };
    if fast.isa != Isa::portable() && fast.isa.has_bf16() {
        all.push(("fast bf16".to_owned(), bf16));
    }
    for isa in Isa::available().into_iter().skip(1) {
        all.push((format!("fast {isa}"), Method { isa, ..fast }));
    }
    all
}

/// How far a method's results may be from direct ones, as a share of the largest value.
fn tolerance(method: Method) -> f32 {
    match method.precision {
        Precision::F32 => 1e-3,
        Precision::Bf16 => 0.1,
    }
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
