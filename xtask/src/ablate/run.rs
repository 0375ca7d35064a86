//! Runs the cells of a grid that have not run yet.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use serde::{Deserialize, Serialize};

use super::grid::Cell;
use super::results::Eval;
use super::write_whole;
use crate::step;

/// What all cells of a folder share; the rest stands in the names of their folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub data: String,
    pub preset: Option<String>,
    pub settings: Vec<String>,
}

impl Plan {
    /// Makes `out` the folder of this plan. A folder with cells of another plan is an error, since
    /// its cells would be taken for this one's.
    pub fn claim(&self, out: &Path) -> Result<()> {
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        let path = out.join("grid.json");
        if !path.exists() {
            let text = serde_json::to_string_pretty(self).context("cannot write the grid")?;
            return write_whole(&path, &text);
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let there: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no grid of cargo xtask ablate", path.display()))?;
        if there != *self {
            bail!(
                "{} holds another grid ({there}); give this one ({self}) its own --out",
                out.display()
            );
        }
        Ok(())
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.data)?;
        if let Some(preset) = &self.preset {
            write!(f, ", preset {preset}")?;
        }
        self.settings
            .iter()
            .try_for_each(|setting| write!(f, ", {setting}"))
    }
}

/// A cell that has run.
#[derive(Debug, Clone)]
pub struct Run {
    pub cell: Cell,
    pub eval: Eval,
}

/// How the grid ended.
#[derive(Debug, Default)]
pub struct Done {
    pub runs: Vec<Run>,
    /// Names of cells that did not come through, and why.
    pub failed: Vec<(String, Error)>,
}

/// Whether no cell is left to run.
pub fn is_complete(cells: &[Cell], out: &Path) -> bool {
    cells
        .iter()
        .all(|cell| Eval::read(&out.join(&cell.name)).is_ok())
}

/// Brings every cell to a complete `eval.json` by `train`, which gets the cell and the folder that
/// it is to make. A cell that fails does not stop the others. After each new run `report` gets all
/// runs so far.
pub fn run(
    cells: &[Cell],
    out: &Path,
    mut train: impl FnMut(&Cell, &Path) -> Result<()>,
    mut report: impl FnMut(&[Run]) -> Result<()>,
) -> Result<Done> {
    let mut done = Done::default();
    for (index, cell) in cells.iter().enumerate() {
        let folder = out.join(&cell.name);
        let place = format!("{}/{} {}", index + 1, cells.len(), cell.name);
        let eval = match Eval::read(&folder) {
            Ok(eval) => {
                step(&format!("{place}: there already"));
                eval
            }
            Err(_) => {
                move_aside(&folder)?;
                step(&place);
                let trained = train(cell, &folder).and_then(|()| Eval::read(&folder));
                match trained {
                    Ok(eval) => eval,
                    Err(error) => {
                        done.failed.push((cell.name.clone(), error));
                        continue;
                    }
                }
            }
        };
        done.runs.push(Run {
            cell: cell.clone(),
            eval,
        });
        report(&done.runs)?;
    }
    Ok(done)
}

/// Renames what a stopped run left, replacing what an earlier one left.
fn move_aside(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mut aside = folder.as_os_str().to_owned();
    aside.push(".unfinished");
    let aside = PathBuf::from(aside);
    if aside.exists() {
        fs::remove_dir_all(&aside).with_context(|| format!("cannot remove {}", aside.display()))?;
    }
    fs::rename(folder, &aside).with_context(|| format!("cannot move {} aside", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ablate::grid::Grid;

    const EVAL: &str = r#"{"legacy": {"micro_auc": {"value": 0.9}}, "fair": null}"#;

    fn cells() -> Vec<Cell> {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        Grid::new(&words("none 3"), &words("0 1"), &[])
            .unwrap()
            .cells()
    }

    fn finish(folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("eval.json"), EVAL)?;
        Ok(())
    }

    #[test]
    fn a_stopped_grid_goes_on_where_it_was() {
        let out = tempfile::tempdir().unwrap();
        let cells = cells();
        finish(&out.path().join(&cells[0].name)).unwrap();
        // Cell 1 was stopped while training, cell 2 while writing its evaluation.
        fs::create_dir_all(out.path().join(&cells[1].name).join("log")).unwrap();
        fs::create_dir_all(out.path().join(&cells[2].name)).unwrap();
        fs::write(
            out.path().join(&cells[2].name).join("eval.json"),
            &EVAL[..20],
        )
        .unwrap();

        assert!(!is_complete(&cells, out.path()));
        let mut trained = Vec::new();
        let mut reports = Vec::new();
        let train = |cell: &Cell, folder: &Path| {
            assert!(!folder.exists(), "{}", folder.display());
            trained.push(cell.name.clone());
            finish(folder)
        };
        let report = |runs: &[Run]| {
            reports.push(runs.len());
            Ok(())
        };
        let done = run(&cells, out.path(), train, report).unwrap();
        assert!(done.failed.is_empty());
        assert_eq!(done.runs.len(), 4);
        assert_eq!(trained, [&*cells[1].name, &*cells[2].name, &*cells[3].name]);
        assert_eq!(reports, [1, 2, 3, 4]);
        assert!(is_complete(&cells, out.path()));
        let aside = out.path().join(format!("{}.unfinished", cells[1].name));
        assert!(aside.join("log").is_dir());

        let done = run(
            &cells,
            out.path(),
            |_, _| panic!("nothing is left"),
            |_| Ok(()),
        )
        .unwrap();
        assert_eq!(done.runs.len(), 4);
    }

    #[test]
    fn a_failing_cell_does_not_stop_the_others() {
        let out = tempfile::tempdir().unwrap();
        let cells = cells();
        let train = |cell: &Cell, folder: &Path| match cell.name.as_str() {
            "pools-none_seed-0" => bail!("no memory"),
            // Says that all is well, and leaves nothing.
            "pools-3_seed-0" => Ok(()),
            _ => finish(folder),
        };
        let done = run(&cells, out.path(), train, |_| Ok(())).unwrap();
        assert_eq!(done.runs.len(), 2);
        let failed: Vec<_> = done.failed.iter().map(|f| f.0.as_str()).collect();
        assert_eq!(failed, ["pools-none_seed-0", "pools-3_seed-0"]);
    }

    #[test]
    fn a_folder_belongs_to_one_plan() {
        let out = tempfile::tempdir().unwrap();
        let plan = Plan {
            data: "ped2".to_owned(),
            preset: Some("cpu".to_owned()),
            settings: vec!["epochs=2".to_owned()],
        };
        plan.claim(out.path()).unwrap();
        plan.claim(out.path()).unwrap();
        let other = Plan {
            preset: None,
            ..plan
        };
        let error = other.claim(out.path()).unwrap_err().to_string();
        assert!(
            error.contains("ped2, preset cpu, epochs=2") && error.contains("--out"),
            "{error}"
        );
    }
}
