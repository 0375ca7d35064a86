//! What can go wrong between weights and metrics.

use camino::Utf8PathBuf;

/// Scores that can't be computed, compared or written.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A score is not finite.
    #[error(
        "{video}, frame {frame}: the {score} score is {value}: the weights are damaged or the training diverged"
    )]
    NotFinite {
        /// Name of the video.
        video: String,
        /// The frame, 0-based.
        frame: usize,
        /// Name of the score, as in the table of scores.
        score: &'static str,
        /// The value that is not finite.
        value: f64,
    },
    /// Nothing to calibrate on.
    #[error(
        "no frame of the calibration split can be scored, so the anomaly score can't be calibrated: give more or longer normal videos"
    )]
    NothingToCalibrate,
    /// All frames of the calibration split score alike.
    #[error(
        "the frames of the calibration split all have the same error (MAD {mad:e}), so scores can't be standardised: give normal videos in which something moves"
    )]
    NoSpread {
        /// Median absolute deviation of the frames' scores, below 1e-9.
        mad: f64,
    },
    /// No moving object can be cut out of normal footage.
    #[error(
        "no object moves through the training videos for ten frames, so none can be inserted elsewhere: give footage with separate moving objects"
    )]
    NothingMoves,
    /// No test video is long enough.
    #[error(
        "no test video has the {needed} unbroken frames that one score needs: give longer videos, or weights of fewer frames or a smaller stride"
    )]
    NothingScored {
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// A network without pools has no memory to survey.
    #[error(
        "the network has no pools, so there is no memory to survey: give weights that were trained with pools=1,2,3"
    )]
    NoPools,
    /// No normal video is long enough for a survey of the memory.
    #[error("no training video has the {needed} unbroken frames of a clip: give longer videos")]
    NothingToSurvey {
        /// Frames of a clip with its target.
        needed: usize,
    },
    /// A picture that can't be made.
    #[error("a picture can't be made: {0}")]
    Picture(#[from] image::ImageError),
    /// A video file can't be written without FFmpeg.
    #[error(
        "can't write {path}: this build is without FFmpeg, which video files need: build with the feature `ffmpeg`"
    )]
    WithoutFfmpeg {
        /// Path of the video file.
        path: Utf8PathBuf,
    },
    /// The local FFmpeg has no encoder for a video that browsers play.
    #[error(
        "the local FFmpeg has no encoder for H.264 and none for VP9, which browsers play: install one with libx264 or libvpx"
    )]
    NoEncoder,
    /// Labels that do not fit, or a damaged data set.
    #[error(transparent)]
    Data(#[from] msn_data::DataError),
    /// A video that can't be read.
    #[error(transparent)]
    Video(#[from] msn_video::VideoError),
    /// Frames that do not fit the network.
    #[error(transparent)]
    Predict(#[from] msn_model::PredictError),
    /// Scores, times or labels that make no events.
    #[error(transparent)]
    Events(#[from] msn_events::EventsError),
    /// A calibration that can't be read, written or used.
    #[error(transparent)]
    Calibration(#[from] crate::CalibrationError),
    /// Scores or labels that metrics are not defined for.
    #[error(transparent)]
    Metrics(#[from] msn_metrics::MetricsError),
    /// The system can't write.
    #[error("can't write {path}: {source}")]
    Write {
        /// Path of the file, or what was being written.
        path: Utf8PathBuf,
        /// What the system says of it.
        source: std::io::Error,
    },
}
