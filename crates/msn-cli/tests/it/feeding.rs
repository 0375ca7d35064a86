//! Where frames are kept, how they are augmented and which videos are meant.

use camino::Utf8Path;

use crate::{msn, shared, stdout, temporary};

const QUICK: [&str; 4] = ["epochs=2", "width=4", "size=32", "crop=16"];

fn scene(dir: &Utf8Path) {
    let size = ["--train", "4", "--test", "2", "--seconds", "10"];
    stdout(msn(dir).args(["data", "synth", "scene"]).args(size));
}

/// The weights of a run, and their calibration.
fn weights(dir: &Utf8Path, run: &str) -> Vec<u8> {
    let files = ["weights/last.safetensors", "calibration.json"];
    let read = |file| std::fs::read(dir.join(run).join(file)).unwrap();
    files.map(read).concat()
}

/// Standard error of a command that must succeed.
fn says(dir: &Utf8Path, args: &[&str]) -> String {
    let output = msn(dir).args(args).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {errors}");
    errors
}

#[test]
fn wherever_frames_are_kept_the_weights_and_metrics_are_the_same() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let train = |run: &str, more: &[&str]| {
        let args = [
            "train",
            "scene",
            "--out",
            run,
            "flip=true",
            "brightness=0.2",
        ];
        says(&dir, &[&args[..], &QUICK, more].concat())
    };
    let said = train("memory", &[]);
    assert!(
        said.contains("of the training time went into waiting for clips"),
        "{said}"
    );
    assert!(!said.contains("again and again"));
    train("cache", &["--memory", "100KiB", "--cache", "frames"]);
    assert!(dir.join("frames").read_dir_utf8().unwrap().count() > 0);
    let said = train("again", &["--memory", "0B", "--cache", "none"]);
    assert!(said.contains("again and again"), "{said}");
    let metrics = |run: &str| {
        let text = std::fs::read_to_string(dir.join(run).join("eval.json")).unwrap();
        let mut metrics: serde_json::Value = serde_json::from_str(&text).unwrap();
        metrics.as_object_mut().unwrap().remove("command");
        metrics
    };
    // Others may read what was written, as any new file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &str| dir.join(path).metadata().unwrap().permissions().mode() & 0o777;
        std::fs::write(dir.join("any"), "").unwrap();
        assert_eq!(mode("memory/eval.json"), mode("any"));
        assert_eq!(mode("memory/weights/last.safetensors"), mode("any"));
    }
    for run in ["cache", "again"] {
        assert!(weights(&dir, run) == weights(&dir, "memory"), "{run}");
        assert_eq!(metrics(run), metrics("memory"), "{run}");
    }
    // Without augmentation the weights are others: the settings are no decoration.
    says(
        &dir,
        &[&["train", "scene", "--out", "plain"][..], &QUICK].concat(),
    );
    assert!(weights(&dir, "plain") != weights(&dir, "memory"));

    let output = msn(&dir)
        .args(["train", "scene", "--memory", "lots"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_split_decides_what_is_not_trained_on() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let drawn = stdout(msn(&dir).args(["data", "split", "scene", "--seed", "5"]));
    assert!(drawn.contains("calibration = ["), "{drawn}");
    stdout(msn(&dir).args([
        "data",
        "split",
        "scene",
        "--seed",
        "5",
        "--out",
        "split.toml",
    ]));
    assert_eq!(
        std::fs::read_to_string(dir.join("split.toml")).unwrap(),
        drawn
    );
    // One that no seed would draw: two videos.
    let two = drawn
        .lines()
        .map(|line| match line {
            l if l.starts_with("train") => "train = [\"01.mp4\", \"03.mp4\"]",
            l if l.starts_with("calibration") => "calibration = [\"02.mp4\", \"04.mp4\"]",
            l => l,
        })
        .filter(|l| l.contains('=') && !l.starts_with(' '))
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(dir.join("two.toml"), two).unwrap();
    let args = ["train", "scene", "--out", "run", "--split", "two.toml"];
    let said = says(&dir, &[&args[..], &QUICK].concat());
    assert!(
        said.contains("calibration split (not trained on): 02.mp4, 04.mp4"),
        "{said}"
    );
    std::fs::write(dir.join("bad.toml"), drawn.replace("01.mp4", "99.mp4")).unwrap();
    let args = ["train", "scene", "--out", "run2", "--split", "bad.toml"];
    let output = msn(&dir).args(args).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.contains("99.mp4") || errors.contains("01.mp4"),
        "{errors}"
    );
    assert!(!dir.join("run2").exists());
}

#[test]
fn globs_folders_and_lists_are_scored_into_one_table() {
    let (_guard, dir) = temporary();
    scene(&dir);
    says(
        &dir,
        &[&["train", "scene", "--out", "run"][..], &QUICK].concat(),
    );
    let videos = |csv: &str| {
        let mut lines = csv.lines();
        assert!(lines.next().unwrap().starts_with("video,frame,seconds"));
        let mut names: Vec<String> = lines
            .map(|l| l.split(',').next().unwrap().to_owned())
            .collect();
        assert_eq!(names.len() % 96, 0);
        names.dedup();
        names
    };
    let score = |sources: &[&str]| stdout(msn(&dir).args(["score", "run"]).args(sources));
    assert_eq!(videos(&score(&["scene/test/01.mp4"])), ["01.mp4"]);
    assert_eq!(videos(&score(&["scene/t*/0[12].mp4"])).len(), 4);
    assert_eq!(videos(&score(&["scene/test"])), ["01.mp4", "02.mp4"]);
    let list = ["scene/test/02.mp4", "scene/train/03.mp4"];
    assert_eq!(videos(&score(&list)), ["02.mp4", "03.mp4"]);
    let one = score(&["scene/test/02.mp4"]);
    assert!(
        score(&list).starts_with(&one),
        "a video's scores do not depend on the others"
    );

    // A broken one costs no other its scores.
    std::fs::write(dir.join("broken.mp4"), "no video").unwrap();
    let output = msn(&dir)
        .args([
            "score",
            "run",
            "broken.mp4",
            "scene/test/02.mp4",
            "--out",
            "all.csv",
        ])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("broken.mp4"), "{errors}");
    assert_eq!(std::fs::read_to_string(dir.join("all.csv")).unwrap(), one);
    for nothing in ["scene/nowhere*.mp4", "nowhere.mp4"] {
        let output = msn(&dir).args(["score", "run", nothing]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(nothing));
    }
}

#[test]
fn a_rate_gives_folders_of_frames_their_times() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "2", "--seconds", "10", "--frames"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    let eval = |more: &[&str]| -> serde_json::Value {
        let args = ["eval", "run", "--json", "--out", "out"];
        serde_json::from_str(&stdout(msn(&dir).args(args).args(more))).unwrap()
    };
    let seconds = || {
        let csv = std::fs::read_to_string(dir.join("out/scores/01.csv")).unwrap();
        let last = csv.lines().last().unwrap().to_owned();
        last.split(',').nth(2).unwrap().to_owned()
    };
    let per_hour =
        |eval: &serde_json::Value| eval["events"]["metrics"]["false_alarms_per_hour"].clone();
    let rate = || {
        let shown =
            stdout(msn(&dir).args(["weights", "show", "run/weights/last.safetensors", "--json"]));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let input = &shown["msn"]["input"];
        let alarm = &shown["calibration"]["alarm"];
        (input["rate_hz"].as_f64(), alarm["per_hour"].as_f64())
    };

    // The synthetic scene's sheet would tell; a camera's folder has none.
    std::fs::remove_file(dir.join("scene/dataset.toml")).ok();
    says(
        &dir,
        &[&["train", "scene", "--out", "run"][..], &QUICK].concat(),
    );
    assert_eq!(rate(), (Some(0.0), None));
    assert!(per_hour(&eval(&[])).is_null());
    assert_eq!(seconds(), "");
    assert!(per_hour(&eval(&["--fps", "5"])).is_object());
    assert_eq!(seconds(), "19.800000");
    let csv = stdout(msn(&dir).args(["score", "run", "scene/test/01", "--fps", "20"]));
    assert!(csv.contains("\n./01,99,4.950000,"), "{csv}");

    // The data set's own sheet says it for all commands, and the weights keep it.
    std::fs::write(
        dir.join("scene/dataset.toml"),
        "version = 1\nname = \"scene\"\nrate_hz = 10.0\n",
    )
    .unwrap();
    says(
        &dir,
        &[&["train", "scene", "--out", "run2"][..], &QUICK].concat(),
    );
    std::fs::rename(dir.join("run"), dir.join("run1")).unwrap();
    std::fs::rename(dir.join("run2"), dir.join("run")).unwrap();
    assert_eq!(rate(), (Some(10.0), Some(1.0)));
    assert!(per_hour(&eval(&[])).is_object());
    assert_eq!(seconds(), "9.900000");
    let warned = says(&dir, &["eval", "run", "--out", "out", "--fps", "25"]);
    assert!(
        warned.contains("25.000 Hz is taken frame by frame, where 10.000 Hz"),
        "{warned}"
    );

    let output = msn(&dir)
        .args(["eval", "run", "--fps", "0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("above 0"));
}

/// Frames of 8 bits as a raw thermal camera has them: a few values high up in 16 bits.
fn make_thermal(folder: &Utf8Path, step: u16) {
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            make_thermal(&path, step);
        } else if path.extension() == Some("jpg") {
            let grey = image::open(&path).unwrap().into_luma8();
            let deep = image::ImageBuffer::from_fn(grey.width(), grey.height(), |x, y| {
                image::Luma([51_000 + u16::from(grey.get_pixel(x, y)[0]) * step])
            });
            deep.save(path.with_extension("png")).unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_stretch_is_measured_in_training_videos_and_kept_with_the_weights() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "2", "--seconds", "10", "--frames"];
    stdout(msn(&dir).args(["data", "synth", "scene"]).args(size));
    make_thermal(&dir.join("scene/train"), 4);
    make_thermal(&dir.join("scene/test"), 4);
    let train = |run: &str, more: &[&str]| {
        let args = [&["train", "scene", "--out", run][..], &QUICK, more].concat();
        says(&dir, &args)
    };
    let kept = |run: &str| {
        let file = format!("{run}/weights/last.safetensors");
        let shown = stdout(msn(&dir).args(["weights", "show", &file, "--json"]));
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        shown["msn"]["input"]["stretch"].clone()
    };
    let score = |run: &str| stdout(msn(&dir).args(["score", run, "scene/test/01"]));

    let said = train("plain", &[]);
    assert!(
        said.contains("few levels are left") && said.contains("stretch=auto"),
        "{said}"
    );
    assert!(kept("plain").is_null());

    let said = train("auto", &["stretch=auto"]);
    assert!(
        said.contains("measured in the training videos") && !said.contains("few levels"),
        "{said}"
    );
    let measured = kept("auto");
    let text = measured.as_str().unwrap();
    let (low, high) = text.split_once("..").unwrap();
    let [low, high] = [low, high].map(|end| end.parse::<f64>().unwrap());
    assert!(
        (50_500.0..51_400.0).contains(&low) && (51_300.0..52_500.0).contains(&high),
        "{text}"
    );
    let scores = score("auto");
    assert_ne!(scores, score("plain"));

    // Hotter test videos change nothing of it.
    make_thermal_hotter(&dir.join("scene/test"));
    train("again", &["stretch=auto"]);
    assert_eq!(kept("again"), measured);
    assert_eq!(weights(&dir, "again"), weights(&dir, "auto"));
    // The same values, given.
    train("given", &[&format!("stretch={text}")]);
    assert_eq!(kept("given"), measured);
    assert_eq!(score("given"), score("auto"));

    let output = msn(&dir)
        .args(["train", "scene", "stretch=5"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("stretch=5 can't be used") && errors.contains("51000..52500"),
        "{errors}"
    );
}

fn make_thermal_hotter(folder: &Utf8Path) {
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            make_thermal_hotter(&path);
        } else if path.extension() == Some("png") {
            let mut deep = image::open(&path).unwrap().into_luma16();
            deep.pixels_mut().for_each(|pixel| pixel[0] += 3_000);
            deep.save(&path).unwrap();
        }
    }
}

#[test]
fn uneven_videos_are_scored_at_the_step_of_the_weights() {
    let Some(folder) = shared("data/video/derived") else {
        return;
    };
    let (_guard, dir) = temporary();
    scene(&dir);
    says(
        &dir,
        &[&["train", "scene", "--out", "run"][..], &QUICK].concat(),
    );
    let uneven = folder.join("vtest_vfr.mp4");
    let output = msn(&dir)
        .args(["score", "run", uneven.as_str()])
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("at 10.000 Hz"), "{errors}");
    let csv = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<(u32, f64)> = csv
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',').skip(1);
            let frame = cells.next().unwrap().parse().unwrap();
            (frame, cells.next().unwrap().parse().unwrap())
        })
        .collect();
    // 7.4 s at 10 Hz, four past frames.
    assert_eq!(rows.len(), 70);
    for (frame, seconds) in rows {
        assert!((seconds - f64::from(frame) / 10.0).abs() < 1e-9);
    }
}

/// Clocks as recorders leave them: what is scored is bounded by real frames and real time.
#[test]
fn rows_follow_the_timestamps_and_not_the_header() {
    let Some(reports) = shared("data/reports") else {
        return;
    };
    let (_guard, dir) = temporary();
    scene(&dir);
    says(
        &dir,
        &[&["train", "scene", "--out", "run"][..], &QUICK].concat(),
    );
    for (file, rows) in [
        ("03-ntp-jump/ntp.mkv", 24),
        ("37-slow-camera/slow.mp4", 796),
        ("37-slow-camera/slow.mkv", 796),
        ("37b-motion-bursts/bursts.mp4", 120),
    ] {
        let csv = stdout(msn(&dir).args(["score", "run", reports.join(file).as_str()]));
        assert_eq!(csv.lines().count(), 1 + rows, "{file}");
    }
}

/// A cut in time is one for `msn score` as for `msn eval`: a minute between two frames.
#[test]
fn no_clip_crosses_a_cut_in_time() {
    let (_guard, dir) = temporary();
    scene(&dir);
    let gap = std::process::Command::new("ffmpeg")
        .current_dir(&dir)
        .args(["-v", "error", "-i", "scene/test/01.mp4"])
        .args(["-vf", "setpts=N/10/TB+gte(N\\,50)*60/TB", "-c:v", "mpeg4"])
        .args(["-fps_mode", "passthrough", "gap.mp4"])
        .output();
    if !gap.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no ffmpeg program that makes a gap");
        return;
    }
    says(
        &dir,
        &[&["train", "scene", "--out", "run"][..], &QUICK].concat(),
    );
    let csv = stdout(msn(&dir).args(["score", "run", "gap.mp4"]));
    let frames: Vec<usize> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(1).unwrap().parse().unwrap())
        .collect();
    assert_eq!(frames, (4..50).chain(54..100).collect::<Vec<_>>());
    // The same in a data set.
    std::fs::rename(dir.join("gap.mp4"), dir.join("scene/test/01.mp4")).unwrap();
    std::fs::remove_file(dir.join("scene/events.csv")).unwrap();
    says(&dir, &["eval", "run", "scene", "--out", "eval"]);
    let set = std::fs::read_to_string(dir.join("eval/scores/01.mp4.csv")).unwrap();
    assert_eq!(set.lines().count(), 1 + 92);
}
