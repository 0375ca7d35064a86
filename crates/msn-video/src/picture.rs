//! Pictures: sizes, colours and the pixels themselves.

use serde::{Deserialize, Serialize};

use crate::VideoError;

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels, or `None` where an address can't hold it.
    pub fn pixels(self) -> Option<usize> {
        let width = usize::try_from(self.width).ok()?;
        width.checked_mul(usize::try_from(self.height).ok()?)
    }

    /// The size with width and height exchanged.
    pub const fn transposed(self) -> Self {
        Self::new(self.height, self.width)
    }

    /// True if a side is zero.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// What a pixel holds. All values are 8 bit in full range, 0 to 255.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel: BT.601 luma, `0.299 R + 0.587 G + 0.114 B` of the gamma-coded channels.
    #[default]
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Color {
    /// Bytes a pixel takes: 1 for grey, 3 for RGB.
    pub const fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// A picture in memory: rows from the top, pixels from the left, channels interleaved.
///
/// `pixels.len()` is `width * height * channels`.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width and height.
    pub size: Size,
    /// What a pixel holds.
    pub color: Color,
    /// The values, 0 to 255.
    pub pixels: Vec<u8>,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} {:?})", self.size, self.color)
    }
}

impl Picture {
    /// A picture of `pixels`.
    ///
    /// # Errors
    /// [`VideoError::BadSize`] for an empty size, [`VideoError::BadPicture`] where the number of
    /// values is not `width * height * channels`.
    pub fn new(size: Size, color: Color, pixels: Vec<u8>) -> Result<Self, VideoError> {
        let picture = Self {
            size,
            color,
            pixels,
        };
        picture.check()?;
        Ok(picture)
    }

    /// A picture with every value set to `value`.
    ///
    /// # Errors
    /// [`VideoError::BadSize`] for a size that is empty or beyond what memory can address.
    pub fn filled(size: Size, color: Color, value: u8) -> Result<Self, VideoError> {
        Ok(Self {
            size,
            color,
            pixels: vec![value; bytes(size, color)?],
        })
    }

    /// Checks that the size is not empty and that the number of values fits it.
    pub(crate) fn check(&self) -> Result<(), VideoError> {
        let wanted = bytes(self.size, self.color)?;
        if self.pixels.len() == wanted {
            Ok(())
        } else {
            Err(VideoError::BadPicture {
                size: self.size,
                color: self.color,
                wanted,
                got: self.pixels.len(),
            })
        }
    }

    /// The picture in another colour: luma of RGB, or grey repeated in three channels.
    #[must_use]
    pub fn into_color(self, color: Color) -> Self {
        let pixels = match (self.color, color) {
            (Color::Grey, Color::Grey) | (Color::Rgb, Color::Rgb) => return self,
            (Color::Rgb, Color::Grey) => self
                .pixels
                .as_chunks::<3>()
                .0
                .iter()
                .map(|&[r, g, b]| luma(r, g, b))
                .collect(),
            (Color::Grey, Color::Rgb) => self.pixels.iter().flat_map(|&v| [v, v, v]).collect(),
        };
        Self {
            size: self.size,
            color,
            pixels,
        }
    }
}

/// Bytes of a picture; an error for an empty or unaddressable size.
pub(crate) fn bytes(size: Size, color: Color) -> Result<usize, VideoError> {
    if size.is_empty() {
        return Err(VideoError::BadSize { size });
    }
    size.pixels()
        .and_then(|pixels| pixels.checked_mul(color.channels()))
        .filter(|&bytes| isize::try_from(bytes).is_ok())
        .ok_or(VideoError::BadSize { size })
}

/// BT.601 luma in full range, rounded to nearest.
pub(crate) fn luma(r: u8, g: u8, b: u8) -> u8 {
    let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
    u8::try_from((sum + 500) / 1000).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn luma_of_the_primaries() {
        assert_eq!(
            [luma(255, 0, 0), luma(0, 255, 0), luma(0, 0, 255)],
            [76, 150, 29]
        );
    }

    #[test]
    fn wrong_lengths_and_empty_sizes_are_errors() {
        assert!(matches!(
            Picture::new(Size::new(2, 2), Color::Rgb, vec![0; 4]),
            Err(VideoError::BadPicture {
                wanted: 12,
                got: 4,
                ..
            })
        ));
        assert!(matches!(
            Picture::new(Size::new(0, 2), Color::Grey, vec![]),
            Err(VideoError::BadSize { .. })
        ));
        assert!(Picture::filled(Size::new(u32::MAX, u32::MAX), Color::Rgb, 0).is_err());
    }

    proptest! {
        #[test]
        fn luma_of_grey_is_itself(v: u8) {
            prop_assert_eq!(luma(v, v, v), v);
        }

        #[test]
        fn grey_to_rgb_and_back_is_the_identity(pixels in prop::collection::vec(any::<u8>(), 6)) {
            let grey = Picture::new(Size::new(3, 2), Color::Grey, pixels).unwrap();
            let rgb = grey.clone().into_color(Color::Rgb);
            rgb.check().unwrap();
            prop_assert_eq!(rgb.into_color(Color::Grey), grey);
        }

        #[test]
        fn luma_is_the_rounded_sum(r: u8, g: u8, b: u8) {
            let exact = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
            prop_assert!((f64::from(luma(r, g, b)) - exact).abs() <= 0.5 + 1e-9);
        }
    }
}
