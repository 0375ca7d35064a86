//! Calibrating and scoring, held against numbers that were recorded when the network still ran twice
//! over the frames and calibrations lay in the metadata of weights.

use std::cell::Cell;

use camino::Utf8Path;
use msn_data::{Color, LoadedVideo, Segment, Size, segments};
use msn_eval::{AnomalyScore, Calibration, Scorer, VideoScores, scores_csv};
use msn_model::{
    Clips, Input, Map, Meta, NetConfig, PredictError, Prediction, Predictor, WEIGHTS_FORMAT,
    Weights,
};

const HEIGHT: usize = 32;
const WIDTH: usize = 40;

/// Predicts a blend of the past frames, and counts the clips that it is given.
struct Blend {
    config: NetConfig,
    clips: Cell<usize>,
}

impl Blend {
    fn new() -> Self {
        Self {
            config: NetConfig {
                pools: vec![1, 3],
                ..NetConfig::default()
            },
            clips: Cell::new(0),
        }
    }
}

impl Predictor for Blend {
    fn config(&self) -> &NetConfig {
        &self.config
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        self.clips.set(self.clips.get() + clips.count);
        let (height, width) = (clips.height, clips.width);
        let area = height * width;
        let shares = [0.05f32, 0.1, 0.15, 0.7];
        let one = |past: &[f32]| {
            let pixel = |i: usize| (0..4).map(|t| shares[t] * past[t * area + i]).sum::<f32>();
            let distances = [1usize, 3].map(|pool| {
                let value = |i: usize| {
                    let (y, x) = ((i / (width >> pool)) << pool, (i % (width >> pool)) << pool);
                    let v = past[3 * area + y * width + x];
                    v * v / 4.0
                };
                let map = Map {
                    height: height >> pool,
                    width: width >> pool,
                    values: (0..(height >> pool) * (width >> pool)).map(value).collect(),
                };
                (pool, map)
            });
            Prediction {
                height,
                width,
                planes: (0..area).map(pixel).collect(),
                distances: distances.to_vec(),
            }
        };
        Ok(clips.frames.chunks_exact(4 * area).map(one).collect())
    }
}

/// Squares that cross a ground of two textures, with noise.
fn video(name: &str, frames: usize, seed: u32) -> LoadedVideo {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap() / 16
    };
    let mut pixels = Vec::new();
    for t in 0..frames {
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let left = (t * (1 + seed as usize % 3) / 2) % (WIDTH + 8);
                let inside =
                    |top: usize| (top..top + 6).contains(&y) && (left..left + 5).contains(&(x + 4));
                let ground = if x < WIDTH / 2 {
                    60
                } else {
                    100 + (x * y % 7) as u8 * 8
                };
                let object = inside(4) || inside(20) && t / 64 % 2 == 0;
                pixels.push(if object { 200 } else { ground } + noise());
            }
        }
    }
    let size = Size::new(WIDTH as u32, HEIGHT as u32);
    let mut video = LoadedVideo::from_pixels(name, size, Color::Grey, &pixels).unwrap();
    video.rate_hz = Some(10.0);
    video
}

/// More frames than a baseline takes, and a video too short for a score; the last one is scored.
fn videos() -> [LoadedVideo; 5] {
    [
        video("a", 520, 1),
        video("b", 470, 2),
        video("c", 330, 3),
        video("too short", 4, 4),
        video("d", 90, 5),
    ]
}

fn scorer(predictor: &dyn Predictor) -> Scorer<'_> {
    Scorer {
        predictor,
        stride: 1,
        score: AnomalyScore::for_size(HEIGHT, WIDTH),
    }
}

fn golden(name: &str) -> String {
    let folder = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

/// The recorded calibration, as the metadata of weights held it.
fn recorded() -> Calibration {
    let weights = Weights {
        meta: Meta {
            format: WEIGHTS_FORMAT.into(),
            config: NetConfig::default(),
            input: Input {
                height: 32,
                width: 40,
                stride: 1,
                rate_hz: 0.0,
                stretch: Default::default(),
            },
            calibration: Some(serde_json::from_str(&golden("calibration.json")).unwrap()),
            origin: Default::default(),
        },
        tensors: Default::default(),
    };
    let found = Calibration::find("no/such.safetensors".into(), &weights, None);
    found.unwrap().unwrap()
}

#[test]
fn one_pass_gives_the_bits_of_two() {
    let (predictor, videos) = (Blend::new(), videos());
    let all = segments(&videos);
    let mut scorer = scorer(&predictor);
    let calibration = scorer.calibrate(&videos, &all[..4]).unwrap();
    assert_eq!(calibration, recorded());
    scorer.score = AnomalyScore::from(&calibration);
    let scores = scorer.video(&videos[4]).unwrap();
    let scores = VideoScores::new("d", 90, scores, None, Some(&calibration));
    assert_eq!(scores_csv(&scores, &[1, 3]), golden("scores.csv"));
}

#[test]
fn the_network_sees_each_clip_once() {
    let (predictor, videos) = (Blend::new(), videos());
    let all = segments(&videos);
    scorer(&predictor).calibrate(&videos, &all[..4]).unwrap();
    // Four frames of each video have no score.
    assert_eq!(predictor.clips.get(), 516 + 466 + 326);
}

#[test]
fn an_earlier_calibration_has_no_part_in_a_new_one() {
    let (predictor, videos) = (Blend::new(), videos());
    let part: Vec<Segment> = segments(&videos)[4..].to_vec();
    let fresh = scorer(&predictor).calibrate(&videos, &part).unwrap();
    let scorer = Scorer {
        score: AnomalyScore::from(&recorded()),
        ..scorer(&predictor)
    };
    assert_eq!(scorer.calibrate(&videos, &part).unwrap(), fresh);
}
