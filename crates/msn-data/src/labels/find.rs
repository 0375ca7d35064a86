//! Finds the labels of a data set, by precedence, and compares what else there is.

use camino::{Utf8Path, Utf8PathBuf};

use super::{Labels, events, npy};
use crate::folder::{extension, list};
use crate::load::short;
use crate::{DataError, LabelSource, Layout, Video};

/// Where to look.
pub(crate) struct Place<'a> {
    pub root: &'a Utf8Path,
    pub layout: Layout,
    pub test_folder: &'a Utf8Path,
    /// The file or folder that the user named.
    pub named: Option<&'a Utf8Path>,
}

/// Labels that were found: one entry for each test video.
pub(crate) struct Found {
    pub source: LabelSource,
    pub labels: Vec<Option<Labels>>,
    pub warnings: Vec<String>,
}

/// One set of labels on disk, in some format, for the test videos of a data set.
pub(crate) trait LabelReader {
    /// The format, in words.
    fn format(&self) -> &'static str;

    /// The file or folder, for messages.
    fn path(&self) -> &Utf8Path;

    /// The files that are read, in natural order.
    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError>;

    /// The labels of each test video, in their order.
    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError>;
}

/// Finds labels: those that the user named, or the first by precedence.
pub(crate) fn find(place: &Place<'_>, test: &[Video]) -> Result<Option<Found>, DataError> {
    let candidates = match place.named {
        Some(path) => vec![named(place, path)?],
        None => candidates(place)?,
    };
    let Some((used, others)) = candidates.split_first() else {
        return Ok(None);
    };
    let labels = used.read(test)?;
    let mut warnings = Vec::new();
    let anomalous = count(&labels);
    for other in others {
        warnings.extend(compare(used.as_ref(), &labels, other.as_ref(), test));
    }
    let files = used.files()?;
    let source = LabelSource {
        format: used.format().to_owned(),
        paths: vec![used.path().to_owned()],
        hash: hash(&files)?,
        unused: others.iter().map(|o| o.path().to_owned()).collect(),
        anomalous,
    };
    Ok(Some(Found {
        source,
        labels,
        warnings,
    }))
}

/// All labels of a data set, the best first: one `.npy` for each video, then `<folder>.mat`,
/// then others.
fn candidates(place: &Place<'_>) -> Result<Vec<Box<dyn LabelReader>>, DataError> {
    let mut found: Vec<Box<dyn LabelReader>> = Vec::new();
    if let Some(testing) = place.test_folder.parent() {
        let folder = testing.join("test_frame_mask");
        if folder.is_dir() {
            found.push(Box::new(NpyFolder { folder }));
        }
    }
    let events = place.root.join("events.csv");
    if events.is_file() {
        found.push(Box::new(EventsFile::new(place, events)));
    }
    Ok(found)
}

/// The labels in a file or folder that the user named.
fn named(place: &Place<'_>, path: &Utf8Path) -> Result<Box<dyn LabelReader>, DataError> {
    if path.is_dir() {
        return Ok(Box::new(NpyFolder {
            folder: path.to_owned(),
        }));
    }
    if !path.exists() {
        return Err(DataError::Missing {
            path: path.to_owned(),
            looked_for: "labels were looked for there".to_owned(),
        });
    }
    match extension(path).as_str() {
        "csv" => Ok(Box::new(EventsFile::new(place, path.to_owned()))),
        _ => Err(DataError::label(path, "its kind is unknown")),
    }
}

fn count(labels: &[Option<Labels>]) -> Option<usize> {
    labels.iter().flatten().map(Labels::anomalous).sum()
}

/// Compares labels that are not used with those that are.
fn compare(
    used: &dyn LabelReader,
    labels: &[Option<Labels>],
    other: &dyn LabelReader,
    test: &[Video],
) -> Option<String> {
    let others = match other.read(test) {
        Ok(others) => others,
        Err(error) => return Some(format!("labels that are not used are no good: {error}")),
    };
    let (ours, theirs) = (count(labels)?, count(&others)?);
    let differing: Vec<&str> = test
        .iter()
        .zip(labels.iter().zip(&others))
        .filter(|(_, (a, b))| differ(a.as_ref(), b.as_ref()))
        .map(|(video, _)| video.name.as_str())
        .collect();
    if differing.is_empty() {
        return None;
    }
    Some(format!(
        "labels disagree: {} has {ours} anomalous frames and is used, {} has {theirs} \
         (videos {})",
        used.path(),
        other.path(),
        differing.join(", ")
    ))
}

/// Whether two labels of one video mark other frames.
fn differ(a: Option<&Labels>, b: Option<&Labels>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return a.is_some() != b.is_some();
    };
    match (a.marked_frames(), b.marked_frames()) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}

/// Blake3 over the contents of files, each with its length: the first 16 digits.
fn hash(files: &[Utf8PathBuf]) -> Result<String, DataError> {
    let mut hasher = blake3::Hasher::new();
    for path in files {
        let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        hasher.update(&length.to_le_bytes());
        hasher.update(&bytes);
    }
    Ok(short(&hasher))
}

/// `test_frame_mask/01.npy`: one array for each video, one number for each frame.
struct NpyFolder {
    folder: Utf8PathBuf,
}

impl LabelReader for NpyFolder {
    fn format(&self) -> &'static str {
        "one .npy for each video"
    }

    fn path(&self) -> &Utf8Path {
        &self.folder
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        let mut files = list(&self.folder, "one .npy for each test video")?.files;
        files.retain(|file| extension(file) == "npy");
        Ok(files)
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let files = self.files()?;
        if files.is_empty() {
            return Err(DataError::Empty {
                path: self.folder.clone(),
                looked_for: ".npy".to_owned(),
            });
        }
        let stem = |video: &Video| stem_of(&video.name).to_owned();
        for file in &files {
            let name = file.file_stem().unwrap_or_default();
            if !test.iter().any(|video| stem(video) == name) {
                return Err(DataError::LabelVideo {
                    labels: file.clone(),
                    video: name.to_owned(),
                    looked_in: folder_of(test),
                });
            }
        }
        test.iter()
            .map(|video| {
                let file = files
                    .iter()
                    .find(|file| file.file_stem() == Some(stem(video).as_str()))
                    .ok_or_else(|| DataError::Unlabelled {
                        video: video.source.clone(),
                        labels: self.folder.clone(),
                    })?;
                let array = npy::read_file(file)?;
                Ok(Some(Labels::frames(file, one_video(file, array)?)))
            })
            .collect()
    }
}

/// The values of one video: a flat array, or one with a single row or column.
fn one_video(file: &Utf8Path, array: npy::Flags) -> Result<Vec<bool>, DataError> {
    if array.shape.iter().filter(|&&n| n != 1).count() > 1 {
        return Err(DataError::label(
            file,
            format!(
                "its shape is {:?}; one value for each frame of one video was expected",
                array.shape
            ),
        ));
    }
    Ok(array.values)
}

/// A video's name without the extension of its file.
pub(crate) fn stem_of(name: &str) -> &str {
    let path = Utf8Path::new(name);
    if msn_video::is_video_file(path) {
        path.file_stem().unwrap_or(name)
    } else {
        path.file_name().unwrap_or(name)
    }
}

/// The folder of the test videos, for messages.
fn folder_of(test: &[Video]) -> Utf8PathBuf {
    test.first()
        .and_then(|video| video.source.parent())
        .unwrap_or(Utf8Path::new("."))
        .to_owned()
}

/// `events.csv`: spans by the path of their video.
struct EventsFile {
    path: Utf8PathBuf,
    test_folder: Utf8PathBuf,
}

impl EventsFile {
    fn new(place: &Place<'_>, path: Utf8PathBuf) -> Self {
        Self {
            path,
            test_folder: place.test_folder.to_owned(),
        }
    }
}

impl LabelReader for EventsFile {
    fn format(&self) -> &'static str {
        "events.csv"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let mut events = events::read_file(&self.path)?;
        let labels = test
            .iter()
            .map(|video| {
                let spans = events
                    .remove(&video.name)
                    .map_or_else(Vec::new, |(_, s)| s);
                Some(Labels::spans(&self.path, spans))
            })
            .collect();
        if let Some((video, (line, _))) = events.into_iter().next() {
            return Err(DataError::LabelVideo {
                labels: self.path.clone(),
                video: format!("{video} (line {line})"),
                looked_in: self.test_folder.clone(),
            });
        }
        Ok(labels)
    }
}
