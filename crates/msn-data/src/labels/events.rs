//! `events.csv`: `video,start,end,kind` in seconds, or `video,start_frame,end_frame,kind`.

use std::collections::BTreeMap;

use camino::Utf8Path;

use super::{Extent, LabelSpan};
use crate::text::{Lines, read_text};
use crate::{DataError, LabelError, WriteError, plain_name, table_name, write_atomically};

/// What the first line must be.
const EXPECTED: &str = "the first line must be `video,start,end,kind` (seconds) or \
                        `video,start_frame,end_frame,kind` (frames); `kind` may be left out";

/// Why a table of events can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EventTableError {
    /// No table.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A column that the format does not have.
    #[error("unknown column `{0}`; {expected}", expected = EXPECTED)]
    UnknownColumn(String),
    /// No column of videos.
    #[error("no column `video`; {expected}", expected = EXPECTED)]
    NoVideoColumn,
    /// Other columns than a start and an end.
    #[error("{expected}", expected = EXPECTED)]
    Columns,
    /// A line of another number of fields than the first.
    #[error("line {line} has {found} fields, the first line {expected}")]
    Fields {
        /// Its number, from 1.
        line: u64,
        /// Its fields.
        found: usize,
        /// Those of the first line.
        expected: usize,
    },
    /// A line without a video.
    #[error("line {0} names no video")]
    NoVideo(u64),
    /// A line with another start or end.
    #[error("line {line}: {reason}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: ExtentError,
    },
}

/// Why a start and an end can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ExtentError {
    /// No whole number.
    #[error("`{0}` is no frame number (0, 1, 2, ...)")]
    Frame(String),
    /// No frame between them.
    #[error("start_frame {start} is not before end_frame {end}, which is exclusive")]
    NoFrames {
        /// The first frame.
        start: usize,
        /// One past the last.
        end: usize,
    },
    /// No finite, positive number.
    #[error("`{0}` is no time in seconds")]
    Second(String),
    /// No time between them.
    #[error("start {start} is not before end {end}")]
    NoTime {
        /// Seconds.
        start: f64,
        /// Seconds.
        end: f64,
    },
}

/// Events by the name of their video, as the table has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Events(pub BTreeMap<String, VideoEvents>);

impl Events {
    /// Takes out the events of each video: those under its name as it is written, and those under a
    /// name that is no other video's and the same but for spaces around it, `\\` for `/` and `./`
    /// before it.
    pub fn take(&mut self, videos: &[&str]) -> Vec<VideoEvents> {
        let written: Vec<String> = videos.iter().map(|name| table_name(name)).collect();
        let mut found = vec![VideoEvents::default(); videos.len()];
        let left = std::mem::take(&mut self.0).into_iter();
        for (name, events) in left {
            let plain = name.trim().replace('\\', "/");
            let plain = plain_name(&plain);
            let exact = written.iter().zip(videos);
            let exact = exact
                .into_iter()
                .position(|(w, v)| *w == name || *v == name);
            match exact.or_else(|| videos.iter().position(|v| *v == plain)) {
                Some(at) => {
                    found[at].line = events.line;
                    found[at].spans.extend(events.spans);
                }
                None => {
                    self.0.insert(name, events);
                }
            }
        }
        found
    }
}

/// The events of one video.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct VideoEvents {
    /// The line that named the video first.
    pub line: u64,
    pub spans: Vec<LabelSpan>,
}

/// Reads a file of events.
pub(crate) fn read_file(path: &Utf8Path) -> Result<Events, DataError> {
    read(&read_text(path)?).map_err(|e| DataError::label(path, e))
}

/// A file of events as it lies on disk, for programs that change it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventTable {
    events: Events,
    /// Whether spans are in frames; none where there is no span.
    pub in_frames: Option<bool>,
}

impl EventTable {
    /// Reads a file of events; one that is not there has none.
    ///
    /// # Errors
    /// [`DataError::Io`] and [`DataError::Label`].
    pub fn read(path: &Utf8Path) -> Result<Self, DataError> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let events = read_file(path)?;
        let first = events.0.values().flat_map(|video| &video.spans).next();
        let in_frames = first.map(|span| matches!(span.extent, Extent::Frames(_)));
        Ok(Self { events, in_frames })
    }

    /// Takes out the spans of each video, in the order of the file.
    pub fn take(&mut self, videos: &[&str]) -> Vec<Vec<LabelSpan>> {
        let found = self.events.take(videos).into_iter();
        found.map(|video| video.spans).collect()
    }

    /// The names that are left, with their spans.
    pub fn rest(&self) -> impl Iterator<Item = (&str, &[LabelSpan])> {
        let all = self.events.0.iter();
        all.map(|(name, video)| (plain_name(name), video.spans.as_slice()))
    }
}

/// Writes a file of events: in seconds where all of them are, else in frames, by way of a
/// temporary one.
///
/// # Errors
/// [`DataError::Write`] with the system's reason; [`DataError::Label`] where some are in frames and
/// some in seconds.
pub fn write_events<'a>(
    path: &Utf8Path,
    videos: impl IntoIterator<Item = (&'a str, &'a [LabelSpan])>,
) -> Result<(), DataError> {
    let events: Vec<(&str, &LabelSpan)> = videos
        .into_iter()
        .flat_map(|(video, spans)| spans.iter().map(move |span| (video, span)))
        .collect();
    let timed = |(_, span): &(&str, &LabelSpan)| matches!(span.extent, Extent::Seconds(_));
    let seconds = events.iter().filter(|event| timed(event)).count();
    if seconds != 0 && seconds != events.len() {
        return Err(DataError::label(path, LabelError::MixedExtents));
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
            table.write_record([table_name(video).as_str(), &start, &end, kind])?;
        }
        Ok(())
    };
    let failed = |e: std::io::Error| WriteError::at(path)(e);
    write().map_err(|e| failed(e.into()))?;
    let text = table.into_inner().map_err(|e| failed(e.into_error()))?;
    Ok(write_atomically(path, &text)?)
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
    fn find(headers: &csv::StringRecord) -> Result<Self, EventTableError> {
        let column = |name: &str| headers.iter().position(|h| h == name);
        for header in headers {
            if !["video", "start", "end", "start_frame", "end_frame", "kind"].contains(&header) {
                return Err(EventTableError::UnknownColumn(header.to_owned()));
            }
        }
        let video = column("video").ok_or(EventTableError::NoVideoColumn)?;
        let seconds = column("start").zip(column("end"));
        let frames = column("start_frame").zip(column("end_frame"));
        let ((start, end), frames) = match (seconds, frames) {
            (Some(seconds), None) => (seconds, false),
            (None, Some(frames)) => (frames, true),
            _ => return Err(EventTableError::Columns),
        };
        let kind = column("kind");
        Ok(Self {
            video,
            start,
            end,
            kind,
            frames,
        })
    }
}

/// Reads events from a text whose lines end in `\n`.
pub(crate) fn read(text: &str) -> Result<Events, EventTableError> {
    // Names of videos may have spaces around them; the rest is trimmed field by field.
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::Headers)
        .flexible(true)
        .from_reader(text.as_bytes());
    let headers = reader.headers()?.clone();
    let columns = Columns::find(&headers)?;
    let mut events = Events::default();
    let mut lines = Lines::new(text);
    for record in reader.records() {
        let record = record?;
        // The reader's own count stands still at empty lines.
        let line = lines.from(record.position().map_or(0, csv::Position::byte));
        if record.len() != headers.len() {
            return Err(EventTableError::Fields {
                line,
                found: record.len(),
                expected: headers.len(),
            });
        }
        let field = |column: usize| record.get(column).unwrap_or_default().trim();
        let video = record.get(columns.video).unwrap_or_default().to_owned();
        if video.trim().is_empty() {
            return Err(EventTableError::NoVideo(line));
        }
        let extent = extent(field(columns.start), field(columns.end), columns.frames)
            .map_err(|reason| EventTableError::Line { line, reason })?;
        let kind = columns
            .kind
            .map(field)
            .filter(|kind| !kind.is_empty())
            .map(str::to_owned);
        let of_video = events.0.entry(video).or_insert_with(|| VideoEvents {
            line,
            spans: Vec::new(),
        });
        of_video.spans.push(LabelSpan { extent, kind });
    }
    Ok(events)
}

fn extent(start: &str, end: &str, frames: bool) -> Result<Extent, ExtentError> {
    if frames {
        let frame = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| ExtentError::Frame(text.to_owned()))
        };
        let (start, end) = (frame(start)?, frame(end)?);
        if start >= end {
            return Err(ExtentError::NoFrames { start, end });
        }
        Ok(Extent::Frames(start..end))
    } else {
        let second = |text: &str| {
            text.parse::<f64>()
                .ok()
                .filter(|s| s.is_finite() && *s >= 0.0)
                .ok_or_else(|| ExtentError::Second(text.to_owned()))
        };
        let (start, end) = (second(start)?, second(end)?);
        if start >= end {
            return Err(ExtentError::NoTime { start, end });
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
        let events = read("video,start,end,kind\na.mp4, 1.5 ,2,fall\na.mp4,3,4,\n").unwrap();
        let spans = &events.0["a.mp4"].spans;
        assert_eq!(spans[0].extent, Extent::Seconds(1.5..2.0));
        assert_eq!(spans[0].kind.as_deref(), Some("fall"));
        assert_eq!(spans[1].kind, None);
        let mut events = read("end_frame,video,start_frame\n9, cam\\01,0\n").unwrap();
        let found = events.take(&["cam/1", "cam/01"]);
        assert!(found[0].spans.is_empty() && events.0.is_empty());
        assert_eq!(found[1].spans[0].extent, Extent::Frames(0..9));
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
            (
                "video,start,end\na,1\n",
                "line 2 has 2 fields, the first line 3",
            ),
            ("video,start,end\n\n\na,1,2\n\na,x,2\n", "line 6: `x`"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,100}") {
            let _ = read(&text);
        }

        #[test]
        fn the_line_named_is_the_line(
            blank in proptest::collection::vec(0_usize..3, 1..8), wrong in 0_usize..8,
        ) {
            let wrong = wrong % blank.len();
            let mut text = "video,start,end\n".to_owned();
            let mut line = 1;
            for (index, blank) in blank.iter().enumerate() {
                text.push_str(&"\n".repeat(*blank));
                text.push_str(if index == wrong { "a,1,x\n" } else { "\"b\nc\",1,2\n" });
                if index <= wrong {
                    line += blank + if index == wrong { 1 } else { 2 };
                }
            }
            let error = read(&text).unwrap_err().to_string();
            let expected = format!("line {line}: `x`");
            prop_assert!(error.contains(&expected), "{}, not {}", error, expected);
        }

        #[test]
        fn every_name_and_kind_is_read_back(
            names in proptest::collection::btree_set("[ -~\n]{0,6}[!-~]|\\PC{1,5}|[0-9.eN/ A]{1,5}", 1..5),
            kind in "[ -~]{0,8}",
        ) {
            let spans = |i: usize| vec![LabelSpan {
                extent: Extent::Frames(i..i + 2),
                kind: Some(kind.trim().to_owned()).filter(|k| !k.is_empty()),
            }];
            let names: Vec<String> = names.into_iter().filter(|n| !n.trim().is_empty()).collect();
            let all: Vec<(String, Vec<LabelSpan>)> =
                names.into_iter().enumerate().map(|(i, name)| (name, spans(i))).collect();
            let folder = tempfile::tempdir().unwrap();
            let file = Utf8Path::from_path(folder.path()).unwrap().join("events.csv");
            write_events(&file, all.iter().map(|(n, s)| (n.as_str(), s.as_slice()))).unwrap();
            let mut read = read_file(&file).unwrap();
            // Another video's name, were it alone, would be taken for some of these.
            let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
            for ((name, spans), found) in all.iter().zip(read.take(&names)) {
                prop_assert_eq!(&found.spans, spans, "{:?}", name);
            }
            prop_assert!(read.0.is_empty());
        }

        #[test]
        fn random_lines_are_no_panic(text in "[a-z0-9.,\"\n-]{0,60}") {
            let _ = read(&format!("video,start,end,kind\n{text}"));
        }
    }
}
