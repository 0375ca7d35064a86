//! What a training leaves and says while it runs: tables, TensorBoard events, a live view or
//! progress lines, warnings.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use indicatif::{ProgressBar, ProgressStyle};
use msn_train::{EpochReport, StepReport, TrainEvent};

use crate::{figures, tensorboard::Events};

/// Time between two progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// A CSV file that grows by lines of ascending steps.
struct Table {
    path: Utf8PathBuf,
    file: BufWriter<File>,
    header: String,
    /// Column of the step, by which lines are told apart.
    step: usize,
    /// The last step that the file has.
    written: usize,
}

impl Table {
    /// Goes on with a file, or begins it; its whole lines without the header.
    fn open(path: Utf8PathBuf, header: String) -> Result<(Self, Vec<String>)> {
        let failed = |e: std::io::Error| anyhow!("can't write {path}: {e}");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(anyhow!("can't read {path}: {e}")),
        };
        // A killed process may have left half a line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let lines = text[..whole].lines().skip(1).map(str::to_owned);
        let lines: Vec<String> = lines.collect();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        file.set_len(u64::try_from(whole)?).map_err(failed)?;
        let step = header.split(',').position(|name| name == "step");
        let mut table = Self {
            path: path.clone(),
            file: BufWriter::new(file),
            header,
            step: step.unwrap_or(0),
            written: 0,
        };
        table.written = lines.last().map_or(0, |line| table.step_of(line));
        if whole == 0 {
            let header = table.header.clone();
            table.write(&header)?;
        }
        Ok((table, lines))
    }

    fn step_of(&self, line: &str) -> usize {
        let value = line.split(',').nth(self.step);
        value.and_then(|step| step.parse().ok()).unwrap_or(0)
    }

    fn write(&mut self, line: &str) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| anyhow!("can't write {}: {e}", self.path))
    }

    /// The line as scalars.
    fn tell(&self, events: &mut Events, line: &str) -> Result<()> {
        let cells = || self.header.split(',').zip(line.split(','));
        let seconds = cells().find(|(name, _)| *name == "seconds");
        let seconds = seconds.and_then(|(_, s)| s.parse().ok()).unwrap_or(0.0);
        let scalars = cells().filter_map(|(name, value)| {
            let tag = tag(name)?;
            Some((tag, value.parse().ok()?))
        });
        events.scalars(self.step_of(line), seconds, scalars)
    }

    /// Adds a line, unless the file has it: a resumed training repeats the steps after its
    /// checkpoint.
    fn add(&mut self, events: &mut Events, line: &str) -> Result<()> {
        let step = self.step_of(line);
        if step <= self.written {
            return Ok(());
        }
        self.written = step;
        self.write(line)?;
        self.tell(events, line)
    }

    fn flush(&mut self) -> Result<()> {
        let flushed = self.file.flush();
        flushed.map_err(|e| anyhow!("can't write {}: {e}", self.path))
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

/// `metrics.csv`, `epochs.csv`, `tensorboard/`, and what a terminal shows.
pub(crate) struct Log {
    steps: Table,
    epochs: Table,
    events: Events,
    /// The live view, where stderr is a terminal.
    live: Option<ProgressBar>,
    spoke: Option<Instant>,
    warned: Vec<usize>,
    /// The newest and the best validation report.
    validation: Option<[EpochReport; 2]>,
    /// Share of the training time that went into waiting for clips.
    waiting: Option<f64>,
}

impl Log {
    /// Goes on with the files of a run folder, or begins them.
    pub fn open(folder: &Utf8Path, pools: &[usize]) -> Result<Self> {
        let (steps, old_steps) = Table::open(
            folder.join("metrics.csv"),
            StepReport::columns(pools).join(","),
        )?;
        let (epochs, old_epochs) =
            Table::open(folder.join("epochs.csv"), EpochReport::COLUMNS.join(","))?;
        let seconds = old_steps.last().and_then(|line| line.split(',').nth(2));
        let seconds = seconds.and_then(|s| s.parse().ok()).unwrap_or(0.0);
        let mut events = Events::create(&folder.join("tensorboard"), seconds)?;
        for (table, lines) in [(&steps, &old_steps), (&epochs, &old_epochs)] {
            for line in lines {
                table.tell(&mut events, line)?;
            }
        }
        Ok(Self {
            steps,
            epochs,
            events,
            live: std::io::stderr().is_terminal().then(live_view),
            spoke: None,
            warned: Vec::new(),
            validation: None,
            waiting: None,
        })
    }

    pub fn take(&mut self, event: TrainEvent<'_>) -> Result<()> {
        match event {
            TrainEvent::Step(report, ..) => {
                self.steps.add(&mut self.events, &report.row().join(","))?;
                self.warn(report);
                self.waiting = Some(report.waiting());
                self.show(report);
            }
            TrainEvent::Epoch(report, _) => {
                self.epochs.add(&mut self.events, &report.row().join(","))?;
                let best = match self.validation.take() {
                    Some([_, best]) if !report.is_best => best,
                    _ => report.clone(),
                };
                self.validation = Some([report.clone(), best]);
                if self.live.is_none()
                    && let Some(line) = self.validation_line()
                {
                    self.say(&line);
                }
            }
            TrainEvent::Statistics { done, frames: all } => {
                if done == all || self.is_due() {
                    self.say(&format!(
                        "batch-norm statistics on whole frames: {done} of {all}"
                    ));
                }
            }
            TrainEvent::Diverged(..) => {}
        }
        Ok(())
    }

    fn is_due(&self) -> bool {
        self.spoke.is_none_or(|t| t.elapsed() >= PROGRESS_EVERY)
    }

    /// A line of its own, above the live view.
    fn say(&mut self, line: &str) {
        self.spoke = Some(Instant::now());
        match &self.live {
            Some(live) => live.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn show(&mut self, report: &StepReport) {
        let Some(live) = &self.live else {
            if report.is_last || self.is_due() {
                self.say(&progress(report));
            }
            return;
        };
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        live.set_length(count(report.steps));
        live.set_position(count(report.step));
        let n = &report.numbers;
        let mut lines = vec![
            format!(
                "epoch {}/{}  {:.0} frames/s  {} left",
                report.epoch,
                report.epochs,
                report.frames_per_second(),
                figures::time(report.left())
            ),
            format!(
                "loss {:.5}: prediction {:.5}, compactness {:.4}, separateness {:.4}, information {:.4}",
                n.loss, n.prediction, n.compactness, n.separateness, n.information
            ),
        ];
        lines.extend(n.health.iter().map(|(pool, h)| {
            format!(
                "pool {pool}: usage entropy {:.2}, {} dead items, largest cosine {:.3}",
                h.usage_entropy, h.dead_items, h.largest_cosine
            )
        }));
        lines.extend(self.validation_line());
        live.set_message(lines.join("\n"));
        if report.is_last {
            live.abandon();
            self.live = None;
        }
    }

    fn validation_line(&self) -> Option<String> {
        let [newest, best] = self.validation.as_ref()?;
        Some(format!(
            "validation clips after epoch {}: prediction {:.5}, PSNR {:.2} dB (best {:.2} dB, epoch {})",
            newest.epoch,
            newest.validation_loss?,
            newest.psnr()?,
            best.psnr()?,
            best.epoch
        ))
    }

    /// Says once per pool that it has collapsed.
    fn warn(&mut self, report: &StepReport) {
        for (pool, health) in &report.numbers.health {
            if let Some(warning) = health.warning()
                && !self.warned.contains(pool)
            {
                self.warned.push(*pool);
                self.say(&format!(
                    "warning: pool {pool} {warning} (step {})",
                    report.step
                ));
            }
        }
    }

    /// Ends the training's log and says how much of the time it waited for clips.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(waiting) = self.waiting {
            let percent = waiting * 100.0;
            self.say(&format!(
                "{percent:.1} % of the training time went into waiting for clips"
            ));
        }
        self.flush()
    }

    /// What was logged so far outlives this process.
    pub fn flush(&mut self) -> Result<()> {
        self.steps.flush()?;
        self.epochs.flush()?;
        self.events.flush()
    }
}

/// A bar over the lines that each step renews.
fn live_view() -> ProgressBar {
    let bar = ProgressBar::no_length();
    // The template is a constant that parses.
    if let Ok(style) = ProgressStyle::with_template("{bar:40} step {pos}/{len}  {elapsed}\n{msg}") {
        bar.set_style(style);
    }
    bar
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
