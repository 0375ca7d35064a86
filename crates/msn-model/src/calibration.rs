//! What the fair score is measured against.

use serde::{Deserialize, Serialize};

/// Settings of the fair score and the statistics of held-out normal frames that standardise it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Side of the square window over which the error's detail ([`FrameMaps::detail`](crate::FrameMaps::detail)) is averaged,
    /// pixels.
    pub window: usize,
    /// Pixels between two windows.
    pub window_stride: usize,
    /// Scored frames over which a window is averaged.
    pub history: usize,
    /// What errors normal windows have.
    pub usual: UsualErrors,
    /// Median over held-out frames of the largest window's excess over the usual error.
    pub median: f64,
    /// Median absolute deviation of the same.
    pub mad: f64,
    /// Held-out frames behind the two.
    pub frames: usize,
    /// 99.5th percentile of the standardised map over held-out frames: where components begin.
    pub map_threshold: f64,
    /// Where events begin; absent in older files.
    #[serde(default)]
    pub alarm: Option<Alarm>,
}

/// What errors windows of held-out normal frames have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsualErrors {
    /// Log error by which windows of the lowest row exceed those of the middle one, those of the
    /// middle one those of the topmost, at like texture: perspective. Taken off before the ranges.
    pub slope: f64,
    /// Log error by which windows at the picture's edge, where things come in unforeseen, exceed the
    /// others at like texture and row; at least 0, and 0 in older files. Taken off before the
    /// ranges.
    #[serde(default)]
    pub edge: f64,
    /// Of all windows.
    pub overall: ErrorRange,
    /// Of windows with much or little to predict, textures ascending; at least one.
    pub by_texture: Vec<TextureClass>,
}

/// Windows of like texture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextureClass {
    /// Mean log texture of the windows.
    pub texture: f64,
    /// Their errors.
    pub errors: ErrorRange,
}

/// Log errors of many windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRange {
    /// Median.
    pub typical: f64,
    /// 99th percentile.
    pub high: f64,
}

/// The threshold of events that keeps a budget of false alarms on held-out normal frames.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alarm {
    /// Smoothed standardised scores above it begin an event.
    pub threshold: f64,
    /// False alarms in an hour that were allowed, where frames have times.
    pub per_hour: Option<f64>,
    /// False alarms in a thousand frames that were allowed, where they have none.
    pub per_thousand_frames: Option<f64>,
    /// Whether held-out frames were enough to count; else the threshold is an estimate.
    pub counted: bool,
}
