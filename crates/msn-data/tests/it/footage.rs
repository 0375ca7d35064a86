//! Folders as cameras, recorders and people leave them.

use camino::Utf8Path;
use msn_data::{DataSet, Extent, OpenOptions, Reason, Severity, check, find_sources};
use msn_video::{frame_files, frame_listing};

use crate::real::data;
use crate::tiny::Tiny;

const MP4: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0";

fn open(root: &Utf8Path) -> DataSet {
    DataSet::open(root, &OpenOptions::default()).unwrap()
}

fn names(set: &DataSet) -> Vec<&str> {
    set.train.iter().map(|video| video.name.as_str()).collect()
}

fn has(all: &[String], parts: &[&str]) -> bool {
    all.iter()
        .any(|text| parts.iter().all(|part| text.contains(part)))
}

/// Copies a folder of reports into a data set.
fn copied(from: &Utf8Path, tiny: &Tiny, to: &str) {
    for entry in from.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        let to = format!("{to}/{}", path.file_name().unwrap());
        match path.is_dir() {
            true => copied(&path, tiny, &to),
            false => {
                tiny.write(&to, std::fs::read(&path).unwrap());
            }
        }
    }
}

#[cfg(feature = "ffmpeg")]
#[test]
fn pictures_beside_video_files_hide_none_of_them() {
    let Some(root) = data("reports/01-mixed-folder-ftp") else {
        return;
    };
    let set = open(&root);
    assert_eq!(set.train.len(), 6);
    assert!(
        has(
            &set.warnings,
            &["cam1/20240501100001.jpg and 5 more", "snapshots"]
        ),
        "{:?}",
        set.warnings
    );
    let check = check(&root, &OpenOptions::default()).unwrap();
    assert_eq!((check.train.videos, check.train.frames), (6, 720));
    assert!(check.to_text().contains("snapshots"));
    let argument = [root.join("train").to_string()];
    assert_eq!(find_sources(&argument).unwrap().videos.len(), 6);
}

#[test]
fn links_of_recorders_count_once() {
    let Some(root) = data("reports/02-motion-links") else {
        return;
    };
    let tiny = Tiny::new("set");
    copied(&root, &tiny, "train");
    let expected = ["camera1/2024-05-01", "camera2/2024-05-01"];
    let twelve = |set: &DataSet| {
        for video in &set.train {
            assert_eq!(
                frame_files(&video.source).unwrap().len(),
                12,
                "{}",
                video.name
            );
        }
    };
    // The links came as texts.
    let set = open(&tiny.root);
    assert_eq!(names(&set), expected);
    twelve(&set);
    assert!(
        has(&set.warnings, &["lastsnap.jpg and 1 more", "a link to"]),
        "{:?}",
        set.warnings
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let at = |path: &str| tiny.root.join("train").join(path);
        for (link, to) in [
            ("camera1/2024-05-01/lastsnap.jpg", "12-28-12.jpg"),
            ("camera2/lastsnap.jpg", "2024-05-01/12-28-12.jpg"),
        ] {
            std::fs::remove_file(at(link)).unwrap();
            symlink(to, at(link)).unwrap();
        }
        symlink("camera2", at("latest")).unwrap();
        symlink(".", at("here")).unwrap();
        symlink("../train/camera1", at("camera2/up")).unwrap();
        let set = open(&tiny.root);
        assert_eq!(names(&set), expected);
        twelve(&set);
        let passed = |path: &str| {
            let mut all = set.passed_over.iter();
            all.any(|p| p.path == at(path) && !matches!(p.reason, Reason::NoFootage))
        };
        for path in [
            "latest",
            "here",
            "camera2/up",
            "camera1/2024-05-01/lastsnap.jpg",
            "camera2",
        ] {
            assert!(passed(path), "{path}: {:?}", set.passed_over);
        }
        let argument = [tiny.root.join("train").to_string()];
        assert_eq!(find_sources(&argument).unwrap().videos.len(), 2);
    }
}

#[cfg(unix)]
#[test]
fn what_is_tested_is_not_trained_on() {
    use std::os::unix::fs::symlink;
    let tiny = Tiny::new("set");
    tiny.write("train/a.mp4", MP4)
        .write("test/b.mp4", MP4)
        .write("train/d/c.mp4", MP4);
    symlink("../train/a.mp4", tiny.root.join("test/a.mp4")).unwrap();
    symlink("..", tiny.root.join("train/up")).unwrap();
    std::fs::hard_link(
        tiny.root.join("test/b.mp4"),
        tiny.root.join("train/same.mp4"),
    )
    .unwrap();
    let set = open(&tiny.root);
    assert_eq!(names(&set), ["a.mp4", "d/c.mp4"]);
    assert_eq!(set.test.len(), 1);
    let passed: Vec<_> = set.passed_over.iter().map(ToString::to_string).collect();
    for file in ["test/a.mp4 ", "train/same.mp4 ", "train/up/test/b.mp4 "] {
        assert!(has(&passed, &[file, "the same file as"]), "{passed:?}");
    }
    assert!(
        has(&set.warnings, &["the same file as", "more are passed over"]),
        "{:?}",
        set.warnings
    );
}

#[test]
fn names_that_are_clocks_are_in_order() {
    let Some(root) = data("reports/08-float-names") else {
        return;
    };
    let bytes = |folder: &str| -> Vec<Vec<u8>> {
        let files = frame_files(&root.join(folder)).unwrap();
        files
            .iter()
            .map(|file| std::fs::read(file).unwrap())
            .collect()
    };
    assert!(bytes("frames") == bytes("same-frames-numbered"));
    let notes = frame_listing(&root.join("frames")).unwrap().notes();
    assert!(has(&notes, &["clocks with decimals"]), "{notes:?}");
    assert!(!has(&notes, &["missing"]), "{notes:?}");
}

#[test]
fn tables_of_windows_are_read() {
    let Some(root) = data("reports/10-utf16") else {
        return;
    };
    let tiny = Tiny::new("set");
    tiny.write("test/01.mp4", MP4).write(
        "events.csv",
        std::fs::read(root.join("events.csv")).unwrap(),
    );
    let set = open(&tiny.root);
    let labels = set.test[0].labels.as_ref().unwrap();
    let msn_data::Annotation::Spans(spans) = &labels.annotation else {
        panic!()
    };
    assert_eq!(spans[0].extent, Extent::Seconds(2.35..6.35));
    // An array under the name of a table says what it is.
    tiny.write(
        "events.csv",
        std::fs::read(root.join("scores.npy")).unwrap(),
    );
    let error = tiny.open().unwrap_err().to_string();
    assert!(
        error.contains("NumPy") && error.contains("events.csv"),
        "{error}"
    );
}

#[test]
fn the_line_of_a_file_of_windows_is_named() {
    let Some(root) = data("reports/21-crlf-lines") else {
        return;
    };
    let tiny = Tiny::new("set");
    tiny.write("test/01.mp4", MP4).write(
        "events.csv",
        std::fs::read(root.join("events.csv")).unwrap(),
    );
    let error = tiny.open().unwrap_err().to_string();
    assert!(error.contains("line 4: `x`"), "{error}");
}

#[test]
fn labels_that_are_there_are_read_or_named() {
    let Some(root) = data("reports/11-labels-not-read") else {
        return;
    };
    let tiny = Tiny::new("set");
    for name in ["Temporal_Anomaly_Annotation.txt", "gt_label.json"] {
        tiny.write(name, std::fs::read(root.join(name)).unwrap());
    }
    tiny.write("test/01.mp4", MP4)
        .write("test/02.mp4", MP4)
        .write("test/events.csv", "video,start,end\n01.mp4,1,2\n")
        .write("Events.csv", "video,start,end\n01.mp4,1,2\n")
        .write("readme.txt", "");
    let set = open(&tiny.root);
    let spans = |index: usize| set.test[index].labels.as_ref().unwrap().anomalous();
    assert_eq!((spans(0), spans(1)), (Some(41), Some(0)));
    let labels = set.labels.as_ref().unwrap();
    assert!(labels.paths[0].ends_with("Temporal_Anomaly_Annotation.txt"));
    for (file, advice) in [
        ("/gt_label.json", "events.csv in the data set's folder"),
        ("/Events.csv", "small letters"),
        ("test/events.csv", "move it into"),
    ] {
        assert!(
            has(&set.warnings, &[file, "not read", advice]),
            "{file}: {:?}",
            set.warnings
        );
    }
    assert!(!has(&set.warnings, &["readme"]), "{:?}", set.warnings);
    // Without any that are read, too; and by name, from anywhere.
    std::fs::remove_file(tiny.root.join("Temporal_Anomaly_Annotation.txt")).unwrap();
    let set = open(&tiny.root);
    assert!(set.labels.is_none());
    assert!(has(&set.warnings, &["gt_label.json"]), "{:?}", set.warnings);
    let options = OpenOptions {
        labels: Some(root.join("Temporal_Anomaly_Annotation.txt")),
        ..OpenOptions::default()
    };
    let set = DataSet::open(&tiny.root, &options).unwrap();
    assert_eq!(set.labels.unwrap().anomalous, Some(41));
}

#[cfg(feature = "ffmpeg")]
#[test]
fn content_decides_not_the_ending() {
    let Some(root) = data("reports/22-unknown-ending") else {
        return;
    };
    assert_eq!(names(&open(&root)), ["a.mp4", "b.dav", "c.qt"]);
    let tiny = Tiny::new("set");
    let video = std::fs::read(root.join("train/b.dav")).unwrap();
    for name in ["01", "02.bin", "03.recording", "04.mp4.part"] {
        tiny.write(&format!("train/{name}"), &video);
    }
    tiny.write("train/notes.rec", "nothing to see");
    let set = open(&tiny.root);
    assert_eq!(names(&set), ["01", "02.bin", "03.recording"]);
    assert!(
        has(&set.warnings, &["04.mp4.part", "unfinished"]),
        "{:?}",
        set.warnings
    );
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert!(check.is_usable() && check.train.frames > 0);
    assert!(
        check
            .to_text()
            .contains("notes.rec is passed over: neither a video nor a picture")
    );
}

#[test]
fn two_kinds_of_pictures_in_one_folder_are_noted() {
    let Some(root) = data("reports/41-two-kinds") else {
        return;
    };
    let notes = frame_listing(&root.join("1042")).unwrap().notes();
    assert!(
        has(&notes, &["2 kinds", "12 moments count 2 times"]),
        "{notes:?}"
    );
    let tiny = Tiny::new("set");
    copied(&root.join("1042"), &tiny, "train/1042");
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert!(
        check.to_text().contains("12 moments count 2 times"),
        "{}",
        check.to_text()
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_no_utf8_stops_nothing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let tiny = Tiny::new("set");
    tiny.frames("train/a", 0, 6, "png")
        .frames("test/b", 0, 6, "png");
    let odd = OsStr::from_bytes(b"picture \xfc.jpg");
    for folder in [".", "train", "train/a", "test"] {
        std::fs::write(tiny.root.join(folder).as_std_path().join(odd), "x").unwrap();
    }
    std::fs::create_dir(
        tiny.root
            .join("train")
            .as_std_path()
            .join(OsStr::from_bytes(b"\xff")),
    )
    .unwrap();
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert!(check.is_usable(), "{:?}", check.problems);
    assert_eq!((check.train.frames, check.test.frames), (6, 6));
    let odd = |p: &&msn_data::PassedOver| p.reason == Reason::NotUtf8;
    assert_eq!(check.passed_over.iter().filter(odd).count(), 5);
    assert!(check.to_text().contains("not UTF-8"));
    let argument = [tiny.root.join("train").to_string()];
    assert_eq!(find_sources(&argument).unwrap().videos.len(), 1);
}

#[test]
fn names_too_long_for_outputs_are_seen() {
    for (length, fits) in [(243, true), (244, false), (254, false)] {
        let tiny = Tiny::new("set");
        tiny.frames("train/a", 0, 6, "png").frames(
            &format!("test/{}", "n".repeat(length)),
            0,
            6,
            "png",
        );
        let check = check(&tiny.root, &OpenOptions::default()).unwrap();
        assert_eq!(check.is_usable(), fits, "{length}");
        let error = |p: &&msn_data::Problem| p.severity == Severity::Error;
        if let Some(problem) = check.problems.iter().find(error) {
            assert!(
                problem.reason.contains("shorten it to 243 bytes"),
                "{problem:?}"
            );
        }
    }
}
