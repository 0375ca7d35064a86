//! Runs what is left of a grid.

use std::{
    any::Any,
    fmt, fs,
    panic::{AssertUnwindSafe, catch_unwind},
};

use anyhow::{Context as _, Error, Result, anyhow, bail};
use camino::{Utf8Path, Utf8PathBuf};
use msn_eval::Evaluation;
use serde::{Deserialize, Serialize};

use super::grid::Cell;
use crate::signal::Interrupted;

/// Version of `grid.json`.
const GRID_FORMAT: &str = "msn-grid-1";

/// What all runs of a folder share; the rest stands in the names of their folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plan {
    /// [`GRID_FORMAT`]; the first files have none.
    #[serde(default = "format")]
    format: String,
    data: Utf8PathBuf,
    /// `None` is `tiny`, as the first files have it.
    preset: Option<String>,
    settings: Vec<String>,
}

fn format() -> String {
    GRID_FORMAT.to_owned()
}

impl Plan {
    pub fn new(data: &Utf8Path, preset: &str, settings: &[String]) -> Self {
        Self {
            format: format(),
            data: data.to_owned(),
            preset: (preset != "tiny").then(|| preset.to_owned()),
            settings: settings.to_vec(),
        }
    }

    /// Makes `out` the folder of this plan. A folder with runs of another plan is an error, since
    /// they would be taken for this one's.
    pub fn claim(&self, out: &Utf8Path) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("can't make {out}"))?;
        let path = out.join("grid.json");
        if !path.exists() {
            let text = serde_json::to_string_pretty(self)?;
            return Ok(msn_data::write_atomically(&path, text.as_bytes())?);
        }
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {path}"))?;
        let there: Self = serde_json::from_str(&text)
            .with_context(|| format!("{path} is no grid of msn ablate"))?;
        if there != *self {
            bail!("{out} holds another grid ({there}); give this one ({self}) its own --out");
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.data)?;
        if let Some(preset) = &self.preset {
            write!(f, ", preset {preset}")?;
        }
        self.settings
            .iter()
            .try_for_each(|setting| write!(f, ", {setting}"))
    }
}

/// A run that has come to its end.
#[derive(Debug, Clone)]
pub(super) struct GridRun {
    pub cell: Cell,
    pub evaluation: Evaluation,
}

/// A run that came to no evaluation.
#[derive(Debug)]
pub(super) struct Failure {
    /// The name of its cell.
    pub cell: String,
    pub error: Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:#}", self.cell, self.error)
    }
}

/// Brings every cell to an evaluation by `train`, which gets the cell and the folder that it is to
/// make. A cell that fails, if by a panic, does not stop the others; an interruption does. After each
/// cell `report` gets all runs and failures so far; in the end they are returned.
pub(super) fn all(
    cells: &[Cell],
    out: &Utf8Path,
    mut train: impl FnMut(&Cell, &Utf8Path) -> Result<Evaluation>,
    mut report: impl FnMut(&[GridRun], &[Failure]) -> Result<()>,
) -> Result<(Vec<GridRun>, Vec<Failure>)> {
    let mut runs = Vec::new();
    let mut failed = Vec::new();
    for (number, cell) in (1..).zip(cells) {
        let folder = out.join(&cell.name);
        let place = format!("{number}/{} {}", cells.len(), cell.name);
        let evaluated = match Evaluation::read(&folder.join("eval.json")) {
            Ok(evaluation) => {
                eprintln!("{place}: there already");
                Ok(evaluation)
            }
            Err(_) => {
                eprintln!("{place}");
                // What a panic leaves is this cell's alone, and its folder is not looked at again.
                let trained = catch_unwind(AssertUnwindSafe(|| {
                    move_aside(&folder)?;
                    train(cell, &folder)
                }));
                trained.unwrap_or_else(|panic| Err(anyhow!("it panicked: {}", text(&*panic))))
            }
        };
        match evaluated {
            Ok(evaluation) => runs.push(GridRun {
                cell: cell.clone(),
                evaluation,
            }),
            Err(error) if error.is::<Interrupted>() => return Err(error),
            Err(error) => failed.push(Failure {
                cell: cell.name.clone(),
                error,
            }),
        }
        report(&runs, &failed)?;
    }
    Ok((runs, failed))
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no reason is given")
}

/// Renames what a stopped run left, replacing what an earlier one left.
fn move_aside(folder: &Utf8Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let aside = Utf8PathBuf::from(format!("{folder}.unfinished"));
    if aside.exists() {
        fs::remove_dir_all(&aside).with_context(|| format!("can't remove {aside}"))?;
    }
    fs::rename(folder, &aside).with_context(|| format!("can't move {folder} aside"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablate::{grid::Grid, table::tests::evaluation};

    fn temporary() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        (dir, path)
    }

    fn cells() -> Vec<Cell> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let grid = Grid::new(&words("none 3"), &words("0 1"), &[]);
        grid.unwrap().cells()
    }

    /// Leaves an evaluation, as a training does.
    fn finish(folder: &Utf8Path) -> Result<Evaluation> {
        fs::create_dir_all(folder)?;
        let evaluation = evaluation(0.9);
        fs::write(folder.join("eval.json"), serde_json::to_vec(&evaluation)?)?;
        Ok(evaluation)
    }

    #[test]
    fn a_stopped_grid_goes_on_where_it_was() {
        let (_guard, out) = temporary();
        let cells = cells();
        let folder = |n: usize| out.join(&cells[n].name);
        finish(&folder(0)).unwrap();
        // Cell 1 was stopped while training, cell 2 while writing its evaluation.
        fs::create_dir_all(folder(1).join("weights")).unwrap();
        finish(&folder(2)).unwrap();
        let whole = fs::read(folder(2).join("eval.json")).unwrap();
        fs::write(folder(2).join("eval.json"), &whole[..20]).unwrap();

        let mut trained = Vec::new();
        let mut reports = Vec::new();
        let train = |cell: &Cell, folder: &Utf8Path| {
            assert!(!folder.exists(), "{folder}");
            trained.push(cell.name.clone());
            finish(folder)
        };
        let report = |runs: &[GridRun], _: &[Failure]| {
            reports.push(runs.len());
            Ok(())
        };
        let (runs, failed) = all(&cells, &out, train, report).unwrap();
        assert_eq!((runs.len(), failed.len()), (4, 0));
        assert_eq!(trained, [&*cells[1].name, &*cells[2].name, &*cells[3].name]);
        assert_eq!(reports, [1, 2, 3, 4]);
        let aside = out.join(format!("{}.unfinished", cells[1].name));
        assert!(aside.join("weights").is_dir());

        let again = |_: &Cell, _: &Utf8Path| panic!("nothing is left");
        let (runs, failed) = all(&cells, &out, again, |_, _| Ok(())).unwrap();
        assert_eq!((runs.len(), failed.len()), (4, 0));
    }

    #[test]
    fn a_failing_run_does_not_stop_the_others_and_an_interruption_does() {
        let (_guard, out) = temporary();
        let cells = cells();
        let train = |cell: &Cell, folder: &Utf8Path| match cell.name.as_str() {
            "pools-none_seed-0" => bail!("no memory"),
            "pools-3_seed-0" => panic!("no {}", "reason"),
            _ => finish(folder),
        };
        // What was left can't be moved aside.
        fs::create_dir(out.join("pools-none_seed-1")).unwrap();
        fs::write(out.join("pools-none_seed-1.unfinished"), "").unwrap();
        let mut reports = Vec::new();
        let report = |runs: &[GridRun], failed: &[Failure]| {
            reports.push((runs.len(), failed.len()));
            Ok(())
        };
        let (_, failed) = all(&cells, &out, train, report).unwrap();
        assert_eq!(reports, [(0, 1), (0, 2), (0, 3), (1, 3)]);
        let failed: Vec<String> = failed.iter().map(Failure::to_string).collect();
        assert_eq!(failed[0], "pools-none_seed-0: no memory");
        assert_eq!(failed[1], "pools-3_seed-0: it panicked: no reason");
        assert!(
            failed[2].contains("pools-none_seed-1.unfinished"),
            "{failed:?}"
        );
        assert!(out.join("pools-3_seed-1/eval.json").exists());

        let stop = |_: &Cell, _: &Utf8Path| -> Result<Evaluation> {
            Err(Interrupted {
                signal: 2,
                state: "",
                way_on: String::new(),
            }
            .into())
        };
        let error = all(&cells, &out, stop, |_, _| Ok(())).unwrap_err();
        assert!(error.is::<Interrupted>());
    }

    #[test]
    fn a_folder_belongs_to_one_plan() {
        let (_guard, out) = temporary();
        let plan = Plan::new("ped2".into(), "cpu", &["epochs=2".to_owned()]);
        plan.claim(&out).unwrap();
        plan.claim(&out).unwrap();
        let other = Plan::new("ped2".into(), "tiny", &["epochs=2".to_owned()]);
        let error = other.claim(&out).unwrap_err().to_string();
        assert!(error.contains("ped2, preset cpu, epochs=2"), "{error}");
        assert!(error.contains("--out"), "{error}");
        // As `cargo xtask ablate` wrote it.
        let former = r#"{"data": "ped2", "preset": "cpu", "settings": ["epochs=2"]}"#;
        fs::write(out.join("grid.json"), former).unwrap();
        plan.claim(&out).unwrap();
    }
}
