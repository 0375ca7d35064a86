//! `msn score`.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::WriteError;
use msn_eval::VideoAlarms;
use msn_run::{Model, ReportRequest, ScoreRequest, ScoreSummary, score_to_file, write_report};

use crate::{
    Failed, args::ScoreArgs, command_line::command_line, progress::Progress,
    selected_device::SelectedDevice,
};

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    let model = args.calibration.open(&args.weights)?;
    if let Some(folder) = &args.report {
        // Known before hours of scoring.
        std::fs::create_dir_all(folder).map_err(WriteError::at(folder))?;
    }
    let sources = crate::args::sources(&args.sources)?;
    let device = SelectedDevice::new(&args.device, args.precision.precision)?;
    let in_report = args.report.as_ref().map(|folder| folder.join("scores.csv"));
    let out = args.out.clone().or(in_report);
    let request = ScoreRequest {
        model: &model,
        sources: &sources,
        folder_hz: args.fps.fps,
        temporary: &temporary_folder(out.as_deref())?,
        collect: args.report.is_some(),
    };
    let mut progress = Progress::default();
    let summary = match &out {
        Some(out) => score_to_file(&request, out, &device, &mut progress)?,
        None => msn_run::score(&request, &mut std::io::stdout(), &device, &mut progress)?,
    };
    if let Some(folder) = &args.report {
        report(&model, &summary, folder, &mut progress)?;
    }
    for line in lines(&summary.alarms) {
        match &out {
            Some(_) => println!("{line}"),
            // Standard output has the scores.
            None => eprintln!("{line}"),
        }
    }
    for path in [&out, &args.report].into_iter().flatten() {
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
    let Some(out) = out else {
        let folder = Utf8PathBuf::from_path_buf(std::env::temp_dir());
        return folder.map_err(|path| anyhow!("{} is no UTF-8 path", path.display()));
    };
    let mut folders = out.ancestors().skip(1);
    let there = folders
        .find(|f| f.is_dir())
        .filter(|f| !f.as_str().is_empty());
    Ok(there.unwrap_or(Utf8Path::new(".")).to_owned())
}
