//! `msn score`.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_run::{ScoreRequest, score_to_file};

use crate::{Failed, args::ScoreArgs, progress::Progress, selected_device::SelectedDevice};

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    let model = args.calibration.open(&args.weights)?;
    let sources = crate::args::sources(&args.sources)?;
    let device = SelectedDevice::new(&args.device, args.precision.precision)?;
    let request = ScoreRequest {
        model: &model,
        sources: &sources,
        folder_hz: args.fps.fps,
        temporary: &temporary_folder(args.out.as_deref())?,
    };
    let mut progress = Progress::default();
    let summary = match &args.out {
        Some(out) => score_to_file(&request, out, &device, &mut progress)?,
        None => msn_run::score(&request, &mut std::io::stdout(), &device, &mut progress)?,
    };
    match summary.failed {
        0 => Ok(()),
        _ => Err(Failed.into()),
    }
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
