//! Where decoded frames are kept: in memory while there is room, else in files, else nowhere.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use camino::Utf8PathBuf;
use msn_video::{Item, Options, PacedReader};

use crate::{DataError, cache::CachedFrames};

/// Frames that a video decoded on the fly remembers: clips overlap.
const REMEMBERED: usize = 64;

/// Where decoded frames may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of pixels that may lie in memory.
    pub memory: u64,
    /// Folder for the frames of videos that do not fit; `None` for none: such videos are decoded
    /// again whenever a frame is wanted.
    pub cache: Option<Utf8PathBuf>,
}

impl Default for Keep {
    /// Everything in memory.
    fn default() -> Self {
        Self {
            memory: u64::MAX,
            cache: None,
        }
    }
}

/// Memory that several videos share.
#[derive(Debug)]
pub(crate) struct Room(AtomicU64);

impl Room {
    pub fn new(bytes: u64) -> Self {
        Self(AtomicU64::new(bytes))
    }

    /// Takes so many bytes, if they are there.
    pub fn take(&self, bytes: u64) -> bool {
        let less = |left: u64| left.checked_sub(bytes);
        let order = Ordering::Relaxed;
        self.0.fetch_update(order, order, less).is_ok()
    }

    pub fn give_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The pixels of a video's frames.
#[derive(Clone, Debug)]
pub(crate) enum Pixels {
    Memory(Vec<Box<[u8]>>),
    Cached(Arc<CachedFrames>),
    Source(Arc<SourceFrames>),
}

impl Pixels {
    pub fn frame(&self, index: usize, bytes: usize) -> Result<Cow<'_, [u8]>, DataError> {
        Ok(match self {
            Self::Memory(frames) => Cow::Borrowed(&frames[index]),
            Self::Cached(cached) => Cow::Owned(cached.frame(index, bytes)?),
            Self::Source(source) => Cow::Owned(source.frame(index, bytes)?),
        })
    }
}

/// A video that is decoded again for every frame that is wanted.
pub(crate) struct SourceFrames {
    path: Utf8PathBuf,
    options: Options,
    rate_hz: Option<f64>,
    place: Mutex<Place>,
}

/// Where its decoder stands.
#[derive(Default)]
struct Place {
    reader: Option<PacedReader>,
    /// The item that the reader gives next.
    next: usize,
    recent: VecDeque<(usize, Vec<u8>)>,
}

impl std::fmt::Debug for SourceFrames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceFrames")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SourceFrames {
    pub fn new(path: Utf8PathBuf, options: Options, rate_hz: Option<f64>) -> Self {
        Self {
            path,
            options,
            rate_hz,
            place: Mutex::default(),
        }
    }

    fn frame(&self, index: usize, bytes: usize) -> Result<Vec<u8>, DataError> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pixels)) = place.recent.iter().find(|(i, _)| *i == index) {
            return Ok(pixels.clone());
        }
        let found = place.read(self, index, bytes);
        if found.is_err() {
            *place = Place::default();
        }
        found
    }
}

impl Place {
    fn read(
        &mut self,
        video: &SourceFrames,
        index: usize,
        bytes: usize,
    ) -> Result<Vec<u8>, DataError> {
        if index < self.next {
            self.reader = None;
        }
        let reader = match &mut self.reader {
            Some(reader) => reader,
            empty => {
                let reader = PacedReader::open(&video.path, &video.options, video.rate_hz)?;
                empty.insert(reader)
            }
        };
        reader.skip_to(index)?;
        let item = reader.next().transpose()?;
        self.next = item.as_ref().map_or(index, Item::index) + 1;
        let pixels = match item {
            Some(Item::Frame(frame)) if frame.index == index => frame.picture.pixels,
            // Lost, or passed over without a word.
            Some(_) => vec![0; bytes],
            None => {
                return Err(DataError::Gone {
                    path: video.path.clone(),
                    reason: format!("frame {index} was there before"),
                });
            }
        };
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((index, pixels.clone()));
        Ok(pixels)
    }
}
