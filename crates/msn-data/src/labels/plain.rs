//! Frame labels without a data set: for the scores of any method.

use camino::Utf8Path;

use super::names::stem_of;
use super::npy::{self, Contents, Flags};
use crate::DataError;

/// Reads the frame labels of `videos`, each a name and its number of frames, in the order in which
/// the file holds them: a `.npy` of all frames one after the other or of an object for each video,
/// or a folder of one `.npy` for each.
///
/// # Errors
/// [`DataError::Label`] where the labels are unreadable or of another number of frames,
/// [`DataError::Io`] and its kin where a file can't be read.
pub fn read_frame_labels(
    path: &Utf8Path,
    videos: &[(&str, usize)],
) -> Result<Vec<Vec<bool>>, DataError> {
    if path.is_dir() {
        return videos
            .iter()
            .map(|&(name, frames)| {
                let file = path.join(format!("{}.npy", stem_of(name)));
                match npy::read_file(&file)? {
                    Contents::Flags(flags) => fitting(&file, name, flags, frames),
                    Contents::Objects(_) => Err(DataError::label(
                        &file,
                        "it holds objects; one number for each frame was expected",
                    )),
                }
            })
            .collect();
    }
    match npy::read_file(path)? {
        Contents::Objects(objects) if objects.len() == videos.len() => objects
            .into_iter()
            .zip(videos)
            .map(|(flags, &(name, frames))| fitting(path, name, flags, frames))
            .collect(),
        Contents::Objects(objects) => Err(DataError::label(
            path,
            format!(
                "it holds {} videos, the scores {}",
                objects.len(),
                videos.len()
            ),
        )),
        Contents::Flags(flags) => {
            let frames = videos.iter().map(|v| v.1).sum::<usize>();
            let mut rest = fitting(path, "all videos together", flags, frames)?;
            let split = videos.iter().map(|&(_, frames)| {
                let tail = rest.split_off(frames);
                std::mem::replace(&mut rest, tail)
            });
            Ok(split.collect())
        }
    }
}

fn fitting(
    path: &Utf8Path,
    name: &str,
    flags: Flags,
    frames: usize,
) -> Result<Vec<bool>, DataError> {
    if !flags.is_flat() || !flags.binary {
        return Err(DataError::label(
            path,
            "one 0 or 1 for each frame was expected",
        ));
    }
    if flags.values.len() != frames {
        let found = flags.values.len();
        return Err(DataError::label(
            path,
            format!("it has {found} frames for {name}, the scores end after {frames}"),
        ));
    }
    Ok(flags.values)
}
