//! A fixed rate from uneven timestamps.

use crate::pace::{is_gap, is_restart};
use crate::{Frame, Item, Lost, Reader, VideoError};

/// Timestamps are rounded to their time base; half a microsecond is no difference.
const ROUNDING: f64 = 5e-7;

/// A reader's frames at a fixed rate, by sample and hold.
///
/// Each item stands for a time `k / rate_hz` and is the frame on display then: the last one whose
/// time is not later. Its `seconds` is that time and its `source_index` is which frame of the
/// source it is, so frames are repeated where the source is slower or stands still for a moment,
/// and left out where it is faster. Before the first frame nothing is on display: times start at
/// the first frame's, and `index` is `k`.
///
/// A cut in time ([`is_cut`](crate::is_cut)) ends what can be filled: over ten steps and a second
/// without a frame, or a clock that goes back by over a second, are one [`Item::Lost`], after
/// which `index` goes on with the next number and `seconds` with the new time.
/// A frame before a loss is held for one frame of the source's average rate, then the times up to
/// the next frame are [`Item::Lost`]. The last frame is held for one frame of the average rate.
///
/// Frames that go back in time by less are left out. A frame without a time comes one step after
/// the one before it; a source whose first frame has none is [`VideoError::NoTimes`].
#[derive(Debug)]
pub struct Resampled {
    reader: Reader,
    rate_hz: f64,
    /// One frame of the source, seconds.
    hold: f64,
    /// The next item's number and its time in steps.
    index: usize,
    step: i32,
    /// Why `next` is no continuation of `shown`.
    cut: Option<&'static str>,
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
            index: 0,
            step: 0,
            cut: None,
            shown: None,
            next: None,
            loss: None,
            ended: false,
            done: false,
        })
    }

    /// The reader underneath, for its properties and decode errors.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Fills `next` with the next frame later than `shown`.
    fn fetch(&mut self) -> Result<(), VideoError> {
        while self.next.is_none() && !self.ended {
            match self.reader.next().transpose()? {
                None => self.ended = true,
                Some(Item::Lost(lost)) => self.loss = Some(lost.reason),
                Some(Item::Frame(frame)) => {
                    let shown = self.shown.as_ref().map(|(at, _)| *at);
                    let to = match (frame.seconds, shown) {
                        (Some(to), _) => to,
                        (None, Some(from)) => from + self.hold,
                        (None, None) => {
                            return Err(VideoError::NoTimes {
                                path: self.reader.info().source.clone(),
                            });
                        }
                    };
                    self.cut = match shown {
                        Some(from) if is_restart(from, to) => Some("the clock goes back"),
                        Some(from) if is_gap(to - from, self.hold) => Some("a gap in time"),
                        _ => None,
                    };
                    if self.cut.is_some() || shown.is_none_or(|from| to > from) {
                        self.next = Some((to, frame));
                    }
                }
            }
        }
        Ok(())
    }

    fn time(&self) -> f64 {
        f64::from(self.step) / self.rate_hz
    }

    /// Goes to the first step that is not before a frame's time.
    fn move_to(&mut self, at: f64) {
        // The cast saturates: a step too far for its type is its last one.
        let step = ((at - ROUNDING) * self.rate_hz).ceil() as i32;
        self.step = step;
        if self.time() + ROUNDING < at {
            self.step = step.saturating_add(1);
        }
    }

    fn item(&mut self) -> Result<Option<Item>, VideoError> {
        loop {
            self.fetch()?;
            let due = self.time() + ROUNDING;
            let held = self
                .shown
                .as_ref()
                .is_some_and(|(at, _)| due < at + self.hold);
            if let Some(reason) = self.cut.take_if(|_| !held)
                && let Some((at, frame)) = self.next.take()
            {
                self.move_to(at);
                self.shown = Some((at, frame));
                self.loss = None;
                let index = self.index;
                self.index += 1;
                let reason = reason.to_owned();
                return Ok(Some(Item::Lost(Lost { index, reason })));
            }
            let first = self.shown.is_none();
            if self.cut.is_none()
                && let Some((at, frame)) = self.next.take_if(|(at, _)| *at <= due || first)
            {
                if first {
                    // The first frame's time, rounded up to a step.
                    self.move_to(at);
                    self.index = usize::try_from(self.step).unwrap_or(0);
                }
                self.shown = Some((at, frame));
                self.loss = None;
                continue;
            }
            let Some((_, frame)) = &self.shown else {
                return Ok(None);
            };
            if self.next.is_none() && !held {
                return Ok(None);
            }
            let (index, seconds) = (self.index, self.time());
            self.index += 1;
            self.step = self.step.saturating_add(1);
            return Ok(Some(match &self.loss {
                Some(reason) if !held => Item::Lost(Lost {
                    index,
                    reason: reason.clone(),
                }),
                _ => Item::Frame(Frame {
                    index,
                    source_index: frame.source_index,
                    seconds: Some(seconds),
                    source_seconds: frame.source_seconds,
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
