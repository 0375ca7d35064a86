//! Whether a JPEG's data is whole, and what a decoder needs that the file leaves out.
//!
//! An end marker says nothing: what receives half a picture may well append one, and what writes a
//! whole one may leave it out. So the coded data is walked, block by block, without making a pixel
//! of it: a picture is whole where every block of every component has all of its coefficients.

mod entropy;
mod huffman;
mod scan;
mod segments;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use segments::Walk;

/// Why a picture is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the picture is cut off: its header is not complete")]
    Header,
    #[error("the picture is cut off: it has no picture data")]
    NoData,
    #[error("the picture is cut off: its data ends at {percent} % of scan {scan}")]
    CutOff { percent: u32, scan: u32 },
    #[error("the picture's data is damaged at {percent} % of scan {scan}")]
    Damaged { percent: u32, scan: u32 },
    #[error("data of the picture is missing at {percent} % of scan {scan}")]
    Gap { percent: u32, scan: u32 },
    #[error("the picture is cut off: the scans that complete it are missing")]
    Coarse,
}

/// What is known of a JPEG's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// All of it is there.
    Whole,
    /// All blocks are there, and then more data, as a changed byte may leave it.
    Excess,
    /// A coding that is not looked into, of which the end marker is there or not.
    Unknown { ended: bool },
}

/// What a look through a JPEG found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inspection {
    pub judgement: Judgement,
    /// Components of a sequential picture have scans of their own.
    pub apart: bool,
    /// Bytes up to the end of the coded data.
    data_end: usize,
    /// Bytes up to the end of the picture, its end marker included where it has one.
    length: usize,
    /// Scans use Huffman tables that the file does not define.
    lacks_tables: bool,
}

/// Looks through the picture that `bytes` begin with.
///
/// # Errors
/// [`Fault`] for one whose data is not whole.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Inspection, Fault> {
    // What does not begin as JPEGs do is left to the decoder.
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return Ok(Inspection::unknown(bytes, true));
    }
    Walk::new(bytes).run()
}

/// The fields of a frame, as some recorders write two to a packet: the first, and a second one of
/// the same size where it follows at once.
///
/// # Errors
/// Those of [`inspect`], of either.
#[cfg(feature = "ffmpeg")]
pub(crate) fn inspect_fields(bytes: &[u8]) -> Result<Inspection, Fault> {
    let first = inspect(bytes)?;
    let Some(rest) = bytes.get(first.length..) else {
        return Ok(first);
    };
    // Fields are padded to whole words at most.
    let padding = rest.iter().take(16).take_while(|&&byte| byte != 0xFF);
    let second = &rest[padding.count()..];
    let is_field =
        segments::frame_size(second).is_some_and(|size| segments::frame_size(bytes) == Some(size));
    if is_field {
        inspect(second)?;
    }
    Ok(first)
}

impl Inspection {
    fn unknown(bytes: &[u8], ended: bool) -> Self {
        Self {
            judgement: Judgement::Unknown { ended },
            apart: false,
            data_end: bytes.len(),
            length: bytes.len(),
            lacks_tables: false,
        }
    }

    /// The picture as a decoder that knows the standard alone reads it: with the tables that it
    /// leaves out, with an end marker, without what follows.
    pub(crate) fn completed<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if matches!(self.judgement, Judgement::Unknown { .. }) {
            return Cow::Borrowed(bytes);
        }
        let (picture, rest) = bytes.split_at(self.data_end.min(bytes.len()));
        if rest.starts_with(&[0xFF, 0xD9]) && !self.lacks_tables {
            return Cow::Borrowed(&bytes[..picture.len() + 2]);
        }
        let (start, segments) = picture.split_at(picture.len().min(2));
        let tables = match self.lacks_tables {
            true => &huffman::STANDARD[..],
            false => &[],
        };
        Cow::Owned([start, tables, segments, &[0xFF, 0xD9]].concat())
    }
}
