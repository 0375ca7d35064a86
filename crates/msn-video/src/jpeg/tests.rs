use std::io::Cursor;
use std::path::PathBuf;

use image::{ImageFormat, ImageReader};
use proptest::prelude::*;

use super::*;
use crate::{Color, Levels, still};

/// Kinds of files in `tests/pictures`: NAME.jpg as libjpeg-turbo wrote it, NAME.png as it reads it.
const KINDS: [&str; 18] = [
    "410",
    "411",
    "420",
    "422",
    "440",
    "444",
    "cmyk",
    "grey",
    "grey22",
    "optimised",
    "progressive",
    "progressive-grey",
    "progressive-restart",
    "restart",
    "restart-row",
    "rgb",
    "separate",
    "separate444",
];

fn file(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
    std::fs::read(folder.join(name)).unwrap()
}

/// What comes of a file whose data is whole.
fn read(bytes: &[u8]) -> Result<(Judgement, Vec<u8>), Fault> {
    let judgement = inspect(bytes)?.judgement;
    let still = still::decode(bytes, Color::Rgb, &mut Levels::new(None));
    Ok((judgement, still.unwrap().picture.pixels))
}

/// The file without its segments of one kind.
fn without(bytes: &[u8], code: u8) -> Vec<u8> {
    let mut out = bytes[..2].to_vec();
    let mut at = 2;
    loop {
        let length = usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if bytes[at + 1] == 0xDA {
            out.extend(&bytes[at..]);
            return out;
        }
        if bytes[at + 1] != code {
            out.extend(&bytes[at..at + 2 + length]);
        }
        at += 2 + length;
    }
}

#[test]
fn every_kind_is_whole_and_read_as_libjpeg_reads_it() {
    for kind in KINDS {
        let (judgement, ours) = read(&file(&format!("{kind}.jpg"))).unwrap();
        assert_eq!(judgement, Judgement::Whole, "{kind}");
        let theirs = Cursor::new(file(&format!("{kind}.png")));
        let theirs = ImageReader::with_format(theirs, ImageFormat::Png).decode();
        let theirs = theirs.unwrap().into_rgb8().into_raw();
        assert_eq!(ours.len(), theirs.len(), "{kind}");
        let apart: u64 = ours
            .iter()
            .zip(&theirs)
            .map(|(a, b)| u64::from(a.abs_diff(*b)))
            .sum();
        let mean = apart as f64 / ours.len() as f64;
        // Chroma is widened by another filter.
        assert!(mean < 4.0, "{kind}: {mean}");
    }
}

/// Cut at any byte, with an end marker and without: never taken for whole, unless it is.
#[test]
fn a_cut_picture_is_whole_only_with_all_its_pixels() {
    for kind in KINDS {
        let whole = file(&format!("{kind}.jpg"));
        let all = read(&whole).unwrap().1;
        // Two bytes say that it is a JPEG.
        for length in 2..whole.len() {
            for end in [&[][..], &[0xFF, 0xD9], &[0xFF, 0xFF, 0xD9]] {
                let cut = [&whole[..length], end].concat();
                if let Ok((judgement, pixels)) = read(&cut) {
                    assert_eq!(judgement, Judgement::Whole, "{kind} {length}");
                    assert!(pixels == all, "{kind} {length}");
                    assert!(whole.len() - length <= 3, "{kind} {length}");
                }
            }
        }
    }
}

#[test]
fn faults_say_how_far_the_data_goes() {
    let whole = file("grey.jpg");
    let half = [&whole[..whole.len() - 90], &[0xFF, 0xD9]].concat();
    let text = inspect(&half).unwrap_err().to_string();
    assert!(
        text.starts_with("the picture is cut off: its data ends at "),
        "{text}"
    );
    assert_eq!(inspect(&[0xFF, 0xD8]), Err(Fault::Header));
    assert_eq!(inspect(&[0xFF, 0xD8, 0xFF, 0xD9]), Err(Fault::Header));
    // Up to the second scan.
    let scans = file("progressive.jpg");
    let second = scans
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| *pair == [0xFF, 0xDA])
        .nth(1);
    let cut = [&scans[..second.unwrap().0], &[0xFF, 0xD9]].concat();
    assert_eq!(inspect(&cut), Err(Fault::Coarse));
    let gap = file("restart.jpg");
    let at = gap
        .windows(2)
        .position(|pair| pair == [0xFF, 0xD0])
        .unwrap();
    let next = gap
        .windows(2)
        .position(|pair| pair == [0xFF, 0xD1])
        .unwrap();
    let gap = [&gap[..at], &gap[next..]].concat();
    assert!(
        matches!(inspect(&gap), Err(Fault::Gap { .. })),
        "{:?}",
        inspect(&gap)
    );
}

#[test]
fn tables_and_end_markers_may_be_missing() {
    for kind in [
        "410",
        "420",
        "444",
        "grey",
        "restart",
        "separate444",
        "cmyk",
    ] {
        let whole = file(&format!("{kind}.jpg"));
        let all = read(&whole).unwrap().1;
        let bare = without(&whole, 0xC4);
        let marker = bare.len() - 2;
        assert!(bare.len() < whole.len() - 100, "{kind}");
        assert_eq!(bare[marker..], [0xFF, 0xD9]);
        for bytes in [
            &bare[..],
            &bare[..marker],
            &whole[..whole.len() - 2],
            &whole[..whole.len() - 1],
        ] {
            assert_eq!(read(bytes), Ok((Judgement::Whole, all.clone())), "{kind}");
        }
    }
}

#[test]
fn what_follows_a_picture_does_no_harm() {
    let other = file("444.jpg");
    for kind in KINDS {
        let whole = file(&format!("{kind}.jpg"));
        let read_as = read(&whole).unwrap();
        let unended = &whole[..whole.len() - 2];
        for bytes in [
            [&whole[..], &[0; 9]].concat(),
            [&whole[..], b"more", &other].concat(),
            [unended, &other].concat(),
            // A segment after the data that has no end.
            [unended, &[0xFF, 0xFE, 0x30, 0x00, 1, 2]].concat(),
            [unended, &[0xFF]].concat(),
        ] {
            assert_eq!(read(&bytes).as_ref(), Ok(&read_as), "{kind}");
        }
    }
}

#[test]
fn changed_data_is_damaged() {
    let whole = file("grey.jpg");
    let start = whole
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap()
        + 10;
    // Half of the data once more.
    let middle = (start + whole.len()) / 2;
    let longer = [&whole[..middle], &whole[start..]].concat();
    let judged = inspect(&longer).map(|i| i.judgement);
    assert!(!matches!(judged, Ok(Judgement::Whole)), "{judged:?}");
    let mut zeros = whole.clone();
    zeros[start + 8..middle].fill(0);
    let judged = inspect(&zeros).map(|i| i.judgement);
    assert!(!matches!(judged, Ok(Judgement::Whole)), "{judged:?}");
}

#[test]
fn other_codings_are_left_to_decoders() {
    let arithmetic = file("arithmetic.jpg");
    let judged = |bytes: &[u8]| inspect(bytes).map(|i| i.judgement);
    assert_eq!(judged(&arithmetic), Ok(Judgement::Unknown { ended: true }));
    let cut = &arithmetic[..arithmetic.len() - 40];
    assert_eq!(judged(cut), Ok(Judgement::Unknown { ended: false }));
}

#[cfg(feature = "ffmpeg")]
#[test]
fn both_fields_of_a_frame_are_looked_into() {
    let field = file("422.jpg");
    let cut = [&field[..field.len() - 60], &[0xFF, 0xD9]].concat();
    assert!(inspect_fields(&[&field[..], &field].concat()).is_ok());
    assert!(inspect_fields(&[&field[..], &[0, 0], &cut].concat()).is_err());
    assert!(inspect_fields(&[&cut[..], &field].concat()).is_err());
    // A picture of another size is no field.
    let small = &without(&field, 0xC0);
    assert!(inspect_fields(&[&field[..], small].concat()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_panic(
        kind in 0..KINDS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = file(&format!("{}.jpg", KINDS[kind]));
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let _ = inspect(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        if let Ok(inspection) = inspect(&bytes) {
            // What is completed is complete.
            let again = inspect(&inspection.completed(&bytes));
            prop_assert_eq!(again.map(|i| i.judgement), Ok(inspection.judgement));
        }
    }

    #[test]
    fn noise_is_no_picture(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let start = [&[0xFF, 0xD8][..], &bytes].concat();
        let _ = inspect(&start);
        let _ = inspect(&bytes);
    }
}
