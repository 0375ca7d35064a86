//! A fixed rate from real and from written videos.

use msn_video::{Color, Item, Options, Size, VideoError, open};

use crate::scene;

const SIZE: Size = Size::new(32, 16);

#[test]
fn twice_the_rate_doubles_and_half_halves() {
    let (_keep, folder) = scene::folder();
    let path = folder.join("v.mp4");
    scene::video(&path, SIZE, 20);
    let source: Vec<_> = open(&path, &Options::default())
        .unwrap()
        .map(|i| i.unwrap().into_frame().unwrap().picture)
        .collect();
    for (rate, step) in [(10.0, 1.0), (20.0, 0.5), (5.0, 2.0), (2.5, 4.0)] {
        let resampled = open(&path, &Options::default())
            .unwrap()
            .resampled(rate)
            .unwrap();
        let frames: Vec<_> = resampled
            .map(|i| i.unwrap().into_frame().unwrap())
            .collect();
        assert_eq!(frames.len(), (20.0 / step) as usize, "{rate}");
        for (k, frame) in frames.iter().enumerate() {
            assert_eq!(frame.index, k);
            assert_eq!(frame.seconds, Some(k as f64 / rate));
            assert!(
                frame.picture == source[(k as f64 * step) as usize],
                "{rate} {k}"
            );
        }
    }
}

#[test]
fn uneven_times_become_even() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    let path = videos.join("derived/vtest_vfr.mp4");
    let options = Options {
        size: Some(SIZE),
        ..Options::default()
    };
    let source: Vec<_> = open(&path, &options)
        .unwrap()
        .map(|i| i.unwrap().into_frame().unwrap())
        .collect();
    let resampled = open(&path, &options).unwrap().resampled(10.0).unwrap();
    let even: Vec<_> = resampled
        .map(|i| i.unwrap().into_frame().unwrap())
        .collect();
    // 60 frames over 7.3 s, the last one held for the usual step.
    assert_eq!((source.len(), even.len()), (60, 74));
    for frame in &even {
        let shown = source
            .iter()
            .rev()
            .find(|f| f.seconds <= frame.seconds.map(|s| s + 1e-6));
        assert!(shown.unwrap().picture == frame.picture, "{}", frame.index);
    }
}

#[test]
fn losses_stay_lost() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    let options = Options {
        size: Some(SIZE),
        ..Options::default()
    };
    let reader = open(&videos.join("odd/corrupted.mp4"), &options).unwrap();
    let items: Vec<_> = reader
        .resampled(10.0)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let lost: Vec<_> = items
        .iter()
        .filter(|i| matches!(i, Item::Lost(_)))
        .map(Item::index)
        .collect();
    assert_eq!((items.len(), lost), (50, vec![30]));
}

#[test]
fn what_cannot_be_resampled_says_so() {
    let (_keep, folder) = scene::folder();
    let path = folder.join("v.mp4");
    scene::video(&path, SIZE, 3);
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1001.0] {
        let result = open(&path, &Options::default()).unwrap().resampled(rate);
        assert!(matches!(result, Err(VideoError::BadRate { .. })));
    }
    let frames = folder.join("frames");
    std::fs::create_dir(&frames).unwrap();
    let picture = scene::picture(SIZE, Color::Grey, 0);
    image::GrayImage::from_raw(32, 16, picture.pixels)
        .unwrap()
        .save(frames.join("1.png"))
        .unwrap();
    let result = open(&frames, &Options::default()).unwrap().resampled(5.0);
    assert!(matches!(result, Err(VideoError::NoTimes { .. })));
}

#[test]
fn streams_without_times_end_with_an_error() {
    let Some(videos) = scene::shared_videos() else {
        return;
    };
    let path = videos.join("derived/vtest_raw_annexb.h264");
    let mut resampled = open(&path, &Options::default())
        .unwrap()
        .resampled(5.0)
        .unwrap();
    assert!(matches!(
        resampled.next(),
        Some(Err(VideoError::NoTimes { .. }))
    ));
    assert!(resampled.next().is_none());
}

/// Runs of the `ffmpeg` program's own pictures; `None`, with a word, where it is not installed.
fn made(path: &camino::Utf8Path, arguments: &str) -> Option<()> {
    let source = "testsrc2=size=64x48:rate=25:duration=8";
    let done = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source])
        .args(arguments.split(' '))
        .arg(path)
        .output();
    match done {
        Ok(output) if output.status.success() => Some(()),
        _ => {
            eprintln!("skipped: no ffmpeg program that makes {path}");
            None
        }
    }
}

fn at_10_hz(path: &camino::Utf8Path) -> Vec<Item> {
    let options = Options {
        size: Some(SIZE),
        ..Options::default()
    };
    let resampled = open(path, &options).unwrap().resampled(10.0).unwrap();
    resampled.map(Result::unwrap).collect()
}

/// Runs of items between losses, as (first, last) seconds.
fn takes(items: &[Item]) -> Vec<(f64, f64)> {
    let mut takes: Vec<(f64, f64)> = Vec::new();
    let mut broken = true;
    for (index, item) in items.iter().enumerate() {
        assert_eq!(item.index(), items[0].index() + index);
        match item {
            Item::Lost(_) => broken = true,
            Item::Frame(frame) => {
                let now = frame.seconds.unwrap();
                match takes.last_mut() {
                    Some((_, last)) if !broken => {
                        assert!((now - *last - 0.1).abs() < 1e-9, "{last} to {now}");
                        *last = now;
                    }
                    _ => takes.push((now, now)),
                }
                broken = false;
            }
        }
    }
    takes
}

#[test]
fn frames_without_times_follow_those_before_them() {
    let (_keep, folder) = scene::folder();
    // B-frames in an avi have none.
    let path = folder.join("b.avi");
    if made(&path, "-c:v mpeg4 -bf 2").is_none() {
        return;
    }
    let items = at_10_hz(&path);
    assert!((79..=81).contains(&items.len()), "{}", items.len());
    assert_eq!(takes(&items).len(), 1);
}

#[test]
fn a_cut_in_time_is_a_loss_and_what_follows_is_there() {
    let (_keep, folder) = scene::folder();
    let gap = folder.join("gap.mp4");
    // A minute passes after the hundredth frame.
    let arguments = "-vf setpts=PTS+gte(N\\,100)*60/TB -c:v mpeg4 -fps_mode passthrough";
    if made(&gap, arguments).is_none() {
        return;
    }
    let items = at_10_hz(&gap);
    let found = takes(&items);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        (found[0].1 - 3.95).abs() < 0.3 && (found[1].0 - 64.0).abs() < 0.11,
        "{found:?}"
    );
    assert!((80..=86).contains(&items.len()), "{}", items.len());
    let pace = msn_video::pace(&gap).unwrap().unwrap();
    assert!(
        (pace.rate_hz() - 25.0).abs() < 0.01 && !pace.is_variable(),
        "{pace:?}"
    );

    // Two recordings joined: the clock begins again.
    let one = folder.join("one.ts");
    made(&one, "-c:v mpeg2video -bf 0").unwrap();
    let bytes = std::fs::read(&one).unwrap();
    let two = folder.join("two.ts");
    std::fs::write(&two, [&bytes[..], &bytes].concat()).unwrap();
    let alone = at_10_hz(&one).len();
    let items = at_10_hz(&two);
    let found = takes(&items);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(items.len() >= 2 * alone - 4, "{} of {alone}", items.len());
    assert!(!msn_video::pace(&two).unwrap().unwrap().is_variable());
}
