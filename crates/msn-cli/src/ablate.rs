//! `msn ablate`: trains a grid of settings, each combination with several seeds, and writes what
//! came out as tables (Markdown, CSV) and a plot (SVG).
//!
//! A grid can be stopped at any time: a run with a complete `eval.json` is not run again, a
//! half-finished one is moved aside and run anew. A run that fails costs the others nothing.

mod command;
mod grid;
mod run;
mod table;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use camino::Utf8Path;
use msn_eval::{DotsPanel, Evaluation, dots_svg};
use msn_model::Precision;
use msn_run::{RunLocation, TrainOutcome, TrainRequest};
use msn_train::{Preset, Settings};
use serde::Serialize;

use crate::{
    Failed, Usage, args::AblateArgs, command_line::print_json, progress::Progress, ranks::Ranks,
    selected_device::SelectedDevice, signal::Interrupted, text::count,
};
use grid::{Cell, Grid};
use run::{Failure, GridRun, Plan};
use table::{PROTOCOLS, runs_of};

pub(crate) fn ablate(args: &AblateArgs) -> Result<()> {
    let ranks = Ranks::start()?;
    if ranks.world_size() > 1 {
        return Err(
            Usage("a grid is trained by one process, one run after the other".into()).into(),
        );
    }
    let usage = |e: anyhow::Error| Usage(format!("{e:#}"));
    let grid = Grid::new(&args.pools, &args.seeds, &args.settings).map_err(usage)?;
    let cells = grid.cells();
    // All of them, before hours go into the first.
    for cell in &cells {
        settings_of(args, &grid, cell)?;
    }
    let set = args.source.open(&args.data, args.fps.fps)?;
    let device = SelectedDevice::new(&args.device, Precision::F32)?;
    let plan = Plan::new(&args.data, &args.preset, &grid.fixed);
    plan.claim(&args.out)?;
    eprintln!("{} in {}", count(cells.len(), "run"), args.out);

    let options = command::shared_options();
    let train = |cell: &Cell, folder: &Utf8Path| {
        let location = RunLocation::At(folder.to_owned());
        let request = TrainRequest {
            store: args.store.store(),
            command: command::of_cell(args, &grid.settings(cell), folder, &options),
            ..TrainRequest::new(settings_of(args, &grid, cell)?, &set, location)
        };
        one(&request, folder, &device, &ranks)
    };
    let title = plan.to_string();
    let report =
        |runs: &[GridRun], failed: &[Failure]| write(&args.out, &title, &grid, runs, failed);
    let (runs, failed) = run::all(&cells, &args.out, train, report)?;
    match args.json {
        true => print_json(&Ablation {
            format: "msn-ablation-1",
            folder: &args.out,
            runs: runs
                .iter()
                .map(|run| (run.cell.name.as_str(), &run.evaluation))
                .collect(),
            failed: failed
                .iter()
                .map(|failure| (failure.cell.as_str(), format!("{:#}", failure.error)))
                .collect(),
        })?,
        false => println!("{}", args.out.join("table.md")),
    }
    if failed.is_empty() {
        return Ok(());
    }
    for failure in &failed {
        eprintln!("error: {failure}");
    }
    Err(Failed.into())
}

/// What `msn ablate --json` prints; runs and failures by the names of their folders.
#[derive(Serialize)]
struct Ablation<'a> {
    format: &'static str,
    folder: &'a Utf8Path,
    runs: BTreeMap<&'a str, &'a Evaluation>,
    failed: BTreeMap<&'a str, String>,
}

/// The settings of one run.
fn settings_of(args: &AblateArgs, grid: &Grid, cell: &Cell) -> Result<Settings> {
    let usage = |e: msn_train::SettingsError| Usage(e.to_string());
    let preset: Preset = args.preset.parse().map_err(usage)?;
    let mut settings = Settings::preset(preset);
    for text in grid.settings(cell) {
        settings.set(&text).map_err(usage)?;
    }
    settings.check().map_err(usage)?;
    Ok(settings)
}

/// One run of the grid.
fn one(
    request: &TrainRequest<'_>,
    folder: &Utf8Path,
    device: &SelectedDevice,
    ranks: &Ranks,
) -> Result<Evaluation> {
    let mut progress = Progress::of_rank(ranks);
    match msn_run::train(request, device, &mut progress)? {
        TrainOutcome::Finished { evaluation, .. } => {
            let evaluation = evaluation.context("there is nothing to compare without labels")?;
            Ok(*evaluation)
        }
        TrainOutcome::Interrupted(_) => Err(Interrupted {
            signal: progress.caught().unwrap_or(0),
            state: "this run unfinished",
            way_on: "the same command trains it anew, and then what is left".to_owned(),
        }
        .into()),
        // A fresh folder, and one process.
        TrainOutcome::AlreadyFinished(_) | TrainOutcome::Followed { .. } => {
            Ok(Evaluation::read(&folder.join("eval.json"))?)
        }
    }
}

/// Writes the tables and the plot of the runs so far.
fn write(
    out: &Utf8Path,
    title: &str,
    grid: &Grid,
    runs: &[GridRun],
    failed: &[Failure],
) -> Result<()> {
    table::write(out, title, grid, runs, failed)?;
    let combinations = grid.combinations();
    let panel = |(protocol, metrics): (&'static str, table::Protocol)| DotsPanel {
        protocol,
        columns: combinations
            .iter()
            .map(|values| {
                let runs = runs_of(values, runs).into_iter();
                let metrics = runs.filter_map(|run| metrics(&run.evaluation));
                metrics
                    .filter_map(|m| Some(m.micro_auc.as_ref()?.value))
                    .collect()
            })
            .collect(),
    };
    let labels: Vec<String> = combinations.iter().map(|v| grid.label(v)).collect();
    let title = format!(
        "{title}: micro AUC, a dot for each of {} seeds, a bar at the mean",
        grid.seeds.len()
    );
    let svg = dots_svg(&title, &labels, &PROTOCOLS.map(panel));
    msn_data::write_atomically(&out.join("plot.svg"), svg.as_bytes())?;
    Ok(())
}
