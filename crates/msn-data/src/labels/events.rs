//! `events.csv`: `video,start,end,kind` in seconds, or `video,start_frame,end_frame,kind`.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{Extent, Span};
use crate::DataError;

/// Spans by the name of their video, with the line that named it first.
pub(crate) type Events = BTreeMap<String, (u64, Vec<Span>)>;

/// Reads a file of events.
pub(crate) fn read_file(path: &Utf8Path) -> Result<Events, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    read(&bytes).map_err(|reason| DataError::label(path, reason))
}

/// Columns of the file.
struct Columns {
    video: usize,
    start: usize,
    end: usize,
    kind: Option<usize>,
    frames: bool,
}

impl Columns {
    fn find(headers: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| headers.iter().position(|h| h == name);
        let expected = "the first line must be `video,start,end,kind` (seconds) or \
                        `video,start_frame,end_frame,kind` (frames); `kind` may be left out";
        for header in headers {
            if !["video", "start", "end", "start_frame", "end_frame", "kind"].contains(&header) {
                return Err(format!("unknown column `{header}`; {expected}"));
            }
        }
        let video = place("video").ok_or_else(|| format!("no column `video`; {expected}"))?;
        let seconds = place("start").zip(place("end"));
        let frames = place("start_frame").zip(place("end_frame"));
        let ((start, end), frames) = match (seconds, frames) {
            (Some(seconds), None) => (seconds, false),
            (None, Some(frames)) => (frames, true),
            _ => return Err(expected.to_owned()),
        };
        let kind = place("kind");
        Ok(Self {
            video,
            start,
            end,
            kind,
            frames,
        })
    }
}

/// Reads events from the bytes of a file.
pub(crate) fn read(bytes: &[u8]) -> Result<Events, String> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let headers = reader.headers().map_err(|e| e.to_string())?.clone();
    let columns = Columns::find(&headers)?;
    let mut events = Events::new();
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let field = |column: usize| record.get(column).unwrap_or_default();
        let video = field(columns.video).replace('\\', "/");
        if video.is_empty() {
            return Err(format!("line {line} names no video"));
        }
        let extent = extent(field(columns.start), field(columns.end), columns.frames)
            .map_err(|reason| format!("line {line}: {reason}"))?;
        let kind = columns
            .kind
            .map(field)
            .filter(|kind| !kind.is_empty())
            .map(str::to_owned);
        let (_, spans) = events.entry(video).or_insert_with(|| (line, Vec::new()));
        spans.push(Span { extent, kind });
    }
    Ok(events)
}

fn extent(start: &str, end: &str, frames: bool) -> Result<Extent, String> {
    if frames {
        let frame = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| format!("`{text}` is no frame number (0, 1, 2, ...)"))
        };
        let (start, end) = (frame(start)?, frame(end)?);
        if start >= end {
            return Err(format!(
                "start_frame {start} is not before end_frame {end}, which is exclusive"
            ));
        }
        Ok(Extent::Frames(start..end))
    } else {
        let second = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|s| s.is_finite() && *s >= 0.0)
                .ok_or_else(|| format!("`{text}` is no time in seconds"))
        };
        let (start, end) = (second(start)?, second(end)?);
        if start >= end {
            return Err(format!("start {start} is not before end {end}"));
        }
        Ok(Extent::Seconds(start..end))
    }
}
