//! Tracks as text, in the three ways they are published.

use std::collections::BTreeMap;

use super::{Extent, LabelSpan};
use crate::TrackBox;

/// Largest coordinate that is taken for a pixel.
const FARTHEST: f64 = 1e6;

/// A line of tracks that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TracksError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: TrackError,
}

/// Why a box or a span of a track can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// Other fields than these.
    #[error("`{0}` was expected")]
    Fields(&'static str),
    /// A frame that the video does not have.
    #[error("there is no frame `{0}`")]
    NoFrame(String),
    /// No frame number of this machine.
    #[error("the frame {0} is too large")]
    LargeFrame(u64),
    /// A side of no pixels.
    #[error("the box is empty")]
    EmptyBox,
    /// No whole number.
    #[error("`{0}` is no whole number")]
    NotWhole(String),
    /// No coordinate.
    #[error("`{0}` is no number of pixels")]
    NotPixels(String),
    /// A coordinate beyond all pictures.
    #[error("{0} is no pixel")]
    Pixel(f64),
    /// No grey value.
    #[error("an object is a grey value from 1 to 255")]
    Object,
    /// The last frame before the first.
    #[error("the span {first} to {last} is empty")]
    EmptySpan {
        /// First frame.
        first: usize,
        /// Last frame.
        last: usize,
    },
}

/// Boxes of Street Scene (and of MERL's annotations for other sets): on each line
/// `frame track x y width height` between blanks. The frame is the name of its picture, (x, y)
/// the middle of the box. `frame_index` knows the frames by their names without extension.
pub(crate) fn named_boxes(
    text: &str,
    frame_index: &dyn Fn(&str) -> Option<usize>,
) -> Result<Vec<TrackBox>, TracksError> {
    lines(text, |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [frame, track, x, y, width, height] = fields[..] else {
            return Err(TrackError::Fields("frame track x y width height"));
        };
        let stem = frame.rsplit(['/', '\\']).next().unwrap_or(frame);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
        let index = frame_index(stem).ok_or_else(|| TrackError::NoFrame(frame.to_owned()))?;
        let track = number(track)?;
        let (x, y) = (real(x)?, real(y)?);
        let (width, height) = (real(width)?, real(height)?);
        if width <= 0.0 || height <= 0.0 {
            return Err(TrackError::EmptyBox);
        }
        let (x1, x2) = side(x, width)?;
        let (y1, y2) = side(y, height)?;
        Ok(TrackBox {
            track,
            frame: index,
            x1,
            y1,
            x2,
            y2,
        })
    })
}

/// First and last pixel of a side of a box from its middle and length.
fn side(middle: f64, length: f64) -> Result<(i32, i32), TrackError> {
    let first = pixel((middle - length / 2.0).round())?;
    let last = pixel((middle + length / 2.0).round() - 1.0)?;
    Ok((first, last.max(first)))
}

/// Boxes as Georgescu et al. publish them for ShanghaiTech:
/// `track,frame,x_min,y_min,x_max,y_max`, frames 0-based, corners inclusive.
pub(crate) fn cornered_boxes(text: &str) -> Result<Vec<TrackBox>, TracksError> {
    lines(text, |line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [track, frame, x1, y1, x2, y2] = fields[..] else {
            return Err(TrackError::Fields("track,frame,x_min,y_min,x_max,y_max"));
        };
        let corner = |text: &str| real(text).and_then(|value| pixel(value.round()));
        let track = TrackBox {
            track: number(track)?,
            frame: frame_number(frame)?,
            x1: corner(x1)?,
            y1: corner(y1)?,
            x2: corner(x2)?,
            y2: corner(y2)?,
        };
        if track.x2 < track.x1 || track.y2 < track.y1 {
            return Err(TrackError::EmptyBox);
        }
        Ok(track)
    })
}

/// A track of UBnormal: the object's value in the label pictures and its anomalous frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectSpan {
    pub object: u8,
    /// First and last frame, 0-based, inclusive.
    pub first: usize,
    pub last: usize,
}

/// Tracks of UBnormal: `object,first,last` on each line, frames 0-based and inclusive.
pub(crate) fn object_spans(text: &str) -> Result<Vec<ObjectSpan>, TracksError> {
    lines(text, |line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [object, first, last] = fields[..] else {
            return Err(TrackError::Fields("object,first,last"));
        };
        let (first, last) = (frame_number(first)?, frame_number(last)?);
        let object = u8::try_from(number(object)?)
            .ok()
            .filter(|&object| object > 0)
            .ok_or(TrackError::Object)?;
        if first > last || last == usize::MAX {
            return Err(TrackError::EmptySpan { first, last });
        }
        Ok(ObjectSpan {
            object,
            first,
            last,
        })
    })
}

/// The frames of tracks as spans: each unbroken stretch of each track.
pub(crate) fn spans(boxes: &[TrackBox]) -> Vec<LabelSpan> {
    let mut tracks: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for found in boxes {
        tracks.entry(found.track).or_default().push(found.frame);
    }
    let mut spans = Vec::new();
    for mut frames in tracks.into_values() {
        frames.sort_unstable();
        frames.dedup();
        for stretch in frames.chunk_by(|a, b| a + 1 == *b) {
            if let (Some(first), Some(last)) = (stretch.first(), stretch.last()) {
                spans.push(LabelSpan {
                    extent: Extent::Frames(*first..last + 1),
                    kind: None,
                });
            }
        }
    }
    spans
}

/// Reads every line that is not blank; errors name the line.
fn lines<T>(
    text: &str,
    read: impl Fn(&str) -> Result<T, TrackError>,
) -> Result<Vec<T>, TracksError> {
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let line_number = index + 1;
            read(line.trim()).map_err(|reason| TracksError {
                line: line_number,
                reason,
            })
        })
        .collect()
}

/// A whole number, which NumPy may have written as a float (`3.000000e+00`).
fn number(text: &str) -> Result<u64, TrackError> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    let wrong = || TrackError::NotWhole(text.to_owned());
    let value: f64 = text.parse().map_err(|_| wrong())?;
    if value.fract() != 0.0 || !(0.0..=1e15).contains(&value) {
        return Err(wrong());
    }
    format!("{value:.0}").parse().map_err(|_| wrong())
}

fn frame_number(text: &str) -> Result<usize, TrackError> {
    let frame = number(text)?;
    usize::try_from(frame).map_err(|_| TrackError::LargeFrame(frame))
}

fn real(text: &str) -> Result<f64, TrackError> {
    text.parse::<f64>()
        .ok()
        .filter(|value| value.abs() <= FARTHEST)
        .ok_or_else(|| TrackError::NotPixels(text.to_owned()))
}

/// A whole number of pixels as an integer.
fn pixel(value: f64) -> Result<i32, TrackError> {
    format!("{value:.0}")
        .parse()
        .map_err(|_| TrackError::Pixel(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_number(stem: &str) -> Option<usize> {
        stem.parse::<usize>().ok()?.checked_sub(1)
    }

    #[test]
    fn boxes_around_their_middle_are_read() {
        let boxes = named_boxes(
            "Test001/002.jpg 0 20 10 8 6\n003.jpg 1 20.5 10 9 1\n",
            &by_number,
        );
        assert_eq!(
            boxes.unwrap(),
            [
                TrackBox {
                    track: 0,
                    frame: 1,
                    x1: 16,
                    y1: 7,
                    x2: 23,
                    y2: 12
                },
                TrackBox {
                    track: 1,
                    frame: 2,
                    x1: 16,
                    y1: 10,
                    x2: 24,
                    y2: 10
                },
            ]
        );
        let error = named_boxes("002.jpg 0 20 10 8\n", &by_number)
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("line 1: `frame track"), "{error}");
        assert!(named_boxes("000.jpg 0 20 10 8 8", &by_number).is_err());
        assert!(named_boxes("001.jpg 0 20 10 0 8", &by_number).is_err());
    }

    #[test]
    fn boxes_by_their_corners_are_read() {
        let boxes = cornered_boxes("0,7,10,5,30,15\r\n0,8,-1,5,30,15\n").unwrap();
        assert_eq!(boxes[0].frame, 7);
        assert_eq!(boxes[1].x1, -1);
        assert!(cornered_boxes("0,7,10,5,9,15").is_err());
        assert!(cornered_boxes("0 7 10 5 9 15").is_err());
    }

    #[test]
    fn objects_of_ubnormal_are_read() {
        let spans = object_spans("2.000000e+00,10,20\n3,0,0\n").unwrap();
        assert_eq!(
            spans[0],
            ObjectSpan {
                object: 2,
                first: 10,
                last: 20
            }
        );
        assert!(object_spans("0,1,2").is_err());
        assert!(object_spans("1,3,2").is_err());
    }

    #[test]
    fn tracks_with_gaps_become_several_spans() {
        let found = |track, frame| TrackBox {
            track,
            frame,
            x1: 0,
            y1: 0,
            x2: 0,
            y2: 0,
        };
        let boxes = [found(1, 5), found(0, 2), found(0, 1), found(0, 4)];
        let spans: Vec<_> = spans(&boxes).into_iter().map(|s| s.extent).collect();
        assert_eq!(
            spans,
            [
                Extent::Frames(1..3),
                Extent::Frames(4..5),
                Extent::Frames(5..6)
            ]
        );
    }

    proptest! {
        #[test]
        fn random_text_is_no_panic(text in "[0-9a-z.,eE+ \\n-]{0,80}") {
            let _ = named_boxes(&text, &by_number);
            let _ = cornered_boxes(&text);
            let _ = object_spans(&text);
        }
    }
}
