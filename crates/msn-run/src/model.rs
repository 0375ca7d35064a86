//! A trained network as it lies on disk: in a run folder, or by itself.

use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{Color, LoadOptions, Size};
use msn_eval::{Fair, Scorer};
use msn_model::{Calibration, Predictor, Weights};

use crate::{RunError, RunFolder};

/// A trained network with its calibration.
#[derive(Clone, Debug)]
pub struct Model {
    /// The weights file.
    pub path: Utf8PathBuf,
    /// What it holds.
    pub weights: Weights,
    /// The run folder that it was found in, where one was named.
    pub run: Option<RunFolder>,
}

impl Model {
    /// Reads the weights of a run folder that its settings choose, or a weights file.
    ///
    /// # Errors
    /// [`RunError::Unfinished`] for a run folder without weights, [`RunError::Weights`].
    pub fn open(path: &Utf8Path) -> Result<Self, RunError> {
        let run = path.is_dir().then(|| RunFolder::open(path));
        let file = match &run {
            Some(run) => run.weights_file()?,
            None => path.to_owned(),
        };
        Ok(Self {
            weights: Weights::read(&file)?,
            path: file,
            run,
        })
    }

    /// What normal footage scores, where that was measured.
    pub fn calibration(&self) -> Option<&Calibration> {
        self.weights.meta.calibration.as_ref()
    }

    /// The calibration, which `purpose` can't do without.
    ///
    /// # Errors
    /// [`RunError::Uncalibrated`].
    pub fn calibration_for(&self, purpose: &'static str) -> Result<&Calibration, RunError> {
        self.calibration().ok_or_else(|| RunError::Uncalibrated {
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
        }
    }

    /// How its scores are read from a network that it was loaded into.
    pub fn scorer<'a>(&self, predictor: &'a dyn Predictor) -> Scorer<'a> {
        let input = &self.weights.meta.input;
        let [height, width] = [input.height, input.width].map(|v| v as usize);
        let fair = self
            .calibration()
            .map_or_else(|| Fair::for_size(height, width), Fair::from);
        Scorer {
            predictor,
            stride: input.stride,
            fair,
        }
    }
}

/// The colour of frames with so many channels.
pub(crate) const fn color(channels: usize) -> Color {
    match channels {
        3 => Color::Rgb,
        _ => Color::Grey,
    }
}
