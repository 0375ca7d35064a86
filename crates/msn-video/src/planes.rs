//! From FFmpeg's frames to sized pictures.
//!
//! Planar YUV is resized plane by plane where it lies, and only the small planes are combined:
//! resizing and the matrices are linear, so this equals converting first, up to rounding and to
//! the clipping of colours that RGB can't hold. Grey from a BT.601 stream touches luma alone.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::util::color::{Range, Space};
use ffmpeg_next::{Error, filter};

use crate::orientation::Orientation;
use crate::resize::Plane;
use crate::{Color, Picture, Resizer, Size, VideoError};

/// Turns frames into pictures of one size and colour; keeps its buffers.
pub(crate) struct Converter {
    color: Color,
    resizer: Resizer,
    luma: Vec<u8>,
    chroma: [Vec<u8>; 2],
    small: [Vec<u8>; 3],
    unpacker: Option<Unpacker>,
}

/// How a pixel format lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Luma in plane 0, chroma (if any) in planes 1 and 2, `bits` a sample; above 8 bits in
    /// little-endian words.
    Planar { bits: u32, chroma: bool },
    /// Packed red, green, blue.
    Rgb24,
    /// Anything else, which FFmpeg's scaler turns into the format named first.
    Other(&'static str),
}

/// Full-range weights of luma and of the two colour differences in red, green, blue, and in
/// BT.601 luma, after Y has been expanded to 0..255.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Matrix {
    red_cr: f32,
    green_cb: f32,
    green_cr: f32,
    blue_cb: f32,
    luma_cb: f32,
    luma_cr: f32,
}

impl Converter {
    pub(crate) fn new(color: Color) -> Self {
        Self {
            color,
            resizer: Resizer::new(Size::new(1, 1), color),
            luma: Vec::new(),
            chroma: [Vec::new(), Vec::new()],
            small: [Vec::new(), Vec::new(), Vec::new()],
            unpacker: None,
        }
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
        let from = Size::new(frame.width(), frame.height());
        if self.resizer.size() != stored {
            self.resizer = Resizer::new(stored, self.color);
        }
        let full = is_full_range(frame);
        let space = frame.color_space();
        let mut layout = layout(frame.format());
        // Upside-down frames have negative strides, which only the scaler understands.
        let upright = (0..frame.planes()).all(|i| i32::try_from(frame.stride(i)).is_ok());
        let mut unpacked = Video::empty();
        let mut source: &Video = frame;
        if !upright && let Layout::Planar { .. } | Layout::Rgb24 = layout {
            layout = Layout::Other(if layout == Layout::Rgb24 {
                "rgb24"
            } else {
                "yuv444p"
            });
        }
        if let Layout::Other(format) = layout {
            let fail = |e: Error| VideoError::Resize {
                from,
                to: target,
                reason: e.to_string(),
            };
            self.unpack(frame, format, full, &mut unpacked)
                .map_err(fail)?;
            source = &unpacked;
            layout = self::layout(source.format());
        }
        let picture = match layout {
            Layout::Planar { bits, chroma } => self.planar(source, bits, chroma, full, space)?,
            Layout::Rgb24 => {
                let rgb = Plane {
                    data: source.data(0),
                    stride: source.stride(0),
                    size: from,
                    color: Color::Rgb,
                };
                self.packed(rgb)?
            }
            Layout::Other(format) => {
                let reason = format!("FFmpeg's scaler gave no {format}");
                return Err(VideoError::Resize {
                    from,
                    to: target,
                    reason,
                });
            }
        };
        Ok(orientation.apply(picture))
    }

    fn planar(
        &mut self,
        frame: &Video,
        bits: u32,
        chroma: bool,
        full: bool,
        space: Space,
    ) -> Result<Picture, VideoError> {
        let size = Size::new(frame.width(), frame.height());
        let stored = self.resizer.size();
        let luma = Plane {
            data: frame.data(0),
            stride: frame.stride(0),
            size,
            color: Color::Grey,
        };
        let luma = match (bits, full) {
            (8, true) => luma,
            (8, false) => rewrite(luma, 1, &mut self.luma, expand),
            _ => rewrite(luma, 2, &mut self.luma, |row, out| {
                reduce_luma(row, bits, full, out)
            }),
        };
        let matrix = Matrix::of(space, full);
        if !chroma || self.color == Color::Grey && matrix.is_bt601() {
            return Ok(self.resizer.resize_plane(luma)?.into_color(self.color));
        }
        let pixels = crate::picture::bytes(stored, Color::Grey)?;
        let [y, cb, cr] = &mut self.small;
        y.resize(pixels, 0);
        self.resizer.resize_plane_into(luma, y)?;
        for (index, (out, buffer)) in (1..).zip([cb, cr].into_iter().zip(&mut self.chroma)) {
            let size = Size::new(frame.plane_width(index), frame.plane_height(index));
            let plane = Plane {
                data: frame.data(index),
                stride: frame.stride(index),
                size,
                color: Color::Grey,
            };
            let plane = match bits {
                8 => plane,
                _ => rewrite(plane, 2, buffer, |row, out| reduce_chroma(row, bits, out)),
            };
            out.resize(pixels, 0);
            self.resizer.resize_plane_into(plane, out)?;
        }
        let [y, cb, cr] = &self.small;
        let samples = y
            .iter()
            .zip(cb.iter().zip(cr))
            .map(|(&y, (&cb, &cr))| (f32::from(y), f32::from(cb) - 128.0, f32::from(cr) - 128.0));
        let m = matrix;
        let values = match self.color {
            Color::Grey => samples
                .map(|(y, cb, cr)| to_byte(y + m.luma_cb * cb + m.luma_cr * cr))
                .collect(),
            Color::Rgb => samples
                .flat_map(|(y, cb, cr)| {
                    [
                        to_byte(y + m.red_cr * cr),
                        to_byte(y + m.green_cb * cb + m.green_cr * cr),
                        to_byte(y + m.blue_cb * cb),
                    ]
                })
                .collect(),
        };
        Picture::new(stored, self.color, values)
    }

    fn packed(&mut self, rgb: Plane<'_>) -> Result<Picture, VideoError> {
        if self.color == Color::Rgb {
            // FFmpeg pads rows to a length that need not hold whole pixels.
            let row = usize::try_from(rgb.size.width)
                .unwrap_or(0)
                .saturating_mul(3);
            self.luma.clear();
            for source in rgb.data.chunks(rgb.stride.max(1)) {
                self.luma
                    .extend_from_slice(&source[..row.min(source.len())]);
            }
            return self.resizer.resize_plane(Plane {
                data: &self.luma,
                stride: row,
                ..rgb
            });
        }
        let grey = rewrite(rgb, 3, &mut self.luma, |row, out| {
            for (&[r, g, b], out) in row.as_chunks::<3>().0.iter().zip(out) {
                *out = crate::picture::luma(r, g, b);
            }
        });
        self.resizer.resize_plane(Plane {
            color: Color::Grey,
            ..grey
        })
    }

    fn unpack(
        &mut self,
        frame: &mut Video,
        format: &'static str,
        full: bool,
        out: &mut Video,
    ) -> Result<(), Error> {
        let key = Key {
            size: Size::new(frame.width(), frame.height()),
            from: frame.format(),
            to: format,
            full,
        };
        let mut unpacker = match self.unpacker.take() {
            Some(unpacker) if unpacker.key == key => unpacker,
            _ => Unpacker::new(key)?,
        };
        unpacker.run(frame, out)?;
        self.unpacker = Some(unpacker);
        Ok(())
    }
}

/// True where values span 0..255 instead of 16..235. Untagged video is limited, as FFmpeg takes
/// it; the `yuvj` formats are full, and so is grey unless it is tagged as limited.
fn is_full_range(frame: &Video) -> bool {
    match frame.color_range() {
        Range::JPEG => true,
        Range::MPEG => false,
        Range::Unspecified => {
            let name = frame.format().descriptor().map_or("", |d| d.name());
            name.starts_with("yuvj") || name.starts_with("gray") || name.starts_with("ya")
        }
    }
}

fn layout(format: Pixel) -> Layout {
    let name = format.descriptor().map_or("", |d| d.name());
    if name == "rgb24" {
        return Layout::Rgb24;
    }
    if let Some(bits) = name.strip_prefix("gray").and_then(depth) {
        return Layout::Planar {
            bits,
            chroma: false,
        };
    }
    let yuv = name
        .strip_prefix("yuvj")
        .or(name.strip_prefix("yuva"))
        .or(name.strip_prefix("yuv"));
    if let Some(rest) = yuv {
        // What is left is "420p", "444p10le", ...
        let bits = rest.find('p').and_then(|p| depth(&rest[p + 1..]));
        return match bits {
            Some(bits) => Layout::Planar { bits, chroma: true },
            None => Layout::Other("yuv444p"),
        };
    }
    const YUV: [&str; 12] = [
        "yuyv", "yvyu", "uyvy", "uyyv", "nv", "p0", "p2", "p4", "y2", "vuy", "ayuv", "xv",
    ];
    if name.starts_with("ya") || name.starts_with("gray") {
        Layout::Other("gray")
    } else if YUV.iter().any(|prefix| name.starts_with(prefix)) {
        Layout::Other("yuv444p")
    } else {
        Layout::Other("rgb24")
    }
}

/// Bits a sample from what a format's name ends in: nothing, or "10le" and the like.
fn depth(ending: &str) -> Option<u32> {
    if ending.is_empty() {
        return Some(8);
    }
    ending
        .strip_suffix("le")?
        .parse()
        .ok()
        .filter(|bits| (9..=16).contains(bits))
}

impl Matrix {
    /// The matrix of a stream; unknown ones are taken as BT.601, as FFmpeg's scaler does.
    fn of(space: Space, full: bool) -> Self {
        let (kr, kb) = match space {
            Space::BT709 => (0.2126, 0.0722),
            Space::FCC => (0.30, 0.11),
            Space::SMPTE240M => (0.212, 0.087),
            Space::BT2020NCL | Space::BT2020CL => (0.2627, 0.0593),
            _ => (0.299, 0.114),
        };
        let kg: f32 = 1.0 - kr - kb;
        let scale = if full { 1.0 } else { 255.0 / 224.0 };
        let red_cr = 2.0 * (1.0 - kr) * scale;
        let blue_cb = 2.0 * (1.0 - kb) * scale;
        let green_cb = -blue_cb * kb / kg;
        let green_cr = -red_cr * kr / kg;
        Self {
            red_cr,
            green_cb,
            green_cr,
            blue_cb,
            luma_cb: 0.587 * green_cb + 0.114 * blue_cb,
            luma_cr: 0.299 * red_cr + 0.587 * green_cr,
        }
    }

    /// True where luma is Y itself.
    fn is_bt601(&self) -> bool {
        self.luma_cb.abs() < 1e-5 && self.luma_cr.abs() < 1e-5
    }
}

/// A plane written row by row to `buffer`, whose rows have no padding. `bytes` is what a pixel
/// takes in the source.
fn rewrite<'a>(
    plane: Plane<'_>,
    bytes: usize,
    buffer: &'a mut Vec<u8>,
    row: impl Fn(&[u8], &mut [u8]),
) -> Plane<'a> {
    let width = usize::try_from(plane.size.width).unwrap_or(0);
    let height = usize::try_from(plane.size.height).unwrap_or(0);
    buffer.resize(width.saturating_mul(height), 0);
    if width > 0 {
        let used = width.saturating_mul(bytes);
        let rows = plane.data.chunks(plane.stride.max(1));
        for (source, out) in rows.zip(buffer.chunks_exact_mut(width)) {
            row(&source[..used.min(source.len())], out);
        }
    }
    Plane {
        data: buffer,
        stride: width,
        size: plane.size,
        color: Color::Grey,
    }
}

/// Limited range to full range, 8 bit: `round((y - 16) * 255 / 219)`, clipped.
fn expand(row: &[u8], out: &mut [u8]) {
    for (&y, out) in row.iter().zip(out) {
        *out = expand_one(y);
    }
}

fn expand_one(y: u8) -> u8 {
    // 255 / 219 as 38155 / 2^15, on 16-bit words so that it vectorises.
    let scaled = (u32::from(u16::from(y.saturating_sub(16)) << 8) * 38_155) >> 16;
    let rounded = (u16::try_from(scaled).unwrap_or(u16::MAX) + 64) >> 7;
    u8::try_from(rounded.min(255)).unwrap_or(u8::MAX)
}

/// Luma of more than 8 bits to full-range bytes.
fn reduce_luma(row: &[u8], bits: u32, full: bool, out: &mut [u8]) {
    let unit = f32::from(1u16 << (bits - 8));
    let (black, scale) = if full {
        (0.0, 255.0 / (256.0 * unit - 1.0))
    } else {
        (16.0 * unit, 255.0 / (219.0 * unit))
    };
    for (&word, out) in row.as_chunks::<2>().0.iter().zip(out) {
        *out = to_byte((f32::from(u16::from_le_bytes(word)) - black) * scale);
    }
}

/// Chroma of more than 8 bits to bytes around 128.
fn reduce_chroma(row: &[u8], bits: u32, out: &mut [u8]) {
    let scale = 1.0 / f32::from(1u16 << (bits - 8));
    for (&word, out) in row.as_chunks::<2>().0.iter().zip(out) {
        *out = to_byte(f32::from(u16::from_le_bytes(word)) * scale);
    }
}

/// Rounds to nearest and clips; the cast saturates.
fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// FFmpeg's scaler at the same size, for formats that are not planar.
struct Unpacker {
    key: Key,
    graph: filter::Graph,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    size: Size,
    from: Pixel,
    to: &'static str,
    full: bool,
}

impl Unpacker {
    fn new(key: Key) -> Result<Self, Error> {
        let name = key.from.descriptor().ok_or(Error::InvalidData)?.name();
        let find = |name| filter::find(name).ok_or(Error::FilterNotFound);
        let mut graph = filter::Graph::new();
        let Size { width, height } = key.size;
        graph.add(
            &find("buffer")?,
            "in",
            &format!("video_size={width}x{height}:pix_fmt={name}:time_base=1/1:pixel_aspect=1/1"),
        )?;
        graph.add(&find("buffersink")?, "out", "")?;
        let range = if key.full { "full" } else { "limited" };
        let out_range = if key.to == "rgb24" { "full" } else { range };
        graph.output("in", 0)?.input("out", 0)?.parse(&format!(
            "scale=w=iw:h=ih:flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp\
             :in_range={range}:out_range={out_range},format=pix_fmts={}",
            key.to
        ))?;
        graph.validate()?;
        Ok(Self { key, graph })
    }

    fn run(&mut self, frame: &mut Video, out: &mut Video) -> Result<(), Error> {
        self.graph
            .get("in")
            .ok_or(Error::Bug)?
            .source()
            .add(frame)?;
        self.graph.get("out").ok_or(Error::Bug)?.sink().frame(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn expansion_is_the_rounded_quotient() {
        for y in 0..=255u8 {
            let exact = ((f64::from(y) - 16.0) * 255.0 / 219.0)
                .round()
                .clamp(0.0, 255.0);
            assert_eq!(f64::from(expand_one(y)), exact, "{y}");
        }
    }

    #[test]
    fn layouts_by_name() {
        let planar = |bits, chroma| Layout::Planar { bits, chroma };
        for (format, wanted) in [
            (Pixel::YUV420P, planar(8, true)),
            (Pixel::YUVJ422P, planar(8, true)),
            (Pixel::YUVA420P, planar(8, true)),
            (Pixel::YUV410P, planar(8, true)),
            (Pixel::YUV420P10LE, planar(10, true)),
            (Pixel::YUV444P16LE, planar(16, true)),
            (Pixel::YUV444P16BE, Layout::Other("yuv444p")),
            (Pixel::GRAY8, planar(8, false)),
            (Pixel::GRAY10LE, planar(10, false)),
            (Pixel::GRAY16BE, Layout::Other("gray")),
            (Pixel::YA8, Layout::Other("gray")),
            (Pixel::YUYV422, Layout::Other("yuv444p")),
            (Pixel::NV12, Layout::Other("yuv444p")),
            (Pixel::P010LE, Layout::Other("yuv444p")),
            (Pixel::RGB24, Layout::Rgb24),
            (Pixel::BGRA, Layout::Other("rgb24")),
            (Pixel::GBRP, Layout::Other("rgb24")),
            (Pixel::PAL8, Layout::Other("rgb24")),
            (Pixel::MonoWhite, Layout::Other("rgb24")),
        ] {
            assert_eq!(layout(format), wanted, "{format:?}");
        }
    }

    #[test]
    fn luma_weights_vanish_for_bt601_alone() {
        assert!(Matrix::of(Space::Unspecified, false).is_bt601());
        assert!(Matrix::of(Space::SMPTE170M, true).is_bt601());
        assert!(!Matrix::of(Space::BT709, false).is_bt601());
    }

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

    fn smooth(plane: usize, row: usize, column: usize) -> u8 {
        u8::try_from(60 + 20 * plane + (row * 3 + column * 2) % 64).unwrap()
    }

    fn convert(frame: &mut Video, color: Color, to: Size) -> Picture {
        Converter::new(color)
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
