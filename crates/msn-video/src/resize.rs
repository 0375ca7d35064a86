//! The one resizer of the project.
//!
//! The whole picture is squashed to the target (no crop, no letterbox) by an antialiased
//! triangle filter: bilinear where it enlarges, a triangle of twice the scale where it shrinks.

use std::mem::take;

use fast_image_resize as fir;
use fir::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fir::pixels::U8;
use fir::{FilterType, ResizeAlg, ResizeOptions};

use crate::picture::bytes;
use crate::{Color, Picture, Size, VideoError};

/// Squashes pictures to one size and colour; keeps its buffers between pictures.
///
/// Colour is converted before resizing where that drops channels and after it where it adds
/// them. A picture that has the size and colour already comes back unchanged.
///
/// ```
/// use msn_video::{Color, Picture, Resizer, Size};
/// let mut resizer = Resizer::new(Size::new(8, 8), Color::Grey);
/// let small = resizer.resize(&Picture::filled(Size::new(31, 17), Color::Rgb, 90)?)?;
/// assert!(small.pixels.iter().all(|&v| v == 90));
/// # Ok::<(), msn_video::VideoError>(())
/// ```
#[derive(Debug)]
pub struct Resizer {
    size: Size,
    color: Color,
    inner: fir::Resizer,
    /// One channel of an RGB picture, and its result.
    channel: Vec<u8>,
    small: Vec<u8>,
}

/// One plane of a picture in place: rows of `stride` bytes of which `size.width` pixels count.
#[derive(Clone, Copy)]
pub(crate) struct Plane<'a> {
    pub data: &'a [u8],
    /// Bytes from one row to the next; at least the row itself.
    pub stride: usize,
    pub size: Size,
    pub color: Color,
}

/// What the resizing library refuses.
#[derive(Debug, thiserror::Error)]
enum ResizeError {
    #[error(transparent)]
    Buffer(#[from] fir::ImageBufferError),
    #[error(transparent)]
    Crop(#[from] fir::CropBoxError),
    #[error(transparent)]
    Resize(#[from] fir::ResizeError),
    #[error(transparent)]
    Range(#[from] std::num::TryFromIntError),
    #[error(transparent)]
    Size(#[from] VideoError),
}

impl Resizer {
    /// A resizer to `size` and `color`.
    pub fn new(size: Size, color: Color) -> Self {
        Self {
            size,
            color,
            inner: fir::Resizer::new(),
            channel: Vec::new(),
            small: Vec::new(),
        }
    }

    /// The size of its results.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The colour of its results.
    pub fn color(&self) -> Color {
        self.color
    }

    /// `picture` at this resizer's size and colour.
    ///
    /// # Errors
    /// [`VideoError::BadPicture`] where the values do not fit the picture's size,
    /// [`VideoError::BadSize`] where a size is empty.
    pub fn resize(&mut self, picture: &Picture) -> Result<Picture, VideoError> {
        picture.check()?;
        if picture.color == Color::Rgb && self.color == Color::Grey {
            let grey = picture.clone().into_color(Color::Grey);
            return self.resize_plane(Plane::of(&grey));
        }
        Ok(self
            .resize_plane(Plane::of(picture))?
            .into_color(self.color))
    }

    /// `plane` at this resizer's size, in the plane's own colour.
    pub(crate) fn resize_plane(&mut self, plane: Plane<'_>) -> Result<Picture, VideoError> {
        let mut pixels = vec![0; bytes(self.size, plane.color)?];
        self.resize_plane_into(plane, &mut pixels)?;
        Ok(Picture {
            size: self.size,
            color: plane.color,
            pixels,
        })
    }

    /// Writes `plane` at this resizer's size into `out`, which has exactly the bytes needed.
    pub(crate) fn resize_plane_into(
        &mut self,
        plane: Plane<'_>,
        out: &mut [u8],
    ) -> Result<(), VideoError> {
        if plane.size.is_empty() {
            return Err(VideoError::BadSize { size: plane.size });
        }
        match plane.color {
            Color::Grey => self.resize_grey(plane, out),
            Color::Rgb => self.resize_rgb(plane, out),
        }
        .map_err(|reason| VideoError::Resize {
            from: plane.size,
            to: self.size,
            reason: reason.to_string(),
        })
    }

    /// The pixel type is named here, and one kind of view is used, because fast_image_resize
    /// otherwise compiles every one of them, which takes minutes.
    fn resize_grey(&mut self, plane: Plane<'_>, out: &mut [u8]) -> Result<(), ResizeError> {
        let Size { width, height } = plane.size;
        let stride = u32::try_from(plane.stride)?;
        let rows = TypedImageRef::<U8>::from_buffer(stride, height, plane.data)?;
        let source = TypedCroppedImage::new(rows, 0, 0, width, height)?;
        let mut target = TypedImage::<U8>::from_buffer(self.size.width, self.size.height, out)?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        self.inner.resize_typed(&source, &mut target, &options)?;
        Ok(())
    }

    /// Channel by channel.
    fn resize_rgb(&mut self, plane: Plane<'_>, out: &mut [u8]) -> Result<(), ResizeError> {
        let width = usize::try_from(plane.size.width)?;
        let pixels = bytes(plane.size, Color::Grey)?;
        let (mut channel, mut small) = (take(&mut self.channel), take(&mut self.small));
        channel.resize(pixels, 0);
        small.resize(out.len() / 3, 0);
        for c in 0..3 {
            let rows = plane.data.chunks(plane.stride.max(1));
            for (row, channel) in rows.zip(channel.chunks_exact_mut(width)) {
                for (pixel, value) in row.as_chunks::<3>().0.iter().zip(channel) {
                    *value = pixel[c];
                }
            }
            let size = plane.size;
            let one = Plane {
                data: &channel,
                stride: width,
                size,
                color: Color::Grey,
            };
            self.resize_grey(one, &mut small)?;
            for (pixel, value) in out.as_chunks_mut::<3>().0.iter_mut().zip(&small) {
                pixel[c] = *value;
            }
        }
        (self.channel, self.small) = (channel, small);
        Ok(())
    }
}

impl<'a> Plane<'a> {
    /// The plane of a whole picture.
    pub(crate) fn of(picture: &'a Picture) -> Self {
        let width = usize::try_from(picture.size.width).unwrap_or(usize::MAX);
        Self {
            data: &picture.pixels,
            stride: width.saturating_mul(picture.color.channels()),
            size: picture.size,
            color: picture.color,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The filter written out plainly: separable triangle, both axes, in f64.
    fn reference(picture: &Picture, to: Size) -> Vec<f64> {
        let at = |n: u32| usize::try_from(n).unwrap();
        let channels = picture.color.channels();
        let taps = |from: u32, to: u32, i: u32| -> Vec<(usize, f64)> {
            let scale = f64::from(from) / f64::from(to);
            let radius = scale.max(1.0);
            let center = (f64::from(i) + 0.5) * scale;
            let weight = |k: u32| (1.0 - ((f64::from(k) + 0.5 - center) / radius).abs()).max(0.0);
            let sum: f64 = (0..from).map(weight).sum();
            (0..from).map(|k| (at(k), weight(k) / sum)).collect()
        };
        let mut out = Vec::new();
        for y in 0..to.height {
            let rows = taps(picture.size.height, to.height, y);
            for x in 0..to.width {
                let columns = taps(picture.size.width, to.width, x);
                for c in 0..channels {
                    let mut sum = 0.0;
                    for &(row, wy) in &rows {
                        for &(column, wx) in &columns {
                            let i = (row * at(picture.size.width) + column) * channels + c;
                            sum += wy * wx * f64::from(picture.pixels[i]);
                        }
                    }
                    out.push(sum);
                }
            }
        }
        out
    }

    fn picture(max: u32) -> impl Strategy<Value = Picture> {
        (1..max, 1..max, any::<bool>()).prop_flat_map(|(width, height, rgb)| {
            let size = Size::new(width, height);
            let color = if rgb { Color::Rgb } else { Color::Grey };
            prop::collection::vec(any::<u8>(), bytes(size, color).unwrap()).prop_map(
                move |pixels| Picture {
                    size,
                    color,
                    pixels,
                },
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn is_the_antialiased_triangle(source in picture(24), w in 1..24u32, h in 1..24u32) {
            let size = Size::new(w, h);
            let ours = Resizer::new(size, source.color).resize(&source).unwrap();
            for (ours, exact) in ours.pixels.iter().zip(reference(&source, size)) {
                prop_assert!((f64::from(*ours) - exact).abs() <= 1.51, "{} {}", ours, exact);
            }
        }

        #[test]
        fn a_flat_picture_stays_flat(v: u8, w in 1..40u32, h in 1..40u32) {
            let flat = Picture::filled(Size::new(17, 9), Color::Rgb, v).unwrap();
            let small = Resizer::new(Size::new(w, h), Color::Grey).resize(&flat).unwrap();
            prop_assert!(small.pixels.iter().all(|&p| p == v));
        }

        #[test]
        fn padding_of_rows_does_not_leak(source in picture(20), pad in 1..9usize, fill: u8) {
            let plane = Plane::of(&source);
            let channels = source.color.channels();
            let mut padded = Vec::new();
            for row in source.pixels.chunks(plane.stride) {
                padded.extend_from_slice(row);
                padded.extend(std::iter::repeat_n(fill, pad * channels));
            }
            let mut resizer = Resizer::new(Size::new(5, 6), source.color);
            let stride = plane.stride + pad * channels;
            let ours = resizer.resize_plane(Plane { data: &padded, stride, ..plane }).unwrap();
            prop_assert_eq!(ours, resizer.resize(&source).unwrap());
        }
    }

    #[test]
    fn same_size_is_the_identity() {
        let source = Picture::new(Size::new(2, 2), Color::Grey, vec![1, 200, 3, 77]).unwrap();
        assert_eq!(
            Resizer::new(source.size, Color::Grey)
                .resize(&source)
                .unwrap(),
            source
        );
    }

    #[test]
    fn an_empty_target_is_an_error() {
        let source = Picture::filled(Size::new(2, 2), Color::Grey, 1).unwrap();
        let result = Resizer::new(Size::new(0, 4), Color::Grey).resize(&source);
        assert!(matches!(result, Err(VideoError::BadSize { .. })));
    }
}
