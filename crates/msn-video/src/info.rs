//! Properties of a source, and what could not be decoded of it.

use camino::Utf8PathBuf;

use crate::Size;

/// The kind of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// A folder of picture files.
    Folder,
    /// A video file.
    File,
}

/// A source's properties. Notes grow while frames are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Info {
    /// The folder or file.
    pub source: Utf8PathBuf,
    /// Folder or file.
    pub kind: SourceKind,
    /// Size of the first frame as displayed: after rotation, in stored pixels (a sample aspect
    /// ratio is not applied).
    pub size: Size,
    /// Average frames a second as the container states them; `None` for folders and where unknown.
    pub rate_hz: Option<f64>,
    /// Number of frames: exact for folders, the container's claim or an estimate for files.
    pub frames: Option<usize>,
    /// Name of the codec (`h264`, `mpeg4`); `None` for folders.
    pub codec: Option<String>,
    /// The timestamp, in seconds, that counts as 0 in [`Frame::seconds`](crate::Frame::seconds).
    pub start_seconds: Option<f64>,
    /// Properties that are ignored and warnings, each once.
    pub notes: Vec<String>,
}

impl Info {
    /// Adds a note unless it is there already or there are many.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.notes.len() < 32 && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Notes that a frame's size is not that of the first.
    pub(crate) fn note_sizes(&mut self, first: Size) {
        self.note(format!(
            "frames differ in size: all are resized alike, the first is {first}"
        ));
    }
}

/// What could not be read so far. Complete once the reader has come to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodeErrors {
    /// Frames lost: the number of [`Item::Lost`](crate::Item::Lost) given.
    pub lost: usize,
    /// Frames that the container announces after the last one found, as a file that was cut off
    /// has; no items stand for them.
    pub missing: usize,
    /// Frames with parts that are damaged or concealed, as their decoder reports.
    pub damaged: usize,
    /// Bytes of packets or files that gave no frame.
    pub bytes: u64,
    /// The first reasons, at most [`DecodeErrors::MAX_REASONS`].
    pub reasons: Vec<String>,
}

impl DecodeErrors {
    /// Reasons kept; more are counted only.
    pub const MAX_REASONS: usize = 32;

    /// True if all of the source was read as it should be.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Keeps `reason` if it is new and there are not too many.
    pub(crate) fn reason(&mut self, reason: impl Into<String>) {
        if self.reasons.len() < Self::MAX_REASONS {
            let reason = reason.into();
            if !self.reasons.contains(&reason) {
                self.reasons.push(reason);
            }
        }
    }
}

impl std::fmt::Display for DecodeErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} frames lost, {} missing at the end, {} damaged, {} bytes unread",
            self.lost, self.missing, self.damaged, self.bytes
        )
    }
}
