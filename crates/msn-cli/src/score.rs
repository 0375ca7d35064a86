//! `msn score`: sources frame by frame, with memory that does not grow with the frames' size.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use msn_data::{LoadOptions, Video};
use msn_eval::{Scorer, Seen, VideoScores, scores_csv, write_file};
use msn_video::{Options, open_ahead};

use crate::{
    Failed,
    args::ScoreArgs,
    run::{self, Found},
};

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
    let predictor = run::predictor(&found, &args.place)?;
    let scorer = run::scorer(predictor.as_ref(), meta);
    let load = run::load_options(meta);
    let mut csv = String::new();
    let mut failed = false;
    for video in &videos {
        match score_video(video, &found, &scorer, &load) {
            Ok(scores) => {
                let table = scores_csv(&scores, &meta.config.pools);
                // One header for all.
                let from = match csv.is_empty() {
                    true => 0,
                    false => table.find('\n').map_or(0, |end| end + 1),
                };
                if args.out.is_none() {
                    std::io::stdout().write_all(&table.as_bytes()[from..])?;
                }
                csv += &table[from..];
            }
            Err(error) if videos.len() == 1 => return Err(error),
            // The others are worth their scores all the same.
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
            }
        }
    }
    if let Some(out) = args.out.as_ref().filter(|_| !csv.is_empty()) {
        write_file(out, csv.as_bytes())?;
    }
    match failed {
        true => Err(Failed.into()),
        false => Ok(()),
    }
}

fn score_video(
    video: &Video,
    found: &Found,
    scorer: &Scorer<'_>,
    load: &LoadOptions,
) -> Result<VideoScores> {
    let source = &video.source;
    let options = Options {
        size: Some(load.size),
        color: load.color,
        threads: rayon::current_num_threads(),
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
    // Only numbers are kept of what has been scored.
    let mut scores = Vec::new();
    let (began, mut spoke) = (Instant::now(), Instant::now());
    let size = (side(load.size.height), side(load.size.width));
    let frames = scorer.source(&video.name, reader.by_ref(), size, step, &mut |seen| {
        match seen {
            Seen::Scored(scored) => scores.push(scored.score),
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
    for reason in &reader.losses().reasons {
        eprintln!("warning: {source}: {reason}");
    }
    if scores.is_empty() {
        return Err(anyhow!(
            "{source} has {frames} frames, too few for one score: {} unbroken ones are needed",
            scorer.frames_needed()
        ));
    }
    let calibration = found.weights.meta.calibration.as_ref();
    Ok(VideoScores::new(
        &video.name,
        frames,
        scores,
        None,
        calibration,
    ))
}
