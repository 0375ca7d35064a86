//! `msn score`: one source, frame by frame, with memory that does not grow with the frames' size.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use msn_eval::{Seen, VideoScores, scores_csv, write_file};
use msn_video::Options;

use crate::{args::ScoreArgs, run};

/// Frames that wait decoded for the network: two of its batches.
const READ_AHEAD: usize = 16;

pub(crate) fn score(args: &ScoreArgs) -> Result<()> {
    let found = run::find(&args.weights)?;
    let meta = &found.weights.meta;
    let load = run::load_options(meta);
    let mut reader = msn_video::open_ahead(
        &args.source,
        &Options {
            size: Some(load.size),
            color: load.color,
            threads: rayon::current_num_threads(),
        },
        READ_AHEAD,
    )?;
    if meta.calibration.is_none() {
        eprintln!(
            "note: {} has no calibration, so fair scores are empty: `msn weights calibrate {0} NORMAL_VIDEOS` adds one",
            found.path
        );
    }
    let predictor = run::predictor(&found, &args.place)?;
    let scorer = run::scorer(predictor.as_ref(), meta);
    let name = args
        .source
        .file_name()
        .unwrap_or(args.source.as_str())
        .to_owned();
    let side = |v: u32| usize::try_from(v).unwrap_or(usize::MAX);
    // Only numbers are kept of what has been scored.
    let mut scores = Vec::new();
    let (began, mut spoke) = (Instant::now(), Instant::now());
    let size = (side(load.size.height), side(load.size.width));
    let frames = scorer.source(&name, reader.by_ref(), size, &mut |seen| {
        match seen {
            Seen::Scored(scored) => scores.push(scored.score),
            Seen::Lost(lost) => eprintln!(
                "warning: {}, frame {} is lost: {}",
                args.source, lost.index, lost.reason
            ),
            Seen::Read(frames) if spoke.elapsed() >= Duration::from_secs(2) => {
                spoke = Instant::now();
                let rate = f64::from(u32::try_from(frames).unwrap_or(u32::MAX))
                    / began.elapsed().as_secs_f64();
                eprintln!("{frames} frames, {rate:.0} frames/s");
            }
            Seen::Read(_) => {}
        }
        Ok(())
    })?;
    for note in &reader.info().notes {
        eprintln!("note: {}: {note}", args.source);
    }
    for reason in &reader.losses().reasons {
        eprintln!("warning: {}: {reason}", args.source);
    }
    if scores.is_empty() {
        return Err(anyhow!(
            "{} has {frames} frames, too few for one score: {} unbroken ones are needed",
            args.source,
            scorer.frames_needed()
        ));
    }
    let video = VideoScores::new(&name, frames, scores, None, meta.calibration.as_ref());
    let csv = scores_csv(&video, &meta.config.pools);
    match &args.out {
        Some(out) => write_file(out, csv.as_bytes())?,
        None => std::io::stdout().write_all(csv.as_bytes())?,
    }
    Ok(())
}
