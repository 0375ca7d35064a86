//! Clocks as recorders leave them: footage like that of public reports, and stream copies.

use camino::{Utf8Path, Utf8PathBuf};
use msn_video::{DecodeErrors, Frame, Info, Item, Options, Size, open};

use crate::scene;

const OPTIONS: Options = Options {
    size: Some(Size::new(16, 16)),
    color: msn_video::Color::Grey,
    threads: 1,
    folder_hz: None,
    stretch: None,
};

/// A file like one of a public report, or a line that says that it is missing.
fn report(file: &str) -> Option<Utf8PathBuf> {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/reports");
    let path = folder.join(file);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: no {path}");
    None
}

fn read(path: &Utf8Path) -> (Vec<Frame>, DecodeErrors, Info) {
    let mut reader = open(path, &OPTIONS).unwrap();
    let items: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
    let frames = items.into_iter().filter_map(Item::into_frame).collect();
    (
        frames,
        reader.decode_errors().clone(),
        reader.info().clone(),
    )
}

/// The source's frame of each item; `None` for a cut.
fn shown(path: &Utf8Path, rate_hz: f64) -> Vec<Option<usize>> {
    let resampled = open(path, &OPTIONS).unwrap().resampled(rate_hz).unwrap();
    resampled
        .map(|item| item.unwrap().into_frame().map(|frame| frame.source_index))
        .collect()
}

/// Items of each take.
fn takes(path: &Utf8Path, rate_hz: f64) -> Vec<usize> {
    let shown = shown(path, rate_hz);
    shown.split(Option::is_none).map(<[_]>::len).collect()
}

/// Runs the `ffmpeg` program; `None`, with a line, where it can't make this.
fn ffmpeg(arguments: &str, path: &Utf8Path) -> Option<()> {
    let done = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-y"])
        .args(arguments.split_whitespace())
        .arg(path)
        .output();
    if done.is_ok_and(|output| output.status.success()) {
        return Some(());
    }
    eprintln!("skipped: no ffmpeg program that makes {path}");
    None
}

/// A path in every container that takes H.264.
fn copies(folder: &Utf8Path, name: &str) -> Vec<Utf8PathBuf> {
    let endings = ["mkv", "ts", "flv", "mp4"];
    endings.map(|e| folder.join(format!("{name}.{e}"))).to_vec()
}

#[test]
fn a_clock_that_jumps_by_decades_is_a_cut() {
    let Some(path) = report("03-ntp-jump/ntp.mkv") else {
        return;
    };
    assert_eq!(read(&path).0.len(), 80);
    assert_eq!(takes(&path, 10.0), [16, 16]);
}

#[test]
fn segments_whose_clock_goes_on_are_whole() {
    for file in ["35-mkv-offset/seg0.mkv", "35-mkv-offset/seg1.mkv"] {
        let Some(path) = report(file) else { return };
        let (frames, errors, info) = read(&path);
        assert!(errors.is_empty(), "{file}: {errors:?}");
        assert_eq!((frames.len(), info.frames), (80, Some(80)), "{file}");
        assert_eq!(frames[0].seconds, Some(0.0));
    }
}

#[test]
fn every_container_of_a_segment_is_whole() {
    let Some(source) = report("35-mkv-offset/seg1.mkv") else {
        return;
    };
    let (_keep, folder) = scene::folder();
    for path in copies(&folder, "offset") {
        let copy = format!("-copyts -i {source} -c copy -copyts");
        if ffmpeg(&copy, &path).is_none() {
            return;
        }
        let (frames, errors, _) = read(&path);
        assert!(errors.is_empty(), "{path}: {errors:?}");
        assert_eq!((frames.len(), frames[0].seconds), (80, Some(0.0)), "{path}");
    }
}

#[test]
fn times_count_from_the_start_of_the_sound() {
    let Some(path) = report("36-video-after-sound/late.mp4") else {
        return;
    };
    let near = |frame: &Frame, seconds: f64| (frame.seconds.unwrap() - seconds).abs() < 0.03;
    let (frames, errors, info) = read(&path);
    assert_eq!((frames.len(), info.start_seconds), (120, Some(0.0)));
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(
        (frames[0].seconds, frames[24].seconds),
        (Some(5.0), Some(7.4))
    );
    // Numbers count frames, whenever the first comes.
    assert_eq!(shown(&path, 10.0), (0..120).map(Some).collect::<Vec<_>>());
    let (_keep, folder) = scene::folder();
    for copy in copies(&folder, "late") {
        if ffmpeg(&format!("-i {path} -c copy"), &copy).is_none() {
            return;
        }
        let frames = read(&copy).0;
        assert!(
            near(&frames[0], 5.0) && near(&frames[24], 7.4),
            "{copy}: {:?}",
            frames[24].seconds
        );
    }
}

#[test]
fn a_slow_camera_is_slow_whatever_the_header_says() {
    let Some(path) = report("37-slow-camera/slow.mkv") else {
        return;
    };
    let mp4 = report("37-slow-camera/slow.mp4").unwrap();
    let (_keep, folder) = scene::folder();
    let mut all = vec![path.clone(), mp4];
    for copy in copies(&folder, "slow") {
        all.extend(ffmpeg(&format!("-i {path} -c copy"), &copy).map(|()| copy));
    }
    let first = shown(&path, 10.0);
    for path in all {
        assert_eq!(takes(&path, 10.0), [800], "{path}");
        assert_eq!(shown(&path, 10.0), first, "{path}");
        let pace = msn_video::pace(&path).unwrap().unwrap();
        assert_eq!(
            (pace.step_seconds, pace.is_variable()),
            (2.0, false),
            "{path}"
        );
        let notes = read(&path).2.notes;
        assert!(!notes.iter().any(|note| note.contains("jump")), "{notes:?}");
    }
}

#[test]
fn bursts_are_takes() {
    let Some(path) = report("37b-motion-bursts/bursts.mp4") else {
        return;
    };
    assert_eq!(takes(&path, 10.0), [16; 10]);
    assert_eq!(takes(&path, 5.0), [8; 10]);
}

#[test]
fn a_stream_copy_to_another_container_changes_nothing() {
    let (_keep, folder) = scene::folder();
    let lavfi = "-f lavfi -i testsrc2=size=64x48:duration=6:rate=";
    let x264 = "-c:v libx264 -g 15 -fps_mode passthrough";
    for (name, make) in [
        ("even", format!("{lavfi}30000/1001 {x264} -bf 2")),
        (
            "gap",
            format!("{lavfi}30000/1001 -vf setpts=PTS+gte(N\\,70)*40/TB {x264} -bf 2"),
        ),
        (
            "uneven",
            format!("{lavfi}25 -vf select=not(mod(n\\,7))+not(mod(n\\,3)) {x264} -bf 0"),
        ),
        (
            "slowing",
            format!("{lavfi}24000/1001 -vf setpts=PTS*(1+gte(N\\,60)) {x264} -bf 2"),
        ),
    ] {
        let source = folder.join(format!("{name}-source.mp4"));
        if ffmpeg(&make, &source).is_none() {
            return;
        }
        let count = read(&source).0.len();
        for path in copies(&folder, name) {
            ffmpeg(&format!("-i {source} -c copy"), &path).unwrap();
            assert_eq!(read(&path).0.len(), count, "{path}");
            for rate_hz in [10.0, 7.0, 25.0] {
                assert_eq!(
                    shown(&path, rate_hz),
                    shown(&source, rate_hz),
                    "{path} {rate_hz}"
                );
            }
        }
    }
}

#[test]
fn frames_before_the_first_key_frame_are_lost() {
    let (_keep, folder) = scene::folder();
    let source = folder.join("source.mp4");
    let lavfi = "-f lavfi -i testsrc2=size=64x48:rate=25:duration=2";
    let x264 = "-c:v libx264 -g 12 -x264-params scenecut=0 -bf";
    for b_frames in [0, 2] {
        if ffmpeg(&format!("{lavfi} {x264} {b_frames}"), &source).is_none() {
            return;
        }
        for path in copies(&folder, "middle") {
            // The first key frame and the four packets after it are not there.
            let cut = format!("-i {source} -c copy -bsf:v noise=drop=lt(n\\,5)");
            if ffmpeg(&cut, &path).is_none() {
                return;
            }
            let (frames, errors, _) = read(&path);
            let found = (frames.len(), errors.lost, frames[0].index);
            assert_eq!(found, (38, 7, 7), "{path} {b_frames}: {errors:?}");
            assert!(errors.bytes > 0 && !errors.reasons.is_empty(), "{errors:?}");
        }
        // A whole file loses nothing, also where packets have times of decoding alone.
        let avi = folder.join("whole.avi");
        let asf = folder.join("whole.asf");
        ffmpeg(&format!("-i {source} -c:v mpeg4 -bf {b_frames}"), &avi).unwrap();
        ffmpeg(&format!("-i {source} -c copy"), &asf).unwrap();
        for whole in [&source, &avi, &asf] {
            let (frames, errors, _) = read(whole);
            assert!(
                errors.is_empty() && frames.len() >= 49,
                "{whole}: {errors:?}"
            );
        }
    }
}
