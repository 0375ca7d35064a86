//! Labels from MATLAB: the cell `gt` of spans in a `.mat`, and the script of UCSD.

use std::ops::{ControlFlow, Range};

use camino::Utf8Path;

use super::mat::{MatError, Numbers, lacks_cell, visit_cell};
use super::{Extent, LabelSpan};
use crate::DataError;
use crate::text::decode;

/// Why spans from MATLAB can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MatlabError {
    /// The MAT file.
    #[error(transparent)]
    Mat(#[from] MatError),
    /// An element of the cell `gt`.
    #[error("element {number} of `gt`: {reason}")]
    Element {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        reason: SpanError,
    },
    /// A line of a script.
    #[error("line {line}: {reason}; `TestVideoFile{{end+1}}.gt_frame = [61:180];` was expected")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: SpanError,
    },
    /// A script without spans.
    #[error("it holds no `TestVideoFile{{end+1}}.gt_frame = [61:180];`, which was expected")]
    NoStatement,
}

/// Why a span can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SpanError {
    /// Another array than of first and last frames.
    #[error(
        "an array of {0:?}; 2 x n was expected, with the first and the last frame of each of n spans"
    )]
    Shape(Vec<usize>),
    /// A first frame without a last one.
    #[error("half a span")]
    Half,
    /// No positive whole number.
    #[error("{0} is no frame number (1, 2, ...)")]
    Frame(f64),
    /// The end before the beginning, or frame 0.
    #[error("the span {first} to {last} is empty or begins at 0")]
    Empty {
        /// Its first frame, 1-based.
        first: usize,
        /// Its last frame, 1-based.
        last: usize,
    },
    /// Another statement.
    #[error("`{0}` is not understood")]
    Statement(String),
    /// Another list than of numbers and ranges.
    #[error("`{0}` is no range of frames")]
    Range(String),
}

/// The spans of each video, in order.
pub(crate) type VideoSpans = Vec<Vec<LabelSpan>>;

/// Reads the cell `gt` of a MAT file: for each video a 2 x n array whose columns are the first
/// and last frame of a span, 1-based and inclusive.
pub(crate) fn read_gt(path: &Utf8Path) -> Result<VideoSpans, DataError> {
    let file = std::fs::File::open(path).map_err(|e| DataError::io(path, "read", e))?;
    gt(std::io::BufReader::new(file)).map_err(|e| DataError::label(path, e))
}

/// Whether a file that lies somewhere in a data set may be one of labels: a script with spans,
/// or a MAT file that does not clearly lack the cell `gt`.
pub(crate) fn may_hold_labels(path: &Utf8Path) -> bool {
    if path.extension() == Some("m") {
        return std::fs::read(path).is_ok_and(|bytes| {
            String::from_utf8_lossy(&bytes)
                .replace('\0', "")
                .contains("gt_frame")
        });
    }
    std::fs::File::open(path).is_ok_and(|file| !lacks_cell(std::io::BufReader::new(file), "gt"))
}

/// The spans in the cell `gt`.
pub(crate) fn gt(file: impl std::io::Read) -> Result<VideoSpans, MatlabError> {
    let mut videos = Vec::new();
    let mut failure = None;
    visit_cell(file, "gt", &mut |index, numbers| match columns(&numbers) {
        Ok(spans) => {
            videos.push(spans);
            ControlFlow::Continue(())
        }
        Err(reason) => {
            failure = Some(MatlabError::Element {
                number: index + 1,
                reason,
            });
            ControlFlow::Break(())
        }
    })?;
    match failure {
        Some(reason) => Err(reason),
        None => Ok(videos),
    }
}

/// The columns [first; last] of an array as spans.
fn columns(numbers: &Numbers) -> Result<Vec<LabelSpan>, SpanError> {
    if numbers.values.is_empty() {
        return Ok(Vec::new());
    }
    let &[2, _] = &numbers.dims[..] else {
        return Err(SpanError::Shape(numbers.dims.clone()));
    };
    numbers
        .values
        .chunks_exact(2)
        .map(|pair| {
            let &[first, last] = pair else {
                return Err(SpanError::Half);
            };
            let (first, last) = (frame(first)?, frame(last)?);
            one_based(first, last)
        })
        .collect()
}

/// A frame number out of a floating-point number.
fn frame(value: f64) -> Result<usize, SpanError> {
    let wrong = || SpanError::Frame(value);
    if value.fract() != 0.0 || !(1.0..=1e9).contains(&value) {
        return Err(wrong());
    }
    // Whole and below 2^32: the digits are those of an integer.
    format!("{value:.0}").parse().map_err(|_| wrong())
}

/// The span from frame `first` to frame `last`, 1-based and inclusive.
fn one_based(first: usize, last: usize) -> Result<LabelSpan, SpanError> {
    match first.checked_sub(1) {
        Some(start) if start < last => Ok(LabelSpan {
            extent: Extent::Frames(start..last),
            kind: None,
        }),
        _ => Err(SpanError::Empty { first, last }),
    }
}

/// Reads the script that comes with UCSD:
/// `TestVideoFile{end+1}.gt_frame = [5:90, 140:200];` for each video, 1-based and inclusive.
pub(crate) fn read_script(path: &Utf8Path) -> Result<VideoSpans, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    // Comments may be in any encoding.
    let text = decode(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned());
    script(&text).map_err(|e| DataError::label(path, e))
}

/// The spans in a script.
pub(crate) fn script(text: &str) -> Result<VideoSpans, MatlabError> {
    let mut videos = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('%').next().unwrap_or_default().trim();
        for statement in statements(line) {
            if !is_start(statement) {
                let line = number + 1;
                let spans = video(statement);
                let spans = spans.map_err(|reason| MatlabError::Line { line, reason })?;
                videos.push(spans);
            }
        }
    }
    if videos.is_empty() {
        return Err(MatlabError::NoStatement);
    }
    Ok(videos)
}

/// Statements of a line: parts between semicolons that are not in brackets.
fn statements(line: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0i32);
    for (at, c) in line.char_indices() {
        match c {
            '[' => depth = depth.saturating_add(1),
            ']' => depth = depth.saturating_sub(1),
            ';' if depth <= 0 => {
                parts.push(&line[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&line[start..]);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Whether a statement is the empty list at the start.
fn is_start(statement: &str) -> bool {
    let text: String = statement.split_whitespace().collect();
    text == "TestVideoFile={}" || text == "clear" || text == "clc"
}

/// The spans of one video's statement.
fn video(statement: &str) -> Result<Vec<LabelSpan>, SpanError> {
    let (left, right) = statement
        .split_once('=')
        .ok_or_else(|| SpanError::Statement(statement.trim().to_owned()))?;
    let left: String = left.split_whitespace().collect();
    if left != "TestVideoFile{end+1}.gt_frame" {
        return Err(SpanError::Statement(left));
    }
    let right = right.trim();
    let inner = right
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(right);
    let joined = join_colons(inner);
    let mut spans = Vec::new();
    for part in joined
        .split([',', ';', ' ', '\t'])
        .filter(|p| !p.is_empty())
    {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        let number = |text: &str| {
            text.parse::<usize>()
                .map_err(|_| SpanError::Range(part.to_owned()))
        };
        spans.push(one_based(number(first)?, number(last)?)?);
    }
    Ok(merge_single_frames(spans))
}

/// Takes the blanks around colons away: `5 : 90` is one range.
fn join_colons(text: &str) -> String {
    let mut joined = text.to_owned();
    for blank in [" :", ": ", "\t:", ":\t"] {
        while joined.contains(blank) {
            joined = joined.replace(blank, ":");
        }
    }
    joined
}

/// Joins spans that follow each other without a gap, as in a list of frames.
fn merge_single_frames(spans: Vec<LabelSpan>) -> Vec<LabelSpan> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for span in spans {
        let Extent::Frames(range) = span.extent else {
            continue;
        };
        match merged.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => merged.push(range),
        }
    }
    merged
        .into_iter()
        .map(|range| LabelSpan {
            extent: Extent::Frames(range),
            kind: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranges(spans: &[LabelSpan]) -> Vec<Range<usize>> {
        spans
            .iter()
            .map(|span| match &span.extent {
                Extent::Frames(range) => range.clone(),
                Extent::Seconds(_) => panic!("frames were written"),
            })
            .collect()
    }

    #[test]
    fn the_script_of_ucsd_is_read() {
        let text = "TestVideoFile = {};\r\n\
                    TestVideoFile{end+1}.gt_frame = [61:180]; % a cart\n\
                    TestVideoFile{end+1}.gt_frame = [5:90, 140:200];\n\
                    TestVideoFile{end+1}.gt_frame = [];\n\
                    TestVideoFile{end+1}.gt_frame = [1 2 3 9];\n";
        let videos = script(text).unwrap();
        assert_eq!(ranges(&videos[0]).first(), Some(&(60..180)));
        assert_eq!(ranges(&videos[1]), [4..90, 139..200]);
        assert!(videos[2].is_empty());
        assert_eq!(ranges(&videos[3]), [0..3, 8..9]);
    }

    #[test]
    fn other_scripts_are_refused_with_their_line() {
        for text in [
            "",
            "x = 3;",
            "TestVideoFile{end+1}.gt_frame = [0:4];",
            "TestVideoFile{end+1}.gt_frame = [9:4];",
            "TestVideoFile{end+1}.gt_frame = [a:b];",
            "TestVideoFile{end+1}.gt_frame = 3:2:9;",
        ] {
            let error = script(text).unwrap_err().to_string();
            assert!(error.contains("TestVideoFile{end+1}.gt_frame"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn random_text_is_no_panic(text in "[\\[\\]{}:;,=% 0-9a-z\\n]{0,80}") {
            let _ = script(&text);
        }

        #[test]
        fn written_ranges_are_read_back(starts in proptest::collection::vec((1usize..50, 1usize..50), 0..5)) {
            let mut last = 0;
            let mut expected = Vec::new();
            for (gap, length) in starts {
                let first = last + gap + 1;
                last = first + length - 1;
                expected.push(first - 1..last);
            }
            let list: Vec<String> = expected.iter().map(|r| format!("{}:{}", r.start + 1, r.end)).collect();
            let text = format!("TestVideoFile{{end+1}}.gt_frame = [{}];", list.join(", "));
            prop_assert_eq!(ranges(&script(&text).unwrap()[0]), expected);
        }
    }
}
