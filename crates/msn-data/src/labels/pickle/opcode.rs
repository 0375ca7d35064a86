//! Operations of Python's pickle machine, as `pickletools` names them: those that NumPy's arrays
//! take.

/// The value on the stack is the result.
pub(super) const STOP: u8 = b'.';
/// Version of the protocol: a byte.
pub(super) const PROTO: u8 = 0x80;
/// Length of what follows: eight bytes.
pub(super) const FRAME: u8 = 0x95;
/// Begins the items of a tuple or list.
pub(super) const MARK: u8 = b'(';
/// Drops the value on the stack.
pub(super) const POP: u8 = b'0';
pub(super) const NONE: u8 = b'N';
pub(super) const NEWTRUE: u8 = 0x88;
pub(super) const NEWFALSE: u8 = 0x89;
/// An integer of one byte.
pub(super) const BININT1: u8 = b'K';
/// An integer of two bytes.
pub(super) const BININT2: u8 = b'M';
/// A signed integer of four bytes.
pub(super) const BININT: u8 = b'J';
/// A signed integer, after a byte with its length.
pub(super) const LONG1: u8 = 0x8a;
/// A float of eight bytes, big-endian.
pub(super) const BINFLOAT: u8 = b'G';
/// Bytes, of a length of one byte.
pub(super) const SHORT_BINBYTES: u8 = b'C';
/// Bytes, of a length of four bytes.
pub(super) const BINBYTES: u8 = b'B';
/// Bytes, of a length of eight bytes.
pub(super) const BINBYTES8: u8 = 0x8e;
/// A byte array, of a length of eight bytes.
pub(super) const BYTEARRAY8: u8 = 0x96;
/// A string of Python 2, of a length of one byte.
pub(super) const SHORT_BINSTRING: u8 = b'U';
/// A string of Python 2, of a length of four bytes.
pub(super) const BINSTRING: u8 = b'T';
/// Text, of a length of one byte.
pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
/// Text, of a length of four bytes.
pub(super) const BINUNICODE: u8 = b'X';
pub(super) const EMPTY_TUPLE: u8 = b')';
pub(super) const TUPLE1: u8 = 0x85;
pub(super) const TUPLE2: u8 = 0x86;
pub(super) const TUPLE3: u8 = 0x87;
/// A tuple of all since the mark.
pub(super) const TUPLE: u8 = b't';
pub(super) const EMPTY_LIST: u8 = b']';
/// Appends the value to the list below it.
pub(super) const APPEND: u8 = b'a';
/// Appends all since the mark to the list below it.
pub(super) const APPENDS: u8 = b'e';
/// A function: two lines, its module and its name.
pub(super) const GLOBAL: u8 = b'c';
/// A function: its module and name lie on the stack.
pub(super) const STACK_GLOBAL: u8 = 0x93;
/// Calls a function with a tuple of arguments.
pub(super) const REDUCE: u8 = b'R';
/// Gives an object its state.
pub(super) const BUILD: u8 = b'b';
/// Remembers the value under a number of one byte.
pub(super) const BINPUT: u8 = b'q';
/// Remembers the value under a number of four bytes.
pub(super) const LONG_BINPUT: u8 = b'r';
/// Remembers the value under the next number.
pub(super) const MEMOIZE: u8 = 0x94;
/// The value remembered under a number of one byte.
pub(super) const BINGET: u8 = b'h';
/// The value remembered under a number of four bytes.
pub(super) const LONG_BINGET: u8 = b'j';
