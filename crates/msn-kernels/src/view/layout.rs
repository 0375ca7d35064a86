//! Sizes, and where pixels lie in a slice.

use std::ops::Range;

/// The size of a batch of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Shape {
    /// A shape from its four sizes in the order of memory.
    pub const fn new(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        Self {
            batch,
            height,
            width,
            channels,
        }
    }

    /// Pixels of all images.
    ///
    /// # Panics
    /// If there are more than fit into memory's addresses.
    pub const fn pixels(self) -> usize {
        match product([self.batch, self.height, self.width, 1]) {
            Some(pixels) => pixels,
            None => panic!("more pixels than there can be"),
        }
    }

    /// Values of all images.
    ///
    /// # Panics
    /// If there are more than fit into memory's addresses.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> usize {
        match self.checked_len() {
            Some(len) => len,
            None => panic!("more values than there can be"),
        }
    }

    /// Values of all images, `None` if there are more than fit into memory's addresses.
    pub const fn checked_len(self) -> Option<usize> {
        product([self.batch, self.height, self.width, self.channels])
    }

    /// The same images with another number of channels.
    pub const fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Twice the height and width.
    pub const fn doubled(self) -> Self {
        Self {
            height: 2 * self.height,
            width: 2 * self.width,
            ..self
        }
    }

    /// Half the height and width, rounded down.
    pub const fn halved(self) -> Self {
        Self {
            height: self.height / 2,
            width: self.width / 2,
            ..self
        }
    }
}

/// The product of all, as long as it could be addressed.
const fn product(sizes: [usize; 4]) -> Option<usize> {
    // Leaves room for halos, which at most quadruple an image, and for the size of a float.
    const LIMIT: usize = usize::MAX / 64;
    let mut all: usize = 1;
    let mut i = 0;
    while i < sizes.len() {
        all = match all.checked_mul(sizes[i]) {
            Some(all) => all,
            None => return None,
        };
        i += 1;
    }
    if all <= LIMIT { Some(all) } else { None }
}

/// Where the pixels of a shape lie in a slice: distances in floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelLayout {
    pub(super) shape: Shape,
    /// Index of the first value of the first pixel.
    pub(super) origin: usize,
    pub(super) image: usize,
    pub(super) row: usize,
    pub(super) pixel: usize,
    /// Whether the slice goes on for one pixel around every image, and holds zeros there.
    pub(super) halo: bool,
}

impl PixelLayout {
    pub(super) fn dense(shape: Shape) -> Self {
        // No pixels, no distances that could overflow.
        let (width, height) = if shape.len() == 0 {
            (0, 0)
        } else {
            (shape.width, shape.height)
        };
        let row = width * shape.channels;
        Self {
            shape,
            origin: 0,
            image: height * row,
            row,
            pixel: shape.channels,
            halo: false,
        }
    }

    pub(super) fn channels(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.shape.channels,
            "channels {range:?} of an image with {}",
            self.shape.channels
        );
        let shape = self.shape.with_channels(range.end - range.start);
        Self {
            shape,
            origin: self.origin + range.start,
            ..self
        }
    }

    pub(super) fn images(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.shape.batch,
            "images {range:?} of a batch of {}",
            self.shape.batch
        );
        let shape = Shape {
            batch: range.end - range.start,
            ..self.shape
        };
        Self {
            shape,
            origin: self.origin + range.start * self.image,
            ..self
        }
    }

    pub(super) fn at(&self, image: usize, y: usize, x: usize) -> usize {
        debug_assert!(image < self.shape.batch && y < self.shape.height && x < self.shape.width);
        self.origin + image * self.image + y * self.row + x * self.pixel
    }

    /// One past the last value that may be read, halo included; 0 for no pixels.
    pub(super) fn end(&self) -> usize {
        let s = self.shape;
        if s.len() == 0 {
            return 0;
        }
        let last = self.at(s.batch - 1, s.height - 1, s.width - 1) + s.channels;
        if self.halo {
            last + self.row + self.pixel
        } else {
            last
        }
    }

    pub(super) fn check(&self, len: usize) {
        let s = self.shape;
        if s.len() == 0 {
            return;
        }
        assert!(
            self.end() <= len,
            "a slice of {len} floats for {s:?}, which needs {}",
            self.end()
        );
        assert!(
            self.pixel >= s.channels
                && self.row >= s.width * self.pixel
                && self.image >= s.height * self.row,
            "overlapping pixels: {self:?}"
        );
        assert!(
            !self.halo || self.origin >= self.row + self.pixel,
            "no room for the halo: {self:?}"
        );
    }
}
