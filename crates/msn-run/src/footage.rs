//! The footage of a data set, decoded: what is trained on, what calibrates, what is tested.

use msn_data::{
    DataSet, FrameLabels, FrameStore, LoadOptions, LoadedVideo, Size, Split, Stretch, Video,
    calibration_split, clips, data_hash, measure_stretch, median_rate_hz, short_videos,
};
use msn_model::StretchSetting;
use msn_train::TrainError;

use crate::{
    Notice, Observer, RunError, TrainRequest,
    model::{color, stretch},
};

/// Normal footage for a training.
pub(crate) struct TrainingFootage {
    pub videos: Vec<LoadedVideo>,
    /// What is trained on, and what validates and calibrates.
    pub split: Split,
    pub options: LoadOptions,
}

impl TrainingFootage {
    /// Decodes and splits the training videos of a data set.
    pub fn load(request: &TrainRequest<'_>, observer: &mut dyn Observer) -> Result<Self, RunError> {
        let (set, settings) = (request.data, &request.settings);
        if set.train.is_empty() {
            return Err(RunError::NoTrainingVideos {
                root: set.root.clone(),
                layout: set.layout,
            });
        }
        observer.notice(&Notice::ReadingTraining {
            videos: set.train.len(),
            data: format!("{} ({})", set.name, set.layout),
        });
        // Videos of several rates are brought to the median one.
        let measured = || median_rate_hz(&set.train).or(set.folder_hz);
        let stretch = match settings.input.stretch {
            StretchSetting::Auto => measured_stretch(&set.train, observer)?,
            set => stretch(set),
        };
        let options = LoadOptions {
            size: Size {
                height: settings.input.height,
                width: settings.input.width,
            },
            color: color(settings.net.channels),
            rate_hz: settings.input.rate().or_else(measured),
            folder_hz: set.folder_hz,
            stretch,
        };
        let videos = load(&set.train, &options, &request.store, observer)?;
        let (past, stride) = (settings.net.frames, settings.input.stride);
        for short in short_videos(&videos, past, stride)? {
            observer.notice(&Notice::Data(short.to_string()));
        }
        let split = match &request.split {
            Some(manifest) => manifest.apply(&videos, past, stride)?,
            None => calibration_split(&videos, past, stride, settings.train.seed),
        };
        let needed = past * stride + 1;
        if clips(&split.train, past, stride).is_empty() {
            return Err(TrainError::NoClips { needed }.into());
        }
        if clips(&split.calibration, past, stride).is_empty() {
            return Err(RunError::NoCalibrationClips { needed });
        }
        Ok(Self {
            videos,
            split,
            options,
        })
    }

    /// Hash of all training frames.
    pub fn hash(&self) -> Result<String, RunError> {
        Ok(data_hash(&self.videos)?)
    }

    /// Names of the calibration split's parts.
    pub fn calibration_split(&self) -> Vec<String> {
        let parts = self.split.calibration.iter();
        parts.map(|s| s.label(&self.videos[s.video])).collect()
    }
}

/// The stretch that the training videos ask for.
fn measured_stretch(
    videos: &[Video],
    observer: &mut dyn Observer,
) -> Result<Option<Stretch>, RunError> {
    let stretch = measure_stretch(videos)?;
    observer.notice(&Notice::Data(match stretch {
        Some(stretch) => {
            format!("stretch={stretch}, measured in the training videos and kept with the weights")
        }
        None => "stretch=auto: the training videos have 8 bits, which need none".to_owned(),
    }));
    Ok(stretch)
}

/// The test videos of a data set, decoded once, with labels that fit them.
#[derive(Debug)]
pub struct TestSet<'a> {
    /// Where they come from, with masks and tracks.
    pub data: &'a DataSet,
    /// Its test videos.
    pub videos: Vec<LoadedVideo>,
    /// Frame labels of each, where there are some.
    pub labels: Vec<Option<FrameLabels>>,
}

impl<'a> TestSet<'a> {
    /// Decodes the test videos of a data set into a store, and holds their labels to them.
    ///
    /// # Errors
    /// [`RunError::Data`] for videos that can't be decoded and labels that do not fit,
    /// [`RunError::LongName`] for a video that no output can be named after.
    pub fn load(
        data: &'a DataSet,
        options: &LoadOptions,
        store: &FrameStore,
        observer: &mut dyn Observer,
    ) -> Result<Self, RunError> {
        // Better known now than when all is scored and can't be written.
        let long = |video: &Video| Some((video.source.clone(), video.name_too_long()?));
        if let Some((path, reason)) = data.test.iter().find_map(long) {
            return Err(RunError::LongName { path, reason });
        }
        observer.notice(&Notice::ReadingTest {
            videos: data.test.len(),
        });
        let videos = load(&data.test, options, store, observer)?;
        let labels = data.test.iter().zip(&videos).map(|(video, loaded)| {
            let labels = video.labels.as_ref();
            labels.map(|labels| labels.resolve(loaded)).transpose()
        });
        let labels = labels.collect::<Result<_, _>>()?;
        Ok(Self {
            data,
            videos,
            labels,
        })
    }
}

/// Decodes videos into a store and says what is odd about them.
pub(crate) fn load(
    videos: &[Video],
    options: &LoadOptions,
    store: &FrameStore,
    observer: &mut dyn Observer,
) -> Result<Vec<LoadedVideo>, RunError> {
    let videos = store.load(videos, options)?;
    for warning in videos.iter().flat_map(|video| &video.warnings) {
        observer.notice(&Notice::Data(warning.clone()));
    }
    Ok(videos)
}
