//! A table of scores that grows source by source, and goes on where it was stopped.
//!
//! While it grows it is `OUT.partial`, and `OUT.partial.json` has a line for what it was begun with
//! and one for each source that is in it: first the rows reach the disk, then the line. What has no
//! line is cut off when a scoring goes on.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{BufWriter, ErrorKind, Seek as _, SeekFrom, Write},
    time::UNIX_EPOCH,
};

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::Video;
use msn_eval::{Calibration, FrameScore, VideoAlarms};
use serde::{Deserialize, Serialize};

use crate::{
    Devices, Notice, Observer, RunError, ScoreRequest, ScoreSummary,
    files::write_file,
    output::check_output,
    score::{Kept, RowWriter, Rows, score_rows},
};

const FORMAT: &str = "msn-score-progress-1";

/// What rows depend on, but for the source.
#[derive(Serialize)]
struct Begun<'a> {
    format: &'static str,
    msn: &'static str,
    weights: String,
    calibration: Option<&'a Calibration>,
    folder_hz: Option<f64>,
    device: String,
    kernels: Option<String>,
}

/// A line of what is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "one a source, most are of the large kind"
)]
enum Done {
    /// The rows of a source are in the table.
    Scored {
        source: Utf8PathBuf,
        name: String,
        /// Size and time of change.
        stamp: String,
        /// Bytes of the table with them.
        bytes: u64,
        alarms: VideoAlarms,
        /// For a report, where one is wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scores: Option<Vec<FrameScore>>,
    },
    /// The overlay video of a source is written.
    Drawn { source: Utf8PathBuf },
}

/// The unfinished table of scores for a file.
pub fn partial_table(out: &Utf8Path) -> Utf8PathBuf {
    Utf8PathBuf::from(format!("{out}.partial"))
}

/// [`score`](crate::score) into a file. Each source's rows are kept as soon as they are there, in
/// [`partial_table`], which gets its name at the end; called again after an interruption, scoring
/// goes on with the next source. Nothing is computed before it is known that the file can be written.
/// Devices and pipes are written to as the rows come.
///
/// # Errors
/// Those of [`score`](crate::score) and [`check_output`], [`RunError::Write`], and
/// [`RunError::OutputLocked`] where another process writes the file.
pub fn score_to_file(
    request: &ScoreRequest<'_>,
    out: &Utf8Path,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<ScoreSummary, RunError> {
    let model = request.model;
    let sources = request.sources.iter().map(|video| video.source.as_path());
    check_output(out, sources.chain([model.path.as_path()]))?;
    // The file that a link names, not the link.
    let out = out.canonicalize_utf8().unwrap_or_else(|_| out.to_owned());
    if out.metadata().is_ok_and(|there| !there.is_file()) {
        let mut pipe = OpenOptions::new()
            .write(true)
            .open(&out)
            .map_err(RunError::write(&out))?;
        return crate::score(request, &mut pipe, devices, observer);
    }
    let begun = Begun {
        format: FORMAT,
        msn: env!("CARGO_PKG_VERSION"),
        weights: model.weights.fingerprint(),
        calibration: model.calibration.as_ref(),
        folder_hz: request.folder_hz,
        device: devices.name(),
        kernels: devices.kernels(),
    };
    let begun = serde_json::to_string(&begun).map_err(|source| RunError::Json {
        path: out.clone(),
        source,
    })?;
    let mut table = GrowingTable::open(&out, begun, request.sources, observer)?;
    let scored = score_rows(request, &mut table, devices, observer);
    match scored {
        Ok(summary) if summary.scored > 0 => {
            table.finish()?;
            Ok(summary)
        }
        scored => {
            table.discard_if_empty();
            scored
        }
    }
}

struct GrowingTable {
    out: Utf8PathBuf,
    partial: Utf8PathBuf,
    journal_path: Utf8PathBuf,
    table: File,
    journal: File,
    done: Vec<Done>,
    bytes: u64,
}

impl GrowingTable {
    /// Goes on with the table of `out` as far as it is of these sources, or begins it.
    fn open(
        out: &Utf8Path,
        begun: String,
        sources: &[Video],
        observer: &mut dyn Observer,
    ) -> Result<Self, RunError> {
        if let Some(folder) = out.parent().filter(|folder| !folder.as_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(RunError::write(folder))?;
        }
        let partial = partial_table(out);
        let journal_path = Utf8PathBuf::from(format!("{partial}.json"));
        let mut open = OpenOptions::new();
        let table = open.read(true).write(true).create(true).truncate(false);
        let mut table = table.open(&partial).map_err(RunError::write(&partial))?;
        match table.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::OutputLocked {
                    path: out.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => {
                return Err(RunError::write(&partial)(source));
            }
        }
        let length = table.metadata().map_err(RunError::read(&partial))?.len();
        let text = match std::fs::read_to_string(&journal_path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(RunError::read(&journal_path)(e)),
        };
        let done = match text.split_once('\n') {
            Some((first, rest)) if first == begun => still_true(rest, length, sources),
            Some(_) if length > 0 => {
                observer.notice(&Notice::ScoresBegunAnew(partial.clone()));
                Vec::new()
            }
            _ => Vec::new(),
        };
        let scored = done.iter().filter_map(|line| match line {
            Done::Scored { bytes, .. } => Some(*bytes),
            Done::Drawn { .. } => None,
        });
        let (bytes, count) = (scored.clone().max().unwrap_or(0), scored.count());
        if count > 0 {
            observer.notice(&Notice::ScoresResumed {
                done: count,
                sources: sources.len(),
                partial: partial.clone(),
            });
        }
        // First the list, so that it never names what is not there.
        let mut lines = begun;
        lines.push('\n');
        for line in &done {
            lines += &json_line(line, &journal_path)?;
        }
        write_file(&journal_path, lines.as_bytes())?;
        let journal = OpenOptions::new().append(true).open(&journal_path);
        let journal = journal.map_err(RunError::write(&journal_path))?;
        let cut = table.set_len(bytes);
        cut.and_then(|()| table.seek(SeekFrom::Start(bytes)))
            .map_err(RunError::write(&partial))?;
        Ok(Self {
            out: out.to_owned(),
            partial,
            journal_path,
            table,
            journal,
            done,
            bytes,
        })
    }

    fn note(&mut self, done: Done) -> Result<(), RunError> {
        let line = json_line(&done, &self.journal_path)?;
        let written = self.journal.write_all(line.as_bytes());
        written
            .and_then(|()| self.journal.sync_data())
            .map_err(RunError::write(&self.journal_path))?;
        self.done.push(done);
        Ok(())
    }

    /// Gives the table its name.
    fn finish(self) -> Result<(), RunError> {
        self.table
            .sync_all()
            .map_err(RunError::write(&self.partial))?;
        std::fs::rename(&self.partial, &self.out).map_err(RunError::write(&self.out))?;
        let _ = std::fs::remove_file(&self.journal_path);
        Ok(())
    }

    /// Leaves no file where nothing is in it.
    fn discard_if_empty(self) {
        if self.bytes == 0 {
            let _ = std::fs::remove_file(&self.partial);
            let _ = std::fs::remove_file(&self.journal_path);
        }
    }
}

impl Rows for GrowingTable {
    fn kept(&self, video: &Video) -> Option<Kept> {
        self.done.iter().find_map(|line| match line {
            Done::Scored {
                source,
                alarms,
                scores,
                ..
            } if *source == video.source => Some(Kept {
                alarms: alarms.clone(),
                scores: scores.clone(),
            }),
            _ => None,
        })
    }

    fn has_overlay(&self, video: &Video) -> bool {
        let of = |line: &Done| matches!(line, Done::Drawn { source } if *source == video.source);
        self.done.iter().any(of)
    }

    fn add(&mut self, video: &Video, kept: &Kept, write: RowWriter<'_>) -> Result<(), RunError> {
        let mut buffered = BufWriter::new(&self.table);
        write(&mut buffered, self.bytes == 0)?;
        let flushed = buffered.flush();
        drop(buffered);
        let end = flushed
            .and_then(|()| self.table.sync_data())
            .and_then(|()| self.table.stream_position());
        let bytes = end.map_err(RunError::write(&self.partial))?;
        self.note(Done::Scored {
            source: video.source.clone(),
            name: video.name.clone(),
            stamp: stamp(&video.source)?,
            bytes,
            alarms: kept.alarms.clone(),
            scores: kept.scores.clone(),
        })?;
        self.bytes = bytes;
        Ok(())
    }

    fn drawn(&mut self, video: &Video) -> Result<(), RunError> {
        self.note(Done::Drawn {
            source: video.source.clone(),
        })
    }
}

fn json_line(done: &Done, path: &Utf8Path) -> Result<String, RunError> {
    let line = serde_json::to_string(done).map_err(|source| RunError::Json {
        path: path.to_owned(),
        source,
    })?;
    Ok(line + "\n")
}

/// The first lines that are whole, of sources that are asked for and have not changed since.
fn still_true(lines: &str, length: u64, sources: &[Video]) -> Vec<Done> {
    let whole = lines.rfind('\n').map_or(0, |end| end + 1);
    let mut before = 0;
    let read = lines[..whole].lines().map_while(|line| {
        let done: Done = serde_json::from_str(line).ok()?;
        let Done::Scored {
            source,
            name,
            stamp: then,
            bytes,
            ..
        } = &done
        else {
            return Some(done);
        };
        let asked = |video: &Video| video.source == *source && video.name == *name;
        let holds = sources.iter().any(asked)
            && (before + 1..=length).contains(bytes)
            && stamp(source).is_ok_and(|now| now == *then);
        before = *bytes;
        holds.then_some(done)
    });
    read.collect()
}

/// Changes where a source does: size and time of change of its files.
fn stamp(source: &Utf8Path) -> Result<String, RunError> {
    let files = match source.is_dir() {
        true => msn_video::frame_files(source)?,
        false => vec![source.to_owned()],
    };
    let (mut bytes, mut newest) = (0, 0);
    for file in &files {
        let there = file.metadata().map_err(RunError::read(file))?;
        let changed = there.modified().map_err(RunError::read(file))?;
        let since = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        bytes += there.len();
        newest = newest.max(since.as_nanos());
    }
    Ok(format!("{} files, {bytes} bytes, {newest} ns", files.len()))
}
