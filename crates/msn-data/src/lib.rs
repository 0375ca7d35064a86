//! Data sets for video anomaly detection: layouts, labels, clips, hold-out, a synthetic scene

mod check;
mod clips;
mod dataset;
mod error;
mod folder;
mod labels;
mod layout;
mod load;
mod manifest;
mod natural;
mod regions;
mod sheet;
mod sources;
pub mod synth;

pub use check::{
    Check, CountCheck, LabelCheck, Problem, RateCount, Severity, SizeCount, SplitCheck, check,
};
pub use clips::{Clip, HoldOut, Segment, clips, hold_out, segments};
pub use dataset::{DataSet, LabelSource, OpenOptions, Video};
pub use error::DataError;
pub use labels::masks::{Mask, Masks};
pub use labels::{Extent, FrameLabels, FrameSpan, Labels, Marks, Span, read_frame_labels};
pub use layout::Layout;
pub use load::{LoadOptions, LoadedVideo, data_hash, load_all};
pub use manifest::{Manifest, split};
pub use msn_video::{Color, Size};
pub use natural::natural_order;
pub use regions::{RegionSource, Regions, TrackBox};
pub use sheet::{Counts, LabelVersion, Sheet};
pub use sources::sources;
