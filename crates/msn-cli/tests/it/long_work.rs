//! Long work that is stopped, and output that nobody takes.
#![cfg(unix)]

use std::{
    fs::File,
    process::{Child, Command, Stdio},
};

use camino::{Utf8Path, Utf8PathBuf};

use crate::{
    msn,
    resume::{checkpoints, scene, wait_for},
    stdout, temporary,
};

const QUICK: [&str; 4] = ["epochs=1", "width=4", "size=32", "crop=16"];

/// A run and a folder of many videos.
fn trained(dir: &Utf8Path, videos: usize) {
    scene(dir);
    stdout(
        msn(dir)
            .args(["train", "scene", "--out", "run"])
            .args(QUICK),
    );
    std::fs::create_dir(dir.join("many")).unwrap();
    for i in 0..videos {
        let from = dir.join(format!("scene/train/0{}.mp4", 1 + i % 4));
        std::fs::copy(from, dir.join(format!("many/{i:02}.mp4"))).unwrap();
    }
}

fn background(dir: &Utf8Path, args: &[&str]) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("msn"))
        .current_dir(dir)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([name, &pid]).status().unwrap();
    assert!(sent.success());
}

/// Whether this process was started with SIGHUP ignored, which its children inherit.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    mask.is_some_and(|mask| mask & 1 == 1)
}

/// Sources whose rows are in an unfinished table.
fn scored(dir: &Utf8Path) -> usize {
    let lines = std::fs::read_to_string(dir.join("out.csv.partial.json")).unwrap_or_default();
    lines.matches("{\"scored\":{").count()
}

fn files(dir: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = dir.read_dir_utf8().unwrap();
    entries.map(|e| e.unwrap().into_path()).collect()
}

#[test]
fn a_scoring_goes_on_where_it_was_stopped() {
    let (_guard, dir) = temporary();
    trained(&dir, 24);
    let to = |out, report| ["score", "run", "many", "--out", out, "--report", report];
    let score = to("out.csv", "look");
    stdout(msn(&dir).args(to("whole.csv", "whole")));
    let whole = std::fs::read(dir.join("whole.csv")).unwrap();

    // A table of before stays until the new one is whole.
    std::fs::write(dir.join("out.csv"), "old").unwrap();
    for (name, code) in [
        ("-KILL", None),
        ("-INT", Some(130)),
        ("-TERM", Some(143)),
        ("-HUP", Some(129)),
    ] {
        if name == "-HUP" && ignores_hang_up() {
            continue;
        }
        let before = scored(&dir);
        let mut child = background(&dir, &score);
        wait_for("scored source", || scored(&dir) > before + 1);
        signal(&child, name);
        assert_eq!(child.wait().unwrap().code(), code, "{name}");
        let there = std::fs::read(dir.join("out.csv.partial")).unwrap();
        assert!(scored(&dir) > before && !there.is_empty());
        assert_eq!(std::fs::read(dir.join("out.csv")).unwrap(), b"old");
    }
    // Half a row and half a line, as a lost power leaves them.
    let append = |name: &str, text: &str| {
        let mut all = std::fs::read(dir.join(name)).unwrap();
        all.extend(text.as_bytes());
        std::fs::write(dir.join(name), all).unwrap();
    };
    append("out.csv.partial", "09.mp4,17,1.");
    append("out.csv.partial.json", "{\"scored\":{\"sou");
    let done = scored(&dir) - 1;
    let output = msn(&dir).args(score).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let expected = format!("going on with {dir}/out.csv.partial: {done} of 24 sources are scored");
    assert!(said.contains(&expected), "{expected}: {said}");
    assert!(std::fs::read(dir.join("out.csv")).unwrap() == whole);
    // The alarms of sources from before are there, too.
    for name in ["alarms.csv", "alarms.json"] {
        let [resumed, at_once] =
            ["look", "whole"].map(|folder| std::fs::read(dir.join(folder).join(name)).unwrap());
        assert!(resumed == at_once, "{name}");
    }
    let page = std::fs::read_to_string(dir.join("look/report.html")).unwrap();
    assert!((0..24).all(|i| page.contains(&format!("{i:02}.mp4"))));
    let left = files(&dir);
    assert!(
        left.iter().all(|path| !path.as_str().contains("partial")),
        "{left:?}"
    );
}

#[test]
fn a_table_of_other_weights_is_begun_anew_and_one_process_writes_it() {
    let (_guard, dir) = temporary();
    trained(&dir, 8);
    let score = ["score", "run", "many", "--out", "out.csv", "--threads", "1"];
    let mut child = background(&dir, &score);
    wait_for("scored source", || scored(&dir) > 0);
    let output = msn(&dir).args(score).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if child.try_wait().unwrap().is_none() {
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("another process writes"), "{said}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if scored(&dir) == 0 {
        return;
    }
    let output = msn(&dir)
        .args(score)
        .args(["--kernels", "plain"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("begun anew"), "{said}");
}

#[test]
fn outputs_are_checked_before_anything_is_scored() {
    let (_guard, dir) = temporary();
    trained(&dir, 2);
    let video = std::fs::read(dir.join("many/00.mp4")).unwrap();
    let weights = "run/weights/last.safetensors";
    let taken = std::fs::read(dir.join(weights)).unwrap();
    std::os::unix::fs::symlink("many/00.mp4", dir.join("link.csv")).unwrap();
    for (out, code, why) in [
        ("many/00.mp4", 2, "write over the input"),
        ("link.csv", 2, "write over the input"),
        (weights, 2, "write over the input"),
        ("many", 2, "is a folder"),
        ("run.csv/", 1, "can't"),
        ("many/00.mp4/out.csv", 1, "many/00.mp4"),
        ("/proc/none/out.csv", 1, "/proc/none"),
        ("/dev/full", 1, "No space"),
    ] {
        let output = msn(&dir)
            .args(["score", "run", "many", "--out", out])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{out}: {said}");
        assert!(
            said.contains(why) && !said.contains("internal"),
            "{out}: {said}"
        );
    }
    assert!(std::fs::read(dir.join("many/00.mp4")).unwrap() == video);
    assert!(std::fs::read(dir.join(weights)).unwrap() == taken);
    // A device is written to, and a link's target is what is written.
    stdout(msn(&dir).args(["score", "run", "many", "--out", "/dev/null"]));
    assert!(!Utf8Path::new("/dev/null").is_file());
    std::fs::write(dir.join("target.csv"), "").unwrap();
    std::os::unix::fs::symlink("target.csv", dir.join("to-target.csv")).unwrap();
    stdout(msn(&dir).args(["score", "run", "many", "--out", "to-target.csv"]));
    assert!(dir.join("to-target.csv").is_symlink());
    let table = std::fs::read_to_string(dir.join("target.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * 96);
}

#[test]
#[cfg(feature = "ffmpeg")]
fn sources_are_drawn_with_heat_and_go_on_too() {
    let (_guard, dir) = temporary();
    trained(&dir, 3);
    std::fs::copy(dir.join("many/00.mp4"), dir.join("many/02.avi")).unwrap();
    let score = [
        "score",
        "run",
        "many",
        "--out",
        "out.csv",
        "--overlay",
        "videos",
    ];
    let mut child = background(&dir, &score);
    wait_for("overlay", || {
        files(&dir).contains(&dir.join("videos")) && !files(&dir.join("videos")).is_empty()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    stdout(msn(&dir).args(score));
    let mut names = files(&dir.join("videos"));
    names.retain(|path| !path.file_name().unwrap().starts_with('.'));
    names.sort();
    let ending = msn_video::Coding::for_browsers().unwrap().ending();
    let expected =
        ["00", "01", "02.avi", "02.mp4"].map(|n| dir.join(format!("videos/{n}.{ending}")));
    assert_eq!(names, expected);
    for path in &names {
        let reader = msn_video::open(path, &msn_video::Options::default()).unwrap();
        let codec = reader.info().codec.clone();
        assert!(
            matches!(codec.as_deref(), Some("h264" | "vp9")),
            "{codec:?}"
        );
        assert_eq!(reader.count(), 100);
    }
    let over = ["score", "run", "many", "--overlay", "many"];
    let output = msn(&dir).args(over).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("write over the video"), "{said}");
}

/// Runs with what is said going nowhere: a reader that is gone, or a full device.
fn deaf(dir: &Utf8Path, args: &[&str], reader_is_gone: bool) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("msn"));
    command.current_dir(dir).args(args).stdout(Stdio::null());
    if !reader_is_gone {
        let full = File::options().write(true).open("/dev/full").unwrap();
        return command.stderr(full).spawn().unwrap();
    }
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    child
}

#[test]
fn a_training_goes_on_where_nobody_hears_it() {
    let (_guard, dir) = temporary();
    scene(&dir);
    for (i, reader_is_gone) in [true, false].into_iter().enumerate() {
        let out = format!("run{i}");
        let train = [&["train", "scene", "--out", &out][..], &QUICK].concat();
        let mut child = deaf(&dir, &train, reader_is_gone);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(dir.join(&out).join("report.html").exists());

        // Stopped by Ctrl-C, as in `msn train 2>&1 | tee log`.
        let out = format!("stopped{i}");
        let long = [
            "train",
            "scene",
            "--out",
            &out,
            "epochs=3000",
            "width=4",
            "size=32",
        ];
        let mut child = deaf(&dir, &long, reader_is_gone);
        let steps = || {
            let table = std::fs::read_to_string(dir.join(&out).join("metrics.csv"));
            table.unwrap_or_default().lines().count()
        };
        wait_for("begun training", || {
            dir.join(&out).join("metrics.csv").exists() || steps() > 1
        });
        std::thread::sleep(std::time::Duration::from_millis(500));
        signal(&child, "-INT");
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert_eq!(checkpoints(&dir.join(&out)).len(), 1, "it was saved");
    }
}

#[test]
fn a_hung_up_terminal_saves_unless_it_is_to_be_ignored() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let long = [
        "train",
        "scene",
        "--out",
        "run",
        "epochs=3000",
        "width=4",
        "size=32",
        "--checkpoint-steps",
        "5",
    ];
    if !ignores_hang_up() {
        let mut child = background(&dir, &long);
        wait_for("checkpoint", || !checkpoints(&dir.join("run")).is_empty());
        signal(&child, "-HUP");
        assert_eq!(child.wait().unwrap().code(), Some(129));
    }
    // As `nohup` starts it.
    if !cfg!(target_os = "linux") {
        return;
    }
    let msn = assert_cmd::cargo::cargo_bin("msn");
    let command = format!("trap '' HUP; exec {} {}", msn.display(), long.join(" "));
    let mut child = Command::new("sh")
        .current_dir(&dir)
        .args(["-c", &command.replace("--out run", "--out kept")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("checkpoint", || !checkpoints(&dir.join("kept")).is_empty());
    signal(&child, "-HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "it goes on");
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn a_full_standard_output_is_an_exit_code() {
    let (_guard, dir) = temporary();
    for args in [
        &["doctor"][..],
        &["doctor", "--json"],
        &["--help"],
        &["train", "--help-settings"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let child = Command::new(assert_cmd::cargo::cargo_bin("msn"))
            .current_dir(&dir)
            .args(args)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(
            !said.contains("internal") && !said.contains("panicked"),
            "{said}"
        );
        if args != ["--help"] {
            assert!(
                said.contains("can't write to standard output: No space"),
                "{said}"
            );
        }
    }
    let help = stdout(msn(&dir).arg("--help"));
    for code in ["Exit codes:", "130", "143", "129"] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn a_run_goes_on_with_its_own_settings() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let begin = [
        "train",
        "scene",
        "--preset",
        "cpu",
        "epochs=15",
        "width=4",
        "size=32",
        "crop=24",
        "--fps",
        "10",
    ];
    stdout(msn(&dir).args(begin).args(["--out", "whole"]));
    let run = dir.join("runs/scene/cpu/v1");
    let mut child = background(&dir, &[&begin[..], &["--checkpoint-steps", "5"]].concat());
    wait_for("checkpoint", || !checkpoints(&run).is_empty());
    assert!(
        !dir.join("runs/scene/cpu/latest").exists(),
        "nothing is complete"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    // A finished one of another preset is not in its way.
    stdout(msn(&dir).args(["train", "scene"]).args(QUICK));
    assert_eq!(
        dir.join("runs/scene/tiny/latest").read_link_utf8().unwrap(),
        "v1"
    );

    let refused = |more: &[&str], why: &str| {
        let output = msn(&dir)
            .args(["train", "--resume"])
            .args(more)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(why), "{said}");
    };
    refused(&["scene", "batch=3"], "`batch = 8`, not `batch = 3`");
    let said = stdout(msn(&dir).args(["train", "--resume"]));
    assert!(said.contains("run folder: runs/scene/cpu/v1"), "{said}");
    let weights = |run: &Utf8Path| std::fs::read(run.join("weights/last.safetensors")).unwrap();
    assert!(
        weights(&run) == weights(&dir.join("whole")),
        "other weights"
    );
    assert_eq!(
        dir.join("runs/scene/cpu/latest").read_link_utf8().unwrap(),
        "v1"
    );

    // Followed through links, as TensorBoard does, each run is there once.
    let mut found = Vec::new();
    let mut folders = vec![dir.join("runs")];
    while let Some(folder) = folders.pop() {
        for path in files(&folder) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.as_str().contains("tfevents") => found.push(path),
                false => {}
            }
        }
    }
    assert_eq!(found.len(), 2, "{found:?}");
    // All are finished: the one that was begun or resumed last is named.
    let said = stdout(msn(&dir).args(["train", "--resume"]));
    assert!(
        said.contains("runs/scene/cpu/v1 is a finished run"),
        "{said}"
    );
}
