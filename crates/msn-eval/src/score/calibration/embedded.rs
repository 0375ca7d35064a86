//! Calibrations as they stand in the metadata of weights files that were written before calibrations
//! had files: without a version, and with other names.

use serde::Deserialize;
use serde_json::Value;

use super::Calibration;
use crate::score::{
    alarm::AlarmThreshold,
    baseline::{Baseline, ErrorQuantiles, TextureClass},
};

/// The last form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Embedded {
    window: usize,
    window_stride: usize,
    history: usize,
    usual: EmbeddedBaseline,
    median: f64,
    mad: f64,
    frames: usize,
    map_threshold: f64,
    #[serde(default)]
    alarm: Option<AlarmThreshold>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedBaseline {
    slope: f64,
    #[serde(default)]
    edge: f64,
    overall: EmbeddedQuantiles,
    by_texture: Vec<EmbeddedClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedClass {
    texture: f64,
    errors: EmbeddedQuantiles,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddedQuantiles {
    typical: f64,
    high: f64,
}

impl Embedded {
    /// `None` for the first forms, which standardised other scores: they have no version, but all
    /// lack the baseline's slope.
    pub(super) fn read(value: &Value) -> Result<Option<Calibration>, serde_json::Error> {
        let has_slope = |value: &Value| Some(value.get("usual")?.get("slope").is_some());
        if has_slope(value) != Some(true) {
            return Ok(None);
        }
        Self::deserialize(value).map(|embedded| Some(embedded.into()))
    }
}

impl From<Embedded> for Calibration {
    fn from(e: Embedded) -> Self {
        let quantiles = |q: EmbeddedQuantiles| ErrorQuantiles {
            median: q.typical,
            p99: q.high,
        };
        let class = |class: EmbeddedClass| TextureClass {
            texture: class.texture,
            errors: quantiles(class.errors),
        };
        Self {
            window: e.window,
            window_stride: e.window_stride,
            history: e.history,
            baseline: Baseline {
                slope: e.usual.slope,
                edge: e.usual.edge,
                overall: quantiles(e.usual.overall),
                by_texture: e.usual.by_texture.into_iter().map(class).collect(),
            },
            median: e.median,
            mad: e.mad,
            frames: e.frames,
            map_threshold: e.map_threshold,
            alarm: e.alarm,
        }
    }
}
