use msn_model::Prediction;
use proptest::prelude::*;

use super::*;
use crate::{AlarmThreshold, Baseline, FrameMaps, FrameScore, VideoScores};

const SIDE: usize = 64;

fn calibration() -> Calibration {
    Calibration {
        window: 8,
        window_stride: 2,
        history: 8,
        baseline: Baseline::default(),
        median: 0.0,
        mad: 1.0 / 1.4826,
        frames: 100,
        map_threshold: 1.0,
        alarm: Some(AlarmThreshold {
            threshold: 3.0,
            per_hour: Some(1.0),
            per_thousand_frames: None,
            counted: true,
            hours: Some(2.0),
        }),
    }
}

/// A frame whose score lies in the window of this row and column.
fn frame(index: usize, seconds: Option<f64>, score: f64, at: [usize; 2]) -> ScoredFrame {
    let windows = (SIDE - 8) / 2 + 1;
    let mut values = vec![-1.0; windows * windows];
    values[at[0] * windows + at[1]] = score;
    let place = WindowMap {
        height: windows,
        width: windows,
        values,
    };
    let prediction = Prediction {
        height: SIDE,
        width: SIDE,
        planes: vec![0.0; SIDE * SIDE],
        distances: Vec::new(),
    };
    let maps = FrameMaps::new(prediction, &[0.0; SIDE * SIDE]);
    let score = FrameScore {
        frame: index,
        seconds,
        psnr: 30.0,
        patch: 0.1,
        distances: Vec::new(),
        excess: score,
    };
    ScoredFrame::of_maps(score, maps, place)
}

fn collected(frames: &[ScoredFrame], count: usize) -> VideoAlarms {
    let calibration = calibration();
    let network = Size::new(64, 64);
    let mut collector = AlarmCollector::new(Some(&calibration), network).unwrap();
    for frame in frames {
        collector.push(frame).unwrap();
    }
    let source = AlarmSource {
        video: "door",
        path: "door.mp4".into(),
        size: Size::new(320, 240),
        resampled_hz: None,
        frames: count,
    };
    collector.finish(&source).unwrap()
}

#[test]
fn an_alarm_has_its_times_its_peak_and_its_place() {
    let score = |i: usize| match i {
        40 => 9.0,
        30..60 => 6.0,
        _ => 0.0,
    };
    let at = |i: usize| if i == 40 { [4, 20] } else { [20, 4] };
    let frames: Vec<ScoredFrame> = (4..100)
        .map(|i| frame(i, Some(i as f64 / 10.0), score(i), at(i)))
        .collect();
    let found = collected(&frames, 100);
    let [alarm] = &found.alarms[..] else {
        panic!("{found:?}");
    };
    // The mean of five frames is over 3 from the third frame on, and over 2.5 up to the third after.
    assert_eq!((alarm.start_frame, alarm.end_frame), (32, 62));
    assert_eq!((alarm.event, alarm.peak_frame), (1, 40));
    let near = |a: Option<f64>, b: f64| (a.unwrap() - b).abs() < 1e-9;
    assert!(near(alarm.start, 3.2) && near(alarm.peak, 4.0) && near(alarm.end, 6.2));
    assert!((alarm.score - 6.6).abs() < 1e-9);
    // The window lies at row 8 and column 40 of 64 and is 8 wide: its middle at 12 and 44.
    let PixelBox {
        x,
        y,
        width,
        height,
    } = alarm.place;
    let middle = |at: u32, side: u32| f64::from(at) + f64::from(side) / 2.0;
    assert!((middle(x, width) - 44.0 * 5.0).abs() <= 5.0, "{alarm:?}");
    assert!((middle(y, height) - 12.0 * 3.75).abs() <= 4.0, "{alarm:?}");
    assert!(width <= 40 && height <= 30, "{alarm:?}");
    assert_eq!(found.summary(), "1 alarm in 10 s, at 00:04");
    assert_eq!(found.foreign(), None);
}

#[test]
fn summaries_read_well() {
    let video = |scores: &dyn Fn(usize) -> f64, times: bool| {
        let seconds = |i: usize| times.then_some(i as f64 / 10.0);
        let frames: Vec<ScoredFrame> = (4..290)
            .map(|i| frame(i, seconds(i), scores(i), [3, 3]))
            .collect();
        collected(&frames, 290)
    };
    let two = |i: usize| match i {
        20..40 => 5.0,
        120..140 => 8.0,
        _ => 0.0,
    };
    assert_eq!(
        video(&two, true).summary(),
        "2 alarms in 29 s, the highest at 00:12"
    );
    assert_eq!(
        video(&two, false).summary(),
        "2 alarms in 290 frames, the highest at frame 121"
    );
    assert_eq!(video(&|_| 0.0, true).summary(), "no alarm in 29 s");
    assert_eq!(clock_text(Some(3725.9), 0), "1:02:05");
    assert_eq!(length_text(Some(9.04), 1), "9.0 s");
    assert_eq!(length_text(None, 1), "1 frame");

    // Nearly all frames far away on one side are another camera's.
    let away = |from: f64| move |i: usize| from + (i % 3) as f64;
    let foreign = |scores: &dyn Fn(usize) -> f64| video(scores, true).foreign();
    assert_eq!(foreign(&away(4.0)), Some(Foreign::Above));
    assert_eq!(foreign(&away(-7.0)), Some(Foreign::Below));
    assert_eq!(foreign(&|i| if i < 60 { 0.0 } else { 9.0 }), None);
}

#[test]
fn uncalibrated_scores_raise_no_alarm() {
    let network = Size::new(64, 64);
    let mut collector = AlarmCollector::new(None, network).unwrap();
    for i in 4..60 {
        collector.push(&frame(i, None, 9.0, [0, 0])).unwrap();
    }
    let source = AlarmSource {
        video: "a",
        path: "a".into(),
        size: network,
        resampled_hz: None,
        frames: 60,
    };
    let found = collector.finish(&source).unwrap();
    assert!(found.alarms.is_empty() && found.scores.is_none());
    assert_eq!(
        found.summary(),
        "60 frames scored, without a threshold for alarms"
    );
}

#[test]
fn lists_hold_every_alarm() {
    let high = |i: usize| if (20..40).contains(&i) { 5.0 } else { 0.0 };
    let frames: Vec<ScoredFrame> = (4..100).map(|i| frame(i, None, high(i), [0, 0])).collect();
    let mut videos = vec![collected(&frames, 100), collected(&frames, 100)];
    videos[1].video = "a, b".into();
    videos[1].alarms[0].score = 7.5;
    videos[1].alarms[0].start = Some(1.25);
    assert_eq!(ranked(&videos), [(1, 0), (0, 0)]);
    let csv = alarms_csv(&videos);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("video,event,start,end,peak,start_frame,end_frame,peak_frame"));
    assert!(lines[1].starts_with("door,1,,,,23,"), "{}", lines[1]);
    assert!(
        lines[2].starts_with("\"a, b\",1,1.250,,,23,"),
        "{}",
        lines[2]
    );
    let list = AlarmList::new(&videos, Some(&calibration()));
    let text = serde_json::to_string(&list).unwrap();
    assert!(text.contains("\"format\":\"msn-alarms-1\"") && text.contains("\"box\":{\"x\":"));
    assert_eq!(serde_json::from_str::<AlarmList>(&text).unwrap(), list);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// What is collected frame by frame is what the whole video's scores give.
    #[test]
    fn alarms_are_the_events_of_the_whole_video(
        scores in prop::collection::vec(prop_oneof![3 => 0.0..2.0f64, 2 => 3.0..9.0f64], 5..160),
        long in prop::collection::vec(1usize..12, 160),
        missing in prop::collection::btree_set(0usize..160, 0..6),
    ) {
        // Scores that stay for some frames, with frames missing here and there.
        let values = scores.iter().zip(long).flat_map(|(&s, n)| vec![s; n]).take(160);
        let kept = values.enumerate().filter(|(i, _)| !missing.contains(i));
        let frames: Vec<ScoredFrame> =
            kept.map(|(i, s)| frame(i, Some(i as f64), s, [i % 20, 3])).collect();
        let found = collected(&frames, 160);
        let calibration = calibration();
        let rows: Vec<FrameScore> = frames.iter().map(|f| f.score.clone()).collect();
        let whole = VideoScores::new("door", 160, rows, None, Some(&calibration));
        let ends = |start, end, score: f64| (start, end, score.to_bits());
        let events = whole.events().unwrap();
        let of_events: Vec<_> = events.iter().map(|e| ends(e.start, e.end, e.score)).collect();
        let alarms = found.alarms.iter();
        let of_alarms: Vec<_> = alarms.map(|a| ends(a.start_frame, a.end_frame, a.score)).collect();
        prop_assert_eq!(of_alarms, of_events);
        for alarm in &found.alarms {
            prop_assert!((alarm.start_frame..alarm.end_frame).contains(&alarm.peak_frame));
            prop_assert_eq!(alarm.start, Some(alarm.start_frame as f64));
            prop_assert!(alarm.end.unwrap() >= alarm.peak.unwrap());
            prop_assert!(alarm.place.x + alarm.place.width <= 320);
            prop_assert!(alarm.place.y + alarm.place.height <= 240);
        }
    }
}
