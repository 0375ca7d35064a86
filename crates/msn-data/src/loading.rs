//! One video while it is decoded: its frames go to memory, to a file, or nowhere.

use std::ops::Range;

use camino::Utf8Path;
use msn_video::{DecodeErrors, Item, PacedReader, SourceKind};

use crate::{
    DataError, LoadProgress, Video,
    cache::CacheWriter,
    redecode::{SourceFrame, pixel_hash},
    store::{MemoryBudget, Reservation},
};

/// Where pixels go as they come in.
pub(crate) enum Sink {
    Memory(Vec<Box<[u8]>>, Reservation),
    File(Box<CacheWriter>),
    /// Why there is no file, where one was wanted.
    Nowhere(Option<DataError>),
}

/// Frames as they come in.
pub(crate) struct Loading<'a> {
    bytes: usize,
    cache: Option<&'a Utf8Path>,
    pub pixels: Sink,
    pub seconds: Vec<Option<f64>>,
    pub source_index: Vec<usize>,
    source_seconds: Vec<Option<f64>>,
    /// Of all frames, once they are not all in memory.
    hashes: Vec<u64>,
    pub present: Vec<bool>,
    first_reason: Option<String>,
}

impl<'a> Loading<'a> {
    pub fn new(bytes: usize, budget: &MemoryBudget, cache: Option<&'a Utf8Path>) -> Self {
        Self {
            bytes,
            cache,
            pixels: Sink::Memory(Vec::new(), budget.reserve_nothing()),
            seconds: Vec::new(),
            source_index: Vec::new(),
            source_seconds: Vec::new(),
            hashes: Vec::new(),
            present: Vec::new(),
            first_reason: None,
        }
    }

    /// Takes all frames and hands the reader back for what it knows at its end.
    pub fn drain(
        &mut self,
        mut reader: PacedReader,
        progress: &LoadProgress,
    ) -> Result<PacedReader, DataError> {
        for item in reader.by_ref() {
            progress.add(1);
            match item? {
                Item::Frame(frame) => {
                    self.extend_to(frame.index);
                    if frame.index == self.present.len() {
                        self.push(&frame.picture.pixels);
                        self.seconds.push(frame.seconds);
                        self.source_index.push(frame.source_index);
                        self.source_seconds.push(frame.source_seconds);
                        self.present.push(true);
                    }
                }
                Item::Lost(lost) => {
                    self.extend_to(lost.index + 1);
                    self.first_reason.get_or_insert(lost.reason);
                }
            }
        }
        Ok(reader)
    }

    fn push(&mut self, pixels: &[u8]) {
        let bytes = u64::try_from(pixels.len()).unwrap_or(u64::MAX);
        if let Sink::Memory(frames, reservation) = &mut self.pixels {
            if reservation.grow(bytes) {
                frames.push(pixels.into());
                return;
            }
            self.hashes = frames.iter().map(|frame| pixel_hash(frame)).collect();
            self.pixels = self.spill();
        }
        self.hashes.push(pixel_hash(pixels));
        if let Sink::File(writer) = &mut self.pixels
            && let Err(error) = writer.push(pixels)
        {
            self.pixels = Sink::Nowhere(Some(error));
        }
    }

    /// Moves what lies in memory to a file.
    fn spill(&self) -> Sink {
        let Some(cache) = self.cache else {
            return Sink::Nowhere(None);
        };
        let write = || {
            let mut writer = CacheWriter::new(cache)?;
            if let Sink::Memory(frames, _) = &self.pixels {
                for frame in frames {
                    writer.push(frame)?;
                }
            }
            Ok(writer)
        };
        match write() {
            Ok(writer) => Sink::File(Box::new(writer)),
            Err(error) => Sink::Nowhere(Some(error)),
        }
    }

    /// Adds lost frames up to, not including, `index`.
    fn extend_to(&mut self, index: usize) {
        let empty = vec![0; self.bytes];
        while self.present.len() < index {
            self.push(&empty);
            self.present.push(false);
            self.seconds.push(None);
            let latest = self.source_index.last().copied();
            self.source_index.push(latest.unwrap_or(0));
            self.source_seconds.push(None);
        }
    }

    /// Where each frame comes from; none while all are in memory.
    pub fn source_frames(&self) -> Vec<Option<SourceFrame>> {
        let positions = self.source_index.iter().zip(&self.source_seconds);
        let all = positions.zip(&self.hashes).zip(&self.present);
        all.map(|(((&index, &seconds), &hash), present)| {
            present.then_some(SourceFrame {
                index,
                seconds,
                hash,
            })
        })
        .collect()
    }

    /// Refuses what is too damaged, and adds a warning where something was lost.
    pub fn check(
        &self,
        video: &Video,
        kind: SourceKind,
        errors: &DecodeErrors,
        warnings: &mut Vec<String>,
    ) -> Result<(), DataError> {
        let source = &video.source;
        if !self.present.contains(&true) {
            return Err(DataError::Empty {
                path: source.clone(),
                looked_for: "frame that decodes".to_owned(),
            });
        }
        if errors.is_empty() {
            return Ok(());
        }
        let frames = self.present.len();
        let reason = self
            .first_reason
            .clone()
            .or_else(|| errors.reasons.first().cloned())
            .unwrap_or_else(|| "no reason given".to_owned());
        // In a folder a lost frame is a broken file; a video file may well be cut short, and
        // what decodes of it is used.
        if matches!(kind, SourceKind::Folder) && errors.lost.saturating_mul(20) > frames {
            return Err(DataError::TooManyLost {
                path: source.clone(),
                lost: errors.lost,
                frames,
                reason,
            });
        }
        warnings.push(format!("{source}: {}", loss_text(errors, frames, &reason)));
        Ok(())
    }
}

/// What was lost of a source of so many frames, in words.
pub(crate) fn loss_text(errors: &DecodeErrors, frames: usize, reason: &str) -> String {
    let mut parts = Vec::new();
    if errors.lost > 0 {
        parts.push(format!("{} of {frames} frames are lost", errors.lost));
    }
    if errors.missing > 0 {
        parts.push(format!(
            "{} frames that the file announces after the last are not there",
            errors.missing
        ));
    }
    if errors.damaged > 0 {
        parts.push(format!("{} frames are damaged in part", errors.damaged));
    }
    if errors.bytes > 0 {
        parts.push(format!("{} bytes gave no frame", errors.bytes));
    }
    format!("{} (first: {reason})", parts.join(", "))
}

/// Unbroken runs: of frames that are there, without a cut in time.
pub(crate) fn runs(
    present: &[bool],
    seconds: &[Option<f64>],
    step_seconds: Option<f64>,
) -> Vec<Range<usize>> {
    let cut = |index: usize| match (seconds[index - 1], seconds[index], step_seconds) {
        (Some(before), Some(now), Some(step)) => msn_video::is_cut(before, now, step),
        _ => false,
    };
    let mut runs: Vec<Range<usize>> = Vec::new();
    for index in (0..present.len()).filter(|&i| present[i]) {
        match runs.last_mut() {
            Some(run) if run.end == index && !cut(index) => run.end = index + 1,
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_unbroken_and_as_long_as_can_be(
            frames in prop::collection::vec((prop::bool::weighted(0.9), 0..20u32), 0..80),
            timed in any::<bool>(),
        ) {
            // Most steps are a tenth of a second, some are cuts, some go back.
            let mut now = 0.0;
            let mut seconds = Vec::new();
            for (_, step) in &frames {
                now += match step { 0 => 30.0, 1 => -2.0, _ => 0.1 };
                seconds.push(timed.then_some(now));
            }
            let present: Vec<bool> = frames.iter().map(|(there, _)| *there).collect();
            let found = runs(&present, &seconds, timed.then_some(0.1));
            let cut = |i: usize| timed && matches!(frames[i].1, 0 | 1);
            prop_assert_eq!(found.iter().map(Range::len).sum::<usize>(), present.iter().filter(|p| **p).count());
            for run in &found {
                prop_assert!(run.clone().all(|i| present[i]));
                prop_assert!(run.clone().skip(1).all(|i| !cut(i)));
                let more = run.end;
                prop_assert!(more == present.len() || !present[more] || cut(more));
            }
        }
    }
}
