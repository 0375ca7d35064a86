//! Pictures side by side, as one PNG.

use image::{ExtendedColorType, ImageEncoder as _, codecs::png::PngEncoder};
use msn_model::Map;

use crate::RunError;

/// Pixels between two pictures.
const GAP: usize = 2;

/// Root of the squared error that is drawn white; of values from 0 to 1.
const WHITE: f64 = 0.25;

/// Rows and columns of pictures of one size, on white.
pub(crate) struct Grid {
    columns: usize,
    rows: usize,
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Grid {
    pub fn new([rows, columns]: [usize; 2], [height, width]: [usize; 2]) -> Self {
        let mut grid = Self {
            columns,
            rows,
            width,
            height,
            rgb: Vec::new(),
        };
        let [tall, full] = grid.size();
        grid.rgb = vec![255; tall * full * 3];
        grid
    }

    /// Height and width of the whole, pixels.
    fn size(&self) -> [usize; 2] {
        let side = |count: usize, side: usize| (count * (side + GAP)).saturating_sub(GAP);
        [side(self.rows, self.height), side(self.columns, self.width)]
    }

    /// Puts a picture whose brightness 0..=1 of channel `c` at row `y` and column `x` is `value`.
    fn put(&mut self, [row, column]: [usize; 2], value: impl Fn(usize, usize, usize) -> f64) {
        let [_, full] = self.size();
        for y in 0..self.height {
            for x in 0..self.width {
                let at = (row * (self.height + GAP) + y) * full + column * (self.width + GAP) + x;
                for c in 0..3 {
                    self.rgb[at * 3 + c] = byte(value(c, y, x));
                }
            }
        }
    }

    /// Puts a frame of planes [C, H, W] with values in -1..=1.
    pub fn put_frame(&mut self, place: [usize; 2], planes: &[f32]) {
        let (height, width) = (self.height, self.width);
        let channels = planes.len() / (height * width);
        self.put(place, |c, y, x| {
            let plane = if channels == 3 { c } else { 0 };
            (f64::from(planes[(plane * height + y) * width + x]) + 1.0) / 2.0
        });
    }

    /// Puts a map of squared errors of values from 0 to 1.
    pub fn put_error(&mut self, place: [usize; 2], error: &Map) {
        self.put(place, |_, y, x| {
            f64::from(error.values[y * error.width + x]).sqrt() / WHITE
        });
    }

    /// Puts a map of any size; `white` is drawn white.
    pub fn put_map(&mut self, place: [usize; 2], map: &Map, white: f32) {
        let (height, width) = (self.height, self.width);
        self.put(place, |_, y, x| {
            let (y, x) = (y * map.height / height, x * map.width / width);
            f64::from(map.values[y * map.width + x] / white.max(f32::MIN_POSITIVE))
        });
    }

    pub fn png(&self) -> Result<Vec<u8>, RunError> {
        let [height, width] = self.size().map(|v| u32::try_from(v).unwrap_or(u32::MAX));
        let mut png = Vec::new();
        let encoder = PngEncoder::new(&mut png);
        encoder.write_image(&self.rgb, width, height, ExtendedColorType::Rgb8)?;
        Ok(png)
    }
}

fn byte(value: f64) -> u8 {
    // Clipped to a byte's range before it becomes one.
    (value * 255.0).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_lie_where_they_should() {
        let mut grid = Grid::new([2, 2], [2, 3]);
        grid.put_frame([1, 0], &[-1.0, 0.0, 1.0, 1.0, 0.0, -1.0]);
        let map = Map {
            height: 1,
            width: 1,
            values: vec![0.5],
        };
        grid.put_map([0, 1], &map, 1.0);
        let image = image::load_from_memory(&grid.png().unwrap())
            .unwrap()
            .to_luma8();
        assert_eq!(image.dimensions(), (8, 6));
        let row = |y: u32, x: std::ops::Range<u32>| -> Vec<u8> {
            x.map(|x| image.get_pixel(x, y).0[0]).collect()
        };
        assert_eq!(row(4, 0..3), [0, 128, 255]);
        assert_eq!(row(5, 0..3), [255, 128, 0]);
        assert_eq!(row(0, 3..8), [255, 255, 128, 128, 128]);
    }
}
