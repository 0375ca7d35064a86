//! A video of a scored video: its frames with the anomaly score's map as heat, labels, alarms, and the
//! score's curve.

mod canvas;
mod curve;
#[cfg(test)]
mod tests;

use camino::Utf8Path;
use msn_data::LoadedVideo;
use msn_events::Event;
use msn_video::{Color, Picture, Resizer, Size};

use self::{canvas::Canvas, curve::Curve};
use crate::{
    Calibration, EvalError, ScoredFrame, VideoScores, WindowMap, regions::enlarged,
    score::alarm::detected,
};

/// Narrower sources are enlarged to at least this, pixels.
const NARROWEST: u32 = 480;
/// Wider or taller ones are made smaller.
const LARGEST: u32 = 1280;
/// Height of the line of text above the frame.
const HEAD: u32 = 24;
/// Height of the curve below it.
const FOOT: u32 = 96;
/// Width of the border around a frame in an alarm.
const BORDER: u32 = 4;
/// Share of the heat's colour where it is full.
const STRONGEST: f64 = 0.65;

const INK: [u8; 3] = [229, 233, 237];
const SOFT: [u8; 3] = [156, 168, 180];
const PAPER: [u8; 3] = [18, 22, 27];
const LABEL: [u8; 3] = [240, 150, 111];
const ALARM: [u8; 3] = [230, 50, 50];

/// The anomaly score's maps of a video's frames, kept small until the whole video has been scored.
#[derive(Clone, Debug)]
pub struct HeatMaps {
    calibration: Calibration,
    /// Of the network's frames: height, width.
    frame: [usize; 2],
    /// Frame and window values from 0 (no heat) to 255 (full).
    maps: Vec<(usize, Vec<u8>)>,
    /// Rows and columns of windows.
    windows: [usize; 2],
}

impl HeatMaps {
    /// For the frames of a video at the network's size.
    pub fn new(loaded: &LoadedVideo, calibration: &Calibration) -> Self {
        let whole = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        Self {
            calibration: calibration.clone(),
            frame: [whole(loaded.size.height), whole(loaded.size.width)],
            maps: Vec::new(),
            windows: [0, 0],
        }
    }

    /// Standardised scores at which heat begins and is full: what 0.5 % of normal windows exceed,
    /// and what raises the alarm.
    pub fn scale(&self) -> [f64; 2] {
        let low = self.calibration.map_threshold;
        let alarm = self.calibration.alarm.map(|a| a.threshold);
        [low, alarm.unwrap_or(low + 5.0).max(low + 1.0)]
    }

    /// Takes a frame's map; frames come in order.
    pub fn push(&mut self, scored: &ScoredFrame) {
        let map = scored.fair_map(&self.calibration);
        let [low, high] = self.scale();
        let heat = |v: &f64| ((v - low) / (high - low) * 255.0).clamp(0.0, 255.0).round() as u8;
        self.windows = [map.height, map.width];
        let values = map.values.iter().map(heat).collect();
        self.maps.push((scored.score.frame, values));
    }

    /// Heat from 0 to 1 of each pixel of a picture; `None` for a frame without a score.
    fn of(&self, frame: usize, size: Size) -> Option<Vec<f32>> {
        let at = self.maps.binary_search_by_key(&frame, |(f, _)| *f).ok()?;
        let [height, width] = self.windows;
        let map = WindowMap {
            height,
            width,
            values: self.maps[at]
                .1
                .iter()
                .map(|&v| f64::from(v) / 255.0)
                .collect(),
        };
        let whole = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let size = msn_metrics::regions::MapSize {
            width: whole(size.width),
            height: whole(size.height),
        };
        let c = &self.calibration;
        Some(enlarged(
            &map,
            [c.window, c.window_stride],
            self.frame,
            size,
        ))
    }
}

/// Draws the frames of one scored video.
#[derive(Debug)]
pub struct Overlay<'a> {
    video: &'a VideoScores,
    heat: &'a HeatMaps,
    events: Vec<Event>,
    /// Of the frame alone.
    frame: Size,
    resizer: Resizer,
    curve: Curve,
}

impl<'a> Overlay<'a> {
    /// For a video whose source has pictures of `source` pixels. The alarms are those of the
    /// calibration that `heat` was made with.
    ///
    /// # Errors
    /// [`EvalError::Events`] where scores and times do not fit together.
    pub fn new(
        video: &'a VideoScores,
        heat: &'a HeatMaps,
        source: Size,
    ) -> Result<Self, EvalError> {
        let alarm = heat.calibration.alarm;
        let events = match alarm {
            Some(alarm) => detected(video, alarm.threshold)?.1,
            None => Vec::new(),
        };
        let frame = frame_size(source);
        let curve = Curve::new(
            video,
            &events,
            alarm.map(|a| a.threshold),
            Size::new(frame.width, FOOT),
        );
        Ok(Self {
            video,
            heat,
            events,
            frame,
            resizer: Resizer::new(frame, Color::Rgb),
            curve,
        })
    }

    /// Size of the pictures.
    pub fn size(&self) -> Size {
        Size::new(self.frame.width, HEAD + self.frame.height + FOOT)
    }

    /// Frame `index` of the video, whose pixels are `picture` (any size; `None` where they are
    /// lost).
    ///
    /// # Errors
    /// [`EvalError::Video`] for a picture that is none.
    pub fn draw(&mut self, index: usize, picture: Option<&Picture>) -> Result<Picture, EvalError> {
        let mut canvas = Canvas::new(self.size(), PAPER);
        let [x, y] = [0, HEAD];
        if let Some(picture) = picture {
            let picture = self.resizer.resize(picture)?;
            canvas.put([x, y], &picture);
        } else {
            canvas.text([12, y + 24], "this frame is lost", SOFT);
        }
        if let Some(heat) = self.heat.of(index, self.frame) {
            for (i, &share) in heat.iter().enumerate() {
                let share = f64::from(share);
                if share > 0.0 {
                    canvas.mix(
                        [x, y],
                        self.frame.width,
                        i,
                        glow(share),
                        STRONGEST * share.sqrt(),
                    );
                }
            }
        }
        let raised = |e: &Event| (e.alarm..e.end).contains(&index);
        let alarm = self.events.iter().any(raised);
        if alarm {
            canvas.border([x, y], self.frame, BORDER, ALARM);
        }
        self.head(&mut canvas, index, alarm);
        self.curve
            .draw(&mut canvas, HEAD + self.frame.height, index);
        Ok(canvas.into_picture())
    }

    /// Name, frame, time and score; what it is labelled, whether an alarm is on.
    fn head(&self, canvas: &mut Canvas, index: usize, alarm: bool) {
        let video = self.video;
        let at = video.scores.binary_search_by_key(&index, |s| s.frame).ok();
        let score = at.and_then(|i| Some(video.fair.as_ref()?[i]));
        let seconds = at.and_then(|i| video.scores[i].seconds);
        let mut text = format!("{}  frame {index}", ascii(&video.name));
        if let Some(seconds) = seconds {
            text += &format!("  {seconds:.1} s");
        }
        match score {
            Some(score) => text += &format!("  anomaly score {score:.2}"),
            None => text += "  no score",
        }
        let mut right = self.frame.width - 8;
        if alarm {
            right = canvas.chip(right, "ALARM", ALARM);
        }
        let labelled = video
            .labels
            .as_ref()
            .filter(|l| l.anomalous.get(index) == Some(&true));
        if let Some(labels) = labelled {
            let within = |s: &&msn_data::FrameSpan| (s.start..s.end).contains(&index);
            let kinds = labels.spans.iter().filter(within);
            let kinds: Vec<String> = kinds
                .filter_map(|s| Some(ascii(s.kind.as_ref()?)))
                .collect();
            let what = match kinds.is_empty() {
                true => "labelled".to_owned(),
                false => format!("labelled: {}", kinds.join(", ")),
            };
            right = canvas.chip(right, &what, LABEL);
        }
        canvas.text_until([8, 17], right.saturating_sub(8), &text, INK);
    }
}

/// The font has no other letters.
fn ascii(text: &str) -> String {
    let known = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().map(known).collect()
}

/// From yellow to red.
fn glow(share: f64) -> [u8; 3] {
    let green = (220.0 - 180.0 * share.clamp(0.0, 1.0)) as u8;
    [255, green, 20]
}

/// The source's shape with even sides, neither tiny nor huge.
fn frame_size(source: Size) -> Size {
    let long = source.width.max(source.height).max(1);
    let mut scale = f64::from(NARROWEST.div_ceil(source.width.max(1)));
    if f64::from(long) * scale > f64::from(LARGEST) {
        scale = f64::from(LARGEST) / f64::from(long);
    }
    let even = |side: u32| ((f64::from(side) * scale / 2.0).round() as u32).max(16) * 2;
    Size::new(even(source.width).max(320), even(source.height))
}

/// Writes a scored video as a video file (.mp4), one picture a frame, at the video's rate rounded
/// to whole frames a second; at 25 where it is not known. The source is read again.
///
/// # Errors
/// [`EvalError::Video`] where the source can't be read or the file can't be written;
/// [`EvalError::WithoutFfmpeg`] in a build without FFmpeg.
pub fn write_overlay(
    path: &Utf8Path,
    video: &VideoScores,
    loaded: &LoadedVideo,
    heat: &HeatMaps,
) -> Result<(), EvalError> {
    let mut overlay = Overlay::new(video, heat, loaded.source_size)?;
    write(path, &mut overlay, loaded)
}

#[cfg(not(feature = "ffmpeg"))]
fn write(path: &Utf8Path, _: &mut Overlay<'_>, _: &LoadedVideo) -> Result<(), EvalError> {
    Err(EvalError::WithoutFfmpeg {
        path: path.to_owned(),
    })
}

#[cfg(feature = "ffmpeg")]
fn write(
    path: &Utf8Path,
    overlay: &mut Overlay<'_>,
    loaded: &LoadedVideo,
) -> Result<(), EvalError> {
    use msn_video::{Item, Options, VideoWriter, open_ahead};

    /// Frames that wait decoded.
    const READ_AHEAD: usize = 4;

    if let Some(folder) = path.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| EvalError::Write {
            path: folder.to_owned(),
            source,
        })?;
    }
    let options = Options {
        size: None,
        color: Color::Rgb,
        threads: 0,
        stretch: loaded.stretch,
        ..Options::default()
    };
    let rate = loaded.resampled.as_ref().and(loaded.rate_hz);
    let mut writer = VideoWriter::create(path, overlay.size(), whole_rate(loaded.rate_hz))?;
    let mut next = 0;
    for item in open_ahead(&loaded.source, &options, rate, READ_AHEAD)? {
        let (index, picture) = match item? {
            Item::Frame(frame) => (frame.index, Some(frame.picture)),
            Item::Lost(lost) => (lost.index, None),
        };
        while next < index {
            writer.write(&overlay.draw(next, None)?)?;
            next += 1;
        }
        writer.write(&overlay.draw(index, picture.as_ref())?)?;
        next = index + 1;
    }
    Ok(writer.finish()?)
}

/// Frames a second as a whole number.
#[cfg(feature = "ffmpeg")]
fn whole_rate(rate_hz: Option<f64>) -> u32 {
    let whole = |hz: f64| hz.round().clamp(1.0, 240.0) as u32;
    rate_hz.map_or(25, whole)
}

/// Columns of a picture `width` wide that a frame of `frames` takes: from, and to where it ends.
fn column(frame: usize, frames: usize, width: u32) -> u32 {
    let share = frame as f64 / frames.max(1) as f64;
    let x = (share * f64::from(width)) as u32;
    x.min(width.saturating_sub(1))
}
