//! Videos decoded into memory.

use std::ops::Range;

use camino::Utf8PathBuf;
use msn_video::{Color, Item, Losses, Options, Reader, Size, SourceKind};
use rayon::prelude::*;

use crate::{DataError, Video};

/// How frames are to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Size to which whole pictures are squashed.
    pub size: Size,
    /// Grey (1 byte a pixel) or RGB (3).
    pub color: Color,
}

/// A video's frames at one size.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedVideo {
    /// The video's name.
    pub name: String,
    /// Its file or folder.
    pub source: Utf8PathBuf,
    /// Size of the stored frames.
    pub size: Size,
    /// Colour of the stored frames.
    pub color: Color,
    /// Size of the source's pictures.
    pub source_size: Size,
    /// Frames x height x width x channels, 0..=255, row-major, channels interleaved.
    pub pixels: Vec<u8>,
    /// Time of each frame in seconds, where the source has times.
    pub seconds: Vec<Option<f64>>,
    /// Unbroken runs of frames. Lost frames keep their index, hold zeros and are in no run.
    pub runs: Vec<Range<usize>>,
    /// Frames that could not be decoded.
    pub lost: usize,
    /// Frames a second, where the source says so.
    pub rate_hz: Option<f64>,
    /// What a user should know: lost frames, ignored properties.
    pub warnings: Vec<String>,
}

impl LoadedVideo {
    /// Decodes a video.
    ///
    /// # Errors
    /// Those of [`msn_video::open`] and of its reader; [`DataError::TooManyLost`] for a folder
    /// with over 5 % of its frames unreadable; [`DataError::Empty`] where nothing decodes.
    pub fn load(video: &Video, options: &LoadOptions) -> Result<Self, DataError> {
        Self::load_with(video, options, rayon::current_num_threads())
    }

    /// Decodes a video with so many threads of the decoder.
    fn load_with(video: &Video, options: &LoadOptions, threads: usize) -> Result<Self, DataError> {
        let reader = msn_video::open(
            &video.source,
            &Options {
                size: Some(options.size),
                color: options.color,
                threads,
            },
        )?;
        let mut loading = Loading::new(frame_bytes(options.size, options.color));
        if let (SourceKind::Folder, Some(frames)) = (reader.info().kind, reader.info().frames) {
            loading.reserve(frames);
        }
        let reader = loading.drain(reader)?;
        let (info, losses) = (reader.info(), reader.losses());
        let mut warnings = info.notes.clone();
        loading.check(video, info.kind, losses, &mut warnings)?;
        let runs = loading.runs();
        Ok(Self {
            name: video.name.clone(),
            source: video.source.clone(),
            size: options.size,
            color: options.color,
            source_size: info.size,
            pixels: loading.pixels,
            seconds: loading.seconds,
            runs,
            lost: losses.frames,
            rate_hz: info.rate_hz,
            warnings,
        })
    }

    /// Frames, lost ones included.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.seconds.len()
    }

    /// The pixels of frame `index`: height x width x channels.
    ///
    /// # Panics
    /// If there is no such frame.
    #[must_use]
    pub fn frame(&self, index: usize) -> &[u8] {
        let bytes = frame_bytes(self.size, self.color);
        &self.pixels[index * bytes..(index + 1) * bytes]
    }

    /// Blake3 over name, sizes, colour, runs and pixels: the first 16 hexadecimal digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        self.feed(&mut hasher);
        short(&hasher)
    }

    fn feed(&self, hasher: &mut blake3::Hasher) {
        let number = |hasher: &mut blake3::Hasher, n: usize| {
            hasher.update(&u64::try_from(n).unwrap_or(u64::MAX).to_le_bytes());
        };
        number(hasher, self.name.len());
        hasher.update(self.name.as_bytes());
        hasher.update(&self.size.width.to_le_bytes());
        hasher.update(&self.size.height.to_le_bytes());
        number(hasher, self.color.channels());
        number(hasher, self.runs.len());
        for run in &self.runs {
            number(hasher, run.start);
            number(hasher, run.end);
        }
        number(hasher, self.pixels.len());
        hasher.update_rayon(&self.pixels);
    }
}

/// Decodes videos in parallel; the order stays.
///
/// # Errors
/// The first error of [`LoadedVideo::load`], in order of videos.
pub fn load_all(videos: &[Video], options: &LoadOptions) -> Result<Vec<LoadedVideo>, DataError> {
    // Videos side by side keep all cores busy; a single one has them for its decoder.
    let threads = match videos.len() {
        0 | 1 => rayon::current_num_threads(),
        _ => 1,
    };
    let loaded: Vec<_> = videos
        .par_iter()
        .map(|video| LoadedVideo::load_with(video, options, threads))
        .collect();
    loaded.into_iter().collect()
}

/// Blake3 over names, sizes, runs and pixels of videos: the first 16 hexadecimal digits.
#[must_use]
pub fn data_hash(videos: &[LoadedVideo]) -> String {
    let mut hasher = blake3::Hasher::new();
    for video in videos {
        video.feed(&mut hasher);
    }
    short(&hasher)
}

/// The first 16 hexadecimal digits of a hash.
pub(crate) fn short(hasher: &blake3::Hasher) -> String {
    let mut text = hasher.finalize().to_hex().to_string();
    text.truncate(16);
    text
}

fn frame_bytes(size: Size, color: Color) -> usize {
    let side = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    side(size.width)
        .saturating_mul(side(size.height))
        .saturating_mul(color.channels())
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

/// Frames as they come in.
struct Loading {
    bytes: usize,
    pixels: Vec<u8>,
    seconds: Vec<Option<f64>>,
    present: Vec<bool>,
    first_reason: Option<String>,
}

impl Loading {
    fn new(bytes: usize) -> Self {
        Self {
            bytes,
            pixels: Vec::new(),
            seconds: Vec::new(),
            present: Vec::new(),
            first_reason: None,
        }
    }

    fn reserve(&mut self, frames: usize) {
        self.pixels.reserve(frames.saturating_mul(self.bytes));
        self.seconds.reserve(frames);
        self.present.reserve(frames);
    }

    /// Takes all frames and hands the reader back for what it knows at its end.
    fn drain(&mut self, mut reader: Reader) -> Result<Reader, DataError> {
        for item in &mut reader {
            match item? {
                Item::Frame(frame) => {
                    self.extend_to(frame.index);
                    if frame.index < self.present.len() {
                        continue;
                    }
                    self.pixels.extend_from_slice(&frame.picture.pixels);
                    self.pixels.resize((frame.index + 1) * self.bytes, 0);
                    self.seconds.push(frame.seconds);
                    self.present.push(true);
                }
                Item::Lost(lost) => {
                    self.extend_to(lost.index + 1);
                    self.first_reason.get_or_insert(lost.reason);
                }
            }
        }
        Ok(reader)
    }

    /// Adds lost frames up to, not including, `index`.
    fn extend_to(&mut self, index: usize) {
        if index > self.present.len() {
            self.present.resize(index, false);
            self.seconds.resize(index, None);
            self.pixels.resize(index * self.bytes, 0);
        }
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

    fn runs(&self) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = None;
        for (index, present) in self.present.iter().enumerate() {
            match (present, start) {
                (true, None) => start = Some(index),
                (false, Some(first)) => {
                    runs.push(first..index);
                    start = None;
                }
                _ => {}
            }
        }
        if let Some(first) = start {
            runs.push(first..self.present.len());
        }
        runs
    }
}
