//! UCF-Crime's `Temporal_Anomaly_Annotation.txt`: on each line `video kind first last first last`.
//!
//! The owners' evaluation (`Evaluate_Anomaly_Detector.m`) marks `GT(first:last) = 1` after cutting
//! both to the video's frames: frames count from 1, and the last one is anomalous, too. -1 stands
//! for no span.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::find::LabelReader;
use super::names::{folder_of, stem_of};
use super::{Extent, LabelSpan, Labels};
use crate::text::read_text;
use crate::{DataError, Video};

/// A line of the annotation that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct UcfError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: UcfLineError,
}

/// Why a line of the annotation can't be used.
#[derive(Debug, thiserror::Error)]
pub enum UcfLineError {
    /// Other fields than these.
    #[error("`video kind first last [first last]` was expected")]
    Fields,
    /// No whole number.
    #[error("`{0}` is no frame number (1, 2, 3, ..., or -1 for none)")]
    Frame(String),
    /// The last frame before the first.
    #[error("the span {first} to {last} is empty")]
    Empty {
        /// First frame, from 1.
        first: usize,
        /// Last frame.
        last: usize,
    },
    /// A video on two lines.
    #[error("`{0}` is on an earlier line, too")]
    Twice(String),
}

/// Whether a file is named as the owners name theirs, which have `_for_Testing_Videos` at the end
/// or not.
pub(crate) fn is_annotation(file: &Utf8Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_ascii_lowercase();
    name.starts_with("temporal_anomaly_annotation") && name.ends_with(".txt")
}

/// Spans by the names of their videos.
type Annotated = BTreeMap<String, (usize, Vec<LabelSpan>)>;

/// Reads an annotation.
pub(crate) fn read(text: &str) -> Result<Annotated, UcfError> {
    let mut videos = Annotated::new();
    for (index, line) in text.lines().enumerate() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        let line = index + 1;
        let (video, spans) = of_line(&fields).map_err(|reason| UcfError { line, reason })?;
        if videos.contains_key(&video) {
            let reason = UcfLineError::Twice(video);
            return Err(UcfError { line, reason });
        }
        videos.insert(video, (line, spans));
    }
    Ok(videos)
}

fn of_line(fields: &[&str]) -> Result<(String, Vec<LabelSpan>), UcfLineError> {
    let [video, kind, frames @ ..] = fields else {
        return Err(UcfLineError::Fields);
    };
    let (pairs, rest) = frames.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(UcfLineError::Fields);
    }
    let mut spans = Vec::new();
    for [first, last] in pairs {
        let (Some(first), Some(last)) = (frame(first)?, frame(last)?) else {
            continue;
        };
        // The owners cut 0 to the first frame.
        let start = first.saturating_sub(1);
        if start >= last {
            return Err(UcfLineError::Empty { first, last });
        }
        spans.push(LabelSpan {
            extent: Extent::Frames(start..last),
            kind: Some((*kind).to_owned()),
        });
    }
    Ok((video.replace('\\', "/"), spans))
}

/// A frame from 1; nothing for one below 0.
fn frame(text: &str) -> Result<Option<usize>, UcfLineError> {
    match text.parse::<i64>() {
        Ok(number) => Ok(usize::try_from(number).ok()),
        Err(_) => Err(UcfLineError::Frame(text.to_owned())),
    }
}

/// The file with the spans of all videos.
pub(crate) struct UcfFile {
    pub path: Utf8PathBuf,
}

impl LabelReader for UcfFile {
    fn format(&self) -> &'static str {
        "UCF-Crime's annotation"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let annotated = read(&read_text(&self.path)?);
        let mut annotated = annotated.map_err(|e| DataError::label(&self.path, e))?;
        let mut labels = Vec::new();
        for video in test {
            // By its path, its file's name, or that without its ending, as of frames.
            let file = Utf8Path::new(&video.name).file_name().unwrap_or_default();
            let stem = stem_of(video);
            let name = [video.name.as_str(), file].into_iter();
            let name = name.map(str::to_owned).find(|n| annotated.contains_key(n));
            let by_stem = || {
                let mut names = annotated.keys();
                names
                    .find(|n| Utf8Path::new(n).file_stem() == Some(stem))
                    .cloned()
            };
            let found = name.or_else(by_stem).and_then(|n| annotated.remove(&n));
            let Some((_, spans)) = found else {
                return Err(DataError::Unlabelled {
                    video: video.source.clone(),
                    labels: self.path.clone(),
                });
            };
            labels.push(Some(Labels::spans(&self.path, spans)));
        }
        match annotated.into_iter().next() {
            None => Ok(labels),
            Some((video, (line, _))) => Err(DataError::LabelVideo {
                labels: self.path.clone(),
                video: format!("{video} (line {line})"),
                looked_in: folder_of(test),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_are_read_as_the_owners_evaluate_them() {
        let videos = read(
            "Abuse028_x264.mp4  Abuse  165  240  -1  -1  \n\nNormal_1.mp4 Normal -1 -1 -1 -1\n\
             Arson_2.mp4 Arson 0 5 10 10\n",
        )
        .unwrap();
        let ranges = |name: &str| -> Vec<Extent> {
            videos[name].1.iter().map(|s| s.extent.clone()).collect()
        };
        assert_eq!(ranges("Abuse028_x264.mp4"), [Extent::Frames(164..240)]);
        assert_eq!(
            videos["Abuse028_x264.mp4"].1[0].kind.as_deref(),
            Some("Abuse")
        );
        assert_eq!(ranges("Normal_1.mp4"), []);
        assert_eq!(
            ranges("Arson_2.mp4"),
            [Extent::Frames(0..5), Extent::Frames(9..10)]
        );
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, part) in [
            ("a.mp4 Abuse 1\n", "line 1: `video kind"),
            ("a.mp4\n", "line 1: `video kind"),
            ("\na.mp4 Abuse 1 x\n", "line 2: `x`"),
            ("a.mp4 Abuse 9 3\n", "9 to 3 is empty"),
            ("a.mp4 Abuse 1 3\na.mp4 Abuse 1 3", "line 2: `a.mp4` is on"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "[a-z0-9 .\n-]{0,60}") {
            let _ = read(&text);
        }
    }
}
