//! Pictures of folders as recorders and cameras leave them: damaged, foreign, of more than 8 bits.

use std::fs;

use camino::Utf8Path;
use image::{ImageBuffer, Luma};
use msn_video::{
    Color, DecodeErrors, Item, Options, Picture, Size, Stretch, VideoError, measure_levels, open,
};
use proptest::prelude::*;
use tiff::encoder::{TiffEncoder, colortype};
use tiff::tags::Tag;

use crate::scene;

struct Read {
    lost: Vec<usize>,
    pictures: Vec<Picture>,
    errors: DecodeErrors,
    notes: Vec<String>,
}

fn read_as(path: &Utf8Path, options: &Options) -> Result<Read, VideoError> {
    let mut reader = open(path, options)?;
    let (mut lost, mut pictures) = (Vec::new(), Vec::new());
    for item in reader.by_ref() {
        match item? {
            Item::Lost(loss) => lost.push(loss.index),
            Item::Frame(frame) => pictures.push(frame.picture),
        }
    }
    let (errors, notes) = (reader.decode_errors().clone(), reader.info().notes.clone());
    Ok(Read {
        lost,
        pictures,
        errors,
        notes,
    })
}

fn read(path: &Utf8Path) -> Read {
    read_as(path, &Options::default()).unwrap()
}

fn stretched(low: f64, high: f64) -> Options {
    Options {
        stretch: Some(Stretch::new(low, high).unwrap()),
        ..Options::default()
    }
}

fn deep_png(path: &Utf8Path, width: u32, values: &[u16]) {
    let height = u32::try_from(values.len()).unwrap() / width;
    let image = ImageBuffer::<Luma<u16>, _>::from_raw(width, height, values.to_vec()).unwrap();
    image.save(path).unwrap();
}

#[test]
fn half_jpegs_of_a_recorder_are_lost() {
    let Some(reports) = scene::reports() else {
        return;
    };
    let got = read(&reports.join("38-half-jpeg/frames"));
    assert_eq!(got.lost, [10, 11, 12, 13, 14]);
    assert_eq!((got.errors.lost, got.errors.damaged), (5, 0));
    assert!(
        got.errors.reasons[0].contains("010.jpg: the picture is cut off"),
        "{:?}",
        got.errors
    );
}

#[test]
fn jpegs_without_tables_have_the_pixels_of_those_with() {
    let Some(reports) = scene::reports() else {
        return;
    };
    let folder = reports.join("06-jpeg-no-dht");
    let (bare, whole) = (read(&folder.join("frames")), read(&folder.join("with-dht")));
    assert_eq!((bare.pictures.len(), bare.errors.is_empty()), (12, true));
    assert!(bare.pictures == whole.pictures);
}

#[test]
fn thermal_pictures_say_what_is_left_and_have_a_stretch() {
    let Some(reports) = scene::reports() else {
        return;
    };
    let folder = reports.join("04-thermal16/thermal");
    let plain = read(&folder);
    let note = plain
        .notes
        .iter()
        .find(|note| note.contains("few levels are left, 5 of 256"));
    assert!(
        note.is_some_and(|n| n.contains("51241 to 52181") && n.contains("stretch=auto")),
        "{:?}",
        plain.notes
    );
    let levels = measure_levels(&folder, 1).unwrap().unwrap();
    let stretch = levels.stretch().unwrap();
    assert!(
        stretch.low() < 51_241.0 && stretch.high() > 52_100.0,
        "{stretch}"
    );
    let options = stretched(stretch.low(), stretch.high());
    let got = read_as(&folder, &options).unwrap();
    assert_eq!(got.notes, [""; 0]);
    let mut used = [false; 256];
    for value in got.pictures.iter().flat_map(|picture| &picture.pixels) {
        used[usize::from(*value)] = true;
    }
    let used = used.iter().filter(|used| **used).count();
    assert!(used > 80, "{used}");
}

#[test]
fn a_damaged_jpeg_is_counted() {
    let (_keep, folder) = scene::folder();
    let picture = scene::picture(Size::new(40, 32), Color::Grey, 0);
    let image = image::GrayImage::from_raw(40, 32, picture.pixels).unwrap();
    image.save(folder.join("0.jpg")).unwrap();
    let whole = fs::read(folder.join("0.jpg")).unwrap();
    // The same data twice.
    let start = whole
        .windows(2)
        .position(|pair| pair == [0xFF, 0xDA])
        .unwrap()
        + 10;
    let more = [&whole[..whole.len() - 2], &whole[start..]].concat();
    fs::write(folder.join("1.jpg"), more).unwrap();
    let got = read(&folder);
    assert_eq!(
        (got.pictures.len(), got.errors.lost, got.errors.damaged),
        (2, 0, 1)
    );
    assert!(got.errors.reasons[0].contains("1.jpg"), "{:?}", got.errors);
}

/// Writes a TIFF by the library's encoder.
fn tiff<C: colortype::ColorType>(path: &Utf8Path, width: u32, values: &[C::Inner])
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let height = u32::try_from(values.len()).unwrap() / width;
    let mut encoder = TiffEncoder::new(fs::File::create(path).unwrap()).unwrap();
    encoder.write_image::<C>(width, height, values).unwrap();
}

#[test]
fn tiffs_of_foreign_kinds_are_read() {
    let one = |name: &str, write: &dyn Fn(&Utf8Path), options: &Options| {
        let (_keep, folder) = scene::folder();
        write(&folder.join(name));
        let mut got = read_as(&folder, options)?;
        assert!(got.errors.is_empty(), "{name}: {:?}", got.errors);
        Ok::<_, VideoError>(got.pictures.remove(0).pixels)
    };
    let plain = Options::default();
    // Floats of 0 to 1, and others with a stretch alone.
    let floats = |path: &Utf8Path| tiff::<colortype::Gray32Float>(path, 3, &[0.0, 0.5, 1.0]);
    assert_eq!(one("a.tif", &floats, &plain).unwrap(), [0, 128, 255]);
    let kelvin =
        |path: &Utf8Path| tiff::<colortype::Gray32Float>(path, 4, &[250.0, 290.0, 300.0, f32::NAN]);
    let error = one("a.tif", &kelvin, &plain).unwrap_err().to_string();
    assert!(
        error.contains("250 to 300") && error.contains("stretch=LOW..HIGH"),
        "{error}"
    );
    assert_eq!(
        one("a.tif", &kelvin, &stretched(280.0, 300.0)).unwrap(),
        [0, 128, 255, 0]
    );
    let doubles = |path: &Utf8Path| tiff::<colortype::Gray64Float>(path, 2, &[0.25, 1.0]);
    assert_eq!(one("a.tif", &doubles, &plain).unwrap(), [64, 255]);
    // Signed numbers.
    let signed =
        |path: &Utf8Path| tiff::<colortype::GrayI16>(path, 4, &[i16::MIN, -1, 0, i16::MAX]);
    assert_eq!(one("a.tif", &signed, &plain).unwrap(), [0, 127, 128, 255]);
    assert_eq!(
        one("a.tif", &signed, &stretched(-100.0, 100.0)).unwrap(),
        [0, 126, 128, 255]
    );
    let whole = |path: &Utf8Path| tiff::<colortype::Gray32>(path, 2, &[0, u32::MAX]);
    assert_eq!(one("a.tif", &whole, &plain).unwrap(), [0, 255]);
    // The 64-bit form of the format.
    let big = |path: &Utf8Path| {
        let mut encoder = TiffEncoder::new_big(fs::File::create(path).unwrap()).unwrap();
        encoder
            .write_image::<colortype::Gray8>(2, 1, &[7, 9])
            .unwrap();
    };
    assert_eq!(one("a.tif", &big, &plain).unwrap(), [7, 9]);
    let big = |path: &Utf8Path| {
        let mut encoder = TiffEncoder::new_big(fs::File::create(path).unwrap()).unwrap();
        encoder
            .write_image::<colortype::Gray16>(2, 1, &[0, 65_535])
            .unwrap();
    };
    assert_eq!(one("a.tif", &big, &plain).unwrap(), [0, 255]);
    // What is not read says so and names a way out.
    let lab = |path: &Utf8Path| tiff::<colortype::Gray64>(path, 2, &[0, u64::MAX]);
    let error = one("a.tif", &lab, &plain).unwrap_err().to_string();
    assert!(error.contains("is not read: convert it"), "{error}");
}

#[test]
fn palettes_of_tiffs_are_colours() {
    for big in [false, true] {
        let (_keep, folder) = scene::folder();
        let file = fs::File::create(folder.join("a.tif")).unwrap();
        let map: Vec<u16> = (0..768u16)
            .map(|i| (i % 256 / (1 + i / 256)) * 257)
            .collect();
        let indices = [0u8, 5, 200, 255, 128, 64];
        macro_rules! write {
            ($encoder:expr) => {{
                let mut encoder = $encoder.unwrap();
                let mut image = encoder.new_image::<colortype::Gray8>(3, 2).unwrap();
                let directory = image.encoder();
                directory
                    .write_tag(Tag::PhotometricInterpretation, 3u16)
                    .unwrap();
                directory.write_tag(Tag::ColorMap, &map[..]).unwrap();
                image.write_data(&indices).unwrap();
            }};
        }
        match big {
            false => write!(TiffEncoder::new(file)),
            true => write!(TiffEncoder::new_big(file)),
        }
        let options = Options {
            color: Color::Rgb,
            ..Options::default()
        };
        let got = read_as(&folder, &options).unwrap();
        let wanted: Vec<u8> = indices.iter().flat_map(|&i| [i, i / 2, i / 3]).collect();
        assert_eq!(got.pictures[0].pixels, wanted, "{big}");
    }
}

#[test]
fn a_stretch_is_two_numbers_in_order() {
    for (low, high) in [
        (1.0, 1.0),
        (2.0, 1.0),
        (f64::NAN, 1.0),
        (0.0, f64::INFINITY),
    ] {
        let error = Stretch::new(low, high).unwrap_err();
        assert!(matches!(error, VideoError::BadStretch { .. }));
    }
}

#[test]
fn notes_on_a_stretch_that_does_not_fit() {
    let (_keep, folder) = scene::folder();
    let values: Vec<u16> = (0..400).map(|i| 30_000 + i * 3).collect();
    deep_png(&folder.join("1.png"), 20, &values);
    let note = |options: &Options| read_as(&folder, options).unwrap().notes.join(";");
    assert!(note(&Options::default()).contains("few levels are left"));
    assert_eq!(note(&stretched(29_900.0, 31_300.0)), "");
    let wrong = note(&stretched(30_000.0, 30_600.0));
    assert!(
        wrong.contains("50 % of the values lie outside of stretch=30000..30600"),
        "{wrong}"
    );
    assert!(note(&stretched(0.0, 65_000.0)).contains("is wide for them"));
    // Pictures that 8 bits hold as well.
    let values: Vec<u16> = (0..400).map(|i| (i % 20) * 257).collect();
    deep_png(&folder.join("1.png"), 20, &values);
    assert_eq!(note(&Options::default()), "");
    assert!(measure_levels(&folder, 1).unwrap().is_some());
    let picture = scene::picture(Size::new(8, 8), Color::Grey, 0);
    image::GrayImage::from_raw(8, 8, picture.pixels)
        .unwrap()
        .save(folder.join("1.png"))
        .unwrap();
    assert!(note(&stretched(0.0, 600.0)).contains("which these are not"));
    assert!(measure_levels(&folder, 1).unwrap().is_none());
}

/// Frames of 16 bits in a video, without a codec between.
#[cfg(feature = "ffmpeg")]
fn y4m(path: &Utf8Path, width: usize, frames: &[Vec<u16>]) {
    let height = frames[0].len() / width;
    let mut bytes = format!("YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 Cmono16\n").into_bytes();
    for frame in frames {
        bytes.extend(b"FRAME\n");
        bytes.extend(frame.iter().flat_map(|value| value.to_le_bytes()));
    }
    fs::write(path, bytes).unwrap();
}

#[cfg(feature = "ffmpeg")]
#[test]
fn deep_video_is_stretched_and_measured_as_deep_pictures_are() {
    let (_keep, folder) = scene::folder();
    let frames: Vec<Vec<u16>> = (0..5u16)
        .map(|t| {
            (0..32 * 24)
                .map(|i: u16| 20_000 + (i % 32) * 16 + t)
                .collect()
        })
        .collect();
    fs::create_dir(folder.join("f")).unwrap();
    for (index, frame) in frames.iter().enumerate() {
        deep_png(&folder.join(format!("f/{index}.png")), 32, frame);
    }
    y4m(&folder.join("v.y4m"), 32, &frames);
    let (video, pictures) = (folder.join("v.y4m"), folder.join("f"));
    let [a, b] = [&video, &pictures].map(|path| measure_levels(path, 1).unwrap().unwrap());
    assert_eq!(a.stretch(), b.stretch());
    let stretch = a.stretch().unwrap();
    for options in [Options::default(), stretched(stretch.low(), stretch.high())] {
        let [a, b] = [&video, &pictures].map(|path| read_as(path, &options).unwrap());
        assert!(a.pictures == b.pictures);
        assert_eq!(a.notes, b.notes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Stretched or not, a value above another is never below it as a level.
    #[test]
    fn levels_keep_the_order_of_values(
        values in prop::collection::vec(any::<u16>(), 24),
        ends in prop::option::of((0..65_000u32, 1..70_000u32)),
    ) {
        let (_keep, folder) = scene::folder();
        deep_png(&folder.join("1.png"), 6, &values);
        let options = match ends {
            Some((low, width)) => stretched(f64::from(low), f64::from(low + width)),
            None => Options::default(),
        };
        let levels = read_as(&folder, &options).unwrap().pictures.remove(0).pixels;
        let mut pairs: Vec<_> = values.iter().zip(&levels).collect();
        pairs.sort();
        prop_assert!(pairs.is_sorted_by_key(|(_, level)| **level));
        if let Some((low, width)) = ends {
            for (value, level) in pairs {
                let exact = (f64::from(*value) - f64::from(low)) / f64::from(width) * 255.0;
                prop_assert!((exact.clamp(0.0, 255.0) - f64::from(*level)).abs() <= 0.51);
            }
        }
    }

    /// What is measured holds what it was measured on, but for outliers, and loses few levels.
    #[test]
    fn a_measured_stretch_holds_its_footage(low in 0..60_000u16, width in 1..5_000u16) {
        let (_keep, folder) = scene::folder();
        let values: Vec<u16> = (0..480u32)
            .map(|i| low + u16::try_from(i * u32::from(width) / 479).unwrap())
            .collect();
        deep_png(&folder.join("1.png"), 20, &values);
        let stretch = measure_levels(&folder, 1).unwrap().unwrap().stretch().unwrap();
        let options = stretched(stretch.low(), stretch.high());
        let got = read_as(&folder, &options).unwrap();
        prop_assert_eq!(got.errors.is_empty(), true);
        let pixels = &got.pictures[0].pixels;
        let kinds = |sorted: &[u64]| 1 + sorted.windows(2).filter(|p| p[0] != p[1]).count();
        let stored = kinds(&values.iter().map(|v| u64::from(*v)).collect::<Vec<_>>());
        let left = kinds(&pixels.iter().map(|v| u64::from(*v)).collect::<Vec<_>>());
        prop_assert!(left * 3 >= stored.min(250), "{left} of {stored}");
    }
}
