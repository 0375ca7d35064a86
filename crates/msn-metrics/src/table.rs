use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::{MetricsError, ScoredVideo};

/// Columns that say which frame a score belongs to.
const POSITION_COLUMNS: [&str; 3] = ["video", "frame", "seconds"];

/// Scores of one video as read from a table, in the order of its frames.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TableScores {
    /// Name of the video.
    pub name: String,
    /// Frame of each score, rising, counted as in the table.
    pub frames: Vec<usize>,
    /// Finite scores, one for each frame.
    pub scores: Vec<f64>,
}

impl TableScores {
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
            let name = &video.name;
            let (frames, scores): (Vec<usize>, Vec<f64>) = std::mem::take(&mut video.frames)
                .into_iter()
                .zip(std::mem::take(&mut video.scores))
                .filter(|(frame, _)| {
                    let common = holders.get(&(name.clone(), *frame)) == Some(&all);
                    dropped += usize::from(!common);
                    common
                })
                .unzip();
            (video.frames, video.scores) = (frames, scores);
        }
        setting.retain(|video| !video.frames.is_empty());
        dropped
    };
    settings.iter_mut().map(keep).collect()
}

/// Reads the scores of any method from a CSV file, for each video in frame order.
///
/// The first line names the columns. `video` and `frame` place a score; without `video` all rows
/// are of one video that has the file's name, without `frame` rows are in frame order from 0. The
/// score is in `column`, else in the column `score`, else in the only column that is neither of
/// `video`, `frame` and `seconds`. A file of bare numbers, one on a line, needs no header. An
/// empty score is a frame without one. Videos come in the order of their first rows.
///
/// # Errors
/// [`MetricsError::Read`], or [`MetricsError::Table`] with the line: a column that is missing or
/// not to be told from others, a row of another length, a score that is no finite number (video
/// and frame are named), a frame given twice, no score at all.
pub fn read_scores_csv(
    path: &Path,
    column: Option<&str>,
) -> Result<Vec<TableScores>, MetricsError> {
    let read = |source| MetricsError::Read {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let mut bytes = Vec::new();
    BufReader::new(file).read_to_end(&mut bytes).map_err(read)?;
    let table = Table { path };
    let text = text(&bytes).map_err(|what| table.error(None, what))?;
    table.scores(&text, column)
}

/// The text in a file's bytes, with `\n` at the end of each line: UTF-8, or UTF-16 as Windows'
/// programs write it. Else what the file is instead.
fn text(bytes: &[u8]) -> Result<String, &'static str> {
    let utf16 = |bytes: &[u8], number: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        char::decode_utf16(pairs.iter().map(|&pair| number(pair))).collect::<Result<String, _>>()
    };
    let no_text = "is no text in UTF-8 or UTF-16; save it as UTF-8";
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes).map_err(|_| no_text)?,
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes).map_err(|_| no_text)?,
        [b'\x93', b'N', b'U', b'M', b'P', b'Y', ..] => {
            return Err("is an array of NumPy and no CSV; np.savetxt writes one score a line");
        }
        [b'P', b'K', 3, 4, ..] => {
            return Err("is a ZIP archive (.npz, .xlsx) and no CSV; save its scores as one");
        }
        _ => std::str::from_utf8(bytes).map_err(|_| no_text)?.to_owned(),
    };
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

/// Where a table keeps what.
struct Columns {
    video: Option<usize>,
    frame: Option<usize>,
    score: usize,
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
        let mut rows = reader.records().peekable();
        let columns = match rows.peek() {
            None => {
                return Err(self.error(None, "is empty; a header and one row a frame are needed"));
            }
            Some(Ok(first)) if first.len() == 1 && first[0].parse::<f64>().is_ok() => {
                if let Some(name) = column {
                    let what =
                        format!("has no header, so no column {name}; add a first line with names");
                    return Err(self.error(Some(1), what));
                }
                Columns {
                    video: None,
                    frame: None,
                    score: 0,
                }
            }
            Some(Ok(first)) => {
                let columns = self.columns(first, column)?;
                rows.next();
                columns
            }
            Some(Err(_)) => Columns {
                video: None,
                frame: None,
                score: 0,
            },
        };
        let mut videos: Vec<TableVideo> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for row in rows {
            let row = row.map_err(|error| {
                let line = error.position().map(|at| line_of(text, at));
                self.error(
                    line,
                    format!(
                        "{}; every row needs as many fields as the first",
                        plain(&error)
                    ),
                )
            })?;
            let line = row.position().map(|at| line_of(text, at));
            let name = match columns.video {
                Some(i) => row[i].to_owned(),
                None => self.stem(),
            };
            let place = *places.entry(name.clone()).or_insert_with(|| {
                videos.push(TableVideo {
                    name: name.clone(),
                    rows: 0,
                    scored: Vec::new(),
                });
                videos.len() - 1
            });
            let video = &mut videos[place];
            let frame = match columns.frame {
                Some(i) => self.frame(&row[i], line)?,
                None => video.rows,
            };
            video.rows += 1;
            let cell = &row[columns.score];
            if cell.is_empty() {
                continue;
            }
            match cell.parse::<f64>() {
                Ok(score) if score.is_finite() => video.scored.push((frame, score, line)),
                _ => {
                    let what = format!(
                        "the score of video {name}, frame {frame} is {cell:?}; a finite number \
                         is needed, or nothing for a frame without a score"
                    );
                    return Err(self.error(line, what));
                }
            }
        }
        let videos = videos
            .into_iter()
            .map(|v| self.finish(v))
            .collect::<Result<Vec<_>, _>>()?;
        if videos.iter().all(|video| video.scores.is_empty()) {
            return Err(self.error(
                None,
                "holds no score; a header and one row a frame are needed",
            ));
        }
        Ok(videos)
    }

    fn columns(
        &self,
        header: &csv::StringRecord,
        column: Option<&str>,
    ) -> Result<Columns, MetricsError> {
        let named = |name: &str| header.iter().position(|h| h.eq_ignore_ascii_case(name));
        let others: Vec<usize> = (0..header.len())
            .filter(|&i| {
                !POSITION_COLUMNS
                    .iter()
                    .any(|place| header[i].eq_ignore_ascii_case(place))
            })
            .collect();
        let names = || {
            others
                .iter()
                .map(|&i| &header[i])
                .collect::<Vec<_>>()
                .join(", ")
        };
        let score = match (column, named("score"), others.as_slice()) {
            (Some(name), ..) => header
                .iter()
                .position(|h| h == name)
                .or_else(|| named(name))
                .ok_or_else(|| format!("has no column {name}; its score columns are: {}", names())),
            (None, Some(score), _) | (None, None, &[score]) => Ok(score),
            (None, None, []) => Err("has no score column; name one `score`".to_owned()),
            (None, None, _) => Err(format!(
                "has several score columns: {}; name one of them",
                names()
            )),
        }
        .map_err(|what| self.error(None, what))?;
        Ok(Columns {
            video: named("video"),
            frame: named("frame"),
            score,
        })
    }

    fn frame(&self, cell: &str, line: Option<u64>) -> Result<usize, MetricsError> {
        // Tables written by way of floats have `12.0`.
        let digits = cell.split_once('.').map_or(cell, |(whole, rest)| {
            if rest.bytes().all(|b| b == b'0') {
                whole
            } else {
                cell
            }
        });
        digits.parse().map_err(|_| {
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

    fn finish(&self, mut video: TableVideo) -> Result<TableScores, MetricsError> {
        video.scored.sort_by_key(|&(frame, ..)| frame);
        if let Some(pair) = video.scored.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let what = format!(
                "video {} has frame {} twice; keep one score a frame",
                video.name, pair[1].0
            );
            return Err(self.error(pair[1].2, what));
        }
        Ok(TableScores {
            name: video.name,
            frames: video.scored.iter().map(|&(frame, ..)| frame).collect(),
            scores: video.scored.iter().map(|&(_, score, _)| score).collect(),
        })
    }
}

struct TableVideo {
    name: String,
    rows: usize,
    scored: Vec<(usize, f64, Option<u64>)>,
}

fn plain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("{len} fields where the first line has {expected_len}")
        }
        _ => error.to_string(),
    }
}
