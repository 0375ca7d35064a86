use std::path::PathBuf;

/// What can be wrong with scores, labels, boxes or files given to this crate.
///
/// Every message is one sentence that names the place and a way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A score is NaN or infinite. `frame` counts the scored frames of the video from 0.
    #[error(
        "video {video}: the score of scored frame {frame} (counted from 0) is {value}; \
         leave the frame out or give it a finite score"
    )]
    NotFinite {
        /// Name of the video.
        video: String,
        /// Place among the video's scored frames, counted from 0.
        frame: usize,
        /// The value found.
        value: f64,
    },
    /// A video has not as many labels as scores.
    #[error(
        "video {video}: {labels} labels for {scores} scores; \
         give the labels of the scored frames alone, one for each score"
    )]
    LengthMismatch {
        /// Name of the video.
        video: String,
        /// Number of labels.
        labels: usize,
        /// Number of scores.
        scores: usize,
    },
    /// Two videos have one name.
    #[error("video {video} is given twice; give every video a name of its own")]
    DuplicateVideo {
        /// The name in question.
        video: String,
    },
    /// A bootstrap without resamples.
    #[error("a bootstrap interval needs at least one resample; 2000 is usual")]
    NoResamples,
    /// The width of a Gaussian is negative, NaN or infinite.
    #[error("sigma {sigma} is no width of a Gaussian; give a finite number of frames, 0 or more")]
    Sigma {
        /// The value given.
        sigma: f64,
    },
    /// A treatment of prior scores changed their number.
    #[error(
        "video {video}: smoothing or normalisation turned {before} scores into {after}; \
         it must keep one score for each frame"
    )]
    Treatment {
        /// Name of the video.
        video: String,
        /// Scores before the treatment.
        before: usize,
        /// Scores after it.
        after: usize,
    },
    /// A score belongs to a frame that the labels do not reach.
    #[error(
        "video {video}: frame {frame} has a score but there are labels for {labels} frames \
         (0 to one less); check that frames are counted from 0 and that the labels fit the video"
    )]
    FrameWithoutLabel {
        /// Name of the video.
        video: String,
        /// The frame, counted from 0.
        frame: usize,
        /// Number of labels.
        labels: usize,
    },
    /// A file could not be read.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A table of scores is not what it should be.
    #[error("{}: {what}", place(path, *line))]
    Table {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where one line is to blame.
        line: Option<u64>,
        /// What is wrong and what to do.
        what: String,
    },
    /// A fixture is no JSON of one of the two known forms.
    #[error("{}: {source}", path.display())]
    Fixture {
        /// The file.
        path: PathBuf,
        /// What is wrong and what was expected.
        source: FixtureError,
    },
    /// A box has a corner on the wrong side of the other.
    #[error(
        "video {video}: the box ({x1}, {y1}) to ({x2}, {y2}) of frame {frame} is turned inside \
         out; corners are inclusive pixels with x1 <= x2 and y1 <= y2"
    )]
    Corners {
        /// Name of the video.
        video: String,
        /// The frame.
        frame: usize,
        /// Left.
        x1: i32,
        /// Top.
        y1: i32,
        /// Right.
        x2: i32,
        /// Bottom.
        y2: i32,
    },
    /// A detection's score is NaN or infinite.
    #[error(
        "video {video}: a detection of frame {frame} has the score {value}; \
         leave it out or give it a finite score"
    )]
    DetectionNotFinite {
        /// Name of the video.
        video: String,
        /// The frame.
        frame: usize,
        /// The value found.
        value: f64,
    },
    /// Boxes lie in more frames than the video is said to have.
    #[error(
        "video {video}: boxes lie in {found} different frames but the video is said to have \
         {frames}; give the number of frames that were scored"
    )]
    TooFewFrames {
        /// Name of the video.
        video: String,
        /// Frames the video is said to have.
        frames: usize,
        /// Different frames named by boxes.
        found: usize,
    },
    /// A track without a single box.
    #[error("video {video}: track {track} has no box; leave it out")]
    EmptyTrack {
        /// Name of the video.
        video: String,
        /// Place of the track in the video's list, counted from 0.
        track: usize,
    },
    /// A map or mask has not as many values as its size says.
    #[error("a map of {width} x {height} pixels has {values} values; it needs width times height")]
    MapSize {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Number of values given.
        values: usize,
    },
    /// A score map holds NaN or an infinite value, or its threshold is NaN.
    #[error("the score map is {value} at x {x}, y {y}; give it a finite score there")]
    MapNotFinite {
        /// Column of the pixel.
        x: usize,
        /// Row of the pixel.
        y: usize,
        /// The value found.
        value: f64,
    },
    /// A threshold is NaN.
    #[error("the threshold is not a number; give the score above which a pixel is anomalous")]
    Threshold,
}

/// What can be wrong with the content of a fixture.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// It is no JSON, or of another form.
    #[error("{0}; see msn_metrics::fixture for the two forms")]
    Json(#[from] serde_json::Error),
    /// It is neither of the two forms.
    #[error("has neither `videos` nor `frames`, `tracks` and `detections`")]
    Form,
    /// A label is neither 0 nor 1.
    #[error("video {video}: the label of frame {frame} is {label}; labels are 0 or 1")]
    Label {
        /// Name of the video.
        video: String,
        /// The frame, counted from 0.
        frame: usize,
        /// The value found.
        label: u8,
    },
    /// A score is a word that stands for no number.
    #[error("the score {word:?} is no number")]
    Score {
        /// The word.
        word: String,
    },
}

fn place(path: &std::path::Path, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("{}, line {line}", path.display()),
        None => path.display().to_string(),
    }
}
