//! What a terminal shows while something runs, and what ends a training.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use indicatif::{ProgressBar, ProgressStyle};
use msn_run::{Notice, NoticeLevel, Observer, RunError};
use msn_train::{EpochReport, StepReport};

use crate::{ranks::Ranks, signal::Signals, text::time};

/// Time between two lines of progress.
const EVERY: Duration = Duration::from_secs(2);

/// Notices and progress on stderr: lines, or a live view of a training where it is a terminal.
#[derive(Default)]
pub(crate) struct Progress {
    live: Option<ProgressBar>,
    /// When the latest line of progress was shown.
    latest: Option<Instant>,
    /// When the first frame of a source was scored, and which source that is.
    scoring: Option<(String, Instant)>,
    /// The newest and the best validation.
    validation: Option<[EpochReport; 2]>,
    signals: Option<Signals>,
    /// The signal that stopped a training.
    caught: Option<u8>,
    /// Whether another process shows what this one would.
    silent: bool,
}

impl Progress {
    /// Of a process of a training: rank 0 alone shows anything.
    pub fn of_rank(ranks: &Ranks) -> Self {
        Self {
            silent: !ranks.is_first(),
            ..Self::default()
        }
    }

    /// The signal that stopped a training, if one did.
    pub fn caught(&self) -> Option<u8> {
        self.caught
    }

    fn is_due(&self) -> bool {
        self.latest.is_none_or(|t| t.elapsed() >= EVERY)
    }

    /// A line of its own, above the live view.
    fn line(&mut self, line: &str) {
        self.latest = Some(Instant::now());
        match &self.live {
            _ if self.silent => {}
            Some(live) => live.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn validation_line(&self) -> Option<String> {
        let [newest, best] = self.validation.as_ref()?;
        Some(format!(
            "validation after epoch {}: loss {:.5}, PSNR {:.2} dB (best {:.2} dB, epoch {})",
            newest.epoch,
            newest.validation_loss?,
            newest.psnr()?,
            best.psnr()?,
            best.epoch
        ))
    }

    fn live_lines(&self, report: &StepReport) -> String {
        let n = &report.numbers;
        let mut lines = vec![
            format!(
                "epoch {}/{}  {:.0} frames/s  {} left",
                report.epoch,
                report.epochs,
                report.frames_per_second(),
                time(report.left())
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
        lines.join("\n")
    }
}

impl Observer for Progress {
    fn notice(&mut self, notice: &Notice) {
        let before = match notice.level() {
            NoticeLevel::Info => "",
            NoticeLevel::Note => "note: ",
            NoticeLevel::Warning => "warning: ",
        };
        self.line(&format!("{before}{notice}"));
    }

    fn training_begins(&mut self) {
        self.live = (!self.silent && std::io::stderr().is_terminal()).then(live_view);
        self.latest = None;
        match Signals::catch() {
            Ok(signals) => self.signals = Some(signals),
            Err(error) => eprintln!("warning: Ctrl-C will not save this training: {error}"),
        }
    }

    fn step(&mut self, report: &StepReport) {
        let Some(live) = &self.live else {
            if report.is_last || self.is_due() {
                self.line(&step_line(report));
            }
            return;
        };
        live.set_length(report.steps as u64);
        live.set_position(report.step as u64);
        live.set_message(self.live_lines(report));
        if report.is_last {
            live.abandon();
            self.live = None;
        }
    }

    fn epoch(&mut self, report: &EpochReport) {
        let best = match self.validation.take() {
            Some([_, best]) if !report.is_best => best,
            _ => report.clone(),
        };
        self.validation = Some([report.clone(), best]);
        if self.live.is_none()
            && let Some(line) = self.validation_line()
        {
            self.line(&line);
        }
    }

    fn training_ends(&mut self) {
        if let Some(signals) = self.signals.take() {
            self.caught = signals.caught();
        }
    }

    fn statistics(&mut self, done: usize, frames: usize) {
        if done == frames || self.is_due() {
            self.line(&format!(
                "batch-norm statistics on whole frames: {done} of {frames}"
            ));
        }
    }

    fn frames_scored(&mut self, source: &Utf8Path, frames: usize) {
        let now = Instant::now();
        let began = match &self.scoring {
            Some((of, began)) if *of == source.as_str() => *began,
            _ => {
                self.scoring = Some((source.to_string(), now));
                self.latest = Some(now);
                now
            }
        };
        if self.is_due() {
            let rate = frames as f64 / began.elapsed().as_secs_f64();
            self.line(&format!("{source}: {frames} frames, {rate:.0} frames/s"));
        }
    }

    fn source_failed(&mut self, error: &RunError) {
        self.line(&format!("error: {error}"));
    }

    fn stop_requested(&self) -> bool {
        let signals = self.signals.as_ref();
        signals.is_some_and(|signals| signals.caught().is_some())
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

fn step_line(r: &StepReport) -> String {
    format!(
        "epoch {}/{} step {}/{} loss {:.5} {:.0} frames/s {} left",
        r.epoch,
        r.epochs,
        r.step,
        r.steps,
        r.numbers.loss,
        r.frames_per_second(),
        time(r.left())
    )
}
