//! Labels in one file that lists the spans of all videos.

use camino::{Utf8Path, Utf8PathBuf};

use super::find::LabelReader;
use super::names::folder_of;
use super::{Labels, events, matlab};
use crate::{DataError, Video};

/// A `.mat` with the cell `gt`, an element for each video in natural order.
pub(crate) struct GtFile {
    pub path: Utf8PathBuf,
}

impl LabelReader for GtFile {
    fn format(&self) -> &'static str {
        "one .mat with the cell `gt`"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        in_order(&self.path, matlab::read_gt(&self.path)?, test)
    }
}

/// The script of UCSD, a statement for each video in natural order.
pub(crate) struct ScriptFile {
    pub path: Utf8PathBuf,
}

impl LabelReader for ScriptFile {
    fn format(&self) -> &'static str {
        "one .m script"
    }

    fn path(&self) -> &Utf8Path {
        &self.path
    }

    fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        Ok(vec![self.path.clone()])
    }

    fn read(&self, test: &[Video]) -> Result<Vec<Option<Labels>>, DataError> {
        in_order(&self.path, matlab::read_script(&self.path)?, test)
    }
}

/// Gives the spans of each video to the videos in their order.
fn in_order(
    path: &Utf8Path,
    videos: matlab::VideoSpans,
    test: &[Video],
) -> Result<Vec<Option<Labels>>, DataError> {
    if videos.len() != test.len() {
        return Err(DataError::LabelCount {
            labels: path.to_owned(),
            labelled: videos.len(),
            videos: folder_of(test),
            found: test.len(),
        });
    }
    Ok(videos
        .into_iter()
        .map(|spans| Some(Labels::spans(path, spans)))
        .collect())
}

/// `events.csv`: spans by the path of their video. A video that it does not name is normal.
pub(crate) struct EventsFile {
    pub path: Utf8PathBuf,
    pub test_folder: Utf8PathBuf,
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
        let names: Vec<&str> = test.iter().map(|video| video.name.as_str()).collect();
        let found = events.take(&names).into_iter();
        let labels = found
            .map(|video| Some(Labels::spans(&self.path, video.spans)))
            .collect();
        match events.0.into_iter().next() {
            None => Ok(labels),
            Some((video, spans)) => Err(DataError::LabelVideo {
                labels: self.path.clone(),
                video: format!("{video} (line {})", spans.line),
                looked_in: self.test_folder.clone(),
            }),
        }
    }
}
