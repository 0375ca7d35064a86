//! Labels in NumPy's files: one for each video, or one for all.

use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::find::LabelReader;
use super::names::{assign, folder_of};
use super::npy::{self, Contents, Flags};
use super::numbers::NumberArray;
use super::{Annotation, Labels};
use crate::folder::{extension, list};
use crate::load::count_frames;
use crate::{DataError, Video};

/// Why arrays can't be used as frame labels.
#[derive(Debug, thiserror::Error)]
pub enum ArrayError {
    /// An array that can't be read.
    #[error(transparent)]
    Npy(#[from] npy::NpyError),
    /// Objects where one array was expected.
    #[error("it holds {0} objects; one number for each frame was expected")]
    Objects(usize),
    /// More dimensions than frames take.
    #[error("its shape is {0:?}; one number for each frame of one video was expected")]
    Shape(Vec<usize>),
    /// Numbers that are no truth values.
    #[error("it holds other numbers than 0 and 1; one of them for each frame was expected")]
    NotBinary,
    /// An object of an array of objects.
    #[error("object {number} of it: {reason}")]
    Object {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        reason: Box<ArrayError>,
    },
    /// An array of an archive.
    #[error("array `{name}`: {reason}")]
    Array {
        /// Its name in the archive.
        name: String,
        /// What is wrong with it.
        reason: Box<ArrayError>,
    },
    /// No array of a video.
    #[error("it lacks `{0}`")]
    Missing(String),
    /// No archive.
    #[error("it is no .npz file ({0})")]
    NoArchive(zip::result::ZipError),
    /// An entry that can't be opened.
    #[error("entry {index} of it can't be read ({source})")]
    Entry {
        /// Its number, from 0.
        index: usize,
        /// The library's reason.
        source: zip::result::ZipError,
    },
    /// An array that can't be unpacked.
    #[error("array `{name}` can't be read ({source})")]
    Read {
        /// Its name in the archive.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// An archive without arrays.
    #[error("it holds no array; one for each test video was expected")]
    Empty,
}

/// `test_frame_mask/01.npy`: one array for each video, one number for each frame.
pub(crate) struct NpyFolder {
    pub folder: Utf8PathBuf,
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
        if files.is_empty() {
            return Err(DataError::Empty {
                path: self.folder.clone(),
                looked_for: ".npy with labels".to_owned(),
            });
        }
        Ok(files)
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let files = assign(&self.files()?, test, &self.folder)?;
        files
            .into_iter()
            .map(|file| {
                let flags = numbers(&file, npy::read_file(&file)?)?;
                let values = one_video(&flags).map_err(|e| DataError::label(&file, e))?;
                Ok(Some(Labels::frames(file, values)))
            })
            .collect()
    }
}

/// The numbers of a file that must hold numbers.
fn numbers(file: &Utf8Path, contents: Contents) -> Result<Flags, DataError> {
    match contents {
        Contents::Flags(flags) => Ok(flags),
        // An array of one object is that object.
        Contents::Objects(mut objects) if objects.len() == 1 => Ok(objects.remove(0)),
        Contents::Objects(objects) => {
            Err(DataError::label(file, ArrayError::Objects(objects.len())))
        }
    }
}

/// The values of one video: 0 and 1 (or 0 and 255), flat or with one row or column.
fn one_video(flags: &Flags) -> Result<Vec<bool>, ArrayError> {
    if !flags.is_flat() {
        return Err(ArrayError::Shape(flags.shape.clone()));
    }
    if !flags.binary {
        return Err(ArrayError::NotBinary);
    }
    Ok(flags.values.clone())
}

/// One `.npy` for all videos, in natural order of their names: an object or a row for each
/// video, or all frames one after the other.
pub(crate) struct ArrayFile {
    pub path: Utf8PathBuf,
    /// The frames of each video, where they are known without looking at it.
    pub counts: Option<Vec<usize>>,
}

impl LabelReader for ArrayFile {
    fn format(&self) -> &'static str {
        "one .npy for all videos"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let contents = npy::read_file(&self.path)?;
        split(&self.path, contents, test, self.counts.as_deref())
    }
}

/// Splits the labels of all videos.
fn split(
    path: &Utf8Path,
    contents: Contents,
    test: &[Video],
    counts: Option<&[usize]>,
) -> Result<Vec<Option<Labels>>, DataError> {
    let wrong = |reason: ArrayError| DataError::label(path, reason);
    match contents {
        Contents::Objects(objects) => {
            if objects.len() != test.len() {
                return Err(DataError::LabelCount {
                    labels: path.to_owned(),
                    labelled: objects.len(),
                    videos: folder_of(test),
                    found: test.len(),
                });
            }
            objects
                .iter()
                .enumerate()
                .map(|(index, flags)| {
                    let values = one_video(flags).map_err(|reason| {
                        wrong(ArrayError::Object {
                            number: index + 1,
                            reason: Box::new(reason),
                        })
                    })?;
                    Ok(Some(Labels::frames(path, values)))
                })
                .collect()
        }
        Contents::Flags(flags) => match flags.shape[..] {
            [rows, columns] if rows == test.len() && rows > 1 && columns > 1 => {
                if !flags.binary {
                    return Err(wrong(ArrayError::NotBinary));
                }
                Ok(flags
                    .values
                    .chunks_exact(columns)
                    .map(|row| Some(Labels::frames(path, row.to_vec())))
                    .collect())
            }
            _ => flat(path, &one_video(&flags).map_err(wrong)?, test, counts),
        },
    }
}

/// Splits one value for each frame of all videos.
fn flat(
    path: &Utf8Path,
    values: &[bool],
    test: &[Video],
    counts: Option<&[usize]>,
) -> Result<Vec<Option<Labels>>, DataError> {
    let counts = match counts {
        Some(counts) => counts.to_vec(),
        None => {
            let counts: Vec<_> = test.par_iter().map(count_frames).collect();
            counts.into_iter().collect::<Result<Vec<usize>, _>>()?
        }
    };
    let frames = counts.iter().sum();
    if frames != values.len() {
        return Err(DataError::LabelLength {
            labels: path.to_owned(),
            labelled: values.len(),
            video: folder_of(test),
            frames,
        });
    }
    let mut rest = values;
    let mut labels = Vec::new();
    for count in counts {
        let (video, others) = rest.split_at(count);
        labels.push(Some(Labels::frames(path, video.to_vec())));
        rest = others;
    }
    Ok(labels)
}

/// An `.npz` with an array for each video, by its name; or with one array for all.
pub(crate) struct NpzFile {
    pub path: Utf8PathBuf,
    /// The frames of each video, where they are known without looking at it.
    pub counts: Option<Vec<usize>>,
}

impl LabelReader for NpzFile {
    fn format(&self) -> &'static str {
        "one .npz for all videos"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        let bytes = std::fs::read(&self.path).map_err(|e| DataError::io(&self.path, "read", e))?;
        let wrong = |reason: ArrayError| DataError::label(&self.path, reason);
        let mut arrays = npz(&bytes).map_err(wrong)?;
        if arrays.len() == 1 && test.len() != 1 {
            let (_, contents) = arrays.remove(0);
            return split(&self.path, contents, test, self.counts.as_deref());
        }
        let names: Vec<Utf8PathBuf> = arrays.iter().map(|(name, _)| name.into()).collect();
        let assigned = assign(&names, test, &self.path)?;
        let mut labels = Vec::new();
        for name in assigned {
            let at = arrays.iter().position(|(key, _)| *key == name);
            let at = at.ok_or_else(|| wrong(ArrayError::Missing(name.to_string())))?;
            let (_, contents) = arrays.swap_remove(at);
            let flags = numbers(&self.path, contents)?;
            let values = one_video(&flags).map_err(|reason| {
                wrong(ArrayError::Array {
                    name: name.to_string(),
                    reason: Box::new(reason),
                })
            })?;
            labels.push(Some(Labels {
                file: self.path.clone(),
                annotation: Annotation::Frames(values),
                fallback_rate_hz: None,
            }));
        }
        Ok(labels)
    }
}

/// Most bytes of one array in an `.npz` of labels.
const LARGEST_ARRAY: u64 = 1 << 28;

/// The arrays of an `.npz` with their names.
pub(crate) fn npz(bytes: &[u8]) -> Result<Vec<(String, Contents)>, ArrayError> {
    let mut arrays = Vec::new();
    entries(bytes, |name, array| {
        arrays.push((name.to_owned(), npy::read(array)?));
        Ok(())
    })?;
    Ok(arrays)
}

/// The arrays of an `.npz` as numbers.
pub(crate) fn npz_numbers(bytes: &[u8]) -> Result<Vec<NumberArray>, ArrayError> {
    let mut arrays = Vec::new();
    entries(bytes, |name, array| {
        arrays.extend(npy::numbers(array, Some(name))?);
        Ok(())
    })?;
    Ok(arrays)
}

/// Visits the unpacked arrays of an `.npz`, with their names.
fn entries(
    bytes: &[u8],
    mut visit: impl FnMut(&str, &[u8]) -> Result<(), npy::NpyError>,
) -> Result<(), ArrayError> {
    let mut archive =
        zip::ZipArchive::new(std::io::Cursor::new(bytes)).map_err(ArrayError::NoArchive)?;
    let mut found = false;
    for index in 0..archive.len() {
        let entry = archive
            .by_index(index)
            .map_err(|source| ArrayError::Entry { index, source })?;
        let Some(name) = entry.name().strip_suffix(".npy").map(str::to_owned) else {
            continue;
        };
        found = true;
        let mut array = Vec::new();
        entry
            .take(LARGEST_ARRAY)
            .read_to_end(&mut array)
            .map_err(|source| ArrayError::Read {
                name: name.clone(),
                source,
            })?;
        visit(&name, &array).map_err(|reason| ArrayError::Array {
            name,
            reason: Box::new(reason.into()),
        })?;
    }
    match found {
        true => Ok(()),
        false => Err(ArrayError::Empty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = npz(&bytes);
        }
    }
}
