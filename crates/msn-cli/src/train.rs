//! `msn train`.

use std::time::Duration;

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::SplitManifest;
use msn_eval::Evaluation;
use msn_run::{
    CheckpointSchedule, RunCard, RunFolder, RunLocation, TrainOutcome, TrainRequest, estimate,
};
use msn_train::{Preset, Settings};
use serde::Serialize;

use crate::{
    Usage,
    args::TrainArgs,
    command_line::{command_line, print_json},
    data, dry_run, evaluation,
    progress::Progress,
    ranks::Ranks,
    selected_device::SelectedDevice,
    signal::Interrupted,
};

pub(crate) fn train(args: &TrainArgs) -> Result<()> {
    let (mut data, texts) = data_and_settings(args);
    if args.help_settings {
        print!("{}", settings(args, &texts, None)?.explained());
        return Ok(());
    }
    let begun = match args.resume {
        true => Begun::find(args, data.as_deref())?,
        false => None,
    };
    let settings = settings(args, &texts, begun.as_ref())?;
    if let (None, Some(begun)) = (&data, &begun) {
        data = Some(begun.card.data.path.clone());
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
    let of_begun = begun.as_ref().map(|begun| &begun.card.data);
    let fps = args.fps.fps.or(of_begun.and_then(|data| data.folder_hz));
    let source = args.source.or_as_begun(of_begun);
    let set = source.open(&data, fps)?;
    let location = match (&begun, &args.out) {
        (Some(begun), _) => RunLocation::At(begun.folder.path().to_owned()),
        (None, Some(out)) => RunLocation::At(out.clone()),
        (None, None) => {
            RunLocation::Numbered(format!("runs/{}/{}", set.name, settings.preset).into())
        }
    };
    let split = match (&args.split, &begun) {
        (Some(file), _) => Some(file.clone()),
        (None, Some(begun)) => Some(begun.folder.split()).filter(|file| file.exists()),
        (None, None) => None,
    };
    let request = TrainRequest {
        settings,
        data: &set,
        split: split.as_deref().map(SplitManifest::read).transpose()?,
        store: args.store.store(),
        location,
        resume: args.resume,
        checkpoints: CheckpointSchedule {
            every: Duration::from_secs_f64(args.checkpoint_minutes * 60.0),
            every_steps: args.checkpoint_steps,
        },
        labels: source.labels.clone(),
        command: command_line(),
    };
    let mut progress = Progress::of_rank(&ranks);
    if args.dry_run {
        let estimate = estimate(&request, &device, &mut progress)?;
        print!("{}", dry_run::text(&request.settings, &estimate));
        return Ok(());
    }
    match msn_run::train(&request, &device, &mut progress)? {
        TrainOutcome::Finished { folder, evaluation } if args.json => {
            print_json(&Trained::new(&folder, evaluation.as_deref()))?;
        }
        TrainOutcome::AlreadyFinished(folder) if args.json => {
            let file = folder.evaluation();
            let evaluation = match file.exists() {
                true => Some(Evaluation::read(&file)?),
                false => None,
            };
            print_json(&Trained::new(&folder, evaluation.as_ref()))?;
        }
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

/// What `msn train --json` prints.
#[derive(Serialize)]
struct Trained<'a> {
    format: &'static str,
    run: &'a Utf8Path,
    report: Utf8PathBuf,
    /// None without labels.
    evaluation: Option<&'a Evaluation>,
}

impl<'a> Trained<'a> {
    fn new(folder: &'a RunFolder, evaluation: Option<&'a Evaluation>) -> Self {
        Self {
            format: "msn-trained-1",
            run: folder.path(),
            report: folder.path().join("report.html"),
            evaluation,
        }
    }
}

/// The end of a training that a rank was signalled to stop, known to all.
fn interrupted(ranks: &Ranks, progress: &Progress, folder: &Utf8Path) -> anyhow::Error {
    let signal = ranks.largest(progress.caught().unwrap_or(0));
    Interrupted {
        signal,
        state: "and saved",
        way_on: format!("`msn train --resume --out {folder}` goes on"),
    }
    .into()
}

/// A run that is to go on.
struct Begun {
    folder: RunFolder,
    card: RunCard,
    settings: Settings,
}

impl Begun {
    /// The run of --out, else the newest of the data set and preset, as far as they are given. `None`
    /// where there is none yet.
    fn find(args: &TrainArgs, data: Option<&Utf8Path>) -> Result<Option<Self>> {
        let folder = match (&args.out, data, &args.preset) {
            (Some(out), ..) => RunFolder::find(&RunLocation::At(out.clone()))?,
            (None, Some(data), preset) => {
                let name = args.source.open_quietly(data, args.fps.fps)?.name;
                let runs = Utf8Path::new("runs").join(name);
                RunFolder::last_interrupted(&match preset {
                    Some(preset) => runs.join(preset),
                    None => runs,
                })?
            }
            (None, None, _) => RunFolder::last_interrupted("runs".into())?,
        };
        let Some(folder) = folder.filter(RunFolder::has_card) else {
            return Ok(None);
        };
        Ok(Some(Self {
            card: folder.card()?,
            settings: folder.settings()?,
            folder,
        }))
    }
}

/// The data folder and the settings `key=value` that the command line asks for.
fn data_and_settings(args: &TrainArgs) -> (Option<Utf8PathBuf>, Vec<&str>) {
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
    (data, texts)
}

/// The settings of the preset, or of the run that goes on, with those that are given.
fn settings(args: &TrainArgs, texts: &[&str], begun: Option<&Begun>) -> Result<Settings> {
    let usage = |e: msn_train::SettingsError| Usage(e.to_string());
    let preset = args.preset.as_deref().map(str::parse).transpose();
    let preset: Option<Preset> = preset.map_err(usage)?;
    let mut settings = match begun {
        Some(begun) if preset.is_none_or(|preset| preset == begun.settings.preset) => {
            begun.settings.clone()
        }
        _ => Settings::preset(preset.unwrap_or(Preset::Tiny)),
    };
    for text in texts {
        settings.set(text).map_err(usage)?;
    }
    if let Some(hours) = args.hours {
        settings.train.hours = hours;
    }
    settings.check().map_err(usage)?;
    Ok(settings)
}
