//! Which frames a decoder did not deliver.
//!
//! A decoder reports that something failed, but with several threads and reordering not which
//! frame. Packets and frames carry the same timestamps, and frames come out in their order: so
//! the frames that never came are those whose packet went in and whose time was passed over.
//! Packets without a picture of their own (hidden frames, skipped leading ones) are passed over
//! too; therefore only as many are called lost as the decoder reported failures.
//!
//! A recording that begins between two key frames is the exception: a decoder takes packets in
//! silence until it has a key frame. So packets that went in before that of the first picture, and
//! come before it in time, are lost whether a failure was reported or not, unless an edit list
//! hides them.

use std::collections::BTreeMap;

/// Frames that a failure waits for its gap in the timestamps; longer than any reordering with
/// any number of threads.
const PATIENCE: u32 = 64;

/// Why frames before the first picture are lost, where the decoder does not say.
const NO_KEY_FRAME: &str = "nothing can be decoded before the first key frame";

/// Packets that wait for their frame, under one timestamp.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    bytes: u64,
    /// Which packet it is, in the file's order.
    number: u64,
    silent: bool,
}

/// Packets that went in, by timestamp, and failures not yet placed.
#[derive(Debug, Default)]
pub(crate) struct PacketTracker {
    waiting: BTreeMap<i64, Waiting>,
    packets: u64,
    /// A packet with a timestamp was seen.
    timed: bool,
    /// A frame came out, or reading did not begin at the start.
    begun: bool,
    failures: usize,
    failed_bytes: u64,
    age: u32,
    reason: String,
}

/// Frames found lost just before a frame, or at the end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    pub frames: usize,
    pub bytes: u64,
    pub reason: String,
}

impl PacketTracker {
    /// For a reading that begins somewhere in a file.
    pub(crate) fn in_the_middle() -> Self {
        Self {
            begun: true,
            ..Self::default()
        }
    }

    /// A packet of `bytes` went into the decoder. It is `silent` where no frame may come of it under
    /// this timestamp, and that is no loss.
    pub(crate) fn sent(&mut self, timestamp: Option<i64>, bytes: u64, silent: bool) {
        self.packets += 1;
        if let Some(timestamp) = timestamp {
            self.timed = true;
            let packet = self.waiting.entry(timestamp).or_default();
            packet.bytes = packet.bytes.saturating_add(bytes);
            (packet.number, packet.silent) = (self.packets, silent);
        }
    }

    /// The decoder reported a failure, on a packet of `bytes` where it is known which.
    pub(crate) fn failed(&mut self, bytes: u64, reason: String) {
        self.failures = self.failures.saturating_add(1);
        self.failed_bytes = self.failed_bytes.saturating_add(bytes);
        self.age = 0;
        self.reason = reason;
    }

    /// A frame came out: what is lost before it.
    pub(crate) fn presented(&mut self, timestamp: Option<i64>) -> Missing {
        if !self.timed {
            return self.untimed();
        }
        let Some(timestamp) = timestamp else {
            return Missing::default();
        };
        let later = self.waiting.split_off(&timestamp);
        let passed = std::mem::replace(&mut self.waiting, later);
        let own = self.waiting.remove(&timestamp);
        let begun = std::mem::replace(&mut self.begun, true);
        let unkeyed = |packet: &&Waiting| {
            !begun && !packet.silent && own.is_some_and(|own| packet.number < own.number)
        };
        let unkeyed = passed.values().filter(unkeyed).count();
        let missing = self.assign(passed, unkeyed);
        self.age += 1;
        if self.failures > 0 && self.age > PATIENCE {
            // The failure cost no frame, or a damaged one came out all the same.
            self.forget();
        }
        missing
    }

    /// The decoder is empty: what is lost after the last frame.
    pub(crate) fn ended(&mut self) -> Missing {
        if !self.timed {
            return self.untimed();
        }
        let passed = std::mem::take(&mut self.waiting);
        let missing = self.assign(passed, 0);
        self.forget();
        missing
    }

    /// Without timestamps a loss is placed where it was reported.
    fn untimed(&mut self) -> Missing {
        let missing = Missing {
            frames: self.failures,
            bytes: self.failed_bytes,
            reason: self.reason.clone(),
        };
        self.forget();
        missing
    }

    /// Takes failures for the packets that were passed over, at least `certain` of which are lost.
    fn assign(&mut self, passed: BTreeMap<i64, Waiting>, certain: usize) -> Missing {
        let reported = self.failures.min(passed.len());
        let frames = reported.max(certain);
        if frames == 0 {
            return Missing::default();
        }
        self.failures -= reported;
        Missing {
            frames,
            bytes: passed
                .values()
                .take(frames)
                .map(|packet| packet.bytes)
                .sum(),
            reason: match reported {
                0 => NO_KEY_FRAME.to_owned(),
                _ => self.reason.clone(),
            },
        }
    }

    fn forget(&mut self) {
        self.failures = 0;
        self.failed_bytes = 0;
        self.age = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_loss_is_placed_by_time_though_reported_late() {
        let mut tracker = PacketTracker::default();
        for t in 0..6 {
            tracker.sent(Some(t), 10, false);
        }
        assert_eq!(tracker.presented(Some(0)).frames, 0);
        tracker.failed(0, "broken".into());
        assert_eq!(tracker.presented(Some(1)).frames, 0);
        assert_eq!(tracker.presented(Some(2)).frames, 0);
        let missing = tracker.presented(Some(4));
        assert_eq!(
            missing,
            Missing {
                frames: 1,
                bytes: 10,
                reason: "broken".into()
            }
        );
        assert_eq!(tracker.presented(Some(5)).frames, 0);
        assert_eq!(tracker.ended().frames, 0);
    }

    #[test]
    fn hidden_packets_are_not_lost() {
        let mut tracker = PacketTracker::default();
        for t in 0..5 {
            tracker.sent(Some(t), 10, t < 2);
        }
        assert_eq!(tracker.presented(Some(2)).frames, 0);
        assert_eq!(tracker.ended().frames, 0);
        // Leading pictures, which follow their key frame, and a seek.
        for (mut tracker, order) in [
            (PacketTracker::default(), [2, 0, 1, 3]),
            (PacketTracker::in_the_middle(), [0, 1, 2, 3]),
        ] {
            for t in order {
                tracker.sent(Some(t), 10, false);
            }
            assert_eq!(tracker.presented(Some(2)).frames, 0);
            assert_eq!(tracker.presented(Some(3)).frames, 0);
        }
    }

    #[test]
    fn what_comes_before_the_first_key_frame_is_lost() {
        for failures in [0, 1, 3] {
            let mut tracker = PacketTracker::default();
            for t in 0..6 {
                tracker.sent(Some(t), 10, false);
            }
            for _ in 0..failures {
                tracker.failed(10, "broken".into());
            }
            let missing = tracker.presented(Some(3));
            assert_eq!((missing.frames, missing.bytes), (3, 30), "{failures}");
            let reason = if failures == 0 {
                NO_KEY_FRAME
            } else {
                "broken"
            };
            assert_eq!(missing.reason, reason);
            assert_eq!(tracker.presented(Some(5)).frames, 0);
        }
    }

    #[test]
    fn without_timestamps_failures_count_at_once() {
        let mut tracker = PacketTracker::default();
        tracker.sent(None, 7, false);
        tracker.failed(7, "x".into());
        let missing = tracker.presented(None);
        assert_eq!((missing.frames, missing.bytes), (1, 7));
        tracker.failed(3, "y".into());
        assert_eq!(tracker.ended().frames, 1);
    }

    proptest! {
        #[test]
        fn never_more_lost_than_failed_or_sent(
            kept in prop::collection::vec(any::<bool>(), 1..60),
            failures in 0..80usize,
        ) {
            let mut tracker = PacketTracker::in_the_middle();
            for _ in 0..failures {
                tracker.failed(0, String::new());
            }
            for (t, _) in kept.iter().enumerate() {
                tracker.sent(Some(i64::try_from(t).unwrap()), 1, false);
            }
            let mut lost = 0;
            for (t, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
                lost += tracker.presented(Some(i64::try_from(t).unwrap())).frames;
            }
            lost += tracker.ended().frames;
            let gone = kept.iter().filter(|kept| !**kept).count();
            prop_assert_eq!(lost, failures.min(gone));
        }
    }
}
