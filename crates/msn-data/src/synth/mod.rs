//! A synthetic scene: a fixed camera over a plaza, people who cross it, and labelled anomalies.
//!
//! [`write()`] makes a data set in the layout of own footage: `train/01.mp4` ... (or folders of
//! JPEG frames), `test/01.mp4` ..., `events.csv` with the anomalies of the test clips, and
//! `synth.toml` with the options. A seed and the other options determine every rendered byte, on
//! every platform; an encoder's bytes are its own affair.
//!
//! The plaza has four walkways, and everybody uses a walkway in one direction. Two to six people
//! of varied build, clothes, speed and gait are in view at once, some with bags or suitcases, some
//! in pairs. Lamps flicker, clouds pass, the sensor is noisy. Training clips hold nothing else.
//! Test clips begin with at least two seconds of that and hold none, one or two anomalies
//! ([`Kind`]) of three to eight seconds each.
//!
//! A label covers the frames in which the anomaly is seen, by the rule of [`Shot::anomalies`]; one
//! that is hidden for a moment makes two events. For videos, events are in seconds and lie half a
//! frame before the first and after the last such frame, so that rounding of times cannot move a
//! label; for frame folders, which have no times, they are in frames.
//!
//! ```
//! use msn_data::Size;
//! use msn_data::synth::{Plan, Renderer, Scene, SynthOptions};
//!
//! let size = Size { width: 64, height: 48 };
//! let options = SynthOptions { seed: 7, size, ..SynthOptions::default() };
//! let (plan, scene) = (Plan::new(&options), Scene::new(options.seed, size));
//! let shot = Renderer::new(&scene, &plan.test[0]).shot(0);
//! assert_eq!(shot.picture.pixels.len(), 64 * 48 * 3);
//! assert!(shot.anomalies.is_empty());
//! ```

mod actor;
mod angle;
mod background;
mod camera;
mod canvas;
mod error;
mod figure;
mod noise;
mod path;
mod plan;
mod render;
#[cfg(test)]
mod tests;
mod vehicle;
mod wardrobe;
mod write;

use std::fmt;

pub use error::SynthError;
pub use plan::{ClipPlan, Plan};
pub use render::{Renderer, Scene, Shot};
pub use write::{Event, Summary, write};

use crate::Size;

/// An anomaly of the test clips.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
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

impl Kind {
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

impl fmt::Display for Kind {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
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
    /// Clips with labels, 1 to 999. From three on every [`Kind`] occurs.
    pub test_clips: usize,
    /// Length of a clip, 10 to 600 seconds.
    pub seconds: f64,
    /// Frames per second, 1 to 60.
    pub rate_hz: u32,
    /// Size of the pictures: 32 to 4096 pixels, even, width to height from 1:2 to 16:9.
    pub size: Size,
    /// Videos or frame folders.
    pub output: Output,
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
                Output::Videos
            } else {
                Output::Frames
            },
        }
    }
}

impl SynthOptions {
    /// Checks every range that the fields' docs name.
    pub fn check(&self) -> Result<(), SynthError> {
        let refuse = |what: String, way_out: &str| {
            Err(SynthError::Option {
                what,
                way_out: way_out.to_owned(),
            })
        };
        for (name, clips) in [("training", self.train_clips), ("test", self.test_clips)] {
            if !(1..=999).contains(&clips) {
                return refuse(format!("{clips} {name} clips"), "ask for 1 to 999");
            }
        }
        if !(10.0..=600.0).contains(&self.seconds) {
            return refuse(
                format!("clips of {} s", self.seconds),
                "ask for 10 to 600 s",
            );
        }
        if !(1..=60).contains(&self.rate_hz) {
            return refuse(
                format!("{} frames per second", self.rate_hz),
                "ask for 1 to 60",
            );
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
                "ask for even sides of 32 to 4096 pixels, between 1:2 and 16:9",
            );
        }
        Ok(())
    }
}

/// Frames of a clip; the range of both is checked before.
fn frames(seconds: f64, rate_hz: u32) -> usize {
    (seconds * f64::from(rate_hz)).round() as usize
}
