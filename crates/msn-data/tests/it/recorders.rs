//! Clocks as recorders leave them, in a data set.

use std::ops::Range;

use camino::Utf8Path;
use msn_data::{Color, Extent, LabelSpan, Labels, LoadOptions, LoadedVideo, Size, Video, check};

use crate::real::data;
use crate::tiny::Tiny;

const AT_10_HZ: LoadOptions = LoadOptions {
    size: Size::new(16, 16),
    color: Color::Grey,
    rate_hz: Some(10.0),
    folder_hz: None,
    stretch: None,
};

fn load(path: &Utf8Path) -> LoadedVideo {
    LoadedVideo::load(&Video::new("v", path), &AT_10_HZ).unwrap()
}

#[test]
fn cuts_in_time_are_takes_and_said() {
    let Some(reports) = data("reports") else {
        return;
    };
    for (file, takes, frames) in [
        ("03-ntp-jump/ntp.mkv", 2, 16),
        ("37b-motion-bursts/bursts.mp4", 10, 16),
        ("37-slow-camera/slow.mkv", 1, 800),
        ("37-slow-camera/slow.mp4", 1, 800),
    ] {
        let video = load(&reports.join(file));
        let lengths: Vec<usize> = video.runs.iter().map(Range::len).collect();
        assert_eq!(lengths, vec![frames; takes], "{file}");
        // Between two takes lies one place without a frame.
        assert_eq!(video.frames(), takes * frames + takes - 1, "{file}");
        let said = video
            .warnings
            .iter()
            .any(|text| text.contains("no clip runs across"));
        assert_eq!(said, takes > 1, "{file}: {:?}", video.warnings);
    }
}

#[test]
fn segments_whose_clock_goes_on_are_whole() {
    let Some(reports) = data("reports") else {
        return;
    };
    for file in ["35-mkv-offset/seg0.mkv", "35-mkv-offset/seg1.mkv"] {
        let own = LoadOptions {
            rate_hz: None,
            ..AT_10_HZ
        };
        let video = LoadedVideo::load(&Video::new("v", reports.join(file)), &own).unwrap();
        assert_eq!((video.frames(), video.lost), (80, 0), "{file}");
        assert!(video.warnings.is_empty(), "{:?}", video.warnings);
    }
}

#[test]
fn labels_in_seconds_land_where_players_show_them() {
    let Some(reports) = data("reports") else {
        return;
    };
    let file = reports.join("36-video-after-sound/late.mp4");
    let video = load(&file);
    let labels = Labels::spans(
        "events.csv",
        vec![LabelSpan {
            extent: Extent::Seconds(7.35..11.35),
            kind: None,
        }],
    );
    let labels = labels.resolve(&video).unwrap();
    assert_eq!((labels.spans[0].start, labels.spans[0].end), (24, 64));
    // The same in a data set, where it is checked.
    let tiny = Tiny::new("set");
    for split in ["train", "test"] {
        std::fs::create_dir_all(tiny.root.join(split)).unwrap();
        std::fs::copy(&file, tiny.root.join(split).join("late.mp4")).unwrap();
    }
    tiny.write("events.csv", "video,start,end\nlate.mp4,7.35,11.35\n");
    let found = check(&tiny.root, &msn_data::OpenOptions::default()).unwrap();
    let labels = found.labels.unwrap();
    assert_eq!((labels.anomalous, labels.spans), (40, 1));
}
