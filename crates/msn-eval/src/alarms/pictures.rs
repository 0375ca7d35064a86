//! A colour picture of each alarm's peak, read from the source again.

use std::collections::BTreeMap;

use image::{ExtendedColorType, ImageEncoder as _, codecs::jpeg::JpegEncoder};
use msn_video::{Color, Item, Options, Picture, Resizer, Size, VideoError, open_ahead};

use super::{VideoAlarms, ranked};
use crate::EvalError;

/// Widest and tallest picture, pixels.
const LARGEST: u32 = 640;
/// Of 100.
const QUALITY: u8 = 82;
/// Frames that wait decoded.
const READ_AHEAD: usize = 4;

/// The frame of an alarm's peak in colour, in its source's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmPicture {
    /// Index of the video among those that were given.
    pub video: usize,
    /// Index of the alarm in its video.
    pub alarm: usize,
    /// JPEG.
    pub jpeg: Vec<u8>,
}

/// Pictures of the `most` highest alarms, the highest first. Their sources are read again up to the
/// last peak of each; what can't be read any more has no picture, and `failed` hears why.
///
/// # Errors
/// [`EvalError::Picture`] for a picture that can't be encoded.
pub fn alarm_pictures(
    videos: &[VideoAlarms],
    most: usize,
    failed: &mut dyn FnMut(&VideoAlarms, &VideoError),
) -> Result<Vec<AlarmPicture>, EvalError> {
    let chosen: Vec<(usize, usize)> = ranked(videos).into_iter().take(most).collect();
    let mut found = BTreeMap::new();
    for (v, video) in videos.iter().enumerate() {
        let alarms = chosen.iter().filter(|(of, _)| *of == v);
        let frames: Vec<usize> = alarms.map(|&(_, a)| video.alarms[a].peak_frame).collect();
        match frames_of(video, &frames) {
            Ok(pictures) => {
                found.extend(pictures.into_iter().map(|(frame, p)| ((v, frame), p)));
            }
            Err(error) => failed(video, &error),
        }
    }
    let mut all = Vec::new();
    for (video, alarm) in chosen {
        let frame = videos[video].alarms[alarm].peak_frame;
        if let Some(picture) = found.get(&(video, frame)) {
            let jpeg = jpeg(picture)?;
            all.push(AlarmPicture { video, alarm, jpeg });
        }
    }
    Ok(all)
}

/// Some frames of a video by their index, no larger than needed.
fn frames_of(
    video: &VideoAlarms,
    frames: &[usize],
) -> Result<BTreeMap<usize, Picture>, VideoError> {
    let mut found = BTreeMap::new();
    let Some(&last) = frames.iter().max() else {
        return Ok(found);
    };
    let options = Options {
        size: None,
        color: Color::Rgb,
        threads: 1,
        ..Options::default()
    };
    let mut resizer = Resizer::new(shown_size(video.size), Color::Rgb);
    for item in open_ahead(&video.source, &options, video.resampled_hz, READ_AHEAD)? {
        let index = match item? {
            Item::Frame(frame) => {
                if frames.contains(&frame.index) {
                    found.insert(frame.index, resizer.resize(&frame.picture)?);
                }
                frame.index
            }
            Item::Lost(lost) => lost.index,
        };
        if index >= last {
            break;
        }
    }
    Ok(found)
}

/// The source's shape within [`LARGEST`] pixels; small sources stay as they are.
fn shown_size([width, height]: [u32; 2]) -> Size {
    let scale = (f64::from(LARGEST) / f64::from(width.max(height).max(1))).min(1.0);
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    Size::new(side(width), side(height))
}

fn jpeg(picture: &Picture) -> Result<Vec<u8>, EvalError> {
    let mut jpeg = Vec::new();
    let Size { width, height } = picture.size;
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
    encoder.write_image(&picture.pixels, width, height, ExtendedColorType::Rgb8)?;
    Ok(jpeg)
}
