//! Scores of any method as tables.

mod columns;

use std::collections::HashMap;
use std::path::Path;

use self::columns::{Columns, flag, is_header, whole_number};
pub use self::columns::{LABEL_NAMES, SCORE_NAMES};
use crate::{MetricsError, ScoredVideo};

/// Scores of one video as read from a table, in the order of its frames.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableScores {
    /// Name of the video.
    pub name: String,
    /// Frame of each score, rising, counted as in the table.
    pub frames: Vec<usize>,
    /// Finite scores, one for each frame.
    pub scores: Vec<f64>,
    /// Time of each frame in seconds, where the table has it.
    pub seconds: Vec<Option<f64>>,
    /// Label of each frame, true where anomalous, where the table has labels.
    pub labels: Option<Vec<bool>>,
}

impl TableScores {
    /// Leaves out the frames whose place is not kept.
    fn keep(&mut self, kept: &[bool]) {
        fn only<T: Copy>(values: &mut Vec<T>, kept: &[bool]) {
            let mut kept = kept.iter();
            values.retain(|_| kept.next().copied().unwrap_or(false));
        }
        only(&mut self.frames, kept);
        only(&mut self.scores, kept);
        only(&mut self.seconds, kept);
        if let Some(labels) = &mut self.labels {
            only(labels, kept);
        }
    }

    /// Joins the scores with the labels of all frames of the video, `labels[frame]`.
    ///
    /// # Errors
    /// [`MetricsError::FrameWithoutLabel`] if the labels do not reach a scored frame.
    pub fn with_labels(&self, labels: &[bool]) -> Result<ScoredVideo, MetricsError> {
        let scored = self.frames.iter().map(|&frame| {
            labels
                .get(frame)
                .copied()
                .ok_or_else(|| MetricsError::FrameWithoutLabel {
                    video: self.name.clone(),
                    frame,
                    labels: labels.len(),
                })
        });
        Ok(ScoredVideo {
            name: self.name.clone(),
            labels: scored.collect::<Result<_, _>>()?,
            scores: self.scores.clone(),
        })
    }
}

/// Keeps the frames that all settings score, so that their metrics can be compared; a video that
/// one of them lacks is dropped from all. Gives the number of scores dropped from each setting.
pub fn keep_common_frames(settings: &mut [Vec<TableScores>]) -> Vec<usize> {
    let mut holders: HashMap<(String, usize), usize> = HashMap::new();
    for video in settings.iter().flatten() {
        for &frame in &video.frames {
            *holders.entry((video.name.clone(), frame)).or_default() += 1;
        }
    }
    let all = settings.len();
    let keep = |setting: &mut Vec<TableScores>| {
        let mut dropped = 0;
        for video in setting.iter_mut() {
            let mut at = (video.name.clone(), 0);
            let kept: Vec<bool> = video
                .frames
                .iter()
                .map(|&frame| {
                    at.1 = frame;
                    holders.get(&at) == Some(&all)
                })
                .collect();
            dropped += kept.iter().filter(|kept| !**kept).count();
            video.keep(&kept);
        }
        setting.retain(|video| !video.frames.is_empty());
        dropped
    };
    settings.iter_mut().map(keep).collect()
}

/// Reads the scores of any method from a CSV file, for each video in frame order.
///
/// The first line may name the columns. `video` and `frame` place a score; without `video` all rows
/// are of one video that has the file's name, without `frame` rows are in frame order from 0. The
/// score is in `column`, else in the column `score`, else in the only column that is left, else, in
/// this project's own tables, in `fair`. `seconds` is the frame's time, and a column `label` (or
/// `gt`, `y_true`) its label, 0 or 1. Without a first line with names, columns are told by what they
/// hold: text is the video, numbers that count up the frame, 0 and 1 the label, the one that is left
/// the score; `column` is the score's number then, from 1. An empty score is a frame without one.
/// `./` before a video's name is no part of it. Videos come in the order of their first rows.
///
/// # Errors
/// [`MetricsError::Read`], or [`MetricsError::Table`] with the line: a column that is missing or
/// not to be told from others, a row of another length, a score that is no finite number (video
/// and frame are named), a label other than 0 and 1, a frame given twice, no score at all.
pub fn read_scores_csv(
    path: &Path,
    column: Option<&str>,
) -> Result<Vec<TableScores>, MetricsError> {
    let videos = read_score_table(path, column)?;
    if videos.iter().all(|video| video.scores.is_empty()) {
        let what = "holds no score; a header and one row a frame are needed";
        return Err(Table { path }.error(None, what));
    }
    Ok(videos)
}

/// [`read_scores_csv`] of a file that may hold no score, as that of a video which is too short has
/// none.
///
/// # Errors
/// Those of [`read_scores_csv`] but for the last.
pub fn read_score_table(
    path: &Path,
    column: Option<&str>,
) -> Result<Vec<TableScores>, MetricsError> {
    let bytes = std::fs::read(path).map_err(|source| MetricsError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let table = Table { path };
    let text = text(bytes).map_err(|what| table.error(None, what))?;
    table.scores(text.trim_start_matches('\u{feff}'), column)
}

/// The text of a file: UTF-8, or UTF-16 with a mark, as PowerShell and Excel write it.
fn text(bytes: Vec<u8>) -> Result<String, String> {
    let wide = |turn: fn([u8; 2]) -> u16| {
        let units = bytes[2..].as_chunks::<2>().0.iter().map(|&pair| turn(pair));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .ok()
    };
    let decoded = match bytes.as_slice() {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', ..] => {
            return Err(
                "is an array of NumPy and no CSV; np.savetxt writes one score a line".to_owned(),
            );
        }
        [b'P', b'K', 3, 4, ..] => {
            return Err(
                "is a ZIP archive (.npz, .xlsx) and no CSV; save its scores as one".to_owned(),
            );
        }
        _ => String::from_utf8(bytes).ok(),
    };
    let text = decoded.ok_or("is no text in UTF-8 or UTF-16; save it as UTF-8")?;
    let text = text.trim_start_matches('\u{feff}');
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The number, from 1, of the line of a row. The reader's own count stands still at empty lines.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    let empty = rest.iter().take_while(|&&b| b == b'\n').count();
    position.line() + u64::try_from(empty).unwrap_or(u64::MAX)
}

struct Table<'a> {
    path: &'a Path,
}

/// A scored row.
struct Row {
    frame: usize,
    score: f64,
    seconds: Option<f64>,
    label: Option<bool>,
    line: Option<u64>,
}

struct TableVideo {
    name: String,
    rows: usize,
    scored: Vec<Row>,
}

impl Table<'_> {
    fn error(&self, line: Option<u64>, what: impl Into<String>) -> MetricsError {
        MetricsError::Table {
            path: self.path.to_path_buf(),
            line,
            what: what.into(),
        }
    }

    fn scores(&self, text: &str, column: Option<&str>) -> Result<Vec<TableScores>, MetricsError> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let mut rows = Vec::new();
        for row in reader.records() {
            let mut row = row.map_err(|error| self.bad_row(text, &error))?;
            if let Some(mut position) = row.position().cloned() {
                position.set_line(line_of(text, &position));
                row.set_position(Some(position));
            }
            rows.push(row);
        }
        let Some(first) = rows.first() else {
            return Err(self.error(None, "is empty; a header and one row a frame are needed"));
        };
        let columns = if is_header(first, column) {
            let columns = Columns::named(first, column);
            rows.remove(0);
            columns
        } else {
            Columns::guessed(&rows, column)
        };
        let columns = columns.map_err(|what| self.error(None, what))?;
        let mut videos: Vec<TableVideo> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let stem = self.stem();
        for row in &rows {
            let name = columns.video.map_or(stem.as_str(), |i| {
                row[i].strip_prefix("./").unwrap_or(&row[i])
            });
            let place = match places.get(name) {
                Some(&place) => place,
                None => {
                    videos.push(TableVideo {
                        name: name.to_owned(),
                        rows: 0,
                        scored: Vec::new(),
                    });
                    places.insert(name.to_owned(), videos.len() - 1);
                    videos.len() - 1
                }
            };
            let video = &mut videos[place];
            let read = self.row(row, &columns, &video.name, video.rows)?;
            video.rows += 1;
            video.scored.extend(read);
        }
        videos
            .into_iter()
            .map(|v| self.finish(v, columns.label.is_some()))
            .collect()
    }

    /// What a row holds; nothing where it has no score.
    fn row(
        &self,
        row: &csv::StringRecord,
        columns: &Columns,
        video: &str,
        number: usize,
    ) -> Result<Option<Row>, MetricsError> {
        let line = row.position().map(csv::Position::line);
        let frame = match columns.frame {
            Some(i) => self.frame(&row[i], line)?,
            None => number,
        };
        let cell = &row[columns.score];
        if cell.is_empty() {
            return Ok(None);
        }
        let score = cell.parse::<f64>().ok().filter(|score| score.is_finite());
        let score = score.ok_or_else(|| {
            let what = format!(
                "the score of video {video}, frame {frame} is {cell:?}; a finite number \
                 is needed, or nothing for a frame without a score"
            );
            self.error(line, what)
        })?;
        let label = columns.label.map(|i| {
            flag(&row[i]).ok_or_else(|| {
                let what = format!(
                    "the label of video {video}, frame {frame} is {:?}; 0 or 1 is needed",
                    &row[i]
                );
                self.error(line, what)
            })
        });
        let seconds = columns.seconds.and_then(|i| row[i].parse::<f64>().ok());
        Ok(Some(Row {
            frame,
            score,
            seconds: seconds.filter(|seconds| seconds.is_finite()),
            label: label.transpose()?,
            line,
        }))
    }

    fn frame(&self, cell: &str, line: Option<u64>) -> Result<usize, MetricsError> {
        whole_number(cell).ok_or_else(|| {
            self.error(
                line,
                format!("the frame is {cell:?}; a whole number from 0 is needed"),
            )
        })
    }

    fn stem(&self) -> String {
        self.path
            .file_stem()
            .map_or_else(String::new, |s| s.to_string_lossy().into_owned())
    }

    fn finish(&self, mut video: TableVideo, labelled: bool) -> Result<TableScores, MetricsError> {
        video.scored.sort_by_key(|row| row.frame);
        let twice = video.scored.windows(2);
        if let Some(pair) = twice
            .into_iter()
            .find(|pair| pair[0].frame == pair[1].frame)
        {
            let what = format!(
                "video {} has frame {} twice; keep one score a frame",
                video.name, pair[1].frame
            );
            return Err(self.error(pair[1].line, what));
        }
        let rows = &video.scored;
        let labels: Option<Vec<bool>> = rows.iter().map(|row| row.label).collect();
        Ok(TableScores {
            frames: rows.iter().map(|row| row.frame).collect(),
            scores: rows.iter().map(|row| row.score).collect(),
            seconds: rows.iter().map(|row| row.seconds).collect(),
            labels: labels.filter(|_| labelled),
            name: video.name,
        })
    }

    fn bad_row(&self, text: &str, error: &csv::Error) -> MetricsError {
        let line = error.position().map(|at| line_of(text, at));
        let what = match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => {
                format!("{len} fields where the first line has {expected_len}")
            }
            _ => error.to_string(),
        };
        self.error(
            line,
            format!("{what}; every row needs as many fields as the first"),
        )
    }
}
