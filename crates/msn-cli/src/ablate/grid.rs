//! The grid: axes of settings, and the cells that they span.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

/// A key with the values that the grid runs through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Axis {
    pub key: String,
    pub values: Vec<String>,
}

/// Axes of settings, seeds, and settings that are the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grid {
    /// `pools` first.
    pub axes: Vec<Axis>,
    pub seeds: Vec<u64>,
    /// `key=value`, sorted.
    pub fixed: Vec<String>,
}

/// One training: a value on each axis, and a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// One value for each axis of the grid.
    pub values: Vec<String>,
    pub seed: u64,
    /// Its folder's name, unique in the grid.
    pub name: String,
}

impl Grid {
    /// Makes a grid of the values of `--pools`, of `--seeds` and of the settings. An option takes
    /// all words that follow it, so settings among pools and seeds are settings.
    pub fn new(pools: &[String], seeds: &[String], settings: &[String]) -> Result<Self> {
        let is_setting = |word: &&String| word.contains('=');
        let settings: Vec<&String> = settings
            .iter()
            .chain(pools.iter().filter(is_setting))
            .chain(seeds.iter().filter(is_setting))
            .collect();

        let pools = pools.iter().filter(|w| !is_setting(w)).map(|w| pool_set(w));
        let mut axes = vec![Axis {
            key: "pools".to_owned(),
            values: pools.collect::<Result<_>>()?,
        }];
        let seeds: Vec<u64> = seeds
            .iter()
            .filter(|w| !is_setting(w))
            .map(|w| {
                w.parse().with_context(|| {
                    format!(
                        "seed {w} is no whole number from 0 on (DATA stands before the options)"
                    )
                })
            })
            .collect::<Result<_>>()?;

        let mut fixed = Vec::new();
        let mut keys = BTreeSet::from(["pools", "seed"]);
        for setting in settings {
            let (key, value) = setting
                .split_once('=')
                .filter(|(key, value)| !key.is_empty() && !value.is_empty())
                .with_context(|| format!("{setting} is no key=value"))?;
            match key {
                "pools" => bail!("{setting}: the grid's pools are given by --pools"),
                "seed" => bail!("{setting}: the grid's seeds are given by --seeds"),
                _ if !keys.insert(key) => bail!("{key} is given twice"),
                _ => {}
            }
            let values: Vec<String> = value.split(',').map(|v| v.trim().to_owned()).collect();
            if values.iter().any(String::is_empty) {
                bail!("{setting}: a value is empty");
            }
            if values.len() > 1 {
                axes.push(Axis {
                    key: key.to_owned(),
                    values,
                });
            } else {
                fixed.push(setting.clone());
            }
        }
        fixed.sort();
        let grid = Self { axes, seeds, fixed };
        grid.check()?;
        Ok(grid)
    }

    fn check(&self) -> Result<()> {
        for Axis { key, values } in &self.axes {
            if values.is_empty() {
                bail!("{key} has no values");
            }
            let names: BTreeSet<_> = values.iter().map(|v| file_name(v)).collect();
            if names.len() < values.len() {
                bail!("{key} has a value twice: {}", values.join(" "));
            }
        }
        let seeds: BTreeSet<_> = self.seeds.iter().collect();
        if seeds.is_empty() || seeds.len() < self.seeds.len() {
            bail!("--seeds takes one or more different numbers");
        }
        Ok(())
    }

    /// All combinations of values, the last axis fastest.
    pub fn combinations(&self) -> Vec<Vec<String>> {
        let mut combinations = vec![Vec::new()];
        for axis in &self.axes {
            combinations = combinations
                .into_iter()
                .flat_map(|before| {
                    axis.values.iter().map(move |value| {
                        let mut combination = before.clone();
                        combination.push(value.clone());
                        combination
                    })
                })
                .collect();
        }
        combinations
    }

    /// All cells. Seeds are the slowest, so that a stopped grid has compared everything once.
    pub fn cells(&self) -> Vec<Cell> {
        let combinations = self.combinations();
        let seeds = self.seeds.iter();
        seeds
            .flat_map(|&seed| combinations.iter().map(move |v| self.cell(v.clone(), seed)))
            .collect()
    }

    fn cell(&self, values: Vec<String>, seed: u64) -> Cell {
        let mut name = String::new();
        for (axis, value) in self.axes.iter().zip(&values) {
            name.push_str(&format!("{}-{}_", file_name(&axis.key), file_name(value)));
        }
        name.push_str(&format!("seed-{seed}"));
        Cell { values, seed, name }
    }

    /// The settings of a cell, as `msn train` takes them.
    pub fn settings(&self, cell: &Cell) -> Vec<String> {
        let axes = self
            .axes
            .iter()
            .zip(&cell.values)
            .map(|(axis, v)| format!("{}={v}", axis.key));
        let seed = std::iter::once(format!("seed={}", cell.seed));
        seed.chain(axes).chain(self.fixed.iter().cloned()).collect()
    }

    /// What tells a combination from the others, for people.
    pub fn label(&self, values: &[String]) -> String {
        let parts: Vec<_> = self
            .axes
            .iter()
            .zip(values)
            .map(|(axis, v)| format!("{} {v}", axis.key))
            .collect();
        parts.join(", ")
    }
}

/// `none`, or levels joined by commas, in order.
fn pool_set(word: &str) -> Result<String> {
    if word == "none" {
        return Ok(word.to_owned());
    }
    let levels: BTreeSet<u8> = word
        .split(',')
        .map(|level| level.trim().parse().ok())
        .collect::<Option<_>>()
        .with_context(|| format!("{word} names no pools; write none, or numbers as in 2,3"))?;
    Ok(levels
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(","))
}

/// A value as part of a file's name: letters, digits and dots stay, the rest becomes a dot.
fn file_name(value: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || "._+".contains(c) {
            c
        } else {
            '.'
        }
    };
    value.chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn grid(pools: &str, seeds: &str, settings: &str) -> Result<Grid> {
        Grid::new(&words(pools), &words(seeds), &words(settings))
    }

    #[test]
    fn cells_are_all_combinations_with_unique_names() {
        let grid = grid("none 3 1,2,3", "0 1", "items=10,20 epochs=2 top_k=0,5").unwrap();
        let cells = grid.cells();
        assert_eq!(cells.len(), 3 * 2 * 2 * 2);
        let names: BTreeSet<_> = cells.iter().map(|c| &c.name).collect();
        assert_eq!(names.len(), cells.len());
        assert_eq!(cells[0].name, "pools-none_items-10_top_k-0_seed-0");
        assert_eq!(
            cells.last().unwrap().name,
            "pools-1.2.3_items-20_top_k-5_seed-1"
        );
        assert_eq!(
            grid.settings(cells.last().unwrap()),
            ["seed=1", "pools=1,2,3", "items=20", "top_k=5", "epochs=2"]
        );
    }

    #[test]
    fn every_seed_comes_after_all_settings_of_the_one_before() {
        let cells = grid("none 3", "7 8", "").unwrap().cells();
        assert_eq!(
            cells.iter().map(|c| c.seed).collect::<Vec<_>>(),
            [7, 7, 8, 8]
        );
    }

    #[test]
    fn settings_behind_the_options_are_settings() {
        let grid = grid("3 w_i=0", "0 items=10,20", "").unwrap();
        assert_eq!(grid.fixed, ["w_i=0"]);
        assert_eq!(
            grid.axes[1],
            Axis {
                key: "items".to_owned(),
                values: words("10 20")
            }
        );
        assert_eq!(grid.seeds, [0]);
    }

    #[test]
    fn pools_are_put_in_order() {
        assert_eq!(grid("3,1,2", "0", "").unwrap().axes[0].values, ["1,2,3"]);
    }

    #[test]
    fn mistakes_are_named() {
        let error =
            |pools, seeds, settings| format!("{:#}", grid(pools, seeds, settings).unwrap_err());
        assert!(error("three", "0", "").contains("three"));
        assert!(error("3", "data", "").contains("seed data"));
        assert!(error("3", "", "").contains("--seeds"));
        assert!(error("3", "1 1", "").contains("--seeds"));
        assert!(error("2,3 3,2", "0", "").contains("twice"));
        assert!(error("3", "0", "pools=3").contains("--pools"));
        assert!(error("3", "0", "seed=3").contains("--seeds"));
        assert!(error("3", "0", "items").contains("key=value"));
        assert!(error("3", "0", "items=1,,2").contains("empty"));
        assert!(error("3", "0", "items=1 items=2").contains("twice"));
        assert!(error("3", "0", "items=1,1").contains("twice"));
    }
}
