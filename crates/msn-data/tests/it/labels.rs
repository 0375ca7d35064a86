//! Every format of labels, which is used, and what does not fit.

use msn_data::{DataError, LoadedVideo, read_frame_labels};

use crate::tiny::{SMALL, Tiny, npy, resolved, sample};

const EXPECTED: [&[u8]; 2] = [&[0, 1, 1, 0], &[1, 0, 1]];

/// Two test videos of four and three frames, without labels.
fn two(name: &str) -> Tiny {
    let tiny = Tiny::new(name);
    tiny.frames("training/frames/01", 0, 5, "png")
        .frames("testing/frames/01", 0, 4, "png")
        .frames("testing/frames/02", 0, 3, "png");
    tiny
}

#[test]
fn no_labels_are_no_error() {
    let set = two("set").open().unwrap();
    assert!(set.labels.is_none() && set.test[0].labels.is_none());
}

#[test]
fn every_file_of_all_videos_is_read() {
    for (file, path) in [
        ("gt_v6.mat", "set.mat"),
        ("gt_v7.mat", "whatever.mat"),
        ("flat.npy", "frame_labels_set.npy"),
        ("objects.npy", "testing/frame_labels.npy"),
        ("lists.npy", "frame_labels_set.npy"),
        ("stored.npz", "gt.npz"),
        ("deflated.npz", "testing/gt.npz"),
        ("one.npz", "gt.npz"),
    ] {
        let tiny = two("set");
        tiny.copy(file, path);
        let set = tiny.open().unwrap();
        assert_eq!(resolved(&set), EXPECTED, "{file}");
        let labels = set.labels.as_ref().unwrap();
        assert_eq!(labels.anomalous, Some(4), "{file}");
        assert!(labels.paths[0].ends_with(path), "{file}");
        // And where it lies does not matter if it is named.
        let other = two("other");
        other.copy(file, &format!("elsewhere/{path}"));
        let set = other.open_with(&format!("elsewhere/{path}")).unwrap();
        assert_eq!(resolved(&set), EXPECTED, "{file}");
    }
}

#[test]
fn labels_beside_the_folder_are_found_by_its_name() {
    for (file, path) in [
        ("gt_v7.mat", "../set.mat"),
        ("flat.npy", "../frame_labels_set.npy"),
    ] {
        let tiny = two("set");
        tiny.copy(file, path);
        assert_eq!(resolved(&tiny.open().unwrap()), EXPECTED);
    }
}

#[test]
fn rows_for_videos_of_one_length_are_read() {
    let tiny = Tiny::new("set");
    tiny.frames("testing/frames/01", 0, 3, "png")
        .frames("testing/frames/02", 0, 3, "png")
        .write("frame_labels_set.npy", npy(&[2, 3], &[0u8, 1, 0, 1, 1, 0]));
    assert_eq!(resolved(&tiny.open().unwrap()), [[0, 1, 0], [1, 1, 0]]);
}

#[test]
fn folders_with_a_file_for_each_video_are_read() {
    let tiny = two("set");
    tiny.copy("1_label.mat", "masks_mat/1_label.mat")
        .copy("2_label.mat", "masks_mat/2_label.mat")
        .npy("flags/1.npy", &[0, 1, 1, 0])
        .npy("flags/2.npy", &[1, 0, 1])
        .masks("pictures/01", 0, &[false, true, true, false], "png")
        .masks("pictures/02", 0, &[true, false, true], "bmp")
        .write("boxes/01.txt", "0,1,2,2,5,5\n0,2,2,2,5,5\n")
        .write("boxes/02.txt", "0,0,2,2,5,5\n1,2,2,2,5,5\n");
    for folder in ["masks_mat", "flags", "pictures", "boxes"] {
        let set = tiny.open_with(folder).unwrap();
        assert_eq!(resolved(&set), EXPECTED, "{folder}");
    }
}

#[test]
fn the_first_by_precedence_is_used_and_the_others_are_listed() {
    let tiny = two("set");
    tiny.npy("testing/test_frame_mask/01.npy", &[0, 1, 1, 0])
        .npy("testing/test_frame_mask/02.npy", &[1, 0, 1])
        .copy("gt_v7.mat", "set.mat")
        .copy("gt_rows.mat", "odd.mat")
        .npy("frame_labels_set.npy", &[0, 1, 1, 0, 1, 1, 1])
        .masks("testing/masks/01", 0, &[false; 4], "png")
        .masks("testing/masks/02", 0, &[false; 3], "png");
    let set = tiny.open().unwrap();
    assert_eq!(resolved(&set), EXPECTED);
    let labels = set.labels.unwrap();
    assert!(labels.paths[0].ends_with("testing/test_frame_mask"));
    let unused: Vec<_> = labels
        .unused
        .iter()
        .map(|p| p.file_name().unwrap())
        .collect();
    assert_eq!(
        unused,
        ["set.mat", "frame_labels_set.npy", "odd.mat", "masks"]
    );
    let warnings = set.warnings.join("\n");
    assert!(
        warnings.contains("(4 anomalous frames) is used")
            && warnings.contains("frame_labels_set.npy has 5; they differ in 02"),
        "{warnings}"
    );
    assert!(warnings.contains("odd.mat"), "{warnings}");
    assert!(!warnings.contains("set.mat has"), "{warnings}");

    std::fs::remove_dir_all(tiny.root.join("testing/test_frame_mask")).unwrap();
    let labels = tiny.open().unwrap().labels.unwrap();
    assert!(labels.paths[0].ends_with("set/set.mat"));
}

#[test]
fn labels_that_are_named_come_first_and_the_others_are_listed() {
    let tiny = two("set");
    tiny.npy("testing/test_frame_mask/01.npy", &[0, 0, 0, 0])
        .npy("testing/test_frame_mask/02.npy", &[1, 0, 1])
        .copy("gt_v7.mat", "set.mat");
    let set = tiny.open_with("./set.mat").unwrap();
    assert_eq!(resolved(&set), EXPECTED);
    let unused = set.labels.unwrap().unused;
    assert_eq!(unused.len(), 1);
    assert!(unused[0].ends_with("test_frame_mask"), "{unused:?}");
    assert!(
        set.warnings.join("").contains("has 2; they differ in 01"),
        "{:?}",
        set.warnings
    );
}

#[test]
fn the_hash_is_that_of_what_is_used() {
    let hash = |values: &[u8], stray: &[u8]| {
        let tiny = two("set");
        tiny.npy("testing/test_frame_mask/01.npy", values)
            .npy("testing/test_frame_mask/02.npy", &[1, 0, 1])
            .write("gt.npz", stray);
        tiny.open().unwrap().labels.unwrap().hash
    };
    let first = hash(&[0, 1, 1, 0], b"a");
    assert_eq!(first.len(), 16);
    assert_eq!(first, hash(&[0, 1, 1, 0], b"b"));
    assert_ne!(first, hash(&[0, 1, 1, 1], b"a"));
}

/// The error of opening or else of fitting the labels.
fn failure(tiny: &Tiny) -> DataError {
    let set = match tiny.open() {
        Ok(set) => set,
        Err(error) => return error,
    };
    set.test
        .iter()
        .find_map(|video| {
            let loaded = LoadedVideo::load(video, &SMALL).unwrap();
            video.labels.as_ref().unwrap().resolve(&loaded).err()
        })
        .expect("an error was expected")
}

/// Checks that an error names all parts.
fn says(error: &DataError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn labels_of_another_length_name_both_files_and_both_counts() {
    let tiny = two("set");
    tiny.npy("testing/test_frame_mask/01.npy", &[0, 1, 1])
        .npy("testing/test_frame_mask/02.npy", &[1, 0, 1]);
    says(
        &failure(&tiny),
        &[
            "test_frame_mask/01.npy",
            "3 frames",
            "testing/frames/01",
            "has 4",
        ],
    );
    let tiny = two("set");
    tiny.npy("frame_labels_set.npy", &[0, 1, 1, 0, 1, 0]);
    says(
        &failure(&tiny),
        &[
            "frame_labels_set.npy",
            "6 frames",
            "testing/frames",
            "has 7",
        ],
    );
    let tiny = two("set");
    tiny.masks("testing/masks/01", 0, &[true; 5], "png").masks(
        "testing/masks/02",
        0,
        &[true; 3],
        "png",
    );
    says(
        &failure(&tiny),
        &["testing/masks/01", "5 frames", "testing/frames/01", "has 4"],
    );
}

#[test]
fn spans_outside_the_video_name_both() {
    let tiny = Tiny::new("set");
    tiny.frames("testing/frames/01", 0, 2, "png")
        .frames("testing/frames/02", 0, 3, "png")
        .copy("gt_v6.mat", "set.mat");
    says(
        &failure(&tiny),
        &[
            "set.mat",
            "frames 1 to 3",
            "testing/frames/01",
            "has 2 frames",
        ],
    );
    let tiny = Tiny::new("set");
    tiny.frames("test/01", 0, 5, "png")
        .write(
            "dataset.toml",
            "version = 1\nname = \"set\"\nrate_hz = 10.0\n",
        )
        .write("events.csv", "video,start,end\n01,0.2,0.9\n");
    says(
        &failure(&tiny),
        &["events.csv", "seconds 0.2 to 0.9", "test/01", "ends at 0.5"],
    );
}

#[test]
fn labels_for_other_videos_name_both() {
    let tiny = two("set");
    tiny.npy("testing/test_frame_mask/01.npy", &[0, 1, 1, 0]);
    says(&failure(&tiny), &["testing/frames/02", "test_frame_mask"]);
    let tiny = two("set");
    for name in ["01", "02", "03"] {
        tiny.npy(
            &format!("testing/test_frame_mask/{name}.npy"),
            &[0, 1, 1, 0],
        );
    }
    says(
        &failure(&tiny),
        &["test_frame_mask", "`03`", "testing/frames"],
    );
    let tiny = Tiny::new("set");
    tiny.frames("testing/frames/01", 0, 4, "png")
        .copy("gt_v6.mat", "set.mat");
    says(
        &failure(&tiny),
        &["set.mat", "2 videos", "testing/frames", "holds 1"],
    );
    let tiny = Tiny::new("set");
    tiny.frames("test/01", 0, 5, "png")
        .write("events.csv", "video,start,end\n02,0,1\n");
    says(&failure(&tiny), &["events.csv", "`02 (line 2)`", "test"]);
}

#[test]
fn unknown_variants_say_what_was_expected() {
    for (file, path, part) in [
        ("gt_rows.mat", "set.mat", "2 x n was expected"),
        ("1_label.mat", "set.mat", "a cell `gt` was expected"),
        (
            "indices.npy",
            "frame_labels_set.npy",
            "other numbers than 0 and 1",
        ),
    ] {
        let tiny = two("set");
        tiny.copy(file, path);
        says(&failure(&tiny), &[path, part]);
    }
    let tiny = two("set");
    tiny.write("labels/readme.md", "");
    says(&tiny.open_with("labels").unwrap_err(), &["labels", ".npy"]);
    says(
        &tiny.open_with("labels/readme.md").unwrap_err(),
        &["readme.md", ".npz"],
    );
    says(
        &tiny.open_with("nothing").unwrap_err(),
        &["nothing", "does not exist"],
    );
}

#[test]
fn files_that_are_no_labels_are_no_error() {
    let tiny = two("set");
    tiny.write("plot.m", "plot(1:3)\n")
        .copy("1_label.mat", "features.mat")
        .write("testing/notes.npy", "")
        .write("data.npz", "");
    let set = tiny.open().unwrap();
    assert!(
        set.labels.is_none() && set.warnings.is_empty(),
        "{:?}",
        set.warnings
    );
    // A damaged MAT file may have been one of labels.
    let tiny = two("set");
    tiny.write("other.mat", "damaged");
    says(&failure(&tiny), &["other.mat", "too short for a MAT file"]);
}

#[test]
fn seconds_become_frames_by_time_or_by_rate() {
    let tiny = Tiny::new("set");
    tiny.frames("test/01", 0, 5, "png").write(
        "events.csv",
        "video,start,end,kind\n01,0.1,0.3,fall\n01,0.4,0.5,run\n",
    );
    says(
        &failure(&tiny),
        &["events.csv", "has no times and no rate", "start_frame"],
    );
    tiny.write(
        "dataset.toml",
        "version = 1\nname = \"set\"\nrate_hz = 10.0\n",
    );
    let set = tiny.open().unwrap();
    assert_eq!(resolved(&set), [[0, 1, 1, 0, 1]]);
    let mut loaded = LoadedVideo::load(&set.test[0], &SMALL).unwrap();
    let labels = set.test[0].labels.as_ref().unwrap();
    let spans = labels.resolve(&loaded).unwrap().spans;
    assert_eq!(
        (spans[0].start, spans[0].end, spans[0].kind.as_deref()),
        (1, 3, Some("fall"))
    );
    // Times of the source win: frames at 0, 0.25, 0.3, 0.35, 0.45 seconds.
    loaded.seconds = [0.0, 0.25, 0.3, 0.35, 0.45].map(Some).to_vec();
    let anomalous = labels.resolve(&loaded).unwrap().anomalous;
    assert_eq!(anomalous, [false, true, false, false, true]);
}

#[test]
fn spans_that_overlap_stay_apart() {
    let tiny = Tiny::new("set");
    tiny.frames("test/01", 0, 6, "png").write(
        "events.csv",
        "video,start_frame,end_frame,kind\n01,2,5,b\n01,1,3,a\n",
    );
    let set = tiny.open().unwrap();
    assert_eq!(set.labels.as_ref().unwrap().anomalous, Some(4));
    let loaded = LoadedVideo::load(&set.test[0], &SMALL).unwrap();
    let labels = set.test[0]
        .labels
        .as_ref()
        .unwrap()
        .resolve(&loaded)
        .unwrap();
    assert_eq!(labels.count(), 4);
    let kinds: Vec<_> = labels
        .spans
        .iter()
        .map(|s| s.kind.as_deref().unwrap())
        .collect();
    assert_eq!(kinds, ["a", "b"]);
}

#[test]
fn labels_are_read_without_videos() {
    let read = |path: &camino::Utf8Path, videos: &[(&str, usize)]| {
        let labels = read_frame_labels(path, videos).map_err(|e| e.to_string())?;
        let digits = |video: &Vec<bool>| video.iter().map(|&a| u8::from(a)).collect();
        Ok::<Vec<Vec<u8>>, String>(labels.iter().map(digits).collect())
    };
    let videos = [("01", 4), ("02", 3)];
    for file in [
        "flat.npy",
        "objects.npy",
        "stored.npz",
        "one.npz",
        "gt_v7.mat",
    ] {
        assert_eq!(read(&sample(file), &videos).unwrap(), EXPECTED, "{file}");
    }
    let tiny = Tiny::new("labels");
    tiny.npy("flags/1.npy", &[0, 1, 1, 0])
        .npy("flags/2.npy", &[1, 0, 1])
        .write(
            "events.csv",
            "video,start_frame,end_frame\n01,1,3\n02,0,1\n02,2,3\n",
        );
    for path in ["flags", "events.csv"] {
        assert_eq!(
            read(&tiny.root.join(path), &videos).unwrap(),
            EXPECTED,
            "{path}"
        );
    }
    let error = read(&sample("flat.npy"), &[("01", 4), ("02", 4)]).unwrap_err();
    assert!(
        error.contains("flat.npy have 7 frames") && error.contains("has 8"),
        "{error}"
    );
    let error = read(&tiny.root.join("flags"), &[("01", 4), ("03", 3)]).unwrap_err();
    assert!(error.contains("`2`"), "{error}");
}
