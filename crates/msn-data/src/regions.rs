//! Where in its frames a video is anomalous.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::labels::masks::decode;
use crate::labels::tracks::{self, ObjectSpan};
use crate::text::read_text;
use crate::{DataError, LabelError, Masks};

/// A box of a track in one frame, with inclusive pixel corners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrackBox {
    /// The track; unique in its video.
    pub track: u64,
    /// The frame, 0-based.
    pub frame: usize,
    /// Leftmost pixel.
    pub x1: i32,
    /// Topmost pixel.
    pub y1: i32,
    /// Rightmost pixel, not left of `x1`.
    pub x2: i32,
    /// Lowest pixel, not above `y1`.
    pub y2: i32,
}

/// True regions of one video.
#[derive(Clone, Debug, PartialEq)]
pub enum Regions {
    /// A mask for each frame, without tracks.
    Masks(Masks),
    /// Boxes with their tracks, by track and frame.
    Tracks(Vec<TrackBox>),
}

/// Where the regions of one video lie on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegionSource {
    /// Pixel masks.
    Masks(Masks),
    /// A text of boxes around their middle, frames by the names of their pictures.
    NamedBoxes {
        /// The text file of the tracks.
        file: Utf8PathBuf,
        /// The folder of the video's frames.
        frames: Utf8PathBuf,
    },
    /// A text of boxes by their corners.
    CorneredBoxes {
        /// The text file of the tracks.
        file: Utf8PathBuf,
    },
    /// Pictures whose grey values are objects, and a text of each object's anomalous frames.
    Objects {
        /// The text file of the tracks.
        file: Utf8PathBuf,
        /// The video's name, with which the pictures' names begin.
        name: String,
    },
}

impl RegionSource {
    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        match self {
            Self::Masks(masks) => masks.path(),
            Self::NamedBoxes { file, .. }
            | Self::CorneredBoxes { file }
            | Self::Objects { file, .. } => file,
        }
    }

    /// Reads the regions. Masks are only opened, they are read frame by frame.
    ///
    /// # Errors
    /// [`DataError::Label`] and [`DataError::Io`] for files that can't be used.
    pub fn read(&self) -> Result<Regions, DataError> {
        match self {
            Self::Masks(masks) => Ok(Regions::Masks(masks.clone())),
            Self::NamedBoxes { file, frames } => {
                Ok(Regions::Tracks(sorted(named_boxes(file, frames)?)))
            }
            Self::CorneredBoxes { file } => {
                let boxes = tracks::cornered_boxes(&read_text(file)?)
                    .map_err(|reason| DataError::label(file, reason))?;
                Ok(Regions::Tracks(sorted(boxes)))
            }
            Self::Objects { file, name } => Ok(Regions::Tracks(object_boxes(file, name)?)),
        }
    }
}

fn sorted(mut boxes: Vec<TrackBox>) -> Vec<TrackBox> {
    boxes.sort_by_key(|found| (found.track, found.frame));
    boxes
}

/// Reads boxes whose frames are named by their pictures in `frames`.
pub(crate) fn named_boxes(file: &Utf8Path, frames: &Utf8Path) -> Result<Vec<TrackBox>, DataError> {
    let pictures = msn_video::frame_files(frames)?;
    let mut by_name = BTreeMap::new();
    for (index, picture) in pictures.iter().enumerate() {
        by_name.insert(plain(picture.file_stem().unwrap_or_default()), index);
    }
    tracks::named_boxes(&read_text(file)?, &|stem| {
        by_name.get(&plain(stem)).copied()
    })
    .map_err(|reason| DataError::label(file, reason))
}

/// A frame's name without leading zeros: `007` and `7` are one frame.
fn plain(stem: &str) -> String {
    let trimmed = stem.trim_start_matches('0');
    if trimmed.is_empty() && !stem.is_empty() {
        "0".to_owned()
    } else {
        trimmed.to_owned()
    }
}

/// The spans of the anomalous objects of UBnormal.
pub(crate) fn object_spans(file: &Utf8Path) -> Result<Vec<ObjectSpan>, DataError> {
    tracks::object_spans(&read_text(file)?).map_err(|reason| DataError::label(file, reason))
}

/// Boxes of UBnormal's anomalous objects: in each frame of a track, around the object's pixels.
/// Where an object falls apart, the part with the largest box counts, as in the owners' script.
fn object_boxes(file: &Utf8Path, name: &str) -> Result<Vec<TrackBox>, DataError> {
    let folder = file.parent().unwrap_or(Utf8Path::new("."));
    let mut boxes = Vec::new();
    let spans = object_spans(file)?;
    for (track, span) in (0u64..).zip(&spans) {
        for frame in span.first..=span.last {
            let path = folder.join(format!("{name}_{frame:04}_gt.png"));
            let picture = decode(&path)?.into_luma8();
            let found = largest_part(&picture, span.object).ok_or_else(|| {
                DataError::label(
                    &path,
                    LabelError::NoObject {
                        object: span.object,
                        tracks: file.to_owned(),
                    },
                )
            })?;
            boxes.push(TrackBox {
                track,
                frame,
                ..found
            });
        }
    }
    Ok(boxes)
}

/// The largest box around an 8-connected part of the pixels of a value.
fn largest_part(picture: &image::GrayImage, value: u8) -> Option<TrackBox> {
    let (width, height) = picture.dimensions();
    let mut seen = vec![false; picture.as_raw().len()];
    let at = |x: u32, y: u32| usize::try_from(u64::from(y) * u64::from(width) + u64::from(x));
    let mut best: Option<(u64, TrackBox)> = None;
    for (x, y, pixel) in picture.enumerate_pixels() {
        let start = at(x, y).ok()?;
        if pixel.0 != [value] || seen[start] {
            continue;
        }
        seen[start] = true;
        let (mut left, mut top, mut right, mut bottom) = (x, y, x, y);
        let mut open = vec![(x, y)];
        while let Some((x, y)) = open.pop() {
            left = left.min(x);
            right = right.max(x);
            top = top.min(y);
            bottom = bottom.max(y);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let next = at(nx, ny).ok()?;
                    if !seen[next] && picture.get_pixel(nx, ny).0 == [value] {
                        seen[next] = true;
                        open.push((nx, ny));
                    }
                }
            }
        }
        let area = u64::from(right - left + 1) * u64::from(bottom - top + 1);
        if best.is_none_or(|(largest, _)| area > largest) {
            let corner = |n: u32| i32::try_from(n).ok();
            best = Some((
                area,
                TrackBox {
                    track: 0,
                    frame: 0,
                    x1: corner(left)?,
                    y1: corner(top)?,
                    x2: corner(right)?,
                    y2: corner(bottom)?,
                },
            ));
        }
    }
    best.map(|(_, found)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_part_of_an_object_counts() {
        let rows = [
            [0, 2, 0, 0, 0],
            [0, 0, 2, 0, 1],
            [0, 0, 2, 0, 1],
            [2, 0, 0, 0, 0],
        ];
        let picture = image::GrayImage::from_raw(5, 4, rows.concat()).unwrap();
        let found = largest_part(&picture, 2).unwrap();
        assert_eq!((found.x1, found.y1, found.x2, found.y2), (1, 0, 2, 2));
        assert!(largest_part(&picture, 3).is_none());
    }

    #[test]
    fn frames_are_named_with_or_without_zeros() {
        assert_eq!(plain("007"), plain("7"));
        assert_ne!(plain("000"), plain(""));
    }
}
