//! What to make, and within which limits.

use std::fmt;

use serde::Serialize;

use crate::{Size, SynthError};

/// An anomaly of the test clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnomalyKind {
    /// Somebody rides a bicycle through the walkers.
    Cyclist,
    /// A utility cart drives along a walkway.
    Cart,
    /// Somebody runs.
    Runner,
    /// Somebody walks against the direction of a walkway.
    WrongWay,
    /// A suitcase stands alone, from when somebody lets go of it until somebody takes it along.
    LeftObject,
    /// Somebody stands about. Coming and going is not part of it.
    Loiterer,
}

impl AnomalyKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Cyclist,
        Self::Cart,
        Self::Runner,
        Self::WrongWay,
        Self::LeftObject,
        Self::Loiterer,
    ];
}

impl Serialize for AnomalyKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for AnomalyKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cyclist => "cyclist",
            Self::Cart => "cart",
            Self::Runner => "runner",
            Self::WrongWay => "wrong-way",
            Self::LeftObject => "left-object",
            Self::Loiterer => "loiterer",
        })
    }
}

/// The form in which clips are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClipFormat {
    /// Video files, `01.mp4`; needs the feature `ffmpeg`.
    Videos,
    /// Folders of JPEG files, `01/0000.jpg`.
    Frames,
}

/// What to make.
#[derive(Clone, Debug, PartialEq)]
pub struct SynthOptions {
    /// Determines everything that is drawn.
    pub seed: u64,
    /// Clips without anomalies, 1 to 999.
    pub train_clips: usize,
    /// Clips with labels, 1 to 999. From three on every [`AnomalyKind`] occurs.
    pub test_clips: usize,
    /// Length of a clip, 10 to 600 seconds.
    pub seconds: f64,
    /// Frames per second, 1 to 60.
    pub rate_hz: u32,
    /// Size of the pictures: 32 to 4096 pixels, even, width to height from 1:2 to 16:9.
    pub size: Size,
    /// Videos or frame folders.
    pub output: ClipFormat,
}

impl Default for SynthOptions {
    /// Eight clips each of 30 s at 10 fps and 320 x 240, as videos where the build has FFmpeg.
    fn default() -> Self {
        Self {
            seed: 0,
            train_clips: 8,
            test_clips: 8,
            seconds: 30.0,
            rate_hz: 10,
            size: Size {
                width: 320,
                height: 240,
            },
            output: if cfg!(feature = "ffmpeg") {
                ClipFormat::Videos
            } else {
                ClipFormat::Frames
            },
        }
    }
}

impl SynthOptions {
    /// Checks every range that the fields' documentation names.
    ///
    /// # Errors
    /// [`SynthError::OutOfRange`] for the first option outside its range.
    pub fn check(&self) -> Result<(), SynthError> {
        let refuse = |option: String, expected| Err(SynthError::OutOfRange { option, expected });
        for (name, clips) in [("training", self.train_clips), ("test", self.test_clips)] {
            if !(1..=999).contains(&clips) {
                return refuse(format!("{clips} {name} clips"), "1 to 999");
            }
        }
        if !(10.0..=600.0).contains(&self.seconds) {
            return refuse(format!("clips of {} s", self.seconds), "10 to 600 s");
        }
        if !(1..=60).contains(&self.rate_hz) {
            return refuse(format!("{} frames per second", self.rate_hz), "1 to 60");
        }
        let Size { width, height } = self.size;
        let range = 32..=4096;
        let shape = f64::from(width) / f64::from(height.max(1));
        if !range.contains(&width)
            || !range.contains(&height)
            || width % 2 != 0
            || height % 2 != 0
            || !(0.5..=1.8).contains(&shape)
        {
            return refuse(
                format!("pictures of {width} x {height}"),
                "even sides of 32 to 4096 pixels, between 1:2 and 16:9",
            );
        }
        Ok(())
    }
}
