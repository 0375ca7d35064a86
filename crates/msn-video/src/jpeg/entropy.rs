//! Bits of coded data, up to the next marker.

use super::huffman::Table;

/// Why coded data can't be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data ends, at a marker or with the file.
    Short,
    /// No code begins like this, or a value is out of range.
    Nonsense,
}

/// Reads bits from the most significant on; `FF 00` is the byte FF.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            buffer: 0,
            count: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0x00) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    pub(super) fn skip(&mut self, bits: u32) -> Result<(), Stop> {
        if self.count < bits {
            self.fill();
        }
        if self.count < bits {
            return Err(Stop::Short);
        }
        self.buffer <<= bits;
        self.count -= bits;
        Ok(())
    }

    /// The next `bits`, at most 16.
    pub(super) fn take(&mut self, bits: u32) -> Result<u32, Stop> {
        if bits == 0 {
            return Ok(0);
        }
        if self.count < bits {
            self.fill();
        }
        let value = u32::try_from(self.buffer >> (64 - bits)).unwrap_or(0);
        self.skip(bits)?;
        Ok(value)
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, Stop> {
        if self.count < 16 {
            self.fill();
        }
        let next = u16::try_from(self.buffer >> 48).unwrap_or(0);
        match table.look_up(next) {
            Some((length, symbol)) => {
                self.skip(u32::from(length))?;
                Ok(symbol)
            }
            None if self.count < 16 => Err(Stop::Short),
            None => Err(Stop::Nonsense),
        }
    }

    /// Goes past a restart marker and gives its number, where only padding precedes it.
    pub(super) fn restart(&mut self) -> Option<u8> {
        self.fill();
        // Bits of one byte at most are padding.
        if self.count >= 8 {
            return None;
        }
        let mut at = self.at;
        while self.bytes.get(at + 1) == Some(&0xFF) {
            at += 1;
        }
        match (self.bytes.get(at), self.bytes.get(at + 1)) {
            (Some(0xFF), Some(&code @ 0xD0..=0xD7)) => {
                *self = Self::new(self.bytes, at + 2);
                Some(code - 0xD0)
            }
            _ => None,
        }
    }

    /// Whether a whole byte is left before the next marker.
    pub(super) fn has_byte(&mut self) -> bool {
        self.fill();
        self.count >= 8
    }

    /// Whether the data read ends at a restart marker.
    pub(super) fn at_restart(&self) -> bool {
        let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        matches!(next, Some([0xFF, 0xD0..=0xD7]))
    }

    /// Where the data goes on after the byte that was read last.
    pub(super) fn end(&self) -> usize {
        let mut at = self.at;
        // Back over the bytes that are still in the buffer.
        for _ in 0..self.count / 8 {
            at = at.saturating_sub(1);
            if at > 0 && self.bytes[at] == 0x00 && self.bytes[at - 1] == 0xFF {
                at -= 1;
            }
        }
        at
    }
}
