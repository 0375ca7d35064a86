//! Frames are the same wherever they are stored.

use camino::Utf8Path;
use msn_data::{
    Color, FrameStore, LoadOptions, LoadProgress, LoadedVideo, Size, Video, data_hash, load_all,
};
use proptest::prelude::*;

use crate::tiny::{SMALL, Tiny};

/// Bytes of a frame of [`SMALL`].
const FRAME: u64 = 64;

fn picture(tiny: &Tiny, path: &str, brightness: u8) {
    let path = tiny.root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shade = |x, y| image::Luma([brightness.wrapping_add(u8::try_from(x * 3 + y).unwrap())]);
    image::GrayImage::from_fn(16, 12, shade).save(path).unwrap();
}

fn pixels(video: &LoadedVideo) -> Vec<Vec<u8>> {
    (0..video.frames())
        .map(|i| video.frame(i).unwrap().into_owned())
        .collect()
}

/// Two folders of frames, one with a damaged picture, and a video file.
fn videos(tiny: &Tiny) -> Vec<Video> {
    for (folder, frames) in [("a", 12), ("b", 30)] {
        for t in 0..frames {
            picture(tiny, &format!("{folder}/{t:03}.png"), t * 5);
        }
    }
    tiny.write("b/007.png", "no picture");
    let mut all = vec![
        Video::new("a", tiny.root.join("a")),
        Video::new("b", tiny.root.join("b")),
    ];
    if cfg!(feature = "ffmpeg") {
        let file = tiny.root.join("c.mp4");
        // Longer than the frames that are remembered, and than the way between two key frames.
        film(&file, 150);
        all.push(Video::new("c.mp4", file));
    }
    all
}

#[cfg(feature = "ffmpeg")]
fn film(path: &Utf8Path, frames: u32) {
    let size = Size::new(32, 32);
    let mut writer = msn_video::VideoWriter::create(path, size, 10).unwrap();
    for t in 0..frames {
        let pixel = |i: u32| u8::try_from((i * 3 + t * 9) % 251).unwrap();
        let picture = msn_video::Picture {
            size,
            color: Color::Rgb,
            pixels: (0..32 * 32 * 3).map(pixel).collect(),
        };
        writer.write(&picture).unwrap();
    }
    writer.finish().unwrap();
}

#[cfg(not(feature = "ffmpeg"))]
fn film(_: &Utf8Path, _: u32) {}

/// All properties of a video but its warnings.
fn properties(video: &LoadedVideo) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        video.name.clone(),
        video.size,
        video.source_size,
        video.seconds.clone(),
        video.runs.clone(),
        video.lost,
        video.rate_hz,
        video.hash().unwrap(),
    )
}

#[test]
fn another_thread_sees_how_far_the_loading_is() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let cache = tiny.root.join("cache");
    // As decoded, and once more from the cache.
    for _ in 0..2 {
        let progress = LoadProgress::default();
        assert_eq!((progress.frames(), progress.expected(3)), (0, None));
        let store = FrameStore::new(0, Some(cache.clone()));
        let loaded = store.load_watched(&videos, &SMALL, &progress).unwrap();
        let frames: usize = loaded.iter().map(LoadedVideo::frames).sum();
        assert_eq!(progress.frames(), frames);
        assert_eq!(progress.expected(videos.len()), Some(frames));
        // Of others the mean is expected.
        assert_eq!(progress.expected(2 * videos.len()), Some(2 * frames));
    }
}

#[test]
fn memory_cache_and_decoding_on_the_fly_give_the_same_frames() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let cache = tiny.root.join("cache");
    let plain = load_all(&videos, &SMALL).unwrap();
    let hash = data_hash(&plain).unwrap();
    for (memory, folder) in [
        (FRAME * 15, Some(&cache)),
        (0, Some(&cache)),
        // Now everything is in the cache.
        (u64::MAX, Some(&cache)),
        (FRAME * 15, None),
        (0, None),
    ] {
        let store = FrameStore::new(memory, folder.cloned());
        let stored = store.load(&videos, &SMALL).unwrap();
        assert_eq!(data_hash(&stored).unwrap(), hash, "{store:?}");
        for (video, expected) in stored.iter().zip(&plain) {
            assert_eq!(properties(video), properties(expected), "{store:?}");
            if memory == 0 {
                assert_eq!(video.is_decoded_on_the_fly(), folder.is_none());
            }
        }
    }
    // A video that is decoded again and again says so.
    let store = FrameStore::nowhere();
    let stored = store.load(&videos, &SMALL).unwrap();
    assert!(
        stored[0]
            .warnings
            .iter()
            .any(|w| w.contains("again and again"))
    );
}

#[test]
fn a_budget_is_shared_by_all_that_is_stored_and_comes_back() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let store = FrameStore::new(FRAME * 50, None);
    // 12 and 30 frames fit, another 12 do not.
    let first = store.load(&videos[..2], &SMALL).unwrap();
    assert_eq!(store.budget().free_bytes(), FRAME * 8);
    let more = store.clone().load(&videos[..1], &SMALL).unwrap();
    assert!(more[0].is_decoded_on_the_fly());
    assert_eq!(store.budget().free_bytes(), FRAME * 8);
    let copy = first.clone();
    drop(first);
    assert_eq!(store.budget().free_bytes(), FRAME * 8);
    drop(copy);
    assert_eq!(store.budget().free_bytes(), FRAME * 50);
    let again = store.load(&videos[..1], &SMALL).unwrap();
    assert!(!again[0].is_decoded_on_the_fly());
}

#[test]
fn a_cache_is_checked_and_follows_its_source() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let folder = tiny.root.join("cache");
    let store = FrameStore::new(0, Some(folder.clone()));
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        files.sort();
        files
    };
    let first = properties(&store.load(&videos[..1], &SMALL).unwrap()[0]);
    let [file] = &files()[..] else {
        panic!("{:?}", files())
    };
    let good = std::fs::read(file).unwrap();

    // It is read and not written again: what is in it now is what comes.
    let written = std::fs::metadata(file).unwrap().modified().unwrap();
    store.load(&videos[..1], &SMALL).unwrap();
    assert_eq!(
        std::fs::metadata(file).unwrap().modified().unwrap(),
        written
    );

    // Whatever is wrong with it, it is written again.
    let mut flipped = good.clone();
    flipped[200] ^= 1;
    // Digits that would still be JSON.
    let runs = good.windows(5).position(|w| w == b"end\":").unwrap() + 5;
    let mut longer = good.clone();
    longer[runs] = if good[runs] == b'9' { b'8' } else { b'9' };
    for bad in [
        &good[..good.len() / 2],
        &good[..5],
        b"",
        &flipped,
        &longer,
        &[&good[..], b"more"].concat(),
    ] {
        std::fs::write(file, bad).unwrap();
        let again = store.load(&videos[..1], &SMALL).unwrap();
        assert_eq!(properties(&again[0]), first);
        assert_eq!(std::fs::read(file).unwrap(), good);
    }

    // Another size, colour, or source is another file; the old ones do no harm.
    let other = LoadOptions::new(Size::new(16, 8), Color::Rgb);
    store.load(&videos[..1], &other).unwrap();
    assert_eq!(files().len(), 2);
    picture(&tiny, "a/012.png", 200);
    let longer = store.load(&videos[..1], &SMALL).unwrap();
    assert_eq!((longer[0].frames(), files().len()), (13, 3));
    picture(&tiny, "a/012.png", 20);
    let changed = store.load(&videos[..1], &SMALL).unwrap();
    assert_ne!(pixels(&changed[0])[12], pixels(&longer[0])[12]);

    // Frames in use outlive their file.
    #[cfg(unix)]
    {
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(pixels(&changed[0]).len(), 13);
    }
}

#[test]
fn several_at_once_share_one_cache() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let store = FrameStore::new(0, Some(tiny.root.join("cache")));
    let hash = data_hash(&load_all(&videos, &SMALL).unwrap()).unwrap();
    std::thread::scope(|scope| {
        let at_work: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| data_hash(&store.load(&videos, &SMALL).unwrap()).unwrap()))
            .collect();
        for work in at_work {
            assert_eq!(work.join().unwrap(), hash);
        }
    });
    // No temporary file stays.
    let names = std::fs::read_dir(store.cache().unwrap()).unwrap();
    for name in names {
        let name = name.unwrap().file_name().into_string().unwrap();
        assert!(
            name.ends_with(".frames") && !name.starts_with('.'),
            "{name}"
        );
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_none() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    tiny.write("in-the-way", "a file");
    let store = FrameStore::new(0, Some(tiny.root.join("in-the-way/cache")));
    let stored = store.load(&videos[..1], &SMALL).unwrap();
    assert!(stored[0].is_decoded_on_the_fly());
    let warning = stored[0].warnings.last().unwrap();
    assert!(
        warning.contains("no cache") && warning.contains("in-the-way"),
        "{warning}"
    );
}

#[test]
fn a_source_that_changes_is_an_error_and_no_other_picture() {
    let tiny = Tiny::new("set");
    let videos = videos(&tiny);
    let store = FrameStore::nowhere();
    let stored = store.load(&videos[..1], &SMALL).unwrap();
    for t in 6..12 {
        std::fs::remove_file(tiny.root.join(format!("a/{t:03}.png"))).unwrap();
    }
    let error = stored[0].frame(10).unwrap_err().to_string();
    assert!(
        error.contains("has changed") && error.contains("/a"),
        "{error}"
    );
    assert!(stored[0].frame(2).is_ok());
}

#[cfg(feature = "ffmpeg")]
#[test]
fn another_rate_keeps_each_frame_with_its_label() {
    use msn_data::{Extent, LabelSpan, Labels};

    let tiny = Tiny::new("set");
    let file = tiny.root.join("v.mp4");
    film(&file, 40);
    let video = Video::new("v.mp4", &file);
    let plain = LoadedVideo::load(&video, &SMALL).unwrap();
    assert!(plain.resampled.is_none() && plain.frames() == 40);
    // A rate that differs by less than 2 % is the same.
    let near = LoadOptions {
        rate_hz: Some(10.1),
        ..SMALL
    };
    assert_eq!(
        properties(&LoadedVideo::load(&video, &near).unwrap()),
        properties(&plain)
    );
    let span = |extent| Labels::spans("events.csv", vec![LabelSpan { extent, kind: None }]);
    for (rate_hz, frames) in [(5.0, 20), (20.0, 80), (2.5, 10)] {
        let options = LoadOptions {
            rate_hz: Some(rate_hz),
            ..SMALL
        };
        let resampled = LoadedVideo::load(&video, &options).unwrap();
        assert_eq!(resampled.frames(), frames);
        assert_eq!(resampled.rate_hz, Some(rate_hz));
        let shows = &resampled.resampled.as_ref().unwrap().source_index;
        for (k, &source) in shows.iter().enumerate() {
            assert_eq!(resampled.frame(k).unwrap(), plain.frame(source).unwrap());
        }
        // Whether labels count frames or seconds, the same pictures are anomalous.
        let by_frame = span(Extent::Frames(12..30)).resolve(&resampled).unwrap();
        let by_time = span(Extent::Seconds(1.2..3.0)).resolve(&resampled).unwrap();
        for (k, &source) in shows.iter().enumerate() {
            assert_eq!(by_frame.anomalous[k], (12..30).contains(&source), "{k}");
        }
        assert_eq!(by_frame.spans, by_time.spans);
        // Labels for more frames than the source has still do not fit.
        assert!(span(Extent::Frames(12..41)).resolve(&resampled).is_err());
        for cache in [Some(tiny.root.join("cache")), None] {
            let store = FrameStore::new(0, cache);
            for _ in 0..2 {
                let stored = store.load(std::slice::from_ref(&video), &options).unwrap();
                assert_eq!(properties(&stored[0]), properties(&resampled));
                assert_eq!(stored[0].resampled, resampled.resampled);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_order_of_frames_gives_the_same_pictures(order in prop::collection::vec(any::<prop::sample::Index>(), 1..60)) {
        let tiny = Tiny::new("set");
        let store = FrameStore::nowhere();
        for video in videos(&tiny) {
            let plain = LoadedVideo::load(&video, &SMALL).unwrap();
            let stored = store.load(&[video], &SMALL).unwrap();
            for index in &order {
                let i = index.index(plain.frames());
                prop_assert_eq!(stored[0].frame(i).unwrap(), plain.frame(i).unwrap());
            }
        }
    }
}
