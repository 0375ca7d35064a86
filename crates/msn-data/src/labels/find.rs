//! Finds the labels of a data set, by precedence, and compares what else there is.

use camino::{Utf8Path, Utf8PathBuf};

use super::arrays::{ArrayFile, NpyFolder, NpzFile};
use super::lists::{EventsFile, GtFile, ScriptFile};
use super::matlab::may_hold_labels;
use super::npy::MaskStream;
use super::regional::{cornered_box_files, mat_masks, npy_masks, picture_folders, region_sets};
use super::ucf::{UcfFile, is_annotation};
use super::unread::unread;
use super::{LabelError, Labels};
use crate::folder::{extension, list};
use crate::video::short;
use crate::{DataError, DatasetLayout, LabelSource, PassedOver, RegionSource, Video};

/// Where to look.
pub(crate) struct LabelSearch<'a> {
    pub root: &'a Utf8Path,
    pub name: &'a str,
    pub layout: DatasetLayout,
    pub test_folder: &'a Utf8Path,
    /// The file or folder that the user named.
    pub named: Option<&'a Utf8Path>,
    /// The frames of each test video, where they are known without looking at it.
    pub counts: Option<&'a [usize]>,
}

impl LabelSearch<'_> {
    /// Folders of the data set in which labels lie, each once.
    pub fn folders(&self) -> impl Iterator<Item = &Utf8Path> {
        let above = self.test_folder.parent().filter(|&f| f != self.root);
        let inside = Some(self.test_folder).filter(|&f| f != self.root);
        [Some(self.root), above, inside].into_iter().flatten()
    }
}

/// Labels that were found.
pub(crate) struct Found {
    pub source: Option<LabelSource>,
    /// One entry for each test video.
    pub labels: Vec<Option<Labels>>,
    /// One entry for each test video.
    pub regions: Vec<Option<RegionSource>>,
    /// Files that may hold labels and are not read.
    pub unread: Vec<PassedOver>,
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

    /// Whether reading takes moments, so that labels that are not used are compared too.
    fn is_quick(&self) -> bool {
        true
    }

    /// The labels of each test video, in their order.
    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError>;
}

/// Finds labels: those that the user named, or the first by precedence.
pub(crate) fn find(search: &LabelSearch<'_>, test: &[Video]) -> Result<Found, DataError> {
    let mut found = Found {
        source: None,
        labels: vec![None; test.len()],
        regions: vec![None; test.len()],
        unread: Vec::new(),
        warnings: Vec::new(),
    };
    if test.is_empty() {
        return Ok(found);
    }
    let mut candidates = Vec::new();
    if let Some(path) = search.named {
        candidates.push(named(search, path, test)?);
    }
    candidates.extend(files(search)?);
    // What the user named decides; regions elsewhere that are no good are only mentioned.
    let sets = match region_sets(search, test) {
        Ok(sets) => sets,
        Err(error) if candidates.is_empty() => return Err(error),
        Err(error) => {
            found
                .warnings
                .push(format!("regions that are not used are no good: {error}"));
            Vec::new()
        }
    };
    if let Some(set) = sets.first() {
        found.regions.clone_from(&set.sources);
    }
    for set in sets {
        if set.is_complete() {
            candidates.push(Box::new(set));
        }
    }
    if let Some(path) = search.named {
        let named = path.canonicalize_utf8().ok();
        let mut first = true;
        candidates.retain(|candidate| {
            std::mem::take(&mut first) || candidate.path().canonicalize_utf8().ok() != named
        });
    }
    let read: Vec<Utf8PathBuf> = candidates.iter().map(|c| c.path().to_owned()).collect();
    found.unread = unread(search, &read)?;
    let Some((used, others)) = candidates.split_first() else {
        return Ok(found);
    };
    found.labels = used.read(test)?;
    for other in others {
        let warning = compare(used.as_ref(), &found.labels, other.as_ref(), test);
        found.warnings.extend(warning);
    }
    found.source = Some(LabelSource {
        format: used.format().to_owned(),
        paths: vec![used.path().to_owned()],
        hash: hash(&used.files()?)?,
        unused: others.iter().map(|o| o.path().to_owned()).collect(),
        anomalous: count(&found.labels),
    });
    Ok(found)
}

/// All label files of a data set, the best first: one `.npy` for each video, then
/// `<folder>.mat`, then others.
fn files(search: &LabelSearch<'_>) -> Result<Vec<Box<dyn LabelReader>>, DataError> {
    let mut found: Vec<Box<dyn LabelReader>> = Vec::new();
    for folder in search.folders() {
        let folder = folder.join("test_frame_mask");
        if folder.is_dir() {
            found.push(Box::new(NpyFolder { folder }));
        }
    }
    let beside = search.root.file_name().and(search.root.parent());
    let matlab = format!("{}.mat", search.name);
    let flat = format!("frame_labels_{}.npy", search.name);
    let first = |name: &str| {
        let here = [Some(search.root), beside];
        let mut paths = here.into_iter().flatten().map(|folder| folder.join(name));
        paths.find(|path| path.is_file())
    };
    let mut own_files = Vec::new();
    own_files.extend(first(&matlab));
    own_files.extend(Some(search.root.join("events.csv")).filter(|path| path.is_file()));
    own_files.extend(first(&flat));
    for folder in search.folders() {
        let files = list(folder, "labels were looked for there")?.files;
        own_files.extend(files.into_iter().filter(|file| is_label_file(search, file)));
    }
    let mut seen = Vec::new();
    for path in own_files {
        if seen.contains(&path) {
            continue;
        }
        seen.push(path.clone());
        found.extend(reader_of(search, path));
    }
    Ok(found)
}

/// Whether a file that lies in a data set is one of labels, by its name and a look inside.
fn is_label_file(search: &LabelSearch<'_>, file: &Utf8Path) -> bool {
    let stem = file.file_stem().unwrap_or_default();
    match extension(file).as_str() {
        "mat" | "m" => may_hold_labels(file),
        "npy" | "npz" => stem.starts_with("frame_labels") || stem == "gt" || stem == search.name,
        "txt" => is_annotation(file),
        _ => false,
    }
}

/// The reader for a file of labels of all videos, by its extension.
fn reader_of(search: &LabelSearch<'_>, path: Utf8PathBuf) -> Option<Box<dyn LabelReader>> {
    let counts = search.counts.map(<[usize]>::to_vec);
    Some(match extension(&path).as_str() {
        "npy" => Box::new(ArrayFile { path, counts }),
        "npz" => Box::new(NpzFile { path, counts }),
        "mat" => Box::new(GtFile { path }),
        "m" => Box::new(ScriptFile { path }),
        "txt" => Box::new(UcfFile { path }),
        "csv" => Box::new(EventsFile {
            path,
            test_folder: search.test_folder.to_owned(),
        }),
        _ => return None,
    })
}

/// The labels in a file or folder that the user named.
pub(crate) fn named(
    search: &LabelSearch<'_>,
    path: &Utf8Path,
    test: &[Video],
) -> Result<Box<dyn LabelReader>, DataError> {
    if path.is_file() {
        return reader_of(search, path.to_owned())
            .ok_or_else(|| DataError::label(path, LabelError::UnknownFormat));
    }
    let listing = list(path, "labels were looked for there")?;
    let first = |kind: &str| listing.files.iter().find(|file| extension(file) == kind);
    if let Some(file) = first("npy") {
        return Ok(if MaskStream::open(file).is_ok() {
            Box::new(npy_masks(path, test)?)
        } else {
            Box::new(NpyFolder {
                folder: path.to_owned(),
            })
        });
    }
    if first("mat").is_some() {
        return Ok(Box::new(mat_masks(path, test)?));
    }
    if first("txt").is_some() {
        return Ok(Box::new(cornered_box_files(path, test)?));
    }
    if !listing.folders.is_empty() {
        return Ok(Box::new(picture_folders(path, test)?));
    }
    Err(DataError::Empty {
        path: path.to_owned(),
        looked_for: "labels (.npy, .mat or .txt for each video, or folders of mask pictures)"
            .to_owned(),
    })
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
    if !other.is_quick() {
        return None;
    }
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
        "labels disagree: {} ({ours} anomalous frames) is used, {} has {theirs}; they differ in \
         {}",
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
        hasher.update_rayon(&bytes);
    }
    Ok(short(&hasher))
}
