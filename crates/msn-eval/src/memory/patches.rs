//! The places that are most like an item, and their pictures.

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use msn_data::LoadedVideo;
use msn_model::receptive_area;

use super::side;
use crate::EvalError;

/// Pixels between two patches.
const GAP: usize = 2;
/// Beyond the frame's edge.
const OUTSIDE: u8 = 128;

/// For each position and item the most similar query of all clips.
pub(super) struct Best {
    width: usize,
    items: usize,
    /// [height, width, M]: cosine and clip.
    found: Vec<(f32, u32)>,
}

/// A query that is like an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub cosine: f32,
    pub clip: usize,
    pub row: usize,
    pub column: usize,
}

impl Best {
    pub fn new([height, width]: [usize; 2], items: usize) -> Self {
        Self {
            width,
            items,
            found: vec![(f32::NEG_INFINITY, 0); height * width * items],
        }
    }

    /// Takes the cosines [height, width, M] of a clip; of equals the first stays.
    pub fn take(&mut self, clip: usize, cosines: &[f32]) {
        let clip = u32::try_from(clip).unwrap_or(u32::MAX);
        for (found, &cosine) in self.found.iter_mut().zip(cosines) {
            if cosine > found.0 {
                *found = (cosine, clip);
            }
        }
    }

    /// The most similar places of an item, at most `most`, no two of them nearer than `apart`
    /// positions in both directions.
    pub fn of(&self, item: usize, most: usize, apart: usize) -> Vec<Place> {
        let mut chosen: Vec<Place> = Vec::new();
        while chosen.len() < most {
            let far = |p: &Place| {
                let near = |c: &Place| {
                    c.row.abs_diff(p.row) < apart && c.column.abs_diff(p.column) < apart
                };
                !chosen.iter().any(near)
            };
            let next = self.places(item).filter(far).reduce(|best, place| {
                if place.cosine > best.cosine {
                    place
                } else {
                    best
                }
            });
            match next {
                Some(place) => chosen.push(place),
                None => break,
            }
        }
        chosen
    }

    fn places(&self, item: usize) -> impl Iterator<Item = Place> {
        let own = self.found.iter().skip(item).step_by(self.items);
        own.enumerate()
            .filter(|(_, (cosine, _))| cosine.is_finite())
            .map(|(position, &(cosine, clip))| Place {
                cosine,
                clip: usize::try_from(clip).unwrap_or(usize::MAX),
                row: position / self.width,
                column: position % self.width,
            })
    }
}

/// What the queries at these places of a pool can depend on, in the newest past frame, side by
/// side as PNG.
pub(super) fn picture(
    pool: usize,
    found: &[Place],
    videos: &[LoadedVideo],
    frames: &[(usize, usize)],
) -> Result<Vec<u8>, EvalError> {
    let area = receptive_area(pool, 0);
    let square = usize::try_from(area.end - area.start).unwrap_or(0);
    let Some(first) = found.first() else {
        return Ok(Vec::new());
    };
    let channels = videos[frames[first.clip].0].color.channels();
    let width = found.len() * (square + GAP) - GAP;
    let mut pixels = vec![255; width * square * channels];
    for (i, place) in found.iter().enumerate() {
        let (video, frame) = frames[place.clip];
        let video = &videos[video];
        let [height, wide] = side(video);
        let from = video.frame(frame)?;
        let (rows, columns) = (
            receptive_area(pool, place.row),
            receptive_area(pool, place.column),
        );
        for (y, row) in rows.enumerate() {
            for (x, column) in columns.clone().enumerate() {
                let inside = |at: i64, size| usize::try_from(at).ok().filter(|&at| at < size);
                let source = inside(row, height).zip(inside(column, wide));
                let to = (y * width + i * (square + GAP) + x) * channels;
                for c in 0..channels {
                    pixels[to + c] =
                        source.map_or(OUTSIDE, |(y, x)| from[(y * wide + x) * channels + c]);
                }
            }
        }
    }
    png(&pixels, width, square, channels)
}

/// Grey or RGB pixels as PNG.
pub(crate) fn png(
    pixels: &[u8],
    width: usize,
    height: usize,
    channels: usize,
) -> Result<Vec<u8>, EvalError> {
    let [width, height] = [width, height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
    let color = match channels {
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::L8,
    };
    let mut png = Vec::new();
    PngEncoder::new(&mut png).write_image(pixels, width, height, color)?;
    Ok(png)
}
