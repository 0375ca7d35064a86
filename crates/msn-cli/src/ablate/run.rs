//! Runs what is left of a grid.

use std::{fmt, fs};

use anyhow::{Context as _, Error, Result, bail};
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

/// Brings every cell to an evaluation by `train`, which gets the cell and the folder that it is to
/// make. A cell that fails does not stop the others: those are returned by name, and why; an
/// interruption does. After each run `report` gets all runs so far.
pub(super) fn all(
    cells: &[Cell],
    out: &Utf8Path,
    mut train: impl FnMut(&Cell, &Utf8Path) -> Result<Evaluation>,
    mut report: impl FnMut(&[GridRun]) -> Result<()>,
) -> Result<Vec<(String, Error)>> {
    let mut runs = Vec::new();
    let mut failed = Vec::new();
    for (number, cell) in (1..).zip(cells) {
        let folder = out.join(&cell.name);
        let place = format!("{number}/{} {}", cells.len(), cell.name);
        let evaluation = match Evaluation::read(&folder.join("eval.json")) {
            Ok(evaluation) => {
                eprintln!("{place}: there already");
                evaluation
            }
            Err(_) => {
                move_aside(&folder)?;
                eprintln!("{place}");
                match train(cell, &folder) {
                    Ok(evaluation) => evaluation,
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => {
                        failed.push((cell.name.clone(), error));
                        continue;
                    }
                }
            }
        };
        let cell = cell.clone();
        runs.push(GridRun { cell, evaluation });
        report(&runs)?;
    }
    Ok(failed)
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
        let report = |runs: &[GridRun]| {
            reports.push(runs.len());
            Ok(())
        };
        assert!(all(&cells, &out, train, report).unwrap().is_empty());
        assert_eq!(trained, [&*cells[1].name, &*cells[2].name, &*cells[3].name]);
        assert_eq!(reports, [1, 2, 3, 4]);
        let aside = out.join(format!("{}.unfinished", cells[1].name));
        assert!(aside.join("weights").is_dir());

        let again = |_: &Cell, _: &Utf8Path| panic!("nothing is left");
        assert!(all(&cells, &out, again, |_| Ok(())).unwrap().is_empty());
    }

    #[test]
    fn a_failing_run_does_not_stop_the_others_and_an_interruption_does() {
        let (_guard, out) = temporary();
        let cells = cells();
        let train = |cell: &Cell, folder: &Utf8Path| match cell.name.as_str() {
            "pools-none_seed-0" => bail!("no memory"),
            _ => finish(folder),
        };
        let failed = all(&cells, &out, train, |_| Ok(())).unwrap();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].0, "pools-none_seed-0");

        let stop = |_: &Cell, _: &Utf8Path| -> Result<Evaluation> {
            let (signal, way_on) = (2, String::new());
            Err(Interrupted { signal, way_on }.into())
        };
        let error = all(&cells, &out, stop, |_| Ok(())).unwrap_err();
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
