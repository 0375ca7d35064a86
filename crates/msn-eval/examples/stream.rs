//! Scores frames one by one with a predictor of one's own: here one that says "nothing moves".
//!
//! Run with `cargo run -p msn-eval --example stream`.
#![allow(clippy::print_stdout, missing_docs)]

use msn_eval::{AnomalyScore, Scorer};
use msn_model::{Clips, NetConfig, PredictError, Prediction, Predictor};

const SIDE: usize = 32;

/// Predicts the newest past frame.
struct Still(NetConfig);

impl Predictor for Still {
    fn config(&self) -> &NetConfig {
        &self.0
    }

    fn predict(&self, clips: &Clips) -> Result<Vec<Prediction>, PredictError> {
        let area = clips.height * clips.width;
        let one = |past: &[f32]| Prediction {
            height: clips.height,
            width: clips.width,
            planes: past[past.len() - area..].to_vec(),
            distances: Vec::new(),
        };
        let each = clips.frames.chunks(area * self.0.frames);
        Ok(each.map(one).collect())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let still = Still(NetConfig {
        pools: Vec::new(),
        ..NetConfig::default()
    });
    let scorer = Scorer {
        predictor: &still,
        stride: 1,
        score: AnomalyScore::for_size(SIDE, SIDE),
    };
    let mut stream = scorer.stream("doorway", SIDE, SIDE);
    let mut scores = Vec::new();
    for t in 0..40usize {
        // Somebody walks in at frame 25.
        let x = t.saturating_sub(25) * 2;
        let pixel = |i: usize| {
            if t >= 25 && (x..x + 4).contains(&(i % SIDE)) {
                200
            } else {
                60
            }
        };
        let pixels: Vec<u8> = (0..SIDE * SIDE).map(pixel).collect();
        scores.extend(stream.push(t, Some(t as f64 / 10.0), &pixels)?);
    }
    scores.extend(stream.gap()?);
    let first = scores.iter().map(|s| &s.score).find(|s| s.excess > -5.0);
    println!(
        "{} frames scored; first movement at frame {:?}",
        scores.len(),
        first.map(|s| s.frame)
    );
    if first.is_some_and(|s| s.frame == 25) {
        Ok(())
    } else {
        Err("the movement was missed".into())
    }
}
