//! Real videos, third-party and derived, file by file.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use camino::Utf8Path;
use msn_video::{Color, DecodeErrors, Frame, Item, Options, Picture, Size, open};

use crate::scene;

/// A file that gives frames. Frame counts, sizes and times are those of FFmpeg 5.1.
struct Known {
    file: &'static str,
    codec: &'static str,
    width: u32,
    height: u32,
    frames: usize,
    /// Time of the first frame after the start, in ms: sound may come before it.
    first_ms: u32,
    /// Time of the last frame after the start, in ms; `None` where frames have no times.
    last_ms: Option<u32>,
    /// Timestamp that counts as zero, in ms.
    start_ms: Option<u32>,
}

const fn known(
    file: &'static str,
    codec: &'static str,
    (width, height): (u32, u32),
    frames: usize,
    last_ms: u32,
) -> Known {
    Known {
        file,
        codec,
        width,
        height,
        frames,
        first_ms: 0,
        last_ms: Some(last_ms),
        start_ms: Some(0),
    }
}

const fn starting(known: Known, start_ms: u32) -> Known {
    Known {
        start_ms: Some(start_ms),
        ..known
    }
}

/// Frames as the `ffmpeg` program gives them; sizes as displayed, so with sides exchanged where
/// `ffprobe` shows a rotation of 90 or 270 degrees.
const KNOWN: [Known; 35] = [
    known("vtest.avi", "msmpeg4v3", (768, 576), 795, 79_400),
    known("bikes.mp4", "h264", (640, 272), 250, 9_960),
    known("carphone_distorted.mp4", "h264", (176, 144), 120, 3_971),
    known("carphone_pristine.mp4", "h264", (176, 144), 120, 3_971),
    known("traffic_small.mp4", "h264", (640, 360), 917, 30_500),
    known("derived/vtest_editlist.mp4", "h264", (384, 288), 30, 2_900),
    known("derived/vtest_gray.mkv", "h264", (384, 288), 60, 5_900),
    starting(
        known("derived/vtest_h264.ts", "h264", (384, 288), 60, 5_900),
        1_600,
    ),
    known("derived/vtest_mjpeg.avi", "mjpeg", (384, 288), 30, 2_900),
    known("derived/vtest_odd_size.mp4", "h264", (383, 287), 30, 2_900),
    Known {
        last_ms: None,
        start_ms: None,
        ..known("derived/vtest_raw_annexb.h264", "h264", (384, 288), 60, 0)
    },
    known(
        "derived/vtest_truncated.avi",
        "msmpeg4v3",
        (768, 576),
        3,
        200,
    ),
    known("derived/vtest_vfr.mp4", "h264", (384, 288), 60, 7_300),
    known("derived/vtest_vp9.webm", "vp9", (384, 288), 60, 5_900),
    known("odd/av1_video.mkv", "av1", (640, 360), 125, 4_960),
    known("odd/corrupted.mp4", "h264", (1280, 720), 49, 4_900),
    known("odd/h264_10bits.mp4", "h264", (200, 200), 30, 967),
    known(
        "odd/h264_white_frame_sar_16_9.mp4",
        "h264",
        (640, 480),
        1,
        0,
    ),
    known("odd/h265_10bits.mp4", "hevc", (200, 200), 30, 967),
    known("odd/h265_video.mp4", "hevc", (128, 128), 10, 900),
    starting(
        known("odd/no_timescale.mp4", "h264", (320, 240), 170, 6_009),
        66,
    ),
    known("odd/phone_rot0.mov", "h264", (568, 320), 3, 67),
    known("odd/phone_rot90.mov", "h264", (320, 568), 3, 67),
    known("odd/phone_rot180.mov", "h264", (568, 320), 3, 67),
    known("odd/phone_rot270.mov", "h264", (320, 568), 3, 67),
    known("odd/realshort.mp4", "h264", (320, 240), 36, 1_166),
    starting(
        known("odd/segment.ts", "h264", (388, 300), 134, 8_867),
        1_400,
    ),
    starting(
        known("odd/segment_no_audio.ts", "h264", (388, 300), 134, 8_867),
        1_400,
    ),
    Known {
        first_ms: 120,
        ..starting(
            known("odd/segment_middle_pat_pmt.ts", "h264", (864, 480), 15, 587),
            59_857_336,
        )
    },
    known("odd/unordered.mov", "h264", (50, 50), 4, 94),
    known("odd/vfr_recorder_h264.webm", "h264", (640, 480), 94, 3_104),
    known("odd/video_rotation_90.mp4", "h264", (60, 100), 1, 0),
    known("odd/vp8_seek.webm", "vp8", (320, 240), 120, 3_967),
    known("odd/vp8_truncated.webm", "vp8", (640, 360), 125, 4_960),
    known("odd/white.mp4", "h264", (320, 240), 300, 9_967),
];

/// Files that are not whole: (file, lost, missing at the end, damaged, part of a reason).
const LOSSES: [(&str, usize, usize, usize, &str); 4] = [
    // One packet of the 50 fails; FFmpeg conceals the next frames that refer to it.
    ("odd/corrupted.mp4", 1, 0, 1, "decoding near frame"),
    ("odd/no_timescale.mp4", 12, 0, 28, "decoding near frame"),
    (
        "derived/vtest_truncated.avi",
        0,
        792,
        1,
        "ends after 3 of the 795 frames",
    ),
    ("odd/vp8_truncated.webm", 0, 320, 0, "of the 17.8 s"),
];

/// Files that give nothing: part of the error.
const REFUSED: [(&str, &str); 6] = [
    ("derived/empty.mp4", "is empty (0 bytes)"),
    ("odd/audio_only_aac.mp4", "holds no video stream"),
    ("odd/audio_only_opus.mp4", "holds no video stream"),
    (
        "odd/chunk_out_of_range.mp4",
        "cannot be opened as a video: Invalid data",
    ),
    ("odd/invalid_userdata.mp4", "gives no frame at all"),
    ("odd/zero_empty_stsc.mp4", "gives no frame at all"),
];

fn options(size: Option<Size>, color: Color) -> Options {
    Options {
        size,
        color,
        ..Options::default()
    }
}

fn read(path: &Utf8Path) -> (Vec<Frame>, DecodeErrors) {
    // One thread: what several make up for damaged parts differs from run to run.
    let options = Options {
        threads: 1,
        ..options(Some(Size::new(16, 16)), Color::Grey)
    };
    let mut reader = open(path, &options).unwrap();
    let items: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    assert!(
        items
            .iter()
            .enumerate()
            .all(|(place, item)| item.index() == place),
        "{path}"
    );
    (
        items.into_iter().filter_map(Item::into_frame).collect(),
        reader.decode_errors().clone(),
    )
}

#[test]
fn every_file_is_in_a_table() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    let listed: BTreeSet<_> = KNOWN
        .iter()
        .map(|k| k.file)
        .chain(REFUSED.iter().map(|r| r.0))
        .map(str::to_owned)
        .collect();
    let mut there = BTreeSet::new();
    for folder in ["", "odd", "derived"] {
        for entry in videos.join(folder).read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            if path.is_file() && path.extension() != Some("md") {
                there.insert(path.strip_prefix(&videos).unwrap().to_string());
            }
        }
    }
    assert_eq!(listed, there);
}

#[test]
fn frames_sizes_and_times_are_those_of_ffmpeg() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    for known in &KNOWN {
        let path = videos.join(known.file);
        let reader = open(&path, &Options::default()).unwrap();
        let info = reader.info().clone();
        assert_eq!(
            info.size,
            Size::new(known.width, known.height),
            "{}",
            known.file
        );
        assert_eq!(info.codec.as_deref(), Some(known.codec), "{}", known.file);
        let near = |seconds: Option<f64>, ms: Option<u32>| match (seconds, ms) {
            (Some(seconds), Some(ms)) => (seconds * 1e3 - f64::from(ms)).abs() <= 0.6,
            (seconds, ms) => seconds.is_none() && ms.is_none(),
        };
        assert!(
            near(info.start_seconds, known.start_ms),
            "{}: {info:?}",
            known.file
        );
        let (frames, errors) = read(&path);
        assert_eq!(frames.len(), known.frames, "{}", known.file);
        let (first, last) = (frames[0].seconds, frames[frames.len() - 1].seconds);
        assert!(
            near(first, known.last_ms.map(|_| known.first_ms)),
            "{}: {first:?}",
            known.file
        );
        assert!(near(last, known.last_ms), "{}: {last:?}", known.file);
        match LOSSES.iter().find(|row| row.0 == known.file) {
            Some(&(_, lost, missing, damaged, reason)) => {
                let got = (errors.lost, errors.missing, errors.damaged);
                assert_eq!(got, (lost, missing, damaged), "{}: {errors:?}", known.file);
                let reasons = &errors.reasons;
                assert!(
                    reasons.iter().any(|r| r.contains(reason)),
                    "{}: {reasons:?}",
                    known.file
                );
            }
            None => assert!(errors.is_empty(), "{}: {errors:?}", known.file),
        }
    }
}

#[test]
fn files_that_give_nothing_are_errors_that_name_them() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    for (file, part) in REFUSED {
        let error = open(&videos.join(file), &Options::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(file) && error.contains(part), "{error}");
    }
}

/// Files whose frames can't be found through their container.
const UNSEEKABLE: [&str; 1] = ["derived/vtest_raw_annexb.h264"];

#[test]
fn seeking_gives_the_frames_of_a_whole_reading() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    let options = Options {
        threads: 1,
        ..options(Some(Size::new(16, 16)), Color::Grey)
    };
    // What is made up for damaged parts depends on where decoding starts.
    let is_whole = |known: &&Known| LOSSES.iter().all(|row| row.0 != known.file);
    for known in KNOWN.iter().filter(is_whole) {
        let path = videos.join(known.file);
        let frames = read(&path).0;
        let mut reader = open(&path, &options).unwrap();
        let last = frames.len() - 1;
        let found = [last / 2, 0, last, last / 3, last - last / 4, last / 2].map(|wanted| {
            let frame = &frames[wanted];
            let found = reader.seek(frame.index, frame.seconds).unwrap();
            if found {
                let item = reader.next().unwrap().unwrap();
                assert_eq!(item, Item::Frame(frame.clone()), "{}", known.file);
                let next = reader.next().map(|item| item.unwrap().index());
                let after = frames.get(wanted + 1).map(|frame| frame.index);
                assert_eq!(next, after, "{}", known.file);
            } else {
                assert!(reader.next().is_none(), "{}", known.file);
            }
            found
        });
        let all = found.iter().all(|found| *found);
        assert_eq!(
            all,
            !UNSEEKABLE.contains(&known.file),
            "{}: {found:?}",
            known.file
        );
    }
}

/// Each frame's time against what `ffprobe` prints on this machine.
#[test]
fn all_times_are_those_of_ffprobe() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    if !scene::has_program("ffprobe") {
        return;
    }
    for known in KNOWN.iter().filter(|k| k.last_ms.is_some()) {
        let path = videos.join(known.file);
        let output = Command::new("ffprobe")
            .args(["-v", "quiet", "-select_streams", "v:0", "-of", "csv=p=0"])
            .args(["-show_entries", "frame=best_effort_timestamp_time"])
            .arg(&path)
            .output()
            .unwrap();
        let theirs: Vec<f64> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.split(',').next()?.parse().ok())
            .collect();
        let start = open(&path, &Options::default())
            .unwrap()
            .info()
            .start_seconds
            .unwrap();
        let ours: Vec<f64> = read(&path)
            .0
            .iter()
            .map(|f| f.seconds.unwrap() + start)
            .collect();
        assert_eq!(ours.len(), theirs.len(), "{}", known.file);
        for (i, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            // ffprobe prints microseconds.
            assert!(
                (ours - theirs).abs() < 2e-6,
                "{} frame {i}: {ours} {theirs}",
                known.file
            );
        }
    }
}

/// The first frame against what the `ffmpeg` program gives, rotation included.
#[test]
fn first_pictures_are_those_of_ffmpeg() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    if !scene::has_program("ffmpeg") {
        return;
    }
    let (_keep, folder) = scene::folder();
    for known in &KNOWN {
        let path = videos.join(known.file);
        let raw = folder.join("raw");
        let made = Command::new("ffmpeg")
            .args([
                "-v",
                "quiet",
                "-nostdin",
                "-y",
                "-i",
                path.as_str(),
                "-map",
                "0:v:0",
            ])
            .args(["-frames:v", "1", "-pix_fmt", "rgb24", "-f", "rawvideo"])
            .args([
                "-sws_flags",
                "bilinear+accurate_rnd+full_chroma_int",
                raw.as_str(),
            ])
            .status()
            .unwrap();
        assert!(made.success(), "{}", known.file);
        let size = Size::new(known.width, known.height);
        let theirs = Picture::new(size, Color::Rgb, fs::read(&raw).unwrap()).unwrap();
        for color in [Color::Rgb, Color::Grey] {
            let mut reader = open(&path, &options(None, color)).unwrap();
            let ours = reader
                .find_map(|item| item.unwrap().into_frame())
                .unwrap()
                .picture;
            // Its colours lie outside of RGB, whose clipping luma does not see.
            if known.file == "odd/vp8_seek.webm" && color == Color::Grey {
                continue;
            }
            let distance = scene::mean_distance(&ours, &theirs.clone().into_color(color));
            assert!(distance < 1.5, "{} {color:?}: {distance}", known.file);
        }
    }
}
