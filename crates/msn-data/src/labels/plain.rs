//! Frame labels without a data set: for the scores of any method.

use camino::{Utf8Path, Utf8PathBuf};

use super::Timing;
use super::find::{LabelSearch, named};
use crate::{DataError, DatasetLayout, Video};

/// Reads the frame labels of `videos`, each a name and its number of frames, in the order in
/// which a file without names holds them.
///
/// `path` is a file of labels of all videos (`.npy`, `.npz`, `.mat`, `.m`, or an `events.csv` in
/// frames), or a folder with a file for each (`.npy`, `.mat` of masks, `.txt` of boxes, a folder
/// of mask pictures).
///
/// # Errors
/// [`DataError::Label`] for unreadable labels, [`DataError::LabelLength`] and its kin where they
/// do not fit the videos, [`DataError::Io`] where a file can't be read.
pub fn read_frame_labels(
    path: &Utf8Path,
    videos: &[(&str, usize)],
) -> Result<Vec<Vec<bool>>, DataError> {
    // Where there are scores alone, they stand for the videos in messages.
    let scores = Utf8PathBuf::from("scores");
    let test: Vec<Video> = videos
        .iter()
        .map(|&(name, _)| Video::new(name, scores.join(name)))
        .collect();
    let counts: Vec<usize> = videos.iter().map(|&(_, frames)| frames).collect();
    let search = LabelSearch {
        root: &scores,
        name: "",
        layout: DatasetLayout::Own,
        test_folder: &scores,
        named: Some(path),
        counts: Some(&counts),
    };
    let labels = named(&search, path, &test)?.read(&test)?;
    let fitted = test.iter().zip(labels).zip(counts);
    fitted
        .map(|((video, labels), frames)| {
            let labels = labels.ok_or_else(|| DataError::Unlabelled {
                video: video.source.clone(),
                labels: path.to_owned(),
            })?;
            let seconds = vec![None; frames];
            let timing = Timing {
                source: &video.source,
                seconds: &seconds,
                rate_hz: None,
            };
            Ok(labels.fit(&timing)?.anomalous)
        })
        .collect()
}
