//! Real samples, where they are at hand.

use camino::Utf8PathBuf;
use msn_data::{
    Color, DataSet, LoadOptions, LoadedVideo, OpenOptions, Regions, Size, check, clips, load_all,
    segments,
};

use crate::tiny::Tiny;

/// The folder of real samples, or a line that says that it is missing.
pub fn data(name: &str) -> Option<Utf8PathBuf> {
    let folder = Utf8PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data")
        .join(name);
    if !folder.exists() {
        eprintln!("skipped: no real data at {folder}");
        return None;
    }
    Some(folder)
}

const SMALL: LoadOptions = LoadOptions::new(Size::new(16, 16), Color::Grey);

fn anomalous(set: &DataSet, videos: &[LoadedVideo]) -> Vec<usize> {
    set.test
        .iter()
        .zip(videos)
        .map(|(video, loaded)| {
            let labels = video.labels.as_ref().unwrap().resolve(loaded).unwrap();
            assert_eq!(labels.anomalous.len(), loaded.frames());
            labels.count()
        })
        .collect()
}

#[test]
fn ped2_has_its_known_counts_in_every_label_file() {
    let Some(root) = data("ped2") else { return };
    let set = DataSet::open(&root, &OpenOptions::default()).unwrap();
    assert_eq!((set.train.len(), set.test.len()), (16, 12));
    let labels = set.labels.as_ref().unwrap();
    assert_eq!(labels.anomalous, Some(1648));
    assert!(labels.paths[0].ends_with("testing/test_frame_mask"));
    let unused: Vec<_> = labels
        .unused
        .iter()
        .map(|p| p.file_name().unwrap())
        .collect();
    assert_eq!(unused, ["ped2.mat", "ped2_as_found.mat", "masks"]);
    // One of the two .mat agrees, the other is the odd version.
    assert_eq!(set.warnings.len(), 1, "{:?}", set.warnings);
    assert!(
        set.warnings[0].contains("(1648 anomalous frames)")
            && set.warnings[0].contains("ped2_as_found.mat has 1624; they differ in 03, 05, 08"),
        "{:?}",
        set.warnings
    );

    let train = load_all(&set.train, &SMALL).unwrap();
    assert_eq!(train.iter().map(LoadedVideo::frames).sum::<usize>(), 2550);
    let test = load_all(&set.test, &SMALL).unwrap();
    assert_eq!(test.iter().map(LoadedVideo::frames).sum::<usize>(), 2010);
    assert_eq!(clips(&segments(&test), 4, 1).len(), 2010 - 12 * 4);
    let counts = anomalous(&set, &test);
    assert_eq!(
        counts,
        [120, 86, 146, 150, 129, 159, 135, 180, 120, 150, 180, 93]
    );

    let labels_folder = data("labels").unwrap();
    for (labels, expected) in [
        (root.join("ped2.mat"), 1648),
        (root.join("ped2_as_found.mat"), 1624),
        (root.join("testing/masks"), 1648),
        (labels_folder.join("UCSDped2.m"), 1648),
        (labels_folder.join("frame_labels_ped2.npy"), 1648),
    ] {
        let options = OpenOptions {
            labels: Some(labels.clone()),
            ..OpenOptions::default()
        };
        let set = DataSet::open(&root, &options).unwrap();
        let found = anomalous(&set, &test);
        assert_eq!(found.iter().sum::<usize>(), expected, "{labels}");
        if expected == 1648 {
            assert_eq!(found, counts, "{labels}");
        }
    }
}

#[test]
fn ped2_is_as_known() {
    let Some(root) = data("ped2") else { return };
    let check = check(&root, &OpenOptions::default()).unwrap();
    assert!(check.is_usable());
    assert!(
        check
            .counts
            .iter()
            .all(|count| count.expected == count.found)
    );
    assert_eq!(check.counts.len(), 5);
    // The only problem is the odd version of the labels: masks and labels agree.
    assert_eq!(check.problems.len(), 1, "{:?}", check.problems);
    let labels = check.labels.as_ref().unwrap();
    assert_eq!(labels.anomalous_throughout, ["08", "09", "10", "11"]);
    assert_eq!(
        labels.version.as_deref(),
        Some("the owners' script UCSDped2.m")
    );
    eprintln!("{}", check.to_text());
}

#[test]
fn ped2_has_masks_of_its_frames() {
    let Some(root) = data("ped2") else { return };
    let set = DataSet::open(&root, &OpenOptions::default()).unwrap();
    let Regions::Masks(masks) = set.regions[1].as_ref().unwrap().read().unwrap() else {
        panic!("masks were expected");
    };
    let mask = masks.mask(100).unwrap().unwrap();
    assert_eq!((mask.size.width, mask.size.height), (360, 240));
    assert!(mask.any());
    assert!(!masks.mask(10).unwrap().unwrap().any());
}

#[test]
fn other_label_files_have_their_known_counts() {
    let Some(labels) = data("labels") else { return };
    // Ped1: 36 clips of 200 frames; its frames are not at hand, so empty folders stand for them.
    let tiny = Tiny::new("UCSDped1");
    for clip in 1..=36 {
        std::fs::create_dir_all(tiny.root.join(format!("Test/Test{clip:03}"))).unwrap();
    }
    tiny.write(
        "Test/UCSDped1.m",
        std::fs::read(labels.join("UCSDped1.m")).unwrap(),
    );
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, msn_data::DatasetLayout::UcsdOriginal);
    assert_eq!(set.labels.unwrap().anomalous, Some(4045));
    // ShanghaiTech: 40,791 frames, in one video here.
    let tiny = Tiny::new("shanghai");
    let folder = tiny.root.join("testing/frames/all");
    std::fs::create_dir_all(&folder).unwrap();
    for index in 0..40_791 {
        std::fs::write(folder.join(format!("{index}.jpg")), "").unwrap();
    }
    let file = labels.join("frame_labels_shanghai.npy");
    tiny.write("frame_labels_shanghai.npy", std::fs::read(file).unwrap());
    assert_eq!(tiny.open().unwrap().labels.unwrap().anomalous, Some(17_326));
}

/// Own footage made of real videos, whose times come from their containers.
#[cfg(feature = "ffmpeg")]
#[test]
fn video_files_are_own_footage() {
    let Some(videos) = data("video") else { return };
    let tiny = Tiny::new("street");
    let copy = |from: &str, to: &str| {
        tiny.write(to, std::fs::read(videos.join(from)).unwrap());
    };
    copy("carphone_pristine.mp4", "train/a.mp4");
    copy("derived/vtest_mjpeg.avi", "test/cam/b.avi");
    copy("derived/vtest_truncated.avi", "test/cut.avi");
    tiny.write(
        "events.csv",
        "video,start,end,kind\ncam/b.avi,1.0,2.0,fall\n",
    );
    let set = tiny.open().unwrap();
    let train = load_all(&set.train, &SMALL).unwrap();
    assert_eq!(train[0].frames(), 120);
    let test = load_all(&set.test, &SMALL).unwrap();
    let names: Vec<_> = test.iter().map(|v| (v.name.as_str(), v.frames())).collect();
    assert_eq!(names[0], ("cam/b.avi", 30));
    // What decodes of a truncated file is used, and what is lost is said.
    assert!(names[1].1 >= 3, "{names:?}");
    assert!(!test[1].warnings.is_empty());
    // 10 frames a second: frames 10 to 19.
    let labels = set.test[0]
        .labels
        .as_ref()
        .unwrap()
        .resolve(&test[0])
        .unwrap();
    assert_eq!((labels.spans[0].start, labels.spans[0].end), (10, 20));
    let check = check(&tiny.root, &OpenOptions::default()).unwrap();
    assert_eq!(check.test.videos, 2);
    assert_eq!(check.labels.as_ref().unwrap().anomalous, 10);
    eprintln!("{}", check.to_text());
}

/// Labels of all videos one after the other need the frames of video files: they are decoded.
#[cfg(feature = "ffmpeg")]
#[test]
fn flat_labels_fit_video_files() {
    let Some(videos) = data("video/derived") else {
        return;
    };
    let tiny = Tiny::new("set");
    for name in ["01", "02"] {
        let bytes = std::fs::read(videos.join("vtest_mjpeg.avi")).unwrap();
        tiny.write(&format!("testing_videos/{name}.avi"), bytes);
    }
    let flags: Vec<u8> = (0..60).map(|i| u8::from(i >= 50)).collect();
    tiny.npy("frame_labels_set.npy", &flags);
    let set = tiny.open().unwrap();
    let counts: Vec<_> = set
        .test
        .iter()
        .map(|v| v.labels.as_ref().unwrap().anomalous())
        .collect();
    assert_eq!(counts, [Some(0), Some(10)]);
}

/// What can't be used as a video is named.
#[cfg(feature = "ffmpeg")]
#[test]
fn files_without_pictures_are_named() {
    let Some(videos) = data("video") else { return };
    for file in [
        "odd/audio_only_aac.mp4",
        "odd/zero_empty_stsc.mp4",
        "derived/empty.mp4",
    ] {
        let tiny = Tiny::new("set");
        tiny.write("train/a.mp4", std::fs::read(videos.join(file)).unwrap());
        let error = load_all(&tiny.open().unwrap().train, &SMALL).unwrap_err();
        assert!(error.to_string().contains("train/a.mp4"), "{file}: {error}");
    }
}
