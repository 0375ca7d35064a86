//! What a training shows and how it ends.

use std::process::Command;

use camino::Utf8Path;

use crate::{msn, stdout, temporary};

const QUICK: [&str; 4] = ["train", "scene", "width=4", "size=32"];

fn scene(dir: &Utf8Path) {
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(dir).args(["data", "synth", "scene"]).args(size));
}

/// The cells of a run's table.
fn table(dir: &Utf8Path, file: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(dir.join(file)).unwrap();
    let cells = |line: &str| line.split(',').map(|c| c.parse().unwrap()).collect();
    text.lines().skip(1).map(cells).collect()
}

#[test]
fn best_and_patience_go_by_validation_clips() {
    let (_guard, dir) = temporary();
    scene(&dir);
    // So large a rate at the start that some epochs are worse than those before.
    let more = [
        "epochs=40",
        "lr=0.05",
        "patience=2",
        "choose=best",
        "--out",
        "run",
    ];
    stdout(msn(&dir).args(QUICK).args(more));
    let epochs = table(&dir, "run/epochs.csv");
    let best = epochs.iter().rev().find(|row| row[5] == 1.0).unwrap();
    let least = epochs
        .iter()
        .map(|row| row[3])
        .fold(f64::INFINITY, f64::min);
    assert_eq!(best[3], least);
    let last = epochs.last().unwrap();
    assert!(last[0] < 40.0, "{} epochs", last[0]);
    assert_eq!(last[0] - best[0], 2.0);
    assert_eq!(table(&dir, "run/metrics.csv").last().unwrap()[0], last[1]);
    // A prediction's PSNR is that of its error.
    assert!((10.0 * (4.0 / best[3]).log10() - best[4]).abs() < 1e-9);

    // Evaluation uses the best weights, those of the file.
    let eval = |weights: &str, out: &str| {
        let args = ["eval", weights, "scene", "--json", "--out", out];
        stdout(msn(&dir).args(args));
        std::fs::read(dir.join(out).join("scores/01.mp4.csv")).unwrap()
    };
    let [run, best, last] = [
        ("run", "e1"),
        ("run/weights/best.safetensors", "e2"),
        ("run/weights/last.safetensors", "e3"),
    ]
    .map(|(weights, out)| eval(weights, out));
    assert!(run == best && best != last);

    // It has ended, however many epochs its settings name.
    let again = stdout(msn(&dir).args(QUICK).args(more).arg("--resume"));
    assert!(again.contains("finished run"), "{again}");

    let strips: Vec<_> = dir.join("run/strips").read_dir_utf8().unwrap().collect();
    assert_eq!(strips.len(), epochs.len());
    let strip = image::open(dir.join("run/strips/epoch-0001.png")).unwrap();
    assert_eq!((strip.width(), strip.height()), (5 * 34 - 2, 3 * 34 - 2));
    let report = std::fs::read_to_string(dir.join("run/report.html")).unwrap();
    for part in [
        "What the network predicts",
        "Frames worth a look",
        "What the memory has learned",
    ] {
        assert!(report.contains(part), "{part}");
    }
    assert!(report.contains("The anomalous frame with the lowest score: 01.mp4, frame "));
}

#[test]
fn hours_shorten_the_schedule() {
    let (_guard, dir) = temporary();
    scene(&dir);
    // Two seconds for what would take hours.
    let more = ["epochs=100000", "--hours", "0.0005", "--out", "run"];
    stdout(msn(&dir).args(QUICK).args(more));
    let steps = table(&dir, "run/metrics.csv");
    let last = steps.last().unwrap();
    // However slow the machine, it ends, and the rate has followed the plan. How far it falls
    // hangs on the machine's pace, so a law with a pace of its own holds that.
    assert!(last[2] < 60.0, "{} s", last[2]);
    assert!(last[3] < steps[0][3], "{:?}", &last[..4]);
    let config = std::fs::read_to_string(dir.join("run/config.toml")).unwrap();
    assert!(config.contains("hours = 0.0005"));
}

#[test]
fn a_loss_that_explodes_ends_with_its_clips_and_a_saved_state() {
    let (_guard, dir) = temporary();
    scene(&dir);
    for (kernels, out) in [("fast", "a"), ("plain", "b")] {
        let more = ["epochs=2", "lr=1e30", "--kernels", kernels, "--out", out];
        let output = msn(&dir).args(QUICK).args(more).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let error = said.lines().last().unwrap();
        for part in [
            "the loss is",
            "at step",
            ".mp4:",
            "clip_norm=1",
            "/diverged/step-",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let path = error.rsplit(' ').next().unwrap();
        assert!(dir.join(path).is_file(), "{path}");
        assert!(!dir.join(out).join("weights").exists());
    }
}

#[test]
fn clipped_gradients_are_the_same_on_kernels_and_burn() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let losses = |kernels: &str, clip: &str, out: &str| {
        let more = [
            "epochs=1",
            "seed=2",
            clip,
            "--kernels",
            kernels,
            "--out",
            out,
        ];
        stdout(msn(&dir).args(QUICK).args(more));
        table(&dir, &format!("{out}/metrics.csv"))
    };
    let fast = losses("direct", "clip_norm=1e-9", "a");
    let plain = losses("plain", "clip_norm=1e-9", "b");
    let free = losses("direct", "clip_norm=0", "c");
    // Adam's epsilon is larger than such gradients: they hardly move anything, unclipped ones do.
    let loss = |rows: &[Vec<f64>], step: usize| rows[step][5];
    for step in [1, 5, 20] {
        let (a, b) = (loss(&fast, step), loss(&plain, step));
        assert!((a - b).abs() < 1e-4 * b, "step {step}: {a} {b}");
    }
    assert!((loss(&free, 20) - loss(&fast, 20)).abs() > 1e-2 * loss(&free, 20));
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let said = stdout(msn(&dir).args(QUICK).args(["epochs=3", "--dry-run"]));
    for part in [
        "epochs = 3",
        "parameters ",
        "GFLOP at 32 x 32",
        "expected time ",
        "memory ",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!dir.join("runs").exists());
}

/// Reads a run's event files and prints tag, steps and last value of each scalar.
const READ_EVENTS: &str = "
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
for tag in events.Tags()['scalars']:
    all = events.Scalars(tag)
    assert [e.step for e in all] == sorted({e.step for e in all}), tag
    print(tag, len(all), all[-1].step, all[-1].value, sep='\\t')
";

#[test]
fn tensorboard_reads_what_the_tables_hold() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let train = [&QUICK[..], &["epochs=3", "--out", "run"]].concat();
    let steps = ["--checkpoint-steps", "5"];
    // Interrupted once, so that events are made of two processes.
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .current_dir(&dir)
        .args(&train)
        .args(steps)
        .spawn()
        .unwrap();
    while !dir.join("run/checkpoints").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    stdout(msn(&dir).args(&train).arg("--resume"));
    let python = Command::new("python3")
        .args(["-c", READ_EVENTS])
        .arg(dir.join("run/tensorboard"))
        .output();
    let output = match python {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(errors.contains("ModuleNotFoundError"), "{errors}");
            eprintln!("skipped: TensorBoard is not installed (pip install tensorboard)");
            return;
        }
        Err(_) => {
            eprintln!("skipped: python3 is not there");
            return;
        }
    };
    let told = String::from_utf8(output.stdout).unwrap();
    let row = |tag: &str| {
        let line = told
            .lines()
            .find(|line| line.starts_with(&format!("{tag}\t")));
        let line = line.unwrap_or_else(|| panic!("no {tag} in {told}"));
        let cells = line.split('\t').skip(1).map(|c| c.parse::<f64>().unwrap());
        cells.collect::<Vec<_>>()
    };
    let (steps, epochs) = (
        table(&dir, "run/metrics.csv"),
        table(&dir, "run/epochs.csv"),
    );
    for (tag, rows, step, column) in [
        ("train/loss", &steps, 0, 4),
        ("train/lr", &steps, 0, 3),
        ("pool 1/dead_items", &steps, 0, 10),
        ("validation/loss", &epochs, 1, 3),
        ("validation/psnr", &epochs, 1, 4),
    ] {
        let last = rows.last().unwrap();
        let found = row(tag);
        assert_eq!(found[0], rows.len() as f64, "{tag}");
        assert_eq!(found[1], last[step], "{tag}");
        assert!(
            (found[2] - last[column]).abs() <= 1e-6 * last[column].abs(),
            "{tag}"
        );
    }
}
