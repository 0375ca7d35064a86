use msn_data::{FrameLabels, FrameSpan};
use msn_model::Prediction;

use super::*;
use crate::{AlarmThreshold, Baseline, FrameMaps, FrameScore};

fn calibration() -> Calibration {
    Calibration {
        window: 8,
        window_stride: 8,
        history: 8,
        baseline: Baseline::default(),
        median: 0.0,
        mad: 1.0 / 1.4826,
        frames: 100,
        map_threshold: 1.0,
        alarm: Some(AlarmThreshold {
            threshold: 3.0,
            per_hour: None,
            per_thousand_frames: Some(1.0),
            counted: true,
            hours: None,
        }),
    }
}

fn loaded(frames: usize) -> LoadedVideo {
    let pixels = vec![100; 16 * 16 * frames];
    LoadedVideo::from_pixels("one", Size::new(16, 16), Color::Grey, &pixels).unwrap()
}

/// 40 frames; the score is 6 in frames 20 to 29, and there all of it is in the lower right window.
fn scored() -> (VideoScores, HeatMaps) {
    let calibration = calibration();
    let mut heat = HeatMaps::new(&loaded(40), &calibration);
    let mut scores = Vec::new();
    for frame in 4..40 {
        let high = (20..30).contains(&frame);
        let excess = if high { 6.0 } else { 0.5 };
        let score = FrameScore {
            frame,
            seconds: None,
            psnr: 30.0,
            patch: 0.1,
            distances: Vec::new(),
            excess,
        };
        let grid = |values: [f64; 4]| WindowMap {
            height: 2,
            width: 2,
            values: values.to_vec(),
        };
        let prediction = Prediction {
            height: 16,
            width: 16,
            planes: vec![0.0; 256],
            distances: Vec::new(),
        };
        let maps = FrameMaps::new(prediction, &[0.0; 256]);
        let excess = grid([0.0, 0.0, 0.0, excess]);
        heat.push(&ScoredFrame::of_maps(score.clone(), maps, excess));
        scores.push(score);
    }
    let anomalous: Vec<bool> = (0..40).map(|f| (18..30).contains(&f)).collect();
    let spans = vec![FrameSpan {
        start: 18,
        end: 30,
        kind: Some("cart".into()),
    }];
    let labels = FrameLabels { anomalous, spans };
    let video = VideoScores::new("one", 40, scores, Some(labels), Some(&calibration));
    (video, heat)
}

fn pixel(picture: &Picture, x: u32, y: u32) -> [u8; 3] {
    let at = usize::try_from(y * picture.size.width + x).unwrap() * 3;
    picture.pixels[at..at + 3].try_into().unwrap()
}

fn has(picture: &Picture, color: [u8; 3], rows: std::ops::Range<u32>) -> bool {
    rows.into_iter()
        .any(|y| (0..picture.size.width).any(|x| pixel(picture, x, y) == color))
}

#[test]
fn heat_lies_where_the_score_does_and_alarms_are_marked() {
    let (video, heat) = scored();
    let mut overlay = Overlay::new(&video, &heat, Size::new(16, 16)).unwrap();
    assert_eq!(overlay.size(), Size::new(480, 24 + 480 + 96));
    let frame = Picture::filled(Size::new(16, 16), Color::Rgb, 100).unwrap();
    let mut at = |index| overlay.draw(index, Some(&frame)).unwrap();
    let (before, quiet, loud) = (at(2), at(10), at(27));
    for (index, picture) in [(2, &before), (10, &quiet)] {
        // Grey everywhere: no heat, no alarm, no label.
        assert_eq!(pixel(picture, 400, 24 + 400), [100; 3], "frame {index}");
        assert!(!has(picture, ALARM, 0..24) && !has(picture, LABEL, 0..24));
    }
    let [r, g, b] = pixel(&loud, 400, 24 + 400);
    assert!(r > 150 && g < 100 && b < 100, "{:?}", [r, g, b]);
    assert_eq!(
        pixel(&loud, 60, 24 + 60),
        [100; 3],
        "the other corner is cold"
    );
    assert_eq!(pixel(&loud, 240, 24 + 1), ALARM, "its border");
    assert!(has(&loud, ALARM, 0..24) && has(&loud, LABEL, 0..24));
    // Labelled before the alarm.
    let early = at(18);
    assert!(has(&early, LABEL, 0..24) && !has(&early, ALARM, 0..24));
    // The line that marks the place in time moves; the rest of the curve stays.
    let place = |frame| column(frame, 40, 480);
    assert_eq!(pixel(&quiet, place(10), 24 + 480 + 1), INK);
    assert_eq!(pixel(&loud, place(27), 24 + 480 + 50), INK);
    assert_ne!(pixel(&loud, place(10), 24 + 480 + 1), INK);
}

#[test]
fn a_lost_frame_is_told() {
    let (video, heat) = scored();
    let mut overlay = Overlay::new(&video, &heat, Size::new(640, 360)).unwrap();
    assert_eq!(overlay.size(), Size::new(640, 24 + 360 + 96));
    let lost = overlay.draw(2, None).unwrap();
    assert!(has(&lost, SOFT, 24..60) && lost.size == overlay.size());
}

#[test]
fn sizes_are_even_and_sane() {
    for (source, wanted) in [
        ((360, 240), (720, 480)),
        ((238, 158), (714, 474)),
        ((1920, 1080), (1280, 720)),
        ((481, 361), (482, 362)),
        ((100, 2000), (320, 1280)),
    ] {
        let size = frame_size(Size::new(source.0, source.1));
        assert_eq!(size, Size::new(wanted.0, wanted.1), "{source:?}");
    }
}

#[test]
fn full_heat_is_the_alarms_threshold() {
    let mut c = calibration();
    let scale = |c: &Calibration| HeatMaps::new(&loaded(1), c).scale();
    assert_eq!(scale(&c), [1.0, 3.0]);
    c.map_threshold = 2.9;
    assert_eq!(scale(&c), [2.9, 3.9]);
    c.alarm = None;
    assert_eq!(scale(&c), [2.9, 7.9]);
}
