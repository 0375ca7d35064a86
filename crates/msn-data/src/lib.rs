//! Data sets for video anomaly detection: layouts, labels, clips, hold-out, a synthetic scene

mod clips;
mod dataset;
mod error;
mod folder;
mod labels;
mod layout;
mod load;
mod natural;
pub mod synth;

pub use clips::{Clip, HoldOut, Segment, clips, hold_out, segments};
pub use dataset::{DataSet, LabelSource, OpenOptions, Video};
pub use error::DataError;
pub use labels::{Extent, FrameLabels, FrameSpan, Labels, Marks, Span};
pub use layout::Layout;
pub use load::{LoadOptions, LoadedVideo, data_hash, load_all};
pub use msn_video::{Color, Size};
pub use natural::natural_order;
