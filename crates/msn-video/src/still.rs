//! One picture file.

use std::io::Cursor;

use camino::Utf8Path;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};
use jpeg_decoder::PixelFormat;

use crate::jpeg::{self, Judgement};
use crate::stretch::{Samples, Unbounded};
use crate::{Color, Levels, Picture, Size, VideoError, tiff};

/// Pixels of the largest picture that is decoded: a square of 8192, as for video files.
const MAX_PIXELS: u64 = 8192 * 8192;

/// A decoded picture file.
pub(crate) struct Still {
    pub picture: Picture,
    /// The file has an alpha channel, which was dropped.
    pub alpha: bool,
    /// It has more data than its pixels take.
    pub damaged: bool,
}

/// Why a picture can't be used. The caller names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StillError {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("the file is cut off: its end marker is missing")]
    CutOff,
    #[error(transparent)]
    Jpeg(#[from] jpeg::Fault),
    #[error(
        "a JPEG of four or of deep components in scans of their own is not read: convert it, e.g. with `jpegtran`"
    )]
    JpegKind,
    #[error(transparent)]
    JpegDecoder(#[from] jpeg_decoder::Error),
    #[error(
        "a TIFF of {kind} is not read: convert it to grey or RGB of 8 or 16 bits, e.g. with `magick`"
    )]
    TiffKind { kind: String },
    #[error(transparent)]
    Tiff(#[from] ::tiff::TiffError),
    #[error(transparent)]
    Unbounded(#[from] Unbounded),
    #[error("its header claims {size} pixels, which is beyond reason")]
    TooLarge { size: Size },
    #[error(transparent)]
    Decode(#[from] image::ImageError),
    #[error(transparent)]
    Picture(#[from] VideoError),
}

/// Reads a picture by its content, whatever its name ends in.
pub(crate) fn read(
    path: &Utf8Path,
    color: Color,
    levels: &mut Levels,
) -> Result<Still, StillError> {
    let bytes = std::fs::read(path)?;
    if bytes.is_empty() {
        return Err(StillError::Empty);
    }
    decode(&bytes, color, levels)
}

/// Decodes a picture.
pub(crate) fn decode(bytes: &[u8], color: Color, levels: &mut Levels) -> Result<Still, StillError> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let decoded = match reader.format() {
        Some(ImageFormat::Jpeg) => decode_jpeg(bytes)?,
        _ if tiff::is_tiff(bytes) => match tiff::decode(bytes)? {
            Some(decoded) => decoded,
            None => decode_as(bytes, Some(ImageFormat::Tiff))?,
        },
        format => decode_as(bytes, format)?,
    };
    let Decoded {
        size,
        samples,
        has_color,
        alpha,
        orientation,
        damaged,
    } = decoded;
    let pixels = match samples {
        Pixels::Eight(pixels) => {
            levels.saw_unstretched();
            pixels
        }
        Pixels::Deep(samples) => levels.convert(&samples)?,
    };
    let kind = if has_color { Color::Rgb } else { Color::Grey };
    let picture = Picture::new(size, kind, pixels)?;
    Ok(Still {
        picture: oriented(picture, orientation)?.into_color(color),
        alpha,
        damaged,
    })
}

/// A picture as its file has it.
pub(crate) struct Decoded {
    pub size: Size,
    pub samples: Pixels,
    /// Three values a pixel, or one.
    pub has_color: bool,
    pub alpha: bool,
    pub orientation: Orientation,
    pub damaged: bool,
}

/// Values of pixels, without alpha.
pub(crate) enum Pixels {
    Eight(Vec<u8>),
    Deep(Samples),
}

/// An error for a size beyond reason.
pub(crate) fn check_size(width: u32, height: u32) -> Result<Size, StillError> {
    let size = Size::new(width, height);
    match u64::from(width) * u64::from(height) {
        0..=MAX_PIXELS => Ok(size),
        _ => Err(StillError::TooLarge { size }),
    }
}

/// The decoder fills what a JPEG lacks with grey and reports nothing, so its data is judged first.
fn decode_jpeg(bytes: &[u8]) -> Result<Decoded, StillError> {
    let inspection = jpeg::inspect(bytes)?;
    if inspection.judgement == (Judgement::Unknown { ended: false }) {
        return Err(StillError::CutOff);
    }
    let bytes = inspection.completed(bytes);
    let mut decoded = match inspection.apart {
        true => decode_apart(&bytes)?,
        false => decode_as(&bytes, Some(ImageFormat::Jpeg))?,
    };
    decoded.damaged = inspection.judgement == Judgement::Excess;
    Ok(decoded)
}

/// Reads a JPEG whose components have scans of their own, which the decoder of `image` mixes up.
fn decode_apart(bytes: &[u8]) -> Result<Decoded, StillError> {
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.read_info()?;
    let info = decoder.info().ok_or(StillError::JpegKind)?;
    let size = check_size(info.width.into(), info.height.into())?;
    let has_color = match info.pixel_format {
        PixelFormat::L8 => false,
        PixelFormat::RGB24 => true,
        PixelFormat::L16 | PixelFormat::CMYK32 => return Err(StillError::JpegKind),
    };
    let pixels = decoder.decode()?;
    let orientation = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    Ok(Decoded {
        size,
        samples: Pixels::Eight(pixels),
        has_color,
        alpha: false,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        damaged: false,
    })
}

fn decode_as(bytes: &[u8], format: Option<ImageFormat>) -> Result<Decoded, StillError> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    if let Some(format) = format {
        reader.set_format(format);
    }
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(width, height)?;
    decoder.set_limits(Limits::default())?;
    let orientation = decoder.orientation()?;
    let image = DynamicImage::from_decoder(decoder)?;
    let kind = image.color();
    let words = |values| Pixels::Deep(Samples::Words { values, offset: 0 });
    let samples = match image {
        DynamicImage::ImageLuma16(image) => words(image.into_raw()),
        DynamicImage::ImageLumaA16(image) => {
            words(image.pixels().map(|pixel| pixel.0[0]).collect())
        }
        DynamicImage::ImageRgb16(image) => words(image.into_raw()),
        DynamicImage::ImageRgba16(_) => words(image.into_rgb16().into_raw()),
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) => {
            let values = image.into_rgb32f().into_raw();
            Pixels::Deep(Samples::Numbers {
                values: values.into_iter().map(f64::from).collect(),
                range: None,
            })
        }
        image if kind.has_color() => Pixels::Eight(image.into_rgb8().into_raw()),
        image => Pixels::Eight(image.into_luma8().into_raw()),
    };
    Ok(Decoded {
        size: Size::new(width, height),
        samples,
        has_color: kind.has_color(),
        alpha: kind.has_alpha(),
        orientation,
        damaged: false,
    })
}

/// The picture turned and mirrored as its file says.
fn oriented(picture: Picture, orientation: Orientation) -> Result<Picture, StillError> {
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    let Picture {
        size: Size { width, height },
        color,
        pixels,
    } = picture;
    let image = match color {
        Color::Grey => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        Color::Rgb => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    // A picture has as many values as its size wants.
    let mut image = image.unwrap_or_default();
    image.apply_orientation(orientation);
    let size = Size::new(image.width(), image.height());
    Ok(Picture::new(size, color, image.into_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], color: Color) -> Result<Still, StillError> {
        super::decode(bytes, color, &mut Levels::new(None))
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn ramp() -> DynamicImage {
        DynamicImage::ImageRgb8(image::RgbImage::from_fn(40, 30, |x, y| {
            let v = |n: u32| u8::try_from(n % 256).unwrap();
            image::Rgb([v(x * 6), v(y * 8), v(x + y)])
        }))
    }

    #[test]
    fn lossless_formats_come_back_exactly() {
        let exact = ramp().into_rgb8().into_raw();
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
            let still = decode(&encoded(&ramp(), format), Color::Rgb).unwrap();
            assert_eq!(still.picture.pixels, exact, "{format:?}");
            assert!(!still.alpha);
        }
    }

    #[test]
    fn sixteen_bit_grey_and_alpha() {
        let deep = DynamicImage::ImageLuma16(image::ImageBuffer::from_fn(3, 1, |x, _| {
            image::Luma([[0u16, 0x8080, u16::MAX][usize::try_from(x).unwrap()]])
        }));
        let still = decode(&encoded(&deep, ImageFormat::Png), Color::Grey).unwrap();
        assert_eq!(still.picture.pixels, [0, 128, 255]);
        let clear = DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(
            2,
            1,
            image::Rgba([10, 20, 30, 0]),
        ));
        let still = decode(&encoded(&clear, ImageFormat::Png), Color::Rgb).unwrap();
        assert!(still.alpha);
        assert_eq!(still.picture.pixels, [10, 20, 30, 10, 20, 30]);
    }

    #[test]
    fn every_shorter_png_bmp_and_tiff_is_an_error_or_whole() {
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff] {
            let whole = encoded(&ramp(), format);
            let pixels = decode(&whole, Color::Rgb).unwrap().picture.pixels;
            for length in (0..whole.len()).step_by(13) {
                if let Ok(still) = decode(&whole[..length], Color::Rgb) {
                    assert_eq!(still.picture.pixels, pixels, "{format:?} {length}");
                }
            }
        }
    }
}
