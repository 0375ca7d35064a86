//! A source as recorded or at a fixed rate, by one type.

use camino::Utf8Path;

use crate::{DecodeErrors, Info, Item, Options, Pace, Reader, Resampled, VideoError, open};

/// A [`Reader`], or a [`Resampled`] one.
#[derive(Debug)]
pub struct PacedReader(Kind);

#[derive(Debug)]
enum Kind {
    Recorded(Box<Reader>),
    Fixed(Box<Resampled>),
}

impl PacedReader {
    /// Opens a source as [`open`] does, at a fixed rate where one is given.
    ///
    /// # Errors
    /// Those of [`open`] and of [`Reader::resampled`].
    pub fn open(
        path: &Utf8Path,
        options: &Options,
        rate_hz: Option<f64>,
    ) -> Result<Self, VideoError> {
        let reader = open(path, options)?;
        Ok(Self(match rate_hz {
            None => Kind::Recorded(Box::new(reader)),
            Some(hz) => Kind::Fixed(Box::new(reader.resampled(hz)?)),
        }))
    }

    /// The source's properties. Notes may be added while reading.
    pub fn info(&self) -> &Info {
        self.reader().info()
    }

    /// What was lost so far; complete at the end.
    pub fn decode_errors(&self) -> &DecodeErrors {
        self.reader().decode_errors()
    }

    /// Frames of the source that were read so far, lost ones included; at the end, all of them.
    pub fn source_frames(&self) -> usize {
        self.reader().frames_read()
    }

    /// Cuts in time at a fixed rate so far: there is one take more.
    pub fn cuts(&self) -> usize {
        match &self.0 {
            Kind::Recorded(_) => 0,
            Kind::Fixed(resampled) => resampled.cuts(),
        }
    }

    fn reader(&self) -> &Reader {
        match &self.0 {
            Kind::Recorded(reader) => reader,
            Kind::Fixed(resampled) => resampled.reader(),
        }
    }
}

impl Reader {
    /// This reader as recorded, or at a fixed rate where one is given; `pace` is what
    /// [`pace`](crate::pace) gives for its source.
    ///
    /// # Errors
    /// Those of [`Reader::resampled`].
    pub fn paced(
        self,
        rate_hz: Option<f64>,
        pace: Option<Pace>,
    ) -> Result<PacedReader, VideoError> {
        Ok(PacedReader(match rate_hz {
            None => Kind::Recorded(Box::new(self)),
            Some(hz) => Kind::Fixed(Box::new(Resampled::new(self, hz, pace)?)),
        }))
    }
}

impl Iterator for PacedReader {
    type Item = Result<Item, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Kind::Recorded(reader) => reader.next(),
            Kind::Fixed(resampled) => resampled.next(),
        }
    }
}

impl std::iter::FusedIterator for PacedReader {}
