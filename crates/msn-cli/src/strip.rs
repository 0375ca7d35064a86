//! Picture strips: what the network predicts of a few held-out clips.

use anyhow::{Result, anyhow};
use camino::{Utf8Path, Utf8PathBuf};
use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use msn_data::{HoldOut, LoadedVideo, clips};
use msn_eval::write_file;
use msn_model::{Clips, FrameMaps, Predictor};
use msn_train::{Feed, Settings};

/// Clips of a strip.
const CLIPS: usize = 3;

/// Pixels between two pictures.
const GAP: usize = 2;

/// Root of the squared error that is drawn white; of values from 0 to 1.
const WHITE: f64 = 0.25;

/// Rows of oldest past frame, newest past frame, truth, prediction and error, one a clip.
pub(crate) struct Strip {
    folder: Utf8PathBuf,
    clips: Clips,
    past: usize,
    channels: usize,
}

impl Strip {
    /// Of clips spread over what is held out, whole frames; `None` where nothing is.
    pub fn new(
        run: &Utf8Path,
        settings: &Settings,
        videos: &[LoadedVideo],
        held: &HoldOut,
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
        let all = clips(&held.held, settings.net.frames, feed.stride);
        if all.is_empty() {
            return Ok(None);
        }
        let spread = (0..CLIPS).map(|i| all[(2 * i + 1) * all.len() / (2 * CLIPS)]);
        Ok(Some(Self {
            folder: run.join("strips"),
            clips: feed.batch(&spread.collect::<Vec<_>>(), 0)?,
            past: settings.net.frames,
            channels: settings.net.channels,
        }))
    }

    /// Writes `strips/epoch-NNNN.png`.
    pub fn draw(&self, epoch: usize, predictor: &dyn Predictor) -> Result<()> {
        let maps = predictor.maps(self.clips.clone())?;
        let path = self.folder.join(format!("epoch-{epoch:04}.png"));
        let (width, height, pixels) = self.pixels(&maps);
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(
                &pixels,
                u32::try_from(width)?,
                u32::try_from(height)?,
                ExtendedColorType::Rgb8,
            )
            .map_err(|e| anyhow!("can't write {path}: {e}"))?;
        Ok(write_file(&path, &png)?)
    }

    fn pixels(&self, maps: &[FrameMaps]) -> (usize, usize, Vec<u8>) {
        let Clips { height, width, .. } = self.clips;
        let frame = self.channels * height * width;
        let clip = self.past * frame;
        let (columns, rows) = (5, maps.len());
        let full = columns * (width + GAP) - GAP;
        let tall = rows * (height + GAP) - GAP;
        let mut pixels = vec![255; full * tall * 3];
        let mut put = |row: usize, column: usize, value: &dyn Fn(usize, usize) -> u8| {
            for (i, pixel) in (0..height * width).map(|i| (i, (i / width, i % width))) {
                let (y, x) = (
                    row * (height + GAP) + pixel.0,
                    column * (width + GAP) + pixel.1,
                );
                for c in 0..3 {
                    pixels[(y * full + x) * 3 + c] = value(c, i);
                }
            }
        };
        for (row, maps) in maps.iter().enumerate() {
            let past = &self.clips.frames[row * clip..][..clip];
            let truth = &self.clips.target[row * frame..][..frame];
            let pictures = [
                &past[..frame],
                &past[clip - frame..],
                truth,
                &maps.prediction,
            ];
            for (column, picture) in pictures.into_iter().enumerate() {
                put(row, column, &|c, i| {
                    let plane = if self.channels == 3 { c } else { 0 };
                    byte((f64::from(picture[plane * height * width + i]) + 1.0) / 2.0)
                });
            }
            put(row, 4, &|_, i| {
                byte(f64::from(maps.error.values[i]).sqrt() / WHITE)
            });
        }
        (full, tall, pixels)
    }
}

/// A grey of 0..=1.
fn byte(value: f64) -> u8 {
    // Clipped to a byte's range before it becomes one.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let byte = (value * 255.0).round().clamp(0.0, 255.0) as u8;
    byte
}

/// The newest strip of a run folder: its epoch and its PNG.
pub(crate) fn newest(run: &Utf8Path) -> Option<(usize, Vec<u8>)> {
    let entries = run.join("strips").read_dir_utf8().ok()?;
    let number = |path: &Utf8PathBuf| path.file_stem()?.strip_prefix("epoch-")?.parse().ok();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.into_path()));
    let (epoch, path): (usize, _) = paths.filter_map(|p| Some((number(&p)?, p))).max()?;
    Some((epoch, std::fs::read(path).ok()?))
}
