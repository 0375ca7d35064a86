//! One picture file.

use std::io::{BufReader, Cursor};

use camino::Utf8Path;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{Color, Picture, Size, VideoError};

/// Pixels of the largest picture that is decoded: a square of 8192, as for video files.
const MAX_PIXELS: u64 = 8192 * 8192;

/// A decoded picture file.
pub(crate) struct Still {
    pub picture: Picture,
    /// The file has an alpha channel, which was dropped.
    pub alpha: bool,
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
    #[error("its header claims {size} pixels, which is beyond reason")]
    TooLarge { size: Size },
    #[error(transparent)]
    Decode(#[from] image::ImageError),
    #[error(transparent)]
    Picture(#[from] VideoError),
}

/// Reads a picture by its content, whatever its name ends in.
pub(crate) fn read(path: &Utf8Path, color: Color) -> Result<Still, StillError> {
    let bytes = std::fs::read(path)?;
    if bytes.is_empty() {
        return Err(StillError::Empty);
    }
    decode(&bytes, color)
}

fn decode(bytes: &[u8], color: Color) -> Result<Still, StillError> {
    let reader = ImageReader::new(BufReader::new(Cursor::new(bytes))).with_guessed_format()?;
    // The decoder fills the rest of a cut-off JPEG with grey and reports nothing.
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_is_complete(bytes) {
        return Err(StillError::CutOff);
    }
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        let size = Size::new(width, height);
        return Err(StillError::TooLarge { size });
    }
    decoder.set_limits(Limits::default())?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let size = Size::new(image.width(), image.height());
    let kind = image.color();
    let picture = if kind.has_color() {
        Picture::new(size, Color::Rgb, image.into_rgb8().into_raw())
    } else {
        Picture::new(size, Color::Grey, image.into_luma8().into_raw())
    };
    Ok(Still {
        picture: picture?.into_color(color),
        alpha: kind.has_alpha(),
    })
}

/// Walks a JPEG's segments; true if its end marker stands after its last scan.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // At a marker: fill bytes, then its code.
        while bytes.get(at) == Some(&0xFF) && bytes.get(at + 1) == Some(&0xFF) {
            at += 1;
        }
        let (Some(0xFF), Some(&code)) = (bytes.get(at), bytes.get(at + 1)) else {
            return false;
        };
        at += 2;
        match code {
            0xD9 => return true,
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let (Some(&high), Some(&low)) = (bytes.get(at), bytes.get(at + 1)) else {
            return false;
        };
        at += usize::from(u16::from_be_bytes([high, low]));
        if code == 0xDA {
            // Coded data runs to the next marker that is neither a restart nor an escaped FF.
            loop {
                match (bytes.get(at), bytes.get(at + 1)) {
                    (Some(0xFF), Some(0x00 | 0xD0..=0xD7)) => at += 2,
                    (Some(0xFF), Some(_)) => break,
                    (Some(_), _) => at += 1,
                    (None, _) => return false,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn every_shorter_jpeg_is_an_error() {
        let whole = encoded(&ramp(), ImageFormat::Jpeg);
        assert!(decode(&whole, Color::Grey).is_ok());
        for length in 0..whole.len() - 1 {
            assert!(decode(&whole[..length], Color::Grey).is_err(), "{length}");
        }
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

    #[test]
    fn bytes_after_a_jpeg_do_no_harm() {
        let mut bytes = encoded(&ramp(), ImageFormat::Jpeg);
        bytes.extend([0; 9]);
        assert!(decode(&bytes, Color::Grey).is_ok());
    }
}
