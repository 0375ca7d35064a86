//! A fixed rate from uneven timestamps.

use crate::{Frame, Item, Lost, Reader, VideoError};

/// Largest distance between two timestamps that is filled, in seconds.
const LONGEST_GAP_SECONDS: f64 = 3600.0;

/// A reader's frames at a fixed rate, by sample and hold.
///
/// Item `k` stands for the time `k / rate_hz` and is the frame on display then: the last one
/// whose time is not later. Its `index` is `k`, its `seconds` is `k / rate_hz` and its
/// `source_index` tells which frame of the source it is, so frames are repeated where the source is slower or stands still, and left out where it is faster.
/// Before the first frame nothing is on display: times start at the first frame's.
/// A frame before a loss is held for one frame of the source's average rate, then the times up to
/// the next frame are [`Item::Lost`]. The last frame is held for one frame of the average rate.
///
/// Frames that go back in time are left out. A jump of more than an hour is
/// [`VideoError::TimeJump`], a frame without a time [`VideoError::NoTimes`].
#[derive(Debug)]
pub struct Resampled {
    reader: Reader,
    rate_hz: f64,
    /// One frame of the source, seconds.
    hold: f64,
    /// The next item's number.
    step: u32,
    shown: Option<(f64, Frame)>,
    next: Option<(f64, Frame)>,
    /// Why frames between `shown` and `next` were lost.
    loss: Option<String>,
    ended: bool,
    done: bool,
}

impl Resampled {
    pub(crate) fn new(reader: Reader, rate_hz: f64) -> Result<Self, VideoError> {
        if !(rate_hz > 0.0 && rate_hz <= 1000.0) {
            return Err(VideoError::BadRate {
                rate_hz,
                range: "above 0 and up to 1000",
            });
        }
        if reader.info().kind == crate::SourceKind::Folder {
            return Err(VideoError::NoTimes {
                path: reader.info().source.clone(),
            });
        }
        let hold = reader
            .info()
            .rate_hz
            .map_or(1.0 / rate_hz, |rate| 1.0 / rate);
        Ok(Self {
            reader,
            rate_hz,
            hold,
            step: 0,
            shown: None,
            next: None,
            loss: None,
            ended: false,
            done: false,
        })
    }

    /// The reader underneath, for its properties and losses.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Passes over the times before item `index`.
    pub(crate) fn skip_to(&mut self, index: usize) -> Result<(), VideoError> {
        while !self.done && usize::try_from(self.step).unwrap_or(usize::MAX) < index {
            self.done = self.item()?.is_none();
        }
        Ok(())
    }

    /// Fills `next` with the next frame later than `shown`.
    fn fetch(&mut self) -> Result<(), VideoError> {
        while self.next.is_none() && !self.ended {
            match self.reader.next().transpose()? {
                None => self.ended = true,
                Some(Item::Lost(lost)) => self.loss = Some(lost.reason),
                Some(Item::Frame(frame)) => {
                    let path = || self.reader.info().source.clone();
                    let Some(to) = frame.seconds else {
                        return Err(VideoError::NoTimes { path: path() });
                    };
                    let from = self.shown.as_ref().map_or(0.0, |(from, _)| *from);
                    if to - from > LONGEST_GAP_SECONDS {
                        return Err(VideoError::TimeJump {
                            path: path(),
                            from,
                            to,
                        });
                    }
                    if self.shown.is_none() || to > from {
                        self.next = Some((to, frame));
                    }
                }
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<Option<Item>, VideoError> {
        loop {
            self.fetch()?;
            // Timestamps are rounded to their time base; half a microsecond is no difference.
            let time = f64::from(self.step) / self.rate_hz;
            let due = time + 5e-7;
            if let Some((at, frame)) = self
                .next
                .take_if(|(at, _)| *at <= due || self.shown.is_none())
            {
                if self.shown.is_none() {
                    // The first frame's time, rounded up to a step.
                    while f64::from(self.step) / self.rate_hz + 5e-7 < at {
                        self.step += 1;
                    }
                }
                self.shown = Some((at, frame));
                self.loss = None;
                continue;
            }
            let Some((at, frame)) = &self.shown else {
                return Ok(None);
            };
            let held = due < at + self.hold;
            if self.next.is_none() && !held {
                return Ok(None);
            }
            let index = usize::try_from(self.step).unwrap_or(usize::MAX);
            self.step = self.step.saturating_add(1);
            return Ok(Some(match &self.loss {
                Some(reason) if !held => Item::Lost(Lost {
                    index,
                    reason: reason.clone(),
                }),
                _ => Item::Frame(Frame {
                    index,
                    source_index: frame.source_index,
                    seconds: Some(time),
                    picture: frame.picture.clone(),
                }),
            }));
        }
    }
}

impl Iterator for Resampled {
    type Item = Result<Item, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = self.item().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::iter::FusedIterator for Resampled {}
