//! Data sets for video anomaly detection: layouts, labels, clips and splits.
//!
//! A data set is a folder with normal training videos and test videos, and with labels that say
//! which test frames are anomalous. There are as many ways to lay one out as there are data
//! sets; [`DataSet::open`] recognises eight of them ([`DatasetLayout`]) and reads the labels in every
//! format that they circulate in:
//!
//! | labels | where | read as |
//! |---|---|---|
//! | one `.npy` for each video | `testing/test_frame_mask/01.npy` | a value for each frame |
//! | `.mat` of version 5 (`-v6`, `-v7`) | `<folder>.mat`, in the folder or beside it | the cell `gt` of [first; last], 1-based, inclusive |
//! | one `.npy` or `.npz` for all videos | `frame_labels_<folder>.npy`, `gt.npz` | an object, a row or an array for each video, or all frames one after the other, in natural order of names |
//! | `.m` | `Test/UCSDped2.m` | `TestVideoFile{end+1}.gt_frame = [61:180];` |
//! | UCF-Crime's text | `Temporal_Anomaly_Annotation*.txt` | `video kind first last first last`, frames from 1, inclusive; -1 for none |
//! | `events.csv` | the data's root | `video,start,end,kind` in seconds or `video,start_frame,end_frame,kind` |
//! | boxes of tracks as text | `Test001_gt.txt`, `tracks/01_0014.txt` | frames with a box |
//! | pixel masks | `testing/masks/01/`, `Test001_gt/`, `test_pixel_mask/01.npy`, `testing_label_mask/1_label.mat` (`volLabel`) | frames with a marked pixel |
//!
//! The first that is there is used: one `.npy` for each video, then `<folder>.mat`, then
//! `events.csv`, then the others. What else is found is listed ([`LabelSource::unused`]) and
//! compared: where two disagree, [`DataSet::warnings`] has both counts. Labels that do not fit
//! their videos are errors that name both files and both counts. Boxes and masks are at hand as
//! [`Regions`] too.
//!
//! Videos are decoded at one size into memory ([`load_all`]), or into files where memory is
//! bounded ([`FrameStore`]), brought to a fixed rate where their pace is uneven, cut into clips that cross no
//! video and no gap ([`clips`]), and split into a training and a calibration part
//! ([`calibration_split`]).
//! [`check`] decodes a data set, reports what is wrong with it, and compares it with its data
//! sheet ([`Sheet`]).
//!
//! ```no_run
//! use msn_data::{Color, DataSet, LoadOptions, OpenOptions, Size, calibration_split, clips, load_all};
//!
//! let set = DataSet::open("data/ped2".as_ref(), &OpenOptions::default())?;
//! let size = Size { width: 128, height: 128 };
//! let videos = load_all(&set.train, &LoadOptions::new(size, Color::Grey))?;
//! let split = calibration_split(&videos, 4, 1, 7);
//! println!("{} clips to train on", clips(&split.train, 4, 1).len());
//! # Ok::<(), msn_data::DataError>(())
//! ```
//!
//! Every file that lies among the videos is used once, whatever links lead to it, or named with
//! the reason why not ([`DataSet::passed_over`]).
//!
//! Which layouts were tried on real data stands at [`DatasetLayout`].

mod cache;
mod check;
mod clips;
mod dataset;
mod error;
mod files;
mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod labels;
mod layout;
mod load;
mod loading;
mod manifest;
mod passed_over;
mod pixels;
mod redecode;
mod regions;
mod sheet;
mod sources;
mod split;
mod store;
mod table_name;
mod text;
mod video;
mod walk;

pub use check::{
    Check, CountCheck, LabelCheck, Problem, RateCount, Severity, SizeCount, SplitCheck, check,
};
pub use clips::{Clip, Segment, clips, segments, short_videos};
pub use dataset::{DataSet, LabelSource, OpenOptions, Video};
pub use error::{DataError, SheetError};
pub use files::{ReadError, WriteError, write_atomically, write_atomically_from};
pub use labels::events::{EventTable, write_events};
pub use labels::masks::{Mask, Masks};
pub use labels::names::is_same_video;
pub use labels::numbers::{NumberArray, read_number_arrays};
pub use labels::{
    Annotation, Extent, FrameLabels, FrameSpan, LabelError, LabelSpan, Labels, ScoredFrames,
    read_frame_labels, read_score_labels,
};
pub use layout::{DatasetLayout, UnknownLayout};
pub use load::{LoadOptions, load_all, measure_stretch, median_rate_hz};
pub use manifest::SplitManifest;
pub use msn_video::{Color, Size, Stretch, natural_order};
pub use passed_over::{PassedOver, Reason};
pub use regions::{RegionSource, Regions, TrackBox};
pub use sheet::{Counts, LabelVersion, Sheet};
pub use sources::{Sources, find_sources, sources};
pub use split::{Split, calibration_split};
pub use store::{FrameStore, MemoryBudget};
pub use table_name::{plain_name, table_name};
pub use video::{LoadedVideo, Resampling, data_hash};
