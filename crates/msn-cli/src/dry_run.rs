//! `msn train --dry-run`: what a training would be.

use std::time::{Duration, Instant};

use anyhow::Result;
use bytesize::ByteSize;
use msn_data::{LoadedVideo, Split, clips};
use msn_model::{HostTensor, Tensors};
use msn_train::{Engine, Feed, Settings};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::figures;

/// Steps by which the time is told, after a first one that makes room.
const STEPS: u32 = 4;

/// Prints the settings, the network's size, and time and memory as some real steps show them. The
/// engine is spoilt by them.
pub(crate) fn print(
    settings: &Settings,
    videos: &[LoadedVideo],
    held: &Split,
    engine: &mut dyn Engine,
) -> Result<()> {
    let (net, input, t) = (&settings.net, &settings.input, &settings.train);
    let tensors = engine.tensors();
    let learned = |name: &str| !name.contains("running_") && !name.ends_with("items");
    let count = |chosen: &dyn Fn(&str) -> bool| -> usize {
        let chosen = tensors.iter().filter(|(name, _)| chosen(name));
        chosen.map(|(_, t)| t.values.len()).sum()
    };
    let flops = flops_per_frame(&tensors, input.height, input.width);
    let all = clips(&held.train, net.frames, input.stride);
    let batch = t.batch.min(all.len());
    let parts = t.accumulate.min(all.len() / batch);
    let steps = all.len() / (batch * parts) * t.epochs;
    let feed = Feed {
        videos,
        net,
        stride: input.stride,
        crop: t.crop,
        flip: t.flip,
        brightness: t.brightness,
        seed: t.seed,
    };
    let chosen = &feed.order(&all, 0)[..batch];
    let mut began = Instant::now();
    for step in 0..=STEPS {
        if step == 1 {
            began = Instant::now();
        }
        for _ in 1..parts {
            engine.accumulate(feed.batch(chosen, 0)?)?;
        }
        engine.step(feed.batch(chosen, 0)?, t.lr)?;
    }
    let step = began.elapsed() / STEPS;
    let training = step.mul_f64(f64::from(u32::try_from(steps).unwrap_or(u32::MAX)));
    let frames: u64 = videos.iter().map(LoadedVideo::memory_bytes).sum();

    print!("{}", settings.to_toml());
    println!();
    println!(
        "parameters       {} learned, {} in items of pools",
        count(&learned),
        count(&|name| name.ends_with("items"))
    );
    println!(
        "a frame takes    {:.3} GFLOP at {} x {} pixels (one multiply-add is two)",
        flops / 1e9,
        input.height,
        input.width
    );
    println!(
        "training data    {} clips of {} videos, {} more clips held out",
        all.len(),
        videos.len(),
        clips(&held.calibration, net.frames, input.stride).len()
    );
    println!(
        "steps            {steps} of {} clips ({} epochs of {})",
        batch * parts,
        t.epochs,
        steps / t.epochs
    );
    let limit = Duration::from_secs_f64(t.hours * 3600.0);
    println!(
        "expected time    {} at {:.1} ms a step, measured on {STEPS} steps just now{}",
        figures::time(training),
        step.as_secs_f64() * 1e3,
        if t.hours > 0.0 && training > limit {
            format!("; shortened to {}", figures::time(limit))
        } else {
            String::new()
        }
    );
    println!(
        "memory           {} of this process after these steps, {} of them decoded frames",
        process_memory().map_or("unknown".into(), |n| ByteSize::b(n).to_string()),
        ByteSize::b(frames)
    );
    println!("reading, calibration and scoring of test videos come on top; no run folder was made");
    Ok(())
}

/// Floating-point operations of one prediction: convolutions, and addressing and reading of pools.
fn flops_per_frame(tensors: &Tensors, height: u32, width: u32) -> f64 {
    let pixels = f64::from(height) * f64::from(width);
    let of = |(name, tensor): (&String, &HostTensor)| {
        // Level 1 has all pixels, each further one a quarter of those before.
        let level = |part: &str| {
            let (_, rest) = name.split_once(part)?;
            Some(i32::from(rest.bytes().next()?.checked_sub(b'0')?))
        };
        let size: f64 = tensor
            .shape
            .iter()
            .map(|&n| f64::from(u32::try_from(n).unwrap_or(u32::MAX)))
            .product();
        let level: Option<i32> = if name.ends_with("items") {
            // Pool p asks level p + 1, once to address and once to read.
            return level("pools.").map_or(0.0, |p: i32| 2.0 * size * pixels / 4f64.powi(p));
        } else {
            level("level").or_else(|| level("up"))
        };
        match (level, tensor.shape.len()) {
            (Some(level), 4) => size * pixels / 4f64.powi(level - 1),
            _ => 0.0,
        }
    };
    2.0 * tensors.iter().map(of).sum::<f64>()
}

/// Resident bytes of this process, where the system tells.
fn process_memory() -> Option<u64> {
    let own = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, what);
    system.process(own).map(|process| process.memory())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_layers() {
        let tensor = |shape: &[usize]| HostTensor {
            shape: shape.to_vec(),
            values: Vec::new(),
        };
        let tensors = Tensors::from([
            // 64 pixels, 3 x 3, 4 to 2 features.
            (
                "encoder.level1.conv1.weight".to_owned(),
                tensor(&[2, 4, 3, 3]),
            ),
            // From 16 pixels, each into 3 x 3.
            ("decoder.up2.conv.weight".to_owned(), tensor(&[4, 2, 3, 3])),
            ("encoder.level1.norm1.weight".to_owned(), tensor(&[2])),
        ]);
        let expected = 2.0 * (64.0 * 9.0 * 8.0 + 16.0 * 9.0 * 8.0);
        assert!((flops_per_frame(&tensors, 8, 8) - expected).abs() < 1e-9);
    }
}
