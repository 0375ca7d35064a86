use std::collections::BTreeSet;

use msn_data::{Color, LoadOptions, Size, load_all, segments};
use msn_model::{Clips, NetConfig, PredictError, Prediction, Predictor};

use super::*;
use crate::AnomalyScore;

const SIDE: usize = 64;

/// Predicts the newest past frame again: errors are where something moves or changes.
struct Still(NetConfig);

impl Predictor for Still {
    fn config(&self) -> &NetConfig {
        &self.0
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        let area = clips.height * clips.width;
        let frame = |i: usize| {
            let newest = &clips.frames[(i + 1) * self.0.frames * area - area..][..area];
            Prediction {
                height: clips.height,
                width: clips.width,
                planes: newest.to_vec(),
                distances: Vec::new(),
            }
        };
        Ok((0..clips.count).map(frame).collect())
    }
}

fn still() -> Still {
    Still(NetConfig {
        pools: Vec::new(),
        ..NetConfig::default()
    })
}

/// A scorer with its calibration by the held-out segments.
fn calibrated<'a>(
    predictor: &'a dyn Predictor,
    videos: &'a [LoadedVideo],
    held: &[Segment],
) -> (Scorer<'a>, Calibration) {
    let mut scorer = Scorer {
        predictor,
        stride: 1,
        score: AnomalyScore::for_size(SIDE, SIDE),
    };
    let calibration = scorer.calibrate(videos, held).unwrap();
    scorer.score = AnomalyScore::from(&calibration);
    (scorer, calibration)
}

/// [`Still`] that draws stripes over frames with a pixel above 220.
struct Dazzled(Still);

impl Predictor for Dazzled {
    fn config(&self) -> &NetConfig {
        self.0.config()
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        let frames = self.0.predict(clips)?.into_iter().zip(clips.targets());
        let dazzled = |(plain, target): (Prediction, &[f32])| {
            if target.iter().all(|&v| v < 220.0 / 127.5 - 1.0) {
                return plain;
            }
            let stripe = |(i, v): (usize, &f32)| v + if i % 4 < 2 { 0.3 } else { -0.3 };
            Prediction {
                planes: plain.planes.iter().enumerate().map(stripe).collect(),
                ..plain
            }
        };
        Ok(frames.map(dazzled).collect())
    }
}

/// Videos in which squares of uneven grey cross a grey ground, written as frames and loaded.
fn videos(folder: &camino::Utf8Path, count: usize) -> Vec<LoadedVideo> {
    for v in 0..count {
        for t in 0..90usize {
            let dir = folder.join(format!("train/{v:02}"));
            std::fs::create_dir_all(&dir).unwrap();
            let pixel = |x: u32, y: u32| {
                let (x, y) = (x as usize, y as usize);
                let square = |top: usize, way: usize| {
                    let left = 2 + way;
                    (top..top + 10).contains(&y) && (left..left + 7).contains(&x)
                };
                let noise = ((x * 31 + y * 17 + t * 7 + v * 3) % 5) as u8;
                let odd = square(8 + 3 * v, t % 90 * 6 / 10) || square(40, 53 - t % 90 * 6 / 10);
                image::Luma([if odd { 190 + noise * 6 } else { 90 + noise }])
            };
            let picture = image::GrayImage::from_fn(64, 64, pixel);
            picture.save(dir.join(format!("{t:03}.png"))).unwrap();
        }
    }
    let set = msn_data::DataSet::open(folder, &msn_data::OpenOptions::default()).unwrap();
    let options = LoadOptions::new(Size::new(64, 64), Color::Grey);
    load_all(&set.train, &options).unwrap()
}

#[test]
fn moving_objects_are_cut_out_along_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let videos = videos(folder.path().try_into().unwrap(), 1);
    let found = moving_objects(&videos[0], 0..90).unwrap();
    assert!(!found.is_empty());
    for mover in &found {
        for pair in mover.cuts.windows(2) {
            assert!((pair[1].x - pair[0].x).abs() < 3.0);
            assert!((pair[1].y - pair[0].y).abs() < 2.0);
        }
        let cut = &mover.cuts[mover.cuts.len() / 2];
        // The square of 10 x 7, a blurred rim and the soft edge around it.
        assert!((10..=15).contains(&cut.height), "{}", cut.height);
        assert!((7..=12).contains(&cut.width), "{}", cut.width);
        assert!(cut.cover.iter().all(|c| (0.0..=1.0).contains(c)));
    }
    let ways: BTreeSet<bool> = found
        .iter()
        .map(|m| m.cuts[m.cuts.len() - 1].x > m.cuts[0].x)
        .collect();
    assert_eq!(ways.len(), 2, "one goes right, one goes left");
}

#[test]
fn a_cut_drawn_where_it_was_changes_little_and_elsewhere_much() {
    let folder = tempfile::tempdir().unwrap();
    let videos = videos(folder.path().try_into().unwrap(), 1);
    let mover = &moving_objects(&videos[0], 0..90).unwrap()[0];
    let cut = &mover.cuts[5];
    let size = MapSize {
        width: SIDE,
        height: SIDE,
    };
    let ground = vec![92u8; SIDE * SIDE];
    let mut frame = ground.clone();
    cut.draw(&mut frame, size, 1);
    let changed = frame
        .iter()
        .zip(&ground)
        .filter(|(a, b)| a.abs_diff(**b) > 40);
    assert!((50..120).contains(&changed.count()));
    // Partly outside, and wholly outside, nothing but what is inside is drawn.
    for x in [-3.0, 63.0, 500.0] {
        Cut { x, ..cut.clone() }.draw(&mut frame, size, 1);
    }
    let large = cut.enlarged(2.0, 1);
    assert_eq!((large.height, large.width), (2 * cut.height, 2 * cut.width));
    let mean = |c: &Cut| c.cover.iter().sum::<f32>() / c.cover.len() as f32;
    assert!((mean(&large) - mean(cut)).abs() < 0.05);
}

#[test]
fn a_change_of_brightness_shows_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let videos = videos(folder.path().try_into().unwrap(), 4);
    let segments = segments(&videos);
    let (held, donors) = segments.split_at(1);
    let light = |predictor: &dyn Predictor| {
        let (scorer, calibration) = calibrated(predictor, &videos, held);
        let test = self_test(&scorer, &calibration, &videos, held, donors, 7).unwrap();
        test.brightness
    };
    let (plain, dazzled) = (light(&still()), light(&Dazzled(still())));
    for light in [&plain, &dazzled] {
        assert_eq!(light.iter().map(|l| l.gain).collect::<Vec<_>>(), GAINS);
    }
    // Darker frames do not dazzle. Brighter ones also have a little more noise.
    assert_eq!(plain[0], dazzled[0]);
    let [bright, dazzled] = [&plain[1], &dazzled[1]].map(|l| l.auc.unwrap());
    assert!(bright < 0.97 && dazzled > 0.99, "{bright} {dazzled}");
}

#[test]
fn what_is_inserted_is_detected_by_a_score_that_sees_motion() {
    let folder = tempfile::tempdir().unwrap();
    let videos = videos(folder.path().try_into().unwrap(), 4);
    let segments = segments(&videos);
    let predictor = still();
    let (held, donors) = segments.split_at(1);
    let (scorer, calibration) = calibrated(&predictor, &videos, held);
    let test = self_test(&scorer, &calibration, &videos, held, donors, 7).unwrap();
    assert_eq!(
        test,
        self_test(&scorer, &calibration, &videos, held, donors, 7).unwrap()
    );
    assert_eq!(test.kinds.len(), Injected::ALL.len());
    assert!(test.frames > 80 && test.objects >= 3);
    let of = |kind| test.kinds.iter().find(|k| k.kind == kind).unwrap();
    assert!(of(Injected::Faster).spans > 0);
    // A frame's error grows with speed and contrast alone; direction is nothing to it.
    let to_control = |kind| of(kind).auc_to_control.unwrap();
    assert!(of(Injected::Faster).auc.unwrap() > 0.9, "{test:?}");
    assert!(to_control(Injected::Faster) > 0.7, "{test:?}");
    assert!(
        to_control(Injected::Reversed) < to_control(Injected::Faster) - 0.1,
        "{test:?}"
    );
    assert_eq!(of(Injected::Control).auc_to_control, None);
    // The stand-in's error sees the same, by the window better than by the whole frame.
    let error = |name: &str| test.prediction_error[name].unwrap();
    assert!(
        error("patch") > error("psnr") && error("psnr") > 0.5,
        "{test:?}"
    );
    assert!(matches!(
        self_test(&scorer, &calibration, &videos, held, &[], 7),
        Err(EvalError::NothingMoves)
    ));
}
