//! `cargo xtask ablate`: trains a grid of settings, each with several seeds, and writes what
//! came out as a table (Markdown, CSV) and a plot (SVG).
//!
//! A grid can be stopped at any time: a cell with a complete `eval.json` is not run again, a
//! half-finished one is moved aside and run anew.

mod grid;
mod plot;
mod results;
mod run;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{cargo, launch, step};
use grid::{Cell, Grid};

/// Arguments of `cargo xtask ablate`.
#[derive(Args)]
pub struct AblateArgs {
    /// Data set, as for `msn train`
    data: String,
    /// Settings for every cell; a list `key=a,b,c` is a further axis of the grid
    #[arg(value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Pools, one cell each: none, or numbers joined by commas
    #[arg(long, num_args = 1.., default_values = ["none", "3", "2,3", "1,2,3"])]
    pools: Vec<String>,
    /// Seeds that every setting is trained with
    #[arg(long, num_args = 1.., default_values = ["0", "1", "2"])]
    seeds: Vec<String>,
    /// Preset, as for `msn train`
    #[arg(long)]
    preset: Option<String>,
    /// Device, as for `msn train`
    #[arg(long)]
    device: Option<String>,
    /// Folder of the grid: one folder for each cell, the table and the plot
    #[arg(long, default_value = "runs/ablate")]
    out: PathBuf,
    /// Build msn without FFmpeg: the data set is frame folders
    #[arg(long)]
    no_default_features: bool,
}

/// Runs what is left of the grid and writes its tables.
pub fn command(args: AblateArgs) -> Result<ExitCode> {
    let grid = Grid::new(&args.pools, &args.seeds, &args.settings)?;
    let cells = grid.cells();
    let plan = run::Plan {
        data: args.data.clone(),
        preset: args.preset.clone(),
        settings: grid.fixed.clone(),
    };
    let title = plan.to_string();
    plan.claim(&args.out)?;
    step(&format!("{} cells in {}", cells.len(), args.out.display()));

    let devices: Vec<String> = args
        .device
        .iter()
        .flat_map(|d| d.split(','))
        .map(str::to_ascii_lowercase)
        .collect();
    // A grid that is complete has its tables written anew without a build.
    let msn = if run::is_complete(&cells, &args.out) {
        PathBuf::new()
    } else {
        launch::build(&devices, args.no_default_features)?
    };
    let train = |cell: &Cell, folder: &Path| -> Result<()> {
        let mut command = Command::new(&msn);
        command
            .args(train_arguments(&args))
            .arg("--out")
            .arg(folder)
            .args(grid.settings(cell));
        cargo::run(&mut command)
    };
    let done = run::run(&cells, &args.out, train, |runs| {
        table::write(&args.out, &title, &grid, runs)
            .and_then(|()| plot::write(&args.out, &title, &grid, runs))
    })?;

    println!("{}", args.out.join("table.md").display());
    if done.failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    for (cell, error) in &done.failed {
        eprintln!("error: {cell}: {error:#}");
    }
    Ok(ExitCode::FAILURE)
}

fn train_arguments(args: &AblateArgs) -> Vec<String> {
    let mut words = vec!["train".to_owned(), args.data.clone()];
    for (option, value) in [("--preset", &args.preset), ("--device", &args.device)] {
        if let Some(value) = value {
            words.extend([option.to_owned(), value.clone()]);
        }
    }
    words
}

/// Writes a file under a temporary name and renames it, so that nobody sees half of it.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension("part.tmp");
    std::fs::write(&part, text).with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot write {}", path.display()))
}
