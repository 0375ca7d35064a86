//! A data set: its videos and their labels.

use camino::{Utf8Path, Utf8PathBuf};

use crate::labels::find;
use crate::{DataError, DatasetLayout, Labels, PassedOver, RegionSource, Sheet};

/// A data set on disk.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The folder that was opened.
    pub root: Utf8PathBuf,
    /// The folder's name.
    pub name: String,
    /// The layout it was read in.
    pub layout: DatasetLayout,
    /// Training videos, all normal, in natural order of their names. May be empty.
    pub train: Vec<Video>,
    /// Test videos, with labels where there are some. May be empty.
    pub test: Vec<Video>,
    /// Where the labels come from.
    pub labels: Option<LabelSource>,
    /// For each test video, where its true regions lie, if they are known.
    pub regions: Vec<Option<RegionSource>>,
    /// The data set's sheet: `dataset.toml` in its folder, or that of the public data set of
    /// this name.
    pub sheet: Option<Sheet>,
    /// Frames a second of frame folders: those of [`OpenOptions`], else those of the sheet.
    pub folder_hz: Option<f64>,
    /// Files and folders that were found and are not used, each with the reason.
    pub passed_over: Vec<PassedOver>,
    /// What a user should know.
    pub warnings: Vec<String>,
}

/// How to open a folder, where recognising it is not wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OpenOptions {
    /// The layout; recognised where it is not given.
    pub layout: Option<DatasetLayout>,
    /// The file or folder of the frame labels; found by precedence where it is not given.
    pub labels: Option<Utf8PathBuf>,
    /// Frames a second of frame folders; as the data set's sheet has it where it is not given.
    pub folder_hz: Option<f64>,
}

/// One video: a file or a folder of frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// Its name: the folder's name, or its path under `test/` with its extension.
    pub name: String,
    /// The file or folder.
    pub source: Utf8PathBuf,
    /// Frame labels, for a test video of a labelled data set.
    pub labels: Option<Labels>,
}

impl Video {
    /// The longest name of a file that is made of a part of a video's name: what file systems take,
    /// less the endings of outputs and those of files that are being written.
    const LONGEST: usize = 255 - ".csv".len() - ".".len() - ".XXXXXX".len();

    /// Why no outputs can be named after the video, if that is so: a part of its name is so long
    /// that no file system takes it with an ending.
    #[must_use]
    pub fn name_too_long(&self) -> Option<String> {
        let parts = self.name.split('/');
        let longest = parts.map(str::len).max().unwrap_or(0);
        (longest > Self::LONGEST).then(|| {
            format!(
                "its name of {longest} bytes is too long for scores and other outputs, which are \
                 named after it: shorten it to {} bytes",
                Self::LONGEST
            )
        })
    }

    /// A video without labels.
    pub fn new(name: impl Into<String>, source: impl Into<Utf8PathBuf>) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            labels: None,
        }
    }
}

/// Where the labels of a data set come from, and which version they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSource {
    /// The format, in words.
    pub format: String,
    /// The files or folder that were used.
    pub paths: Vec<Utf8PathBuf>,
    /// Blake3 of what was used: the first 16 hexadecimal digits.
    pub hash: String,
    /// Labels that were found and not used.
    pub unused: Vec<Utf8PathBuf>,
    /// Anomalous frames, where they are known before the videos are decoded.
    pub anomalous: Option<usize>,
}

impl DataSet {
    /// Opens a data set: finds its videos and reads its labels. Decodes no video.
    ///
    /// # Errors
    /// [`DataError::Missing`], [`DataError::Empty`] or [`DataError::Unrecognised`] where the
    /// folder is no data set; the label errors where its labels can't be used.
    pub fn open(root: &Utf8Path, options: &OpenOptions) -> Result<Self, DataError> {
        match Self::open_leniently(root, options)? {
            (set, None) => Ok(set),
            (_, Some(error)) => Err(error),
        }
    }

    /// Opens a data set; an error of its labels comes with the set without labels.
    pub(crate) fn open_leniently(
        root: &Utf8Path,
        options: &OpenOptions,
    ) -> Result<(Self, Option<DataError>), DataError> {
        let name = name_of(root);
        let layout = match options.layout {
            Some(layout) => layout,
            None => DatasetLayout::recognise(root)?,
        };
        let split = layout.open(root)?;
        let mut set = Self {
            root: root.to_owned(),
            layout,
            train: split.train,
            regions: vec![None; split.test.len()],
            test: split.test,
            labels: None,
            folder_hz: None,
            sheet: Sheet::find(root, &name)?,
            name,
            passed_over: split.passed_over,
            warnings: split.warnings,
        };
        let in_sheet = set.sheet.as_ref().and_then(|sheet| sheet.rate_hz);
        set.folder_hz = options.folder_hz.or(in_sheet);
        let search = find::LabelSearch {
            root,
            name: &set.name,
            layout,
            test_folder: &split.test_folder,
            named: options.labels.as_deref(),
            counts: None,
        };
        let found = match find::find(&search, &set.test) {
            Ok(found) => found,
            Err(error) => {
                set.warn_of_passed_over();
                return Ok((set, Some(error)));
            }
        };
        // What lies beside the test videos was seen when these were looked for.
        for file in found.unread {
            let seen = set.passed_over.iter_mut().find(|p| p.path == file.path);
            match seen {
                Some(seen) => *seen = file,
                None => set.passed_over.push(file),
            }
        }
        // The same place may hold labels that are read.
        if let Some(labels) = &found.source {
            let read =
                |path: &Utf8PathBuf| labels.paths.contains(path) || labels.unused.contains(path);
            set.passed_over.retain(|file| !read(&file.path));
        }
        set.warn_of_passed_over();
        for (video, labels) in set.test.iter_mut().zip(found.labels) {
            video.labels = labels.map(|labels| Labels {
                fallback_rate_hz: set.folder_hz,
                ..labels
            });
        }
        set.labels = found.source;
        set.regions = found.regions;
        set.warnings.extend(found.warnings);
        Ok((set, None))
    }

    /// Says what of what is not used may have been meant to be.
    fn warn_of_passed_over(&mut self) {
        let notable: Vec<PassedOver> = self
            .passed_over
            .iter()
            .filter(|file| file.is_notable())
            .cloned()
            .collect();
        self.warnings.extend(PassedOver::sentences(&notable));
    }
}

/// A folder's name, also where it is given as `.` or ends in `..`.
fn name_of(root: &Utf8Path) -> String {
    let canonical = || root.canonicalize_utf8().ok();
    root.file_name()
        .map(str::to_owned)
        .or_else(|| canonical().and_then(|path| path.file_name().map(str::to_owned)))
        .unwrap_or_else(|| root.as_str().to_owned())
}
