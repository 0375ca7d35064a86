//! Frames of a video that is stored nowhere: decoded again whenever one is wanted.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use camino::Utf8PathBuf;
use msn_video::{Item, Options, Reader};

use crate::DataError;

/// Frames that a video decoded on the fly remembers: clips overlap.
const REMEMBERED: usize = 64;

/// A frame as it was when its video was first decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceFrame {
    /// Its index in the source.
    pub index: usize,
    /// Its time in the source, seconds.
    pub seconds: Option<f64>,
    /// Hash of its pixels ([`pixel_hash`]).
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
    pub frames: Vec<Option<SourceFrame>>,
    /// Whether each reading must give the same pixels: what a decoder makes up for damaged parts
    /// may depend on where it started.
    pub exact: bool,
    pub cursor: Mutex<Cursor>,
}

/// Where the decoder of a video stands.
#[derive(Default)]
pub(crate) struct Cursor {
    reader: Option<Reader>,
    /// The item that the reader gives next.
    next: usize,
    /// Seeking once led elsewhere.
    unseekable: bool,
    /// Pixels by index in the source.
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
    /// The pixels of frame `index`, which take so many bytes; zeros for a lost one.
    pub fn frame(&self, index: usize, bytes: usize) -> Result<Vec<u8>, DataError> {
        let Some(frame) = self.frames[index] else {
            return Ok(vec![0; bytes]);
        };
        let mut cursor = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pixels)) = cursor.recent.iter().find(|(i, _)| *i == frame.index) {
            return Ok(pixels.clone());
        }
        let found = cursor.find(self, &frame);
        match &found {
            Ok(pixels) => cursor.remember(frame.index, pixels),
            Err(_) => *cursor = Cursor::default(),
        }
        found
    }

    /// Whether these are the pixels that were there at first.
    fn is_same(&self, frame: &SourceFrame, pixels: &[u8]) -> bool {
        !self.exact || pixel_hash(pixels) == frame.hash
    }
}

impl Cursor {
    /// Reads a frame: on from here where it is near, else by seeking, else from the start.
    fn find(&mut self, video: &SourceFrames, wanted: &SourceFrame) -> Result<Vec<u8>, DataError> {
        let near = self.next..self.next + REMEMBERED;
        if self.reader.is_none() || !near.contains(&wanted.index) {
            if let Some(pixels) = self.seek(video, wanted)? {
                return Ok(pixels);
            }
            if wanted.index < self.next {
                self.reader = None;
            }
        }
        if let Some(pixels) = self.read_to(video, wanted)? {
            return Ok(pixels);
        }
        Err(DataError::Gone {
            path: video.path.clone(),
            reason: format!("frame {} was there before", wanted.index),
        })
    }

    /// Goes to a frame by the source's index; `None` where that does not lead to it.
    fn seek(
        &mut self,
        video: &SourceFrames,
        wanted: &SourceFrame,
    ) -> Result<Option<Vec<u8>>, DataError> {
        if self.unseekable || !video.exact {
            return Ok(None);
        }
        if self.open(video)?.seek(wanted.index, wanted.seconds)? {
            self.next = wanted.index;
            if let Some(pixels) = self.read_to(video, wanted)? {
                return Ok(Some(pixels));
            }
        }
        self.unseekable = true;
        self.reader = None;
        Ok(None)
    }

    /// Reads on to a frame; `None` where something else is in its place.
    fn read_to(
        &mut self,
        video: &SourceFrames,
        wanted: &SourceFrame,
    ) -> Result<Option<Vec<u8>>, DataError> {
        let mut next = self.next;
        let reader = self.open(video)?;
        let found = loop {
            let Some(item) = reader.next().transpose()? else {
                break None;
            };
            next = item.index() + 1;
            match item {
                Item::Frame(frame) if frame.index == wanted.index => {
                    break Some(frame.picture.pixels);
                }
                item if item.index() >= wanted.index => break None,
                _ => {}
            }
        };
        self.next = next;
        Ok(found.filter(|pixels| video.is_same(wanted, pixels)))
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
