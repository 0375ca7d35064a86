//! Every layout is recognised without a flag.

use msn_data::{DataError, DataSet, DatasetLayout, OpenOptions, RegionSource, Regions};

use crate::tiny::{Tiny, npy, resolved};

fn names(videos: &[msn_data::Video]) -> Vec<&str> {
    videos.iter().map(|video| video.name.as_str()).collect()
}

#[test]
fn frames() {
    let tiny = Tiny::new("set");
    for clip in ["1", "2", "10"] {
        tiny.frames(&format!("training/frames/{clip}"), 0, 6, "jpg");
    }
    tiny.frames("testing/frames/01", 0, 4, "png")
        .npy("testing/test_frame_mask/01.npy", &[0, 1, 1, 0])
        .write("training/.DS_Store", "")
        .write("training/frames/1/Thumbs.db", "");
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::Frames);
    assert_eq!(names(&set.train), ["1", "2", "10"]);
    assert_eq!(resolved(&set), [[0, 1, 1, 0]]);
    assert_eq!(set.name, "set");
}

#[test]
fn ucsd_as_published() {
    let tiny = Tiny::new("UCSDped2");
    tiny.frames("Train/Train001", 1, 5, "tif")
        .frames("Test/Test001", 1, 4, "tif")
        .frames("Test/Test002", 1, 3, "tif")
        .masks("Test/Test001_gt", 1, &[false, true, true, false], "bmp")
        .write(
            "Test/UCSDped2.m",
            "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [2:3];\n\
             TestVideoFile{end+1}.gt_frame = [1, 3];\n",
        );
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::UcsdOriginal);
    assert_eq!(names(&set.test), ["Test001", "Test002"]);
    assert_eq!(resolved(&set), [vec![0, 1, 1, 0], vec![1, 0, 1]]);
    assert_eq!(set.labels.as_ref().unwrap().anomalous, Some(4));
    // Only some clips have masks, as in Ped1: regions are known for those alone.
    assert!(set.regions[0].is_some() && set.regions[1].is_none());
    assert_eq!(set.sheet.unwrap().name, "UCSD Ped2");
}

#[test]
fn avenue_as_published() {
    let tiny = Tiny::new("Avenue Dataset");
    tiny.write("training_videos/01.avi", "")
        .write("testing_videos/01.avi", "")
        .write("testing_videos/02.avi", "")
        .copy(
            "1_label.mat",
            "ground_truth_demo/testing_label_mask/1_label.mat",
        )
        .copy(
            "2_label.mat",
            "ground_truth_demo/testing_label_mask/2_label.mat",
        );
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::AvenueOriginal);
    assert_eq!(names(&set.test), ["01", "02"]);
    let labels = set.labels.as_ref().unwrap();
    assert!(labels.format.contains("volLabel"), "{}", labels.format);
    let Some(RegionSource::Masks(masks)) = &set.regions[1] else {
        panic!("masks were expected");
    };
    let mask = masks.mask(2).unwrap().unwrap();
    assert_eq!((mask.size.width, mask.size.height), (8, 6));
    let marked: Vec<usize> = (0..48).filter(|&i| mask.pixels[i]).collect();
    assert_eq!(marked, [12, 13, 14, 20, 21, 22]);
    assert!(!masks.mask(1).unwrap().unwrap().any());
    assert_eq!(masks.mask(3).unwrap(), None);
}

#[test]
fn shanghaitech_as_published() {
    let tiny = Tiny::new("shanghaitech");
    let mut pixels = vec![0u8; 3 * 10 * 12];
    pixels[10 * 12 + 5] = 1;
    tiny.write("training/videos/01_001.avi", "")
        .frames("testing/frames/01_0014", 0, 3, "jpg")
        .npy("testing/test_frame_mask/01_0014.npy", &[0, 1, 0])
        .write(
            "testing/test_pixel_mask/01_0014.npy",
            npy(&[3, 10, 12], &pixels),
        );
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::ShanghaiTechOriginal);
    assert_eq!(names(&set.train), ["01_001"]);
    assert_eq!(resolved(&set), [[0, 1, 0]]);
    let unused = &set.labels.as_ref().unwrap().unused;
    assert!(unused[0].ends_with("test_pixel_mask"));
    let set = tiny.open_with("testing/test_pixel_mask").unwrap();
    assert_eq!(resolved(&set), [[0, 1, 0]]);
}

fn ubnormal() -> Tiny {
    let tiny = Tiny::new("UBnormal");
    let picture = |values: &[u8; 4]| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::GrayImage::from_raw(2, 2, values.to_vec())
            .unwrap()
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    let folder = "Scene1/abnormal_scene_1_scenario_1_annotations";
    let name = "abnormal_scene_1_scenario_1";
    tiny.write("Scene1/normal_scene_1_scenario_1.mp4", "")
        .write("Scene1/normal_scene_1_scenario_2.mp4", "")
        .write(&format!("Scene1/{name}.mp4"), "")
        .write(
            "scripts/normal_training_video_names.txt",
            "normal_scene_1_scenario_1\n",
        )
        .write(
            "scripts/normal_test_video_names.txt",
            "normal_scene_1_scenario_2\n",
        )
        .write("scripts/abnormal_test_video_names.txt", format!("{name}\n"))
        .write(&format!("{folder}/{name}_tracks.txt"), "2,1,2\n")
        .write(
            &format!("{folder}/{name}_0000_gt.png"),
            picture(&[0, 2, 0, 1]),
        )
        .write(
            &format!("{folder}/{name}_0001_gt.png"),
            picture(&[0, 2, 0, 1]),
        )
        .write(
            &format!("{folder}/{name}_0002_gt.png"),
            picture(&[0, 0, 2, 2]),
        );
    tiny
}

#[test]
fn ubnormal_as_published() {
    let tiny = ubnormal();
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::UbNormal);
    assert_eq!(names(&set.train), ["normal_scene_1_scenario_1"]);
    assert_eq!(
        names(&set.test),
        ["abnormal_scene_1_scenario_1", "normal_scene_1_scenario_2"]
    );
    let anomalous: Vec<_> = set
        .test
        .iter()
        .map(|v| v.labels.as_ref().unwrap().anomalous())
        .collect();
    assert_eq!(anomalous, [Some(2), Some(0)]);
    let Regions::Tracks(boxes) = set.regions[0].as_ref().unwrap().read().unwrap() else {
        panic!("tracks were expected");
    };
    let corners: Vec<_> = boxes
        .iter()
        .map(|b| (b.frame, b.x1, b.y1, b.x2, b.y2))
        .collect();
    assert_eq!(corners, [(1, 1, 0, 1, 0), (2, 0, 1, 1, 1)]);
}

#[test]
fn ubnormal_without_its_lists_says_where_they_are() {
    let tiny = ubnormal();
    std::fs::remove_dir_all(tiny.root.join("scripts")).unwrap();
    let error = tiny.open().unwrap_err().to_string();
    assert!(error.contains("normal_training_video_names.txt"), "{error}");
    assert!(error.contains("lilygeorgescu/UBnormal"), "{error}");
}

#[test]
fn street_scene_as_published() {
    for inside in [true, false] {
        let tiny = Tiny::new("StreetScene");
        let text = if inside {
            "Test/Test001/Test001_gt.txt"
        } else {
            "Test/Test001_gt.txt"
        };
        tiny.frames("Train/Train001", 1, 4, "jpg")
            .frames("Test/Test001", 1, 4, "jpg")
            .write(text, "002.jpg 0 6 5 4 2\n003.jpg 0 6 5 4 2\n");
        let set = tiny.open().unwrap();
        assert_eq!(set.layout, DatasetLayout::StreetScene);
        assert_eq!(resolved(&set), [[0, 1, 1, 0]]);
        let Regions::Tracks(boxes) = set.regions[0].as_ref().unwrap().read().unwrap() else {
            panic!("tracks were expected");
        };
        let first = boxes[0];
        assert_eq!(
            (first.frame, first.x1, first.y1, first.x2, first.y2),
            (1, 4, 4, 7, 5)
        );
    }
}

#[test]
fn nwpu_campus_as_published() {
    let tiny = Tiny::new("NWPU_Campus");
    tiny.write("videos/train/D001_01.avi", "")
        .write("videos/test/01.avi", "")
        .write("videos/test/02.avi", "")
        .copy("deflated.npz", "gt.npz");
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::NwpuCampus);
    assert_eq!(set.labels.as_ref().unwrap().anomalous, Some(4));
    let anomalous: Vec<_> = set
        .test
        .iter()
        .map(|v| v.labels.as_ref().unwrap().anomalous())
        .collect();
    assert_eq!(anomalous, [Some(2), Some(2)]);
}

#[test]
fn own_footage() {
    let tiny = Tiny::new("garage");
    tiny.write("train/monday.mp4", "")
        .frames("train/cam2/tuesday", 0, 5, "png")
        .frames("test/cam1/clip", 0, 5, "png")
        .write("test/b.mp4", "")
        .write("test/notes.txt", "")
        .write(
            "events.csv",
            "video,start_frame,end_frame,kind\ncam1/clip,1,3,fall\n",
        );
    let set = tiny.open().unwrap();
    assert_eq!(set.layout, DatasetLayout::Own);
    assert_eq!(names(&set.train), ["cam2/tuesday", "monday.mp4"]);
    assert_eq!(names(&set.test), ["b.mp4", "cam1/clip"]);
    let labels = set.test[1].labels.as_ref().unwrap();
    assert_eq!(labels.anomalous(), Some(2));
    assert_eq!(set.test[0].labels.as_ref().unwrap().anomalous(), Some(0));
    assert_eq!(set.sheet, None);
}

#[test]
fn a_layout_that_is_named_overrides() {
    let tiny = Tiny::new("both");
    tiny.frames("training/frames/01", 0, 5, "png")
        .frames("train/a", 0, 5, "png");
    assert_eq!(tiny.open().unwrap().layout, DatasetLayout::Frames);
    let named = |layout| {
        DataSet::open(
            &tiny.root,
            &OpenOptions {
                layout: Some(layout),
                ..OpenOptions::default()
            },
        )
    };
    assert_eq!(names(&named(DatasetLayout::Own).unwrap().train), ["a"]);
    let error = named(DatasetLayout::AvenueOriginal).unwrap_err();
    assert!(matches!(error, DataError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("training_videos"), "{error}");
}

#[test]
fn layouts_have_names() {
    for layout in DatasetLayout::ALL {
        assert_eq!(layout.to_string().parse(), Ok(layout));
    }
    let error = "ped3".parse::<DatasetLayout>().unwrap_err().to_string();
    assert!(error.contains("street-scene"), "{error}");
}
