//! A synthetic scene with exact labels, for demonstrations and tests of video anomaly detection:
//! a fixed camera over a plaza, people who cross it, and labelled anomalies.
//!
//! [`write()`] makes a data set in the layout of own footage: `train/01.mp4` ... (or folders of
//! JPEG frames), `test/01.mp4` ..., `events.csv` with the anomalies of the test clips, and
//! `synth.toml` with the options. A seed and the other options determine every rendered byte, on
//! every platform; the bytes that an encoder makes of them are not guaranteed.
//!
//! The plaza has four walkways, and everybody uses a walkway in one direction. Two to six people
//! of varied build, clothes, speed and gait are in view at once, some with bags or suitcases, some
//! in pairs. Lamps flicker, clouds pass, the sensor is noisy. Training clips hold nothing else.
//! Test clips begin with at least two seconds of that and hold none, one or two anomalies
//! ([`AnomalyKind`]) of three to eight seconds each.
//!
//! A label covers the frames in which the anomaly is seen, by the rule of [`Shot::anomalies`]; one
//! that is hidden for a moment makes two events. For videos, events are in seconds and lie half a
//! frame before the first and after the last such frame, so that rounding of times cannot move a
//! label; for frame folders, which have no times, they are in frames.
//!
//! ```
//! use msn_synth::{Plan, Renderer, Scene, Size, SynthOptions};
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
mod appearance;
mod background;
mod camera;
mod canvas;
mod error;
mod labels;
mod noise;
mod options;
mod path;
mod person;
mod plan;
mod planner;
mod render;
mod target;
mod vehicle;
mod write;

pub use error::SynthError;
pub use labels::LabelledAnomaly;
pub use msn_video::{Picture, Size};
pub use options::{AnomalyKind, ClipFormat, SynthOptions};
pub use plan::{ClipPlan, Plan};
pub use render::{Renderer, Scene, SeenBox, Shot};
pub use write::{Summary, write};
