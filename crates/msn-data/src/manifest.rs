//! A split of the training videos as a file: which to train on and which calibrate.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::clips::{reach, segments};
use crate::split::{draw, last_part, takes_whole_videos};
use crate::text::decode;
use crate::{DataError, DataSet, LoadedVideo, SheetError, Split, write_atomically};

/// Version of the format that is written. Version 1, which is read too, calls the calibration
/// split `held`.
const VERSION: u32 = 2;

/// Which training videos train and which calibrate, by name, as a TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitManifest {
    /// Version of the format: 2.
    pub version: u32,
    /// The data set's name.
    pub data: String,
    /// The seed that drew the videos.
    pub seed: u64,
    /// Whether the calibration split has whole videos. With fewer than four videos it is the last
    /// 15 % of each, and `calibration` is empty.
    pub whole_videos: bool,
    /// Videos to train on.
    pub train: Vec<String>,
    /// Videos of the calibration split.
    #[serde(alias = "held")]
    pub calibration: Vec<String>,
}

impl SplitManifest {
    /// Draws the calibration split of a data set, as
    /// [`calibration_split`](crate::calibration_split) does where no video is too short for a clip.
    #[must_use]
    pub fn draw(set: &DataSet, seed: u64) -> Self {
        let all: Vec<usize> = (0..set.train.len()).collect();
        let whole_videos = takes_whole_videos(all.len());
        let drawn = match whole_videos {
            true => draw(&all, seed),
            false => Vec::new(),
        };
        let names = |wanted: bool| {
            let chosen = set.train.iter().enumerate();
            chosen
                .filter(|(index, _)| drawn.contains(index) == wanted)
                .map(|(_, video)| video.name.clone())
                .collect()
        };
        Self {
            version: VERSION,
            data: set.name.clone(),
            seed,
            whole_videos,
            train: names(false),
            calibration: names(true),
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Sheet`] for text that is none, with the line.
    pub fn read(path: &Utf8Path) -> Result<Self, DataError> {
        let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
        let text = decode(&bytes).map_err(|e| SheetError::from(e).of(path))?;
        Self::parse(&text, path)
    }

    /// Reads a manifest from text. `path` names it in errors.
    ///
    /// # Errors
    /// [`DataError::Sheet`] for text that is no manifest, with the line.
    pub fn parse(text: &str, path: &Utf8Path) -> Result<Self, DataError> {
        let mut manifest: Self = toml::from_str(text).map_err(|e| SheetError::from(e).of(path))?;
        if !(1..=VERSION).contains(&manifest.version) {
            let (found, newest) = (manifest.version, VERSION);
            return Err(SheetError::Version { found, newest }.of(path));
        }
        manifest.version = VERSION;
        let mut calibrating = manifest.calibration.iter();
        if let Some(name) = calibrating.find(|name| manifest.train.contains(name)) {
            return Err(SheetError::InBoth(name.clone()).of(path));
        }
        Ok(manifest)
    }

    /// The manifest as TOML.
    ///
    /// # Errors
    /// [`DataError::Sheet`] where it can't be written as TOML.
    pub fn to_toml(&self) -> Result<String, DataError> {
        toml::to_string(self).map_err(|e| SheetError::from(e).of("manifest"))
    }

    /// Writes the manifest, whole or not at all.
    ///
    /// # Errors
    /// [`DataError::Write`] with the system's reason.
    pub fn write(&self, path: &Utf8Path) -> Result<(), DataError> {
        let text = self.to_toml()?;
        Ok(write_atomically(path, text.as_bytes())?)
    }

    /// Splits decoded training videos by this manifest.
    ///
    /// # Errors
    /// [`DataError::Source`] for a video that the manifest does not name, or that it names and
    /// that is not there.
    pub fn apply(
        &self,
        videos: &[LoadedVideo],
        past: usize,
        stride: usize,
    ) -> Result<Split, DataError> {
        let wrong = |name: &str, reason: &str| DataError::Source {
            pattern: name.to_owned(),
            reason: reason.to_owned(),
        };
        for name in self.train.iter().chain(&self.calibration) {
            if !videos.iter().any(|video| video.name == *name) {
                return Err(wrong(name, "is in the split, but not among the videos"));
            }
        }
        for video in videos {
            if !self.train.contains(&video.name) && !self.calibration.contains(&video.name) {
                return Err(wrong(
                    &video.name,
                    "is a training video that the split lacks",
                ));
            }
        }
        let segments = segments(videos);
        if !self.whole_videos {
            let lengths: Vec<usize> = videos.iter().map(LoadedVideo::frames).collect();
            return Ok(last_part(&segments, &lengths, reach(past, stride)));
        }
        let (calibration, train) = segments
            .into_iter()
            .partition(|segment| self.calibration.contains(&videos[segment.video].name));
        Ok(Split { train, calibration })
    }
}
