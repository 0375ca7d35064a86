//! NumPy's array files, as truth values.

use std::io::Read;

use camino::Utf8Path;
use npyz::{DType, NpyFile, Order, TypeChar};

use super::numbers::NumberArray;
use super::pickle::{self, PickleError};
use crate::DataError;

/// Longest header that is read, as in NumPy itself.
const LONGEST_HEADER: usize = 10_000;

/// Deepest nesting of brackets in a header; that of labels is 2.
const DEEPEST_HEADER: usize = 8;

/// Why an array file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// It ends in its header.
    #[error("it is no .npy file, its header can't be read ({0})")]
    Short(std::io::Error),
    /// Its first bytes.
    #[error("it is no .npy file: it does not begin with \\x93NUMPY")]
    Magic,
    /// The length of its header.
    #[error("its header has {0} bytes, which is no array")]
    LongHeader(usize),
    /// Nested too deep, or with too many digits.
    #[error("its header is not that of an array of labels")]
    NoLabels,
    /// The library's reason.
    #[error("its header can't be understood ({0})")]
    Header(std::io::Error),
    /// More elements than can be counted.
    #[error("its shape is impossible")]
    Shape,
    /// Fewer bytes than elements.
    #[error("its shape is that of {values} values, but it has {bytes} bytes")]
    TooShort {
        /// Elements of the shape.
        values: usize,
        /// Bytes of the file.
        bytes: usize,
    },
    /// Columns first, and not two-dimensional.
    #[error("its values are in Fortran order; save it in C order")]
    Fortran,
    /// A structured type.
    #[error("it holds records; booleans, integers or floats were expected")]
    Records,
    /// Another type of values.
    #[error("it holds values of type {0}; booleans, integers or floats were expected")]
    Type(String),
    /// It ends in its values.
    #[error("it ends after {values} values ({source})")]
    Ended {
        /// Values that are there.
        values: usize,
        /// The system's reason.
        source: std::io::Error,
    },
    /// NaN or an infinity, with its index.
    #[error("value {0} is no finite number")]
    NotFinite(usize),
    /// Another shape than that of masks.
    #[error("its shape is {0:?}; frames x height x width was expected")]
    MaskShape(Vec<usize>),
    /// Masks that can't be read one after the other.
    #[error("its values are objects or in Fortran order; save numbers in C order")]
    MaskOrder,
    /// Objects that are no arrays of numbers.
    #[error(transparent)]
    Pickle(#[from] PickleError),
}

/// An array of numbers as truth values: anything but 0 is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub shape: Vec<usize>,
    /// In row-major order.
    pub values: Vec<bool>,
    /// Whether every number was 0 or 1, or every number 0 or 255.
    pub binary: bool,
}

impl Flags {
    /// Whether the array is flat, or has one row or column.
    pub fn is_flat(&self) -> bool {
        self.shape.iter().filter(|&&n| n != 1).count() <= 1
    }
}

/// What an array file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Numbers.
    Flags(Flags),
    /// Objects: an array in each element.
    Objects(Vec<Flags>),
}

/// Reads a file of one array.
pub(crate) fn read_file(path: &Utf8Path) -> Result<Contents, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    read(&bytes).map_err(|e| DataError::label(path, e))
}

/// Reads one array.
pub(crate) fn read(bytes: &[u8]) -> Result<Contents, NpyError> {
    let file = open(bytes)?;
    let shape = shape(&file, bytes.len())?;
    if file.uses_pickled_array() {
        return Ok(Contents::Objects(pickle::arrays(file.into_inner())?));
    }
    let fortran = file.order() == Order::Fortran;
    let count = shape.iter().product();
    let mut stream = Stream::new(file)?;
    let mut values = Vec::new();
    stream.take(count, &mut values)?;
    let binary = stream.binary();
    let mut flags = Flags {
        shape,
        values,
        binary,
    };
    if fortran && !flags.is_flat() {
        flags = transposed(&flags)?;
    }
    Ok(Contents::Flags(flags))
}

/// Reads one array as numbers; an array of objects gives one array for each.
pub(crate) fn numbers(bytes: &[u8], name: Option<&str>) -> Result<Vec<NumberArray>, NpyError> {
    let name = name.map(str::to_owned);
    let file = open(bytes)?;
    let shape = shape(&file, bytes.len())?;
    if file.uses_pickled_array() {
        let objects = pickle::number_arrays(file.into_inner())?.into_iter();
        let named = |(i, (shape, values))| NumberArray {
            name: name.clone(),
            element: Some(i),
            shape,
            values,
        };
        return Ok(objects.enumerate().map(named).collect());
    }
    let fortran = file.order() == Order::Fortran && shape.iter().filter(|&&n| n != 1).count() > 1;
    let count = shape.iter().product();
    let mut stream = Stream::new(file)?;
    let mut values = Vec::new();
    for index in 0..count {
        let number = stream.next(index)?;
        values.push(number_of(&number[..stream.size], stream.sort));
    }
    if fortran {
        let [rows, columns] = shape[..] else {
            return Err(NpyError::Fortran);
        };
        let places = (0..rows).flat_map(|row| (0..columns).map(move |c| c * rows + row));
        values = places.map(|place| values[place]).collect();
    }
    Ok(vec![NumberArray {
        name,
        element: None,
        shape,
        values,
    }])
}

/// A little-endian number of some type.
pub(crate) fn number_of(bytes: &[u8], sort: TypeChar) -> f64 {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    match (sort, bytes.len()) {
        (TypeChar::Float, 4) => f64::from(f32::from_bits(u32::from_le_bytes(
            wide[..4].try_into().unwrap_or_default(),
        ))),
        (TypeChar::Float, _) => f64::from_le_bytes(wide),
        (TypeChar::Int, size) => {
            // Numbers of less than eight bytes keep their sign.
            let unused = 64 - 8 * u32::try_from(size.clamp(1, 8)).unwrap_or(8);
            ((i64::from_le_bytes(wide) << unused) >> unused) as f64
        }
        _ => u64::from_le_bytes(wide) as f64,
    }
}

/// Opens an array file after a look at its header, which the library would trust.
fn open<'a>(mut reader: impl Read + 'a) -> Result<NpyFile<Box<dyn Read + 'a>>, NpyError> {
    let mut head = vec![0; 8];
    reader.read_exact(&mut head).map_err(NpyError::Short)?;
    if !head.starts_with(b"\x93NUMPY") {
        return Err(NpyError::Magic);
    }
    let mut size = [0; 4];
    let width = if head[6] == 1 { 2 } else { 4 };
    reader
        .read_exact(&mut size[..width])
        .map_err(NpyError::Short)?;
    let length = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
    if length > LONGEST_HEADER {
        return Err(NpyError::LongHeader(length));
    }
    head.extend_from_slice(&size[..width]);
    let start = head.len();
    head.resize(start + length, 0);
    reader
        .read_exact(&mut head[start..])
        .map_err(NpyError::Short)?;
    check_header(&head[start..])?;
    let whole: Box<dyn Read + 'a> = Box::new(std::io::Cursor::new(head).chain(reader));
    NpyFile::new(whole).map_err(NpyError::Header)
}

/// Refuses headers on which the library would run out of stack or of digits.
fn check_header(text: &[u8]) -> Result<(), NpyError> {
    let (mut depth, mut deepest) = (0usize, 0);
    for c in text {
        match c {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    // The product of the shape's numbers is below ten to the power of their digits.
    let digits = text.iter().filter(|c| c.is_ascii_digit()).count();
    if deepest > DEEPEST_HEADER || digits > 18 {
        return Err(NpyError::NoLabels);
    }
    Ok(())
}

/// The shape, checked against the bytes that there are.
fn shape<R: Read>(file: &NpyFile<R>, bytes: usize) -> Result<Vec<usize>, NpyError> {
    let mut elements = 1usize;
    let mut shape = Vec::new();
    for &side in file.shape() {
        let side = usize::try_from(side).map_err(|_| NpyError::Shape)?;
        elements = elements.checked_mul(side).ok_or(NpyError::Shape)?;
        shape.push(side);
    }
    // Each element takes at least one byte.
    if elements > bytes && !file.uses_pickled_array() {
        return Err(NpyError::TooShort {
            values: elements,
            bytes,
        });
    }
    Ok(shape)
}

fn transposed(flags: &Flags) -> Result<Flags, NpyError> {
    let [rows, columns] = flags.shape[..] else {
        return Err(NpyError::Fortran);
    };
    let values = (0..rows)
        .flat_map(|row| (0..columns).map(move |column| column * rows + row))
        .map(|index| flags.values[index])
        .collect();
    Ok(Flags {
        values,
        ..flags.clone()
    })
}

/// Numbers of an array file, one after the other.
struct Stream<'a> {
    reader: Box<dyn Read + 'a>,
    kind: Kind,
    sort: TypeChar,
    big_endian: bool,
    size: usize,
    /// Whether a 1, a 255 and something else came by.
    seen: [bool; 3],
}

/// What kind of number an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Booleans and integers.
    Whole,
    /// Floating point.
    Float,
}

impl<'a> Stream<'a> {
    fn new(file: NpyFile<Box<dyn Read + 'a>>) -> Result<Self, NpyError> {
        let DType::Plain(plain) = file.dtype() else {
            return Err(NpyError::Records);
        };
        let size = plain.num_bytes().unwrap_or(0);
        let kind = match (plain.type_char(), size) {
            (TypeChar::Bool | TypeChar::Int | TypeChar::Uint, 1 | 2 | 4 | 8) => Kind::Whole,
            (TypeChar::Float, 4 | 8) => Kind::Float,
            _ => return Err(NpyError::Type(plain.to_string())),
        };
        let big_endian = plain.endianness() == npyz::Endianness::Big;
        Ok(Self {
            sort: plain.type_char(),
            reader: file.into_inner(),
            kind,
            big_endian,
            size,
            seen: [false; 3],
        })
    }

    /// The bytes of the next number, little-endian, `self.size` of them; `index` is its place.
    fn next(&mut self, index: usize) -> Result<[u8; 8], NpyError> {
        let mut number = [0; 8];
        let bytes = &mut number[..self.size];
        self.reader
            .read_exact(bytes)
            .map_err(|source| NpyError::Ended {
                values: index,
                source,
            })?;
        if self.big_endian {
            bytes.reverse();
        }
        Ok(number)
    }

    /// Appends `count` values.
    fn take(&mut self, count: usize, values: &mut Vec<bool>) -> Result<(), NpyError> {
        for _ in 0..count {
            let number = self.next(values.len())?;
            let value = whole(&number[..self.size], self.kind);
            let value = value.ok_or(NpyError::NotFinite(values.len()))?;
            match value {
                0 => {}
                1 => self.seen[0] = true,
                255 => self.seen[1] = true,
                _ => self.seen[2] = true,
            }
            values.push(value != 0);
        }
        Ok(())
    }

    fn binary(&self) -> bool {
        matches!(self.seen, [false, _, false] | [_, false, false])
    }
}

/// A little-endian number as a whole one: fractions become 2, so that they are true and not
/// binary. Nothing for NaN and infinities.
pub(crate) fn whole(bytes: &[u8], kind: Kind) -> Option<u64> {
    match kind {
        Kind::Whole => {
            let mut wide = [0; 8];
            wide[..bytes.len()].copy_from_slice(bytes);
            Some(u64::from_le_bytes(wide))
        }
        Kind::Float => {
            let value = match bytes {
                &[a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
                _ => f64::from_le_bytes(bytes.try_into().ok()?),
            };
            if !value.is_finite() {
                return None;
            }
            Some(match value {
                0.0 => 0,
                1.0 => 1,
                255.0 => 255,
                _ => 2,
            })
        }
    }
}

/// Pixel masks in an array of frames x height x width.
pub(crate) struct MaskStream {
    stream: Stream<'static>,
    /// Frames, height, width.
    pub shape: [usize; 3],
}

impl MaskStream {
    pub fn open(path: &Utf8Path) -> Result<Self, DataError> {
        let failed = |e: NpyError| DataError::label(path, e);
        let read = |e| DataError::io(path, "read", e);
        let file = std::fs::File::open(path).map_err(read)?;
        let length = file.metadata().map_err(read)?.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let reader = std::io::BufReader::new(file);
        let file = open(reader).map_err(failed)?;
        let shape = shape(&file, length).map_err(failed)?;
        let &[frames, height, width] = &shape[..] else {
            return Err(failed(NpyError::MaskShape(shape)));
        };
        if file.order() == Order::Fortran || file.uses_pickled_array() {
            return Err(failed(NpyError::MaskOrder));
        }
        Ok(Self {
            stream: Stream::new(file).map_err(failed)?,
            shape: [frames, height, width],
        })
    }

    /// The pixels of the next frame, row by row.
    pub fn next_frame(&mut self) -> Result<Vec<bool>, NpyError> {
        let [_, height, width] = self.shape;
        let mut pixels = Vec::new();
        self.stream.take(height * width, &mut pixels)?;
        Ok(pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use npyz::WriterBuilder;
    use proptest::prelude::*;

    fn write<T: npyz::AutoSerialize + Copy>(shape: &[u64], order: Order, values: &[T]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .order(order)
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()
            .unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn flags(bytes: &[u8]) -> Flags {
        match read(bytes).unwrap() {
            Contents::Flags(flags) => flags,
            Contents::Objects(_) => panic!("numbers were written"),
        }
    }

    #[test]
    fn every_kind_of_number_is_read() {
        let expected = [false, true, true, false];
        let c = Order::C;
        assert_eq!(flags(&write(&[4], c, &[0u8, 1, 1, 0])).values, expected);
        assert_eq!(flags(&write(&[4], c, &[0i64, 1, 1, 0])).values, expected);
        assert_eq!(flags(&write(&[4], c, &[0i16, -1, 1, 0])).values, expected);
        assert_eq!(
            flags(&write(&[1, 4], c, &[0.0f32, 1.0, 1.0, -0.0])).values,
            expected
        );
        assert_eq!(
            flags(&write(&[4, 1], c, &[0.0f64, 1.0, 0.5, 0.0])).values,
            expected
        );
        assert_eq!(
            flags(&write(&[4], c, &[false, true, true, false])).values,
            expected
        );
        assert!(read(&write(&[2], c, &[0.0f64, f64::NAN])).is_err());
    }

    #[test]
    fn binary_labels_are_told_from_indices() {
        assert!(flags(&write(&[3], Order::C, &[0u8, 255, 255])).binary);
        assert!(!flags(&write(&[3], Order::C, &[0u8, 1, 255])).binary);
        assert!(!flags(&write(&[3], Order::C, &[4i64, 5, 6])).binary);
        assert!(!flags(&write(&[2], Order::C, &[0.0f32, 0.5])).binary);
    }

    #[test]
    fn fortran_order_is_turned() {
        // Rows [0, 1, 0] and [1, 0, 0], stored column by column.
        let bytes = write(&[2, 3], Order::Fortran, &[0u8, 1, 1, 0, 0, 0]);
        assert_eq!(
            flags(&bytes).values,
            [false, true, false, true, false, false]
        );
    }

    #[test]
    fn lies_in_the_header_are_refused() {
        let bytes = write(&[4], Order::C, &[0u8, 1, 1, 0]);
        assert!(read(&bytes[..bytes.len() - 1]).is_err());
        let nested = {
            let mut text = b"\x93NUMPY\x01\x00".to_vec();
            let header = "(".repeat(5000);
            text.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
            text.extend_from_slice(header.as_bytes());
            text
        };
        assert!(read(&nested).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }

        #[test]
        fn mutated_files_are_no_panic(
            at in 0usize..140,
            byte in any::<u8>(),
            cut in 0usize..150,
        ) {
            let mut bytes = write(&[4], Order::C, &[0u8, 1, 1, 0]);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            bytes.truncate(cut.max(at));
            let _ = read(&bytes);
        }
    }
}
