//! `msn score`: sources frame by frame, with memory that grows neither with the frames' size nor with
//! their number.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Seek as _, Write},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{LoadOptions, Video};
use msn_eval::{ScoreSpool, Scorer, Seen, write_file_from};
use msn_video::{Options, open_ahead};

use crate::{Failed, args::ScoreArgs, run};

/// Frames that wait decoded for the network: two of its batches.
const READ_AHEAD: usize = 16;

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    let found = run::find(&args.weights)?;
    let meta = &found.weights.meta;
    let videos = msn_data::sources(&args.sources)?;
    if meta.calibration.is_none() {
        eprintln!(
            "note: {} has no calibration, so fair scores are empty: `msn weights calibrate {0} NORMAL_VIDEOS` adds one",
            found.path
        );
    }
    let predictor = run::predictor(&found, &args.place, args.precision.precision)?;
    let scorer = run::scorer(predictor.as_ref(), meta);
    let load = run::load_options(meta, args.fps.fps);
    let folder = spool_folder(args.out.as_deref())?;
    let mut output = Output::new(args.out.as_deref(), &folder)?;
    let mut failed = false;
    for video in &videos {
        let spool = ScoreSpool::new(&folder, meta.config.pools.len())?;
        match score_video(video, spool, &scorer, &load) {
            Ok(scores) => {
                // One header for all.
                let first = std::mem::replace(&mut output.is_empty, false);
                let calibration = meta.calibration.as_ref();
                let to = output.to.as_mut();
                scores.write_csv(&video.name, &meta.config.pools, first, calibration, to)?;
                to.flush()?;
            }
            Err(error) if videos.len() == 1 => return Err(error),
            // The others are worth their scores all the same.
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
            }
        }
    }
    output.finish()?;
    match failed {
        true => Err(Failed.into()),
        false => Ok(()),
    }
}

/// Where scores wait: beside the file that they are for, whose disk has room for them, or among the
/// system's temporary files.
fn spool_folder(out: Option<&Utf8Path>) -> Result<Utf8PathBuf> {
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

/// Where the table goes: standard output, or a file that is written when all is known.
struct Output<'a> {
    to: Box<dyn Write>,
    /// The file, and what was written for it so far, which has no name yet.
    file: Option<(&'a Utf8Path, File)>,
    is_empty: bool,
}

impl<'a> Output<'a> {
    fn new(out: Option<&'a Utf8Path>, folder: &Utf8Path) -> Result<Self> {
        let Some(out) = out else {
            return Ok(Self {
                to: Box::new(std::io::stdout()),
                file: None,
                is_empty: true,
            });
        };
        let waiting = tempfile::tempfile_in(folder)
            .with_context(|| format!("can't write a temporary file into {folder}"))?;
        Ok(Self {
            to: Box::new(BufWriter::new(waiting.try_clone()?)),
            file: Some((out, waiting)),
            is_empty: true,
        })
    }

    fn finish(mut self) -> Result<()> {
        self.to.flush()?;
        if let Some((out, mut waiting)) = self.file.filter(|_| !self.is_empty) {
            waiting.rewind()?;
            write_file_from(out, &mut BufReader::new(waiting))?;
        }
        Ok(())
    }
}

fn score_video(
    video: &Video,
    mut scores: ScoreSpool,
    scorer: &Scorer<'_>,
    load: &LoadOptions,
) -> Result<ScoreSpool> {
    let source = &video.source;
    let options = Options {
        size: Some(load.size),
        color: load.color,
        threads: rayon::current_num_threads(),
        folder_hz: load.folder_hz,
    };
    // Says what is wrong with a file better than its packets could.
    msn_video::open(source, &options)?;
    let pace = msn_video::pace(source)?;
    let rate_hz = pace.and_then(|pace| pace.resample_hz(load.rate_hz));
    // What is resampled has its cuts as losses.
    let step = pace
        .filter(|_| rate_hz.is_none())
        .map(|pace| pace.step_seconds);
    if let Some(hz) = rate_hz {
        eprintln!(
            "note: {source}: frames of an uneven pace or another rate are taken at {hz:.3} Hz"
        );
    }
    let mut reader = open_ahead(source, &options, rate_hz, READ_AHEAD)?;
    let side = |v: u32| usize::try_from(v).unwrap_or(usize::MAX);
    let (began, mut spoke) = (Instant::now(), Instant::now());
    let size = (side(load.size.height), side(load.size.width));
    let frames = scorer.source(&video.name, reader.by_ref(), size, step, &mut |seen| {
        match seen {
            // Only numbers are kept of what has been scored.
            Seen::Scored(scored) => scores.push(&scored.score)?,
            Seen::Lost(lost) => eprintln!(
                "warning: {source}, frame {} is lost: {}",
                lost.index, lost.reason
            ),
            Seen::Read(frames) if spoke.elapsed() >= Duration::from_secs(2) => {
                spoke = Instant::now();
                let rate = f64::from(u32::try_from(frames).unwrap_or(u32::MAX))
                    / began.elapsed().as_secs_f64();
                eprintln!("{source}: {frames} frames, {rate:.0} frames/s");
            }
            Seen::Read(_) => {}
        }
        Ok(())
    })?;
    for note in &reader.info().notes {
        eprintln!("note: {source}: {note}");
    }
    for reason in &reader.decode_errors().reasons {
        eprintln!("warning: {source}: {reason}");
    }
    if scores.is_empty() {
        return Err(anyhow!(
            "{source} has {frames} frames, too few for one score: {} unbroken ones are needed",
            scorer.frames_needed()
        ));
    }
    Ok(scores)
}
