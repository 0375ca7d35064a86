//! What a terminal shows while something runs, and what ends a training.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use msn_run::{Notice, NoticeLevel, Observer, RunError, Work};
use msn_train::{EpochReport, StepReport};

use crate::{ranks::Ranks, signal::Signals, text::time};

/// Time between two lines of progress.
const EVERY: Duration = Duration::from_secs(2);

/// Notices and progress on stderr: lines, or bars and a live view of a training where it is a
/// terminal.
#[derive(Default)]
pub(crate) struct Progress {
    /// The training, or other work.
    live: Option<ProgressBar>,
    /// When the latest line of progress was shown.
    latest: Option<Instant>,
    /// The work that is going on, and since when.
    work: Option<(String, Instant)>,
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
        let mut progress = Self::default();
        progress.silent = !ranks.is_first();
        progress
    }

    /// From now on signals are a wish to stop.
    pub fn catch_signals(&mut self) {
        match Signals::catch() {
            Ok(signals) => self.signals = Some(signals),
            Err(error) => self.line(&format!(
                "warning: Ctrl-C will not save what is done: {error}"
            )),
        }
    }

    /// The signal that was caught, if one was.
    pub fn caught(&self) -> Option<u8> {
        let signals = self.signals.as_ref();
        self.caught.or_else(|| signals?.caught())
    }

    /// A fresh bar for a work that begins, on a terminal.
    fn begin_bar(&mut self) {
        self.end_bar();
        if !self.silent && std::io::stderr().is_terminal() {
            self.live = Some(work_bar());
        }
    }

    fn end_bar(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
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
        self.end_bar();
        self.live = (!self.silent && std::io::stderr().is_terminal()).then(live_view);
        self.latest = None;
        self.catch_signals();
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

    fn progress(&mut self, work: &Work<'_>, done: usize, total: Option<usize>) {
        let name = work.to_string();
        let now = Instant::now();
        let (is_new, began) = match &self.work {
            Some((of, began)) if *of == name => (false, *began),
            _ => (true, now),
        };
        if is_new && total == Some(done) {
            return;
        }
        if is_new {
            self.work = Some((name.clone(), now));
            self.latest = Some(now);
            self.begin_bar();
        }
        let text = format!("{name}: {}", how_far(done, total, began.elapsed()));
        match &self.live {
            Some(bar) => {
                if let Some(total) = total {
                    bar.set_length(total as u64);
                }
                bar.set_position(done as u64);
                bar.set_message(text);
            }
            None if self.is_due() => self.line(&text),
            None => {}
        }
        if total == Some(done) {
            self.end_bar();
            self.work = None;
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
    let template = "{bar:40} {percent:>3} %  step {pos}/{len}  {elapsed}\n{msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A bar of frames before a text that says the same in numbers.
fn work_bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    // The template is a constant that parses.
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// `45 % (450 of 1000 frames), 120 frames/s, 5 s left`.
fn how_far(done: usize, total: Option<usize>, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let rate = if seconds > 0.0 {
        done as f64 / seconds
    } else {
        0.0
    };
    let Some(total) = total.filter(|&total| total > 0) else {
        return format!("{done} frames, {rate:.0} frames/s");
    };
    let share = (done as f64 / total as f64).min(1.0);
    let mut text = format!(
        "{:.0} % ({done} of {total} frames), {rate:.0} frames/s",
        100.0 * share
    );
    if rate > 0.0 && done < total {
        let left = total.saturating_sub(done) as f64 / rate;
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        text += &format!(", {} left", time(left));
    }
    text
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end_bar();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_says_how_far_it_is_and_how_long_it_takes() {
        let of = |done, total, seconds| how_far(done, total, Duration::from_secs(seconds));
        assert_eq!(
            of(450, Some(1000), 5),
            "45 % (450 of 1000 frames), 90 frames/s, 6 s left"
        );
        assert_eq!(of(20, None, 2), "20 frames, 10 frames/s");
        assert_eq!(of(7, Some(7), 1), "100 % (7 of 7 frames), 7 frames/s");
        // More than was announced, and nothing yet.
        assert_eq!(of(12, Some(10), 1), "100 % (12 of 10 frames), 12 frames/s");
        assert_eq!(of(0, Some(10), 0), "0 % (0 of 10 frames), 0 frames/s");
    }
}
