//! Which column of a table holds what: by the names in its first line, or by what its columns hold.

use csv::StringRecord;

/// Other names of a frame's video, number, time, label and score, compared without regard to case.
const VIDEO: [&str; 4] = ["video", "video_name", "clip", "file"];
const FRAME: [&str; 5] = [
    "frame",
    "frame_index",
    "frame_idx",
    "frame_id",
    "frame_number",
];
const SECONDS: [&str; 3] = ["seconds", "time", "timestamp"];
/// Names of labels, best first.
pub const LABEL_NAMES: [&str; 7] = [
    "label",
    "labels",
    "gt",
    "y_true",
    "ground_truth",
    "anomalous",
    "is_anomaly",
];
/// Names of scores, best first.
pub const SCORE_NAMES: [&str; 5] = [
    "score",
    "scores",
    "anomaly_score",
    "anomaly_scores",
    "y_score",
];
/// What this project writes beside its scores.
const ALARMS: [&str; 4] = ["smoothed", "threshold", "alarm", "event"];

/// Where a table keeps what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Columns {
    pub video: Option<usize>,
    pub frame: Option<usize>,
    pub seconds: Option<usize>,
    pub label: Option<usize>,
    pub score: usize,
}

/// Whether a first line names columns: no number in it, or a name that is known.
pub(super) fn is_header(first: &StringRecord, wanted: Option<&str>) -> bool {
    let known = |cell: &str| {
        let all = [
            &VIDEO[..],
            &FRAME[..],
            &SECONDS[..],
            &LABEL_NAMES[..],
            &SCORE_NAMES[..],
        ];
        all.iter().any(|names| is_one_of(cell, names)) || wanted == Some(cell)
    };
    !first.iter().any(|cell| cell.parse::<f64>().is_ok()) || first.iter().any(known)
}

fn is_one_of(cell: &str, names: &[&str]) -> bool {
    names.iter().any(|name| cell.eq_ignore_ascii_case(name))
}

impl Columns {
    /// By the names in the first line; `wanted` names the scores. The error says what is wrong and
    /// what to do.
    pub fn named(header: &StringRecord, wanted: Option<&str>) -> Result<Self, String> {
        let find = |names: &[&str]| {
            // The first of the names that is there, wherever it stands.
            let at = |name: &&str| header.iter().position(|h| h.eq_ignore_ascii_case(name));
            names.iter().find_map(at)
        };
        let mut found = Self {
            video: find(&VIDEO),
            frame: find(&FRAME),
            seconds: find(&SECONDS),
            label: find(&LABEL_NAMES),
            score: 0,
        };
        let placed = [found.video, found.frame, found.seconds, found.label];
        let others: Vec<usize> = (0..header.len())
            .filter(|&i| !placed.contains(&Some(i)) && !is_one_of(&header[i], &ALARMS))
            .collect();
        let names = || -> String {
            let names: Vec<&str> = others.iter().map(|&i| &header[i]).collect();
            names.join(", ")
        };
        let ours = find(&["legacy"]).and(find(&["fair"]));
        found.score = match (wanted, find(&SCORE_NAMES), others.as_slice()) {
            (Some(name), ..) => header
                .iter()
                .position(|h| h == name)
                .or_else(|| find(&[name]))
                .ok_or_else(|| {
                    format!("has no column {name}; its score columns are: {}", names())
                })?,
            (None, Some(score), _) | (None, None, &[score]) => score,
            (None, None, []) => return Err("has no score column; name one `score`".to_owned()),
            (None, None, _) => ours.ok_or_else(|| {
                format!("has several score columns: {}; name one of them", names())
            })?,
        };
        // What is measured is neither a label nor a place.
        for place in [
            &mut found.video,
            &mut found.frame,
            &mut found.seconds,
            &mut found.label,
        ] {
            *place = place.filter(|&i| i != found.score);
        }
        Ok(found)
    }

    /// By what the columns of a table without names hold: text is the video, whole numbers that
    /// count up are frames, a column of 0 and 1 is the labels, and the one that is left the scores.
    /// `wanted` is the number of the score column, counted from 1.
    pub fn guessed(rows: &[StringRecord], wanted: Option<&str>) -> Result<Self, String> {
        let width = rows.first().map_or(0, StringRecord::len);
        let chosen = match wanted {
            None => None,
            Some(text) => {
                let number = text.parse().ok().filter(|n| (1..=width).contains(n));
                let number: usize = number.ok_or_else(|| {
                    format!(
                        "has no header, so no column {text}; add a first line with names, or give \
                         the column's number, 1 to {width}"
                    )
                })?;
                Some(number - 1)
            }
        };
        let mut left: Vec<usize> = (0..width).filter(|i| Some(*i) != chosen).collect();
        let mut take = |fits: &dyn Fn(usize) -> bool| {
            let at = left.iter().position(|&i| fits(i))?;
            Some(left.remove(at))
        };
        let mut found = Self::default();
        if width > 1 {
            found.video = take(&|i| {
                rows.iter()
                    .any(|row| row[i].parse::<f64>().is_err() && !row[i].is_empty())
            });
            if found.video.is_none() && width > 2 {
                // Videos may be numbers: then frames count up within each of them.
                found.video =
                    take(&|i| i == 0 && !counts(rows, 0, None) && counts(rows, 1, Some(0)));
                if found.video.is_some() {
                    found.frame = take(&|i| i == 1);
                }
            }
            let video = found.video;
            // In two rows 0 and 1 count up as well: then labels stand after them.
            let labels_after = |i: usize| (i + 1..width).any(|after| is_flags(rows, after));
            if found.frame.is_none() {
                found.frame =
                    take(&|i| counts(rows, i, video) && (!is_flags(rows, i) || labels_after(i)));
            }
            // Of several columns of 0 and 1 the labels stand last.
            let flags = left.iter().rposition(|&i| is_flags(rows, i));
            if left.len() > usize::from(chosen.is_none()) {
                found.label = flags.map(|at| left.remove(at));
            }
        }
        found.score = match (chosen, left.as_slice()) {
            (Some(score), _) | (None, &[score]) => score,
            (None, []) => {
                return Err("has no header and no column of scores; add a first line such as video,frame,score,label".to_owned());
            }
            (None, several) => {
                return Err(format!(
                    "has no header and {} columns that may be scores; add a first line such as \
                     video,frame,score,label",
                    several.len()
                ));
            }
        };
        Ok(found)
    }
}

/// Whether a column holds 0 and 1 alone.
fn is_flags(rows: &[StringRecord], column: usize) -> bool {
    rows.iter().all(|row| flag(&row[column]).is_some())
}

/// Whether a column holds whole numbers that rise from row to row, within each run of one video.
fn counts(rows: &[StringRecord], column: usize, video: Option<usize>) -> bool {
    let whole = |row: &StringRecord| whole_number(&row[column]);
    rows.iter().all(|row| whole(row).is_some())
        && rows.windows(2).all(|pair| {
            video.is_some_and(|v| pair[0][v] != pair[1][v]) || whole(&pair[0]) < whole(&pair[1])
        })
}

/// A frame's number. Tables written by way of floats have `12.0`.
pub(super) fn whole_number(cell: &str) -> Option<usize> {
    let digits = match cell.split_once('.') {
        Some((whole, rest)) if rest.bytes().all(|b| b == b'0') => whole,
        _ => cell,
    };
    digits.parse().ok()
}

/// A label: 0 or 1, as a whole number, a float or a word.
pub(super) fn flag(cell: &str) -> Option<bool> {
    match cell.parse::<f64>() {
        Ok(0.0) => Some(false),
        Ok(1.0) => Some(true),
        Ok(_) => None,
        Err(_) if cell.eq_ignore_ascii_case("false") => Some(false),
        Err(_) if cell.eq_ignore_ascii_case("true") => Some(true),
        Err(_) => None,
    }
}
