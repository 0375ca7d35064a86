//! `events.csv`: `video,start,end,kind` in seconds, or `video,start_frame,end_frame,kind`.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{Extent, Span};
use crate::{DataError, write_whole};

/// Events by the name of their video.
pub(crate) type Events = BTreeMap<String, VideoEvents>;

/// The events of one video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct VideoEvents {
    /// The line that named the video first.
    pub line: u64,
    pub spans: Vec<Span>,
}

/// Reads a file of events.
pub(crate) fn read_file(path: &Utf8Path) -> Result<Events, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    read(&bytes).map_err(|reason| DataError::label(path, reason))
}

/// Writes a file of events: in seconds where all of them are, else in frames, by way of a
/// temporary one.
///
/// # Errors
/// [`DataError::Io`] with the system's reason; [`DataError::Label`] where some are in frames and
/// some in seconds.
pub fn write_events<'a>(
    path: &Utf8Path,
    videos: impl IntoIterator<Item = (&'a str, &'a [Span])>,
) -> Result<(), DataError> {
    let events: Vec<(&str, &Span)> = videos
        .into_iter()
        .flat_map(|(video, spans)| spans.iter().map(move |span| (video, span)))
        .collect();
    let timed = |(_, span): &(&str, &Span)| matches!(span.extent, Extent::Seconds(_));
    let seconds = events.iter().filter(|event| timed(event)).count();
    if seconds != 0 && seconds != events.len() {
        return Err(DataError::label(
            path,
            "some spans are in frames and some in seconds",
        ));
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    let mut write = || -> csv::Result<()> {
        table.write_record(match seconds {
            0 => ["video", "start_frame", "end_frame", "kind"],
            _ => ["video", "start", "end", "kind"],
        })?;
        for (video, span) in &events {
            let (start, end) = match &span.extent {
                Extent::Frames(frames) => (frames.start.to_string(), frames.end.to_string()),
                Extent::Seconds(seconds) => (
                    format!("{:.4}", seconds.start),
                    format!("{:.4}", seconds.end),
                ),
            };
            let kind = span.kind.as_deref().unwrap_or_default();
            table.write_record([video, start.as_str(), &end, kind])?;
        }
        Ok(())
    };
    let failed = |e: std::io::Error| DataError::io(path, "written", e);
    write().map_err(|e| failed(e.into()))?;
    let text = table.into_inner().map_err(|e| failed(e.into_error()))?;
    write_whole(path, &text).map_err(failed)
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
        let of_video = events.entry(video).or_insert_with(|| VideoEvents {
            line,
            spans: Vec::new(),
        });
        of_video.spans.push(Span { extent, kind });
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_and_frames_are_read() {
        let events = read(b"video,start,end,kind\na.mp4, 1.5 ,2,fall\na.mp4,3,4,\n").unwrap();
        let spans = &events["a.mp4"].spans;
        assert_eq!(spans[0].extent, Extent::Seconds(1.5..2.0));
        assert_eq!(spans[0].kind.as_deref(), Some("fall"));
        assert_eq!(spans[1].kind, None);
        let events = read(b"\xef\xbb\xbfend_frame,video,start_frame\n9,cam\\01,0\n").unwrap();
        assert_eq!(events["cam/01"].spans[0].extent, Extent::Frames(0..9));
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, part) in [
            ("video,start\n", "the first line must be"),
            (
                "video,start,end,start_frame,end_frame\n",
                "the first line must be",
            ),
            ("video,start,end,label\n", "unknown column `label`"),
            ("video,start,end\na,1,x\n", "line 2: `x` is no time"),
            (
                "video,start,end\na,1,2\na,2,2\n",
                "line 3: start 2 is not before end 2",
            ),
            ("video,start,end\na,nan,2\n", "line 2: `nan`"),
            ("video,start,end\n,1,2\n", "line 2 names no video"),
            ("video,start_frame,end_frame\na,-1,2\n", "line 2: `-1`"),
            ("video,start,end\na,1\n", "fields"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes);
        }

        #[test]
        fn random_lines_are_no_panic(text in "[a-z0-9.,\"\n-]{0,60}") {
            let _ = read(format!("video,start,end,kind\n{text}").as_bytes());
        }
    }
}
