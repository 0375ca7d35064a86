//! `msn data label`: a page on this machine on which test videos' anomalies are marked.

mod curve;
mod film;
mod server;
mod spans;

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::DataSet;
use msn_run::RunFolder;

use self::{curve::Scores, film::Film, server::Session, spans::SpanFile};
use crate::args::LabelArgs;

pub(crate) fn label(args: &LabelArgs) -> Result<()> {
    let dir = &args.dir;
    let set = DataSet::open(dir, &args.layout.options(args.fps.fps)?)?;
    if set.test.is_empty() {
        return Err(anyhow!(
            "{dir} has no test videos to label: put them into {dir}/test"
        ));
    }
    let file = dir.join("events.csv");
    if let Some(labels) = &set.labels
        && !labels.paths.contains(&file)
    {
        return Err(anyhow!(
            "{dir} has labels already ({}), which come before events.csv: move them away to make new ones",
            labels.paths[0]
        ));
    }
    for warning in &set.warnings {
        eprintln!("warning: {warning}");
    }
    let scores = scores(args, &set)?;
    let folder_hz = set.folder_hz;
    let films = set
        .test
        .into_iter()
        .map(|video| Film::new(video, folder_hz));
    let path = file.clone();
    let session = Session::new(set.name, films.collect(), SpanFile { path }, scores);
    server::run(session, args.port, |address| {
        println!("http://{address} marks spans in {file}; Ctrl-C or the page's button ends it");
    })
}

/// The scores that the page draws: those that are named, or those of the newest run on this data set.
fn scores(args: &LabelArgs, set: &DataSet) -> Result<Option<Scores>> {
    let names = || set.test.iter().map(|video| video.name.as_str());
    if let Some(path) = &args.scores {
        let of_run = path.join("scores");
        let path = if of_run.is_dir() { &of_run } else { path };
        let scores = Scores::read(path, args.column.as_deref())?;
        if !scores.fit(names()) {
            return Err(anyhow!(
                "{path} has scores of none of the test videos of {}: names must be the same",
                args.dir
            ));
        }
        return Ok(Some(scores));
    }
    let Some(folder) = newest_scores(set) else {
        return Ok(None);
    };
    match Scores::read(&folder, args.column.as_deref()) {
        Ok(scores) if scores.fit(names()) => {
            eprintln!("the curve is that of {folder}; --scores chooses another");
            Ok(Some(scores))
        }
        // Nobody asked for them.
        _ => Ok(None),
    }
}

/// The folder of scores of the newest run on a data set under `runs/NAME`.
fn newest_scores(set: &DataSet) -> Option<Utf8PathBuf> {
    let runs = RunFolder::all_in(&Utf8Path::new("runs").join(&set.name)).ok()?;
    let root = set.root.canonicalize_utf8().ok()?;
    let of_set = runs
        .into_iter()
        .filter(|run| run.card().is_ok_and(|card| card.data.path == root));
    let scored = of_set.filter_map(|run| {
        let folder = run.path().join("scores");
        let changed = folder.metadata().ok()?.modified().ok()?;
        Some((changed, folder))
    });
    scored
        .max_by_key(|(changed, _)| *changed)
        .map(|(_, folder)| folder)
}
