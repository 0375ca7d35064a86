//! Stages: named pieces of work that are timed, counted and stopped at the first red one.

use std::fmt;
use std::io::Write;
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

/// A named piece of work on a context `C`, with the tests that it ran.
pub struct Stage<C> {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    pub part: Part,
    pub work: fn(&C) -> Result<Counts>,
}

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
pub struct Report {
    rows: Vec<(&'static str, Duration, Counts)>,
    not_run: Vec<&'static str>,
}

impl Report {
    /// Runs `stages` in order up to the first red one.
    pub fn run<'a, C: 'a>(stages: impl Iterator<Item = &'a Stage<C>>, context: &C) -> Self {
        let mut report = Self::default();
        for stage in stages {
            if report.total().failed > 0 {
                report.not_run.push(stage.name);
                continue;
            }
            println!("\n==== {}: {}", stage.name, stage.about);
            let start = Instant::now();
            let counts = (stage.work)(context).unwrap_or_else(|error| {
                println!("error: {error:#}");
                let (passed, failed) = (0, 1);
                Counts { passed, failed }
            });
            report.rows.push((stage.name, start.elapsed(), counts));
        }
        report
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rows.iter().for_each(|(.., counts)| total += *counts);
        total
    }

    /// Prints the table and returns the exit code. The last line is `N passed, N failed`.
    pub fn close(&self) -> ExitCode {
        println!("\n{self}");
        std::io::stdout().flush().ok();
        ExitCode::from(u8::from(self.total().failed > 0))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let time = self.rows.iter().map(|(_, time, _)| time).sum();
        writeln!(f, "stage         seconds   passed   failed")?;
        for (name, time, Counts { passed, failed }) in
            self.rows.iter().chain(&[("all", time, total)])
        {
            let seconds = time.as_secs_f64();
            writeln!(f, "{name:12} {seconds:>8.1} {passed:>8} {failed:>8}")?;
        }
        if let Some((red, ..)) = self.rows.iter().find(|(.., counts)| counts.failed > 0) {
            writeln!(f, "\nstopped at {red}; not run: {}", self.not_run.join(" "))?;
        }
        write!(f, "\n{} passed, {} failed", total.passed, total.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs stages `a`, `b`, ... and returns the report's text.
    fn report(works: &[fn(&()) -> Result<Counts>]) -> String {
        let stage = |(&work, name)| Stage {
            name,
            about: "",
            part: Part::Ci,
            work,
        };
        let stages: Vec<_> = works.iter().zip(["a", "b", "c"]).map(stage).collect();
        Report::run(stages.iter(), &()).to_string()
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
