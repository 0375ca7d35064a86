//! Trainings that are killed, stopped, damaged and doubled.
#![cfg(unix)]

use std::{
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use camino::Utf8Path;
use rand::{RngExt, SeedableRng};

use crate::{msn, stdout, temporary};

/// About a thousand steps of a few milliseconds.
const TRAIN: [&str; 6] = [
    "train",
    "scene",
    "epochs=30",
    "width=4",
    "size=32",
    "crop=24",
];

pub(crate) fn scene(dir: &Utf8Path) {
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(dir).args(["data", "synth", "scene"]).args(size));
}

/// A training in the background.
fn start(dir: &Utf8Path, more: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .current_dir(dir)
        .args(TRAIN)
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn checkpoints(run: &Utf8Path) -> Vec<camino::Utf8PathBuf> {
    let Ok(entries) = run.join("checkpoints").read_dir_utf8() else {
        return Vec::new();
    };
    let mut all: Vec<_> = entries.map(|e| e.unwrap().into_path()).collect();
    all.retain(|p| p.extension() == Some("safetensors"));
    all.sort();
    all
}

pub(crate) fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(120), "no {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The last and the best weights, and their calibrations.
fn weights(dir: &Utf8Path, run: &str) -> Vec<u8> {
    let files = [
        "weights/last.safetensors",
        "weights/last.calibration.json",
        "weights/best.safetensors",
        "weights/best.calibration.json",
    ];
    let read = |file| std::fs::read(dir.join(run).join(file)).unwrap();
    files.map(read).concat()
}

/// A table of a run without the column of seconds.
fn table(dir: &Utf8Path, run: &str, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join(run).join(file)).unwrap();
    let without = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        [&fields[..2], &fields[3..]].concat().join(",")
    };
    text.lines().map(without).collect()
}

pub(crate) fn metrics(dir: &Utf8Path, run: &str) -> Vec<String> {
    table(dir, run, "metrics.csv")
}

#[test]
fn twenty_kills_change_no_bit() {
    let (_guard, dir) = temporary();
    scene(&dir);
    stdout(msn(&dir).args(TRAIN).args(["--out", "whole"]));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let (mut killed, mut run) = (0, 0);
    while killed < 20 {
        run += 1;
        let out = format!("killed-{run}");
        let again = ["--out", &out, "--resume", "--checkpoint-steps", "7"];
        while killed < 20 {
            let mut child = start(&dir, &again);
            sleep(Duration::from_millis(rng.random_range(1..700)));
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        stdout(msn(&dir).args(TRAIN).args(again));
        assert!(
            weights(&dir, &out) == weights(&dir, "whole"),
            "other weights"
        );
        for file in ["metrics.csv", "epochs.csv"] {
            assert!(
                table(&dir, &out, file) == table(&dir, "whole", file),
                "other {file}"
            );
        }
        let left = checkpoints(&dir.join(&out)).len();
        assert!((1..=3).contains(&left), "{left} checkpoints are kept");
        let said = stdout(msn(&dir).args(TRAIN).args(again));
        assert!(said.contains("finished run"), "{said}");
    }
}

#[test]
fn burns_own_operations_resume_bit_for_bit_too() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let plain = [
        "--kernels",
        "plain",
        "epochs=1",
        "start_items=true",
        "revive=true",
        "accumulate=2",
        "ema=0.9",
    ];
    stdout(msn(&dir).args(TRAIN).args(plain).args(["--out", "whole"]));
    let more = [&plain[..], &["--out", "cut", "--checkpoint-steps", "3"]].concat();
    let mut child = start(&dir, &more);
    wait_for("checkpoint", || !checkpoints(&dir.join("cut")).is_empty());
    child.kill().unwrap();
    child.wait().unwrap();
    stdout(
        msn(&dir)
            .args(TRAIN)
            .args(plain)
            .args(["--out", "cut", "--resume"]),
    );
    assert!(
        weights(&dir, "cut") == weights(&dir, "whole"),
        "other weights"
    );
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before() {
    let (_guard, dir) = temporary();
    scene(&dir);
    stdout(msn(&dir).args(TRAIN).args(["--out", "whole"]));
    let mut child = start(&dir, &["--out", "cut", "--checkpoint-steps", "20"]);
    wait_for("two checkpoints", || {
        checkpoints(&dir.join("cut")).len() > 1
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let newest = checkpoints(&dir.join("cut")).pop().unwrap();
    let mut bytes = std::fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).unwrap();
    let output = msn(&dir)
        .args(TRAIN)
        .args(["--out", "cut", "--resume"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("damaged") && said.contains("taking an earlier one"),
        "{said}"
    );
    assert!(
        weights(&dir, "cut") == weights(&dir, "whole"),
        "other weights"
    );
}

#[test]
fn signals_finish_the_step_and_save() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (_guard, dir) = temporary();
        scene(&dir);
        let mut child = start(&dir, &["--out", "run", "--checkpoint-steps", "10"]);
        wait_for("checkpoint", || !checkpoints(&dir.join("run")).is_empty());
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        stdout(msn(&dir).args(TRAIN).args(["--out", "run", "--resume"]));
        let steps: Vec<String> = metrics(&dir, "run")[1..]
            .iter()
            .map(|line| line.split(',').next().unwrap().to_owned())
            .collect();
        let expected: Vec<String> = (1..=steps.len()).map(|n| n.to_string()).collect();
        assert_eq!(steps, expected);
    }
}

#[test]
fn a_run_folder_has_one_trainer_and_one_set_of_settings() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let refused = |more: &[&str], why: &str| {
        let output = msn(&dir).args(TRAIN).args(more).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.lines().last().unwrap().contains(why), "{said}");
    };
    // Long enough to be still at it, however slow the machine.
    let long = "epochs=3000";
    let mut child = start(&dir, &[long, "--out", "run", "--checkpoint-steps", "10"]);
    wait_for("checkpoint", || !checkpoints(&dir.join("run")).is_empty());
    refused(
        &[long, "--out", "run", "--resume"],
        "another process trains in run",
    );
    refused(&[long, "--out", "run"], "is not empty");
    child.kill().unwrap();
    child.wait().unwrap();
    refused(
        &["--out", "run", "--resume", long, "batch=4"],
        "`batch = 8`, not `batch = 4`",
    );
}

#[test]
fn a_full_disk_is_one_sentence_and_costs_no_checkpoint() {
    let (_guard, dir) = temporary();
    scene(&dir);
    // No file may grow to a checkpoint's size: the same error path as a full disk.
    let msn = assert_cmd::cargo::cargo_bin("msn");
    let command = format!(
        "trap '' XFSZ; ulimit -f 200; exec {} {} --out run --checkpoint-steps 5",
        msn.display(),
        TRAIN.join(" ")
    );
    let output = Command::new("sh")
        .current_dir(&dir)
        .args(["-c", &command])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: can't write"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    // Nothing half-written, and the run goes on where there is room.
    let mut left = walk(&dir.join("run"));
    left.retain(|name| !name.contains("tfevents"));
    assert_eq!(
        left,
        [
            "config.toml",
            "epochs.csv",
            "metrics.csv",
            "run.json",
            "run.lock"
        ]
    );
    stdout(
        crate::msn(&dir)
            .args(TRAIN)
            .args(["--out", "run", "--resume"]),
    );
}

/// Names of every file below a folder, sorted.
fn walk(folder: &Utf8Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            all.extend(walk(&path));
        } else {
            all.push(path.file_name().unwrap().to_owned());
        }
    }
    all.sort();
    all
}
