//! `msn score`.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::WriteError;
use msn_eval::{AlarmList, VideoAlarms};
use msn_run::{
    Model, ReportRequest, RunError, ScoreRequest, ScoreSummary, partial_table, score_to_file,
    write_report,
};

use crate::{
    Failed, Usage,
    args::ScoreArgs,
    command_line::{command_line, print_json},
    progress::Progress,
    signal::Interrupted,
};

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    if args.overlay.is_some() && !cfg!(feature = "ffmpeg") {
        return Err(Usage(
            "--overlay writes video files, and this build is without FFmpeg: build with the feature `ffmpeg`".into(),
        )
        .into());
    }
    let model = args.network.open(&args.weights)?;
    if let Some(folder) = &args.report {
        // Known before hours of scoring.
        std::fs::create_dir_all(folder).map_err(WriteError::at(folder))?;
    }
    let sources = crate::args::sources(&args.sources)?;
    let device = args.network.device()?;
    let in_report = args.report.as_ref().map(|folder| folder.join("scores.csv"));
    let out = args.out.clone().or(in_report);
    let request = ScoreRequest {
        model: &model,
        sources: &sources,
        folder_hz: args.fps.fps,
        temporary: &temporary_folder(out.as_deref())?,
        overlay: args.overlay.as_deref(),
        collect: args.report.is_some(),
    };
    let mut progress = Progress::default();
    progress.catch_signals();
    let scored = match &out {
        Some(out) => score_to_file(&request, out, &device, &mut progress),
        None if args.json => msn_run::score(&request, &mut std::io::sink(), &device, &mut progress),
        None => msn_run::score(&request, &mut std::io::stdout(), &device, &mut progress),
    };
    let summary = match (scored, progress.caught()) {
        (Err(RunError::Interrupted), Some(signal)) => {
            let (state, way_on) = match &out {
                Some(out) => (
                    "and saved",
                    format!("the same command goes on with {}", partial_table(out)),
                ),
                None => (
                    if args.json {
                        "and nothing is kept"
                    } else {
                        "and what is scored is written"
                    },
                    "with --out FILE the same command would go on where it was".to_owned(),
                ),
            };
            return Err(Interrupted {
                signal,
                state,
                way_on,
            }
            .into());
        }
        (scored, _) => scored?,
    };
    if let Some(folder) = &args.report {
        report(&model, &summary, folder, &mut progress)?;
    }
    if args.json {
        print_json(&AlarmList::new(&summary.alarms, model.calibration.as_ref()))?;
    }
    for line in lines(&summary.alarms) {
        match &out {
            Some(_) if !args.json => println!("{line}"),
            // Standard output has the scores, or JSON.
            _ => eprintln!("{line}"),
        }
    }
    for path in [&out, &args.report, &args.overlay].into_iter().flatten() {
        eprintln!("written to {path}");
    }
    match summary.failed {
        0 => Ok(()),
        _ => Err(Failed.into()),
    }
}

fn report(
    model: &Model,
    summary: &ScoreSummary,
    folder: &Utf8Path,
    progress: &mut Progress,
) -> Result<()> {
    let name = match &summary.alarms[..] {
        [one] => one.video.clone(),
        all => format!("{} sources", all.len()),
    };
    let request = ReportRequest {
        model,
        name: &name,
        videos: &summary.videos,
        alarms: &summary.alarms,
        evaluation: None,
        images: &[],
        memory: None,
        command: &command_line(),
    };
    Ok(write_report(&request, folder, progress)?)
}

/// A line a source: `yard.mp4: 3 alarms in 29 s, the highest at 00:12`.
fn lines(alarms: &[VideoAlarms]) -> impl Iterator<Item = String> {
    alarms
        .iter()
        .map(|video| format!("{}: {}", video.video, video.summary()))
}

/// Where scores wait: beside the file that they are for, whose disk has room for them, or among the
/// system's temporary files.
fn temporary_folder(out: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
    let system = || {
        let folder = Utf8PathBuf::from_path_buf(std::env::temp_dir());
        folder.map_err(|path| anyhow!("{} is no UTF-8 path", path.display()))
    };
    // Beside a device or a pipe there is no room.
    let Some(out) = out.filter(|out| out.metadata().is_ok_and(|m| m.is_file()) || !out.exists())
    else {
        return system();
    };
    let mut folders = out.ancestors().skip(1);
    let there = folders
        .find(|f| f.is_dir())
        .filter(|f| !f.as_str().is_empty());
    Ok(there.unwrap_or(Utf8Path::new(".")).to_owned())
}
