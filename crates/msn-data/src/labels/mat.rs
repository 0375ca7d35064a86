//! MATLAB's MAT files of version 5 (saved with `-v6` or `-v7`): cells of numeric arrays.
//!
//! A file is read from front to back; of a cell one element is in memory at a time, since the
//! masks of a video take gigabytes together. Format: MathWorks, "MAT-File Format", chapter 1.
//!
//! A reader of our own, because of the crates matfile 0.5 reads no cells, and matrw 0.1 refuses
//! files that SciPy wrote, panics on damaged ones and holds all of a cell in memory.

mod error;
mod variables;

use std::io::Read;
use std::ops::{ControlFlow, RangeInclusive};

use flate2::read::ZlibDecoder;

pub use error::MatError;
pub(crate) use variables::numeric_variables;

/// Most numbers in one element of a cell: a mask of 8192 x 8192 pixels.
const MOST_NUMBERS: usize = 1 << 26;

/// Most elements of a cell.
const MOST_CELLS: usize = 1 << 20;

/// Most dimensions and longest name that are read.
const MOST_HEADER: u64 = 1 << 12;

// Types of elements, as the format's description numbers them.
const INT8: u32 = 1;
const UINT8: u32 = 2;
const INT16: u32 = 3;
const UINT16: u32 = 4;
const INT32: u32 = 5;
const UINT32: u32 = 6;
const SINGLE: u32 = 7;
const DOUBLE: u32 = 9;
const INT64: u32 = 12;
const UINT64: u32 = 13;
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

// Classes of arrays.
const CELL_CLASS: u8 = 1;
const NUMERIC_CLASSES: RangeInclusive<u8> = 6..=15;

/// A numeric array.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numbers {
    /// Lengths along its dimensions, at least two; rows first.
    pub dims: Vec<usize>,
    /// In column-major order, as MATLAB keeps them.
    pub values: Vec<f64>,
}

/// Visits the elements of the cell `name` in order, with their index and number, until the
/// visitor breaks. Returns how many elements the cell has.
pub(crate) fn visit_cell(
    file: impl Read,
    name: &str,
    visit: &mut dyn FnMut(usize, Numbers) -> ControlFlow<()>,
) -> Result<usize, MatError> {
    match scan(file, name, visit)? {
        Scan::Visited(count) => Ok(count),
        Scan::Missing(found) if found.is_empty() => Err(MatError::Nothing {
            expected: name.to_owned(),
        }),
        Scan::Missing(found) => Err(MatError::Missing {
            expected: name.to_owned(),
            found,
        }),
    }
}

/// Whether a sound file lacks the cell `name`.
pub(crate) fn lacks_cell(file: impl Read, name: &str) -> bool {
    let stop = &mut |_, _| ControlFlow::Break(());
    matches!(scan(file, name, stop), Ok(Scan::Missing(_)))
}

/// What a walk through a file found.
enum Scan {
    /// The cell, with this number of elements.
    Visited(usize),
    /// These other things.
    Missing(Vec<String>),
}

fn scan(
    file: impl Read,
    name: &str,
    visit: &mut dyn FnMut(usize, Numbers) -> ControlFlow<()>,
) -> Result<Scan, MatError> {
    let (mut file, big_endian) = check_head(file)?;
    let mut found = Vec::new();
    loop {
        let Some(tag) = Tag::read_or_end(&mut file, big_endian)? else {
            return Ok(Scan::Missing(found));
        };
        let body = Body {
            inner: (&mut file).take(u64::from(tag.size)),
            big_endian,
        };
        let outcome = match tag.kind {
            COMPRESSED => {
                let mut body = body;
                let inflated = Body {
                    inner: ZlibDecoder::new(&mut body.inner),
                    big_endian,
                };
                let outcome = variable_in(inflated, name, visit)?;
                drain(&mut body.inner)?;
                outcome
            }
            MATRIX => {
                let mut body = body;
                let outcome = variable(&mut body, name, visit)?;
                drain(&mut body.inner)?;
                outcome
            }
            kind => {
                let mut body = body;
                drain(&mut body.inner)?;
                found.push(format!("an element of type {kind}"));
                continue;
            }
        };
        match outcome {
            Variable::Visited(count) => return Ok(Scan::Visited(count)),
            Variable::Other(what) => found.push(what),
        }
        if found.len() > 256 {
            return Err(MatError::TooManyVariables {
                expected: name.to_owned(),
            });
        }
    }
}

/// What a variable turned out to be.
enum Variable {
    /// The cell, with this number of elements.
    Visited(usize),
    /// Something else.
    Other(String),
}

/// Reads the head of the file and its byte order.
fn check_head<R: Read>(mut file: R) -> Result<(R, bool), MatError> {
    let mut head = [0; 128];
    file.read_exact(&mut head).map_err(|_| MatError::Short)?;
    if head.starts_with(b"MATLAB 7.3") || head.starts_with(b"\x89HDF") || head[124..126] == [0, 2] {
        return Err(MatError::Hdf5);
    }
    let big_endian = match &head[126..128] {
        b"IM" => false,
        b"MI" => true,
        _ => return Err(MatError::Format),
    };
    Ok((file, big_endian))
}

/// A compressed variable: one matrix inside.
fn variable_in<R: Read>(
    mut body: Body<R>,
    name: &str,
    visit: &mut dyn FnMut(usize, Numbers) -> ControlFlow<()>,
) -> Result<Variable, MatError> {
    let tag = Tag::read(&mut body.inner, body.big_endian)?;
    if tag.kind != MATRIX {
        return Ok(Variable::Other(format!("an element of type {}", tag.kind)));
    }
    let mut matrix = Body {
        inner: body.inner.take(u64::from(tag.size)),
        big_endian: body.big_endian,
    };
    variable(&mut matrix, name, visit)
}

/// A variable: visited if it is the cell.
fn variable<R: Read>(
    body: &mut Body<R>,
    name: &str,
    visit: &mut dyn FnMut(usize, Numbers) -> ControlFlow<()>,
) -> Result<Variable, MatError> {
    let head = body.matrix_head()?;
    if head.class != CELL_CLASS || head.name != name {
        return Ok(Variable::Other(format!(
            "`{}` ({})",
            head.name,
            class_name(head.class)
        )));
    }
    let count = product(&head.dims)
        .filter(|&n| n <= MOST_CELLS)
        .ok_or_else(|| MatError::LargeCell(name.to_owned()))?;
    for index in 0..count {
        let numbers = body.numbers().map_err(|reason| MatError::Element {
            number: index + 1,
            cell: name.to_owned(),
            reason: Box::new(reason),
        })?;
        if visit(index, numbers).is_break() {
            break;
        }
    }
    Ok(Variable::Visited(count))
}

/// Type and size of an element; the data of a small one.
struct Tag {
    kind: u32,
    size: u32,
    small: Option<[u8; 4]>,
}

impl Tag {
    fn read<R: Read>(reader: &mut R, big_endian: bool) -> Result<Self, MatError> {
        Self::read_or_end(reader, big_endian)?.ok_or(MatError::Ended)
    }

    fn read_or_end<R: Read>(reader: &mut R, big_endian: bool) -> Result<Option<Self>, MatError> {
        let mut bytes = [0; 8];
        let mut filled = 0;
        while filled < bytes.len() {
            match reader.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(MatError::Ended),
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        let [a, b, c, d, e, f, g, h] = bytes;
        let (first, second) = (
            word([a, b, c, d], big_endian),
            word([e, f, g, h], big_endian),
        );
        Ok(Some(match first >> 16 {
            0 => Self {
                kind: first,
                size: second,
                small: None,
            },
            size => Self {
                kind: first & 0xffff,
                size,
                small: Some([e, f, g, h]),
            },
        }))
    }
}

fn word(bytes: [u8; 4], big_endian: bool) -> u32 {
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}

/// Class, dimensions and name of a matrix.
struct Head {
    class: u8,
    dims: Vec<usize>,
    name: String,
    complex: bool,
}

/// The bytes of an element.
struct Body<R> {
    inner: R,
    big_endian: bool,
}

impl<R: Read> Body<R> {
    /// The head of a matrix.
    fn matrix_head(&mut self) -> Result<Head, MatError> {
        let flags = self.data(UINT32, "array flags", 8)?;
        let &[a, b, c, d, ..] = &flags[..] else {
            return Err(MatError::Flags);
        };
        let flags = word([a, b, c, d], self.big_endian);
        let [class, flag, ..] = flags.to_le_bytes();
        let dims = self.data(INT32, "dimensions", MOST_HEADER)?;
        let dims: Option<Vec<usize>> = dims
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&bytes| usize::try_from(word(bytes, self.big_endian)).ok())
            .collect();
        let dims = dims.filter(|dims| dims.len() >= 2);
        let dims = dims.ok_or(MatError::Dimensions)?;
        let name = self.data(INT8, "name", MOST_HEADER)?;
        Ok(Head {
            class,
            dims,
            name: String::from_utf8_lossy(&name).into_owned(),
            complex: flag & 0x08 != 0,
        })
    }

    /// A numeric array.
    fn numbers(&mut self) -> Result<Numbers, MatError> {
        let tag = Tag::read(&mut self.inner, self.big_endian)?;
        if tag.kind != MATRIX || tag.small.is_some() {
            return Err(MatError::NoArray(tag.kind));
        }
        if tag.size == 0 {
            // An element that was never assigned: an empty array without a head.
            return Ok(Numbers {
                dims: vec![0, 0],
                values: Vec::new(),
            });
        }
        let mut body = Body {
            inner: (&mut self.inner).take(u64::from(tag.size)),
            big_endian: self.big_endian,
        };
        let head = body.matrix_head()?;
        if !NUMERIC_CLASSES.contains(&head.class) || head.complex {
            let complex = if head.complex { "complex " } else { "" };
            let class = class_name(head.class);
            return Err(MatError::NotReal(format!("{complex}{class}")));
        }
        let count = product(&head.dims)
            .filter(|&n| n <= MOST_NUMBERS)
            .ok_or(MatError::LargeArray)?;
        let values = body.values(count)?;
        drain(&mut body.inner)?;
        Ok(Numbers {
            dims: head.dims,
            values,
        })
    }

    /// `count` numbers of whatever type they are stored in.
    fn values(&mut self, count: usize) -> Result<Vec<f64>, MatError> {
        let tag = Tag::read(&mut self.inner, self.big_endian)?;
        let size: usize = match tag.kind {
            INT8 | UINT8 => 1,
            INT16 | UINT16 => 2,
            INT32 | UINT32 | SINGLE => 4,
            DOUBLE | INT64 | UINT64 => 8,
            kind => return Err(MatError::NumberType(kind)),
        };
        let expected = count.checked_mul(size).and_then(|n| u32::try_from(n).ok());
        if expected != Some(tag.size) {
            return Err(MatError::DataSize {
                bytes: tag.size,
                count,
                size,
            });
        }
        let bytes = self.element(&tag)?;
        let big_endian = self.big_endian;
        let values = bytes.chunks_exact(size).map(|chunk| {
            let mut wide = [0; 8];
            wide[..size].copy_from_slice(chunk);
            if big_endian {
                wide[..size].reverse();
            }
            number(tag.kind, wide)
        });
        Ok(values.collect())
    }

    /// The data of an element of a kind, of at most so many bytes.
    fn data(&mut self, kind: u32, expected: &'static str, most: u64) -> Result<Vec<u8>, MatError> {
        let tag = Tag::read(&mut self.inner, self.big_endian)?;
        if tag.kind != kind || u64::from(tag.size) > most {
            return Err(MatError::Part {
                kind: tag.kind,
                bytes: tag.size,
                expected,
            });
        }
        self.element(&tag)
    }

    /// The data of an element, with what pads it to eight bytes taken off.
    fn element(&mut self, tag: &Tag) -> Result<Vec<u8>, MatError> {
        let size = usize::try_from(tag.size).map_err(|_| MatError::Ended)?;
        if let Some(small) = tag.small {
            let data = small.get(..size).ok_or(MatError::SmallElement)?;
            return Ok(data.to_vec());
        }
        let padded = u64::from(tag.size).next_multiple_of(8);
        // Grows with what is there, whatever the size says.
        let mut data = Vec::new();
        (&mut self.inner).take(padded).read_to_end(&mut data)?;
        if data.len() < size {
            return Err(MatError::Ended);
        }
        data.truncate(size);
        Ok(data)
    }
}

/// A number from its little-endian bytes, widened by zeros.
fn number(kind: u32, wide: [u8; 8]) -> f64 {
    let [a, b, c, d, ..] = wide;
    let four = [a, b, c, d];
    // Labels are frame numbers and masks: far below 2^53.
    match kind {
        INT8 => f64::from(i8::from_le_bytes([a])),
        INT16 => f64::from(i16::from_le_bytes([a, b])),
        INT32 => f64::from(i32::from_le_bytes(four)),
        SINGLE => f64::from(f32::from_le_bytes(four)),
        DOUBLE => f64::from_le_bytes(wide),
        INT64 => i64::from_le_bytes(wide) as f64,
        _ => u64::from_le_bytes(wide) as f64,
    }
}

fn product(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |all, &n| all.checked_mul(n))
}

fn class_name(class: u8) -> &'static str {
    match class {
        1 => "cell",
        2 => "struct",
        3 => "object",
        4 => "text",
        5 => "sparse",
        6..=15 => "numbers",
        _ => "something unknown",
    }
}

fn drain<R: Read>(reader: &mut R) -> Result<(), MatError> {
    std::io::copy(reader, &mut std::io::sink())?;
    Ok(())
}

#[cfg(test)]
mod tests;
