//! `alarms.csv` and `alarms.json`, and how times read.

use serde::{Deserialize, Serialize};

use super::{Alarm, VideoAlarms};
use crate::{AlarmThreshold, Calibration};

/// Version of the [`AlarmList`] that this crate writes.
pub const ALARMS_FORMAT: &str = "msn-alarms-1";

/// `alarms.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlarmList {
    /// [`ALARMS_FORMAT`].
    pub format: String,
    /// Where alarms begin, and the budget of false alarms that it was calibrated for; null without a
    /// calibration.
    pub threshold: Option<AlarmThreshold>,
    /// Videos in the order in which they were scored, those without an alarm included.
    pub videos: Vec<VideoAlarms>,
}

impl AlarmList {
    /// Of videos that were scored with this calibration.
    pub fn new(videos: &[VideoAlarms], calibration: Option<&Calibration>) -> Self {
        Self {
            format: ALARMS_FORMAT.to_owned(),
            threshold: calibration.and_then(|c| c.alarm),
            videos: videos.to_vec(),
        }
    }
}

/// `alarms.csv`: a row an alarm, in the order of videos and of time. Seconds are empty where frames
/// have no times; the box is in the source's pixels.
pub fn alarms_csv(videos: &[VideoAlarms]) -> String {
    const HEADER: [&str; 14] = [
        "video",
        "event",
        "start",
        "end",
        "peak",
        "start_frame",
        "end_frame",
        "peak_frame",
        "score",
        "threshold",
        "x",
        "y",
        "width",
        "height",
    ];
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut written = csv.write_record(HEADER);
    for video in videos {
        for alarm in &video.alarms {
            written = written.and_then(|()| csv.write_record(cells(video, alarm)));
        }
    }
    debug_assert!(written.is_ok(), "memory takes everything");
    let bytes = csv.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

fn cells(video: &VideoAlarms, alarm: &Alarm) -> [String; 14] {
    let seconds = |t: Option<f64>| t.map(|t| format!("{t:.3}")).unwrap_or_default();
    let place = alarm.place;
    [
        video.video.clone(),
        alarm.event.to_string(),
        seconds(alarm.start),
        seconds(alarm.end),
        seconds(alarm.peak),
        alarm.start_frame.to_string(),
        alarm.end_frame.to_string(),
        alarm.peak_frame.to_string(),
        alarm.score.to_string(),
        video.threshold.map(|t| t.to_string()).unwrap_or_default(),
        place.x.to_string(),
        place.y.to_string(),
        place.width.to_string(),
        place.height.to_string(),
    ]
}

/// When something is: `00:12`, from an hour on `1:00:12`; `frame 120` without times.
pub fn clock_text(seconds: Option<f64>, frame: usize) -> String {
    let Some(seconds) = seconds else {
        return format!("frame {frame}");
    };
    let sign = if seconds <= -1.0 { "-" } else { "" };
    // Whole seconds of a finite time; the cast saturates.
    let whole = seconds.abs().floor() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, m, s) => format!("{sign}{m:02}:{s:02}"),
        (h, m, s) => format!("{sign}{h}:{m:02}:{s:02}"),
    }
}

/// How long something is: `29 s`, `4 min 05 s`, `1 h 01 min`; `290 frames` without times.
pub fn length_text(seconds: Option<f64>, frames: usize) -> String {
    let Some(seconds) = seconds.filter(|s| s.is_finite() && *s >= 0.0) else {
        return match frames {
            1 => "1 frame".to_owned(),
            n => format!("{n} frames"),
        };
    };
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
