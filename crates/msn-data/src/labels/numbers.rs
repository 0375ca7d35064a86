//! Arrays of numbers in NumPy's and MATLAB's files, for scores of any method.

use camino::Utf8Path;

use super::{arrays, mat, npy};
use crate::{DataError, folder::extension};

/// An array of numbers of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberArray {
    /// Its name in an `.npz` or `.mat`; none in an `.npy`.
    pub name: Option<String>,
    /// Its place, from 0, where it is an element of an array of objects or of a cell.
    pub element: Option<usize>,
    /// Lengths along its dimensions.
    pub shape: Vec<usize>,
    /// In row-major order.
    pub values: Vec<f64>,
}

impl NumberArray {
    /// Whether it is flat, or has one row or column.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.shape.iter().filter(|&&n| n != 1).count() <= 1
    }
}

/// Reads the arrays of an `.npy`, `.npz` or `.mat` (saved with `-v6` or `-v7`): numbers, arrays of
/// arrays and cells of them.
///
/// # Errors
/// [`DataError::Io`] where the file can't be read, [`DataError::Label`] where it holds something else.
pub fn read_number_arrays(path: &Utf8Path) -> Result<Vec<NumberArray>, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    match extension(path).as_str() {
        "npz" => arrays::npz_numbers(&bytes).map_err(|e| DataError::label(path, e)),
        "mat" => mat::numeric_variables(bytes.as_slice()).map_err(|e| DataError::label(path, e)),
        _ => npy::numbers(&bytes, None).map_err(|e| DataError::label(path, e)),
    }
}
