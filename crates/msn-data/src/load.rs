//! Decoding of videos.

use std::{
    ops::Range,
    sync::{Arc, Mutex},
};

use camino::Utf8Path;
use msn_video::{Color, Item, Losses, Options, PacedReader, Size, SourceKind};
use rayon::prelude::*;

use crate::{
    DataError, Keep, LoadedVideo, Resampling, Video,
    cache::{CacheWriter, CachedFrames, Head, file_of},
    keep::{Pixels, Room, SourceFrames, Spot, pixel_hash},
    video::frame_bytes,
};

/// How frames are to be stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Size to which whole pictures are squashed.
    pub size: Size,
    /// Grey (1 byte a pixel) or RGB (3).
    pub color: Color,
    /// Frames a second at which video files are to be taken; `None` for each file's own. Files of
    /// an even pace and that rate (to 2 %) are taken frame by frame, others by sample and hold
    /// ([`msn_video::Resampled`]). Frame folders are taken as they are.
    pub rate_hz: Option<f64>,
    /// Frames a second of frame folders, which do not tell their own: gives their frames times.
    pub folder_hz: Option<f64>,
}

impl LoadOptions {
    /// Frames of this size and colour at each file's own rate.
    #[must_use]
    pub const fn new(size: Size, color: Color) -> Self {
        Self {
            size,
            color,
            rate_hz: None,
            folder_hz: None,
        }
    }

    fn reading(&self, threads: usize) -> Options {
        Options {
            size: Some(self.size),
            color: self.color,
            threads,
            folder_hz: self.folder_hz,
        }
    }
}

impl LoadedVideo {
    /// Decodes a video into memory.
    ///
    /// # Errors
    /// Those of [`msn_video::open`] and of its reader; [`DataError::TooManyLost`] for a folder
    /// with over 5 % of its frames unreadable; [`DataError::Empty`] where nothing decodes.
    pub fn load(video: &Video, options: &LoadOptions) -> Result<Self, DataError> {
        let (keep, room) = (Keep::default(), Room::new(u64::MAX));
        load(video, options, &keep, &room, rayon::current_num_threads())
    }
}

/// Decodes videos into memory, side by side; the order stays.
///
/// # Errors
/// The first error of [`LoadedVideo::load`], in order of videos.
pub fn load_all(videos: &[Video], options: &LoadOptions) -> Result<Vec<LoadedVideo>, DataError> {
    load_within(videos, options, &Keep::default())
}

/// Decodes videos side by side and keeps their frames where `keep` allows: in memory while there
/// is room, then in a cache of files, then nowhere. Frames are the same wherever they are kept.
///
/// # Errors
/// The first error of [`LoadedVideo::load`], in order of videos. A cache that can't be written is
/// none; it is a warning.
pub fn load_within(
    videos: &[Video],
    options: &LoadOptions,
    keep: &Keep,
) -> Result<Vec<LoadedVideo>, DataError> {
    // Videos side by side keep all cores busy; a single one has them for its decoder.
    let threads = match videos.len() {
        0 | 1 => rayon::current_num_threads(),
        _ => 1,
    };
    let room = Room::new(keep.memory);
    let loaded: Vec<_> = videos
        .par_iter()
        .map(|video| load(video, options, keep, &room, threads))
        .collect();
    loaded.into_iter().collect()
}

/// The rate that most videos have: the middle one of those that tell theirs. Packets are read,
/// nothing is decoded; a file that can't be opened has none.
#[must_use]
pub fn usual_rate_hz(videos: &[Video]) -> Option<f64> {
    let pace = |video: &Video| msn_video::pace(&video.source).ok().flatten();
    let mut rates: Vec<f64> = videos
        .par_iter()
        .filter_map(|video| Some(pace(video)?.rate_hz()))
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

fn load(
    video: &Video,
    options: &LoadOptions,
    keep: &Keep,
    room: &Room,
    threads: usize,
) -> Result<LoadedVideo, DataError> {
    // Says what is wrong with a file better than its packets could.
    let reader = msn_video::open(&video.source, &options.reading(threads))?;
    let pace = match reader.info().kind {
        SourceKind::Folder => None,
        SourceKind::File => msn_video::pace(&video.source)?,
    };
    let rate_hz = pace.and_then(|pace| pace.resample_hz(options.rate_hz));
    let bytes = frame_bytes(options.size, options.color);
    let file = match &keep.cache {
        Some(folder) => Some(file_of(folder, video, options, rate_hz)?),
        None => None,
    };
    if let Some((cached, head)) = file.as_ref().and_then(|f| CachedFrames::open(f, bytes)) {
        return Ok(loaded(
            video,
            options,
            head,
            Pixels::Cached(Arc::new(cached)),
        ));
    }
    let mut loading = Loading::new(bytes, room, file.as_deref());
    let reader = loading.drain(reader.paced(rate_hz)?)?;
    let info = reader.info();
    let named = |note: &String| format!("{}: {note}", video.source);
    let mut warnings: Vec<String> = info.notes.iter().map(named).collect();
    if let (SourceKind::Folder, Some(own), Some(wanted)) =
        (info.kind, options.folder_hz, options.rate_hz)
        && !msn_video::same_rate(own, wanted)
    {
        warnings.push(format!(
            "{}: a folder of {own:.3} Hz is taken frame by frame, where {wanted:.3} Hz are wanted",
            video.source
        ));
    }
    if let Some(hz) = rate_hz {
        warnings.push(format!(
            "{}: {} frames of an uneven pace or another rate are taken as {} at {hz:.3} Hz",
            video.source,
            reader.source_frames(),
            loading.present.len()
        ));
    }
    loading.check(video, info.kind, reader.losses(), &mut warnings)?;
    let mut head = Head {
        source_size: [info.size.width, info.size.height],
        // What was resampled has its cuts as losses.
        runs: runs(
            &loading.present,
            &loading.seconds,
            pace.filter(|_| rate_hz.is_none())
                .map(|pace| pace.step_seconds),
        ),
        lost: reader.losses().frames,
        rate_hz: rate_hz
            .or(pace.map(|pace| pace.rate_near(info.rate_hz)))
            .or(info.rate_hz),
        resampled: rate_hz.map(|_| Resampling {
            source_frames: reader.source_frames(),
            source_index: loading.source_index.clone(),
        }),
        seconds: std::mem::take(&mut loading.seconds),
        warnings,
    };
    let exact = info.kind == SourceKind::Folder || reader.losses().is_empty();
    let spots = loading.spots();
    let failed = match loading.pixels {
        Sink::Memory(frames) => return Ok(loaded(video, options, head, Pixels::Memory(frames))),
        Sink::File(writer) => match writer.finish(&head) {
            Ok(cached) => {
                return Ok(loaded(
                    video,
                    options,
                    head,
                    Pixels::Cached(Arc::new(cached)),
                ));
            }
            Err(error) => Some(error),
        },
        Sink::Nowhere(error) => error,
    };
    head.warnings.push(match failed {
        Some(error) => format!("{}: no cache ({error}), so frames are decoded again and again", video.source),
        None => format!("{}: does not fit into memory and there is no cache, so frames are decoded again and again", video.source),
    });
    // One thread: what a decoder makes up for damaged parts is the same each time then.
    let source = SourceFrames {
        path: video.source.clone(),
        options: options.reading(1),
        spots,
        exact,
        place: Mutex::default(),
    };
    Ok(loaded(
        video,
        options,
        head,
        Pixels::Source(Arc::new(source)),
    ))
}

fn loaded(video: &Video, options: &LoadOptions, head: Head, pixels: Pixels) -> LoadedVideo {
    LoadedVideo {
        name: video.name.clone(),
        source: video.source.clone(),
        size: options.size,
        color: options.color,
        source_size: head.source_size(),
        seconds: head.seconds,
        runs: head.runs,
        lost: head.lost,
        rate_hz: head.rate_hz,
        resampled: head.resampled,
        warnings: head.warnings,
        pixels,
    }
}

/// What was lost of a source of so many frames, in words.
pub(crate) fn loss_text(losses: &Losses, frames: usize, reason: &str) -> String {
    let mut parts = Vec::new();
    if losses.frames > 0 {
        parts.push(format!("{} of {frames} frames are lost", losses.frames));
    }
    if losses.missing > 0 {
        parts.push(format!(
            "{} frames that the file announces after the last are not there",
            losses.missing
        ));
    }
    if losses.damaged > 0 {
        parts.push(format!("{} frames are damaged in part", losses.damaged));
    }
    if losses.bytes > 0 {
        parts.push(format!("{} bytes gave no frame", losses.bytes));
    }
    format!("{} (first: {reason})", parts.join(", "))
}

/// Frames of a video: files of a folder, or what decodes of a file.
pub(crate) fn count_frames(video: &Video) -> Result<usize, DataError> {
    if video.source.is_dir() {
        return Ok(msn_video::frame_files(&video.source)?.len());
    }
    let reader = msn_video::open(
        &video.source,
        &Options {
            size: Some(Size {
                width: 8,
                height: 8,
            }),
            color: Color::Grey,
            threads: rayon::current_num_threads(),
            ..Options::default()
        },
    )?;
    let mut frames = 0;
    for item in reader {
        let index = match item? {
            Item::Frame(frame) => frame.index,
            Item::Lost(lost) => lost.index,
        };
        frames = frames.max(index + 1);
    }
    Ok(frames)
}

/// Where pixels go as they come in.
enum Sink {
    Memory(Vec<Box<[u8]>>),
    File(Box<CacheWriter>),
    /// Why there is no file, where one was wanted.
    Nowhere(Option<DataError>),
}

/// Frames as they come in.
struct Loading<'a> {
    bytes: usize,
    room: &'a Room,
    cache: Option<&'a Utf8Path>,
    pixels: Sink,
    seconds: Vec<Option<f64>>,
    source_index: Vec<usize>,
    source_seconds: Vec<Option<f64>>,
    /// Of all frames, once they are not all in memory.
    hashes: Vec<u64>,
    present: Vec<bool>,
    first_reason: Option<String>,
}

impl<'a> Loading<'a> {
    fn new(bytes: usize, room: &'a Room, cache: Option<&'a Utf8Path>) -> Self {
        Self {
            bytes,
            room,
            cache,
            pixels: Sink::Memory(Vec::new()),
            seconds: Vec::new(),
            source_index: Vec::new(),
            source_seconds: Vec::new(),
            hashes: Vec::new(),
            present: Vec::new(),
            first_reason: None,
        }
    }

    /// Takes all frames and hands the reader back for what it knows at its end.
    fn drain(&mut self, mut reader: PacedReader) -> Result<PacedReader, DataError> {
        for item in reader.by_ref() {
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
        if let Sink::Memory(frames) = &mut self.pixels {
            if self.room.take(bytes) {
                frames.push(pixels.into());
                return;
            }
            let held = u64::try_from(frames.len()).unwrap_or(u64::MAX);
            self.hashes = frames.iter().map(|frame| pixel_hash(frame)).collect();
            self.pixels = self.spill();
            self.room.give_back(held.saturating_mul(bytes));
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
            if let Sink::Memory(frames) = &self.pixels {
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
    fn spots(&self) -> Vec<Option<Spot>> {
        let places = self.source_index.iter().zip(&self.source_seconds);
        let told = places.zip(&self.hashes).zip(&self.present);
        told.map(|(((&index, &seconds), &hash), present)| {
            present.then_some(Spot {
                index,
                seconds,
                hash,
            })
        })
        .collect()
    }

    fn check(
        &self,
        video: &Video,
        kind: SourceKind,
        losses: &Losses,
        warnings: &mut Vec<String>,
    ) -> Result<(), DataError> {
        let source = &video.source;
        if !self.present.contains(&true) {
            return Err(DataError::Empty {
                path: source.clone(),
                looked_for: "frame that decodes".to_owned(),
            });
        }
        if losses.is_empty() {
            return Ok(());
        }
        let frames = self.present.len();
        let reason = self
            .first_reason
            .clone()
            .or_else(|| losses.reasons.first().cloned())
            .unwrap_or_else(|| "no reason given".to_owned());
        // In a folder a lost frame is a broken file; a video file may well be cut short, and
        // what decodes of it is used.
        if matches!(kind, SourceKind::Folder) && losses.frames.saturating_mul(20) > frames {
            return Err(DataError::TooManyLost {
                path: source.clone(),
                lost: losses.frames,
                frames,
                reason,
            });
        }
        warnings.push(format!("{source}: {}", loss_text(losses, frames, &reason)));
        Ok(())
    }
}

/// Unbroken runs: of frames that are there, without a cut in time.
fn runs(present: &[bool], seconds: &[Option<f64>], step_seconds: Option<f64>) -> Vec<Range<usize>> {
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
