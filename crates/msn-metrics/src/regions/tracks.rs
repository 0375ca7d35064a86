use std::collections::HashMap;

use super::components::Labels;
use super::{MapSize, Track};
use crate::MetricsError;

/// Makes tracks of the masks of one video, frame by frame.
///
/// Boxes are the masks' 8-connected components. A component continues the track of the component
/// of the frame before with which it shares most pixels (the earlier one row by row if several
/// do); at a split the part with most pixels keeps the track, and the others begin tracks of
/// their own. Where two components become one, the track of the smaller share ends.
///
/// For data sets that have masks but no tracks; a report says that tracks were made this way.
#[derive(Debug)]
pub struct MaskTracker {
    size: MapSize,
    frame: usize,
    before: Option<Labels>,
    /// Track of each component of the frame before.
    open: Vec<usize>,
    tracks: Vec<Track>,
}

impl MaskTracker {
    /// Starts before the first frame of a video with masks of `size`.
    pub fn new(size: MapSize) -> Self {
        Self {
            size,
            frame: 0,
            before: None,
            open: Vec::new(),
            tracks: Vec::new(),
        }
    }

    /// Takes the mask of the next frame, row by row, true where it is anomalous. Frames count
    /// from 0; one without anomaly has an empty mask.
    ///
    /// # Errors
    /// [`MetricsError::MapSize`] if the mask does not fit the size.
    pub fn push(&mut self, mask: &[bool]) -> Result<(), MetricsError> {
        self.size.check(mask.len())?;
        let labels = Labels::new(self.size, |i| mask[i]);
        let components = labels.components(self.size, |_| 1.0);
        let shares = self.shares(&labels);
        // The part that keeps each component of the frame before: most pixels, then most shared
        // ones, then the first.
        let mut keeper: HashMap<usize, usize> = HashMap::new();
        let rank = |part: usize| (components[part].pixels, shares[part].map_or(0, |(_, n)| n));
        for (part, share) in shares.iter().enumerate() {
            if let Some((origin, _)) = share {
                let kept = keeper.entry(*origin).or_insert(part);
                if rank(part) > rank(*kept) {
                    *kept = part;
                }
            }
        }
        let mut open = Vec::with_capacity(components.len());
        for (part, component) in components.iter().enumerate() {
            let origin = shares[part].map(|(origin, _)| origin);
            let track = match origin.filter(|origin| keeper.get(origin) == Some(&part)) {
                Some(origin) => self.open[origin],
                None => {
                    self.tracks.push(Track::default());
                    self.tracks.len() - 1
                }
            };
            self.tracks[track]
                .regions
                .push(component.region(self.frame));
            open.push(track);
        }
        self.open = open;
        self.before = Some(labels);
        self.frame += 1;
        Ok(())
    }

    /// The tracks, in the order of their first boxes; each has one box a frame.
    pub fn finish(self) -> Vec<Track> {
        self.tracks
    }

    /// For each component, the component of the frame before that shares most pixels with it.
    fn shares(&self, labels: &Labels) -> Vec<Option<(usize, usize)>> {
        let mut common: HashMap<(usize, usize), usize> = HashMap::new();
        if let Some(before) = &self.before {
            for pair in labels.of_pixel.iter().zip(&before.of_pixel) {
                if let (Some(part), Some(origin)) = pair {
                    *common.entry((*part, *origin)).or_default() += 1;
                }
            }
        }
        let mut best: Vec<Option<(usize, usize)>> = vec![None; labels.count];
        for ((part, origin), pixels) in common {
            let better = best[part]
                .is_none_or(|(other, most)| pixels > most || (pixels == most && origin < other));
            if better {
                best[part] = Some((origin, pixels));
            }
        }
        best
    }
}

/// The tracks of a whole video at once; see [`MaskTracker`].
///
/// # Errors
/// [`MetricsError::MapSize`] if a mask does not fit the size.
pub fn tracks_from_masks<M: AsRef<[bool]>>(
    size: MapSize,
    masks: impl IntoIterator<Item = M>,
) -> Result<Vec<Track>, MetricsError> {
    let mut tracker = MaskTracker::new(size);
    for mask in masks {
        tracker.push(mask.as_ref())?;
    }
    Ok(tracker.finish())
}
