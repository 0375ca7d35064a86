//! `--threads`: as many as asked for, and no bit depends on them.

use crate::{msn, stdout, temporary};

const TRAIN: [&str; 6] = ["train", "scene", "epochs=2", "width=4", "size=32", "--out"];

#[test]
fn any_number_of_threads_gives_the_same_weights() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let [one, three] = ["1", "3"].map(|n| {
        stdout(msn(&dir).args(TRAIN).args([n, "--threads", n]));
        std::fs::read(dir.join(n).join("weights/last.safetensors")).unwrap()
    });
    assert!(one == three, "another number of threads, other weights");
    let output = msn(&dir)
        .args(["--threads", "0", "train"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

/// Linux tells how many threads a process has.
#[cfg(target_os = "linux")]
#[test]
fn as_many_threads_as_asked_for_and_no_more() {
    use std::process::{Command, Stdio};

    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let most = |n: &str| {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin("msn"))
            .current_dir(&dir)
            .args(TRAIN)
            .args([&format!("run-{n}"), "--threads", n])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let threads = text.lines().find_map(|l| l.strip_prefix("Threads:"));
            most = most.max(threads.map_or(0, |n| n.trim().parse().unwrap()));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        most
    };
    let (one, four): (usize, usize) = (most("1"), most("4"));
    // The main thread waits for the pool; a single video is decoded by as many threads again, while
    // the pool waits; one more decodes the pictures of alarms.
    assert!(one <= 3, "--threads 1 had {one} threads");
    assert!((5..=10).contains(&four), "--threads 4 had {four} threads");
}
