//! Bad input, as the user sees it.

use msn_data::{DataError, DataSet, LoadedVideo, OpenOptions, load_all, short_videos};

use crate::tiny::{SMALL, Tiny};

#[test]
fn a_missing_folder_is_named() {
    let error = DataSet::open("/no/such/folder".as_ref(), &OpenOptions::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/no/such/folder does not exist: give the folder of a data set"
    );
}

#[test]
fn folders_that_are_no_data_set_say_what_they_are() {
    let tiny = Tiny::new("empty");
    let error = tiny.open().unwrap_err().to_string();
    assert!(
        error.contains("it is empty") && error.contains("train/"),
        "{error}"
    );

    let tiny = Tiny::new("frames");
    let error = tiny
        .frames(".", 0, 3, "png")
        .open()
        .unwrap_err()
        .to_string();
    assert!(error.contains("it is one video"), "{error}");

    let tiny = Tiny::new("notes");
    let error = tiny.write("notes.txt", "").open().unwrap_err().to_string();
    assert!(error.contains("training/frames/01/000.jpg"), "{error}");
    assert!(error.contains("--layout"), "{error}");

    let tiny = Tiny::new("UCSD_Anomaly_Dataset.v1p2");
    tiny.frames("UCSDped1/Train/Train001", 1, 3, "tif").frames(
        "UCSDped2/Train/Train001",
        1,
        3,
        "tif",
    );
    let error = tiny.open().unwrap_err().to_string();
    assert!(error.contains("UCSDped1, UCSDped2"), "{error}");
}

#[test]
fn splits_without_videos_are_named() {
    let tiny = Tiny::new("set");
    std::fs::create_dir_all(tiny.root.join("training/frames")).unwrap();
    let error = tiny.open().unwrap_err();
    assert!(matches!(&error, DataError::Empty { path, .. } if path.ends_with("training/frames")));

    let tiny = Tiny::new("set");
    tiny.frames("training/frames", 0, 3, "png");
    let error = tiny.open().unwrap_err().to_string();
    assert!(error.contains("lack a folder for each video"), "{error}");

    let tiny = Tiny::new("set");
    tiny.write("train/readme.txt", "");
    let error = tiny.open().unwrap_err().to_string();
    assert!(
        error.contains("train") && error.contains("video file or folder"),
        "{error}"
    );
}

#[test]
fn a_missing_part_is_a_warning() {
    let tiny = Tiny::new("set");
    let set = tiny.frames("train/a", 0, 3, "png").open().unwrap();
    assert!(set.test.is_empty());
    assert!(
        set.warnings[0].contains("no test videos"),
        "{:?}",
        set.warnings
    );
}

#[test]
fn a_damaged_frame_splits_its_video() {
    let tiny = Tiny::new("set");
    tiny.frames("train/a", 0, 40, "png")
        .write("train/a/010.png", "damaged");
    let set = tiny.open().unwrap();
    let video = LoadedVideo::load(&set.train[0], &SMALL).unwrap();
    assert_eq!(video.frames(), 40);
    assert_eq!(video.runs, [0..10, 11..40]);
    assert_eq!(video.lost, 1);
    assert!(video.frame(10).unwrap().iter().all(|&v| v == 0));
    assert!(video.frame(11).unwrap().iter().all(|&v| v == 11));
    assert!(
        video.warnings[0].contains("1 of 40 frames"),
        "{:?}",
        video.warnings
    );
}

#[test]
fn over_five_per_cent_lost_is_an_error() {
    for (lost, fits) in [(2, true), (3, false)] {
        let tiny = Tiny::new("set");
        tiny.frames("train/a", 0, 40, "png");
        for index in 0..lost {
            tiny.write(&format!("train/a/{:03}.png", index * 7), "damaged");
        }
        let loaded = load_all(&tiny.open().unwrap().train, &SMALL);
        assert_eq!(loaded.is_ok(), fits);
        if let Err(error) = loaded {
            let text = error.to_string();
            assert!(
                text.contains("3 of 40 frames") && text.contains("train/a"),
                "{text}"
            );
        }
    }
}

#[test]
fn nothing_that_decodes_is_an_error() {
    let tiny = Tiny::new("set");
    tiny.write("train/a/000.png", "damaged");
    let error = load_all(&tiny.open().unwrap().train, &SMALL).unwrap_err();
    assert!(error.to_string().contains("train/a"), "{error}");
}

#[test]
fn a_wrong_sheet_is_named() {
    let tiny = Tiny::new("set");
    tiny.frames("train/a", 0, 3, "png")
        .write("dataset.toml", "version = 1\nnaem = 3\n");
    let error = tiny.open().unwrap_err().to_string();
    assert!(
        error.contains("dataset.toml") && error.contains("naem"),
        "{error}"
    );
}

#[test]
fn frames_of_several_sizes_are_resized_with_one_warning() {
    let tiny = Tiny::new("set");
    tiny.frames("train/a", 0, 6, "png");
    for index in [2, 4] {
        let picture = image::GrayImage::from_pixel(20, 16, image::Luma([9]));
        picture
            .save(tiny.root.join(format!("train/a/{index:03}.png")))
            .unwrap();
    }
    let video = LoadedVideo::load(&tiny.open().unwrap().train[0], &SMALL).unwrap();
    assert_eq!((video.frames(), video.runs.len()), (6, 1));
    let warnings: Vec<_> = video
        .warnings
        .iter()
        .filter(|w| w.contains("size"))
        .collect();
    assert_eq!(warnings.len(), 1, "{:?}", video.warnings);
}

#[test]
fn short_videos_are_skipped_with_a_warning_unless_all_are() {
    let tiny = Tiny::new("set");
    tiny.frames("train/long", 0, 5, "png")
        .frames("train/short", 0, 4, "png");
    let videos = load_all(&tiny.open().unwrap().train, &SMALL).unwrap();
    let warnings = short_videos(&videos, 4, 1).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].contains("train/short is skipped"),
        "{warnings:?}"
    );
    let error = short_videos(&videos, 4, 2).unwrap_err().to_string();
    assert!(
        error.contains("none of 2 videos holds a clip: it takes 9"),
        "{error}"
    );
    assert!(short_videos(&[], 4, 1).is_err());
}
