//! `msn train`.

use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::SplitManifest;
use msn_run::{CheckpointSchedule, RunLocation, TrainOutcome, TrainRequest, estimate};
use msn_train::{Preset, Settings};

use crate::{
    Usage, args::TrainArgs, command_line::command_line, data, dry_run, evaluation,
    progress::Progress, ranks::Ranks, selected_device::SelectedDevice, signal::Interrupted,
};

pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    let (data, settings) = resolve(args)?;
    if args.help_settings {
        print!("{}", settings.to_toml());
        return Ok(());
    }
    let ranks = Ranks::start()?;
    if args.dry_run && ranks.world_size() > 1 {
        return Err(Usage("--dry-run is for one process".into()).into());
    }
    let device = SelectedDevice::for_training(&args.device, &ranks)?;
    let data = match data {
        Some(data) => data,
        None => ranks.first_alone(|| data::demo_scene(settings.train.seed))?,
    };
    let set = args.source.open(&data, args.fps.fps)?;
    let location = args.out.clone().map_or_else(
        || RunLocation::Numbered(format!("runs/{}/{}", set.name, settings.preset).into()),
        RunLocation::At,
    );
    let request = TrainRequest {
        settings,
        data: &set,
        split: args.split.as_deref().map(SplitManifest::read).transpose()?,
        store: args.store.store(),
        location,
        resume: args.resume,
        checkpoints: CheckpointSchedule {
            every: Duration::from_secs_f64(args.checkpoint_minutes * 60.0),
            every_steps: args.checkpoint_steps,
        },
        command: command_line(),
    };
    let mut progress = Progress::of_rank(&ranks);
    if args.dry_run {
        let estimate = estimate(&request, &device, &mut progress)?;
        print!("{}", dry_run::text(&request.settings, &estimate));
        return Ok(());
    }
    match msn_run::train(&request, &device, &mut progress)? {
        TrainOutcome::Finished { folder, evaluation } => {
            if let Some(evaluation) = evaluation {
                print!("{}", evaluation::table(&evaluation));
            }
            println!("run folder: {}", folder.path());
            println!("report: {}", folder.path().join("report.html"));
        }
        TrainOutcome::AlreadyFinished(folder) => {
            println!("{} is a finished run: nothing to resume", folder.path());
        }
        TrainOutcome::Interrupted(folder) => {
            return Err(interrupted(&ranks, &progress, folder.path()));
        }
        TrainOutcome::Followed { interrupted: true } => {
            return Err(interrupted(&ranks, &progress, "".into()));
        }
        TrainOutcome::Followed { interrupted: false } => {}
    }
    Ok(())
}

/// The end of a training that a rank was signalled to stop, known to all.
fn interrupted(ranks: &Ranks, progress: &Progress, folder: &Utf8Path) -> anyhow::Error {
    let signal = ranks.largest(progress.caught().unwrap_or(0));
    let way_on = format!("the same command with --resume goes on with {folder}");
    Interrupted {
        signal,
        state: "and saved",
        way_on,
    }
    .into()
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
