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

/// How a stage ended.
pub enum Outcome {
    Done(Counts),
    /// It could not run here; the reason.
    Skipped(String),
}

impl Outcome {
    /// Green, with nothing that counts as a test.
    pub fn green() -> Self {
        Self::Done(Counts::default())
    }
}

/// A named piece of work on a context `C`.
pub struct Stage<C> {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// Part of `cargo xtask test`; the others run in `cargo xtask ci` alone.
    pub is_test: bool,
    /// Left out by `--quick`.
    pub is_slow: bool,
    pub work: fn(&C) -> Result<Outcome>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Green,
    Red,
    Skipped,
    NotRun,
}

struct Row {
    name: &'static str,
    state: State,
    time: Duration,
    counts: Counts,
}

/// The table at the end.
#[derive(Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Runs `stages` in order up to the first red one.
    pub fn run<C>(stages: &[&Stage<C>], context: &C) -> Self {
        let mut report = Self::default();
        for stage in stages {
            if report.is_red() {
                report.add(stage.name, State::NotRun, Duration::ZERO, Counts::default());
                continue;
            }
            println!("\n==== {}: {}", stage.name, stage.about);
            let start = Instant::now();
            let outcome = (stage.work)(context);
            let time = start.elapsed();
            let (state, counts) = match outcome {
                Ok(Outcome::Done(counts)) if counts.failed == 0 => (State::Green, counts),
                Ok(Outcome::Done(counts)) => (State::Red, counts),
                Ok(Outcome::Skipped(reason)) => {
                    println!("skipped: {reason}");
                    (State::Skipped, Counts::default())
                }
                Err(error) => {
                    println!("error: {error:#}");
                    (
                        State::Red,
                        Counts {
                            passed: 0,
                            failed: 1,
                        },
                    )
                }
            };
            report.add(stage.name, state, time, counts);
        }
        report
    }

    fn add(&mut self, name: &'static str, state: State, time: Duration, counts: Counts) {
        self.rows.push(Row {
            name,
            state,
            time,
            counts,
        });
    }

    pub fn is_red(&self) -> bool {
        self.rows.iter().any(|row| row.state == State::Red)
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rows.iter().for_each(|row| total += row.counts);
        total
    }

    /// Prints the table and returns the exit code. The last line is `N passed, N failed`.
    pub fn close(&self) -> ExitCode {
        println!("\n{self}");
        std::io::stdout().flush().ok();
        if self.is_red() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .rows
            .iter()
            .map(|r| r.name.len())
            .max()
            .unwrap_or(0)
            .max("stage".len());
        writeln!(
            f,
            "{:width$}  {:>8}  {:>7}  {:>6}  result",
            "stage", "seconds", "passed", "failed"
        )?;
        for row in &self.rows {
            let counts = |n: u64| {
                if row.counts == Counts::default() {
                    String::new()
                } else {
                    n.to_string()
                }
            };
            let result = match row.state {
                State::Green => "ok",
                State::Red => "RED",
                State::Skipped => "skipped",
                State::NotRun => "not run",
            };
            writeln!(
                f,
                "{:width$}  {:>8.1}  {:>7}  {:>6}  {result}",
                row.name,
                row.time.as_secs_f64(),
                counts(row.counts.passed),
                counts(row.counts.failed),
            )?;
        }
        let time: Duration = self.rows.iter().map(|r| r.time).sum();
        let total = self.total();
        writeln!(
            f,
            "{:width$}  {:>8.1}  {:>7}  {:>6}",
            "all",
            time.as_secs_f64(),
            total.passed,
            total.failed
        )?;
        if let Some(red) = self.rows.iter().find(|r| r.state == State::Red) {
            writeln!(f, "\nstopped at {}", red.name)?;
        }
        write!(f, "\n{} passed, {} failed", total.passed, total.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &'static str, work: fn(&()) -> Result<Outcome>) -> Stage<()> {
        Stage {
            name,
            about: "",
            is_test: true,
            is_slow: false,
            work,
        }
    }

    fn three(_: &()) -> Result<Outcome> {
        Ok(Outcome::Done(Counts {
            passed: 3,
            failed: 0,
        }))
    }

    #[test]
    fn counts_are_summed_and_the_last_line_is_plain() {
        let stages = [
            stage("a", three),
            stage("b", |()| Ok(Outcome::Skipped("no tool".to_owned()))),
            stage("c", three),
        ];
        let report = Report::run(&stages.each_ref(), &());
        assert!(!report.is_red());
        assert_eq!(
            report.to_string().lines().last(),
            Some("6 passed, 0 failed")
        );
        assert!(report.to_string().contains("skipped"));
    }

    #[test]
    fn the_first_red_stage_is_the_last_that_runs() {
        let stages = [
            stage("a", three),
            stage("b", |()| {
                Ok(Outcome::Done(Counts {
                    passed: 1,
                    failed: 2,
                }))
            }),
            stage("c", |()| unreachable!("must not run")),
        ];
        let text = Report::run(&stages.each_ref(), &()).to_string();
        assert!(text.contains("\nstopped at b\n"), "{text}");
        assert!(text.contains("not run"), "{text}");
        assert_eq!(text.lines().last(), Some("4 passed, 2 failed"));
    }

    #[test]
    fn an_error_counts_as_a_failure() {
        let stages = [stage("a", |()| anyhow::bail!("broken"))];
        let report = Report::run(&stages.each_ref(), &());
        assert!(report.is_red());
        assert_eq!(
            report.to_string().lines().last(),
            Some("0 passed, 1 failed")
        );
    }
}
