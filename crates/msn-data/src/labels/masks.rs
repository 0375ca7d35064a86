//! Pixel masks: one for each frame of a video.

use std::ops::ControlFlow;

use camino::{Utf8Path, Utf8PathBuf};
use image::DynamicImage;
use msn_video::Size;

use super::mat::{Numbers, visit_cell};
use super::npy::MaskStream;
use crate::folder::{extension, list};
use crate::{DataError, LabelError};

/// A mask of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Width and height.
    pub size: Size,
    /// Width x height values, row by row, true where anomalous.
    pub pixels: Vec<bool>,
}

impl Mask {
    /// Whether any pixel is anomalous.
    #[must_use]
    pub fn any(&self) -> bool {
        self.pixels.contains(&true)
    }
}

/// The pixel masks of one video, read on demand and one at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masks {
    path: Utf8PathBuf,
    store: Store,
}

/// How masks are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Store {
    /// A picture for each frame; true is any pixel that is not black.
    Pictures,
    /// An array of frames x height x width.
    Npy,
    /// The cell `volLabel` of a MAT file, an element for each frame.
    Mat,
}

impl Masks {
    /// The masks in a folder of pictures (`.png`, `.bmp`, `.tif`), in natural order.
    pub(crate) fn pictures(path: impl Into<Utf8PathBuf>) -> Self {
        Self {
            path: path.into(),
            store: Store::Pictures,
        }
    }

    /// The masks in an `.npy` of frames x height x width.
    pub(crate) fn npy(path: impl Into<Utf8PathBuf>) -> Self {
        Self {
            path: path.into(),
            store: Store::Npy,
        }
    }

    /// The masks in the cell `volLabel` of a MAT file.
    pub(crate) fn mat(path: impl Into<Utf8PathBuf>) -> Self {
        Self {
            path: path.into(),
            store: Store::Mat,
        }
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The files that are read.
    pub(crate) fn files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        match self.store {
            Store::Pictures => self.picture_files(),
            Store::Npy | Store::Mat => Ok(vec![self.path.clone()]),
        }
    }

    /// Shows the mask of each frame in order, with the frame's index, until the visitor breaks.
    /// Returns the number of masks.
    ///
    /// # Errors
    /// [`DataError::Label`] and [`DataError::Io`] for files that can't be used.
    pub fn visit(
        &self,
        visit: &mut dyn FnMut(usize, Mask) -> ControlFlow<()>,
    ) -> Result<usize, DataError> {
        match self.store {
            Store::Pictures => self.visit_pictures(visit),
            Store::Npy => self.visit_npy(visit),
            Store::Mat => self.visit_mat(visit),
        }
    }

    /// The mask of one frame, or nothing behind the last.
    ///
    /// Masks in arrays are read from the start up to the frame.
    ///
    /// # Errors
    /// Those of [`Masks::visit`].
    pub fn mask(&self, frame: usize) -> Result<Option<Mask>, DataError> {
        if self.store == Store::Pictures {
            let files = self.picture_files()?;
            return files.get(frame).map(|file| picture(file)).transpose();
        }
        let mut found = None;
        self.visit(&mut |index, mask| {
            if index < frame {
                return ControlFlow::Continue(());
            }
            found = Some(mask);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// For each frame, whether any pixel is anomalous.
    pub(crate) fn frames(&self) -> Result<Vec<bool>, DataError> {
        let mut frames = Vec::new();
        self.visit(&mut |_, mask| {
            frames.push(mask.any());
            ControlFlow::Continue(())
        })?;
        Ok(frames)
    }

    fn picture_files(&self) -> Result<Vec<Utf8PathBuf>, DataError> {
        let mut files = list(&self.path, "a picture with the mask of each frame")?.files;
        files.retain(|file| matches!(extension(file).as_str(), "png" | "bmp" | "tif" | "tiff"));
        if files.is_empty() {
            return Err(DataError::Empty {
                path: self.path.clone(),
                looked_for: "mask (.png, .bmp or .tif)".to_owned(),
            });
        }
        Ok(files)
    }

    fn visit_pictures(
        &self,
        visit: &mut dyn FnMut(usize, Mask) -> ControlFlow<()>,
    ) -> Result<usize, DataError> {
        let files = self.picture_files()?;
        for (index, file) in files.iter().enumerate() {
            if visit(index, picture(file)?).is_break() {
                break;
            }
        }
        Ok(files.len())
    }

    fn visit_npy(
        &self,
        visit: &mut dyn FnMut(usize, Mask) -> ControlFlow<()>,
    ) -> Result<usize, DataError> {
        let mut stream = MaskStream::open(&self.path)?;
        let [frames, height, width] = stream.shape;
        let size = self.size(width, height)?;
        for index in 0..frames {
            let pixels = stream
                .next_frame()
                .map_err(|reason| DataError::label(&self.path, reason))?;
            if visit(index, Mask { size, pixels }).is_break() {
                break;
            }
        }
        Ok(frames)
    }

    fn visit_mat(
        &self,
        visit: &mut dyn FnMut(usize, Mask) -> ControlFlow<()>,
    ) -> Result<usize, DataError> {
        let file =
            std::fs::File::open(&self.path).map_err(|e| DataError::io(&self.path, "read", e))?;
        let mut failure = None;
        let count = visit_cell(
            std::io::BufReader::new(file),
            "volLabel",
            &mut |index, numbers| match self.matrix(index, &numbers) {
                Ok(mask) => visit(index, mask),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
        )
        .map_err(|reason| DataError::label(&self.path, reason))?;
        match failure {
            Some(error) => Err(error),
            None => Ok(count),
        }
    }

    /// A matrix in column-major order as a mask.
    fn matrix(&self, index: usize, numbers: &Numbers) -> Result<Mask, DataError> {
        let &[height, width] = &numbers.dims[..] else {
            return Err(DataError::label(
                &self.path,
                LabelError::MaskShape {
                    number: index + 1,
                    shape: numbers.dims.clone(),
                },
            ));
        };
        let pixels = (0..height)
            .flat_map(|row| (0..width).map(move |column| column * height + row))
            .map(|at| numbers.values.get(at).is_some_and(|&value| value != 0.0))
            .collect();
        let size = self.size(width, height)?;
        Ok(Mask { size, pixels })
    }

    fn size(&self, width: usize, height: usize) -> Result<Size, DataError> {
        match (u32::try_from(width), u32::try_from(height)) {
            (Ok(width), Ok(height)) => Ok(Size { width, height }),
            _ => Err(DataError::label(&self.path, LabelError::LargeMask)),
        }
    }
}

/// Reads a mask from a picture: any pixel with a channel above 0 is anomalous.
fn picture(path: &Utf8Path) -> Result<Mask, DataError> {
    let image = decode(path)?;
    let size = Size {
        width: image.width(),
        height: image.height(),
    };
    let pixels = match &image {
        DynamicImage::ImageLuma8(grey) => grey.as_raw().iter().map(|&v| v != 0).collect(),
        other => other
            .to_rgb16()
            .pixels()
            .map(|pixel| pixel.0 != [0, 0, 0])
            .collect(),
    };
    Ok(Mask { size, pixels })
}

/// Decodes a label picture.
pub(crate) fn decode(path: &Utf8Path) -> Result<DynamicImage, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    image::load_from_memory(&bytes).map_err(|e| DataError::label(path, e))
}
