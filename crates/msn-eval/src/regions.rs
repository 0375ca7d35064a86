//! Where an anomaly is: components of the anomaly score's map against true regions, for RBDC and
//! TBDC.

use std::{collections::BTreeMap, ops::ControlFlow};

use msn_data::{LoadedVideo, RegionSource, Regions, TrackBox};
use msn_metrics::regions::{
    MapSize, MaskTracker, Region, RegionMetrics, RegionVideo, Track, components,
};
use serde::{Deserialize, Serialize};

use crate::{Calibration, EvalError, ScoredFrame, WindowMap};

/// What RBDC and TBDC were measured on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegionSummary {
    /// True tracks in scored frames.
    pub tracks: usize,
    /// Their boxes.
    pub boxes: usize,
    /// Parts of the map above the threshold.
    pub detections: usize,
    /// Standardised score above which a part begins: 99.5 % of the windows of the calibration split are below.
    pub threshold: f64,
    /// Whether tracks were made of masks, by following their parts from frame to frame.
    pub tracks_from_masks: bool,
}

impl RegionSummary {
    pub(crate) fn new(metrics: &RegionMetrics, threshold: f64, tracks_from_masks: bool) -> Self {
        Self {
            tracks: metrics.tracks,
            boxes: metrics.boxes,
            detections: metrics.detections,
            threshold,
            tracks_from_masks,
        }
    }
}

/// A test video's true regions and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoRegions {
    /// Truth and detections.
    pub video: RegionVideo,
    /// The calibration's threshold.
    pub threshold: f64,
    /// Whether its tracks were made of masks.
    pub from_masks: bool,
}

/// Collects detections of one video.
#[derive(Debug)]
pub struct RegionCollector<'a> {
    calibration: &'a Calibration,
    /// Of the network's frames.
    frame: [usize; 2],
    /// Of the true regions' pictures.
    size: MapSize,
    truth: Vec<Track>,
    from_masks: bool,
    scored: Vec<usize>,
    video: RegionVideo,
}

impl<'a> RegionCollector<'a> {
    /// Reads the true regions of a video; one without a `source` has none.
    ///
    /// # Errors
    /// [`EvalError::Data`] for labels that can't be read, [`EvalError::Metrics`] for masks of
    /// several sizes.
    pub fn new(
        source: Option<&RegionSource>,
        loaded: &LoadedVideo,
        calibration: &'a Calibration,
    ) -> Result<Self, EvalError> {
        let whole = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let mut collector = Self {
            calibration,
            frame: [whole(loaded.size.height), whole(loaded.size.width)],
            size: MapSize {
                width: whole(loaded.source_size.width),
                height: whole(loaded.source_size.height),
            },
            truth: Vec::new(),
            from_masks: false,
            scored: Vec::new(),
            video: RegionVideo {
                name: loaded.name.clone(),
                ..RegionVideo::default()
            },
        };
        match source.map(RegionSource::read).transpose()? {
            None => {}
            Some(Regions::Tracks(boxes)) => collector.truth = tracks(&boxes),
            Some(Regions::Masks(masks)) => {
                collector.from_masks = true;
                let mut tracker: Option<MaskTracker> = None;
                let mut failed = None;
                masks.visit(&mut |_, mask| {
                    collector.size = MapSize {
                        width: whole(mask.size.width),
                        height: whole(mask.size.height),
                    };
                    let tracker = tracker.get_or_insert_with(|| MaskTracker::new(collector.size));
                    match tracker.push(&mask.pixels) {
                        Ok(()) => ControlFlow::Continue(()),
                        Err(error) => {
                            failed = Some(error);
                            ControlFlow::Break(())
                        }
                    }
                })?;
                if let Some(error) = failed {
                    return Err(error.into());
                }
                collector.truth = tracker.map(MaskTracker::finish).unwrap_or_default();
            }
        }
        Ok(collector)
    }

    /// Takes the parts of a frame's map that lie above the threshold.
    ///
    /// # Errors
    /// [`EvalError::Metrics`] where the map is not finite.
    pub fn push(&mut self, scored: &ScoredFrame) -> Result<(), EvalError> {
        let frame = scored.score.frame;
        let map = scored.fair_map(self.calibration);
        let c = self.calibration;
        let map = enlarged(&map, [c.window, c.window_stride], self.frame, self.size);
        let parts = components(&map, self.size, c.map_threshold)?;
        let detections = parts.iter().map(|part| part.detection(frame));
        self.video.detections.extend(detections);
        self.scored.push(frame);
        Ok(())
    }

    /// Truth and detections of the scored frames.
    pub fn finish(mut self) -> VideoRegions {
        self.scored.sort_unstable();
        self.video.frames = self.scored.len();
        for mut track in self.truth {
            let seen = |region: &Region| self.scored.binary_search(&region.frame).is_ok();
            track.regions.retain(seen);
            if !track.regions.is_empty() {
                self.video.tracks.push(track);
            }
        }
        VideoRegions {
            video: self.video,
            threshold: self.calibration.map_threshold,
            from_masks: self.from_masks,
        }
    }
}

fn tracks(boxes: &[TrackBox]) -> Vec<Track> {
    let mut all: BTreeMap<u64, Track> = BTreeMap::new();
    for b in boxes {
        all.entry(b.track).or_default().regions.push(Region {
            frame: b.frame,
            x1: b.x1,
            y1: b.y1,
            x2: b.x2,
            y2: b.y2,
        });
    }
    all.into_values().collect()
}

/// Window values as a picture of `size`, bilinear between the windows' middles and constant beyond
/// the outermost. `window` and its stride are in pixels of a `frame` (height, width).
pub(crate) fn enlarged(
    map: &WindowMap,
    window: [usize; 2],
    frame: [usize; 2],
    size: MapSize,
) -> Vec<f32> {
    let rows = axis(map.height, window, frame[0], size.height);
    let columns = axis(map.width, window, frame[1], size.width);
    let mut out = Vec::with_capacity(size.width * size.height);
    for &(y, below) in &rows {
        let line = |y: usize| &map.values[y * map.width..][..map.width];
        let (upper, lower) = (line(y), line((y + 1).min(map.height - 1)));
        for &(x, right) in &columns {
            let next = (x + 1).min(map.width - 1);
            let along = |row: &[f64]| row[x] + (row[next] - row[x]) * right;
            let (a, b) = (along(upper), along(lower));
            out.push((a + (b - a) * below) as f32);
        }
    }
    out
}

/// For each of `to` pixels along an axis: the window before it, and how far the next one is.
fn axis(windows: usize, [window, stride]: [usize; 2], from: usize, to: usize) -> Vec<(usize, f64)> {
    let last = windows.saturating_sub(1) as f64;
    let place = |pixel: usize| {
        let middle = (pixel as f64 + 0.5) * from as f64 / to.max(1) as f64;
        let at = ((middle - window as f64 / 2.0) / stride.max(1) as f64).clamp(0.0, last);
        let before = at.floor() as usize;
        (before, at - at.floor())
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_enlarged_bilinearly_between_the_middles_of_windows() {
        let map = WindowMap {
            height: 1,
            width: 3,
            values: vec![0.0, 2.0, 4.0],
        };
        let size = MapSize {
            width: 8,
            height: 2,
        };
        // Windows of 4 of 8 pixels, 2 apart: their middles lie at 2, 4 and 6.
        let out = enlarged(&map, [4, 2], [4, 8], size);
        let row = [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0];
        assert_eq!(out, [row, row].concat());
    }

    #[test]
    fn a_bright_place_becomes_a_box_around_it() {
        let mut map = WindowMap {
            height: 29,
            width: 29,
            values: vec![0.0; 29 * 29],
        };
        map.values[10 * 29 + 20] = 8.0;
        let size = MapSize {
            width: 240,
            height: 160,
        };
        let out = enlarged(&map, [8, 2], [64, 64], size);
        let parts = components(&out, size, 1.0).unwrap();
        assert_eq!(parts.len(), 1);
        // The window's middle: row 24 of 64, column 44 of 64.
        let (x, y) = (44.0 / 64.0 * 240.0, 24.0 / 64.0 * 160.0);
        let part = parts[0];
        let middle = |a: i32, b: i32| f64::from(a + b + 1) / 2.0;
        assert!((middle(part.x1, part.x2) - x).abs() <= 1.0, "{part:?}");
        assert!((middle(part.y1, part.y2) - y).abs() <= 1.0, "{part:?}");
        // The middle lies between two pixels.
        assert!((6.0..=8.0).contains(&part.score), "{part:?}");
    }
}
