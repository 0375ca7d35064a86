//! The tables of a run, `metrics.csv` and `epochs.csv`, and the TensorBoard events that are made of
//! them.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;

use camino::{Utf8Path, Utf8PathBuf};
use csv::{ReaderBuilder, StringRecord, Writer, WriterBuilder};
use msn_train::{EpochReport, StepReport};

use crate::{RunError, RunFolder, tensorboard::Events};

/// A CSV file that grows by rows of ascending steps.
struct Table {
    path: Utf8PathBuf,
    writer: Writer<File>,
    columns: Vec<String>,
    /// The column of the step, which identifies a row.
    step: usize,
    /// The last step that the file has.
    written: usize,
}

impl Table {
    /// Goes on with a file, or begins it; its rows.
    fn open(
        path: Utf8PathBuf,
        columns: Vec<String>,
    ) -> Result<(Self, Vec<StringRecord>), RunError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(source) => return Err(RunError::read(path)(source)),
        };
        // A process that was killed may have left half a row.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut reader = ReaderBuilder::new().from_reader(&text.as_bytes()[..whole]);
        let rows = reader.records().collect::<Result<Vec<_>, _>>();
        let rows = rows.map_err(|source| RunError::Table {
            path: path.clone(),
            source,
        })?;
        let begun = OpenOptions::new().create(true).append(true).open(&path);
        let cut = begun.and_then(|file| {
            file.set_len(text[..whole].len() as u64)?;
            Ok(file)
        });
        let file = cut.map_err(RunError::write(&path))?;
        let mut table = Self {
            path,
            writer: WriterBuilder::new().has_headers(false).from_writer(file),
            step: columns.iter().position(|c| c == "step").unwrap_or(0),
            columns,
            written: 0,
        };
        table.written = rows.last().map_or(0, |row| table.step_of(row));
        if whole == 0 {
            let header = StringRecord::from(table.columns.clone());
            table.write(&header)?;
        }
        Ok((table, rows))
    }

    fn step_of(&self, row: &StringRecord) -> usize {
        let step = row.get(self.step).and_then(|step| step.parse().ok());
        step.unwrap_or(0)
    }

    fn write(&mut self, row: &StringRecord) -> Result<(), RunError> {
        let written = self.writer.write_record(row);
        written.map_err(|e| RunError::write(&self.path)(e.into()))
    }

    /// The row as scalars of TensorBoard.
    fn record(&self, events: &mut Events, row: &StringRecord) -> Result<(), RunError> {
        let cells = || self.columns.iter().map(String::as_str).zip(row);
        let seconds = cells().find(|(column, _)| *column == "seconds");
        let seconds = seconds.and_then(|(_, s)| s.parse().ok()).unwrap_or(0.0);
        let scalars = cells().filter_map(|(column, value)| {
            let tag = tag(column)?;
            Some((tag, value.parse().ok()?))
        });
        events.scalars(self.step_of(row), seconds, scalars)
    }

    /// Adds a row, unless the file has it: a resumed training repeats the steps after its checkpoint.
    fn add(&mut self, events: &mut Events, row: &StringRecord) -> Result<(), RunError> {
        let step = self.step_of(row);
        if step <= self.written {
            return Ok(());
        }
        self.written = step;
        self.write(row)?;
        self.record(events, row)
    }

    fn flush(&mut self) -> Result<(), RunError> {
        self.writer.flush().map_err(RunError::write(&self.path))
    }
}

/// TensorBoard's name of a column; `None` for what is no scalar of its own.
fn tag(column: &str) -> Option<String> {
    Some(match column {
        "step" | "epoch" | "seconds" | "best" => return None,
        "validation_loss" => "validation/loss".into(),
        "validation_psnr" => "validation/psnr".into(),
        name => match name.split_once('.') {
            Some((value, pool)) => format!("pool {pool}/{value}"),
            None => format!("train/{name}"),
        },
    })
}

/// `metrics.csv`, `epochs.csv` and `tensorboard/` of a run. The tables are the truth: they only grow,
/// by steps they lack, and the TensorBoard file is made of them anew by each process.
pub(crate) struct Tables {
    steps: Table,
    epochs: Table,
    events: Events,
}

impl Tables {
    /// Goes on with the files of a run folder, or begins them.
    pub fn open(
        folder: &RunFolder,
        tensorboard: &Utf8Path,
        pools: &[usize],
    ) -> Result<Self, RunError> {
        let at = |name: &str| folder.path().join(name);
        let (steps, old_steps) = Table::open(at("metrics.csv"), StepReport::columns(pools))?;
        let epoch_columns = EpochReport::COLUMNS.map(str::to_owned).to_vec();
        let (epochs, old_epochs) = Table::open(at("epochs.csv"), epoch_columns)?;
        let seconds = old_steps.last().and_then(|row| row.get(2));
        let seconds = seconds.and_then(|s| s.parse().ok()).unwrap_or(0.0);
        let mut events = Events::create(tensorboard, seconds)?;
        for (table, rows) in [(&steps, &old_steps), (&epochs, &old_epochs)] {
            for row in rows {
                table.record(&mut events, row)?;
            }
        }
        Ok(Self {
            steps,
            epochs,
            events,
        })
    }

    pub fn step(&mut self, report: &StepReport) -> Result<(), RunError> {
        self.steps.add(&mut self.events, &report.row().into())
    }

    pub fn epoch(&mut self, report: &EpochReport) -> Result<(), RunError> {
        let row: &[String] = &report.row();
        self.epochs.add(&mut self.events, &row.iter().collect())
    }

    /// What was logged so far outlives this process.
    pub fn flush(&mut self) -> Result<(), RunError> {
        self.steps.flush()?;
        self.epochs.flush()?;
        self.events.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_goes_on_after_half_a_row_and_repeats_no_step() {
        let dir = tempfile::tempdir().unwrap();
        let dir = Utf8Path::from_path(dir.path()).unwrap();
        let path = dir.join("metrics.csv");
        std::fs::write(&path, "step,loss\n1,0.5\n2,0.2").unwrap();
        let columns = ["step", "loss"].map(str::to_owned).to_vec();
        let (mut table, rows) = Table::open(path.clone(), columns).unwrap();
        assert_eq!(rows, [StringRecord::from(vec!["1", "0.5"])]);
        let mut events = Events::create(&dir.join("tensorboard"), 0.0).unwrap();
        for row in [["1", "9"], ["2", "0.25"]] {
            table.add(&mut events, &row.to_vec().into()).unwrap();
        }
        table.flush().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "step,loss\n1,0.5\n2,0.25\n");

        std::fs::write(&path, "step,loss\n1\n").unwrap();
        let columns = ["step", "loss"].map(str::to_owned).to_vec();
        let error = Table::open(path, columns).err().unwrap();
        assert!(matches!(error, RunError::Table { .. }), "{error}");
    }
}
