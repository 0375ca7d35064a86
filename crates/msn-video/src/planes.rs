//! From FFmpeg's frames to sized pictures.
//!
//! Planar YUV is read where it lies. Grey is made at full size, in one pass over luma (and over
//! chroma where the matrix is not that of BT.601), and resized as one plane. For RGB the three
//! planes are resized first and combined when small: resizing and matrix are linear, so this
//! equals converting first, up to rounding and to the clipping of colours that RGB can't hold.

use ffmpeg_next::Error;
use ffmpeg_next::frame::Video;
use ffmpeg_next::util::color::Space;

use crate::luma::{self, Matrix, SampleRange};
use crate::orientation::Orientation;
use crate::pixel_layout::{self, PixelLayout};
use crate::resize::Plane;
use crate::unpack::{Key, Unpacker};
use crate::{Color, Levels, Picture, Resizer, Size, Stretch, VideoError};

/// Turns frames into pictures of one size and colour; keeps its buffers.
pub(crate) struct Converter {
    color: Color,
    resizer: Resizer,
    /// Full-size luma, or whatever else is resized.
    full: Vec<u8>,
    /// Full-size luma of 8 bits, where the source has more and chroma is yet to be added.
    deep: Vec<u8>,
    /// Full-size chroma of 8 bits, where the source has more.
    chroma: [Vec<u8>; 2],
    /// Two rows of luma shifts: of chroma's width and of luma's.
    shift: [Vec<i16>; 2],
    /// Planes of the target's size.
    small: [Vec<u8>; 3],
    unpacker: Option<Unpacker>,
    levels: Levels,
}

impl Converter {
    pub(crate) fn new(color: Color, stretch: Option<Stretch>) -> Self {
        Self {
            levels: Levels::new(stretch),
            color,
            resizer: Resizer::new(Size::new(1, 1), color),
            full: Vec::new(),
            deep: Vec::new(),
            chroma: [Vec::new(), Vec::new()],
            shift: [Vec::new(), Vec::new()],
            small: [Vec::new(), Vec::new(), Vec::new()],
            unpacker: None,
        }
    }

    pub(crate) fn levels(&self) -> &Levels {
        &self.levels
    }

    /// `frame` as a picture of `target` pixels as displayed. May take the frame's data away.
    pub(crate) fn convert(
        &mut self,
        frame: &mut Video,
        orientation: Orientation,
        target: Size,
    ) -> Result<Picture, VideoError> {
        let stored = if orientation.transpose {
            target.transposed()
        } else {
            target
        };
        if self.resizer.size() != stored {
            self.resizer = Resizer::new(stored, self.color);
        }
        let (range, space) = (pixel_layout::sample_range(frame), frame.color_space());
        let from = Size::new(frame.width(), frame.height());
        let fail = |reason: String| VideoError::Resize {
            from,
            to: target,
            reason,
        };
        let unpacked = self.unpack(frame, range).map_err(|e| fail(e.to_string()))?;
        let frame = unpacked.as_ref().unwrap_or(frame);
        if from.is_empty() || !is_upright(frame) {
            return Err(fail("the decoder gave a frame without rows".to_owned()));
        }
        let layout = PixelLayout::of(frame.format());
        if !matches!(
            layout,
            PixelLayout::Planar {
                bits: 9..,
                chroma: false
            }
        ) {
            self.levels.saw_unstretched();
        }
        let picture = match layout {
            PixelLayout::Planar { bits, chroma } => {
                self.planar(frame, bits, chroma, range, space)?
            }
            PixelLayout::Rgb24 => self.packed(plane(frame, 0, Color::Rgb))?,
            PixelLayout::Other(format) => {
                return Err(fail(format!("FFmpeg's scaler gave no {format}")));
            }
        };
        Ok(orientation.apply(picture))
    }

    /// The frame in a format that can be read in place; `None` where it is already.
    fn unpack(&mut self, frame: &mut Video, range: SampleRange) -> Result<Option<Video>, Error> {
        let upright = is_upright(frame);
        let to = match PixelLayout::of(frame.format()) {
            PixelLayout::Other(format) => format,
            _ if !upright => pixel_layout::name(frame.format()),
            _ => return Ok(None),
        };
        let key = Key {
            size: Size::new(frame.width(), frame.height()),
            from: frame.format(),
            to,
            full: range == SampleRange::Full || to == "rgb24",
            upright,
        };
        let mut unpacker = match self.unpacker.take() {
            Some(unpacker) if unpacker.key == key => unpacker,
            _ => Unpacker::new(key)?,
        };
        let mut out = Video::empty();
        unpacker.run(frame, &mut out)?;
        self.unpacker = Some(unpacker);
        Ok(Some(out))
    }

    fn planar(
        &mut self,
        frame: &Video,
        bits: u32,
        chroma: bool,
        range: SampleRange,
        space: Space,
    ) -> Result<Picture, VideoError> {
        let matrix = Matrix::of(space, range);
        let mut y = plane(frame, 0, Color::Grey);
        let plain = !chroma || self.color == Color::Grey && matrix.is_bt601();
        if chroma && !plain {
            let [cb, cr] = &mut self.chroma;
            let cb = eight_bits(plane(frame, 1, Color::Grey), bits, cb);
            let cr = eight_bits(plane(frame, 2, Color::Grey), bits, cr);
            if self.color == Color::Rgb {
                let luma = full_range(y, bits, range, &mut self.full);
                return combine([luma, cb, cr], &matrix, &mut self.resizer, &mut self.small);
            }
            let range = if bits > 8 {
                y = full_range(y, bits, range, &mut self.deep);
                SampleRange::Full
            } else {
                range
            };
            let halvings = frame
                .format()
                .descriptor()
                .map_or((0, 0), |d| (d.log2_chroma_w(), d.log2_chroma_h()));
            let grey = shifted(
                y,
                range,
                [cb, cr],
                halvings,
                &matrix,
                &mut self.shift,
                &mut self.full,
            );
            return self.resizer.resize_plane(grey);
        }
        let luma = if !chroma && bits > 8 {
            deep_grey(y, bits, range, &mut self.levels, &mut self.full)
        } else {
            full_range(y, bits, range, &mut self.full)
        };
        Ok(self.resizer.resize_plane(luma)?.into_color(self.color))
    }

    fn packed(&mut self, rgb: Plane<'_>) -> Result<Picture, VideoError> {
        if self.color == Color::Grey {
            let grey = rewrite(rgb, 3, &mut self.full, |row, out| {
                for (&[r, g, b], out) in row.as_chunks::<3>().0.iter().zip(out) {
                    *out = crate::picture::luma(r, g, b);
                }
            });
            return self.resizer.resize_plane(grey);
        }
        self.resizer.resize_plane(rgb)
    }
}

/// False for frames that lie upside down, whose strides are negative.
fn is_upright(frame: &Video) -> bool {
    (0..frame.planes()).all(|i| i32::try_from(frame.stride(i)).is_ok())
}

/// A plane of a frame that is upright.
fn plane(frame: &Video, index: usize, color: Color) -> Plane<'_> {
    Plane {
        data: frame.data(index),
        stride: frame.stride(index),
        size: Size::new(frame.plane_width(index), frame.plane_height(index)),
        color,
    }
}

/// Luma in full-range bytes: in place where it is that, else in `buffer`.
fn full_range<'a>(
    y: Plane<'a>,
    bits: u32,
    range: SampleRange,
    buffer: &'a mut Vec<u8>,
) -> Plane<'a> {
    match (bits, range) {
        (8, SampleRange::Full) => y,
        (8, SampleRange::Limited) => rewrite(y, 1, buffer, luma::expand),
        _ => rewrite(y, 2, buffer, |row, out| {
            luma::reduce_luma(row, bits, range, out)
        }),
    }
}

/// Grey of more than 8 bits, as its values or their stretch have it.
fn deep_grey<'a>(
    y: Plane<'a>,
    bits: u32,
    range: SampleRange,
    levels: &mut Levels,
    buffer: &'a mut Vec<u8>,
) -> Plane<'a> {
    rewrite(y, 2, buffer, |row, out| {
        let words = row
            .as_chunks::<2>()
            .0
            .iter()
            .copied()
            .map(u16::from_le_bytes);
        levels.words(words, 0, out, |word| luma::reduced(word, bits, range));
    })
}

/// Chroma in bytes: in place where it is that, else in `buffer`.
fn eight_bits<'a>(chroma: Plane<'a>, bits: u32, buffer: &'a mut Vec<u8>) -> Plane<'a> {
    match bits {
        8 => chroma,
        _ => rewrite(chroma, 2, buffer, |row, out| {
            luma::reduce_chroma(row, bits, out)
        }),
    }
}

/// BT.601 luma of a picture in another matrix. One chroma sample serves `2^halvings` columns and
/// rows.
fn shifted<'a>(
    y: Plane<'_>,
    range: SampleRange,
    [cb, cr]: [Plane<'_>; 2],
    (columns, rows): (u8, u8),
    matrix: &Matrix,
    [narrow, wide]: &mut [Vec<i16>; 2],
    buffer: &'a mut Vec<u8>,
) -> Plane<'a> {
    let width = usize::try_from(y.size.width).unwrap_or(0);
    let height = usize::try_from(y.size.height).unwrap_or(0);
    buffer.resize(width.saturating_mul(height), 0);
    narrow.resize(usize::try_from(cb.size.width).unwrap_or(0), 0);
    wide.resize(width, 0);
    let mut chroma = cb
        .data
        .chunks(cb.stride.max(1))
        .zip(cr.data.chunks(cr.stride.max(1)));
    let luma = y.data.chunks(y.stride.max(1));
    for (row, (source, out)) in luma.zip(buffer.chunks_exact_mut(width.max(1))).enumerate() {
        if row % (1 << rows) == 0
            && let Some((cb, cr)) = chroma.next()
        {
            matrix.luma_shift(cb, cr, narrow);
            luma::spread(narrow, columns, wide);
        }
        luma::blend(source, range, wide, out);
    }
    Plane {
        data: buffer,
        stride: width,
        size: y.size,
        color: Color::Grey,
    }
}

/// RGB of planes that are resized first.
fn combine(
    planes: [Plane<'_>; 3],
    matrix: &Matrix,
    resizer: &mut Resizer,
    small: &mut [Vec<u8>; 3],
) -> Result<Picture, VideoError> {
    let size = resizer.size();
    let pixels = crate::picture::bytes(size, Color::Grey)?;
    for (plane, small) in planes.into_iter().zip(small.iter_mut()) {
        small.resize(pixels, 0);
        resizer.resize_plane_into(plane, small)?;
    }
    let [y, cb, cr] = small;
    let samples = y.iter().zip(cb.iter().zip(cr.iter()));
    let values = samples
        .flat_map(|(&y, (&cb, &cr))| matrix.rgb(y, cb, cr))
        .collect();
    Picture::new(size, Color::Rgb, values)
}

/// A plane written row by row to `buffer`, without padding and one byte a pixel. `bytes` is what
/// a pixel takes in the source.
fn rewrite<'a>(
    plane: Plane<'_>,
    bytes: usize,
    buffer: &'a mut Vec<u8>,
    mut row: impl FnMut(&[u8], &mut [u8]),
) -> Plane<'a> {
    let width = usize::try_from(plane.size.width).unwrap_or(0);
    let height = usize::try_from(plane.size.height).unwrap_or(0);
    buffer.resize(width.saturating_mul(height), 0);
    let used = width.saturating_mul(bytes);
    let rows = plane.data.chunks(plane.stride.max(1));
    for (source, out) in rows.zip(buffer.chunks_exact_mut(width.max(1))) {
        row(&source[..used.min(source.len())], out);
    }
    Plane {
        data: buffer,
        stride: width,
        size: plane.size,
        color: Color::Grey,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffmpeg_next::filter;
    use ffmpeg_next::format::Pixel;
    use ffmpeg_next::util::color::Range;
    use proptest::prelude::*;

    /// A frame of `format` whose planes are filled by `value(plane, row, byte)`.
    fn frame(format: Pixel, size: Size, value: impl Fn(usize, usize, usize) -> u8) -> Video {
        let mut frame = Video::new(format, size.width, size.height);
        for plane in 0..frame.planes() {
            let stride = frame.stride(plane);
            for (i, byte) in frame.data_mut(plane).iter_mut().enumerate() {
                *byte = value(plane, i / stride, i % stride);
            }
        }
        frame
    }

    /// Gentle ramps whose colours RGB can hold.
    fn smooth(plane: usize, row: usize, column: usize) -> u8 {
        let ramp = row * 3 + column * 2;
        u8::try_from(if plane == 0 {
            60 + ramp % 64
        } else {
            114 + 6 * plane + ramp % 16
        })
        .unwrap()
    }

    fn convert(frame: &mut Video, color: Color, to: Size) -> Picture {
        Converter::new(color, None)
            .convert(frame, Orientation::default(), to)
            .unwrap()
    }

    /// Greatest difference of two pictures.
    fn distance(a: &Picture, b: &Picture) -> u8 {
        assert_eq!((a.size, a.color), (b.size, b.color));
        a.pixels
            .iter()
            .zip(&b.pixels)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap()
    }

    #[test]
    fn grey_agrees_with_going_through_rgb() {
        let size = Size::new(64, 48);
        let to = Size::new(24, 20);
        for space in [
            Space::BT709,
            Space::BT2020NCL,
            Space::SMPTE170M,
            Space::Unspecified,
        ] {
            for range in [Range::MPEG, Range::JPEG] {
                let make = || {
                    let mut frame = frame(Pixel::YUV444P, size, smooth);
                    frame.set_color_space(space);
                    frame.set_color_range(range);
                    frame
                };
                let grey = convert(&mut make(), Color::Grey, to);
                let rgb = convert(&mut make(), Color::Rgb, size);
                let through = Resizer::new(to, Color::Grey).resize(&rgb).unwrap();
                assert!(distance(&grey, &through) <= 2, "{space:?} {range:?}");
            }
        }
    }

    #[test]
    fn rgb_agrees_with_the_scaler_of_ffmpeg() {
        let size = Size::new(32, 16);
        for (space, matrix) in [(Space::BT709, "bt709"), (Space::SMPTE170M, "bt601")] {
            for (range, name) in [(Range::MPEG, "limited"), (Range::JPEG, "full")] {
                let make = || {
                    let mut frame = frame(Pixel::YUV444P, size, smooth);
                    frame.set_color_space(space);
                    frame.set_color_range(range);
                    frame
                };
                let ours = convert(&mut make(), Color::Rgb, size);
                let mut graph = filter::Graph::new();
                let args = "video_size=32x16:pix_fmt=yuv444p:time_base=1/1:pixel_aspect=1/1";
                graph
                    .add(&filter::find("buffer").unwrap(), "in", args)
                    .unwrap();
                graph
                    .add(&filter::find("buffersink").unwrap(), "out", "")
                    .unwrap();
                graph
                    .output("in", 0)
                    .unwrap()
                    .input("out", 0)
                    .unwrap()
                    .parse(&format!(
                        "scale=flags=accurate_rnd+full_chroma_int:in_color_matrix={matrix}\
                         :in_range={name}:out_range=full,format=pix_fmts=rgb24"
                    ))
                    .unwrap();
                graph.validate().unwrap();
                let mut theirs = Video::empty();
                graph.get("in").unwrap().source().add(&make()).unwrap();
                graph.get("out").unwrap().sink().frame(&mut theirs).unwrap();
                let pixels = theirs
                    .data(0)
                    .chunks(theirs.stride(0))
                    .flat_map(|row| row[..96].to_vec())
                    .collect();
                let theirs = Picture::new(size, Color::Rgb, pixels).unwrap();
                assert!(distance(&ours, &theirs) <= 2, "{matrix} {name}");
            }
        }
    }

    #[test]
    fn deep_samples_agree_with_eight_bits() {
        let size = Size::new(40, 30);
        let to = Size::new(13, 17);
        for range in [Range::MPEG, Range::JPEG] {
            for color in [Color::Grey, Color::Rgb] {
                let mut eight = frame(Pixel::YUV420P, size, smooth);
                let mut ten = frame(Pixel::YUV420P10LE, size, |plane, row, byte| {
                    let word = u16::from(smooth(plane, row, byte / 2)) << 2;
                    word.to_le_bytes()[byte % 2]
                });
                for frame in [&mut eight, &mut ten] {
                    frame.set_color_space(Space::BT709);
                    frame.set_color_range(range);
                }
                let (eight, ten) = (convert(&mut eight, color, to), convert(&mut ten, color, to));
                assert!(distance(&eight, &ten) <= 2, "{range:?} {color:?}");
            }
        }
    }

    #[test]
    fn packed_formats_agree_with_planar_ones() {
        let size = Size::new(32, 16);
        for color in [Color::Grey, Color::Rgb] {
            // Y 100, Cb 120, Cr 140 everywhere.
            let flat = |plane: usize, _: usize, _: usize| [100, 120, 140][plane.min(2)];
            let planar = convert(&mut frame(Pixel::YUV420P, size, flat), color, size);
            let nv12 = |plane: usize, _: usize, byte: usize| match plane {
                0 => 100,
                _ => [120, 140][byte % 2],
            };
            let yuyv = |_: usize, _: usize, byte: usize| [100, 120, 100, 140][byte % 4];
            let nv12 = convert(&mut frame(Pixel::NV12, size, nv12), color, size);
            let yuyv = convert(&mut frame(Pixel::YUYV422, size, yuyv), color, size);
            assert!(distance(&planar, &nv12) <= 1);
            assert!(distance(&planar, &yuyv) <= 1);
        }
    }

    #[test]
    fn blue_first_and_alpha() {
        let size = Size::new(8, 4);
        let bgra = |_: usize, _: usize, byte: usize| [10, 20, 200, 3][byte % 4];
        let rgb = convert(&mut frame(Pixel::BGRA, size, bgra), Color::Rgb, size);
        assert_eq!(rgb.pixels[..3], [200, 20, 10]);
        let grey = convert(&mut frame(Pixel::BGRA, size, bgra), Color::Grey, size);
        assert_eq!(grey.pixels[0], crate::picture::luma(200, 20, 10));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_size_of_any_layout_converts(
            w in 1..40u32,
            h in 1..40u32,
            to_w in 1..20u32,
            to_h in 1..20u32,
            format in 0..10usize,
        ) {
            let format = [
                Pixel::YUV420P, Pixel::YUV410P, Pixel::YUV411P, Pixel::YUV422P10LE, Pixel::GRAY8,
                Pixel::NV12, Pixel::YUYV422, Pixel::RGB24, Pixel::BGRA, Pixel::YUV440P,
            ][format];
            let to = Size::new(to_w, to_h);
            for color in [Color::Grey, Color::Rgb] {
                let mut frame = frame(format, Size::new(w, h), |p, r, c| smooth(p, r, c % 7));
                prop_assert!(convert(&mut frame, color, to).check().is_ok());
            }
        }
    }
}
