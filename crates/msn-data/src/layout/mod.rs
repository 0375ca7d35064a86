//! Layouts of data sets on disk.

mod open;
mod recognise;

use std::fmt;
use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};

use crate::{DataError, PassedOver, Video};

/// How a data set lies on disk.
///
/// `frames` was tried on real data (UCSD Ped2). The others were built from their owners'
/// published descriptions and scripts and tried on small folders made in that layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DatasetLayout {
    /// `training/frames/01/000.jpg`, `testing/frames/01/000.jpg`: how Ped2, Avenue and
    /// ShanghaiTech circulate with published code.
    Frames,
    /// UCSD as published: `Train/Train001/001.tif`, `Test/Test001/001.tif`.
    UcsdOriginal,
    /// CUHK Avenue as published: `training_videos/01.avi`, `testing_videos/01.avi`.
    AvenueOriginal,
    /// ShanghaiTech Campus as published: `training/videos/01_001.avi`,
    /// `testing/frames/01_0014/000.jpg`.
    ShanghaiTechOriginal,
    /// UBnormal as published: `Scene1/normal_scene_1_scenario_1.mp4` and the owners' lists
    /// `normal_training_video_names.txt`, `normal_test_video_names.txt`,
    /// `abnormal_test_video_names.txt` in the folder itself or in `scripts/`.
    /// Trains on the normal videos of the training list alone.
    UbNormal,
    /// Street Scene as published: `Train/Train001/*.jpg`, `Test/Test001/*.jpg`.
    StreetScene,
    /// NWPU Campus as published: `videos/train/D001_01.avi`, `videos/test/D001_03.avi`.
    NwpuCampus,
    /// One's own footage: `train/` and `test/` with video files or folders of frames, at any
    /// depth.
    Own,
}

impl DatasetLayout {
    /// All layouts.
    pub const ALL: [Self; 8] = [
        Self::Frames,
        Self::UcsdOriginal,
        Self::AvenueOriginal,
        Self::ShanghaiTechOriginal,
        Self::UbNormal,
        Self::StreetScene,
        Self::NwpuCampus,
        Self::Own,
    ];

    /// The name that `--layout` takes.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Frames => "frames",
            Self::UcsdOriginal => "ucsd",
            Self::AvenueOriginal => "avenue",
            Self::ShanghaiTechOriginal => "shanghaitech",
            Self::UbNormal => "ubnormal",
            Self::StreetScene => "street-scene",
            Self::NwpuCampus => "nwpu",
            Self::Own => "own",
        }
    }

    /// Where the training videos are expected, for messages.
    fn expects(self) -> &'static str {
        match self {
            Self::Frames => "training/frames/01/000.jpg",
            Self::UcsdOriginal => "Train/Train001/001.tif",
            Self::AvenueOriginal => "training_videos/01.avi",
            Self::ShanghaiTechOriginal => "training/videos/01_001.avi",
            Self::UbNormal => "Scene1/normal_scene_1_scenario_1.mp4",
            Self::StreetScene => "Train/Train001/001.jpg",
            Self::NwpuCampus => "videos/train/D001_01.avi",
            Self::Own => "train/ with videos",
        }
    }
}

impl fmt::Display for DatasetLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no layout has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no layout; there are {names}", names = DatasetLayout::ALL.map(DatasetLayout::name).join(", "))]
pub struct UnknownLayout(pub String);

impl FromStr for DatasetLayout {
    type Err = UnknownLayout;

    fn from_str(text: &str) -> Result<Self, UnknownLayout> {
        Self::ALL
            .into_iter()
            .find(|layout| layout.name() == text)
            .ok_or_else(|| UnknownLayout(text.to_owned()))
    }
}

impl serde::Serialize for DatasetLayout {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for DatasetLayout {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The videos of a data set.
#[derive(Debug, Default)]
pub(crate) struct FoundVideos {
    pub train: Vec<Video>,
    pub test: Vec<Video>,
    /// Where the test videos lie.
    pub test_folder: Utf8PathBuf,
    /// What was found and is not used.
    pub passed_over: Vec<PassedOver>,
    pub warnings: Vec<String>,
}

impl DatasetLayout {
    /// Finds out in which layout a folder is.
    pub(crate) fn recognise(root: &Utf8Path) -> Result<Self, DataError> {
        recognise::recognise(root)
    }

    /// Finds the videos of a data set in this layout.
    pub(crate) fn open(self, root: &Utf8Path) -> Result<FoundVideos, DataError> {
        open::open(self, root)
    }
}
