/// What can be wrong with scores, times, rules or budgets given to this crate.
///
/// Every message is one sentence that names the place and a way out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// A score is NaN or infinite.
    #[error(
        "{}the score of frame {frame} is {value}; leave the frame out (it is unknown then) or \
         give it a finite score",
        video_prefix(video)
    )]
    NotFinite {
        /// Name of the video; empty for a live source.
        video: String,
        /// The frame, counted from 0.
        frame: usize,
        /// The value found.
        value: f64,
    },
    /// Frames do not rise.
    #[error(
        "{}frame {frame} comes after frame {before}; give each frame once and in order",
        video_prefix(video)
    )]
    Order {
        /// Name of the video; empty for a live source.
        video: String,
        /// The frame that came too late.
        frame: usize,
        /// The one before it.
        before: usize,
    },
    /// Two runs have no unknown frame between them.
    #[error(
        "video {video}: the run that begins at frame {frame} adjoins the one before it; make \
         one run of the two"
    )]
    Adjoining {
        /// Name of the video.
        video: String,
        /// First frame of the later run.
        frame: usize,
    },
    /// A time is not finite or lies before an earlier one.
    #[error(
        "{}frame {frame} has the time {seconds} s, which is no time after those before it; \
         mend the times or leave them out",
        video_prefix(video)
    )]
    Time {
        /// Name of the video; empty for a live source.
        video: String,
        /// The frame.
        frame: usize,
        /// Its time.
        seconds: f64,
    },
    /// Times are given, but not for every frame.
    #[error(
        "video {video}: there are times for {times} frames but frame {frame} is scored; \
         give a time for every frame of the video"
    )]
    MissingTime {
        /// Name of the video.
        video: String,
        /// Number of times.
        times: usize,
        /// The scored frame without one.
        frame: usize,
    },
    /// A frame rate is not positive and finite.
    #[error("video {video}: {hz} frames a second is no rate; give a positive number or none")]
    Rate {
        /// Name of the video.
        video: String,
        /// The rate.
        hz: f64,
    },
    /// Scores and frames, or scores and times, differ in number.
    #[error("video {video}: {scores} scores for {frames} frames; give one score for each frame")]
    LengthMismatch {
        /// Name of the video.
        video: String,
        /// Number of frames.
        frames: usize,
        /// Number of scores.
        scores: usize,
    },
    /// Two videos have one name.
    #[error("video {video} is given twice; give every video a name of its own")]
    DuplicateVideo {
        /// The name in question.
        video: String,
    },
    /// A rule for events is out of its range.
    #[error("{rule} is {value}; {range}")]
    Rule {
        /// Name of the rule.
        rule: &'static str,
        /// The value given.
        value: f64,
        /// What it must be.
        range: &'static str,
    },
    /// A threshold is not finite.
    #[error("the threshold is {value}; give a finite score")]
    Threshold {
        /// The value given.
        value: f64,
    },
    /// A budget of false alarms is not positive.
    #[error("a budget of {value} false alarms is none; give a positive number")]
    Budget {
        /// The value given.
        value: f64,
    },
    /// A budget per hour, and a video without times.
    #[error(
        "video {video} has no frame rate, so a budget per hour has no meaning; give the rate \
         or a budget per thousand frames"
    )]
    NoRate {
        /// Name of the video.
        video: String,
    },
    /// No calibration frame has a score.
    #[error("no calibration frame has a score; give normal videos that are longer than one clip")]
    NoFrames,
    /// A labelled span is empty or turned round.
    #[error("video {video}: the span from frame {start} to {end} is empty; ends are exclusive")]
    EmptySpan {
        /// Name of the video.
        video: String,
        /// First frame.
        start: usize,
        /// Frame after the last.
        end: usize,
    },
    /// An exposure is not positive and finite.
    #[error("an exposure of {value} is none; give a positive number of hours or frames")]
    Exposure {
        /// The value given.
        value: f64,
    },
}

fn video_prefix(video: &str) -> String {
    if video.is_empty() {
        String::new()
    } else {
        format!("video {video}: ")
    }
}
