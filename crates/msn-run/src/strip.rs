//! Picture strips: what the network predicts of a few clips of the calibration split.

use camino::Utf8PathBuf;
use msn_data::{LoadedVideo, Split, clips};
use msn_model::{Clips, Predictor};
use msn_train::{Feed, Settings};

use crate::{RunError, RunFolder, files::write_file, picture::Grid};

/// Clips of a strip.
const CLIPS: usize = 3;

/// Rows of oldest past frame, newest past frame, truth, prediction and error, one a clip.
pub(crate) struct Strip {
    folder: Utf8PathBuf,
    clips: Clips,
}

impl Strip {
    /// Of whole clips spread over the calibration split; `None` where it has none.
    pub fn new(
        folder: &RunFolder,
        settings: &Settings,
        videos: &[LoadedVideo],
        split: &Split,
    ) -> Result<Option<Self>, RunError> {
        let feed = Feed::whole_frames(settings, videos);
        let all = clips(&split.calibration, settings.net.frames, feed.stride);
        if all.is_empty() {
            return Ok(None);
        }
        let spread = (0..CLIPS).map(|i| all[(2 * i + 1) * all.len() / (2 * CLIPS)]);
        Ok(Some(Self {
            folder: folder.path().join("strips"),
            clips: feed.batch(&spread.collect::<Vec<_>>(), 0)?,
        }))
    }

    /// Writes `strips/epoch-NNNN.png`.
    pub fn draw(&self, epoch: usize, predictor: &dyn Predictor) -> Result<(), RunError> {
        let Clips {
            count,
            height,
            width,
            frames,
            target,
        } = &self.clips;
        let frame = target.len() / count;
        let rows = frames.chunks_exact(frames.len() / count);
        let rows = rows.zip(target.chunks_exact(frame));
        let mut grid = Grid::new([*count, 5], [*height, *width]);
        let predictions = predictor.predict(&self.clips)?;
        for (row, ((past, truth), prediction)) in rows.zip(&predictions).enumerate() {
            grid.put_frame([row, 0], &past[..frame]);
            grid.put_frame([row, 1], &past[past.len() - frame..]);
            grid.put_frame([row, 2], truth);
            grid.put_frame([row, 3], &prediction.planes);
            grid.put_error([row, 4], &prediction.squared_error(truth));
        }
        let path = self.folder.join(format!("epoch-{epoch:04}.png"));
        write_file(&path, &grid.png()?)
    }
}

/// The newest strip of a run folder: its PNG, and what it is.
pub(crate) fn newest(folder: &RunFolder) -> Option<(Vec<u8>, String)> {
    let entries = folder.path().join("strips").read_dir_utf8().ok()?;
    let number = |path: &Utf8PathBuf| path.file_stem()?.strip_prefix("epoch-")?.parse().ok();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let (epoch, path): (usize, _) = paths.filter_map(|p| Some((number(&p)?, p))).max()?;
    let caption = format!(
        "Normal clips of the calibration split, after epoch {epoch}, a row each: oldest \
         and newest past frame, the true next frame, its prediction, and the error (white: a \
         quarter of the brightness range or more)."
    );
    Some((std::fs::read(path).ok()?, caption))
}
