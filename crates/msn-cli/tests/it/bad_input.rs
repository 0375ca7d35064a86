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
    assert!(String::from_utf8_lossy(&output.stderr).contains("flex, ndarray, cuda:0 or wgpu"));
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
