//! TIFF pictures of kinds that `image` refuses: palettes, signed numbers, floats, 32 and 64 bits.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::{SampleFormat, Tag};
use tiff::{ColorType, TiffResult};

use crate::still::{Decoded, Pixels, StillError, check_size};
use crate::stretch::Samples;

/// Bytes of the largest picture: 8 for each value of an RGB picture of the greatest size.
const MAX_BYTES: usize = 8192 * 8192 * 8 * 3;
/// PhotometricInterpretation of grey, and of a palette.
const GREY: u8 = 1;
const PALETTE: u8 = 3;

/// True if bytes begin as TIFF files do, the ones with 64-bit places among them.
pub(crate) fn is_tiff(bytes: &[u8]) -> bool {
    let starts: [&[u8]; 4] = [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"];
    starts.iter().any(|start| bytes.starts_with(start))
}

/// The first picture of a TIFF, where `image` does not read it as well: `None` for grey and RGB of 8
/// and 16 bits without a sign.
pub(crate) fn decode(bytes: &[u8]) -> Result<Option<Decoded>, StillError> {
    // The library refuses palettes; their indices are read as grey.
    let grey = palette_as_grey(bytes);
    let is_palette = grey.is_some();
    let bytes = grey.as_deref().unwrap_or(bytes);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MAX_BYTES;
    limits.intermediate_buffer_size = MAX_BYTES;
    let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(limits);
    let (width, height) = decoder.dimensions()?;
    let size = check_size(width, height)?;
    let kind = decoder.colortype()?;
    let format = sample_format(&mut decoder)?;
    let refused = || StillError::TiffKind {
        kind: format!("{kind:?} in {format:?}").to_lowercase(),
    };
    let is_plain = matches!(format, SampleFormat::Uint)
        && matches!(
            kind,
            ColorType::Gray(1 | 8 | 16)
                | ColorType::RGB(8 | 16)
                | ColorType::RGBA(8 | 16)
                | ColorType::CMYK(8 | 16)
        );
    if is_plain && !is_palette {
        return Ok(None);
    }
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation)?;
    let orientation = orientation.and_then(Orientation::from_exif);
    // Values of a pixel in the file, and those that are colour.
    let (bits, stored, colors) = match kind {
        ColorType::Gray(bits) => (bits, 1, 1),
        ColorType::GrayA(bits) => (bits, 2, 1),
        ColorType::RGB(bits) => (bits, 3, 3),
        ColorType::RGBA(bits) => (bits, 4, 3),
        // Grey with further values, such as alpha.
        ColorType::Multiband {
            bit_depth,
            num_samples,
        } => (bit_depth, usize::from(num_samples), 1),
        _ => return Err(refused()),
    };
    let planes = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration)?;
    if stored > 1 && planes == Some(2) {
        return Err(refused());
    }
    let pixels = size.pixels().ok_or(StillError::TooLarge { size })?;
    let row = usize::try_from(width).map_err(|_| StillError::TooLarge { size })? * stored;
    let read = decoder.read_image()?;
    let samples = match read {
        DecodingResult::U8(packed) if bits < 8 => {
            let indices = unpacked(&packed, bits, row).ok_or_else(refused)?;
            let white = (1u16 << bits) - 1;
            Pixels::Eight(match is_palette {
                true => indices,
                false => indices
                    .into_iter()
                    .map(|value| u8::try_from(u16::from(value) * 255 / white).unwrap_or(u8::MAX))
                    .collect(),
            })
        }
        DecodingResult::U8(values) => Pixels::Eight(values),
        DecodingResult::U16(values) => Pixels::Deep(Samples::Words { values, offset: 0 }),
        DecodingResult::I16(values) => Pixels::Deep(Samples::Words {
            values: values
                .into_iter()
                .map(|v| v.cast_unsigned() ^ 0x8000)
                .collect(),
            offset: i32::from(i16::MIN),
        }),
        DecodingResult::I8(values) => Pixels::Eight(
            values
                .into_iter()
                .map(|v| v.cast_unsigned() ^ 0x80)
                .collect(),
        ),
        DecodingResult::U32(values) => numbers(values, Some((0.0, f64::from(u32::MAX)))),
        DecodingResult::I32(values) => {
            numbers(values, Some((f64::from(i32::MIN), f64::from(i32::MAX))))
        }
        DecodingResult::F32(values) => numbers(values, None),
        DecodingResult::F64(values) => numbers(values, None),
        DecodingResult::F16(values) => numbers(values.into_iter().map(f32::from), None),
        DecodingResult::U64(_) | DecodingResult::I64(_) => return Err(refused()),
    };
    let samples = match samples {
        Pixels::Eight(values) => Pixels::Eight(first_of_each(values, stored, colors)),
        Pixels::Deep(Samples::Words { values, offset }) => Pixels::Deep(Samples::Words {
            values: first_of_each(values, stored, colors),
            offset,
        }),
        Pixels::Deep(Samples::Numbers { values, range }) => Pixels::Deep(Samples::Numbers {
            values: first_of_each(values, stored, colors),
            range,
        }),
    };
    let samples = match (is_palette, samples) {
        (false, samples) => samples,
        (true, Pixels::Eight(indices)) => {
            let map = decoder.get_tag_u16_vec(Tag::ColorMap)?;
            Pixels::Eight(colored(&indices[..pixels.min(indices.len())], &map).ok_or_else(refused)?)
        }
        (true, Pixels::Deep(_)) => return Err(refused()),
    };
    Ok(Some(Decoded {
        size,
        samples,
        has_color: is_palette || colors == 3,
        alpha: stored > colors,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        damaged: false,
    }))
}

fn sample_format(decoder: &mut Decoder<Cursor<&[u8]>>) -> TiffResult<SampleFormat> {
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?;
    let first = formats.and_then(|formats| formats.first().copied());
    Ok(first
        .and_then(SampleFormat::from_u16)
        .unwrap_or(SampleFormat::Uint))
}

fn numbers<T: Into<f64>>(values: impl IntoIterator<Item = T>, range: Option<(f64, f64)>) -> Pixels {
    Pixels::Deep(Samples::Numbers {
        values: values.into_iter().map(Into::into).collect(),
        range,
    })
}

/// The first `colors` of every `stored` values.
fn first_of_each<T: Copy>(values: Vec<T>, stored: usize, colors: usize) -> Vec<T> {
    if stored == colors {
        return values;
    }
    let pixels = values.chunks_exact(stored.max(1));
    pixels.flat_map(|pixel| pixel[..colors].to_vec()).collect()
}

/// Values of fewer than 8 bits, of which rows begin at whole bytes.
fn unpacked(packed: &[u8], bits: u8, row: usize) -> Option<Vec<u8>> {
    let bits = usize::from(bits);
    let bytes = (row * bits).div_ceil(8);
    if !matches!(bits, 1 | 2 | 4) || bytes == 0 {
        return None;
    }
    let mask = u8::MAX >> (8 - bits);
    let rows = packed.chunks_exact(bytes).flat_map(|bytes| {
        (0..row).map(move |x| bytes[x * bits / 8] >> (8 - bits - x * bits % 8) & mask)
    });
    Some(rows.collect())
}

/// The colours of indices: a map holds all reds, then all greens, then all blues, of 16 bits.
fn colored(indices: &[u8], map: &[u16]) -> Option<Vec<u8>> {
    let length = map.len() / 3;
    let mut out = Vec::with_capacity(indices.len() * 3);
    for &index in indices {
        let index = usize::from(index);
        if index >= length {
            return None;
        }
        for channel in 0..3 {
            let [high, _] = map[channel * length + index].to_be_bytes();
            out.push(high);
        }
    }
    Some(out)
}

/// The file with its palette's indices declared as grey; `None` where it has no palette.
fn palette_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_little = bytes.starts_with(b"I");
    let is_big_tiff = bytes.get(2..4)?.contains(&b'+');
    let number = |at: usize, length: usize| -> Option<usize> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let fold = |sum: u64, digit: &u8| sum << 8 | u64::from(*digit);
        let value = match is_little {
            true => digits.iter().rev().fold(0, fold),
            false => digits.iter().fold(0, fold),
        };
        usize::try_from(value).ok()
    };
    // Where the directory is, bytes of its count, of an entry, and before an entry's value.
    let (directory, count, entry, value) = match is_big_tiff {
        true => (number(8, 8)?, 8, 20, 12),
        false => (number(4, 4)?, 2, 12, 8),
    };
    let entries = number(directory, count)?.min(4096);
    for index in 0..entries {
        let at = directory.checked_add(count + index * entry)?;
        if number(at, 2)? == usize::from(Tag::PhotometricInterpretation.to_u16()) {
            if number(at.checked_add(value)?, 2)? != usize::from(PALETTE) {
                return None;
            }
            let mut grey = bytes.to_vec();
            let low = at + value + usize::from(!is_little);
            *grey.get_mut(low)? = GREY;
            return Some(grey);
        }
    }
    None
}
