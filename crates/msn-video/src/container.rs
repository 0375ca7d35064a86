//! Containers: opening them, and what their headers header.

use std::sync::Once;

use camino::Utf8Path;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Dictionary, Error, Rational, Stream, format};

use crate::VideoError;

/// Demuxers that may open a file. Playlists and the like, which name other files or addresses,
/// and text that FFmpeg would draw, are left out.
const FORMATS: &str = "avi,mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,ivf,\
    yuv4mpegpipe,dv,h264,hevc,m4v,mjpeg,jpeg_pipe,obu,av1,nut,rm,wtv,gif,h261,h263,vc1,vc1test,dirac,\
    gxf,nsv,pva,mjpeg_2000,cavsvideo,dhav";

/// Containers whose header states their duration; other durations are FFmpeg's estimates.
const FORMATS_WITH_DURATION: [&str; 4] = ["matroska", "mov", "flv", "asf"];

/// Whether a container may hide frames from being shown.
pub(crate) fn has_edit_lists(input: &Input) -> bool {
    input.format().name().split(',').any(|name| name == "mov")
}

/// FFmpeg writes to stderr on its own; all that matters comes back as errors.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
        // Gives errors their texts; what it could fail at is not built in.
        let _ = ffmpeg_next::init();
    });
}

/// Opens a file's container; nothing but the file is ever opened by it.
pub(crate) fn open(path: &Utf8Path) -> Result<Input, VideoError> {
    quiet();
    let mut settings = Dictionary::new();
    settings.set("protocol_whitelist", "file");
    settings.set("format_whitelist", FORMATS);
    // With its protocol named, a path with a colon is a path.
    format::input_with_dictionary(&format!("file:{path}"), settings).map_err(|error| {
        let reason = match error {
            Error::Other { errno } if errno == ffmpeg_next::error::EINVAL => {
                "its format is none of those read (avi, mp4, mov, mkv, webm, ts, ...)".to_owned()
            }
            error => error.to_string(),
        };
        VideoError::NotAVideo {
            path: path.to_owned(),
            reason,
        }
    })
}

/// What a header says of the length of a video stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HeaderLength {
    /// Frames, where it counts them.
    frames: Option<u64>,
    /// Length of the video stream, seconds.
    stream_seconds: Option<f64>,
    /// Length of the longest stream, seconds, where the header itself states it.
    header_seconds: Option<f64>,
    /// Mean frames a second.
    rate_hz: Option<f64>,
    /// Earliest start of a stream, seconds.
    start_seconds: f64,
}

/// How far reading came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Progress {
    /// Packets of the video stream.
    pub packets: u64,
    /// End of its last packet, seconds after its start.
    pub stream_seconds: f64,
    /// End of the last packet of any stream, seconds after the earliest start.
    pub seconds: f64,
}

impl Progress {
    /// Mean frames a second of what was read; as stated, where that is about the same.
    fn rate_near(&self, stated_hz: Option<f64>) -> Option<f64> {
        let own = (self.stream_seconds > 0.0).then(|| self.packets as f64 / self.stream_seconds);
        match (stated_hz, own) {
            (Some(stated), Some(own)) if (stated / own - 1.0).abs() > 0.1 => Some(own),
            (stated, own) => stated.or(own),
        }
    }
}

impl HeaderLength {
    pub(crate) fn of(
        input: &Input,
        stream: &Stream<'_>,
        rate_hz: Option<f64>,
        start_seconds: f64,
    ) -> Self {
        let states_duration = input
            .format()
            .name()
            .split(',')
            .any(|name| FORMATS_WITH_DURATION.contains(&name));
        let whole = seconds(
            input.duration(),
            Rational::new(1, ffmpeg_next::ffi::AV_TIME_BASE),
        );
        Self {
            frames: u64::try_from(stream.frames())
                .ok()
                .filter(|&frames| frames > 0),
            stream_seconds: seconds(stream.duration(), stream.time_base()),
            header_seconds: whole.filter(|_| states_duration),
            rate_hz,
            start_seconds,
        }
    }

    /// The stated length from the start on. Many writers state the last moment instead, counted from
    /// zero: a segment of a longer recording starts late and ends after its length by that count.
    fn length_seconds(&self) -> Option<f64> {
        let stated = self.header_seconds?;
        let from_start = stated - self.start_seconds;
        let is_moment = self.start_seconds > 0.0 && from_start > 0.0;
        Some(if is_moment { from_start } else { stated })
    }

    /// How many frames to expect: the smaller of the count and the length times the rate, since
    /// an edit list shortens the length alone.
    pub(crate) fn frames(&self) -> Option<usize> {
        let seconds = self.stream_seconds.or(self.length_seconds());
        let timed = seconds
            .zip(self.rate_hz)
            .map(|(seconds, hz)| frames(seconds * hz));
        let counted = self.frames;
        usize::try_from(timed.into_iter().chain(counted).min()?).ok()
    }

    /// Frames promised after the last one read, with the reason in words.
    ///
    /// A count alone proves nothing, for edit lists hide frames: there must be time for them at
    /// the end as well.
    pub(crate) fn missing(&self, read: &Progress) -> Option<(usize, String)> {
        let hz = read.rate_near(self.rate_hz)?;
        if let Some((promised, length)) = self.frames.zip(self.stream_seconds) {
            let absent = promised.saturating_sub(read.packets);
            let due = absent > 0 && frames((length - read.stream_seconds) * hz) > 0;
            return due.then(|| {
                let reason = format!(
                    "the file ends after {} of the {promised} frames that its header announces",
                    read.packets
                );
                (usize::try_from(absent).unwrap_or(usize::MAX), reason)
            });
        }
        let length = self.length_seconds()?;
        let absent = length - read.seconds;
        // Headers are often some frames off.
        (absent > 1.0).then(|| {
            let reason = format!(
                "the file ends after {:.1} of the {length:.1} s that its header announces",
                read.seconds
            );
            (
                usize::try_from(frames(absent * hz)).unwrap_or(usize::MAX),
                reason,
            )
        })
    }
}

/// A number of frames, rounded; the cast saturates, below zero at zero.
fn frames(count: f64) -> u64 {
    (count + 0.5) as u64
}

/// A positive rate, or nothing.
pub(crate) fn hertz(rate: Rational) -> Option<f64> {
    (rate.numerator() > 0 && rate.denominator() > 0).then(|| f64::from(rate))
}

/// A positive duration in seconds, or nothing.
fn seconds(duration: i64, tick: Rational) -> Option<f64> {
    (duration > 0).then(|| ticks(duration) * f64::from(tick))
}

/// Ticks as a float; exact below 2^53.
pub(crate) fn ticks(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(frames: Option<u64>, stream: Option<f64>, header: Option<f64>) -> HeaderLength {
        HeaderLength {
            frames,
            stream_seconds: stream,
            header_seconds: header,
            rate_hz: Some(10.0),
            start_seconds: 0.0,
        }
    }

    fn read(packets: u64, stream_seconds: f64, seconds: f64) -> Progress {
        Progress {
            packets,
            stream_seconds,
            seconds,
        }
    }

    #[test]
    fn a_whole_file_misses_nothing() {
        assert_eq!(
            header(Some(50), Some(5.0), None).missing(&read(50, 5.0, 5.0)),
            None
        );
        assert_eq!(
            header(None, None, Some(5.5)).missing(&read(50, 5.0, 5.0)),
            None
        );
    }

    #[test]
    fn a_cut_file_misses_its_end() {
        let missing = |header: HeaderLength, read| header.missing(&read).map(|(frames, _)| frames);
        assert_eq!(
            missing(header(Some(50), Some(5.0), None), read(20, 2.0, 2.0)),
            Some(30)
        );
        assert_eq!(
            missing(header(None, None, Some(5.0)), read(20, 2.0, 2.0)),
            Some(30)
        );
        // Sound goes on to the end: the picture just stops sooner.
        assert_eq!(
            missing(header(None, None, Some(5.0)), read(20, 2.0, 5.0)),
            None
        );
    }

    #[test]
    fn segments_of_a_longer_recording_are_measured_from_their_start() {
        let segment = |start_seconds, stated| HeaderLength {
            start_seconds,
            ..header(None, None, Some(stated))
        };
        // The last moment, as FFmpeg writes it; the length, as mkvmerge does.
        for stated in [6.5, 3.2] {
            assert_eq!(segment(3.3, stated).missing(&read(32, 3.2, 3.2)), None);
            assert_eq!(segment(3.3, stated).frames(), Some(32));
        }
        let (frames, reason) = segment(3.3, 6.5).missing(&read(10, 1.0, 1.0)).unwrap();
        assert_eq!(frames, 22);
        assert!(reason.contains("1.0 of the 3.2 s"), "{reason}");
    }

    #[test]
    fn what_is_missing_is_counted_at_the_pace_of_what_was_read() {
        let (frames, _) = header(None, None, Some(100.0))
            .missing(&read(20, 40.0, 40.0))
            .unwrap();
        assert_eq!(frames, 30);
    }

    #[test]
    fn frames_hidden_by_an_edit_list_are_not_missing() {
        assert_eq!(
            header(Some(60), Some(3.0), None).missing(&read(30, 3.0, 3.0)),
            None
        );
        assert_eq!(header(Some(60), Some(3.0), None).frames(), Some(30));
    }

    #[test]
    fn absurd_headers_saturate() {
        let absurd = header(Some(u64::MAX), Some(1e300), Some(1e300));
        assert!(absurd.frames().is_some());
        assert!(absurd.missing(&read(1, 0.1, 0.1)).is_some());
        assert_eq!(header(None, Some(f64::NAN), None).frames(), Some(0));
    }
}
