//! `msn data`.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{OpenOptions, SplitManifest};
use msn_synth::{ClipFormat, SynthOptions};

use crate::{
    Failed, Usage,
    args::{DataCommand, SourceArgs},
    command_line::print_versioned,
    label,
    text::count,
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
            json,
        } => {
            let mut options = SynthOptions {
                seed: *seed,
                ..SynthOptions::default()
            };
            options.train_clips = train.unwrap_or(options.train_clips);
            options.test_clips = test.unwrap_or(options.test_clips);
            options.seconds = seconds.unwrap_or(options.seconds);
            if *frames {
                options.output = ClipFormat::Frames;
            }
            options.check().map_err(|e| Usage(e.to_string()))?;
            let summary = synthesise(dir, &options)?;
            if *json {
                return print_versioned("msn-synth-1", &summary);
            }
            println!(
                "{dir}: {} training and {}, {}, {}",
                summary.train_clips,
                count(summary.test_clips, "test clip"),
                count(summary.frames, "frame"),
                match summary.anomalies.len() {
                    1 => "1 labelled anomaly".to_owned(),
                    n => format!("{n} labelled anomalies"),
                }
            );
            Ok(())
        }
        DataCommand::Check {
            dir,
            json,
            source,
            fps,
        } => check(dir, *json, &source.options(fps.fps)?),
        DataCommand::Split {
            dir,
            seed,
            out,
            json,
            source,
        } => split(dir, *seed, out.as_deref(), *json, source),
        DataCommand::Label(args) => label::label(args),
    }
}

fn synthesise(dir: &Utf8Path, options: &SynthOptions) -> Result<msn_synth::Summary> {
    let mut progress = |done: usize, total: usize| eprintln!("rendered {done} of {total} clips");
    Ok(msn_synth::write(dir, options, &mut progress)?)
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
            ..SynthOptions::default()
        };
        synthesise(&dir, &small)?;
    }
    Ok(dir)
}

fn split(
    dir: &Utf8Path,
    seed: u64,
    out: Option<&Utf8Path>,
    json: bool,
    source: &SourceArgs,
) -> Result<()> {
    let set = source.open(dir, None)?;
    if set.train.is_empty() {
        return Err(anyhow!("{dir} has no training videos to split"));
    }
    let manifest = SplitManifest::draw(&set, seed);
    if let Some(out) = out {
        manifest.write(out)?;
    }
    if json {
        return print_versioned("msn-split-1", &manifest);
    }
    let Some(out) = out else {
        print!("{}", manifest.to_toml()?);
        return Ok(());
    };
    match manifest.whole_videos {
        true => println!(
            "{out}: calibration split: {}",
            manifest.calibration.join(", ")
        ),
        false => println!(
            "{out}: calibration split: the last 15 % of each video, since there are fewer than four"
        ),
    }
    Ok(())
}

fn check(dir: &Utf8Path, json: bool, options: &OpenOptions) -> Result<()> {
    let check = msn_data::check(dir, options)?;
    if json {
        print_versioned("msn-check-1", &check)?;
    } else {
        print!("{}", check.to_text());
    }
    if check.is_usable() {
        Ok(())
    } else {
        Err(Failed.into())
    }
}
