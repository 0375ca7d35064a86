//! `msn train --dry-run`: what a training would be.

use std::{fmt::Write as _, time::Duration};

use bytesize::ByteSize;
use msn_run::TrainingEstimate;
use msn_train::Settings;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use crate::text::{count, time};

/// The settings, the network's size, and time and memory as some real steps show them.
pub(crate) fn text(settings: &Settings, estimate: &TrainingEstimate) -> String {
    let (input, t) = (&settings.input, &settings.train);
    let training = estimate.training();
    let limit = Duration::from_secs_f64(t.hours * 3600.0);
    let shortened = match t.hours > 0.0 && training > limit {
        true => format!("; shortened to {}", time(limit)),
        false => String::new(),
    };
    let memory = process_memory().map_or("unknown".into(), |n| ByteSize::b(n).to_string());
    let rows = [
        (
            "parameters",
            format!(
                "{} learned, {} in items of pools",
                estimate.learned, estimate.in_items
            ),
        ),
        (
            "a frame takes",
            format!(
                "{:.3} GFLOP at {} x {} pixels (one multiply-add is two)",
                estimate.operations_per_frame / 1e9,
                input.height,
                input.width
            ),
        ),
        (
            "training data",
            format!(
                "{} of {}, and {} of the calibration split",
                count(estimate.clips, "clip"),
                count(estimate.videos, "video"),
                count(estimate.calibration_clips, "clip")
            ),
        ),
        (
            "steps",
            format!(
                "{} of {} ({} of {})",
                estimate.steps,
                count(estimate.clips_per_step, "clip"),
                count(t.epochs, "epoch"),
                estimate.steps / t.epochs
            ),
        ),
        (
            "expected time",
            format!(
                "{} at {:.1} ms a step, measured on {} steps just now{shortened}",
                time(training),
                estimate.step.as_secs_f64() * 1e3,
                estimate.measured_steps
            ),
        ),
        (
            "memory",
            format!(
                "{memory} of this process after these steps, {} of them decoded frames",
                ByteSize::b(estimate.frame_bytes)
            ),
        ),
    ];
    let mut text = format!("{}\n", settings.to_toml());
    for (name, value) in rows {
        // Writing to a string can't fail.
        let _ = writeln!(text, "{name:<16} {value}");
    }
    text + "reading, calibration and scoring of test videos come on top; no run folder was made\n"
}

/// Resident bytes of this process, where the system knows.
fn process_memory() -> Option<u64> {
    let own = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[own]), false, what);
    system.process(own).map(|process| process.memory())
}
