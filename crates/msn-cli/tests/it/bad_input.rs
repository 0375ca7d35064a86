//! Every mistake gets one sentence on stderr that names the place and a way out.

use camino::Utf8Path;

use crate::{msn, stdout, temporary};

/// Runs a command that must fail with `code` and one sentence that holds all of `parts`.
fn fails(dir: &Utf8Path, args: &[&str], code: i32, parts: &[&str]) {
    let output = msn(dir).args(args).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {errors}");
    let sentence = errors
        .lines()
        .rfind(|l| l.starts_with("error: "))
        .unwrap_or_else(|| panic!("{args:?}: {errors}"));
    for part in parts {
        assert!(errors.contains(part), "{args:?}: no `{part}` in {sentence}");
    }
    assert!(
        !errors.contains("panicked") && !errors.contains("internal"),
        "{errors}"
    );
}

/// A data set of grey frames in layout A; each entry of `clips` is a number of frames.
fn frames(dir: &Utf8Path, part: &str, clips: &[usize]) {
    for (i, &n) in clips.iter().enumerate() {
        let folder = dir.join(part).join("frames").join(format!("{:02}", i + 1));
        std::fs::create_dir_all(&folder).unwrap();
        for t in 0..n {
            let picture = image::GrayImage::from_fn(32, 32, |x, y| {
                image::Luma([(((x + 3 * t as u32) * 7 + y * (5 + i as u32)) % 200 + 20) as u8])
            });
            picture.save(folder.join(format!("{t:03}.jpg"))).unwrap();
        }
    }
}

fn labels(dir: &Utf8Path, video: &str, n: usize) {
    // A .npy header by hand: the shortest way to n bytes.
    let folder = dir.join("testing/test_frame_mask");
    std::fs::create_dir_all(&folder).unwrap();
    let mut header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n},), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend((0..n).map(|i| u8::from(i * 2 > n)));
    std::fs::write(folder.join(format!("{video}.npy")), bytes).unwrap();
}

const QUICK: [&str; 4] = ["width=4", "size=32", "epochs=1", "batch=2"];

#[test]
fn mistakes_in_the_command_exit_with_2() {
    let (_guard, dir) = temporary();
    frames(&dir, "training", &[6]);
    fails(
        &dir,
        &["train", ".", "--preset", "big"],
        2,
        &["no preset big", "tiny, cpu or paper"],
    );
    fails(
        &dir,
        &["train", ".", "epoch=2"],
        2,
        &["no setting epoch", "did you mean epochs"],
    );
    fails(
        &dir,
        &["train", ".", "epochs=two"],
        2,
        &["epochs=two", "whole number"],
    );
    fails(&dir, &["train", ".", "pools=4"], 2, &["pools", "1,2,3"]);
    fails(
        &dir,
        &["train", ".", "crop=72"],
        2,
        &["crop", "multiple of 8"],
    );
    let output = msn(&dir)
        .args(["train", ".", "--device", "tpu"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("flex, ndarray, cuda, cuda:0 or wgpu")
    );
    if cfg!(not(feature = "cuda")) {
        fails(
            &dir,
            &["train", ".", "--device", "cuda:0"],
            2,
            &["cuda:0 is not compiled in", "--features cuda"],
        );
    }
    assert!(!dir.join("runs").join("x").exists());
}

#[test]
fn folders_that_hold_nothing_are_named() {
    let (_guard, dir) = temporary();
    fails(&dir, &["train", "nowhere"], 1, &["nowhere"]);
    std::fs::create_dir(dir.join("empty")).unwrap();
    fails(&dir, &["train", "empty"], 1, &["empty"]);
    std::fs::create_dir_all(dir.join("bare/training/frames/01")).unwrap();
    fails(&dir, &["train", "bare"], 1, &["bare"]);
    assert!(!dir.join("runs").exists(), "nothing half-written stays");
}

#[test]
fn short_damaged_and_mislabelled_videos_are_named() {
    let (_guard, dir) = temporary();
    fn train<'a>(data: &'a str, out: &'a str) -> Vec<&'a str> {
        [&["train", data, "--out", out][..], &QUICK].concat()
    }

    frames(&dir.join("short"), "training", &[4, 3]);
    fails(&dir, &train("short", "r1"), 1, &["5 unbroken frames"]);

    // One damaged frame of thirty splits its clip; more than one in twenty is an error.
    frames(&dir.join("hurt"), "training", &[30, 30, 30, 30]);
    std::fs::write(
        dir.join("hurt/training/frames/01/010.jpg"),
        b"\xff\xd8 no picture",
    )
    .unwrap();
    let output = msn(&dir).args(train("hurt", "r2")).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("warning") && errors.contains("01"),
        "{errors}"
    );
    for t in 11..14 {
        std::fs::write(dir.join(format!("hurt/training/frames/01/{t:03}.jpg")), b"").unwrap();
    }
    fails(&dir, &train("hurt", "r3"), 1, &["hurt/training/frames/01"]);

    // Labels longer than their video name both files and both counts.
    frames(&dir.join("long"), "training", &[12, 12, 12, 12]);
    frames(&dir.join("long"), "testing", &[12]);
    labels(&dir.join("long"), "01", 15);
    fails(&dir, &train("long", "r4"), 1, &["01.npy", "15", "12"]);
    for out in ["r1", "r3", "r4"] {
        assert!(!dir.join(out).exists(), "{out}: nothing half-written stays");
    }
}

#[test]
fn weights_that_do_not_fit_are_named() {
    let (_guard, dir) = temporary();
    frames(&dir, "training", &[12, 12, 12, 12]);
    frames(&dir, "testing", &[12]);
    labels(&dir, "01", 12);
    stdout(msn(&dir).args(["train", ".", "--out", "run"]).args(QUICK));
    let file = dir.join("run/weights/last.safetensors");
    let good = std::fs::read(&file).unwrap();

    std::fs::write(dir.join("cut.safetensors"), &good[..good.len() / 2]).unwrap();
    fails(
        &dir,
        &["eval", "cut.safetensors", "."],
        1,
        &["cut.safetensors", "no usable safetensors"],
    );
    std::fs::write(dir.join("text.safetensors"), "hello").unwrap();
    fails(
        &dir,
        &["weights", "show", "text.safetensors"],
        1,
        &["text.safetensors"],
    );
    fails(
        &dir,
        &["eval", "run/weights", "."],
        1,
        &["run/weights", "no finished run"],
    );
    fails(
        &dir,
        &["eval", "missing.safetensors", "."],
        1,
        &["missing.safetensors"],
    );
    fails(
        &dir,
        &["verify", "run/weights/last.safetensors"],
        1,
        &["msn-parity-1"],
    );
    fails(&dir, &["score", "run", "nothing.mp4"], 1, &["nothing.mp4"]);
    let nonsense = ["--layout nonsense", "there are frames, ucsd"];
    let calibrate = |layout| ["weights", "calibrate", "run", ".", "--layout", layout];
    fails(&dir, &calibrate("nonsense"), 2, &nonsense);
    fails(
        &dir,
        &["data", "label", ".", "--layout", "nonsense"],
        2,
        &nonsense,
    );
    // A layout that was asked for and is not there is no list of sources.
    fails(&dir, &calibrate("ucsd"), 1, &["ucsd"]);
    stdout(msn(&dir).args(calibrate("frames")));
    fails(
        &dir,
        &["train", ".", "--out", "run"],
        1,
        &["run is not empty", "new folder"],
    );
}

#[test]
fn outputs_that_cannot_be_written_are_named() {
    let (_guard, dir) = temporary();
    frames(&dir, "training", &[12, 12, 12, 12]);
    std::fs::write(dir.join("file"), "in the way").unwrap();
    let mut args = vec!["train", ".", "--out", "file/run"];
    args.extend(QUICK);
    fails(&dir, &args, 1, &["file/run"]);
    assert_eq!(
        std::fs::read_to_string(dir.join("file")).unwrap(),
        "in the way"
    );
    // Nobody may write there, not even root.
    #[cfg(target_os = "linux")]
    {
        let mut args = vec!["train", ".", "--out", "/proc/run"];
        args.extend(QUICK);
        fails(&dir, &args, 1, &["can't write /proc/run"]);
        fails(
            &dir,
            &["data", "synth", "/proc/scene", "--seconds", "10"],
            1,
            &["/proc/scene"],
        );
    }
}

/// The table of bad input for video files: truncated and corrupt ones are used as far as they go,
/// others are refused by name.
#[test]
fn broken_videos_are_used_as_far_as_they_go_or_named() {
    let (_guard, dir) = temporary();
    let size = ["--train", "4", "--test", "1", "--seconds", "10"];
    stdout(msn(&dir).args(["data", "synth", "set"]).args(size));
    stdout(msn(&dir).args(["train", "set", "--out", "run"]).args(QUICK));
    let good = std::fs::read(dir.join("set/train/01.mp4")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    let at = |mark: &[u8]| good.windows(mark.len()).position(|w| w == mark).unwrap();

    // Its index lies at its end, so a cut-off mp4 gives nothing.
    write("cut.mp4", &good[..good.len() / 2]);
    write("empty.mp4", b"");
    write("text.mp4", b"these are words, and no video");
    let mut unknown = good.clone();
    for mark in [b"mp4v", b"esds"] {
        let codec = at(mark);
        unknown[codec..codec + 4].copy_from_slice(b"zzzz");
    }
    write("unknown.mp4", &unknown);
    let wav = [
        &b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x08\x00\x00"[..],
        &[0; 2048],
    ]
    .concat();
    write("sound.avi", &wav);
    for (name, reason) in [
        ("cut.mp4", "cut.mp4"),
        ("empty.mp4", "empty"),
        ("text.mp4", "text.mp4"),
        ("unknown.mp4", "cannot decode"),
        ("sound.avi", "sound.avi"),
    ] {
        fails(&dir, &["score", "run", name], 1, &[name, reason]);
    }
    if let Some(sound) = crate::shared("data/video/odd/audio_only_aac.mp4") {
        fails(
            &dir,
            &["score", "run", sound.as_str()],
            1,
            &["audio_only_aac.mp4", "video stream"],
        );
    }

    // Zeros in the middle of the pictures cost some of them; the rest is trained on and scored.
    let mut hurt = good.clone();
    let pictures = at(b"mdat") + 4;
    let middle = (pictures + good.len()) / 2;
    hurt[middle..middle + 400].fill(0);
    write("set/train/01.mp4", &hurt);
    for args in [
        &[&["train", "set", "--out", "run2"][..], &QUICK].concat()[..],
        &["score", "run", "set/train/01.mp4"],
    ] {
        let output = msn(&dir).args(args).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{args:?}: {errors}");
        assert!(
            errors
                .lines()
                .any(|l| l.starts_with("warning: ") && l.contains("01.mp4")),
            "{args:?}: {errors}"
        );
    }
    // A training video that gives nothing is an error before anything is written.
    write("set/train/01.mp4", &good[..good.len() / 2]);
    let args = [&["train", "set", "--out", "run3"][..], &QUICK].concat();
    fails(&dir, &args, 1, &["01.mp4"]);
    assert!(!dir.join("run3").exists());
}

#[test]
fn short_clips_odd_sizes_and_unreadable_files_are_named() {
    let (_guard, dir) = temporary();
    frames(&dir, "training", &[12, 3, 12, 12, 12]);
    image::GrayImage::new(48, 20)
        .save(dir.join("training/frames/03/005.jpg"))
        .unwrap();
    let args = [&["train", ".", "--out", "run"][..], &QUICK].concat();
    let output = msn(&dir).args(&args).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let warnings: Vec<&str> = errors
        .lines()
        .filter(|l| l.starts_with("warning: "))
        .collect();
    let one = |part: &str| warnings.iter().filter(|w| w.contains(part)).count() == 1;
    assert!(
        one("02 is skipped: a clip takes 5 unbroken frames, it has 3"),
        "{errors}"
    );
    assert!(one("frames differ in size"), "{errors}");

    // A file that the system does not let anybody read.
    #[cfg(target_os = "linux")]
    {
        frames(&dir, "testing", &[12]);
        std::fs::create_dir_all(dir.join("testing/test_frame_mask")).unwrap();
        let file = dir.join("testing/test_frame_mask/01.npy");
        std::os::unix::fs::symlink("/proc/self/mem", &file).unwrap();
        let args = [&["train", ".", "--out", "run2"][..], &QUICK].concat();
        fails(&dir, &args, 1, &["01.npy", "Input/output error"]);
        assert!(!dir.join("run2").exists());
    }
}

#[test]
fn a_long_name_is_refused_before_anything_is_trained() {
    let (_guard, dir) = temporary();
    frames(&dir, "training", &[40, 40]);
    frames(&dir, "testing", &[12]);
    let long = "n".repeat(254);
    std::fs::rename(
        dir.join("testing/frames/01"),
        dir.join("testing/frames").join(&long),
    )
    .unwrap();
    let train = [
        &["train", ".", "--out", "run", "--preset", "tiny"][..],
        &QUICK,
    ]
    .concat();
    fails(
        &dir,
        &train,
        1,
        &["254 bytes is too long", "shorten it to 243"],
    );
    assert!(!dir.join("run").exists());
    let check = msn(&dir).args(["data", "check", "."]).output().unwrap();
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stdout).contains("shorten it to 243 bytes"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_stray_name_that_is_no_utf8_does_not_stop_the_list_of_runs() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (_guard, dir) = temporary();
    std::fs::create_dir(dir.join("runs")).unwrap();
    let stray = dir
        .join("runs")
        .into_std_path_buf()
        .join(OsStr::from_bytes(b"\xff"));
    std::fs::write(stray, "").unwrap();
    assert!(stdout(msn(&dir).args(["runs", "runs"])).contains("no runs under runs"));
}
