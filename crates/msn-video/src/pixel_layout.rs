//! How pixel formats lie in memory.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::util::color::Range;

use crate::luma::SampleRange;

/// How a pixel format lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PixelLayout {
    /// Luma in plane 0, chroma (if any) in planes 1 and 2, `bits` a sample; above 8 bits in
    /// little-endian words.
    Planar { bits: u32, chroma: bool },
    /// Packed red, green, blue.
    Rgb24,
    /// Anything else, which FFmpeg's scaler turns into the format named first.
    Other(&'static str),
}

/// Where black and white lie. Untagged video is limited, as FFmpeg takes it; the `yuvj` formats
/// are full, and so is grey unless it is tagged as limited.
pub(crate) fn sample_range(frame: &Video) -> SampleRange {
    match frame.color_range() {
        Range::JPEG => SampleRange::Full,
        Range::MPEG => SampleRange::Limited,
        Range::Unspecified => {
            let full = ["yuvj", "gray", "ya"];
            if full
                .iter()
                .any(|prefix| name(frame.format()).starts_with(prefix))
            {
                SampleRange::Full
            } else {
                SampleRange::Limited
            }
        }
    }
}

/// FFmpeg's name of a pixel format.
pub(crate) fn name(format: Pixel) -> &'static str {
    format.descriptor().map_or("", |d| d.name())
}

impl PixelLayout {
    /// The layout of a pixel format, by FFmpeg's name of it.
    pub(crate) fn of(format: Pixel) -> Self {
        let name = name(format);
        if name == "rgb24" {
            return PixelLayout::Rgb24;
        }
        if let Some(bits) = name.strip_prefix("gray").and_then(depth) {
            return PixelLayout::Planar {
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
                Some(bits) => PixelLayout::Planar { bits, chroma: true },
                None => PixelLayout::Other("yuv444p"),
            };
        }
        const YUV: [&str; 12] = [
            "yuyv", "yvyu", "uyvy", "uyyv", "nv", "p0", "p2", "p4", "y2", "vuy", "ayuv", "xv",
        ];
        if name == "gray16be" {
            // Only the order of bytes differs.
            PixelLayout::Other("gray16le")
        } else if name.starts_with("ya") || name.starts_with("gray") {
            PixelLayout::Other("gray")
        } else if YUV.iter().any(|prefix| name.starts_with(prefix)) {
            PixelLayout::Other("yuv444p")
        } else {
            PixelLayout::Other("rgb24")
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_by_name() {
        let planar = |bits, chroma| PixelLayout::Planar { bits, chroma };
        for (format, wanted) in [
            (Pixel::YUV420P, planar(8, true)),
            (Pixel::YUVJ422P, planar(8, true)),
            (Pixel::YUVA420P, planar(8, true)),
            (Pixel::YUV410P, planar(8, true)),
            (Pixel::YUV420P10LE, planar(10, true)),
            (Pixel::YUV444P16LE, planar(16, true)),
            (Pixel::YUV444P16BE, PixelLayout::Other("yuv444p")),
            (Pixel::GRAY8, planar(8, false)),
            (Pixel::GRAY10LE, planar(10, false)),
            (Pixel::GRAY16BE, PixelLayout::Other("gray16le")),
            (Pixel::YA8, PixelLayout::Other("gray")),
            (Pixel::YUYV422, PixelLayout::Other("yuv444p")),
            (Pixel::NV12, PixelLayout::Other("yuv444p")),
            (Pixel::P010LE, PixelLayout::Other("yuv444p")),
            (Pixel::RGB24, PixelLayout::Rgb24),
            (Pixel::BGRA, PixelLayout::Other("rgb24")),
            (Pixel::GBRP, PixelLayout::Other("rgb24")),
            (Pixel::PAL8, PixelLayout::Other("rgb24")),
            (Pixel::MonoWhite, PixelLayout::Other("rgb24")),
        ] {
            assert_eq!(PixelLayout::of(format), wanted, "{format:?}");
        }
    }
}
