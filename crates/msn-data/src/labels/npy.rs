//! Labels in NumPy's files.

use std::io::Read;

use camino::Utf8Path;
use npyz::{DType, NpyFile, TypeChar};

use crate::DataError;

/// An array of labels: its shape and a truth value for each element, in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flags {
    pub shape: Vec<u64>,
    pub values: Vec<bool>,
}

/// Reads a file of one array.
pub(crate) fn read_file(path: &Utf8Path) -> Result<Flags, DataError> {
    let bytes = std::fs::read(path).map_err(|e| DataError::io(path, "read", e))?;
    read(&bytes).map_err(|reason| DataError::label(path, reason))
}

/// Reads one array of numbers; anything but 0 is anomalous.
pub(crate) fn read(bytes: &[u8]) -> Result<Flags, String> {
    let file = NpyFile::new(bytes).map_err(|e| format!("it is no .npy file ({e})"))?;
    let shape = file.shape().to_vec();
    let elements = shape
        .iter()
        .try_fold(1u64, |product, &n| product.checked_mul(n))
        .ok_or("its shape is impossible")?;
    // Each element takes at least one byte, so a shape that claims more is a lie.
    if elements > u64::try_from(bytes.len()).unwrap_or(u64::MAX) {
        return Err(format!("its shape says {elements} values, the file is shorter"));
    }
    let values = truths(file)?;
    Ok(Flags { shape, values })
}

fn truths<R: Read>(file: NpyFile<R>) -> Result<Vec<bool>, String> {
    let fortran = file.order() == npyz::Order::Fortran && file.shape().len() > 1;
    if fortran {
        return Err("its values are in Fortran order; save it in C order".to_owned());
    }
    let DType::Plain(plain) = file.dtype() else {
        return Err("it holds records; one number a frame was expected".to_owned());
    };
    let size = plain.num_bytes();
    match (plain.type_char(), size) {
        (TypeChar::Bool, _) => values::<bool, R>(file, |v| Some(v)),
        (TypeChar::Uint, Some(1)) => values::<u8, R>(file, |v| Some(v != 0)),
        (TypeChar::Uint, Some(2)) => values::<u16, R>(file, |v| Some(v != 0)),
        (TypeChar::Uint, Some(4)) => values::<u32, R>(file, |v| Some(v != 0)),
        (TypeChar::Uint, Some(8)) => values::<u64, R>(file, |v| Some(v != 0)),
        (TypeChar::Int, Some(1)) => values::<i8, R>(file, |v| Some(v != 0)),
        (TypeChar::Int, Some(2)) => values::<i16, R>(file, |v| Some(v != 0)),
        (TypeChar::Int, Some(4)) => values::<i32, R>(file, |v| Some(v != 0)),
        (TypeChar::Int, Some(8)) => values::<i64, R>(file, |v| Some(v != 0)),
        (TypeChar::Float, Some(4)) => values::<f32, R>(file, |v| v.is_finite().then_some(v != 0.0)),
        (TypeChar::Float, Some(8)) => values::<f64, R>(file, |v| v.is_finite().then_some(v != 0.0)),
        _ => Err(format!(
            "it holds values of type {}; booleans, integers or floats were expected",
            file.dtype().descr()
        )),
    }
}

fn values<T: npyz::Deserialize, R: Read>(
    file: NpyFile<R>,
    truth: impl Fn(T) -> Option<bool>,
) -> Result<Vec<bool>, String> {
    let data = file
        .data::<T>()
        .map_err(|e| format!("its values can't be read ({e})"))?;
    let mut truths = Vec::new();
    for (index, value) in data.enumerate() {
        let value = value.map_err(|e| format!("value {index} can't be read ({e})"))?;
        truths.push(truth(value).ok_or_else(|| format!("value {index} is no number"))?);
    }
    Ok(truths)
}
