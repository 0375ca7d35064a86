//! One scan: its blocks are followed, none of their values is kept but which are not zero.

use super::Fault;
use super::entropy::{Bits, Stop};
use super::huffman::Table;

/// A component of a frame.
pub(super) struct Component {
    pub id: u8,
    /// Blocks of a unit of interleaved data, across and down: 1 to 4.
    pub across: usize,
    pub down: usize,
    /// Blocks that the component has by itself, across and down.
    pub columns: usize,
    pub rows: usize,
    /// Blocks of a row in `coded`.
    pub stride: usize,
    /// Of a progressive frame: which coefficients of each block are not zero so far.
    pub coded: Vec<u64>,
    /// For each coefficient the bits that are still to come; 255 before its first scan.
    pub missing_bits: [u8; 64],
}

/// What a frame's header says.
pub(super) struct Frame {
    pub progressive: bool,
    pub components: Vec<Component>,
    /// Units of interleaved data, across and down.
    pub columns: usize,
    pub rows: usize,
}

/// A component in a scan, with its tables.
pub(super) struct Part<'a> {
    pub component: usize,
    pub dc: Option<&'a Table>,
    pub ac: Option<&'a Table>,
}

/// What a scan's header says.
pub(super) struct Scan<'a> {
    pub parts: Vec<Part<'a>>,
    /// Coefficients from and to.
    pub first: usize,
    pub last: usize,
    /// Bits below the ones coded, before this scan (0 in a first one) and with it.
    pub high: u8,
    pub low: u8,
    /// Units between two restart markers; 0 for none.
    pub interval: usize,
}

impl Scan<'_> {
    /// Follows the scan's data, which begins at `at`, and gives where it ends.
    ///
    /// # Errors
    /// [`Fault`], with `number` for the scan's.
    pub(super) fn follow(
        &self,
        frame: &mut Frame,
        bytes: &[u8],
        at: usize,
        number: u32,
    ) -> Result<usize, Fault> {
        // The blocks of a component by itself are not padded to whole units.
        let (columns, rows) = match self.parts.as_slice() {
            [only] => {
                let component = &frame.components[only.component];
                (component.columns, component.rows)
            }
            _ => (frame.columns, frame.rows),
        };
        let units = columns.saturating_mul(rows);
        let mut bits = Bits::new(bytes, at);
        let mut interval = self.interval;
        let mut run = 0;
        for unit in 0..units {
            let percent = u32::try_from(unit.saturating_mul(100) / units.max(1)).unwrap_or(100);
            if interval > 0 && unit > 0 && unit % interval == 0 {
                let expected = (unit / interval - 1) % 8;
                match bits.restart() {
                    Some(found) if usize::from(found) == expected => run = 0,
                    // An interval is set, but no marker is ever written.
                    None if unit == interval && bits.has_byte() => interval = 0,
                    _ => {
                        return Err(Fault::Gap {
                            percent,
                            scan: number,
                        });
                    }
                }
            }
            let (x, y) = (unit % columns, unit / columns);
            self.unit(frame, &mut bits, &mut run, [x, y])
                .map_err(|stop| match stop {
                    Stop::Short if interval > 0 && bits.at_restart() => Fault::Gap {
                        percent,
                        scan: number,
                    },
                    Stop::Short => Fault::CutOff {
                        percent,
                        scan: number,
                    },
                    Stop::Nonsense => Fault::Damaged {
                        percent,
                        scan: number,
                    },
                })?;
        }
        for part in &self.parts {
            let missing = &mut frame.components[part.component].missing_bits;
            missing[self.first..=self.last].fill(self.low);
        }
        Ok(bits.end())
    }

    /// The blocks of one unit.
    fn unit(
        &self,
        frame: &mut Frame,
        bits: &mut Bits<'_>,
        run: &mut u32,
        [x, y]: [usize; 2],
    ) -> Result<(), Stop> {
        let alone = self.parts.len() == 1;
        for part in &self.parts {
            let component = &mut frame.components[part.component];
            let (across, down) = match alone {
                true => (1, 1),
                false => (component.across, component.down),
            };
            for row in y * down..(y + 1) * down {
                for column in x * across..(x + 1) * across {
                    if !frame.progressive {
                        sequential(bits, part)?;
                        continue;
                    }
                    let at = row * component.stride + column;
                    let block = component.coded.get_mut(at).ok_or(Stop::Nonsense)?;
                    self.progressive(bits, part, run, block)?;
                }
            }
        }
        Ok(())
    }

    fn progressive(
        &self,
        bits: &mut Bits<'_>,
        part: &Part<'_>,
        run: &mut u32,
        block: &mut u64,
    ) -> Result<(), Stop> {
        match (self.first, self.high) {
            (0, 0) => dc(bits, part),
            (0, _) => bits.skip(1),
            (_, 0) => self.first_ac(bits, part, run, block),
            (_, _) => self.refine_ac(bits, part, run, block),
        }
    }

    fn first_ac(
        &self,
        bits: &mut Bits<'_>,
        part: &Part<'_>,
        run: &mut u32,
        block: &mut u64,
    ) -> Result<(), Stop> {
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let table = part.ac.ok_or(Stop::Nonsense)?;
        let mut k = self.first;
        while k <= self.last {
            let symbol = bits.symbol(table)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => k += 16,
                (_, 0) => {
                    *run = (1 << zeros) - 1 + bits.take(u32::from(zeros))?;
                    return Ok(());
                }
                (zeros, size) => {
                    k += usize::from(zeros);
                    if k > self.last {
                        return Err(Stop::Nonsense);
                    }
                    bits.skip(u32::from(size))?;
                    *block |= 1 << k;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    fn refine_ac(
        &self,
        bits: &mut Bits<'_>,
        part: &Part<'_>,
        run: &mut u32,
        block: &mut u64,
    ) -> Result<(), Stop> {
        let table = part.ac.ok_or(Stop::Nonsense)?;
        let mut k = self.first;
        if *run == 0 {
            while k <= self.last {
                let symbol = bits.symbol(table)?;
                let (mut zeros, size) = (symbol >> 4, symbol & 15);
                if size > 0 {
                    // The sign of a coefficient that becomes 1.
                    bits.skip(1)?;
                } else if zeros < 15 {
                    *run = (1 << zeros) + bits.take(u32::from(zeros))?;
                    break;
                }
                // A bit for each coefficient that is not zero, up to the place meant.
                while k <= self.last {
                    if *block >> k & 1 == 1 {
                        bits.skip(1)?;
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    k += 1;
                }
                if size > 0 {
                    if k > self.last {
                        return Err(Stop::Nonsense);
                    }
                    *block |= 1 << k;
                }
                k += 1;
            }
        }
        if *run > 0 {
            for k in k..=self.last {
                bits.skip(u32::from(*block >> k & 1 == 1))?;
            }
            *run -= 1;
        }
        Ok(())
    }
}

fn dc(bits: &mut Bits<'_>, part: &Part<'_>) -> Result<(), Stop> {
    let size = bits.symbol(part.dc.ok_or(Stop::Nonsense)?)?;
    match size {
        0..=16 => bits.skip(u32::from(size)),
        _ => Err(Stop::Nonsense),
    }
}

/// A block whose coefficients are all in one scan.
fn sequential(bits: &mut Bits<'_>, part: &Part<'_>) -> Result<(), Stop> {
    dc(bits, part)?;
    let table = part.ac.ok_or(Stop::Nonsense)?;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(table)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        match (zeros, size) {
            (15, 0) => k += 16,
            (_, 0) => return Ok(()),
            (zeros, size) => {
                k += u32::from(zeros);
                if k > 63 {
                    return Err(Stop::Nonsense);
                }
                bits.skip(u32::from(size))?;
                k += 1;
            }
        }
    }
    Ok(())
}
