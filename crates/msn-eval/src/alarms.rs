//! The alarms of scored videos: when, where in the picture, how high. They need no label.

mod list;
mod pictures;
#[cfg(test)]
mod tests;

use camino::{Utf8Path, Utf8PathBuf};
use msn_events::{Detector, Event, Rules, TimedScore};
use msn_metrics::{
    regions::{MapSize, components},
    stats::quantile,
};
use msn_video::Size;
use serde::{Deserialize, Serialize};

use crate::{Calibration, EvalError, ScoredFrame, WindowMap, regions::enlarged};

pub use self::{
    list::{ALARMS_FORMAT, AlarmList, alarms_csv, clock_text, length_text},
    pictures::{AlarmPicture, alarm_pictures},
};

/// Scores of normal frames lie around 0 with a deviation of about 1: where nine in ten frames of a
/// video lie further away than this on one side, it is hardly what the calibration was made for.
const FOREIGN: f64 = 3.0;
/// Fewer scores say nothing of a camera.
const FEWEST_TO_JUDGE: usize = 50;

/// A rectangle in the source's pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PixelBox {
    /// Leftmost column.
    pub x: u32,
    /// Topmost row.
    pub y: u32,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
}

/// One alarm of a video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// 1 for the first of its video; the column `event` of the video's scores.
    pub event: usize,
    /// First frame, counted from 0.
    pub start_frame: usize,
    /// Frame after the last.
    pub end_frame: usize,
    /// The frame that errs most; the picture and the box are of it.
    pub peak_frame: usize,
    /// Seconds of `start_frame`, where frames have times.
    pub start: Option<f64>,
    /// Seconds at which the last frame ends.
    pub end: Option<f64>,
    /// Seconds of `peak_frame`.
    pub peak: Option<f64>,
    /// Largest smoothed anomaly score, above the threshold.
    pub score: f64,
    /// Where in the picture.
    #[serde(rename = "box")]
    pub place: PixelBox,
}

/// The alarms of one video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoAlarms {
    /// Name of the video.
    pub video: String,
    /// Its file or folder.
    pub source: Utf8PathBuf,
    /// Width and height of the source's pictures, pixels.
    pub size: [u32; 2],
    /// Frames a second that the source was brought to, where it was; frames are counted at this rate.
    pub resampled_hz: Option<f64>,
    /// Frames, scored or not.
    pub frames: usize,
    /// Frames with a score.
    pub scored: usize,
    /// Length in seconds, breaks left out; none without times.
    pub seconds: Option<f64>,
    /// Smoothed anomaly score above which an alarm begins; none without a calibration.
    pub threshold: Option<f64>,
    /// 10th percentile, median and 90th percentile of the anomaly scores; none for few frames.
    pub scores: Option<[f64; 3]>,
    /// Alarms in the order of time.
    pub alarms: Vec<Alarm>,
}

/// How a video's scores lie to those of the footage that the calibration was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Even its calm frames score far above.
    Above,
    /// Nearly all of its frames score far below, so that hardly anything will raise an alarm.
    Below,
}

impl VideoAlarms {
    /// The alarm with the highest score.
    pub fn highest(&self) -> Option<&Alarm> {
        self.alarms
            .iter()
            .max_by(|a, b| a.score.total_cmp(&b.score))
    }

    /// Whether nearly all of its scores lie far from those of the calibration's normal frames, as
    /// those of another camera, another light or a camera that was moved do.
    pub fn foreign(&self) -> Option<Foreign> {
        let [low, _, high] = self.scores?;
        match (low > FOREIGN, high < -FOREIGN) {
            (true, _) => Some(Foreign::Above),
            (_, true) => Some(Foreign::Below),
            _ => None,
        }
    }

    /// [`foreign`](Self::foreign) as a sentence without a full stop, with a way out.
    pub fn foreign_text(&self) -> Option<String> {
        let [low, _, high] = self.scores?;
        let found = match self.foreign()? {
            Foreign::Above => format!(
                "nine in ten of its frames score above {low:.1}, where normal frames of the calibration lie around 0, so \
                 that alarms mean little"
            ),
            Foreign::Below => format!(
                "nine in ten of its frames score below {high:.1}, where normal frames of the calibration lie around 0, so \
                 that hardly anything will raise an alarm"
            ),
        };
        Some(format!(
            "{found}; if it is another camera, a moved one or another light, calibrate for it with normal footage \
             (`msn weights calibrate`)"
        ))
    }

    /// What was found in a sentence without a full stop: `3 alarms in 29 s, the highest at 00:12`.
    pub fn summary(&self) -> String {
        let length = length_text(self.seconds, self.frames);
        if self.threshold.is_none() {
            return format!("{length} scored, without a threshold for alarms");
        }
        let count = match self.alarms.len() {
            0 => return format!("no alarm in {length}"),
            1 => "1 alarm".to_owned(),
            n => format!("{n} alarms"),
        };
        let place = self.highest().map_or_else(String::new, |alarm| {
            let the = if self.alarms.len() == 1 {
                ""
            } else {
                "the highest "
            };
            format!(", {the}at {}", clock_text(alarm.peak, alarm.peak_frame))
        });
        format!("{count} in {length}{place}")
    }
}

/// The highest alarms of some videos first: indices of the video and of its alarm.
pub fn ranked(videos: &[VideoAlarms]) -> Vec<(usize, usize)> {
    let each = videos.iter().enumerate();
    let mut all: Vec<(usize, usize)> = each
        .flat_map(|(v, video)| (0..video.alarms.len()).map(move |a| (v, a)))
        .collect();
    let score = |&(v, a): &(usize, usize)| videos[v].alarms[a].score;
    // Stable, so that of equal ones the earlier stays first.
    all.sort_by(|a, b| score(b).total_cmp(&score(a)));
    all
}

/// A frame and when it is.
#[derive(Clone, Copy, Debug)]
struct Moment {
    frame: usize,
    seconds: Option<f64>,
}

/// What the frames of an event that may go on have shown so far.
#[derive(Debug)]
struct Open {
    start: Moment,
    last: Moment,
    /// Seconds of the frame after `last`, once it has come.
    after: Option<f64>,
    peak: Moment,
    map: WindowMap,
}

/// Finds the alarms of one video while its frames are scored; memory does not grow with its length
/// but for 4 bytes a frame.
#[derive(Debug)]
pub struct AlarmCollector<'a> {
    calibration: Option<&'a Calibration>,
    /// Of the network's frames: height, width.
    frame: [usize; 2],
    rules: Rules,
    detector: Option<Detector>,
    open: Option<Open>,
    before: Option<Moment>,
    /// Sum and number of steps from a frame to the next one.
    steps: (f64, usize),
    scored: usize,
    scores: Vec<f32>,
    /// With boxes in the network's pixels.
    alarms: Vec<Alarm>,
}

/// The video that alarms are of.
#[derive(Clone, Copy, Debug)]
pub struct AlarmSource<'a> {
    /// Its name.
    pub video: &'a str,
    /// Its file or folder.
    pub path: &'a Utf8Path,
    /// Size of its pictures.
    pub size: Size,
    /// Frames a second that it was brought to, where it was.
    pub resampled_hz: Option<f64>,
    /// Its frames, scored or not.
    pub frames: usize,
}

impl<'a> AlarmCollector<'a> {
    /// For a video that the network sees at the size of `frame`. Without a calibration there are no
    /// alarms.
    ///
    /// # Errors
    /// [`EvalError::Events`] for a threshold that is none.
    pub fn new(calibration: Option<&'a Calibration>, frame: Size) -> Result<Self, EvalError> {
        let whole = |side: u32| usize::try_from(side).unwrap_or(usize::MAX);
        let rules = Rules::default();
        let alarm = calibration.and_then(|c| c.alarm);
        let detector = alarm.map(|alarm| Detector::new(rules, alarm.threshold));
        Ok(Self {
            calibration,
            frame: [whole(frame.height), whole(frame.width)],
            rules,
            detector: detector.transpose()?,
            open: None,
            before: None,
            steps: (0.0, 0),
            scored: 0,
            scores: Vec::new(),
            alarms: Vec::new(),
        })
    }

    /// Takes the next scored frame.
    ///
    /// # Errors
    /// [`EvalError::Events`] for a score that is not finite or a frame out of order.
    pub fn push(&mut self, scored: &ScoredFrame) -> Result<(), EvalError> {
        let now = Moment {
            frame: scored.score.frame,
            seconds: scored.score.seconds,
        };
        self.scored += 1;
        let follows = self
            .before
            .filter(|before| before.frame.checked_add(1) == Some(now.frame));
        let step = follows.and_then(|before| Some(now.seconds? - before.seconds?));
        if let Some(step) = step.filter(|step| *step > 0.0) {
            self.steps = (self.steps.0 + step, self.steps.1 + 1);
        }
        self.before = Some(now);
        if let Some(open) = &mut self.open
            && open.last.frame.checked_add(1) == Some(now.frame)
        {
            open.after = now.seconds;
        }
        let Some(calibration) = self.calibration else {
            return Ok(());
        };
        let score = calibration.standardise(scored.score.excess);
        self.scores.push(score as f32);
        let Some(detector) = &mut self.detector else {
            return Ok(());
        };
        let step = detector.push(TimedScore {
            index: now.frame,
            // Events do not depend on it, and a clock may go back at a cut.
            seconds: None,
            score: Some(score),
        })?;
        if let Some(event) = step.ended {
            self.close(&event)?;
        }
        if follows.is_none() {
            // No event reaches over a gap.
            self.open = None;
        }
        if step.active {
            let apart = self.rules.merge_gap.saturating_add(1);
            let goes_on = |open: &Open| now.frame - open.last.frame <= apart;
            self.open = Some(extended(
                self.open.take().filter(goes_on),
                now,
                &scored.thing,
            ));
        }
        Ok(())
    }

    /// All alarms of the video.
    ///
    /// # Errors
    /// [`EvalError::Metrics`] for a map that is not finite.
    pub fn finish(mut self, source: &AlarmSource<'_>) -> Result<VideoAlarms, EvalError> {
        if let Some(event) = self.detector.take().and_then(Detector::finish) {
            self.close(&event)?;
        }
        let (sum, steps) = self.steps;
        let step = (steps > 0).then(|| sum / steps as f64);
        let scores: Vec<f64> = self.scores.iter().map(|&v| f64::from(v)).collect();
        let quantiles = [0.1, 0.5, 0.9].map(|q| quantile(&scores, q));
        let frames = source.frames;
        for alarm in &mut self.alarms {
            alarm.place = scaled(alarm.place, self.frame, source.size);
        }
        Ok(VideoAlarms {
            video: source.video.to_owned(),
            source: source.path.to_owned(),
            size: [source.size.width, source.size.height],
            resampled_hz: source.resampled_hz,
            frames,
            scored: self.scored,
            seconds: step.map(|step| step * frames as f64),
            threshold: self.calibration.and_then(|c| Some(c.alarm?.threshold)),
            scores: match quantiles {
                [Some(low), Some(median), Some(high)] if scores.len() >= FEWEST_TO_JUDGE => {
                    Some([low, median, high])
                }
                _ => None,
            },
            alarms: self.alarms,
        })
    }

    /// Makes an alarm of an event that has ended.
    fn close(&mut self, event: &Event) -> Result<(), EvalError> {
        let (Some(open), Some(calibration)) = (self.open.take(), self.calibration) else {
            debug_assert!(false, "an event without frames");
            return Ok(());
        };
        debug_assert_eq!(
            (open.start.frame, open.last.frame + 1),
            (event.start, event.end)
        );
        let (sum, steps) = self.steps;
        let step = (steps > 0).then(|| sum / steps as f64);
        let last = open.last.seconds;
        let end = open
            .after
            .filter(|after| last.is_some_and(|last| *after > last));
        self.alarms.push(Alarm {
            event: self.alarms.len() + 1,
            start_frame: event.start,
            end_frame: event.end,
            peak_frame: open.peak.frame,
            start: open.start.seconds,
            end: end.or_else(|| Some(last? + step.unwrap_or(0.0))),
            peak: open.peak.seconds,
            score: event.score,
            place: self.place(calibration, &open.map)?,
        });
        Ok(())
    }

    /// The part of a map around its largest value, as a box in the network's pixels.
    fn place(&self, c: &Calibration, map: &WindowMap) -> Result<PixelBox, EvalError> {
        let [height, width] = self.frame;
        let size = MapSize { width, height };
        let map = WindowMap {
            values: map.values.iter().map(|&v| c.standardise(v)).collect(),
            ..*map
        };
        let pixels = enlarged(&map, [c.window, c.window_stride], self.frame, size);
        let peak = pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let peak = f64::from(peak);
        // Halfway down to what normal windows show, so that two things stay two.
        let level = f64::midpoint(c.map_threshold, peak).min(peak - 1e-3);
        let parts = components(&pixels, size, level)?;
        let part = parts.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        // The peak lies above the level, so that there is a part.
        let [x1, y1, x2, y2] = part.map_or([0; 4], |p| [p.x1, p.y1, p.x2, p.y2]);
        let whole = |v: i32| u32::try_from(v).unwrap_or(0);
        Ok(PixelBox {
            x: whole(x1),
            y: whole(y1),
            width: whole(x2 - x1) + 1,
            height: whole(y2 - y1) + 1,
        })
    }
}

/// A box in pixels of a frame (height, width) as one in pixels of a picture.
fn scaled(place: PixelBox, [height, width]: [usize; 2], to: Size) -> PixelBox {
    let along = |from: u32, side: u32, of: usize, to: u32| {
        let scale = f64::from(to) / of.max(1) as f64;
        let first = (f64::from(from) * scale)
            .floor()
            .min(f64::from(to) - 1.0)
            .max(0.0);
        let end = (f64::from(from + side) * scale).ceil().min(f64::from(to));
        // Both lie within the picture.
        (first as u32, (end - first).max(1.0) as u32)
    };
    let (x, columns) = along(place.x, place.width, width, to.width);
    let (y, rows) = along(place.y, place.height, height, to.height);
    PixelBox {
        x,
        y,
        width: columns,
        height: rows,
    }
}

/// An event with one more frame.
fn extended(open: Option<Open>, now: Moment, map: &WindowMap) -> Open {
    let Some(mut open) = open else {
        return Open {
            start: now,
            last: now,
            after: None,
            peak: now,
            map: map.clone(),
        };
    };
    open.last = now;
    open.after = None;
    if map.largest() > open.map.largest() {
        open.peak = now;
        open.map = map.clone();
    }
    open
}
