//! The arrays of an array of objects as numbers.

use super::{Machine, Node, PickleError, unknown};
use crate::labels::npy::number_of;

/// Shape and values, row-major.
type Numbers = (Vec<usize>, Vec<f64>);

/// Each array in a pickled array of objects.
pub(crate) fn number_arrays(mut reader: impl std::io::Read) -> Result<Vec<Numbers>, PickleError> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let mut machine = Machine::new(&bytes);
    let root = machine.run()?;
    let elements = machine.elements(root)?;
    elements.iter().map(|&node| machine.numbers(node)).collect()
}

impl Machine<'_> {
    /// An element as numbers: an array, or a list of numbers.
    fn numbers(&self, node: usize) -> Result<Numbers, PickleError> {
        if let Node::List(items) | Node::Tuple(items) = self.node(node)? {
            return self.number_list(items);
        }
        let parts = self.parts(node)?;
        let shape = self.shape(parts.shape)?;
        let data = match self.node(parts.data)? {
            Node::Bytes(bytes) => bytes,
            Node::List(items) => return self.number_list(items),
            _ => return Err(unknown("an array's data of another kind")),
        };
        let fortran = match parts.fortran {
            Some(flag) => matches!(self.node(flag)?, Node::Whole(1)),
            None => false,
        };
        if fortran && shape.iter().filter(|&&n| n != 1).count() > 1 {
            return Err(unknown("an array in Fortran order"));
        }
        let (_, sort, size, big_endian) = self.dtype(parts.dtype)?;
        let count = shape
            .iter()
            .try_fold(size, |product, &n| product.checked_mul(n));
        if count != Some(data.len()) {
            return Err(unknown("an array whose data do not fit its shape"));
        }
        let values = data.chunks_exact(size).map(|bytes| {
            let mut bytes = bytes.to_vec();
            if big_endian {
                bytes.reverse();
            }
            number_of(&bytes, sort)
        });
        Ok((shape, values.collect()))
    }

    fn number_list(&self, items: &[usize]) -> Result<Numbers, PickleError> {
        let number = |&item: &usize| match self.node(item)? {
            Node::Whole(value) => Ok(*value as f64),
            Node::Float(value) => Ok(*value),
            _ => Err(unknown("a list of something else than numbers")),
        };
        let values = items.iter().map(number).collect::<Result<Vec<_>, _>>()?;
        Ok((vec![values.len()], values))
    }
}
