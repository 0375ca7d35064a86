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
use msn_video::{Item, Options, Reader};

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

/// A frame as it was when its video was first read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot {
    /// Place in the source.
    pub index: usize,
    /// Time in the source.
    pub seconds: Option<f64>,
    /// Of its pixels ([`pixel_hash`]).
    pub hash: u64,
}

/// The first 64 bits of Blake3.
pub(crate) fn pixel_hash(pixels: &[u8]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(pixels).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// A video that is decoded again for every frame that is wanted.
pub(crate) struct SourceFrames {
    pub path: Utf8PathBuf,
    pub options: Options,
    /// For each frame where it comes from, unless it was lost.
    pub spots: Vec<Option<Spot>>,
    /// Whether each reading must give the same pixels: what a decoder makes up for damaged parts
    /// may depend on where it started.
    pub exact: bool,
    pub place: Mutex<Place>,
}

/// Where its decoder stands.
#[derive(Default)]
pub(crate) struct Place {
    reader: Option<Reader>,
    /// The item that the reader gives next.
    next: usize,
    /// Seeking once led elsewhere.
    unseekable: bool,
    /// Pixels by place in the source.
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
    fn frame(&self, index: usize, bytes: usize) -> Result<Vec<u8>, DataError> {
        let Some(spot) = self.spots[index] else {
            return Ok(vec![0; bytes]);
        };
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pixels)) = place.recent.iter().find(|(i, _)| *i == spot.index) {
            return Ok(pixels.clone());
        }
        let found = place.find(self, &spot);
        match &found {
            Ok(pixels) => place.remember(spot.index, pixels),
            Err(_) => *place = Place::default(),
        }
        found
    }

    /// Whether these are the pixels that were there at first.
    fn is_same(&self, spot: &Spot, pixels: &[u8]) -> bool {
        !self.exact || pixel_hash(pixels) == spot.hash
    }
}

impl Place {
    /// Reads a frame: on from here where it is near, else by seeking, else from the start.
    fn find(&mut self, video: &SourceFrames, spot: &Spot) -> Result<Vec<u8>, DataError> {
        let near = self.next..self.next + REMEMBERED;
        if self.reader.is_none() || !near.contains(&spot.index) {
            if let Some(pixels) = self.seek(video, spot)? {
                return Ok(pixels);
            }
            if spot.index < self.next {
                self.reader = None;
            }
        }
        if let Some(pixels) = self.read_to(video, spot)? {
            return Ok(pixels);
        }
        Err(DataError::Gone {
            path: video.path.clone(),
            reason: format!("frame {} was there before", spot.index),
        })
    }

    /// Goes to a frame by the source's index; `None` where that does not lead to it.
    fn seek(&mut self, video: &SourceFrames, spot: &Spot) -> Result<Option<Vec<u8>>, DataError> {
        if self.unseekable || !video.exact {
            return Ok(None);
        }
        if self.open(video)?.seek(spot.index, spot.seconds)? {
            self.next = spot.index;
            if let Some(pixels) = self.read_to(video, spot)? {
                return Ok(Some(pixels));
            }
        }
        self.unseekable = true;
        self.reader = None;
        Ok(None)
    }

    /// Reads on to a frame; `None` where something else is in its place.
    fn read_to(&mut self, video: &SourceFrames, spot: &Spot) -> Result<Option<Vec<u8>>, DataError> {
        let mut next = self.next;
        let reader = self.open(video)?;
        let found = loop {
            let Some(item) = reader.next().transpose()? else {
                break None;
            };
            next = item.index() + 1;
            match item {
                Item::Frame(frame) if frame.index == spot.index => {
                    break Some(frame.picture.pixels);
                }
                item if item.index() >= spot.index => break None,
                _ => {}
            }
        };
        self.next = next;
        Ok(found.filter(|pixels| video.is_same(spot, pixels)))
    }

    fn open(&mut self, video: &SourceFrames) -> Result<&mut Reader, DataError> {
        Ok(match &mut self.reader {
            Some(reader) => reader,
            empty => {
                self.next = 0;
                empty.insert(msn_video::open(&video.path, &video.options)?)
            }
        })
    }

    fn remember(&mut self, index: usize, pixels: &[u8]) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back((index, pixels.to_owned()));
    }
}
