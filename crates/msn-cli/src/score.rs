//! `msn score`.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_run::{RunError, ScoreRequest, partial_table, score_to_file};

use crate::{
    Failed, Usage, args::ScoreArgs, progress::Progress, selected_device::SelectedDevice,
    signal::Interrupted,
};

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    if args.overlay.is_some() && !cfg!(feature = "ffmpeg") {
        return Err(Usage(
            "--overlay writes video files, and this build is without FFmpeg: build with the feature `ffmpeg`".into(),
        )
        .into());
    }
    let model = args.calibration.open(&args.weights)?;
    let sources = msn_data::sources(&args.sources)?;
    let device = SelectedDevice::new(&args.device, args.precision.precision)?;
    let request = ScoreRequest {
        model: &model,
        sources: &sources,
        folder_hz: args.fps.fps,
        temporary: &temporary_folder(args.out.as_deref())?,
        overlay: args.overlay.as_deref(),
    };
    let mut progress = Progress::default();
    progress.catch_signals();
    let scored = match &args.out {
        Some(out) => score_to_file(&request, out, &device, &mut progress),
        None => msn_run::score(&request, &mut std::io::stdout(), &device, &mut progress),
    };
    let summary = match (scored, progress.caught()) {
        (Err(RunError::Interrupted), Some(signal)) => {
            let way_on = match &args.out {
                Some(out) => format!("the same command goes on with {}", partial_table(out)),
                None => "with --out FILE the same command would go on where it was".to_owned(),
            };
            return Err(Interrupted { signal, way_on }.into());
        }
        (scored, _) => scored?,
    };
    match summary.failed {
        0 => Ok(()),
        _ => Err(Failed.into()),
    }
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
