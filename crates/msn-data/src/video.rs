//! A video's frames at one size, wherever they are kept.

use std::{borrow::Cow, ops::Range, sync::Arc};

use camino::Utf8PathBuf;
use msn_video::{Color, Size, Stretch};

use crate::{
    DataError,
    pixels::{MemoryFrames, Pixels},
};

/// A video's frames at one size.
#[derive(Clone, Debug)]
pub struct LoadedVideo {
    /// The video's name.
    pub name: String,
    /// Its file or folder.
    pub source: Utf8PathBuf,
    /// Size of the frames.
    pub size: Size,
    /// Colour of the frames.
    pub color: Color,
    /// Size of the source's pictures.
    pub source_size: Size,
    /// Time of each frame in seconds, where the source has times.
    pub seconds: Vec<Option<f64>>,
    /// Unbroken runs of frames. Lost frames keep their index, hold zeros and are in no run.
    pub runs: Vec<Range<usize>>,
    /// Frames that could not be decoded.
    pub lost: usize,
    /// Frames a second, where that is known.
    pub rate_hz: Option<f64>,
    /// Which frames of the source these are, where they were brought to another rate.
    pub resampled: Option<Resampling>,
    /// What became black and white, where pictures have more than 8 bits.
    pub stretch: Option<Stretch>,
    /// What a user should know: lost frames, ignored properties.
    pub warnings: Vec<String>,
    pub(crate) pixels: Pixels,
}

/// Frames at a fixed rate as frames of their source.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Resampling {
    /// Frames of the source.
    pub source_frames: usize,
    /// For each frame, its index in the source.
    pub source_index: Vec<usize>,
}

impl LoadedVideo {
    /// A video of frames that lie in memory, one unbroken run without times: frames x height x
    /// width x channels, 0..=255, row-major, channels interleaved.
    ///
    /// # Errors
    /// [`DataError::Source`] where the pixels are no whole number of frames.
    pub fn from_pixels(
        name: impl Into<String>,
        size: Size,
        color: Color,
        pixels: &[u8],
    ) -> Result<Self, DataError> {
        let name = name.into();
        let bytes = frame_bytes(size, color).max(1);
        if !pixels.len().is_multiple_of(bytes) {
            return Err(DataError::Source {
                pattern: name,
                reason: format!("has {} bytes, which are no frames of {bytes}", pixels.len()),
            });
        }
        let frames = pixels.len() / bytes;
        Ok(Self {
            source: name.clone().into(),
            name,
            size,
            color,
            source_size: size,
            seconds: vec![None; frames],
            runs: (frames > 0).then_some(0..frames).into_iter().collect(),
            lost: 0,
            rate_hz: None,
            resampled: None,
            stretch: None,
            warnings: Vec::new(),
            pixels: Pixels::Memory(Arc::new(MemoryFrames {
                frames: pixels.chunks_exact(bytes).map(Box::from).collect(),
                reservation: None,
            })),
        })
    }

    /// Frames, lost ones included.
    #[must_use]
    pub fn frames(&self) -> usize {
        self.seconds.len()
    }

    /// The pixels of frame `index`: height x width x channels.
    ///
    /// # Errors
    /// [`DataError::Gone`] where the frame is not in memory and can't be read any more.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn frame(&self, index: usize) -> Result<Cow<'_, [u8]>, DataError> {
        assert!(index < self.frames(), "no frame {index} in {}", self.name);
        self.pixels.frame(index, frame_bytes(self.size, self.color))
    }

    /// Bytes of pixels that lie in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        match &self.pixels {
            Pixels::Memory(memory) => memory
                .frames
                .iter()
                .map(|frame| u64::try_from(frame.len()).unwrap_or(u64::MAX))
                .sum(),
            _ => 0,
        }
    }

    /// Whether reading a frame means decoding it.
    #[must_use]
    pub fn is_decoded_on_the_fly(&self) -> bool {
        matches!(self.pixels, Pixels::Source(_))
    }

    /// Blake3 over name, sizes, colour, runs and pixels: the first 16 hexadecimal digits.
    ///
    /// # Errors
    /// Those of [`LoadedVideo::frame`].
    pub fn hash(&self) -> Result<String, DataError> {
        let mut hasher = blake3::Hasher::new();
        self.feed(&mut hasher)?;
        Ok(short(&hasher))
    }

    fn feed(&self, hasher: &mut blake3::Hasher) -> Result<(), DataError> {
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
        number(hasher, self.frames() * frame_bytes(self.size, self.color));
        for index in 0..self.frames() {
            hasher.update(&self.frame(index)?);
        }
        Ok(())
    }
}

/// Blake3 over names, sizes, runs and pixels of videos: the first 16 hexadecimal digits.
///
/// # Errors
/// Those of [`LoadedVideo::frame`].
pub fn data_hash(videos: &[LoadedVideo]) -> Result<String, DataError> {
    let mut hasher = blake3::Hasher::new();
    for video in videos {
        video.feed(&mut hasher)?;
    }
    Ok(short(&hasher))
}

/// The first 16 hexadecimal digits of a hash.
pub(crate) fn short(hasher: &blake3::Hasher) -> String {
    let mut text = hasher.finalize().to_hex().to_string();
    text.truncate(16);
    text
}

pub(crate) fn frame_bytes(size: Size, color: Color) -> usize {
    let side = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    side(size.width)
        .saturating_mul(side(size.height))
        .saturating_mul(color.channels())
}
