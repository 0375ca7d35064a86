//! Training on several devices and in several processes.
#![cfg(unix)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use camino::Utf8Path;

use crate::{
    msn,
    resume::{checkpoints, metrics, scene, wait_for},
    stdout, temporary,
};

/// Some thirty steps an epoch.
const TRAIN: [&str; 6] = [
    "train", "scene", "width=4", "size=32", "crop=24", "batch=12",
];

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn signal(&self, signal: &str) {
        let pid = self.0.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Code and what it said, after at most a minute.
    fn ends(&mut self) -> (Option<i32>, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "it goes on");
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut said = String::new();
        self.0
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut said)
            .unwrap();
        (status.code(), said)
    }
}

fn start(dir: &Utf8Path, args: &[&str]) -> Running {
    let child = Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .current_dir(dir)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Running(child.unwrap())
}

/// An orchestrator and its address.
fn orchestrator(dir: &Utf8Path) -> (Running, String) {
    let args = ["orchestrate", "--listen", "127.0.0.1:0", "--trust-network"];
    let mut running = start(dir, &args);
    let mut line = String::new();
    let out = running.0.stdout.as_mut().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    let address = line
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    (running, address)
}

/// An address that nobody listens on.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// Nodes of one training, with their addresses.
fn nodes(dir: &Utf8Path, count: usize, at: &str, more: &[&str]) -> Vec<(Running, String)> {
    let count_text = count.to_string();
    let one = |_| {
        let own = free();
        let mut args = TRAIN.to_vec();
        args.extend(more);
        args.extend(["--nodes", &count_text, "--orchestrator", at]);
        args.extend(["--advertise", &own, "--trust-network"]);
        (start(dir, &args), own)
    };
    (0..count).map(one).collect()
}

fn losses(dir: &Utf8Path, run: &str) -> Vec<f64> {
    let value = |line: &String| line.split(',').nth(3).unwrap().parse().unwrap();
    metrics(dir, run)[1..].iter().map(value).collect()
}

/// Whether the first step has the same loss, and the next ones to rounding that grows: Adam's first
/// steps have the size of the rate, also where a gradient is rounding alone.
fn alike(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (i, (a, b)) in a.iter().zip(b).take(6).enumerate() {
        let most = if i == 0 { 1e-6 } else { 1e-2 };
        assert!((a - b).abs() < most * a.abs(), "step {}: {a} {b}", i + 1);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn devices_nodes_and_their_numbers_are_one_training() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let train = |more: &[&str]| stdout(msn(&dir).args(TRAIN).arg("epochs=2").args(more));
    train(&["--out", "one"]);
    train(&["--out", "two", "--device", "flex,flex"]);
    let one = losses(&dir, "one");
    alike(&one, &losses(&dir, "two"));
    let card = std::fs::read_to_string(dir.join("two/run.json")).unwrap();
    assert!(card.contains("\"device\": \"flex,flex\""), "{card}");

    let (_orchestrator, at) = orchestrator(&dir);
    for (count, more) in [
        (2, &["--out", "nodes-2", "epochs=2"][..]),
        (
            3,
            &["--out", "nodes-3", "epochs=2", "--device", "flex,flex"],
        ),
    ] {
        for (mut node, address) in nodes(&dir, count, &at, more) {
            let (code, said) = node.ends();
            assert_eq!(code, Some(0), "{address}: {said}");
        }
        let run = more[1];
        alike(&one, &losses(&dir, run));
        assert!(dir.join(run).join("weights/best.safetensors").exists());
        assert!(dir.join(run).join("eval.json").exists());
    }
}

#[test]
fn burns_own_operations_are_shared_alike() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let plain = ["epochs=1", "--kernels", "plain"];
    let train = |more: &[&str]| stdout(msn(&dir).args(TRAIN).args(plain).args(more));
    train(&["--out", "one"]);
    train(&["--out", "two", "--device", "flex,flex"]);
    alike(&losses(&dir, "one"), &losses(&dir, "two"));
}

#[test]
fn a_killed_node_is_named_and_any_number_goes_on() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let (_orchestrator, at) = orchestrator(&dir);
    let more = ["--out", "run", "--checkpoint-steps", "5", "epochs=60"];
    for first in [false, true] {
        let again: &[&str] = if first { &["--resume"] } else { &[] };
        let before = checkpoints(&dir.join("run"));
        let mut all = nodes(&dir, 2, &at, &[&more[..], again].concat());
        wait_for("checkpoint", || checkpoints(&dir.join("run")) != before);
        // The address decides who is node 0, and whoever has the run folder where there is one:
        // both have it here.
        all.sort_by(|a, b| a.1.cmp(&b.1));
        let (lost, left) = if first { (0, 1) } else { (1, 0) };
        let gone = format!("node {lost} ({})", all[lost].1);
        all[lost].0.signal("-KILL");
        let (code, said) = all[left].0.ends();
        assert_eq!(code, Some(1), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("error: ") && last.contains(&gone),
            "{gone}: {said}"
        );
    }
    // Alone, then by three.
    let whole = metrics(&dir, "run").len();
    let resumed = [&TRAIN[..], &more[..], &["--resume"]].concat();
    let before = checkpoints(&dir.join("run"));
    let mut alone = start(&dir, &resumed);
    wait_for("checkpoint", || checkpoints(&dir.join("run")) != before);
    alone.signal("-INT");
    assert_eq!(alone.ends().0, Some(130));
    let mut three = nodes(&dir, 3, &at, &[&more[..], &["--resume"]].concat());
    let before = checkpoints(&dir.join("run"));
    wait_for("checkpoint", || checkpoints(&dir.join("run")) != before);
    // One is interrupted, all stop after the same step.
    three[2].0.signal("-INT");
    let mut codes: Vec<_> = three.iter_mut().map(|(node, _)| node.ends().0).collect();
    codes.sort();
    assert_eq!(codes, [Some(1), Some(1), Some(130)]);
    let steps: Vec<usize> = metrics(&dir, "run")[1..]
        .iter()
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(steps.len() > whole);
    assert_eq!(steps, (1..=steps.len()).collect::<Vec<_>>());
}

#[test]
fn a_silent_node_is_lost_within_a_minute() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let (_orchestrator, at) = orchestrator(&dir);
    let more = ["--out", "run", "--checkpoint-steps", "5", "epochs=3000"];
    let mut all = nodes(&dir, 2, &at, &more);
    wait_for("checkpoint", || !checkpoints(&dir.join("run")).is_empty());
    all.sort_by(|a, b| a.1.cmp(&b.1));
    all[1].0.signal("-STOP");
    let (code, said) = all[0].0.ends();
    let gone = format!("node 1 ({}) is lost", all[1].1);
    assert!(code == Some(1) && said.contains(&gone), "{said}");
}

#[test]
fn nodes_that_do_not_fit_are_told_why() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let refused = |args: &[&str], code: i32, why: &str| {
        let output = msn(&dir).args(args).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(why), "{said}");
    };
    let train = |more: &[&'static str]| [&TRAIN[..], more].concat();
    refused(&["orchestrate"], 2, "--trust-network");
    let two = [
        "--nodes",
        "2",
        "--orchestrator",
        "127.0.0.1:7",
        "--advertise",
        "127.0.0.1:8",
    ];
    refused(&train(&two), 2, "give --trust-network where you trust");
    refused(&train(&two[..2]), 2, "several nodes need --orchestrator");
    refused(&train(&["--trust-network"]), 2, "give --nodes N");
    let port = [
        "--nodes",
        "2",
        "--orchestrator",
        "here",
        "--advertise",
        "127.0.0.1:8",
    ];
    refused(&train(&port), 2, "--orchestrator here is no address");
    refused(
        &train(&["--device", "flex,flex", "batch=9"]),
        2,
        "give batch=10",
    );
    refused(
        &train(&["--device", "flex,cuda:0"]),
        2,
        "devices of one kind",
    );

    // The second of two has another setting.
    let (_orchestrator, at) = orchestrator(&dir);
    let (own, other) = (free(), free());
    let node = |own: &str, more: &[&str]| {
        let mut args = TRAIN.to_vec();
        args.extend(["--nodes", "2", "--orchestrator", &at, "--advertise", own]);
        args.extend(["--trust-network", "--out", "b"]);
        args.extend(more);
        start(&dir, &args)
    };
    let mut waits = node(&own, &[]);
    let began = Instant::now();
    let mut heard = String::new();
    let mut lines = BufReader::new(waits.0.stderr.as_mut().unwrap());
    while !heard.contains("waiting for 2 nodes") {
        assert!(began.elapsed() < Duration::from_secs(60));
        lines.read_line(&mut heard).unwrap();
    }
    std::thread::sleep(Duration::from_millis(500));
    let (code, said) = node(&other, &["seed=5"]).ends();
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("`seed = 5`") && last.contains("`seed = 0`"),
        "{said}"
    );
}
