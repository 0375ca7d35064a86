//! Picture strips: what the network predicts of a few held-out clips.

use anyhow::Result;
use camino::{Utf8Path, Utf8PathBuf};
use msn_data::{LoadedVideo, Split, clips};
use msn_eval::write_file;
use msn_model::{Clips, Predictor};
use msn_train::{Feed, Settings};

use crate::picture::Grid;

/// Clips of a strip.
const CLIPS: usize = 3;

/// Rows of oldest past frame, newest past frame, truth, prediction and error, one a clip.
pub(crate) struct Strip {
    folder: Utf8PathBuf,
    clips: Clips,
}

impl Strip {
    /// Of clips spread over what is held out, whole frames; `None` where nothing is.
    pub fn new(
        run: &Utf8Path,
        settings: &Settings,
        videos: &[LoadedVideo],
        held: &Split,
    ) -> Result<Option<Self>> {
        let feed = Feed {
            videos,
            net: &settings.net,
            stride: settings.input.stride,
            crop: 0,
            flip: false,
            brightness: 0.0,
            seed: settings.train.seed,
        };
        let all = clips(&held.calibration, settings.net.frames, feed.stride);
        if all.is_empty() {
            return Ok(None);
        }
        let spread = (0..CLIPS).map(|i| all[(2 * i + 1) * all.len() / (2 * CLIPS)]);
        Ok(Some(Self {
            folder: run.join("strips"),
            clips: feed.batch(&spread.collect::<Vec<_>>(), 0)?,
        }))
    }

    /// Writes `strips/epoch-NNNN.png`.
    pub fn draw(&self, epoch: usize, predictor: &dyn Predictor) -> Result<()> {
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
        let maps = predictor.maps(self.clips.clone())?;
        for (row, ((past, truth), maps)) in rows.zip(&maps).enumerate() {
            grid.put_frame([row, 0], &past[..frame]);
            grid.put_frame([row, 1], &past[past.len() - frame..]);
            grid.put_frame([row, 2], truth);
            grid.put_frame([row, 3], &maps.prediction);
            grid.put_error([row, 4], &maps.error);
        }
        let path = self.folder.join(format!("epoch-{epoch:04}.png"));
        Ok(write_file(&path, &grid.png()?)?)
    }
}

/// The newest strip of a run folder: its PNG, and what it is.
pub(crate) fn newest(run: &Utf8Path) -> Option<(Vec<u8>, String)> {
    let entries = run.join("strips").read_dir_utf8().ok()?;
    let number = |path: &Utf8PathBuf| path.file_stem()?.strip_prefix("epoch-")?.parse().ok();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let (epoch, path): (usize, _) = paths.filter_map(|p| Some((number(&p)?, p))).max()?;
    let caption = format!(
        "Normal clips that were held out from training, after epoch {epoch}, a row each: oldest \
         and newest past frame, the true next frame, its prediction, and the error (white: a \
         quarter of the brightness range or more)."
    );
    Some((std::fs::read(path).ok()?, caption))
}
