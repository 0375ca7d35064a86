//! Calibration of weights on normal footage.

use msn_data::{FrameStore, Video, segments};

use crate::{Devices, Model, Observer, RunError, footage};

/// Normal videos of one kind.
#[derive(Clone, Debug, Default)]
pub struct NormalFootage {
    /// The videos.
    pub videos: Vec<Video>,
    /// Frames a second of those that are folders of frames.
    pub folder_hz: Option<f64>,
}

/// Measures what normal footage scores, and keeps it with the weights: anomaly scores are
/// standardised by it. The footage must be none that was trained on. An earlier calibration is
/// replaced.
///
/// # Errors
/// [`RunError`]; the weights stay as they are then.
pub fn calibrate(
    model: &mut Model,
    footage: &[NormalFootage],
    store: &FrameStore,
    devices: &dyn Devices,
    observer: &mut dyn Observer,
) -> Result<(), RunError> {
    let mut videos = Vec::new();
    for part in footage {
        let load = model.load_options(part.folder_hz);
        videos.extend(footage::load(&part.videos, &load, store, observer)?);
    }
    let predictor = devices.predictor(model).map_err(RunError::Device)?;
    // The score as it is made today, not as an older calibration made it.
    model.weights.meta.calibration = None;
    let calibration = model
        .scorer(predictor.as_ref())
        .calibrate(&videos, &segments(&videos))?;
    model.weights.meta.calibration = Some(calibration);
    Ok(model.weights.write(&model.path)?)
}
