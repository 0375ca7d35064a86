//! Trains a small network on frames that are already in memory, and watches the loss.
//!
//! Run with `cargo run -p msn-train --example learn`.
#![allow(clippy::print_stdout, missing_docs)]

use std::ops::ControlFlow;

use burn::backend::{Autodiff, Flex};
use msn_data::{Color, LoadedVideo, Size, calibration_split};
use msn_train::{BurnEngine, Preset, Progress, Settings, TrainEvent, train};

/// A bar that sweeps over a 32 x 32 frame.
fn video(name: &str, speed: usize) -> LoadedVideo {
    let size = Size {
        width: 32,
        height: 32,
    };
    let frames = 40;
    let pixel = |i: usize| {
        let (t, x) = (i / 1024, i % 32);
        if (x + 32 - t * speed % 32) % 32 < 6 {
            220
        } else {
            40
        }
    };
    let pixels: Vec<u8> = (0..frames * 1024).map(pixel).collect();
    LoadedVideo::from_pixels(name, size, Color::Grey, &pixels).expect("whole frames")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut settings = Settings::preset(Preset::Tiny);
    for setting in ["size=32", "width=4", "epochs=6"] {
        settings.set(setting)?;
    }
    let videos = [video("slow", 1), video("fast", 2)];
    let mut losses = Vec::new();
    let mut watch = |event: TrainEvent<'_>| {
        if let TrainEvent::Step(report, ..) = event {
            losses.push(report.numbers.prediction);
        }
        ControlFlow::<()>::Continue(())
    };
    let mut engine = BurnEngine::<Autodiff<Flex>>::new(&settings, &Default::default())?;
    let trained = train(
        &settings,
        &videos,
        &calibration_split(&videos, settings.net.frames, 1, 0),
        &mut engine,
        Progress::default(),
        &mut watch,
    )?;
    assert!(trained.is_continue(), "nobody stopped it");
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    println!(
        "prediction error {first:.3} at the first of {} steps, {last:.3} at the last",
        losses.len()
    );
    if last < first {
        Ok(())
    } else {
        Err("nothing was learned".into())
    }
}
