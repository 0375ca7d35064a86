//! How a picture is turned for display.

use crate::Picture;

/// A turn by a multiple of 90 degrees, possibly mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// Rows become columns.
    pub transpose: bool,
    /// The result's columns run from the right.
    pub flip_x: bool,
    /// The result's rows run from the bottom.
    pub flip_y: bool,
}

impl Orientation {
    /// From the container's 3x3 display matrix, nine 32-bit integers in native order.
    ///
    /// A pixel (p, q) is shown at (a p + c q, b p + d q) with a, b, c, d the elements 0, 1, 3, 4.
    /// `None` where the matrix is no multiple of 90 degrees.
    pub(crate) fn from_display_matrix(bytes: &[u8]) -> Option<Self> {
        let elements: Vec<i64> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&b| i64::from(i32::from_ne_bytes(b)))
            .collect();
        let &[a, b, _, c, d, ..] = elements.as_slice() else {
            return None;
        };
        let small = |x: i64, y: i64| x.abs() * 100 <= y.abs();
        if a != 0 && d != 0 && small(b, a) && small(c, d) {
            Some(Self {
                transpose: false,
                flip_x: a < 0,
                flip_y: d < 0,
            })
        } else if b != 0 && c != 0 && small(a, b) && small(d, c) {
            Some(Self {
                transpose: true,
                flip_x: c < 0,
                flip_y: b < 0,
            })
        } else {
            None
        }
    }

    /// `picture` as displayed.
    pub(crate) fn apply(self, picture: Picture) -> Picture {
        if self == Self::default() {
            return picture;
        }
        let source = picture.size;
        let size = if self.transpose {
            source.transposed()
        } else {
            source
        };
        let channels = picture.color.channels();
        let mut pixels = Vec::with_capacity(picture.pixels.len());
        for y in 0..size.height {
            let row = if self.flip_y { size.height - 1 - y } else { y };
            for x in 0..size.width {
                let column = if self.flip_x { size.width - 1 - x } else { x };
                let (p, q) = if self.transpose {
                    (row, column)
                } else {
                    (column, row)
                };
                let at = u64::from(q) * u64::from(source.width) + u64::from(p);
                let at = usize::try_from(at)
                    .unwrap_or(usize::MAX)
                    .saturating_mul(channels);
                pixels.extend_from_slice(&picture.pixels[at..at + channels]);
            }
        }
        Picture {
            size,
            color: picture.color,
            pixels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, Size};

    fn matrix(a: i32, b: i32, c: i32, d: i32) -> Vec<u8> {
        [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
            .iter()
            .flat_map(|v: &i32| v.to_ne_bytes())
            .collect()
    }

    fn turned(bytes: &[u8]) -> Vec<u8> {
        let picture = Picture::new(Size::new(3, 2), Color::Grey, vec![1, 2, 3, 4, 5, 6]).unwrap();
        Orientation::from_display_matrix(bytes)
            .unwrap()
            .apply(picture)
            .pixels
    }

    #[test]
    fn all_eight_turns() {
        assert_eq!(turned(&matrix(1, 0, 0, 1)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(turned(&matrix(-1, 0, 0, -1)), [6, 5, 4, 3, 2, 1]);
        assert_eq!(turned(&matrix(-1, 0, 0, 1)), [3, 2, 1, 6, 5, 4]);
        assert_eq!(turned(&matrix(1, 0, 0, -1)), [4, 5, 6, 1, 2, 3]);
        // (p, q) -> (-q, p): a quarter turn clockwise.
        assert_eq!(turned(&matrix(0, 1, -1, 0)), [4, 1, 5, 2, 6, 3]);
        assert_eq!(turned(&matrix(0, -1, 1, 0)), [3, 6, 2, 5, 1, 4]);
        assert_eq!(turned(&matrix(0, 1, 1, 0)), [1, 4, 2, 5, 3, 6]);
        assert_eq!(turned(&matrix(0, -1, -1, 0)), [6, 3, 5, 2, 4, 1]);
    }

    #[test]
    fn other_matrices_are_refused() {
        assert_eq!(Orientation::from_display_matrix(&matrix(1, 1, -1, 1)), None);
        assert_eq!(Orientation::from_display_matrix(&matrix(0, 0, 0, 0)), None);
        assert_eq!(Orientation::from_display_matrix(&[0; 7]), None);
    }
}
