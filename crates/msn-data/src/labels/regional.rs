//! Labels with regions in the frame: masks and boxes.

use camino::{Utf8Path, Utf8PathBuf};

use super::find::{LabelReader, LabelSearch};
use super::masks::Masks;
use super::names::{assign, stem_of};
use super::{Annotation, Extent, LabelSpan, Labels, tracks};
use crate::folder::{extension, list};
use crate::regions::{named_boxes, object_spans};
use crate::text::read_text;
use crate::{DataError, DatasetLayout, RegionSource, Video};

/// Regions of the test videos from one place on disk.
pub(crate) struct RegionSet {
    pub format: &'static str,
    pub path: Utf8PathBuf,
    /// For each test video.
    pub sources: Vec<Option<RegionSource>>,
    /// Whether a video without regions is normal.
    pub rest_is_normal: bool,
}

impl RegionSet {
    /// Whether the regions determine which frames of every video are anomalous.
    pub fn is_complete(&self) -> bool {
        self.rest_is_normal || self.sources.iter().all(Option::is_some)
    }
}

impl LabelReader for RegionSet {
    fn format(&self) -> &'static str {
        self.format
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        let mut files = Vec::new();
        for source in self.sources.iter().flatten() {
            match source {
                RegionSource::Masks(masks) => files.extend(masks.files()?),
                other => files.push(other.path().to_owned()),
            }
        }
        Ok(files)
    }

    fn is_quick(&self) -> bool {
        !self
            .sources
            .iter()
            .flatten()
            .any(|source| matches!(source, RegionSource::Masks(_)))
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        test.iter()
            .zip(&self.sources)
            .map(|(video, source)| match source {
                Some(source) => labels(source).map(Some),
                None if self.rest_is_normal => Ok(Some(Labels::spans(&self.path, Vec::new()))),
                None => Err(DataError::Unlabelled {
                    video: video.source.clone(),
                    labels: self.path.clone(),
                }),
            })
            .collect()
    }
}

/// The frame labels that regions imply.
fn labels(source: &RegionSource) -> Result<Labels, DataError> {
    let wrong = |file: &Utf8PathBuf, reason| DataError::label(file, reason);
    Ok(match source {
        RegionSource::Masks(masks) => Labels {
            file: masks.path().to_owned(),
            annotation: Annotation::Masks(masks.clone()),
            fallback_rate_hz: None,
        },
        RegionSource::NamedBoxes { file, frames } => {
            Labels::spans(file, tracks::spans(&named_boxes(file, frames)?))
        }
        RegionSource::CorneredBoxes { file } => {
            let boxes =
                tracks::cornered_boxes(&read_text(file)?).map_err(|reason| wrong(file, reason))?;
            Labels::spans(file, tracks::spans(&boxes))
        }
        RegionSource::Objects { file, .. } => {
            let spans = object_spans(file)?.into_iter().map(|span| LabelSpan {
                extent: Extent::Frames(span.first..span.last + 1),
                kind: None,
            });
            Labels::spans(file, spans.collect())
        }
    })
}

/// All regions of a data set that lie where they are known to lie, tracks before masks.
pub(crate) fn region_sets(
    search: &LabelSearch<'_>,
    test: &[Video],
) -> Result<Vec<RegionSet>, DataError> {
    let mut sets = Vec::new();
    if search.layout == DatasetLayout::UbNormal {
        sets.extend(objects(search, test)?);
    }
    sets.extend(named_box_files(search, test));
    for folder in search.folders().map(|folder| folder.join("tracks")) {
        if folder.is_dir() {
            sets.push(cornered_box_files(&folder, test)?);
        }
    }
    sets.extend(pictures(search, test));
    for folder in search.folders() {
        let folder = folder.join("test_pixel_mask");
        if folder.is_dir() {
            sets.push(npy_masks(&folder, test)?);
        }
    }
    // The owners of Avenue publish the labels apart, so they may lie beside the folder.
    let beside = search.root.file_name().and(search.root.parent());
    let beside = beside.filter(|_| search.layout == DatasetLayout::AvenueOriginal);
    for folder in search.folders().chain(beside) {
        for name in ["ground_truth_demo/testing_label_mask", "testing_label_mask"] {
            let folder = folder.join(name);
            if folder.is_dir() {
                sets.push(mat_masks(&folder, test)?);
            }
        }
    }
    Ok(sets)
}

/// UBnormal: `<name>_annotations/<name>_tracks.txt` beside each abnormal video.
fn objects(search: &LabelSearch<'_>, test: &[Video]) -> Result<Option<RegionSet>, DataError> {
    let mut sources = Vec::new();
    let mut missing = None;
    for video in test {
        let folder = video
            .source
            .with_file_name(format!("{}_annotations", video.name));
        let file = folder.join(format!("{}_tracks.txt", video.name));
        sources.push(if file.is_file() {
            Some(RegionSource::Objects {
                file,
                name: video.name.clone(),
            })
        } else {
            if video.name.starts_with("abnormal") {
                missing.get_or_insert((video.source.clone(), file));
            }
            None
        });
    }
    match missing {
        _ if sources.iter().all(Option::is_none) => Ok(None),
        Some((video, labels)) => Err(DataError::Unlabelled { video, labels }),
        None => Ok(Some(RegionSet {
            format: "annotated objects (tracks.txt)",
            path: search.root.to_owned(),
            sources,
            rest_is_normal: true,
        })),
    }
}

/// Street Scene: `Test001_gt.txt` in the folder of the frames or beside it.
fn named_box_files(search: &LabelSearch<'_>, test: &[Video]) -> Option<RegionSet> {
    let sources: Vec<_> = test
        .iter()
        .map(|video| {
            let name = format!("{}_gt.txt", stem_of(video));
            [video.source.join(&name), search.test_folder.join(&name)]
                .into_iter()
                .find(|file| file.is_file())
                .map(|file| RegionSource::NamedBoxes {
                    file,
                    frames: video.source.clone(),
                })
        })
        .collect();
    sources.iter().any(Option::is_some).then(|| RegionSet {
        format: "boxes of tracks (_gt.txt)",
        path: search.test_folder.to_owned(),
        sources,
        rest_is_normal: false,
    })
}

/// `tracks/01_0014.txt`: boxes by their corners.
pub(crate) fn cornered_box_files(
    folder: &Utf8Path,
    test: &[Video],
) -> Result<RegionSet, DataError> {
    let files = of_kind(folder, "txt")?;
    let files = assign(&files, test, folder)?;
    Ok(RegionSet {
        format: "boxes of tracks (.txt)",
        path: folder.to_owned(),
        sources: files
            .into_iter()
            .map(|file| Some(RegionSource::CorneredBoxes { file }))
            .collect(),
        rest_is_normal: false,
    })
}

/// Folders of mask pictures: `masks/01`, or `Test001_gt` beside the frames.
fn pictures(search: &LabelSearch<'_>, test: &[Video]) -> Option<RegionSet> {
    let mut used = None;
    let sources: Vec<_> = test
        .iter()
        .map(|video| {
            let name = stem_of(video);
            let beside = [(
                search.test_folder.to_owned(),
                search.test_folder.join(format!("{name}_gt")),
            )];
            let inside = search.folders().map(|folder| {
                let masks = folder.join("masks");
                let folder = masks.join(name);
                (masks, folder)
            });
            let (path, folder) = inside.chain(beside).find(|(_, folder)| folder.is_dir())?;
            used.get_or_insert(path);
            Some(RegionSource::Masks(Masks::pictures(folder)))
        })
        .collect();
    used.map(|path| RegionSet {
        format: "mask pictures",
        path,
        sources,
        rest_is_normal: false,
    })
}

/// A folder that holds a folder of mask pictures for each video.
pub(crate) fn picture_folders(folder: &Utf8Path, test: &[Video]) -> Result<RegionSet, DataError> {
    let folders = list(folder, "a folder of masks for each test video")?.folders;
    let folders = assign(&folders, test, folder)?;
    Ok(masks("mask pictures", folder, folders, Masks::pictures))
}

/// `test_pixel_mask/01_0014.npy`: frames x height x width.
pub(crate) fn npy_masks(folder: &Utf8Path, test: &[Video]) -> Result<RegionSet, DataError> {
    let files = assign(&of_kind(folder, "npy")?, test, folder)?;
    Ok(masks(
        "one .npy of masks for each video",
        folder,
        files,
        Masks::npy,
    ))
}

/// `testing_label_mask/1_label.mat`: the cell `volLabel`.
pub(crate) fn mat_masks(folder: &Utf8Path, test: &[Video]) -> Result<RegionSet, DataError> {
    let files = assign(&of_kind(folder, "mat")?, test, folder)?;
    Ok(masks(
        "one .mat of masks (`volLabel`) for each video",
        folder,
        files,
        Masks::mat,
    ))
}

fn masks(
    format: &'static str,
    path: &Utf8Path,
    files: Vec<Utf8PathBuf>,
    open: fn(Utf8PathBuf) -> Masks,
) -> RegionSet {
    RegionSet {
        format,
        path: path.to_owned(),
        sources: files
            .into_iter()
            .map(|file| Some(RegionSource::Masks(open(file))))
            .collect(),
        rest_is_normal: false,
    }
}

/// The files of a kind in a folder.
fn of_kind(folder: &Utf8Path, kind: &str) -> Result<Vec<Utf8PathBuf>, DataError> {
    let mut files = list(folder, "labels of the test videos")?.files;
    files.retain(|file| extension(file) == kind);
    Ok(files)
}
