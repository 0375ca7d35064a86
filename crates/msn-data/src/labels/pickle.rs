//! Arrays in Python's pickle format, as `numpy.save` writes arrays of objects.
//!
//! Nothing is executed: names of functions are only compared with the few that NumPy uses to
//! rebuild arrays, and everything else is an error.

mod machine;
mod numbers;
mod opcode;

use machine::{Machine, Node};
use npyz::TypeChar;

pub(crate) use numbers::number_arrays;

use super::npy::{Flags, Kind, whole};

/// Why pickled objects can't be read as arrays.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The system refused to read.
    #[error("it can't be read ({0})")]
    Read(#[from] std::io::Error),
    /// The bytes end within an operation.
    #[error("its pickled objects end too early")]
    Ended,
    /// An operation or a value that arrays of numbers do not have.
    #[error("its pickled objects hold {0}; an array of arrays of numbers was expected")]
    Unexpected(String),
    /// NaN or an infinity.
    #[error("a label is no finite number")]
    NotFinite,
}

fn unknown(what: &str) -> PickleError {
    PickleError::Unexpected(what.to_owned())
}

/// The arrays in a pickled array of objects.
pub(crate) fn arrays(mut reader: impl std::io::Read) -> Result<Vec<Flags>, PickleError> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let mut machine = Machine::new(&bytes);
    let root = machine.run()?;
    let elements = machine.elements(root)?;
    elements.iter().map(|&node| machine.flags(node)).collect()
}

/// The values that make up a pickled array.
struct Parts {
    shape: usize,
    dtype: usize,
    fortran: Option<usize>,
    data: usize,
}

/// Arrays out of what the machine has left.
impl Machine<'_> {
    /// The elements of the outer array of objects, or of a list.
    fn elements(&self, node: usize) -> Result<Vec<usize>, PickleError> {
        match self.node(node)? {
            Node::List(items) | Node::Tuple(items) => Ok(items.clone()),
            Node::Call { .. } => {
                let parts = self.parts(node)?;
                match self.node(parts.data)? {
                    Node::List(items) => Ok(items.clone()),
                    _ => Err(unknown("an outer array without a list of elements")),
                }
            }
            _ => Err(unknown("no array of objects")),
        }
    }

    /// Shape, type, order and data of an array.
    fn parts(&self, node: usize) -> Result<Parts, PickleError> {
        let Node::Call {
            name,
            arguments,
            state,
        } = self.node(node)?
        else {
            return Err(unknown("a value that is no array"));
        };
        match (name.as_str(), state) {
            ("_reconstruct", Some(state)) => match self.node(*state)? {
                Node::Tuple(state) => match state[..] {
                    [_, shape, dtype, fortran, data] => Ok(Parts {
                        shape,
                        dtype,
                        fortran: Some(fortran),
                        data,
                    }),
                    _ => Err(unknown("an array's state of another length")),
                },
                _ => Err(unknown("an array's state of another kind")),
            },
            ("_frombuffer", _) => match arguments[..] {
                [data, dtype, shape, _] => Ok(Parts {
                    shape,
                    dtype,
                    fortran: None,
                    data,
                }),
                _ => Err(unknown("an array's arguments of another length")),
            },
            _ => Err(unknown("a value that is no array")),
        }
    }

    /// An element as truth values: an array, or a list of numbers.
    fn flags(&self, node: usize) -> Result<Flags, PickleError> {
        if let Node::List(items) | Node::Tuple(items) = self.node(node)? {
            return self.list(items);
        }
        let parts = self.parts(node)?;
        let shape = self.shape(parts.shape)?;
        let data = match self.node(parts.data)? {
            Node::Bytes(bytes) => bytes,
            Node::List(items) => return self.list(items),
            _ => return Err(unknown("an array's data of another kind")),
        };
        let fortran = match parts.fortran {
            Some(flag) => matches!(self.node(flag)?, Node::Whole(1)),
            None => false,
        };
        let (kind, _, size, big_endian) = self.dtype(parts.dtype)?;
        let count = shape
            .iter()
            .try_fold(1usize, |product, &n| product.checked_mul(n));
        if count.and_then(|n| n.checked_mul(size)) != Some(data.len()) {
            return Err(unknown("an array whose data do not fit its shape"));
        }
        let mut numbers = Vec::with_capacity(data.len() / size);
        for bytes in data.chunks_exact(size) {
            let mut bytes = bytes.to_vec();
            if big_endian {
                bytes.reverse();
            }
            numbers.push(whole(&bytes, kind).ok_or(PickleError::NotFinite)?);
        }
        let flags = from_numbers(shape, &numbers);
        if fortran && !flags.is_flat() {
            return Err(unknown("an array in Fortran order"));
        }
        Ok(flags)
    }

    fn list(&self, items: &[usize]) -> Result<Flags, PickleError> {
        let mut numbers = Vec::with_capacity(items.len());
        for &item in items {
            numbers.push(match self.node(item)? {
                Node::Whole(value) => u64::try_from(*value).unwrap_or(2),
                Node::Float(value) => {
                    whole(&value.to_le_bytes(), Kind::Float).ok_or(PickleError::NotFinite)?
                }
                _ => return Err(unknown("a list of something else than numbers")),
            });
        }
        Ok(from_numbers(vec![numbers.len()], &numbers))
    }

    fn shape(&self, node: usize) -> Result<Vec<usize>, PickleError> {
        let Node::Tuple(sides) = self.node(node)? else {
            return Err(unknown("a shape that is no tuple"));
        };
        sides
            .iter()
            .map(|&side| match self.node(side)? {
                Node::Whole(n) => usize::try_from(*n).map_err(|_| unknown("a negative shape")),
                _ => Err(unknown("a shape that is no number")),
            })
            .collect()
    }

    /// Kind, type, bytes and byte order of an array's numbers.
    fn dtype(&self, node: usize) -> Result<(Kind, TypeChar, usize, bool), PickleError> {
        let Node::Call {
            name,
            arguments,
            state,
        } = self.node(node)?
        else {
            return Err(unknown("a type of another kind"));
        };
        let text = match arguments.first().map(|&a| self.node(a)) {
            Some(Ok(Node::Text(text))) => text.clone(),
            Some(Ok(Node::Bytes(text))) => String::from_utf8_lossy(text).into_owned(),
            _ => return Err(unknown("a type without a name")),
        };
        let mut big_endian = false;
        if let Some(state) = state
            && let Node::Tuple(state) = self.node(*state)?
            && let Some(&order) = state.get(1)
        {
            big_endian = match self.node(order)? {
                Node::Text(order) => order == ">",
                Node::Bytes(order) => order == b">",
                _ => false,
            };
        }
        let text = text.trim_start_matches(['<', '|', '>', '=']);
        let sort = match text.chars().next() {
            Some('f') => TypeChar::Float,
            Some('i') => TypeChar::Int,
            _ => TypeChar::Uint,
        };
        let (kind, size) = match text {
            "b1" | "u1" | "i1" | "bool" => (Kind::Whole, 1),
            "u2" | "i2" => (Kind::Whole, 2),
            "u4" | "i4" => (Kind::Whole, 4),
            "u8" | "i8" => (Kind::Whole, 8),
            "f4" => (Kind::Float, 4),
            "f8" => (Kind::Float, 8),
            other => return Err(unknown(&format!("values of type `{other}`"))),
        };
        if name != "dtype" {
            return Err(unknown("a type of another kind"));
        }
        Ok((kind, sort, size, big_endian))
    }
}

fn from_numbers(shape: Vec<usize>, numbers: &[u64]) -> Flags {
    let all = |top: u64| numbers.iter().all(|&n| n == 0 || n == top);
    Flags {
        shape,
        values: numbers.iter().map(|&n| n != 0).collect(),
        binary: all(1) || all(255),
    }
}

#[cfg(test)]
mod tests;
