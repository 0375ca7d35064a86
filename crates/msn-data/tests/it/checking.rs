//! `check` and `split`.

use msn_data::{OpenOptions, Severity, SplitManifest, check, load_all};

use crate::tiny::{SMALL, Tiny};

fn ped2_like() -> Tiny {
    let tiny = Tiny::new("ped2");
    for clip in 1..=5 {
        tiny.frames(&format!("training/frames/{clip:02}"), 0, 6, "jpg");
    }
    tiny.frames("testing/frames/01", 0, 4, "jpg")
        .npy("testing/test_frame_mask/01.npy", &[1, 1, 1, 1]);
    tiny
}

#[test]
fn a_check_counts_and_compares() {
    let tiny = ped2_like();
    tiny.masks("testing/masks/01", 0, &[true, true, true, false], "png");
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert_eq!((check.train.videos, check.train.frames), (5, 30));
    assert_eq!((check.test.videos, check.test.frames), (1, 4));
    assert_eq!(
        (check.train.sizes[0].width, check.train.sizes[0].height),
        (12, 10)
    );
    let labels = check.labels.as_ref().unwrap();
    assert_eq!((labels.anomalous, labels.spans), (4, 1));
    assert_eq!(labels.anomalous_throughout, ["01"]);
    assert!(check.is_usable());
    let text = check.to_text();
    for part in [
        "layout `frames`, UCSD Ped2",
        "train: 5 videos, 30 frames (6 to 6 each), 12 x 10, no rate",
        "training frames: 30 (NOT as known: 2,550)",
        "without a normal frame: 01",
        "the masks mark 3 of 4 frames of `01`, the labels 4 of 4",
        "not used: ",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    let json = serde_json::to_value(&check).unwrap();
    assert_eq!(json["layout"], "frames");
    assert_eq!(json["problems"][0]["severity"], "warning");
}

#[test]
fn a_check_lists_every_problem() {
    let tiny = ped2_like();
    tiny.write("training/frames/01/003.jpg", "damaged")
        .npy("testing/test_frame_mask/01.npy", &[1, 1])
        .write("training/frames/03/.DS_Store", "");
    std::fs::remove_file(tiny.root.join("training/frames/02/002.jpg")).unwrap();
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert!(!check.is_usable());
    let problems: Vec<String> = check
        .problems
        .iter()
        .map(|p| {
            format!(
                "{:?} {}: {}",
                p.severity,
                p.path.as_deref().map_or("", |p| p.as_str()),
                p.reason
            )
        })
        .collect();
    let has = |parts: &[&str]| {
        problems
            .iter()
            .any(|p| parts.iter().all(|part| p.contains(part)))
    };
    // One of six frames is over 5 %.
    assert!(
        has(&["Error", "frames/01", "1 of 6 frames"]),
        "{problems:#?}"
    );
    assert!(
        has(&["Error", "testing/frames/01", "have 2 frames"]),
        "{problems:#?}"
    );
    assert!(
        has(&["Warning", "frames/02", "frame 3 follows frame 1"]),
        "{problems:#?}"
    );
    assert_eq!(check.problems[0].severity, Severity::Error);
}

#[test]
fn labels_that_can_not_be_read_are_a_problem_not_the_end() {
    let tiny = ped2_like();
    tiny.write("testing/test_frame_mask/01.npy", "no array");
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert!(check.labels.is_none() && !check.is_usable());
    assert!(
        check.problems[0].reason.contains("01.npy"),
        "{:?}",
        check.problems
    );
}

#[test]
fn a_split_can_be_written_and_read() {
    let tiny = ped2_like();
    let set = tiny.open().unwrap();
    let manifest = SplitManifest::draw(&set, 7);
    assert_eq!((manifest.train.len(), manifest.calibration.len()), (4, 1));
    let path = tiny.root.join("split.toml");
    manifest.write(&path).unwrap();
    assert_eq!(SplitManifest::read(&path).unwrap(), manifest);
    // Version 1 called the calibration split by another name.
    let text = std::fs::read_to_string(&path).unwrap();
    let old = text
        .replace("version = 2", "version = 1")
        .replace("calibration =", "held =");
    assert_ne!(old, text);
    std::fs::write(tiny.root.join("old.toml"), old).unwrap();
    assert_eq!(
        SplitManifest::read(&tiny.root.join("old.toml")).unwrap(),
        manifest
    );
    let newer = text.replace("version = 2", "version = 3");
    let error = SplitManifest::parse(&newer, &path).unwrap_err().to_string();
    assert!(error.contains("its version is 3"), "{error}");
    // The same videos as a training draws.
    let videos = load_all(&set.train, &SMALL).unwrap();
    let parts = msn_data::calibration_split(&videos, 4, 1, 7);
    assert_eq!(manifest.apply(&videos, 4, 1).unwrap(), parts);
    // A video that came or went is named.
    let error = manifest.apply(&videos[1..], 4, 1).unwrap_err().to_string();
    assert!(error.contains("`01` is in the split"), "{error}");
    let mut short = manifest.clone();
    short.train.retain(|name| name != "05");
    short.calibration.retain(|name| name != "05");
    let error = short.apply(&videos, 4, 1).unwrap_err().to_string();
    assert!(error.contains("`05`"), "{error}");
    let error = manifest
        .write(&tiny.root.join("no/such/split.toml"))
        .unwrap_err();
    assert!(error.to_string().contains("can't write"), "{error}");
}

#[test]
fn few_videos_are_split_inside() {
    let tiny = Tiny::new("set");
    tiny.frames("train/a", 0, 40, "png");
    let set = tiny.open().unwrap();
    let manifest = SplitManifest::draw(&set, 1);
    assert!(!manifest.whole_videos && manifest.calibration.is_empty());
    let videos = load_all(&set.train, &SMALL).unwrap();
    let parts = manifest.apply(&videos, 4, 1).unwrap();
    assert_eq!(parts, msn_data::calibration_split(&videos, 4, 1, 1));
    assert_eq!(parts.calibration[0].frames, 34..40);
}
