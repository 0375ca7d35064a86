//! The pixels of a video's frames, wherever they are stored.

use std::{borrow::Cow, sync::Arc};

use crate::{DataError, cache::CachedFrames, redecode::SourceFrames, store::Reservation};

/// The pixels of a video's frames.
#[derive(Clone, Debug)]
pub(crate) enum Pixels {
    Memory(Arc<MemoryFrames>),
    Cached(Arc<CachedFrames>),
    Source(Arc<SourceFrames>),
}

/// Frames in memory, and the part of the budget that they take.
#[derive(Debug)]
pub(crate) struct MemoryFrames {
    pub frames: Vec<Box<[u8]>>,
    /// `None` for frames that no store handed out.
    #[expect(dead_code, reason = "gives the memory back when it is dropped")]
    pub reservation: Option<Reservation>,
}

impl Pixels {
    pub fn frame(&self, index: usize, bytes: usize) -> Result<Cow<'_, [u8]>, DataError> {
        Ok(match self {
            Self::Memory(memory) => Cow::Borrowed(&memory.frames[index]),
            Self::Cached(cached) => Cow::Owned(cached.frame(index, bytes)?),
            Self::Source(source) => Cow::Owned(source.frame(index, bytes)?),
        })
    }
}
