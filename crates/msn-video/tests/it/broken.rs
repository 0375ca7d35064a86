//! Deliberately broken media, and what becomes of each.

use std::fs;
use std::ops::RangeInclusive;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{Color, DecodeErrors, Item, Options, Size, VideoError, open};
use proptest::prelude::*;

use crate::scene;

const SIZE: Size = Size::new(64, 48);
const FRAMES: usize = 40;

/// What reading a file came to.
#[derive(Debug)]
enum Outcome {
    Refused(VideoError),
    Read {
        frames: usize,
        size: Size,
        errors: DecodeErrors,
        notes: Vec<String>,
    },
}

/// Reads a file to its end, within a minute.
fn outcome(path: &Utf8Path) -> Outcome {
    let (sender, receiver) = mpsc::channel();
    let moved = path.to_owned();
    thread::spawn(move || sender.send(read(&moved)));
    receiver
        .recv_timeout(Duration::from_secs(60))
        .unwrap_or_else(|e| panic!("{path} hangs or panics: {e}"))
}

fn read(path: &Utf8Path) -> Outcome {
    let options = Options {
        size: Some(Size::new(16, 16)),
        ..Options::default()
    };
    let mut reader = match open(path, &options) {
        Ok(reader) => reader,
        Err(error) => return Outcome::Refused(error),
    };
    let (mut frames, mut lost) = (0, 0);
    for (place, item) in reader.by_ref().enumerate() {
        let item = item.unwrap();
        assert_eq!(item.index(), place, "{path}: every place has one item");
        match item {
            Item::Frame(_) => frames += 1,
            Item::Lost(_) => lost += 1,
        }
    }
    assert!(reader.next().is_none(), "{path}: the end is the end");
    assert_eq!(
        reader.decode_errors().lost,
        lost,
        "{path}: losses are counted"
    );
    assert!(frames > 0, "{path}: a file that gives nothing is an error");
    let (size, notes) = (reader.info().size, reader.info().notes.clone());
    Outcome::Read {
        frames,
        size,
        errors: reader.decode_errors().clone(),
        notes,
    }
}

/// How a file is broken, starting from a whole video of 40 frames.
type Break = fn(Vec<u8>) -> Vec<u8>;

/// What must come of it.
enum Wanted {
    /// An error of which this is a part.
    Error(&'static str),
    /// So many frames, and what is lost.
    Frames(RangeInclusive<usize>, Loss),
}

enum Loss {
    Nothing,
    /// Frames that the header announces are missing at the end.
    End,
    /// Frames are lost or damaged.
    Some,
    /// The container gives no sign.
    Unseen,
}

use Loss::{End, Nothing, Unseen};
use Wanted::{Error, Frames};

fn cut(bytes: &[u8], tenths: usize) -> Vec<u8> {
    bytes[..bytes.len() * tenths / 10].to_vec()
}

/// Overwrites what follows the first place of `mark`.
fn patch(mut bytes: Vec<u8>, mark: &[u8], offset: usize, with: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(mark.len())
        .position(|w| w == mark)
        .expect("the mark is there");
    let at = at + offset;
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// (name of the broken file, ending of the video it is made from, how, what comes of it)
const TABLE: [(&str, &str, Break, Wanted); 30] = [
    ("whole.mp4", "mp4", |b| b, Frames(40..=40, Nothing)),
    (
        "emptied.mp4",
        "mp4",
        |_| Vec::new(),
        Error("is empty (0 bytes)"),
    ),
    (
        "one_byte.mp4",
        "mp4",
        |b| b[..1].to_vec(),
        Error("cannot be opened as a video"),
    ),
    (
        "text.mp4",
        "mp4",
        |_| b"This is no video.\n".repeat(99),
        Error("cannot be opened as a video"),
    ),
    (
        "zeros.mkv",
        "mkv",
        |b| vec![0; b.len()],
        Error("cannot be opened as a video"),
    ),
    (
        "noise.avi",
        "avi",
        |b| noise(b.len()),
        Error("cannot be opened as a video"),
    ),
    (
        "head_only.mp4",
        "mp4",
        |b| b[..40].to_vec(),
        Error("cannot be opened as a video"),
    ),
    // The index of an mp4 lies at its end.
    (
        "cut.mp4",
        "mp4",
        |b| cut(&b, 5),
        Error("cannot be opened as a video"),
    ),
    ("cut.avi", "avi", |b| cut(&b, 5), Frames(10..=30, End)),
    ("cut.mkv", "mkv", |b| cut(&b, 5), Frames(10..=30, End)),
    // A transport stream has no header that tells its length.
    ("cut.ts", "ts", |b| cut(&b, 5), Frames(10..=30, Unseen)),
    ("flipped.avi", "avi", flip, Frames(20..=40, Loss::Some)),
    ("flipped.mp4", "mp4", flip, Frames(20..=40, Loss::Some)),
    ("flipped.mkv", "mkv", flip, Frames(1..=40, Loss::Some)),
    ("flipped.ts", "ts", flip, Frames(1..=40, Loss::Some)),
    ("hole.avi", "avi", hole, Frames(1..=39, Loss::Some)),
    ("mp4_named.avi", "mp4", |b| b, Frames(40..=40, Nothing)),
    ("avi_named.mkv", "avi", |b| b, Frames(40..=40, Nothing)),
    ("mkv_named.txt", "mkv", |b| b, Frames(40..=40, Nothing)),
    ("avi_named.jpg", "avi", |b| b, Error("is a single picture")),
    (
        "longer.avi",
        "avi",
        |b| [b, noise(5000)].concat(),
        Frames(40..=40, Nothing),
    ),
    (
        "zero_rate.avi",
        "avi",
        |b| patch(b, b"strh", 28, &[0; 8]),
        Frames(40..=40, Nothing),
    ),
    (
        "zero_interval.avi",
        "avi",
        |b| patch(b, b"avih", 8, &[0; 4]),
        Frames(40..=40, Nothing),
    ),
    // The coded stream knows better than the container.
    (
        "wide_header.avi",
        "avi",
        |b| patch(b, b"strf", 12, &16_384i32.to_le_bytes()),
        Frames(40..=40, Nothing),
    ),
    (
        "wide_header.mp4",
        "mp4",
        |b| patch(b, b"mp4v", 28, &16_383u16.to_be_bytes()),
        Frames(40..=40, Nothing),
    ),
    (
        "unknown_codec.avi",
        "avi",
        |b| {
            let b = patch(b, b"strh", 12, b"ZZZZ");
            patch(b, b"strf", 24, b"ZZZZ")
        },
        Error("cannot decode"),
    ),
    (
        "sound_only.mp4",
        "mp4",
        |b| patch(b, b"vide", 0, b"soun"),
        Error("holds no video stream"),
    ),
    (
        "no_sizes.mp4",
        "mp4",
        |b| patch(b, b"stsz", 4, &[0; 12]),
        Error(""),
    ),
    (
        "playlist.mp4",
        "mp4",
        |_| {
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n".to_vec()
        },
        Error("none of those read"),
    ),
    (
        "list.mp4",
        "mp4",
        |_| b"ffconcat version 1.0\nfile whole.mp4\n".to_vec(),
        Error("none of those read"),
    ),
];

/// Bytes without sense, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Flips a bit every 500 bytes in the middle half.
fn flip(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len();
    for i in (length / 4..length * 3 / 4).step_by(500) {
        bytes[i] ^= 1 << (i % 8);
    }
    bytes
}

/// Zeros in the middle tenth.
fn hole(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = bytes.len();
    bytes[length * 45 / 100..length * 55 / 100].fill(0);
    bytes
}

#[test]
fn every_broken_file_has_its_outcome() {
    let (_keep, folder) = scene::folder();
    for ending in ["mp4", "avi", "mkv", "ts"] {
        let pictures = (0..FRAMES).map(|index| scene::rough_picture(SIZE, index));
        scene::video_of(&folder.join(format!("base.{ending}")), SIZE, pictures);
    }
    let mut wrong = Vec::new();
    for (name, ending, how, wanted) in &TABLE {
        let path = folder.join(name);
        let base = fs::read(folder.join(format!("base.{ending}"))).unwrap();
        fs::write(&path, how(base)).unwrap();
        let outcome = outcome(&path);
        println!("{name}: {outcome:?}");
        if !fits(&outcome, wanted, &path) {
            wrong.push(format!("{name}: {outcome:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn fits(outcome: &Outcome, wanted: &Wanted, path: &Utf8Path) -> bool {
    match (outcome, wanted) {
        (Outcome::Refused(error), Error(part)) => {
            let text = error.to_string();
            text.contains(part) && text.contains(path.as_str())
        }
        (
            Outcome::Read {
                frames,
                size,
                errors,
                ..
            },
            Frames(range, loss),
        ) => {
            let fits = match loss {
                Nothing => errors.is_empty(),
                End => errors.missing > 0 && frames + errors.lost + errors.missing == FRAMES,
                Loss::Some => errors.lost + errors.missing + errors.damaged > 0,
                Unseen => errors.missing == 0,
            };
            fits && range.contains(frames) && *size == SIZE
        }
        _ => false,
    }
}

#[test]
fn a_header_of_an_impossible_size_is_refused() {
    let (_keep, folder) = scene::folder();
    let picture = scene::picture(SIZE, Color::Grey, 0);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_raw(64, 48, picture.pixels)
        .unwrap()
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    let huge = patch(
        jpeg.into_inner(),
        &[0xFF, 0xC0],
        5,
        &[0xFF, 0xFF, 0xFF, 0xFF],
    );
    let path = folder.join("huge.mjpeg");
    fs::write(&path, huge.repeat(4)).unwrap();
    let outcome_of_video = outcome(&path);
    assert!(
        matches!(
            &outcome_of_video,
            Outcome::Refused(VideoError::NothingDecoded { .. })
        ),
        "{outcome_of_video:?}"
    );
    // The same as a frame of a folder.
    let frames = folder.join("frames");
    fs::create_dir(&frames).unwrap();
    fs::write(frames.join("1.jpg"), &huge).unwrap();
    assert!(matches!(
        outcome(&frames),
        Outcome::Refused(VideoError::NothingDecoded { .. })
    ));
}

#[test]
fn a_video_of_one_pixel_is_a_video() {
    let (_keep, folder) = scene::folder();
    let path = folder.join("one_pixel.y4m");
    let frames = b"FRAME\n\x80".repeat(40);
    let header = b"YUV4MPEG2 W1 H1 F10:1 Ip A1:1 Cmono\n";
    fs::write(&path, [&header[..], &frames].concat()).unwrap();
    let options = Options {
        size: Some(Size::new(8, 8)),
        ..Options::default()
    };
    let reader = open(&path, &options).unwrap();
    assert_eq!(reader.info().size, Size::new(1, 1));
    let frames: Vec<_> = reader.map(|i| i.unwrap().into_frame().unwrap()).collect();
    assert_eq!(frames.len(), 40);
    // Grey is of full range.
    assert!(frames.iter().all(|f| f.picture.pixels == [0x80; 64]));
}

#[test]
fn a_folder_named_like_a_video_is_a_folder() {
    let (_keep, folder) = scene::folder();
    let frames = folder.join("v.mp4");
    fs::create_dir(&frames).unwrap();
    let picture = scene::picture(SIZE, Color::Grey, 0);
    image::GrayImage::from_raw(64, 48, picture.pixels)
        .unwrap()
        .save(frames.join("1.png"))
        .unwrap();
    assert!(matches!(outcome(&frames), Outcome::Read { frames: 1, .. }));
}

#[cfg(unix)]
#[test]
fn pipes_loops_and_missing_files_are_refused() {
    let (_keep, folder) = scene::folder();
    let circle = folder.join("loop.mp4");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    for path in [
        circle,
        folder.join("missing.mp4"),
        Utf8PathBuf::from("a\0b.mp4"),
    ] {
        let outcome = outcome(&path);
        assert!(
            matches!(outcome, Outcome::Refused(VideoError::Unreadable { .. })),
            "{outcome:?}"
        );
    }
    let device = outcome(Utf8Path::new("/dev/zero"));
    assert!(
        matches!(device, Outcome::Refused(VideoError::NotAFile { .. })),
        "{device:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is done to a file, reading ends, and without a panic.
    #[test]
    fn no_damage_hangs_or_panics(
        ending in 0..4usize,
        cut in 1..100usize,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
    ) {
        let (_keep, folder) = scene::folder();
        let ending = ["mp4", "avi", "mkv", "ts"][ending];
        let path = folder.join(format!("v.{ending}"));
        scene::video(&path, Size::new(32, 32), 12);
        let mut bytes = fs::read(&path).unwrap();
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        // Two thirds of the files keep their end.
        if cut < 33 {
            bytes.truncate(bytes.len() * cut / 33);
        }
        fs::write(&path, bytes).unwrap();
        match outcome(&path) {
            Outcome::Refused(error) => prop_assert!(error.to_string().contains(path.as_str())),
            Outcome::Read { frames, notes, errors, .. } => {
                prop_assert!(frames > 0 && notes.len() <= 32);
                prop_assert!(errors.reasons.len() <= DecodeErrors::MAX_REASONS);
            }
        }
    }
}
