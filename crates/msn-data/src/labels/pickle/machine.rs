//! The stack machine that a pickle is a program for.

use super::opcode as op;
use super::{PickleError, unknown};

/// A value on the pickle machine's heap.
#[derive(Clone, Debug)]
pub(super) enum Node {
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

/// The machine that runs a pickle. Nothing is executed: a call of one of NumPy's functions is
/// kept as a value, and every other is an error.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    heap: Vec<Node>,
    stack: Vec<usize>,
    annotation: Vec<usize>,
    memo: Vec<Option<usize>>,
}

impl<'a> Machine<'a> {
    pub fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            heap: Vec::new(),
            stack: Vec::new(),
            annotation: Vec::new(),
            memo: Vec::new(),
        }
    }

    /// Runs to the end and returns the index of the value that is left.
    pub fn run(&mut self) -> Result<usize, PickleError> {
        loop {
            let code = self.byte()?;
            match code {
                op::STOP => return self.pop(),
                op::PROTO => {
                    self.byte()?;
                }
                op::FRAME => {
                    self.bytes(8)?;
                }
                op::MARK => self.annotation.push(self.stack.len()),
                op::POP => {
                    self.pop()?;
                }
                op::NONE => self.push(Node::Nothing)?,
                op::NEWTRUE => self.push(Node::Whole(1))?,
                op::NEWFALSE => self.push(Node::Whole(0))?,
                op::BININT1 => {
                    let value = i64::from(self.byte()?);
                    self.push(Node::Whole(value))?;
                }
                op::BININT2 => {
                    let value = i64::from(u16::from_le_bytes(self.array()?));
                    self.push(Node::Whole(value))?;
                }
                op::BININT => {
                    let value = i64::from(i32::from_le_bytes(self.array()?));
                    self.push(Node::Whole(value))?;
                }
                op::LONG1 => self.long()?,
                op::BINFLOAT => {
                    let value = f64::from_be_bytes(self.array()?);
                    self.push(Node::Float(value))?;
                }
                op::SHORT_BINBYTES | op::SHORT_BINSTRING => {
                    let length = usize::from(self.byte()?);
                    self.push_bytes(length)?;
                }
                op::BINBYTES | op::BINSTRING => {
                    let length = self.length_u32()?;
                    self.push_bytes(length)?;
                }
                op::BINBYTES8 | op::BYTEARRAY8 => {
                    let length = self.length_u64()?;
                    self.push_bytes(length)?;
                }
                op::SHORT_BINUNICODE => {
                    let length = usize::from(self.byte()?);
                    self.push_text(length)?;
                }
                op::BINUNICODE => {
                    let length = self.length_u32()?;
                    self.push_text(length)?;
                }
                op::EMPTY_TUPLE => self.push(Node::Tuple(Vec::new()))?,
                op::TUPLE1 => self.tuple(1)?,
                op::TUPLE2 => self.tuple(2)?,
                op::TUPLE3 => self.tuple(3)?,
                op::TUPLE => {
                    let items = self.since_mark()?;
                    self.push(Node::Tuple(items))?;
                }
                op::EMPTY_LIST => self.push(Node::List(Vec::new()))?,
                op::APPEND => {
                    let item = self.pop()?;
                    self.extend(vec![item])?;
                }
                op::APPENDS => {
                    let items = self.since_mark()?;
                    self.extend(items)?;
                }
                op::GLOBAL => {
                    self.line()?;
                    let name = self.line()?;
                    self.push(Node::Name(name))?;
                }
                op::STACK_GLOBAL => {
                    let name = self.pop()?;
                    self.pop()?;
                    let Node::Text(name) = self.node(name)?.clone() else {
                        return Err(unknown("a name that is no text"));
                    };
                    self.push(Node::Name(name))?;
                }
                op::REDUCE => self.reduce()?,
                op::BUILD => self.build()?,
                op::BINPUT => {
                    let slot = usize::from(self.byte()?);
                    self.remember(slot)?;
                }
                op::LONG_BINPUT => {
                    let slot = self.length_u32()?;
                    self.remember(slot)?;
                }
                op::MEMOIZE => self.remember(self.memo.len())?,
                op::BINGET => {
                    let slot = usize::from(self.byte()?);
                    self.recall(slot)?;
                }
                op::LONG_BINGET => {
                    let slot = self.length_u32()?;
                    self.recall(slot)?;
                }
                code => return Err(unknown(&format!("the operation {code:#04x}"))),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (first, rest) = self.input.split_first_chunk().ok_or(PickleError::Ended)?;
        self.input = rest;
        Ok(*first)
    }

    fn bytes(&mut self, length: usize) -> Result<&[u8], PickleError> {
        let (first, rest) = self
            .input
            .split_at_checked(length)
            .ok_or(PickleError::Ended)?;
        self.input = rest;
        Ok(first)
    }

    fn length_u32(&mut self) -> Result<usize, PickleError> {
        let length = u32::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| PickleError::Ended)
    }

    fn length_u64(&mut self) -> Result<usize, PickleError> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).map_err(|_| PickleError::Ended)
    }

    fn line(&mut self) -> Result<String, PickleError> {
        let end = self.input.iter().position(|&c| c == b'\n');
        let end = end.ok_or(PickleError::Ended)?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.byte()?;
        Ok(text)
    }

    fn long(&mut self) -> Result<(), PickleError> {
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

    fn push(&mut self, node: Node) -> Result<(), PickleError> {
        if self.heap.len() >= MOST_NODES {
            return Err(unknown("too many values"));
        }
        self.stack.push(self.heap.len());
        self.heap.push(node);
        Ok(())
    }

    fn push_bytes(&mut self, length: usize) -> Result<(), PickleError> {
        let bytes = self.bytes(length)?.to_vec();
        self.push(Node::Bytes(bytes))
    }

    fn push_text(&mut self, length: usize) -> Result<(), PickleError> {
        let text = String::from_utf8_lossy(self.bytes(length)?).into_owned();
        self.push(Node::Text(text))
    }

    fn pop(&mut self) -> Result<usize, PickleError> {
        self.stack.pop().ok_or_else(|| unknown("an empty stack"))
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let items = self.stack_top(count)?;
        self.push(Node::Tuple(items))
    }

    fn stack_top(&mut self, count: usize) -> Result<Vec<usize>, PickleError> {
        let start = self.stack.len().checked_sub(count);
        let start = start.ok_or_else(|| unknown("an empty stack"))?;
        Ok(self.stack.split_off(start))
    }

    fn since_mark(&mut self) -> Result<Vec<usize>, PickleError> {
        let mark = self.annotation.pop().ok_or_else(|| unknown("no mark"))?;
        if mark > self.stack.len() {
            return Err(unknown("a mark above the stack"));
        }
        Ok(self.stack.split_off(mark))
    }

    /// The value of an index.
    pub fn node(&self, index: usize) -> Result<&Node, PickleError> {
        self.heap.get(index).ok_or_else(|| unknown("no such value"))
    }

    fn extend(&mut self, items: Vec<usize>) -> Result<(), PickleError> {
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

    fn remember(&mut self, slot: usize) -> Result<(), PickleError> {
        let top = self.stack.last().copied();
        let top = top.ok_or_else(|| unknown("an empty stack"))?;
        if slot >= MOST_NODES {
            return Err(unknown("too many values"));
        }
        if slot >= self.memo.len() {
            self.memo.resize(slot + 1, None);
        }
        self.memo[slot] = Some(top);
        Ok(())
    }

    fn recall(&mut self, slot: usize) -> Result<(), PickleError> {
        let node = self.memo.get(slot).copied().flatten();
        self.stack
            .push(node.ok_or_else(|| unknown("no such value"))?);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), PickleError> {
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

    fn latin1(&self, arguments: &[usize]) -> Result<Vec<u8>, PickleError> {
        let text = match arguments.first().map(|&a| self.node(a)) {
            Some(Ok(Node::Text(text))) => text,
            _ => return Err(unknown("an encoding of no text")),
        };
        text.chars()
            .map(|c| u8::try_from(u32::from(c)).map_err(|_| unknown("text that is no Latin 1")))
            .collect()
    }

    fn build(&mut self) -> Result<(), PickleError> {
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
}
