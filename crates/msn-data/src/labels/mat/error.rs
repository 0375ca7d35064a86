//! What can be wrong with a MAT file.

/// Why a MAT file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MatError {
    /// No variable at all.
    #[error("it holds nothing; a cell `{expected}` was expected")]
    Nothing {
        /// The cell's name.
        expected: String,
    },
    /// Other variables.
    #[error("it holds {}; a cell `{expected}` was expected", .found.join(", "))]
    Missing {
        /// The cell's name.
        expected: String,
        /// What is there, in words.
        found: Vec<String>,
    },
    /// More variables than label files have.
    #[error("it holds too many variables; a cell `{expected}` was expected")]
    TooManyVariables {
        /// The cell's name.
        expected: String,
    },
    /// No head.
    #[error("it is too short for a MAT file")]
    Short,
    /// Version 7.3.
    #[error("it is a MAT file of version 7.3 (HDF5); save it with `-v7` and try again")]
    Hdf5,
    /// Another format.
    #[error("it is no MAT file of version 5")]
    Format,
    /// More elements than label files have.
    #[error("its cell `{0}` is too large")]
    LargeCell(String),
    /// An element of the cell.
    #[error("element {number} of `{cell}`: {reason}")]
    Element {
        /// Its number, from 1.
        number: usize,
        /// The cell's name.
        cell: String,
        /// What is wrong with it.
        reason: Box<MatError>,
    },
    /// The system refused to read.
    #[error("it can't be read ({0})")]
    Read(#[from] std::io::Error),
    /// It ends within an element.
    #[error("it ends too early")]
    Ended,
    /// The flags of a matrix.
    #[error("its array flags are too short")]
    Flags,
    /// The dimensions of a matrix.
    #[error("an array of fewer than two dimensions")]
    Dimensions,
    /// An element of another type.
    #[error("type {0} where an array was expected")]
    NoArray(u32),
    /// Text, complex numbers and the like.
    #[error("{0} where real numbers were expected")]
    NotReal(String),
    /// An array of more numbers than a mask has.
    #[error("an array too large for labels")]
    LargeArray,
    /// A type of numbers that the format does not have.
    #[error("numbers of the unknown type {0}")]
    NumberType(u32),
    /// Data that do not fit their array.
    #[error("{bytes} bytes of data where {count} numbers of {size} bytes were expected")]
    DataSize {
        /// Bytes of the data.
        bytes: u32,
        /// Numbers of the array.
        count: usize,
        /// Bytes of a number.
        size: usize,
    },
    /// Another part of a matrix than comes next.
    #[error("type {kind} of {bytes} bytes where {expected} were expected")]
    Part {
        /// The part's type.
        kind: u32,
        /// Its length in bytes.
        bytes: u32,
        /// What comes next in a matrix.
        expected: &'static str,
    },
    /// A small element of more than four bytes.
    #[error("a small element that is large")]
    SmallElement,
}
