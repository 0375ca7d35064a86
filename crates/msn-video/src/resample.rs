//! A fixed rate from uneven timestamps.

use camino::{Utf8Path, Utf8PathBuf};

use crate::pace::{MAX_HZ, Pace, gap_seconds, is_longer, is_restart, milliseconds};
use crate::{Frame, Item, Lost, Reader, VideoError};

/// A picture is held for at most so many seconds, or so many steps of the rate, until the next.
const LONGEST_SECONDS: f64 = 60.0;
const LONGEST_STEPS: f64 = 10.0;

/// A reader's frames at a fixed rate, by sample and hold.
///
/// A take is footage without a cut in time. It begins with its first frame, and each of its items
/// stands for a time `k / rate_hz` after that, `k` = 0, 1, 2, ...: it is the frame on display then,
/// the last one whose time is not later. Its `seconds` is that time and its `source_index` is which
/// frame of the source it is, so frames are repeated where the source is slower or stands still for
/// a moment, and left out where it is faster. `index` counts items from 0.
///
/// A cut in time ([`is_cut`](crate::is_cut)) ends a take: over ten steps of the source's pace and
/// over a second without a frame, or a clock that goes back by over five steps or a second. It is
/// one [`Item::Lost`]. So is a minute without a frame (or ten steps of the rate, where they are
/// longer), whatever the pace: the number of items is bounded by that of the source's frames. The
/// pace is that of the timestamps ([`pace`](crate::pace)), never what a header states; only of
/// fewer than three frames it is the header's.
///
/// A frame before a loss is held for one step of the pace, then the times up to the next frame are
/// [`Item::Lost`]. The last frame of a take is held for one step.
///
/// Times are compared in whole milliseconds, since some containers store no more: the same packets
/// give the same frames from every container.
///
/// Frames that go back in time by less than a cut are left out. A frame without a time comes one
/// step after the one before it; a source without times is [`VideoError::NoTimes`].
#[derive(Debug)]
pub struct Resampled(Sampler<Reader>);

impl Resampled {
    /// `pace` as [`pace`](crate::pace) gives it for the reader's source.
    pub(crate) fn new(
        reader: Reader,
        rate_hz: f64,
        pace: Option<Pace>,
    ) -> Result<Self, VideoError> {
        check_rate(rate_hz)?;
        let info = reader.info();
        if info.kind == crate::SourceKind::Folder {
            return Err(VideoError::NoTimes {
                path: info.source.clone(),
            });
        }
        let stated = info.rate_hz.map(|hz| 1.0 / hz);
        let path = info.source.clone();
        Ok(Self(Sampler::new(reader, &path, rate_hz, pace, stated)))
    }

    /// The reader underneath, for its properties and decode errors.
    pub fn reader(&self) -> &Reader {
        &self.0.items
    }

    /// Cuts in time so far: there is one take more.
    pub fn cuts(&self) -> usize {
        self.0.cuts
    }
}

/// Refuses rates that are none.
pub(crate) fn check_rate(rate_hz: f64) -> Result<(), VideoError> {
    if rate_hz > 0.0 && rate_hz <= MAX_HZ {
        return Ok(());
    }
    Err(VideoError::BadRate {
        rate_hz,
        range: "above 0 and up to 1000",
    })
}

impl Iterator for Resampled {
    type Item = Result<Item, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next()
    }
}

impl std::iter::FusedIterator for Resampled {}

/// Sample and hold over a source's items.
#[derive(Debug)]
struct Sampler<I> {
    items: I,
    path: Utf8PathBuf,
    rate_hz: f64,
    /// One step of the source, seconds; none of a source without times.
    step: f64,
    timed: bool,
    /// Longer steps are cuts, seconds.
    gap: f64,
    /// The next item's number.
    index: usize,
    /// Time of the first frame, from which milliseconds are counted.
    zero: f64,
    take: Option<Take>,
    next: Option<(f64, Frame)>,
    /// Why `next` does not belong to the take.
    cut: Option<&'static str>,
    /// Why frames between the take's latest and `next` were lost.
    loss: Option<String>,
    cuts: usize,
    ended: bool,
    done: bool,
}

/// Frames without a cut between them.
#[derive(Debug)]
struct Take {
    /// Time of the first frame, seconds.
    start: f64,
    /// Items so far.
    row: u64,
    /// The frame on display and its time, seconds.
    at: f64,
    frame: Frame,
}

impl Take {
    fn new(at: f64, frame: Frame) -> Self {
        Self {
            start: at,
            row: 0,
            at,
            frame,
        }
    }

    /// Seconds of the next item after the start.
    fn due(&self, rate_hz: f64) -> f64 {
        self.row as f64 / rate_hz
    }
}

impl<I: Iterator<Item = Result<Item, VideoError>>> Sampler<I> {
    fn new(
        items: I,
        path: &Utf8Path,
        rate_hz: f64,
        pace: Option<Pace>,
        stated_step: Option<f64>,
    ) -> Self {
        let longest = LONGEST_SECONDS.max(LONGEST_STEPS / rate_hz);
        let measured = pace.map(|pace| pace.step_millis() / 1e3);
        // A picture that is not held until the next is one item.
        let step = measured
            .or(stated_step)
            .filter(|step| *step <= longest)
            .unwrap_or(1.0 / rate_hz);
        Self {
            items,
            path: path.to_owned(),
            rate_hz,
            step,
            timed: pace.is_some(),
            gap: gap_seconds(step).min(longest),
            index: 0,
            zero: 0.0,
            take: None,
            next: None,
            cut: None,
            loss: None,
            cuts: 0,
            ended: false,
            done: false,
        }
    }

    /// Fills `next` with the next frame later than the one on display.
    fn fetch(&mut self) -> Result<(), VideoError> {
        while self.next.is_none() && !self.ended {
            match self.items.next().transpose()? {
                None => self.ended = true,
                Some(Item::Lost(lost)) => self.loss = Some(lost.reason),
                Some(Item::Frame(frame)) => {
                    let shown = self.take.as_ref().map(|take| take.at);
                    let at = match (frame.seconds.filter(|at| at.is_finite()), shown) {
                        (Some(at), _) => at,
                        (None, Some(from)) => from + self.step,
                        (None, None) if self.timed => 0.0,
                        (None, None) => {
                            return Err(VideoError::NoTimes {
                                path: self.path.clone(),
                            });
                        }
                    };
                    self.cut = match shown {
                        Some(from) if is_restart(from, at, self.step) => {
                            Some("the clock goes back")
                        }
                        Some(from) if is_longer(at - from, self.gap) => Some("a gap in time"),
                        _ => None,
                    };
                    if self.cut.is_some() || shown.is_none_or(|from| at > from) {
                        self.next = Some((at, frame));
                    }
                }
            }
        }
        Ok(())
    }

    fn item(&mut self) -> Result<Option<Item>, VideoError> {
        loop {
            self.fetch()?;
            let Some(take) = &mut self.take else {
                let Some((at, frame)) = self.next.take() else {
                    return Ok(None);
                };
                self.loss = None;
                self.zero = at;
                self.take = Some(Take::new(at, frame));
                continue;
            };
            let due = take.due(self.rate_hz);
            let (zero, due_millis) = (self.zero, milliseconds(due));
            let begun = milliseconds(take.start - zero);
            let since_start = move |at: f64| milliseconds(at - zero) - begun;
            // What a millisecond's rounding may add is no time to fill.
            let hold = (milliseconds(self.step) - 1.0).max(0.5);
            let held = due_millis < since_start(take.at) + hold;
            if self.cut.is_none() {
                let is_due = |(at, _): &mut (f64, Frame)| since_start(*at) <= due_millis;
                if let Some((at, frame)) = self.next.take_if(is_due) {
                    (take.at, take.frame) = (at, frame);
                    self.loss = None;
                    continue;
                }
            }
            let index = self.index;
            if !held {
                let Some(next) = &mut self.next else {
                    return Ok(None);
                };
                if let Some(reason) = self.cut.take() {
                    let (at, frame) = (next.0, next.1.clone());
                    self.next = None;
                    self.take = Some(Take::new(at, frame));
                    self.loss = None;
                    self.cuts += 1;
                    self.index += 1;
                    let reason = reason.to_owned();
                    return Ok(Some(Item::Lost(Lost { index, reason })));
                }
            }
            self.index += 1;
            take.row += 1;
            return Ok(Some(match &self.loss {
                Some(reason) if !held => Item::Lost(Lost {
                    index,
                    reason: reason.clone(),
                }),
                _ => Item::Frame(Frame {
                    index,
                    source_index: take.frame.source_index,
                    seconds: Some(take.start + due),
                    source_seconds: take.frame.source_seconds,
                    picture: take.frame.picture.clone(),
                }),
            }));
        }
    }
}

impl<I: Iterator<Item = Result<Item, VideoError>>> Iterator for Sampler<I> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, Picture, Size};
    use proptest::prelude::*;

    /// Items of a source whose frames have these times.
    fn items(times: &[Option<f64>]) -> Vec<Result<Item, VideoError>> {
        let frame = |(index, &seconds): (usize, &Option<f64>)| {
            Ok(Item::Frame(Frame {
                index,
                source_index: index,
                seconds,
                source_seconds: seconds,
                picture: Picture::new(Size::new(1, 1), Color::Grey, vec![0]).unwrap(),
            }))
        };
        times.iter().enumerate().map(frame).collect()
    }

    fn sampled(times: &[Option<f64>], rate_hz: f64) -> Vec<Item> {
        let known: Vec<f64> = times.iter().flatten().copied().collect();
        let pace = Pace::of(&known);
        let path = Utf8Path::new("v");
        Sampler::new(items(times).into_iter(), path, rate_hz, pace, None)
            .map(Result::unwrap)
            .collect()
    }

    fn at(times: &[f64], rate_hz: f64) -> Vec<Item> {
        let times: Vec<_> = times.iter().copied().map(Some).collect();
        sampled(&times, rate_hz)
    }

    /// For each item the source's frame; `None` for a cut.
    fn shows(items: &[Item]) -> Vec<Option<usize>> {
        let shown = |item: &Item| match item {
            Item::Frame(frame) => Some(frame.source_index),
            Item::Lost(_) => None,
        };
        items.iter().map(shown).collect()
    }

    /// Lengths of the takes.
    fn takes(items: &[Item]) -> Vec<usize> {
        let shown = shows(items);
        shown.split(Option::is_none).map(<[_]>::len).collect()
    }

    #[test]
    fn takes_of_recorders() {
        let steps = |from: f64, n: u32, step: f64| (0..n).map(move |i| from + f64::from(i) * step);
        // The clock is set in the middle.
        for jump in [1.7e9, 1e15, -1.7e9, 9.2e18] {
            let times: Vec<_> = steps(0.0, 40, 0.04).chain(steps(jump, 40, 0.04)).collect();
            let found = takes(&at(&times, 10.0));
            assert_eq!((found.len(), found[0]), (2, 16), "{jump}");
        }
        // One frame every two seconds.
        let slow: Vec<_> = steps(0.0, 40, 2.0).collect();
        assert_eq!(takes(&at(&slow, 10.0)), [800]);
        // Ten bursts of eight frames.
        let bursts: Vec<_> = (0..10)
            .flat_map(|b| steps(f64::from(b) * 61.6, 8, 0.2))
            .collect();
        assert_eq!(takes(&at(&bursts, 10.0)), [16; 10]);
        assert_eq!(takes(&at(&bursts, 5.0)), [8; 10]);
        // Short clips, each with a clock of its own.
        let clips: Vec<_> = (0..5).flat_map(|_| steps(0.0, 12, 0.04)).collect();
        assert_eq!(takes(&at(&clips, 25.0)), [12; 5]);
        // A single frame each hour.
        let hours: Vec<_> = steps(0.0, 30, 3600.0).collect();
        assert_eq!(at(&hours, 10.0).len(), 30 + 29);
    }

    #[test]
    fn first_frames_without_a_time_end_nothing() {
        let mut times = vec![None; 3];
        times.extend((0..20).map(|i| Some(5.0 + f64::from(i) * 0.1)));
        let found = takes(&sampled(&times, 10.0));
        assert_eq!(found, [3, 20]);
    }

    /// Steps as recorders leave them, in ticks of a millisecond or of any length.
    fn steps() -> impl Strategy<Value = Vec<i64>> {
        let step = prop_oneof![
            20 => 30..50i64,
            2 => Just(0i64),
            2 => 0..2000i64,
            1 => -3000..3000i64,
            1 => any::<i64>(),
            1 => prop::sample::select(vec![i64::MAX, i64::MIN, 60_000, 1_714_521_600_000]),
        ];
        prop::collection::vec(step, 1..60)
    }

    fn tick() -> impl Strategy<Value = f64> {
        prop::sample::select(vec![1e-9, 1.0 / 90_000.0, 1e-3, 0.04, 1.0, 1e6])
    }

    proptest! {
        #[test]
        fn items_are_bounded_by_frames_and_by_time_within_takes(
            steps in steps(),
            tick in tick(),
            gone in prop::collection::vec(prop::bool::weighted(0.1), 60),
            rate_hz in 0.5..20.0f64,
        ) {
            let mut clock = 0i64;
            let mut times = Vec::new();
            for (step, gone) in steps.iter().zip(&gone) {
                clock = clock.wrapping_add(*step);
                times.push((!gone).then_some(clock as f64 * tick));
            }
            let known: Vec<f64> = times.iter().flatten().copied().collect();
            let Some(pace) = Pace::of(&known) else { return Ok(()) };
            let path = Utf8Path::new("v");
            let make = |times: &[Option<f64>]| {
                Sampler::new(items(times).into_iter(), path, rate_hz, Some(pace), None)
            };
            let (gap, step) = { let s = make(&times); (s.gap, s.step) };
            // What is worked at, before anything is collected.
            let most = times.len() as f64 * ((gap + step + 0.1) * rate_hz + 2.0);
            prop_assert!((make(&times).take(most as usize + 2).count() as f64) <= most);
            let found: Vec<Item> = make(&times).map(Result::unwrap).collect();
            for (index, item) in found.iter().enumerate() {
                prop_assert_eq!(item.index(), index);
            }
            // Each take is as long as its frames are apart, and one step.
            let takes: Vec<&[Item]> = found.split(|item| matches!(item, Item::Lost(_))).collect();
            let firsts: Vec<usize> = takes.iter().map(|take| shows(take)[0].unwrap()).collect();
            let ends = firsts.iter().skip(1).copied().chain([times.len()]);
            for ((take, first), end) in takes.iter().zip(&firsts).zip(ends) {
                let frames: Vec<&Frame> = take.iter().filter_map(|item| match item {
                    Item::Frame(frame) => Some(frame),
                    Item::Lost(_) => None,
                }).collect();
                prop_assert!(!frames.is_empty());
                prop_assert!(frames.windows(2).all(|pair| pair[0].source_index <= pair[1].source_index));
                let shown: std::collections::BTreeSet<_> = frames.iter().map(|f| f.source_index).collect();
                let most = shown.len() as f64 * ((gap + step + 0.1) * rate_hz + 2.0);
                prop_assert!(frames.len() as f64 <= most);
                if times[*first..end].iter().all(Option::is_some) {
                    let times = times[*first..end].iter().flatten().copied();
                    let last = times.fold(f64::NEG_INFINITY, f64::max);
                    let real = last - frames[0].seconds.unwrap() + step;
                    // Times of aeons have no milliseconds.
                    let largest = known.iter().fold(0.0f64, |most, t| most.max(t.abs()));
                    let most = real.max(0.0) + 2e-3 + 8.0 * f64::EPSILON * largest;
                    prop_assert!(frames.len() as f64 <= most * rate_hz + 1.0, "{} in {real}", frames.len());
                }
            }
        }

        /// Matroska and flv store milliseconds, transport streams 1/90,000 s and not from zero.
        #[test]
        fn every_container_of_the_same_packets_gives_the_same_frames(
            rate in prop::sample::select(vec![(25, 1), (30, 1), (30_000, 1001), (24_000, 1001), (15, 1), (10, 1), (7, 1), (1, 2), (60, 1)]),
            steps in prop::collection::vec(prop_oneof![30 => Just(1u32), 3 => 2..6u32, 1 => 60..3000u32], 12..120),
            wanted in prop_oneof![Just(10.0), Just(5.0), Just(25.0), 0.5..40.0f64],
        ) {
            let (frames, per) = (f64::from(rate.0), f64::from(rate.1));
            let mut number = 0u32;
            let mut exact = vec![0.0];
            for step in &steps {
                number += step;
                exact.push(f64::from(number) * per / frames);
            }
            let millis: Vec<f64> = exact.iter().map(|t| (t * 1e3 + 1e-7).round() / 1e3).collect();
            let ts: Vec<f64> = exact.iter().map(|t| (126_000.0 + t * 9e4 + 1e-7).round() / 9e4).collect();
            let late: Vec<f64> = millis.iter().map(|t| t + 3600.0).collect();
            let own = at(&exact, wanted);
            for (other, name) in [(&millis, "ms"), (&ts, "ts"), (&late, "late")] {
                let found = at(other, wanted);
                prop_assert_eq!(shows(&found), shows(&own), "{}", name);
            }
        }
    }
}
