//! Scoring with MSN-net: from frames to scores, calibration, both protocols and reports.
//!
//! A [`Scorer`] turns frames into [`FrameScore`]s through any [`msn_model::Predictor`], one stream
//! per video with flat memory. [`evaluate`] makes the metrics of both protocols of scored, labelled
//! videos:
//!
//! * `legacy`, what papers print: `lambda norm(-psnr) + (1 - lambda) mean norm(distance)`, min-max
//!   normalised over each test video;
//! * `fair`, what a product can do: in a causal tube of windows the one whose error lies furthest
//!   above the baseline of its texture and position, standardised by normal frames. It is the
//!   anomaly score, and a [`Calibration`] is what it is standardised by.
//!
//! [`self_test`] inserts synthetic anomalies into normal footage and says which are detected: a
//! criterion for settings that needs no test label.

mod alarms;
mod error;
mod evaluation;
mod memory;
mod overlay;
mod protocol;
mod regions;
mod report;
mod score;
mod selftest;
mod video_scores;

pub use alarms::{
    ALARMS_FORMAT, Alarm, AlarmCollector, AlarmList, AlarmPicture, AlarmSource, Foreign, PixelBox,
    VideoAlarms, alarm_pictures, alarms_csv, clock_text, length_text, ranked,
};
pub use error::EvalError;
pub use evaluation::{
    DataCard, EVALUATION_FORMAT, Evaluation, EvaluationError, KindMetrics, LabelCard,
    PredictionErrorMetrics, Priors, ProtocolMetrics,
};
pub use memory::{ItemCard, MEMORY_FORMAT, MemoryCard, Patch, PoolCard, SurveyOptions, survey};
pub use overlay::{HeatMaps, Overlay, write_overlay};
pub use protocol::{EvalOptions, evaluate};
pub use regions::{RegionCollector, RegionSummary, VideoRegions};
pub use report::{DotsPanel, Report, ReportImage, curve_svg, dots_svg, memory_page, report};
pub use score::{
    alarm::{AlarmThreshold, EventSummary, clock},
    baseline::{Baseline, ErrorQuantiles, TextureClass},
    calibration::{CALIBRATION_FORMAT, Calibration, CalibrationError},
    fair::AnomalyScore,
    legacy::LAMBDA,
    maps::{FrameMaps, WindowMap},
    scorer::{FrameScore, ScoredFrame, Scorer, SourceStep},
    spool::ScoreSpool,
    stream::Stream,
    table::scores_csv,
};
pub use selftest::{
    BrightnessMetrics, Injected, InjectedMetrics, SELF_TEST_FORMAT, SelfTest, self_test,
};
pub use video_scores::VideoScores;
