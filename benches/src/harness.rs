//! Timing by criterion, and one table of all subjects.

use std::{collections::HashMap, fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Parser;
use criterion::Criterion;
use serde::{Deserialize, Serialize};

use crate::{Device, Machine};

/// What the command line asks for.
#[derive(Clone, Debug, Parser)]
#[command(name = "msn-bench")]
pub struct Options {
    /// Only subjects or variants that contain this
    pub filter: Option<String>,
    /// Backends of Burn [default: all that are compiled in]
    #[arg(long, value_name = "D", num_args = 1..)]
    pub device: Vec<Device>,
    /// Small sizes and few samples: to see that everything runs
    #[arg(long)]
    pub short: bool,
    /// Where table.md, table.json and criterion's own files go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    pub out: Utf8PathBuf,
    /// Threads to compute with [default: all cores]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Serve a script that compares with other frameworks, over standard input and output
    #[arg(long)]
    pub serve: bool,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    pub bench: bool,
}

/// Times work and collects a table.
pub struct Harness {
    /// What was asked for.
    pub options: Options,
    criterion: Criterion,
    rows: Vec<Row>,
    skipped: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    subject: String,
    variant: String,
    baseline: bool,
    /// Work that one run does, such as frames.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_run: Option<(f64, &'static str)>,
    median_ns: Option<f64>,
    /// Median over the baseline's.
    ratio: Option<f64>,
}

#[derive(Serialize)]
struct Table<'a> {
    format: &'static str,
    machine: &'a Machine,
    rows: &'a [Row],
    skipped: &'a [String],
}

impl Harness {
    /// A harness for these options.
    pub fn new(options: Options) -> Self {
        let (samples, warm, time) = if options.short {
            (10, 50, 150)
        } else {
            (15, 500, 2500)
        };
        let criterion = Criterion::default()
            .sample_size(samples)
            .warm_up_time(Duration::from_millis(warm))
            .measurement_time(Duration::from_millis(time))
            .nresamples(2000)
            .without_plots()
            .output_directory(options.out.join("criterion").as_std_path());
        Self {
            options,
            criterion,
            rows: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// The backends to run on.
    pub fn devices(&self) -> Vec<Device> {
        if self.options.device.is_empty() {
            Device::compiled_in()
        } else {
            self.options.device.clone()
        }
    }

    /// Whether anything of a subject was asked for; saves its preparation.
    pub fn wants(&self, subject: &str) -> bool {
        let filter = self.options.filter.as_deref().unwrap_or_default();
        // `subject/variant`, a part of a subject, or a variant alone.
        let of_subject = filter.split('/').next().unwrap_or_default();
        let named = |s: &&str| s.contains(of_subject) || of_subject.contains(*s);
        subject.contains(of_subject) || !SUBJECTS.iter().any(named)
    }

    /// Times one variant of a subject; the first one is the baseline.
    pub fn time(&mut self, subject: &str, variant: &str, work: impl FnMut()) {
        self.time_per(subject, variant, None, work);
    }

    /// The same, where one run does some amount of work, such as `(200.0, "frames")`.
    pub fn time_per(
        &mut self,
        subject: &str,
        variant: &str,
        per_run: Option<(f64, &'static str)>,
        mut work: impl FnMut(),
    ) {
        let name = format!("{subject}/{variant}");
        if !name.contains(self.options.filter.as_deref().unwrap_or_default()) {
            return;
        }
        let baseline = !self.rows.iter().any(|r| r.subject == subject);
        let mut group = self.criterion.benchmark_group(subject);
        group.bench_function(variant, |b| b.iter(&mut work));
        group.finish();
        self.rows.push(Row {
            subject: subject.to_owned(),
            variant: variant.to_owned(),
            baseline,
            per_run,
            median_ns: None,
            ratio: None,
        });
    }

    /// Notes why something was not timed.
    pub fn skip(&mut self, what: &str, why: &str) {
        println!("skipped: {what}: {why}");
        self.skipped.push(format!("{what}: {why}"));
    }

    /// Writes `table.md` and `table.json`, and prints the first.
    ///
    /// # Errors
    /// Files that can't be read or written.
    pub fn finish(mut self) -> Result<()> {
        let medians = medians(&self.options.out.join("criterion"))?;
        for row in &mut self.rows {
            let name = format!("{}/{}", row.subject, row.variant);
            row.median_ns = medians.get(&name).copied();
        }
        let baselines: HashMap<String, f64> = self
            .rows
            .iter()
            .filter(|r| r.baseline)
            .filter_map(|r| Some((r.subject.clone(), r.median_ns?)))
            .collect();
        for row in &mut self.rows {
            let baseline = baselines.get(&row.subject);
            row.ratio = baseline.and_then(|b| Some(row.median_ns? / b));
        }
        let machine = Machine::this();
        let text = markdown(&machine, &self.rows, &self.skipped);
        let table = Table {
            format: "msn-bench-1",
            machine: &machine,
            rows: &self.rows,
            skipped: &self.skipped,
        };
        let out = &self.options.out;
        std::fs::create_dir_all(out).with_context(|| format!("can't make {out}"))?;
        for (name, content) in [
            ("table.md", text.clone()),
            ("table.json", serde_json::to_string_pretty(&table)? + "\n"),
        ] {
            let path = out.join(name);
            std::fs::write(&path, content).with_context(|| format!("can't write {path}"))?;
        }
        println!("\n{text}");
        println!("table: {}", out.join("table.md"));
        if self.rows.is_empty() {
            return Err(anyhow!("nothing matches {:?}", self.options.filter));
        }
        Ok(())
    }
}

/// What subjects' names begin with.
const SUBJECTS: [&str; 9] = [
    "decode",
    "batch",
    "pool ",
    "pools' share",
    "convolution",
    "gradient",
    "inference",
    "training",
    "scoring",
];

/// Criterion's medians in nanoseconds by full name.
fn medians(folder: &Utf8Path) -> Result<HashMap<String, f64>> {
    #[derive(Deserialize)]
    struct Id {
        full_id: String,
    }
    #[derive(Deserialize)]
    struct Estimates {
        median: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
    }
    let mut all = HashMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = folder.read_dir_utf8() else {
            continue;
        };
        for entry in entries {
            let path = entry?.into_path();
            if path.is_dir() && path.file_name() == Some("new") {
                let read = |name: &str| std::fs::read(path.join(name));
                let (Ok(id), Ok(estimates)) = (read("benchmark.json"), read("estimates.json"))
                else {
                    continue;
                };
                let id: Id = serde_json::from_slice(&id)?;
                let estimates: Estimates = serde_json::from_slice(&estimates)?;
                all.insert(id.full_id, estimates.median.point_estimate);
            } else if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(all)
}

/// One row per subject, one column per variant.
fn markdown(machine: &Machine, rows: &[Row], skipped: &[String]) -> String {
    let mut text = format!(
        "{} ({}), {} threads, {}; commit {}, Burn {}, {}.\n\nMilliseconds per run (medians); in brackets the ratio to the subject's baseline, which stands first.\n",
        machine.processor,
        machine.instruction_set,
        machine.threads,
        machine.system,
        machine.commit.as_deref().unwrap_or("unknown"),
        machine.burn,
        machine.profile,
    );
    let mut subjects: Vec<&str> = Vec::new();
    for row in rows {
        if !subjects.contains(&row.subject.as_str()) {
            subjects.push(&row.subject);
        }
    }
    text += "\n| subject | baseline | others |\n|---|---|---|\n";
    for subject in subjects {
        let mut cells = [Vec::new(), Vec::new()];
        for row in rows.iter().filter(|r| r.subject == subject) {
            cells[usize::from(!row.baseline)].push(cell(row));
        }
        let [baseline, others] = cells.map(|c| c.join(", "));
        // Writing to a string can't fail.
        let _ = writeln!(text, "| {subject} | {baseline} | {others} |");
    }
    for line in skipped {
        let _ = writeln!(text, "\nSkipped: {line}.");
    }
    text
}

fn cell(row: &Row) -> String {
    let Some(ns) = row.median_ns else {
        return format!("{} not measured", row.variant);
    };
    let ms = ns / 1e6;
    let digits = if ms < 1.0 { 4 } else { 2 };
    let mut text = format!("{} **{ms:.digits$}**", row.variant);
    if let Some((amount, unit)) = row.per_run {
        let _ = write!(text, " = {:.0} {unit}/s", amount / (ns / 1e9));
    }
    if let Some(ratio) = row.ratio.filter(|_| !row.baseline) {
        let _ = write!(text, " ({ratio:.3})");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_row_per_subject_with_ratios() {
        let row = |variant: &str, baseline, median_ns, ratio| Row {
            subject: "inference, tiny".into(),
            variant: variant.into(),
            baseline,
            per_run: baseline.then_some((2.0, "frames")),
            median_ns: Some(median_ns),
            ratio: Some(ratio),
        };
        let rows = [row("flex", true, 4e6, 1.0), row("fast", false, 1e6, 0.25)];
        let text = markdown(&Machine::this(), &rows, &["decode: no ffmpeg".into()]);
        assert!(
            text.contains(
                "| inference, tiny | flex **4.00** = 500 frames/s | fast **1.00** (0.250) |"
            ),
            "{text}"
        );
        assert!(text.contains("Skipped: decode: no ffmpeg."));
    }

    #[test]
    fn devices_that_are_not_compiled_in_name_their_feature() {
        assert_eq!("flex".parse::<Device>().is_ok(), cfg!(feature = "flex"));
        if cfg!(not(feature = "cuda")) {
            let error = "cuda:0".parse::<Device>().unwrap_err();
            assert!(error.to_string().contains("--features cuda"), "{error}");
        }
        let error = "tpu".parse::<Device>().unwrap_err();
        assert!(error.to_string().contains("flex"), "{error}");
    }
}
