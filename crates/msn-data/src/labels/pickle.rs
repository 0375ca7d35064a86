//! Arrays in Python's pickle format, as `numpy.save` writes arrays of objects.
//!
//! Nothing is executed: names of functions are only compared with the few that NumPy uses to
//! rebuild arrays, and everything else is an error.

use super::npy::{Flags, Kind, whole};

/// A value on the pickle machine's heap.
#[derive(Clone, Debug)]
enum Node {
    Nothing,
    Whole(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<usize>),
    List(Vec<usize>),
    /// A function or class, by its last name.
    Name(String),
    /// The call of a function, and the state that it was given afterwards.
    Call {
        name: String,
        arguments: Vec<usize>,
        state: Option<usize>,
    },
}

/// Most values that are kept; labels need a few for each video or frame.
const MOST_NODES: usize = 4_000_000;

/// The arrays in a pickled array of objects.
pub(crate) fn arrays(mut reader: impl std::io::Read) -> Result<Vec<Flags>, String> {
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(|e| format!("it can't be read ({e})"))?;
    let mut machine = Machine {
        input: &bytes,
        heap: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
    };
    let root = machine.run()?;
    let elements = machine.elements(root)?;
    elements.iter().map(|&node| machine.flags(node)).collect()
}

struct Machine<'a> {
    input: &'a [u8],
    heap: Vec<Node>,
    stack: Vec<usize>,
    marks: Vec<usize>,
    memo: Vec<Option<usize>>,
}

impl Machine<'_> {
    /// Runs to the end and returns the value that is left.
    fn run(&mut self) -> Result<usize, String> {
        loop {
            let code = self.byte()?;
            match code {
                b'.' => return self.pop(),
                0x80 => {
                    self.byte()?;
                }
                0x95 => {
                    self.bytes(8)?;
                }
                b'(' => self.marks.push(self.stack.len()),
                b'0' => {
                    self.pop()?;
                }
                b'N' => self.push(Node::Nothing)?,
                0x88 => self.push(Node::Whole(1))?,
                0x89 => self.push(Node::Whole(0))?,
                b'K' => {
                    let value = i64::from(self.byte()?);
                    self.push(Node::Whole(value))?;
                }
                b'M' => {
                    let value = i64::from(u16::from_le_bytes(self.array()?));
                    self.push(Node::Whole(value))?;
                }
                b'J' => {
                    let value = i64::from(i32::from_le_bytes(self.array()?));
                    self.push(Node::Whole(value))?;
                }
                0x8a => self.long()?,
                b'G' => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Node::Float(value))?;
                }
                b'C' | b'U' => {
                    let length = usize::from(self.byte()?);
                    self.push_bytes(length)?;
                }
                b'B' | b'T' => {
                    let length = self.length_u32()?;
                    self.push_bytes(length)?;
                }
                0x8e | 0x96 => {
                    let length = self.length_u64()?;
                    self.push_bytes(length)?;
                }
                0x8c => {
                    let length = usize::from(self.byte()?);
                    self.push_text(length)?;
                }
                b'X' => {
                    let length = self.length_u32()?;
                    self.push_text(length)?;
                }
                b')' => self.push(Node::Tuple(Vec::new()))?,
                0x85..=0x87 => {
                    let items = self.stack_top(usize::from(code - 0x84))?;
                    self.push(Node::Tuple(items))?;
                }
                b't' => {
                    let items = self.since_mark()?;
                    self.push(Node::Tuple(items))?;
                }
                b']' => self.push(Node::List(Vec::new()))?,
                b'a' => {
                    let item = self.pop()?;
                    self.extend(vec![item])?;
                }
                b'e' => {
                    let items = self.since_mark()?;
                    self.extend(items)?;
                }
                b'c' => {
                    self.line()?;
                    let name = self.line()?;
                    self.push(Node::Name(name))?;
                }
                0x93 => {
                    let name = self.pop()?;
                    self.pop()?;
                    let Node::Text(name) = self.node(name)?.clone() else {
                        return Err(unknown("a name that is no text"));
                    };
                    self.push(Node::Name(name))?;
                }
                b'R' => self.reduce()?,
                b'b' => self.build()?,
                b'q' => {
                    let place = usize::from(self.byte()?);
                    self.remember(place)?;
                }
                b'r' => {
                    let place = self.length_u32()?;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len())?,
                b'h' => {
                    let place = usize::from(self.byte()?);
                    self.recall(place)?;
                }
                b'j' => {
                    let place = self.length_u32()?;
                    self.recall(place)?;
                }
                code => return Err(unknown(&format!("the operation {code:#04x}"))),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, String> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (first, rest) = self.input.split_first_chunk().ok_or_else(ended)?;
        self.input = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: usize) -> Result<&[u8], String> {
        let (first, rest) = self.input.split_at_checked(length).ok_or_else(ended)?;
        self.input = rest;
        Ok(first)
    }

    fn length_u32(&mut self) -> Result<usize, String> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| ended())
    }

    fn length_u64(&mut self) -> Result<usize, String> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| ended())
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.input.iter().position(|&c| c == b'\n');
        let end = end.ok_or_else(ended)?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.byte()?;
        Ok(text)
    }

    fn long(&mut self) -> Result<(), String> {
        let length = usize::from(self.byte()?);
        let bytes = self.bytes(length)?;
        let fill = match bytes.last() {
            Some(last) if last & 0x80 != 0 => 0xff,
            _ => 0,
        };
        let mut wide = [fill; 8];
        wide.get_mut(..length)
            .ok_or_else(|| unknown("a number of more than 8 bytes"))?
            .copy_from_slice(bytes);
        self.push(Node::Whole(i64::from_le_bytes(wide)))
    }

    fn push(&mut self, node: Node) -> Result<(), String> {
        if self.heap.len() >= MOST_NODES {
            return Err(unknown("too many values"));
        }
        self.stack.push(self.heap.len());
        self.heap.push(node);
        Ok(())
    }

    fn push_bytes(&mut self, length: usize) -> Result<(), String> {
        let bytes = self.bytes(length)?.to_vec();
        self.push(Node::Bytes(bytes))
    }

    fn push_text(&mut self, length: usize) -> Result<(), String> {
        let text = String::from_utf8_lossy(self.bytes(length)?).into_owned();
        self.push(Node::Text(text))
    }

    fn pop(&mut self) -> Result<usize, String> {
        self.stack.pop().ok_or_else(|| unknown("an empty stack"))
    }

    fn stack_top(&mut self, count: usize) -> Result<Vec<usize>, String> {
        let start = self.stack.len().checked_sub(count);
        let start = start.ok_or_else(|| unknown("an empty stack"))?;
        Ok(self.stack.split_off(start))
    }

    fn since_mark(&mut self) -> Result<Vec<usize>, String> {
        let mark = self.marks.pop().ok_or_else(|| unknown("no mark"))?;
        if mark > self.stack.len() {
            return Err(unknown("a mark above the stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    fn node(&self, index: usize) -> Result<&Node, String> {
        self.heap.get(index).ok_or_else(|| unknown("no such value"))
    }

    fn extend(&mut self, items: Vec<usize>) -> Result<(), String> {
        let list = self.stack.last().copied();
        let list = list.ok_or_else(|| unknown("an empty stack"))?;
        match self.heap.get_mut(list) {
            Some(Node::List(list)) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(unknown("an append to no list")),
        }
    }

    fn remember(&mut self, place: usize) -> Result<(), String> {
        let top = self.stack.last().copied();
        let top = top.ok_or_else(|| unknown("an empty stack"))?;
        if place >= MOST_NODES {
            return Err(unknown("too many values"));
        }
        if place >= self.memo.len() {
            self.memo.resize(place + 1, None);
        }
        self.memo[place] = Some(top);
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), String> {
        let node = self.memo.get(place).copied().flatten();
        self.stack
            .push(node.ok_or_else(|| unknown("no such value"))?);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), String> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Node::Name(name), Node::Tuple(arguments)) =
            (self.node(function)?.clone(), self.node(arguments)?.clone())
        else {
            return Err(unknown("a call of no function"));
        };
        let node = match name.as_str() {
            "_reconstruct" | "dtype" | "_frombuffer" => Node::Call {
                name,
                arguments,
                state: None,
            },
            // Protocol 2 writes bytes as text in Latin 1.
            "encode" => Node::Bytes(self.latin1(&arguments)?),
            other => return Err(unknown(&format!("a call of `{other}`"))),
        };
        self.push(node)
    }

    fn latin1(&self, arguments: &[usize]) -> Result<Vec<u8>, String> {
        let text = match arguments.first().map(|&a| self.node(a)) {
            Some(Ok(Node::Text(text))) => text,
            _ => return Err(unknown("an encoding of no text")),
        };
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).map_err(|_| unknown("text that is no Latin 1")))
            .collect()
    }

    fn build(&mut self) -> Result<(), String> {
        let new = self.pop()?;
        let object = self.stack.last().copied();
        let object = object.ok_or_else(|| unknown("an empty stack"))?;
        match self.heap.get_mut(object) {
            Some(Node::Call { state, .. }) => {
                *state = Some(new);
                Ok(())
            }
            _ => Err(unknown("a state for no object")),
        }
    }

    /// The elements of the outer array of objects, or of a list.
    fn elements(&self, node: usize) -> Result<Vec<usize>, String> {
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
    fn parts(&self, node: usize) -> Result<Parts, String> {
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
    fn flags(&self, node: usize) -> Result<Flags, String> {
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
        let (kind, size, big_endian) = self.dtype(parts.dtype)?;
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
            numbers.push(whole(&bytes, kind).ok_or("a label is no finite number")?);
        }
        let flags = from_numbers(shape, &numbers);
        if fortran && !flags.is_flat() {
            return Err(unknown("an array in Fortran order"));
        }
        Ok(flags)
    }

    fn list(&self, items: &[usize]) -> Result<Flags, String> {
        let mut numbers = Vec::with_capacity(items.len());
        for &item in items {
            numbers.push(match self.node(item)? {
                Node::Whole(value) => u64::try_from(*value).unwrap_or(2),
                Node::Float(value) => {
                    whole(&value.to_le_bytes(), Kind::Float).ok_or("a label is no finite number")?
                }
                _ => return Err(unknown("a list of something else than numbers")),
            });
        }
        Ok(from_numbers(vec![numbers.len()], &numbers))
    }

    fn shape(&self, node: usize) -> Result<Vec<usize>, String> {
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

    /// Kind, bytes and byte order of an array's numbers.
    fn dtype(&self, node: usize) -> Result<(Kind, usize, bool), String> {
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
        let (kind, size) = match text.trim_start_matches(['<', '|', '>', '=']) {
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
        Ok((kind, size, big_endian))
    }
}

/// The values that make up a pickled array.
struct Parts {
    shape: usize,
    dtype: usize,
    fortran: Option<usize>,
    data: usize,
}

fn from_numbers(shape: Vec<usize>, numbers: &[u64]) -> Flags {
    let all = |top: u64| numbers.iter().all(|&n| n == 0 || n == top);
    Flags {
        shape,
        values: numbers.iter().map(|&n| n != 0).collect(),
        binary: all(1) || all(255),
    }
}

fn ended() -> String {
    "its pickled objects end too early".to_owned()
}

fn unknown(what: &str) -> String {
    format!("its pickled objects hold {what}; an array of arrays of numbers was expected")
}

#[cfg(test)]
mod tests;
