//! A split of the training videos on paper: which train and which are held out.

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::clips::{draw, last_part, segments};
use crate::{DataError, DataSet, HoldOut, LoadedVideo, write_whole};

/// Format that this version reads and writes.
const VERSION: u32 = 1;

/// Which training videos are held out, by name, as a TOML file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format: 1.
    pub version: u32,
    /// The data set's name.
    pub data: String,
    /// The seed that drew the videos.
    pub seed: u64,
    /// Whether whole videos are held out. With fewer than four videos it is the last 15 % of
    /// each, and `held` is empty.
    pub whole_videos: bool,
    /// Videos to train on.
    pub train: Vec<String>,
    /// Videos held out.
    pub held: Vec<String>,
}

/// Draws the videos to hold out (METHOD.md, Training), as [`hold_out`](crate::hold_out) does
/// where no video is too short for a clip.
#[must_use]
pub fn split(set: &DataSet, seed: u64) -> Manifest {
    let all: Vec<usize> = (0..set.train.len()).collect();
    let whole_videos = all.len() >= 4;
    let held = if whole_videos {
        draw(&all, seed)
    } else {
        Vec::new()
    };
    let names = |wanted: bool| {
        let chosen = set.train.iter().enumerate();
        chosen
            .filter(|(index, _)| held.contains(index) == wanted)
            .map(|(_, video)| video.name.clone())
            .collect()
    };
    Manifest {
        version: VERSION,
        data: set.name.clone(),
        seed,
        whole_videos,
        train: names(false),
        held: names(true),
    }
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`DataError::Io`]; [`DataError::Sheet`] for text that is none, with the line.
    pub fn read(path: &Utf8Path) -> Result<Self, DataError> {
        let text = std::fs::read_to_string(path).map_err(|e| DataError::io(path, "read", e))?;
        Self::parse(&text, path)
    }

    /// Reads a manifest from text. `path` names it in errors.
    ///
    /// # Errors
    /// [`DataError::Sheet`] for text that is no manifest, with the line.
    pub fn parse(text: &str, path: &Utf8Path) -> Result<Self, DataError> {
        let wrong = |reason: String| DataError::Sheet {
            path: path.to_owned(),
            reason,
        };
        let manifest: Self = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        if manifest.version != VERSION {
            return Err(wrong(format!(
                "its version is {}, this program reads version {VERSION}",
                manifest.version
            )));
        }
        if let Some(name) = manifest.held.iter().find(|n| manifest.train.contains(n)) {
            return Err(wrong(format!("`{name}` is both in train and in held")));
        }
        Ok(manifest)
    }

    /// The manifest as TOML.
    ///
    /// # Errors
    /// [`DataError::Sheet`] where it can't be written as TOML.
    pub fn to_toml(&self) -> Result<String, DataError> {
        toml::to_string(self).map_err(|e| DataError::Sheet {
            path: "manifest".into(),
            reason: e.to_string(),
        })
    }

    /// Writes the manifest: to a temporary file first, so that nothing half-written stays.
    ///
    /// # Errors
    /// [`DataError::Io`] with the system's reason.
    pub fn write(&self, path: &Utf8Path) -> Result<(), DataError> {
        let text = self.to_toml()?;
        write_whole(path, text.as_bytes()).map_err(|e| DataError::io(path, "written", e))
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
    ) -> Result<HoldOut, DataError> {
        let wrong = |name: &str, reason: &str| DataError::Source {
            pattern: name.to_owned(),
            reason: reason.to_owned(),
        };
        for name in self.train.iter().chain(&self.held) {
            if !videos.iter().any(|video| video.name == *name) {
                return Err(wrong(name, "is in the split, but not among the videos"));
            }
        }
        for video in videos {
            if !self.train.contains(&video.name) && !self.held.contains(&video.name) {
                return Err(wrong(
                    &video.name,
                    "is a training video that the split lacks",
                ));
            }
        }
        let segments = segments(videos);
        if !self.whole_videos {
            let lengths: Vec<usize> = videos.iter().map(LoadedVideo::frames).collect();
            return Ok(last_part(&segments, &lengths, past.saturating_mul(stride)));
        }
        let (held, train) = segments
            .into_iter()
            .partition(|segment| self.held.contains(&videos[segment.video].name));
        Ok(HoldOut { train, held })
    }
}
