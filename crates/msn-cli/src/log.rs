//! What a training leaves and says while it runs: `metrics.csv`, progress lines, warnings.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use msn_train::{Event, StepReport};

use crate::figures;

/// Time between two progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// Progress lines and `metrics.csv`.
pub(crate) struct Log {
    path: Utf8PathBuf,
    file: BufWriter<File>,
    /// The last step that the file has.
    written: usize,
    spoke: Option<Instant>,
    warned: Vec<usize>,
    /// Share of the training time that went into waiting for clips.
    waiting: Option<f64>,
}

impl Log {
    /// Goes on with the file of a run folder, or begins it. Steps that it has are not written again:
    /// a resumed training repeats those after its checkpoint.
    pub fn open(folder: &Utf8Path, pools: &[usize]) -> Result<Self> {
        let path = folder.join("metrics.csv");
        let failed = |e: std::io::Error| anyhow!("can't write {path}: {e}");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(anyhow!("can't read {path}: {e}")),
        };
        // A killed process may have left half a line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let last = text[..whole].lines().last().unwrap_or_default();
        let written = last.split(',').next().and_then(|step| step.parse().ok());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        file.set_len(u64::try_from(whole)?).map_err(failed)?;
        let mut log = Self {
            path: path.clone(),
            file: BufWriter::new(file),
            written: written.unwrap_or(0),
            spoke: None,
            warned: Vec::new(),
            waiting: None,
        };
        if whole == 0 {
            log.line(&StepReport::csv_header(pools))?;
        }
        Ok(log)
    }

    fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| anyhow!("can't write {}: {e}", self.path))
    }

    pub fn take(&mut self, event: Event<'_>) -> Result<()> {
        match event {
            Event::Step(report, _) => {
                if report.step > self.written {
                    self.line(&report.csv_line())?;
                }
                self.warn(report);
                self.waiting = Some(report.waiting());
                let last = report.step == report.steps;
                if last || self.spoke.is_none_or(|t| t.elapsed() >= PROGRESS_EVERY) {
                    self.spoke = Some(Instant::now());
                    eprintln!("{}", progress(report));
                }
            }
            Event::Statistics(done, all) => {
                if done == all || self.spoke.is_none_or(|t| t.elapsed() >= PROGRESS_EVERY) {
                    self.spoke = Some(Instant::now());
                    eprintln!("batch-norm statistics on whole frames: {done} of {all}");
                }
            }
        }
        Ok(())
    }

    /// Says once per pool that it has collapsed.
    fn warn(&mut self, report: &StepReport) {
        for (pool, health) in &report.numbers.health {
            if let Some(warning) = health.warning()
                && !self.warned.contains(pool)
            {
                self.warned.push(*pool);
                eprintln!("warning: pool {pool} {warning} (step {})", report.step);
            }
        }
    }

    /// Ends the training's log and says how much of the time it waited for clips.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(waiting) = self.waiting {
            let percent = waiting * 100.0;
            eprintln!("{percent:.1} % of the training time went into waiting for clips");
        }
        self.flush()
    }

    /// What was logged so far outlives this process.
    pub fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|e| anyhow!("can't write {}: {e}", self.path))
    }
}

fn progress(r: &StepReport) -> String {
    format!(
        "epoch {}/{} step {}/{} loss {:.5} {:.0} frames/s {} left",
        r.epoch,
        r.epochs,
        r.step,
        r.steps,
        r.numbers.loss,
        r.frames_per_second(),
        figures::time(r.left())
    )
}
