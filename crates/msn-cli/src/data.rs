//! `msn data`, and what commands say of loaded videos.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{
    LoadedVideo,
    synth::{self, Output, SynthOptions},
};

use crate::{
    Failed, Usage,
    args::{DataCommand, SourceArgs},
    run,
};

pub(crate) fn data(command: &DataCommand) -> Result<()> {
    match command {
        DataCommand::Synth {
            dir,
            seed,
            train,
            test,
            seconds,
            frames,
        } => {
            let mut options = SynthOptions {
                seed: *seed,
                ..SynthOptions::default()
            };
            options.train_clips = train.unwrap_or(options.train_clips);
            options.test_clips = test.unwrap_or(options.test_clips);
            options.seconds = seconds.unwrap_or(options.seconds);
            if *frames {
                options.output = Output::Frames;
            }
            options.check().map_err(|e| Usage(e.to_string()))?;
            let summary = synthesise(dir, &options)?;
            println!(
                "{dir}: {} training and {} test clips, {} frames, {} labelled anomalies",
                summary.train_clips,
                summary.test_clips,
                summary.frames,
                summary.events.len()
            );
            Ok(())
        }
        DataCommand::Check { dir, json, source } => check(dir, *json, source),
    }
}

fn synthesise(dir: &Utf8Path, options: &SynthOptions) -> Result<synth::Summary> {
    let mut progress = |done: usize, total: usize| eprintln!("rendered {done} of {total} clips");
    Ok(synth::write(dir, options, &mut progress)?)
}

/// The scene that `msn train` without a data folder learns from; made where it is not there yet.
pub(crate) fn demo_scene(seed: u64) -> Result<Utf8PathBuf> {
    let dir = Utf8PathBuf::from(format!("runs/data/synthetic-{seed}"));
    if !dir.join("events.csv").exists() {
        eprintln!("making a synthetic scene in {dir}");
        let small = SynthOptions {
            seed,
            train_clips: 6,
            test_clips: 6,
            seconds: 20.0,
            ..SynthOptions::default()
        };
        synthesise(&dir, &small)?;
    }
    Ok(dir)
}

/// Says what is odd about loaded videos.
pub(crate) fn warn(videos: &[LoadedVideo]) {
    for video in videos {
        for warning in &video.warnings {
            eprintln!("warning: {warning}");
        }
    }
}

fn check(dir: &Utf8Path, json: bool, source: &SourceArgs) -> Result<()> {
    let check = msn_data::check(dir, &run::open_options(source)?)?;
    if json {
        print!("{}", run::json(&check)?);
    } else {
        print!("{}", check.to_text());
    }
    if check.is_usable() {
        Ok(())
    } else {
        Err(Failed.into())
    }
}
