//! A trained network as it lies on disk: in a run folder, or by itself.

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{Color, LoadOptions, Size, Stretch};
use msn_eval::{AnomalyScore, Calibration, Scorer};
use msn_model::{Predictor, StretchSetting, Weights};

use crate::{RunError, RunFolder};

/// A trained network with its calibration.
#[derive(Clone, Debug)]
pub struct Model {
    /// Path of the weights file.
    pub path: Utf8PathBuf,
    /// Tensors, and what they are.
    pub weights: Weights,
    /// What standardises its anomaly scores, where normal footage was scored for that.
    pub calibration: Option<Calibration>,
    /// The run folder that it was found in, where one was named.
    pub run: Option<RunFolder>,
}

impl Model {
    /// Reads the weights of a run folder that its settings choose, or a weights file, with the
    /// calibration of the run folder or beside the weights.
    ///
    /// # Errors
    /// [`RunError::Unfinished`] for a run folder without weights, [`RunError::Weights`],
    /// [`RunError::Calibration`].
    pub fn open(path: &Utf8Path) -> Result<Self, RunError> {
        let mut model = Self::open_uncalibrated(path)?;
        let run = model.run.as_ref().map(RunFolder::path);
        model.calibration = Calibration::find(&model.path, &model.weights, run)?;
        Ok(model)
    }

    /// [`Model::open`] with the calibration of a file, such as another camera's.
    ///
    /// # Errors
    /// Those of [`Model::open`], also where the file is of other weights.
    pub fn open_with(path: &Utf8Path, calibration: &Utf8Path) -> Result<Self, RunError> {
        let mut model = Self::open_uncalibrated(path)?;
        let read = Calibration::read_for(calibration, &model.path, &model.weights)?;
        model.calibration = Some(read);
        Ok(model)
    }

    /// [`Model::open`] without a calibration, whether there is one or not.
    ///
    /// # Errors
    /// [`RunError::Unfinished`] for a run folder without weights, [`RunError::Weights`].
    pub fn open_uncalibrated(path: &Utf8Path) -> Result<Self, RunError> {
        let run = path.is_dir().then(|| RunFolder::open(path));
        let file = match &run {
            Some(run) => run.weights_file()?,
            None => path.to_owned(),
        };
        Ok(Self {
            weights: Weights::read(&file)?,
            calibration: None,
            path: file,
            run,
        })
    }

    /// The calibration, which `purpose` can't do without.
    ///
    /// # Errors
    /// [`RunError::Uncalibrated`].
    pub fn calibration_for(&self, purpose: &'static str) -> Result<&Calibration, RunError> {
        self.calibration
            .as_ref()
            .ok_or_else(|| RunError::Uncalibrated {
                path: self.path.clone(),
                purpose,
            })
    }

    /// The seed it was trained with, where that is known.
    pub fn seed(&self) -> Option<u64> {
        let card = self.run.as_ref().and_then(|run| run.card().ok());
        card.map(|card| card.seed)
            .or_else(|| self.weights.meta.origin.get("seed")?.parse().ok())
    }

    /// Where its calibration belongs: `calibration.json` of the run folder, else
    /// `NAME.calibration.json` beside the weights `NAME.safetensors`.
    pub fn calibration_file(&self) -> Utf8PathBuf {
        match &self.run {
            Some(run) => run.calibration(),
            None => Calibration::beside(&self.path),
        }
    }

    /// How frames are to be loaded for it, those of folders at `folder_hz`.
    pub fn load_options(&self, folder_hz: Option<f64>) -> LoadOptions {
        let meta = &self.weights.meta;
        LoadOptions {
            size: Size {
                height: meta.input.height,
                width: meta.input.width,
            },
            color: color(meta.config.channels),
            rate_hz: meta.input.rate(),
            folder_hz,
            stretch: stretch(meta.input.stretch),
        }
    }

    /// How its scores are read from a network that it was loaded into.
    pub fn scorer<'a>(&self, predictor: &'a dyn Predictor) -> Scorer<'a> {
        let input = &self.weights.meta.input;
        let [height, width] = [input.height, input.width].map(|v| v as usize);
        let uncalibrated = || AnomalyScore::for_size(height, width);
        let score = self.calibration.as_ref();
        Scorer {
            predictor,
            stride: input.stride,
            score: score.map_or_else(uncalibrated, AnomalyScore::from),
        }
    }
}

/// The stretch of a setting whose values are known.
pub(crate) fn stretch(setting: StretchSetting) -> Option<Stretch> {
    let (low, high) = setting.range()?;
    // A setting's range is one.
    Stretch::new(low, high).ok()
}

/// The colour of frames with so many channels.
pub(crate) const fn color(channels: usize) -> Color {
    match channels {
        3 => Color::Rgb,
        _ => Color::Grey,
    }
}
