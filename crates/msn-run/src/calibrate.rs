//! Calibration of weights on normal footage.

use msn_data::{FrameStore, Video, segments};
use msn_eval::Calibration;

use crate::{Devices, Model, Observer, RunError, Work, footage};

/// Normal videos of one kind.
#[derive(Clone, Debug, Default)]
pub struct NormalFootage {
    /// Files and folders of frames that show nothing anomalous.
    pub videos: Vec<Video>,
    /// Frames a second of those that are folders of frames.
    pub folder_hz: Option<f64>,
}

/// Measures what normal footage scores with a model, whose anomaly scores are standardised by it.
/// The footage must be none that was trained on. Nothing is written: [`Model::calibration_file`] is
/// where [`Calibration::write`] puts it.
///
/// # Errors
/// [`RunError`].
pub fn calibrate(
    model: &Model,
    footage: &[NormalFootage],
    store: &FrameStore,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<Calibration, RunError> {
    let mut videos = Vec::new();
    for part in footage {
        let load = model.load_options(part.folder_hz);
        videos.extend(footage::load(&part.videos, &load, store, observer)?);
    }
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    // The score as it is made today, not as an older calibration made it.
    let uncalibrated = Model {
        calibration: None,
        ..model.clone()
    };
    let scorer = uncalibrated.scorer(predictor.as_ref());
    let segments = segments(&videos);
    Ok(
        scorer.calibrate_watched(&videos, &segments, &mut |done, all| {
            observer.progress(&Work::Calibrating, done, Some(all));
        })?,
    )
}
