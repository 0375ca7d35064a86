//! The items of a source: frames, and lost ones.

use crate::Picture;

/// A decoded frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// 0-based index in the source, in order of presentation. Lost frames keep their index.
    pub index: usize,
    /// 0-based index of the source's frame: `index`, but for frames at a fixed rate
    /// ([`Reader::resampled`](crate::Reader::resampled)).
    pub source_index: usize,
    /// Presentation time in seconds since the file's start, from the container's timestamps;
    /// `None` for frame folders and for streams without timestamps.
    pub seconds: Option<f64>,
    /// The same of the source's frame: `seconds`, but for frames at a fixed rate.
    pub source_seconds: Option<f64>,
    /// The pixels, at the reader's size and colour.
    pub picture: Picture,
}

/// A frame that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// 0-based index in the source.
    pub index: usize,
    /// What was wrong: for a folder it names the file.
    pub reason: String,
}

/// A frame, or a lost one.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A decoded frame.
    Frame(Frame),
    /// A lost frame.
    Lost(Lost),
}

impl Item {
    /// 0-based index in the source.
    pub fn index(&self) -> usize {
        match self {
            Self::Frame(frame) => frame.index,
            Self::Lost(lost) => lost.index,
        }
    }

    /// The frame, where it was not lost.
    pub fn into_frame(self) -> Option<Frame> {
        match self {
            Self::Frame(frame) => Some(frame),
            Self::Lost(_) => None,
        }
    }
}
