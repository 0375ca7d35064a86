//! `msn train`.

use std::time::Duration;

use anyhow::{Result, anyhow};
use camino::Utf8PathBuf;
use msn_data::Manifest;
use msn_model::Precision;
use msn_run::{CheckpointSchedule, RunLocation, TrainOutcome, TrainRequest, estimate};
use msn_train::{Preset, Settings};

use crate::{
    Usage, args::TrainArgs, command_line::command_line, data, dry_run, figures, selected_device::SelectedDevice,
    progress::Progress, signal::Interrupted,
};

pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    let (data, settings) = resolve(args)?;
    if args.help_settings {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let place = SelectedDevice::new(&args.place, Precision::F32)?;
    let data = match data {
        Some(data) => data,
        None => data::demo_scene(settings.train.seed)?,
    };
    let set = args.source.open(&data, args.fps.fps)?;
    let location = args.out.clone().map_or_else(
        || RunLocation::Numbered(format!("runs/{}/{}", set.name, settings.preset).into()),
        RunLocation::At,
    );
    let request = TrainRequest {
        settings,
        data: &set,
        split: args.split.as_deref().map(Manifest::read).transpose()?,
        store: args.store.store(),
        location,
        resume: args.resume,
        checkpoints: CheckpointSchedule {
            every: Duration::from_secs_f64(args.checkpoint_minutes * 60.0),
            every_steps: args.checkpoint_steps,
        },
        command: command_line(),
    };
    let mut progress = Progress::default();
    if args.dry_run {
        let estimate = estimate(&request, &place, &mut progress)?;
        print!("{}", dry_run::text(&request.settings, &estimate));
        return Ok(());
    }
    match msn_run::train(&request, &place, &mut progress)? {
        TrainOutcome::Finished { folder, evaluation } => {
            if let Some(evaluation) = evaluation {
                print!("{}", figures::table(&evaluation));
            }
            println!("run folder: {}", folder.path());
        }
        TrainOutcome::AlreadyFinished(folder) => {
            println!("{} is a finished run: nothing to resume", folder.path());
        }
        TrainOutcome::Interrupted(folder) => {
            let folder = folder.path().to_owned();
            return Err(match progress.caught() {
                Some(signal) => Interrupted { signal, folder }.into(),
                None => anyhow!(
                    "another rank was interrupted: the same command with --resume goes on with {folder}"
                ),
            });
        }
        TrainOutcome::Followed { rank, interrupted } => {
            if let (true, Some(signal)) = (interrupted, progress.caught()) {
                let folder = "the run of rank 0".into();
                return Err(Interrupted { signal, folder }.into());
            }
            eprintln!("rank {rank} is done; rank 0 writes the run folder");
        }
    }
    Ok(())
}

/// The data folder and the settings that the command line asks for.
fn resolve(args: &TrainArgs) -> Result<(Option<Utf8PathBuf>, Settings)> {
    let usage = |e: msn_train::SettingsError| Usage(e.to_string());
    let preset: Preset = args.preset.parse().map_err(usage)?;
    let mut settings = Settings::preset(preset);
    // `msn train epochs=2` has no data folder, unless one of that name is there.
    let mut data = args.data.clone();
    let mut texts: Vec<&str> = args.settings.iter().map(String::as_str).collect();
    if let Some(first) = &args.data
        && first.as_str().contains('=')
        && !first.exists()
    {
        data = None;
        texts.insert(0, first.as_str());
    }
    for text in texts {
        settings.set(text).map_err(usage)?;
    }
    if let Some(hours) = args.hours {
        settings.train.hours = hours;
    }
    settings.check().map_err(usage)?;
    Ok((data, settings))
}
