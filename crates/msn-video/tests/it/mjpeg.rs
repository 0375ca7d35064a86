//! Motion JPEG: packets that are not whole are lost, in every container.

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{Color, DecodeErrors, Item, Options, Picture, Size, open};

use crate::scene;

/// An AVI file of JPEGs at 10 Hz, without an index.
fn avi(path: &Utf8Path, size: Size, frames: &[Vec<u8>]) {
    let chunk = |name: &[u8; 4], body: &[u8]| {
        let length = u32::try_from(body.len()).unwrap();
        let mut out = [&name[..], &length.to_le_bytes(), body].concat();
        out.resize(out.len().next_multiple_of(2), 0);
        out
    };
    let words = |words: &[u32]| {
        words
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let list =
        |name: &[u8; 4], body: &[Vec<u8>]| chunk(b"LIST", &[&name[..], &body.concat()].concat());
    let count = u32::try_from(frames.len()).unwrap();
    let Size { width, height } = size;
    let main = words(&[100_000, 0, 0, 0, count, 0, 1, 0, width, height, 0, 0, 0, 0]);
    let header = [
        b"vidsMJPG".to_vec(),
        words(&[0, 0, 0, 1, 10, 0, count, 0, u32::MAX, 0, 0, 0]),
    ];
    let format = [
        words(&[40, width, height, 1 | 24 << 16]),
        b"MJPG".to_vec(),
        words(&[width * height * 3, 0, 0, 0, 0]),
    ];
    let stream = list(
        b"strl",
        &[
            chunk(b"strh", &header.concat()),
            chunk(b"strf", &format.concat()),
        ],
    );
    let data: Vec<_> = frames.iter().map(|frame| chunk(b"00dc", frame)).collect();
    let body = [
        b"AVI ".to_vec(),
        list(b"hdrl", &[chunk(b"avih", &main), stream]),
        list(b"movi", &data),
    ];
    fs::write(path, chunk(b"RIFF", &body.concat())).unwrap();
}

/// The same packets in other containers, where the program to do it is there.
fn copies(avi: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut all = vec![avi.to_owned()];
    if !scene::has_program("ffmpeg") {
        return all;
    }
    for ending in ["mkv", "mov", "nut"] {
        let copy = avi.with_extension(ending);
        let made = Command::new("ffmpeg")
            .args([
                "-v",
                "error",
                "-nostdin",
                "-y",
                "-i",
                avi.as_str(),
                "-c",
                "copy",
            ])
            .arg(&copy)
            .status()
            .unwrap();
        assert!(made.success(), "{copy}");
        all.push(copy);
    }
    all
}

fn jpeg(picture: &Picture) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let Size { width, height } = picture.size;
    let pixels = picture.pixels.clone();
    let image = image::RgbImage::from_raw(width, height, pixels).unwrap();
    image.write_to(&mut out, image::ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

fn read(path: &Utf8Path) -> (Vec<usize>, Vec<(usize, Picture)>, DecodeErrors) {
    let mut reader = open(path, &Options::default()).unwrap();
    let (mut lost, mut frames) = (Vec::new(), Vec::new());
    for (place, item) in reader.by_ref().enumerate() {
        let item = item.unwrap();
        assert_eq!(item.index(), place, "{path}");
        match item {
            Item::Lost(loss) => lost.push(loss.index),
            Item::Frame(frame) => frames.push((frame.index, frame.picture)),
        }
    }
    (lost, frames, reader.decode_errors().clone())
}

#[test]
fn half_packets_are_lost_at_their_place() {
    let (_keep, folder) = scene::folder();
    let size = Size::new(64, 48);
    let whole: Vec<_> = (0..12)
        .map(|i| jpeg(&scene::picture(size, Color::Rgb, i)))
        .collect();
    let mut frames = whole.clone();
    for index in [0, 4, 5, 11] {
        let half = frames[index].len() * 7 / 10;
        frames[index].truncate(half);
        frames[index].extend([0xFF, 0xD9]);
    }
    let path = folder.join("half.avi");
    avi(&path, size, &frames);
    avi(&folder.join("whole.avi"), size, &whole);
    let all = read(&folder.join("whole.avi"));
    assert!(all.0.is_empty() && all.2.is_empty(), "{:?}", all.2);
    for path in copies(&path) {
        let (lost, pictures, errors) = read(&path);
        assert_eq!(lost, [0, 4, 5, 11], "{path}");
        assert_eq!(
            (errors.lost, errors.damaged, errors.missing),
            (4, 0, 0),
            "{path}: {errors:?}"
        );
        assert!(errors.reasons[0].contains("cut off"), "{path}: {errors:?}");
        for (index, picture) in pictures {
            assert!(picture == all.1[index].1, "{path} {index}");
        }
    }
}

/// Cut anywhere and with an end marker: lost, or the picture that was there.
#[test]
fn a_packet_cut_anywhere_is_lost_or_whole() {
    let (_keep, folder) = scene::folder();
    let size = Size::new(24, 16);
    let whole = jpeg(&scene::picture(size, Color::Rgb, 1));
    let cuts = 4..whole.len();
    let mut frames = vec![whole.clone()];
    frames.extend(cuts.map(|length| [&whole[..length], &[0xFF, 0xD9]].concat()));
    let path = folder.join("cuts.avi");
    avi(&path, size, &frames);
    let (lost, pictures, errors) = read(&path);
    assert_eq!(errors.lost, lost.len());
    assert!(pictures.len() <= 4, "{}", pictures.len());
    assert!(
        pictures
            .iter()
            .all(|(_, picture)| *picture == pictures[0].1)
    );
}

#[test]
fn packets_without_tables_or_end_are_read() {
    let (_keep, folder) = scene::folder();
    let Some(reports) = scene::reports() else {
        return;
    };
    for (name, with) in [("frames", false), ("with-dht", true)] {
        let pictures = reports.join("06-jpeg-no-dht").join(name);
        let files = msn_video::frame_files(&pictures).unwrap();
        let mut frames: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        if !with {
            // And no end marker.
            for frame in &mut frames {
                assert!(frame.ends_with(&[0xFF, 0xD9]));
                frame.truncate(frame.len() - 2);
            }
        }
        let size = open(&pictures, &Options::default()).unwrap().info().size;
        avi(&folder.join(format!("{name}.avi")), size, &frames);
    }
    let right = read(&folder.join("with-dht.avi")).1;
    assert_eq!(right.len(), 12);
    for path in copies(&folder.join("frames.avi")) {
        let (lost, pictures, errors) = read(&path);
        assert!(lost.is_empty() && errors.is_empty(), "{path}: {errors:?}");
        assert!(pictures == right, "{path}");
    }
}

#[test]
fn half_jpegs_of_a_recorder_are_lost_in_an_avi() {
    let (_keep, folder) = scene::folder();
    let Some(reports) = scene::reports() else {
        return;
    };
    let pictures = reports.join("38-half-jpeg/frames");
    let files = msn_video::frame_files(&pictures).unwrap();
    let frames: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let size = open(&pictures, &Options::default()).unwrap().info().size;
    let path = folder.join("half.avi");
    avi(&path, size, &frames);
    for path in copies(&path) {
        let (lost, _, errors) = read(&path);
        assert_eq!(lost, [10, 11, 12, 13, 14], "{path}: {errors:?}");
        assert_eq!(errors.lost, 5, "{path}");
    }
}
