//! Folders of frames.

use std::fs;

use camino::Utf8Path;
use image::{DynamicImage, GrayImage, RgbImage};
use msn_video::{
    Color, Frame, Item, Options, Picture, Size, SourceKind, VideoError, frame_files, open,
};

use crate::scene;

fn image(picture: &Picture) -> DynamicImage {
    let Size { width, height } = picture.size;
    let pixels = picture.pixels.clone();
    match picture.color {
        Color::Grey => GrayImage::from_raw(width, height, pixels).unwrap().into(),
        Color::Rgb => RgbImage::from_raw(width, height, pixels).unwrap().into(),
    }
}

fn save(path: &Utf8Path, picture: &Picture) {
    image(picture).save(path).unwrap();
}

fn options(size: Option<Size>, color: Color) -> Options {
    Options {
        size,
        color,
        ..Options::default()
    }
}

fn frames(folder: &Utf8Path, options: &Options) -> Vec<Frame> {
    let items = open(folder, options).unwrap();
    items
        .map(|item| item.unwrap().into_frame().unwrap())
        .collect()
}

#[test]
fn every_format_comes_back_in_order_and_unchanged() {
    let size = Size::new(37, 23);
    for ending in ["png", "bmp", "tif", "tiff", "PNG"] {
        for color in [Color::Grey, Color::Rgb] {
            let (_keep, folder) = scene::folder();
            for index in [0, 2, 10, 1] {
                save(
                    &folder.join(format!("f{index}.{ending}")),
                    &scene::picture(size, color, index),
                );
            }
            let frames = frames(&folder, &options(None, color));
            let got: Vec<_> = frames
                .into_iter()
                .map(|f| (f.index, f.seconds, f.picture))
                .collect();
            let wanted: Vec<_> = [0, 1, 2, 10]
                .into_iter()
                .enumerate()
                .map(|(place, index)| (place, None, scene::picture(size, color, index)))
                .collect();
            assert!(got == wanted, "{ending} {color:?}");
        }
    }
}

#[test]
fn a_rate_gives_frames_times() {
    let (_keep, folder) = scene::folder();
    for index in 0..3 {
        let picture = scene::picture(Size::new(8, 8), Color::Grey, index);
        save(&folder.join(format!("{index}.png")), &picture);
    }
    fs::write(folder.join("1.png"), "damaged").unwrap();
    let at = |hz| Options {
        folder_hz: Some(hz),
        ..options(None, Color::Grey)
    };
    let mut reader = open(&folder, &at(8.0)).unwrap();
    assert_eq!(reader.info().rate_hz, Some(8.0));
    let times: Vec<_> = reader
        .by_ref()
        .filter_map(|item| item.unwrap().into_frame())
        .map(|f| (f.index, f.seconds))
        .collect();
    // A lost frame keeps its time.
    assert_eq!(times, [(0, Some(0.0)), (2, Some(0.25))]);
    for hz in [0.0, -1.0, f64::NAN, 2000.0] {
        let error = open(&folder, &at(hz)).unwrap_err();
        assert!(matches!(error, VideoError::BadRate { .. }), "{hz}: {error}");
    }
}

#[test]
fn jpeg_comes_back_nearly_unchanged_and_grey_is_bt601() {
    let (_keep, folder) = scene::folder();
    let picture = scene::picture(Size::new(64, 48), Color::Rgb, 3);
    save(&folder.join("1.jpg"), &picture);
    let rgb = frames(&folder, &options(None, Color::Rgb))
        .remove(0)
        .picture;
    assert!(scene::mean_distance(&rgb, &picture) < 5.0);
    let grey = frames(&folder, &options(None, Color::Grey))
        .remove(0)
        .picture;
    assert_eq!(grey, rgb.into_color(Color::Grey));
}

#[test]
fn info_is_exact() {
    let (_keep, folder) = scene::folder();
    for index in 1..=3 {
        save(
            &folder.join(format!("{index:03}.png")),
            &scene::picture(Size::new(20, 10), Color::Grey, index),
        );
    }
    for name in [
        ".DS_Store",
        "Thumbs.db",
        "._001.png",
        "readme.txt",
        ".002.jpg",
    ] {
        fs::write(folder.join(name), b"x").unwrap();
    }
    fs::create_dir(folder.join("004.png")).unwrap();
    let reader = open(&folder, &options(Some(Size::new(8, 8)), Color::Grey)).unwrap();
    let info = reader.info().clone();
    assert_eq!(
        (info.source, info.kind),
        (folder.clone(), SourceKind::Folder)
    );
    assert_eq!((info.size, info.frames), (Size::new(20, 10), Some(3)));
    assert_eq!(
        (info.rate_hz, info.codec, info.start_seconds),
        (None, None, None)
    );
    assert_eq!(info.notes, [""; 0]);
    assert!(reader.decode_errors().is_empty());
    assert!(
        reader
            .map(|item| item.unwrap().into_frame().unwrap())
            .all(|f| f.picture.size == Size::new(8, 8))
    );
    assert_eq!(frame_files(&folder).unwrap().len(), 3);
}

#[test]
fn damaged_frames_are_lost_and_keep_their_index() {
    let (_keep, folder) = scene::folder();
    let size = Size::new(20, 10);
    for index in 0..6 {
        save(
            &folder.join(format!("{index}.png")),
            &scene::picture(size, Color::Grey, index),
        );
    }
    fs::write(folder.join("0.png"), b"").unwrap();
    fs::write(folder.join("2.png"), b"not a picture").unwrap();
    let whole = fs::read(folder.join("4.png")).unwrap();
    fs::write(folder.join("4.png"), &whole[..whole.len() / 2]).unwrap();
    let mut reader = open(&folder, &Options::default()).unwrap();
    let mut lost = Vec::new();
    for item in reader.by_ref() {
        match item.unwrap() {
            Item::Frame(frame) => {
                assert_eq!(
                    frame.picture,
                    scene::picture(size, Color::Grey, frame.index)
                );
            }
            Item::Lost(loss) => {
                assert!(
                    loss.reason.contains(&format!("{}.png: ", loss.index)),
                    "{}",
                    loss.reason
                );
                lost.push(loss.index);
            }
        }
    }
    assert_eq!(lost, [0, 2, 4]);
    let errors = reader.decode_errors();
    assert_eq!((errors.lost, errors.reasons.len()), (3, 3));
    assert_eq!(errors.bytes, u64::try_from(13 + whole.len() / 2).unwrap());
    assert!(reader.next().is_none());
}

#[test]
fn frames_of_several_sizes_are_resized_with_one_note() {
    let (_keep, folder) = scene::folder();
    for (index, width) in [20, 20, 30, 10, 20].into_iter().enumerate() {
        let picture = scene::picture(Size::new(width, 10), Color::Grey, index);
        save(&folder.join(format!("{index}.bmp")), &picture);
    }
    let mut reader = open(&folder, &Options::default()).unwrap();
    for item in reader.by_ref() {
        assert_eq!(
            item.unwrap().into_frame().unwrap().picture.size,
            Size::new(20, 10)
        );
    }
    assert_eq!(reader.info().notes.len(), 1, "{:?}", reader.info().notes);
    assert!(reader.info().notes[0].contains("20x10"));
}

#[test]
fn numbering_is_looked_at() {
    let (_keep, folder) = scene::folder();
    let picture = scene::picture(Size::new(8, 8), Color::Grey, 0);
    for name in ["f1.png", "f2.png", "f5.png", "f5.bmp"] {
        save(&folder.join(name), &picture);
    }
    let notes = open(&folder, &Options::default())
        .unwrap()
        .info()
        .notes
        .clone();
    assert!(
        notes.iter().any(|n| n.contains("2 numbers are missing")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|n| n.contains("f5.bmp and f5.png")),
        "{notes:?}"
    );
}

#[test]
fn transparency_is_noted() {
    let (_keep, folder) = scene::folder();
    image::RgbaImage::from_pixel(8, 8, image::Rgba([9, 9, 9, 1]))
        .save(folder.join("1.png"))
        .unwrap();
    let reader = open(&folder, &Options::default()).unwrap();
    assert_eq!(reader.info().notes, ["transparency is ignored"]);
}

#[test]
fn errors_name_the_folder_and_what_was_looked_for() {
    let (_keep, folder) = scene::folder();
    let missing = folder.join("nowhere");
    let error = open(&missing, &Options::default()).unwrap_err();
    assert!(matches!(&error, VideoError::Unreadable { path, .. } if *path == missing));
    assert!(error.to_string().contains("No such file"), "{error}");

    fs::write(folder.join("notes.txt"), b"x").unwrap();
    let error = open(&folder, &Options::default()).unwrap_err();
    assert!(
        matches!(&error, VideoError::NoFrames { others: 1, .. }),
        "{error}"
    );
    assert!(error.to_string().contains(folder.as_str()) && error.to_string().contains(".tif"));

    fs::write(folder.join("1.png"), b"x").unwrap();
    fs::write(folder.join("2.png"), b"y").unwrap();
    let error = open(&folder, &Options::default()).unwrap_err();
    assert!(
        matches!(&error, VideoError::NothingDecoded { lost: 2, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("1.png"), "{error}");

    let single = folder.join("1.png");
    let error = open(&single, &Options::default()).unwrap_err();
    assert!(matches!(error, VideoError::SinglePicture { .. }));
}

#[cfg(unix)]
#[test]
fn an_unreadable_frame_is_lost_with_the_systems_reason() {
    let (_keep, folder) = scene::folder();
    let picture = scene::picture(Size::new(8, 8), Color::Grey, 0);
    save(&folder.join("1.png"), &picture);
    std::os::unix::fs::symlink("nowhere", folder.join("2.png")).unwrap();
    let mut reader = open(&folder, &Options::default()).unwrap();
    let Some(Ok(Item::Lost(lost))) = reader.by_ref().nth(1) else {
        panic!("not lost")
    };
    assert!(
        lost.reason.contains("2.png: No such file"),
        "{}",
        lost.reason
    );
}

#[test]
fn impossible_sizes_are_errors() {
    let (_keep, folder) = scene::folder();
    save(
        &folder.join("1.png"),
        &scene::picture(Size::new(8, 8), Color::Grey, 0),
    );
    for size in [
        Size::new(0, 8),
        Size::new(8, 0),
        Size::new(u32::MAX, u32::MAX),
    ] {
        let error = open(&folder, &options(Some(size), Color::Rgb)).unwrap_err();
        assert!(matches!(error, VideoError::BadSize { .. }), "{error}");
    }
}

#[cfg(not(feature = "ffmpeg"))]
#[test]
fn a_video_file_without_ffmpeg_names_the_feature() {
    let (_keep, folder) = scene::folder();
    fs::write(folder.join("a.mp4"), b"x").unwrap();
    let error = open(&folder.join("a.mp4"), &Options::default()).unwrap_err();
    assert!(error.to_string().contains("feature `ffmpeg`"), "{error}");
}
