//! A picture to draw on.

use embedded_graphics::{
    Drawable as _, Pixel,
    draw_target::DrawTarget,
    geometry::{Dimensions, OriginDimensions, Point, Size as Area},
    mono_font::{MonoTextStyle, ascii::FONT_8X13},
    pixelcolor::{Rgb888, RgbColor as _},
    primitives::{Line, Primitive as _, PrimitiveStyle, Rectangle},
    text::Text,
};
use msn_video::{Color, Picture, Size};

/// Width of a letter.
const LETTER: u32 = 8;

/// Letters that fit into so many pixels.
pub(super) fn letters(pixels: u32) -> usize {
    usize::try_from(pixels / LETTER).unwrap_or(0)
}

/// RGB pixels.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    size: Size,
    pixels: Vec<u8>,
}

impl Canvas {
    pub fn new(size: Size, paper: [u8; 3]) -> Self {
        let area = size.pixels().unwrap_or(0);
        Self {
            size,
            pixels: paper.repeat(area),
        }
    }

    pub fn into_picture(self) -> Picture {
        Picture {
            size: self.size,
            color: Color::Rgb,
            pixels: self.pixels,
        }
    }

    /// Puts an RGB picture with its upper left corner at a place.
    pub fn put(&mut self, [x, y]: [u32; 2], picture: &Picture) {
        let bytes = |pixels: u32| usize::try_from(pixels).unwrap_or(0) * 3;
        let (ours, theirs) = (bytes(self.size.width), bytes(picture.size.width));
        let rows = self.pixels.chunks_exact_mut(ours.max(1));
        let rows = rows.skip(usize::try_from(y).unwrap_or(usize::MAX));
        for (to, from) in rows.zip(picture.pixels.chunks_exact(theirs.max(1))) {
            let to = &mut to[bytes(x)..];
            let length = to.len().min(from.len());
            to[..length].copy_from_slice(&from[..length]);
        }
    }

    /// Copies another canvas as wide as this one to row `y`.
    pub fn put_canvas(&mut self, y: u32, other: &Self) {
        let row = usize::try_from(self.size.width).unwrap_or(0) * 3;
        let from = usize::try_from(y).unwrap_or(0) * row;
        if let Some(to) = self.pixels.get_mut(from..from + other.pixels.len()) {
            to.copy_from_slice(&other.pixels);
        }
    }

    /// Mixes `share` of a colour into pixel `index` of an area `width` wide at a place.
    pub fn mix(&mut self, [x, y]: [u32; 2], width: u32, index: usize, color: [u8; 3], share: f64) {
        let whole = |n: u32| usize::try_from(n).unwrap_or(0);
        let width = whole(width).max(1);
        let (row, column) = (whole(y) + index / width, whole(x) + index % width);
        let at = (row * whole(self.size.width) + column) * 3;
        let Some(pixel) = self.pixels.get_mut(at..at + 3) else {
            return;
        };
        for (old, new) in pixel.iter_mut().zip(color) {
            let mixed = f64::from(*old) * (1.0 - share) + f64::from(new) * share;
            let byte = mixed.round() as u8;
            *old = byte;
        }
    }

    pub fn fill(&mut self, [x, y]: [u32; 2], [width, height]: [u32; 2], color: [u8; 3]) {
        let area = Rectangle::new(point(x, y), Area::new(width, height));
        let Ok(()) = self.fill_solid(&area, rgb(color));
    }

    pub fn line(&mut self, from: [u32; 2], to: [u32; 2], color: [u8; 3]) {
        let line = Line::new(point(from[0], from[1]), point(to[0], to[1]));
        let Ok(()) = line
            .into_styled(PrimitiveStyle::with_stroke(rgb(color), 1))
            .draw(self);
    }

    /// A frame `thick` pixels wide along the inside of an area.
    pub fn border(&mut self, [x, y]: [u32; 2], size: Size, thick: u32, color: [u8; 3]) {
        let Size { width, height } = size;
        for (at, area) in [
            ([x, y], [width, thick]),
            ([x, y + height - thick], [width, thick]),
            ([x, y], [thick, height]),
            ([x + width - thick, y], [thick, height]),
        ] {
            self.fill(at, area, color);
        }
    }

    /// Letters whose baseline begins at a place.
    pub fn text(&mut self, [x, y]: [u32; 2], text: &str, color: [u8; 3]) {
        let style = MonoTextStyle::new(&FONT_8X13, rgb(color));
        let Ok(_) = Text::new(text, point(x, y), style).draw(self);
    }

    /// The same, cut so that it ends before column `end`.
    pub fn text_until(&mut self, [x, y]: [u32; 2], end: u32, text: &str, color: [u8; 3]) {
        let most = letters(end.saturating_sub(x));
        self.text([x, y], text.get(..most).unwrap_or(text), color);
    }

    /// [`Canvas::text`] on a patch of a colour of its own.
    pub fn note(&mut self, [x, y]: [u32; 2], text: &str, color: [u8; 3], paper: [u8; 3]) {
        let width = u32::try_from(text.len()).unwrap_or(0) * LETTER;
        self.fill([x, y.saturating_sub(10)], [width, 12], paper);
        self.text([x, y], text, color);
    }

    /// Dark letters on a patch of colour that ends at column `right` of the first line; where it
    /// begins, less a gap.
    pub fn chip(&mut self, right: u32, text: &str, color: [u8; 3]) -> u32 {
        let letters = u32::try_from(text.len()).unwrap_or(0);
        let width = letters * LETTER + 8;
        let left = right.saturating_sub(width);
        self.fill([left, 4], [width, 17], color);
        self.text([left + 4, 17], text, [10, 10, 10]);
        left.saturating_sub(6)
    }
}

fn point(x: u32, y: u32) -> Point {
    let whole = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Point::new(whole(x), whole(y))
}

fn rgb([r, g, b]: [u8; 3]) -> Rgb888 {
    Rgb888::new(r, g, b)
}

impl OriginDimensions for Canvas {
    fn size(&self) -> Area {
        Area::new(self.size.width, self.size.height)
    }
}

impl DrawTarget for Canvas {
    type Color = Rgb888;
    type Error = std::convert::Infallible;

    fn draw_iter<I>(&mut self, pixels: I) -> Result<(), Self::Error>
    where
        I: IntoIterator<Item = Pixel<Rgb888>>,
    {
        let bounds = self.bounding_box();
        let width = usize::try_from(self.size.width).unwrap_or(0);
        for Pixel(place, color) in pixels {
            if !bounds.contains(place) {
                continue;
            }
            let whole = |n: i32| usize::try_from(n).unwrap_or(0);
            let at = (whole(place.y) * width + whole(place.x)) * 3;
            self.pixels[at..at + 3].copy_from_slice(&[color.r(), color.g(), color.b()]);
        }
        Ok(())
    }
}
