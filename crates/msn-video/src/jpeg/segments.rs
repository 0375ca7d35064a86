//! The segments of a JPEG, and what its scans add up to.

use super::huffman::{STANDARD, Table};
use super::scan::{Component, Frame, Part, Scan};
use super::{Fault, Inspection, Judgement};

/// Pixels of the largest picture that is looked into; what is larger is not decoded either.
const MAX_PIXELS: usize = 8192 * 8192;
/// Scans of a picture that are followed; the most that a progressive one can use well is far below.
const MAX_SCANS: u32 = 256;
/// Bytes after the last block, other than padding, that count as more data.
const EXCESS: usize = 4;

/// Huffman tables by number: those of DC, and those of AC.
#[derive(Clone, Default)]
struct Tables([[Option<Table>; 4]; 2]);

impl Tables {
    /// Takes the tables of a DHT segment's body.
    fn define(&mut self, mut body: &[u8]) -> Option<()> {
        while let [place, rest @ ..] = body {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let length: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(length)?;
            let kind = self.0.get_mut(usize::from(place >> 4))?;
            *kind.get_mut(usize::from(place & 15))? = Some(Table::new(counts, symbols)?);
            body = rest;
        }
        Some(())
    }

    fn standard() -> Self {
        let mut tables = Self::default();
        // A test holds that they are tables.
        let _ = tables.define(&STANDARD[4..]);
        tables
    }
}

/// What comes next in the file.
struct Segment<'a> {
    code: u8,
    body: &'a [u8],
}

/// A walk from segment to segment.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    standard: Option<Box<Tables>>,
    frame: Option<Frame>,
    interval: usize,
    scans: u32,
    /// The coding is none of those that are followed.
    unknown: bool,
    excess: bool,
    apart: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            tables: Tables::default(),
            standard: None,
            frame: None,
            interval: 0,
            scans: 0,
            unknown: false,
            excess: false,
            apart: false,
        }
    }

    /// Walks to the end of the picture.
    pub(super) fn run(mut self) -> Result<Inspection, Fault> {
        let (mut ended, mut data_end) = (false, 0);
        while let Some(code) = self.marker() {
            match code {
                0xD9 => {
                    ended = true;
                    break;
                }
                // The next picture.
                0xD8 if self.scans > 0 => break,
                0x01 | 0xD0..=0xD8 => {}
                _ => match self.body() {
                    Some(body) => self.segment(&Segment { code, body })?,
                    None if self.scans > 0 => break,
                    None => return Err(Fault::Header),
                },
            }
            if code == 0xDA {
                data_end = self.at;
            }
        }
        if self.scans == 0 && (self.unknown || self.frame.is_some()) {
            return Err(Fault::NoData);
        }
        if self.unknown {
            return Ok(Inspection::unknown(self.bytes, ended));
        }
        let judgement = match &self.frame {
            None => return Err(Fault::Header),
            Some(frame) if !frame.is_complete() => return Err(Fault::Coarse),
            Some(_) if self.excess => Judgement::Excess,
            Some(_) => Judgement::Whole,
        };
        Ok(Inspection {
            judgement,
            apart: self.apart,
            data_end,
            length: if ended { self.at } else { data_end },
            lacks_tables: self.standard.is_some(),
        })
    }

    /// Goes past the next marker and gives its code; past all else before it.
    fn marker(&mut self) -> Option<u8> {
        let start = self.at;
        let mut at = start;
        while let Some(&byte) = self.bytes.get(at) {
            let next = self.bytes.get(at + 1).copied();
            match (byte, next) {
                (0xFF, Some(0x00)) => at += 2,
                (0xFF, Some(0xFF)) => at += 1,
                (0xFF, Some(code)) => {
                    self.count_excess(start, at);
                    self.at = at + 2;
                    return Some(code);
                }
                _ => at += 1,
            }
        }
        None
    }

    /// Notes data between a scan's last block and the next marker.
    fn count_excess(&mut self, from: usize, to: usize) {
        let between = self.bytes.get(from..to).unwrap_or_default();
        let data = between.iter().filter(|byte| !matches!(byte, 0x00 | 0xFF));
        self.excess |= self.scans > 0 && data.take(EXCESS).count() == EXCESS;
    }

    /// Goes past a segment's body, of which the length stands first.
    fn body(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        let body = rest.get(2..length)?;
        self.at += length;
        Some(body)
    }

    fn segment(&mut self, segment: &Segment<'_>) -> Result<(), Fault> {
        let body = segment.body;
        match segment.code {
            0xC4 => self.tables.define(body).ok_or(Fault::Header)?,
            0xC0..=0xC2 => match Frame::read(body, segment.code == 0xC2) {
                Some(frame) if self.frame.is_none() => self.frame = Some(frame),
                _ => self.unknown = true,
            },
            // Lossless, arithmetic and hierarchical coding; a number of rows that comes late.
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF | 0xDC | 0xDE | 0xDF | 0xF7 => self.unknown = true,
            0xDD => {
                let interval = body.first_chunk().ok_or(Fault::Header)?;
                self.interval = usize::from(u16::from_be_bytes(*interval));
            }
            0xDA => {
                self.scans += 1;
                if !self.unknown {
                    self.scan(body)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn scan(&mut self, header: &[u8]) -> Result<(), Fault> {
        let mut frame = self.frame.take().ok_or(Fault::Header)?;
        let lines = ScanLines::read(header, &frame).ok_or(Fault::Header)?;
        self.apart |= !frame.progressive && lines.parts.len() < frame.components.len();
        if self.scans > MAX_SCANS {
            self.unknown = true;
            return Ok(());
        }
        let needs_dc = lines.first == 0 && lines.high == 0;
        let lacks = lines.parts.iter().any(|&(_, dc, ac)| {
            let [dcs, acs] = &self.tables.0;
            needs_dc && dcs[dc].is_none() || lines.last > 0 && acs[ac].is_none()
        });
        if lacks && self.standard.is_none() {
            self.standard = Some(Box::new(Tables::standard()));
        }
        let table = |kind: usize, number: usize| {
            let own = self.tables.0[kind][number].as_ref();
            own.or_else(|| self.standard.as_ref()?.0[kind][number].as_ref())
        };
        let scan = Scan {
            parts: lines
                .parts
                .iter()
                .map(|&(component, dc, ac)| Part {
                    component,
                    dc: table(0, dc),
                    ac: table(1, ac),
                })
                .collect(),
            first: lines.first,
            last: lines.last,
            high: lines.high,
            low: lines.low,
            interval: self.interval,
        };
        self.at = scan.follow(&mut frame, self.bytes, self.at, self.scans)?;
        self.frame = Some(frame);
        Ok(())
    }
}

/// A scan's header.
struct ScanLines {
    /// Component, DC table, AC table.
    parts: Vec<(usize, usize, usize)>,
    first: usize,
    last: usize,
    high: u8,
    low: u8,
}

impl ScanLines {
    /// `None` for a header that is none.
    fn read(body: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = body.split_first()?;
        let (pairs, rest) = rest.split_at_checked(usize::from(count).checked_mul(2)?)?;
        let &[first, last, bits] = rest.first_chunk()?;
        let mut parts = Vec::new();
        for &[id, tables] in pairs.as_chunks::<2>().0 {
            let component = frame.components.iter().position(|c| c.id == id)?;
            let [dc, ac] = [tables >> 4, tables & 15].map(usize::from);
            if dc > 3 || ac > 3 || parts.iter().any(|&(c, _, _)| c == component) {
                return None;
            }
            parts.push((component, dc, ac));
        }
        if parts.is_empty() {
            return None;
        }
        // Whatever a sequential frame's scan says, it holds all coefficients.
        let (first, last, bits) = match frame.progressive {
            true => (usize::from(first), usize::from(last), bits),
            false => (0, 63, 0),
        };
        let (high, low) = (bits >> 4, bits & 15);
        let fits = first <= last
            && last < 64
            && low < 14
            && (first > 0 || last == 0 || !frame.progressive);
        fits.then_some(Self {
            parts,
            first,
            last,
            high,
            low,
        })
    }
}

impl Frame {
    /// The frame of an SOF segment's body; `None` for one that is not looked into.
    fn read(body: &[u8], progressive: bool) -> Option<Self> {
        let (&[_, h1, h0, w1, w0, count], rest) = body.split_first_chunk()?;
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let pixels = width.checked_mul(height)?;
        let lines = rest.as_chunks::<3>().0.get(..usize::from(count))?;
        let factors = |factor: u8| [factor >> 4, factor & 15].map(usize::from);
        let valid = lines.iter().all(|line| {
            let [across, down] = factors(line[1]);
            (1..=4).contains(&across) && (1..=4).contains(&down)
        });
        if pixels == 0 || pixels > MAX_PIXELS || !(1..=4).contains(&lines.len()) || !valid {
            return None;
        }
        let most = |side: usize| lines.iter().map(|line| factors(line[1])[side]).max();
        let (across, down) = (most(0)?, most(1)?);
        let columns = width.div_ceil(8 * across);
        let rows = height.div_ceil(8 * down);
        let components = lines.iter().map(|line| {
            let factors = factors(line[1]);
            let stride = columns * factors[0];
            let blocks = if progressive {
                stride * rows * factors[1]
            } else {
                0
            };
            Component {
                id: line[0],
                across: factors[0],
                down: factors[1],
                columns: (width * factors[0]).div_ceil(across).div_ceil(8),
                rows: (height * factors[1]).div_ceil(down).div_ceil(8),
                stride,
                coded: vec![0; blocks],
                missing_bits: [u8::MAX; 64],
            }
        });
        Some(Self {
            progressive,
            components: components.collect(),
            columns,
            rows,
        })
    }

    /// Whether every coefficient has come with all of its bits.
    fn is_complete(&self) -> bool {
        let mut components = self.components.iter();
        components.all(|component| component.missing_bits == [0; 64])
    }
}

/// Width and height in the header of the JPEG that `bytes` begin with.
#[cfg(feature = "ffmpeg")]
pub(super) fn frame_size(bytes: &[u8]) -> Option<[u8; 4]> {
    if !bytes.starts_with(&[0xFF, 0xD8]) {
        return None;
    }
    let mut walk = Walk::new(bytes);
    loop {
        match walk.marker()? {
            0x01 | 0xD0..=0xD8 => {}
            0xD9 | 0xDA => return None,
            0xC0..=0xC3 => return walk.body()?.get(1..)?.first_chunk().copied(),
            _ => {
                walk.body()?;
            }
        }
    }
}
