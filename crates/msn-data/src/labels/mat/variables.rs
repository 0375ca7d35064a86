//! All variables of a MAT file that are numbers, or cells of them.

use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{
    Body, CELL_CLASS, COMPRESSED, MATRIX, MOST_CELLS, MOST_NUMBERS, MatError, NUMERIC_CLASSES,
    Numbers, Tag, check_head, drain, product,
};
use crate::labels::numbers::NumberArray;

/// The numeric variables of a file, and the numeric elements of its cells, row-major. Others are
/// passed over.
pub(crate) fn numeric_variables(file: impl Read) -> Result<Vec<NumberArray>, MatError> {
    let (mut file, big_endian) = check_head(file)?;
    let mut found = Vec::new();
    while let Some(tag) = Tag::read_or_end(&mut file, big_endian)? {
        let mut body = (&mut file).take(u64::from(tag.size));
        match tag.kind {
            COMPRESSED => {
                let mut inner = ZlibDecoder::new(&mut body);
                let tag = Tag::read(&mut inner, big_endian)?;
                if tag.kind == MATRIX {
                    let inner = inner.take(u64::from(tag.size));
                    variable(&mut Body { inner, big_endian }, &mut found)?;
                }
            }
            MATRIX => {
                let inner = &mut body;
                variable(&mut Body { inner, big_endian }, &mut found)?;
            }
            _ => {}
        }
        drain(&mut body)?;
    }
    Ok(found)
}

fn variable<R: Read>(body: &mut Body<R>, found: &mut Vec<NumberArray>) -> Result<(), MatError> {
    let head = body.matrix_head()?;
    let named = |element: Option<usize>, numbers: Numbers| NumberArray {
        name: Some(head.name.clone()),
        element,
        values: row_major(&numbers),
        shape: numbers.dims,
    };
    if head.class == CELL_CLASS {
        let count = product(&head.dims)
            .filter(|&n| n <= MOST_CELLS)
            .ok_or_else(|| MatError::LargeCell(head.name.clone()))?;
        for index in 0..count {
            let numbers = body.numbers().map_err(|reason| MatError::Element {
                number: index + 1,
                cell: head.name.clone(),
                reason: Box::new(reason),
            })?;
            found.push(named(Some(index), numbers));
        }
    } else if NUMERIC_CLASSES.contains(&head.class) && !head.complex {
        let count = product(&head.dims)
            .filter(|&n| n <= MOST_NUMBERS)
            .ok_or(MatError::LargeArray)?;
        let values = body.values(count)?;
        let dims = head.dims.clone();
        found.push(named(None, Numbers { dims, values }));
    }
    Ok(())
}

/// MATLAB keeps a column after the other.
fn row_major(numbers: &Numbers) -> Vec<f64> {
    match numbers.dims[..] {
        [rows, columns] if rows > 1 && columns > 1 => (0..rows)
            .flat_map(|row| (0..columns).map(move |column| column * rows + row))
            .map(|place| numbers.values[place])
            .collect(),
        _ => numbers.values.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn random_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut file = vec![b' '; 124];
            file.extend(b"\x00\x01IM");
            file.extend(bytes);
            let _ = numeric_variables(file.as_slice());
        }
    }
}
