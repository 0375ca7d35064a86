//! Videos that the tests write themselves.

use std::fs;
use std::process::Command;

use camino::Utf8Path;
use msn_video::{
    Coding, Color, Frame, Options, Picture, Reader, Size, SourceKind, VideoError, VideoWriter,
    is_video_file, open,
};

use crate::scene;

const SIZE: Size = Size::new(48, 32);

fn frames(path: &Utf8Path, options: &Options) -> Vec<Frame> {
    let items = open(path, options).unwrap();
    items
        .map(|item| item.unwrap().into_frame().unwrap())
        .collect()
}

#[test]
fn what_is_written_comes_back() {
    let (_keep, folder) = scene::folder();
    for ending in ["mp4", "mov", "avi", "mkv", "ts"] {
        for color in [Color::Grey, Color::Rgb] {
            let path = folder.join(format!("{color:?}.{ending}"));
            let mut writer = VideoWriter::create(&path, SIZE, 25).unwrap();
            let pictures: Vec<_> = (0..30).map(|i| scene::picture(SIZE, color, i)).collect();
            for picture in &pictures {
                writer.write(picture).unwrap();
            }
            assert!(!path.exists(), "the name is given last");
            writer.finish().unwrap();
            let options = Options {
                color,
                ..Options::default()
            };
            let mut reader = open(&path, &options).unwrap();
            let info = reader.info().clone();
            assert_eq!((info.kind, info.size), (SourceKind::File, SIZE));
            assert_eq!(info.codec.as_deref(), Some("mpeg4"));
            assert_eq!(info.rate_hz, Some(25.0), "{ending}");
            let got: Vec<_> = reader
                .by_ref()
                .map(|item| item.unwrap().into_frame().unwrap())
                .collect();
            assert_eq!(got.len(), 30, "{ending}");
            for (i, (frame, picture)) in got.iter().zip(&pictures).enumerate() {
                assert_eq!(frame.index, i);
                let seconds = frame.seconds.unwrap();
                assert!(
                    (seconds - i as f64 / 25.0).abs() < 1e-3,
                    "{ending} {i} {seconds}"
                );
                let distance = scene::mean_distance(&frame.picture, picture);
                let limit = if color == Color::Grey { 1.5 } else { 4.0 };
                assert!(distance < limit, "{ending} {color:?} {i}: {distance}");
            }
            assert!(
                reader.decode_errors().is_empty(),
                "{:?}",
                reader.decode_errors()
            );
            assert_eq!(info.notes, [""; 0]);
        }
    }
}

#[test]
fn the_same_pictures_give_the_same_bytes() {
    let (_keep, folder) = scene::folder();
    for ending in ["mp4", "avi", "mkv", "mov", "ts"] {
        let paths = ["a", "b"].map(|name| folder.join(format!("{name}.{ending}")));
        for path in &paths {
            scene::video(path, SIZE, 15);
        }
        let [a, b] = paths.map(|path| fs::read(path).unwrap());
        assert!(a == b, "{ending}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_frames() {
    let (_keep, folder) = scene::folder();
    let path = folder.join("v.mp4");
    scene::video(&path, SIZE, 40);
    let read = |threads| {
        frames(
            &path,
            &Options {
                threads,
                ..Options::default()
            },
        )
    };
    let one = read(1);
    assert_eq!(one.len(), 40);
    for threads in [0, 2, 5, 1000] {
        assert!(read(threads) == one, "{threads}");
    }
}

#[test]
fn sizes_from_one_pixel_up() {
    let (_keep, folder) = scene::folder();
    for (width, height) in [(1, 1), (2, 3), (17, 9), (383, 287)] {
        let size = Size::new(width, height);
        let path = folder.join(format!("{size}.mkv"));
        scene::video(&path, size, 3);
        let got = frames(&path, &Options::default());
        assert_eq!(got.len(), 3);
        assert!(got.iter().all(|f| f.picture.size == size));
        let small = Options {
            size: Some(Size::new(8, 8)),
            ..Options::default()
        };
        assert_eq!(frames(&path, &small)[2].picture.size, Size::new(8, 8));
    }
}

/// Whatever this FFmpeg has an encoder for; H.264 and VP9 where it is a usual one.
#[test]
fn what_browsers_play_comes_back_with_its_index_in_front() {
    let (_keep, folder) = scene::folder();
    let mut found = Vec::new();
    for (coding, codec) in [(Coding::H264, "h264"), (Coding::Vp9, "vp9")] {
        let path = folder.join(format!("{codec}.{}", coding.ending()));
        let size = Size::new(64, 48);
        let mut writer = match VideoWriter::create_as(&path, size, 25, coding) {
            Ok(writer) => writer,
            Err(error) => {
                eprintln!("skipped: {codec}: {error}");
                continue;
            }
        };
        found.push(coding);
        let pictures: Vec<_> = (0..30)
            .map(|i| scene::picture(size, Color::Grey, i))
            .collect();
        for picture in &pictures {
            writer.write(picture).unwrap();
        }
        writer.finish().unwrap();
        let reader = open(&path, &Options::default()).unwrap();
        assert_eq!(reader.info().codec.as_deref(), Some(codec));
        let got = frames(&path, &Options::default());
        assert_eq!(got.len(), 30, "{codec}");
        for (i, (frame, picture)) in got.iter().zip(&pictures).enumerate() {
            let seconds = frame.seconds.unwrap();
            assert!((seconds - i as f64 / 25.0).abs() < 2e-3, "{codec} {i}");
            let distance = scene::mean_distance(&frame.picture, picture);
            assert!(distance < 8.0, "{codec} {i}: {distance}");
        }
        let bytes = fs::read(&path).unwrap();
        let place = |name: &[u8]| bytes.windows(4).position(|four| four == name);
        if coding == Coding::H264 {
            assert!(place(b"moov").unwrap() < place(b"mdat").unwrap());
        }
    }
    assert_eq!(Coding::for_browsers(), found.first().copied());
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let (_keep, folder) = scene::folder();
    let mut writer = VideoWriter::create(&folder.join("v.avi"), SIZE, 5).unwrap();
    writer.write(&scene::picture(SIZE, Color::Grey, 0)).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    drop(writer);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let writer = VideoWriter::create(&folder.join("v.avi"), SIZE, 5).unwrap();
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("no picture"), "{error}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn writers_refuse_what_they_cannot_write() {
    let (_keep, folder) = scene::folder();
    let create = |name: &str, size, rate| VideoWriter::create(&folder.join(name), size, rate);
    assert!(matches!(
        create("v.gif", SIZE, 5),
        Err(VideoError::Unwritable { .. })
    ));
    assert!(matches!(
        create("no/v.mp4", SIZE, 5),
        Err(VideoError::Unwritable { .. })
    ));
    assert!(matches!(
        create("v.mp4", Size::new(0, 4), 5),
        Err(VideoError::BadSize { .. })
    ));
    assert!(matches!(
        create("v.mp4", Size::new(4, 9000), 5),
        Err(VideoError::BadSize { .. })
    ));
    for rate in [0, 65_536, u32::MAX] {
        assert!(matches!(
            create("v.mp4", SIZE, rate),
            Err(VideoError::BadRate { .. })
        ));
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let mut writer = create("v.mp4", SIZE, 65_535).unwrap();
    let other = Picture::filled(Size::new(9, 9), Color::Grey, 0).unwrap();
    assert!(matches!(
        writer.write(&other),
        Err(VideoError::WrongSize { .. })
    ));
    let short = Picture {
        size: SIZE,
        color: Color::Grey,
        pixels: vec![0; 3],
    };
    assert!(matches!(
        writer.write(&short),
        Err(VideoError::BadPicture { .. })
    ));
}

#[test]
fn readers_and_writers_can_change_threads() {
    fn is_send<T: Send>() {}
    is_send::<Reader>();
    is_send::<VideoWriter>();
    is_send::<VideoError>();
}

#[test]
fn names_with_colons_percents_and_quotes_are_names() {
    let (_keep, folder) = scene::folder();
    for name in ["http:v.mp4", "a%03d.mp4", "it's [a] b.mp4", "ü,=|.mp4"] {
        let path = folder.join(name);
        scene::video(&path, SIZE, 2);
        assert_eq!(frames(&path, &Options::default()).len(), 2, "{name}");
    }
}

#[test]
fn video_endings() {
    for name in ["a.AVI", "b/c.mp4", "d.webm", "e.MkV", "f.ts", "g.mov"] {
        assert!(is_video_file(name), "{name}");
    }
    for name in ["a.jpg", "mp4", "._a.mp4", ".mp4", "a.txt", "a"] {
        assert!(!is_video_file(name), "{name}");
    }
}

/// Makes a file with the `ffmpeg` program; false where it can't.
fn made(arguments: &[&str], path: &Utf8Path) -> bool {
    let run = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments)
        .arg(path)
        .output();
    match run {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!(
                "skipped {path}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            false
        }
        Err(_) => {
            eprintln!("skipped: no program ffmpeg");
            false
        }
    }
}

/// Pixel formats that codecs give, each against FFmpeg's own conversion.
#[test]
fn pixel_formats_agree_with_the_ffmpeg_program() {
    let (_keep, folder) = scene::folder();
    let source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=1"];
    for (name, extra) in [
        (
            "yuv420p.avi",
            &["-c:v", "rawvideo", "-pix_fmt", "yuv420p"][..],
        ),
        ("yuyv422.avi", &["-c:v", "rawvideo", "-pix_fmt", "yuyv422"]),
        // Rows of this one lie from the bottom up.
        ("bgr24.avi", &["-c:v", "rawvideo", "-pix_fmt", "bgr24"]),
        ("rgb.mkv", &["-c:v", "ffv1", "-pix_fmt", "gbrp"]),
        ("bgra.mkv", &["-c:v", "ffv1", "-pix_fmt", "bgra"]),
        ("grey16.mkv", &["-c:v", "ffv1", "-pix_fmt", "gray16le"]),
        ("deep.mkv", &["-c:v", "ffv1", "-pix_fmt", "yuv422p10le"]),
        ("alpha.mkv", &["-c:v", "ffv1", "-pix_fmt", "yuva444p"]),
        ("palette.avi", &["-c:v", "rawvideo", "-pix_fmt", "pal8"]),
        ("grey.avi", &["-c:v", "rawvideo", "-pix_fmt", "gray"]),
        ("nv12.nut", &["-c:v", "rawvideo", "-pix_fmt", "nv12"]),
        (
            "full.avi",
            &["-c:v", "mjpeg", "-pix_fmt", "yuvj444p", "-q:v", "2"],
        ),
        (
            "hd.mkv",
            &[
                "-vf",
                "scale=out_color_matrix=bt709",
                "-c:v",
                "ffv1",
                "-colorspace",
                "bt709",
                "-pix_fmt",
                "yuv444p",
            ],
        ),
        (
            "uhd.mkv",
            &[
                "-vf",
                "scale=out_color_matrix=bt2020",
                "-c:v",
                "ffv1",
                "-colorspace",
                "bt2020nc",
                "-pix_fmt",
                "yuv420p12le",
            ],
        ),
    ] {
        let path = folder.join(name);
        if !made(&[&source[..], extra].concat(), &path) {
            continue;
        }
        let raw = folder.join("raw.rgb");
        let to_rgb = [
            "-i",
            path.as_str(),
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-sws_flags",
            "bilinear+accurate_rnd+full_chroma_int",
        ];
        assert!(made(&to_rgb, &raw));
        let size = Size::new(96, 64);
        let theirs: Vec<_> = fs::read(&raw)
            .unwrap()
            .chunks(96 * 64 * 3)
            .map(|pixels| Picture::new(size, Color::Rgb, pixels.to_vec()).unwrap())
            .collect();
        for color in [Color::Grey, Color::Rgb] {
            let ours = frames(
                &path,
                &Options {
                    color,
                    ..Options::default()
                },
            );
            assert_eq!(ours.len(), theirs.len(), "{name}");
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let theirs = theirs.clone().into_color(color);
                let distance = scene::mean_distance(&ours.picture, &theirs);
                println!("{name} {color:?}: {distance:.2}");
                // Halved chroma is enlarged by another filter than FFmpeg's.
                let limit = if color == Color::Rgb { 4.5 } else { 2.0 };
                assert!(distance < limit, "{name} {color:?}: {distance}");
            }
        }
    }
}

#[test]
fn ignored_properties_are_noted() {
    let (_keep, folder) = scene::folder();
    let source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=5:duration=1"];
    for (name, extra, note) in [
        (
            "wide.mkv",
            &["-vf", "setsar=4/3"][..],
            "sample aspect ratio 4:3",
        ),
        (
            "alpha.mkv",
            &["-c:v", "ffv1", "-pix_fmt", "yuva420p"],
            "transparency",
        ),
        (
            "fields.mp4",
            &["-c:v", "mpeg4", "-flags", "+ildct", "-vf", "setfield=tff"],
            "interlaced",
        ),
    ] {
        let path = folder.join(name);
        if made(&[&source[..], extra].concat(), &path) {
            let mut reader = open(&path, &Options::default()).unwrap();
            assert_eq!(reader.by_ref().filter(|i| i.is_ok()).count(), 5, "{name}");
            let notes = &reader.info().notes;
            assert!(notes.iter().any(|n| n.contains(note)), "{name}: {notes:?}");
        }
    }
    let path = folder.join("two.mkv");
    let two = ["-map", "0:v", "-map", "0:v", "-c:v", "mpeg4"];
    if made(&[&source[..], &two].concat(), &path) {
        let notes = open(&path, &Options::default())
            .unwrap()
            .info()
            .notes
            .clone();
        assert!(
            notes.iter().any(|n| n.contains("2 video streams")),
            "{notes:?}"
        );
    }
}

/// A stream whose picture changes its size on the way.
#[test]
fn a_changing_size_is_resized_with_one_note() {
    let (_keep, folder) = scene::folder();
    let mut bytes = Vec::new();
    for size in ["96x64", "64x96", "32x32"] {
        let part = folder.join(format!("{size}.mjpeg"));
        let source = format!("testsrc2=size={size}:rate=5:duration=1");
        let arguments = ["-f", "lavfi", "-i", &source, "-c:v", "mjpeg", "-f", "mjpeg"];
        if !made(&arguments, &part) {
            return;
        }
        bytes.extend(fs::read(part).unwrap());
    }
    let path = folder.join("all.mjpeg");
    fs::write(&path, bytes).unwrap();
    for size in [None, Some(Size::new(40, 30))] {
        let mut reader = open(
            &path,
            &Options {
                size,
                ..Options::default()
            },
        )
        .unwrap();
        let wanted = size.unwrap_or(Size::new(96, 64));
        let sizes: Vec<_> = reader
            .by_ref()
            .map(|i| i.unwrap().into_frame().unwrap().picture.size)
            .collect();
        assert_eq!(sizes, [wanted; 15]);
        let changes = reader
            .info()
            .notes
            .iter()
            .filter(|n| n.contains("differ in size"))
            .count();
        assert_eq!(changes, 1, "{:?}", reader.info().notes);
    }
}
