//! Stages: named pieces of work that are timed, counted and stopped at the first red one.

use std::fmt;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Name, one line for people, the commands that it belongs to, and the work on a context `C`,
/// which counts the tests that it ran.
pub type Stage<C> = (&'static str, &'static str, Part, fn(&C) -> Result<Counts>);

/// The commands that a stage belongs to. `cargo xtask ci` runs all.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Ci,
    /// And `cargo xtask test`.
    Test,
    /// And `cargo xtask test` without `--quick`.
    SlowTest,
}

/// The table at the end: name, time and counts of each stage, and the stages that were not run.
#[derive(Default)]
struct Report {
    rows: Vec<(&'static str, Duration, Counts)>,
    not_run: Vec<&'static str>,
    total: Counts,
}

/// Runs `stages` in order up to the first red one and prints their table. The last line is
/// `N passed, N failed`.
pub fn run<'a, C: 'a>(stages: impl Iterator<Item = &'a Stage<C>>, context: &C) -> ExitCode {
    let report = Report::of(stages, context);
    println!("\n{report}");
    ExitCode::from(u8::from(report.total.failed > 0))
}

impl Report {
    fn of<'a, C: 'a>(stages: impl Iterator<Item = &'a Stage<C>>, context: &C) -> Self {
        let mut report = Self::default();
        for (name, about, _, work) in stages {
            if report.total.failed > 0 {
                report.not_run.push(name);
                continue;
            }
            println!("\n==== {name}: {about}");
            let start = Instant::now();
            let counts = work(context).unwrap_or_else(|error| {
                println!("error: {error:#}");
                let (passed, failed) = (0, 1);
                Counts { passed, failed }
            });
            report.rows.push((name, start.elapsed(), counts));
            report.total += counts;
        }
        report
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.rows.iter().map(|(_, time, _)| time).sum();
        writeln!(f, "stage         seconds   passed   failed")?;
        for (name, time, counts) in self.rows.iter().chain(&[("all", time, self.total)]) {
            let (seconds, Counts { passed, failed }) = (time.as_secs_f64(), counts);
            writeln!(f, "{name:12} {seconds:>8.1} {passed:>8} {failed:>8}")?;
        }
        let Counts { passed, failed } = self.total;
        if let Some((red, ..)) = self.rows.last().filter(|_| failed > 0) {
            writeln!(f, "\nstopped at {red}; not run: {}", self.not_run.join(" "))?;
        }
        write!(f, "\n{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs stages `a`, `b`, ... and returns the report's text.
    fn report(works: &[fn(&()) -> Result<Counts>]) -> String {
        let stage = |(&work, name)| (name, "", Part::Ci, work);
        let stages: Vec<_> = works.iter().zip(["a", "b", "c"]).map(stage).collect();
        Report::of(stages.iter(), &()).to_string()
    }

    fn counts<const PASSED: u64, const FAILED: u64>(_: &()) -> Result<Counts> {
        let (passed, failed) = (PASSED, FAILED);
        Ok(Counts { passed, failed })
    }

    #[test]
    fn counts_are_summed_and_the_last_line_is_plain() {
        let text = report(&[counts::<3, 0>, counts::<0, 0>, counts::<3, 0>]);
        assert_eq!(text.lines().last(), Some("6 passed, 0 failed"));
        assert!(!text.contains("stopped"), "{text}");
    }

    #[test]
    fn the_first_red_stage_is_the_last_that_runs() {
        let text = report(&[counts::<3, 0>, counts::<1, 2>, |()| unreachable!("runs")]);
        assert!(text.contains("\nstopped at b; not run: c\n"), "{text}");
        assert_eq!(text.lines().last(), Some("4 passed, 2 failed"));
    }

    #[test]
    fn an_error_counts_as_a_failure() {
        let text = report(&[|()| anyhow::bail!("broken")]);
        assert_eq!(text.lines().last(), Some("0 passed, 1 failed"));
    }
}
