//! Decoding video files through FFmpeg.

use std::collections::VecDeque;

use camino::Utf8Path;
use ffmpeg_next::codec::Id;
use ffmpeg_next::codec::packet::side_data::Type as SideDataType;
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Error, Packet, decoder, frame};

use crate::container::{self, HeaderLength, Progress, ticks};
use crate::jpeg::{self, Judgement};
use crate::orientation::Orientation;
use crate::packet_tracker::{Missing, PacketTracker};
use crate::planes::Converter;
use crate::properties::{note_properties, turn};
use crate::reader::SourceState;
use crate::stream::{self, MAX_ERRORS_IN_A_ROW, is_moving, open_decoder, start_of};
use crate::{DecodeErrors, Frame, Info, Item, Levels, Lost, Options, Size, SourceKind, VideoError};

/// Seconds before a frame to seek to, tried in turn: a container without an index may lead to
/// after the last key frame.
const SEEK_SOONER: [f64; 3] = [0.0, 2.0, 10.0];

/// Seconds after which a frame is taken to come after a key frame that was passed over.
const SEEK_LATE: f64 = 1.0;

/// Distance of two frames, in mean steps so far, that is worth a note once there were so many.
const LONG_STEP: f64 = 2.5;
const FIRST_STEPS: f64 = 3.0;

/// The moment that counts as zero.
#[derive(Clone, Copy)]
struct Origin {
    /// Ticks of the video stream.
    ticks: i64,
    /// What it lies later than that, under a tick: another stream's clock may be finer. Seconds.
    rest: f64,
}

impl Origin {
    const fn at(ticks: i64) -> Self {
        Self { ticks, rest: 0.0 }
    }

    fn is_before(self, timestamp: i64) -> bool {
        self.ticks < timestamp || (self.ticks == timestamp && self.rest == 0.0)
    }

    /// The file's start in ticks of the video stream, which may start later.
    fn of(own: Option<i64>, file_seconds: Option<f64>, tick_seconds: f64) -> Option<Self> {
        let file = file_seconds.map(|seconds| {
            // The cast saturates.
            let start = (seconds / tick_seconds).floor() as i64;
            let rest = seconds - ticks(start) * tick_seconds;
            Self {
                ticks: start,
                rest: rest.clamp(0.0, tick_seconds),
            }
        });
        match (own, file) {
            // Its own start is exact.
            (Some(own), Some(file)) if file.ticks < own => Some(file),
            (Some(own), _) => Some(Self::at(own)),
            (None, file) => file,
        }
    }
}

/// Reads and decodes one video stream.
pub(crate) struct FileSource {
    input: Input,
    decoder: decoder::Video,
    stream: usize,
    /// Seconds a tick of the stream's timestamps takes.
    tick_seconds: f64,
    /// Each packet is a JPEG, or its two fields.
    is_motion_jpeg: bool,
    orientation: Orientation,
    target: Option<Size>,
    first_size: Option<Size>,
    converter: Converter,
    frame: frame::Video,
    tracker: PacketTracker,
    ready: VecDeque<Item>,
    index: usize,
    /// Frames before this timestamp are passed over, unconverted.
    goal: Option<i64>,
    origin: Option<Origin>,
    /// An edit list hides frames before this timestamp.
    shown_from: Option<i64>,
    /// The latest time given.
    latest: Option<f64>,
    /// A time was not later than the one before.
    went_back: bool,
    /// A time was much later than the one before.
    jumped: bool,
    /// Steps in time so far, and their sum in seconds.
    steps: (f64, f64),
    header: HeaderLength,
    progress: Progress,
    /// Earliest start of a stream, seconds.
    start_seconds: f64,
    read_errors: u32,
    decode_errors: u32,
    draining: bool,
    ended: bool,
}

impl std::fmt::Debug for FileSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSource")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl FileSource {
    pub(crate) fn open(
        path: &Utf8Path,
        options: &Options,
    ) -> Result<(SourceState, Self), VideoError> {
        let input = container::open(path)?;
        let stream = stream::best(&input, path)?;
        let decoder = open_decoder(path, &stream, options.threads)?;
        let rate_hz = container::hertz(stream.avg_frame_rate()).or(container::hertz(stream.rate()));
        let start_seconds = input
            .streams()
            .filter_map(|s| Some(ticks(start_of(&s)?) * f64::from(s.time_base())))
            .reduce(f64::min)
            .unwrap_or(0.0);
        let header = HeaderLength::of(&input, &stream, rate_hz, start_seconds);
        let mut info = Info {
            source: path.to_owned(),
            kind: SourceKind::File,
            size: Size::new(decoder.width(), decoder.height()),
            rate_hz,
            frames: header.frames(),
            codec: Some(stream.parameters().id().name().to_owned()),
            start_seconds: None,
            notes: Vec::new(),
        };
        let videos = input.streams().filter(is_moving).count();
        if videos > 1 {
            info.note(format!(
                "{videos} video streams: stream {} is read",
                stream.index()
            ));
        }
        let matrix = stream
            .side_data()
            .find(|data| data.kind() == SideDataType::DisplayMatrix);
        let orientation = matrix.map_or(Orientation::default(), |m| turn(m.data(), &mut info));
        let source = Self {
            decoder,
            stream: stream.index(),
            tick_seconds: f64::from(stream.time_base()),
            is_motion_jpeg: stream.parameters().id() == Id::MJPEG,
            orientation,
            target: options.size,
            first_size: None,
            converter: Converter::new(options.color, options.stretch),
            frame: frame::Video::empty(),
            tracker: PacketTracker::default(),
            ready: VecDeque::new(),
            index: 0,
            goal: None,
            shown_from: start_of(&stream).filter(|_| container::has_edit_lists(&input)),
            origin: Origin::of(
                start_of(&stream),
                stream::file_start(&input),
                f64::from(stream.time_base()),
            ),
            latest: None,
            went_back: false,
            jumped: false,
            steps: (0.0, 0.0),
            header,
            progress: Progress::default(),
            start_seconds,
            read_errors: 0,
            decode_errors: 0,
            draining: false,
            ended: false,
            input,
        };
        Ok((
            SourceState {
                info,
                errors: DecodeErrors::default(),
            },
            source,
        ))
    }

    pub(crate) fn levels(&self) -> &Levels {
        self.converter.levels()
    }

    pub(crate) fn next(&mut self, state: &mut SourceState) -> Result<Option<Item>, VideoError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.ended {
                return Ok(None);
            }
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => {
                    self.decode_errors = 0;
                    if !self.is_before_goal() {
                        self.present(state)?;
                    }
                }
                Err(Error::Eof) => self.end(state),
                Err(Error::Other { errno: EAGAIN }) if self.draining => self.end(state),
                Err(Error::Other { errno: EAGAIN }) => self.feed(state),
                Err(error) => {
                    self.fail(0, error, state);
                    if self.decode_errors > MAX_ERRORS_IN_A_ROW {
                        self.end(state);
                    }
                }
            }
        }
    }

    /// Decodes from the last key frame before a frame that an earlier reading found at `index`
    /// and `seconds`, up to that frame; `None` where that does not lead to it.
    pub(crate) fn seek(
        &mut self,
        index: usize,
        seconds: f64,
        state: &mut SourceState,
    ) -> Result<Option<Item>, VideoError> {
        let Some(goal) = self.ticks_at(seconds) else {
            return Ok(None);
        };
        let near = self.tick_seconds / 2.0;
        for sooner in SEEK_SOONER {
            if !self.go_to(goal, sooner, index) {
                continue;
            }
            if let Some(Item::Frame(frame)) = self.next(state)?
                && frame.index == index
                && frame.seconds.is_some_and(|at| (at - seconds).abs() < near)
            {
                return Ok(Some(Item::Frame(frame)));
            }
        }
        Ok(None)
    }

    /// A time of the file in ticks of the stream; none where frames have no times. Casts saturate: such
    /// a time is past the end.
    fn ticks_at(&self, seconds: f64) -> Option<i64> {
        let origin = self.origin?;
        let after = ((seconds + origin.rest) / self.tick_seconds).round() as i64;
        Some(origin.ticks.saturating_add(after))
    }

    /// Goes to the last key frame at `sooner` seconds before `goal` or earlier, from where on frames
    /// are decoded up to `goal`, which then counts as `index`. False where there is no way there.
    fn go_to(&mut self, goal: i64, sooner: f64, index: usize) -> bool {
        // FFmpeg seeks in microseconds; rounded down, a key frame's own time would be before it.
        let micros = ((ticks(goal) * self.tick_seconds - sooner) * 1e6).ceil() as i64;
        if self.input.seek(micros, ..micros).is_err() {
            return false;
        }
        self.decoder.flush();
        self.tracker = PacketTracker::in_the_middle();
        self.ready.clear();
        self.index = index;
        self.goal = Some(goal);
        self.latest = None;
        self.draining = false;
        self.ended = false;
        true
    }

    /// Decodes from the last key frame before a time up to the first frame at it or later: that
    /// frame, or none past the end; `None` where there is no way there.
    pub(crate) fn seek_time(
        &mut self,
        seconds: f64,
        state: &mut SourceState,
    ) -> Result<Option<Option<Item>>, VideoError> {
        let Some(goal) = self.ticks_at(seconds) else {
            return Ok(None);
        };
        let mut reached = None;
        for sooner in SEEK_SOONER {
            if !self.go_to(goal, sooner, 0) {
                continue;
            }
            let item = loop {
                match self.next(state)? {
                    Some(Item::Lost(_)) => {}
                    item => break item,
                }
            };
            let late = match &item {
                Some(Item::Frame(frame)) => {
                    let late = frame.seconds.map(|at| at - seconds);
                    late.is_none_or(|late| late > SEEK_LATE)
                }
                _ => true,
            };
            reached = Some(item);
            if !late {
                break;
            }
        }
        Ok(reached)
    }

    /// Whether the decoder's new frame comes before the one that is sought.
    fn is_before_goal(&mut self) -> bool {
        let timestamp = self.frame.timestamp();
        let before = self.goal.zip(timestamp).is_some_and(|(goal, at)| at < goal);
        if before {
            let _ = self.tracker.presented(timestamp);
        } else {
            self.goal = None;
        }
        before
    }

    /// Gives the decoder its next packet, or tells it that there is none.
    fn feed(&mut self, state: &mut SourceState) {
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => self.read_errors = 0,
                Err(Error::Eof) => return self.drain(),
                Err(error) => {
                    state.errors.reason(format!("reading the file: {error}"));
                    self.read_errors += 1;
                    // A demuxer finds its way again after bad data, after others it does not.
                    if error != Error::InvalidData || self.read_errors > MAX_ERRORS_IN_A_ROW {
                        return self.drain();
                    }
                    continue;
                }
            }
            self.advance(&packet);
            if packet.stream() != self.stream {
                continue;
            }
            if packet.is_corrupt() {
                state
                    .errors
                    .reason("the container marks packets as damaged");
            }
            if packet.size() == 0 {
                // The decoder would take it for the end of the stream.
                state
                    .info
                    .note("empty packets, for frames that repeat, are passed over");
                continue;
            }
            let bytes = u64::try_from(packet.size()).unwrap_or(u64::MAX);
            let timestamp = packet.pts().or(packet.dts());
            let hidden = timestamp
                .zip(self.shown_from)
                .is_some_and(|(at, from)| at < from);
            // The time of decoding is not that of a frame.
            let silent = hidden || packet.pts().is_none();
            self.tracker.sent(timestamp, bytes, silent);
            if let Err(fault) = self.judge(&packet, state) {
                self.fail(bytes, fault, state);
                continue;
            }
            if let Err(error) = self.decoder.send_packet(&packet) {
                self.fail(bytes, error, state);
            }
            self.decode_errors = 0;
            return;
        }
    }

    /// Looks into a packet whose decoder makes up what is missing and does not say so.
    fn judge(&self, packet: &Packet, state: &mut SourceState) -> Result<(), jpeg::Fault> {
        let jpeg = packet.data().filter(|_| self.is_motion_jpeg);
        if let Some(bytes) = jpeg
            && jpeg::inspect_fields(bytes)?.judgement == Judgement::Excess
        {
            if state.errors.damaged == 0 {
                let reason = format!(
                    "more data than frame {} has room for, so it is damaged",
                    self.index
                );
                state.errors.reason(reason);
            }
            state.errors.damaged += 1;
        }
        Ok(())
    }

    /// Notes how far a packet takes the reading.
    fn advance(&mut self, packet: &Packet) {
        let ours = packet.stream() == self.stream;
        self.progress.packets += u64::from(ours);
        let Some(stream) = self.input.stream(packet.stream()) else {
            return;
        };
        let Some(timestamp) = packet.pts().or(packet.dts()) else {
            return;
        };
        let end = ticks(timestamp.saturating_add(packet.duration().max(0)));
        let tick_seconds = f64::from(stream.time_base());
        let seconds = end * tick_seconds - self.start_seconds;
        self.progress.seconds = self.progress.seconds.max(seconds);
        if ours {
            let seconds = (end - ticks(start_of(&stream).unwrap_or(0))) * tick_seconds;
            self.progress.stream_seconds = self.progress.stream_seconds.max(seconds);
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        self.decode_errors = 0;
        // Where the decoder refuses, it has nothing to give: its next answer ends the loop.
        let _ = self.decoder.send_eof();
    }

    /// A packet could not be decoded; the tracker finds out which frame that costs.
    fn fail(&mut self, bytes: u64, error: impl std::error::Error, state: &mut SourceState) {
        let reason = format!("decoding near frame {}: {error}", self.index);
        state.errors.reason(reason.clone());
        self.tracker.failed(bytes, reason);
        self.decode_errors += 1;
    }

    /// Queues what was lost before the decoder's new frame, and the frame.
    fn present(&mut self, state: &mut SourceState) -> Result<(), VideoError> {
        let timestamp = self.frame.timestamp();
        let missing = self.tracker.presented(timestamp);
        self.lose(missing, state);
        let index = self.index;
        self.index += 1;
        if self.frame.is_corrupt() || self.frame.has_decode_errors() {
            if state.errors.damaged == 0 {
                state
                    .errors
                    .reason(format!("damaged, partly made up frames from {index} on"));
            }
            state.errors.damaged += 1;
        }
        let info = &mut state.info;
        let seconds = self.seconds(timestamp, index, info);
        let orientation = match self.frame.side_data(frame::side_data::Type::DisplayMatrix) {
            Some(matrix) => turn(matrix.data(), info),
            None => self.orientation,
        };
        note_properties(&self.frame, info);
        let stored = Size::new(self.frame.width(), self.frame.height());
        let size = if orientation.transpose {
            stored.transposed()
        } else {
            stored
        };
        let first = *self.first_size.get_or_insert_with(|| {
            info.size = size;
            size
        });
        if size != first {
            info.note_sizes(first);
        }
        let target = self.target.unwrap_or(first);
        let picture = self
            .converter
            .convert(&mut self.frame, orientation, target)?;
        self.ready.push_back(Item::Frame(Frame {
            index,
            source_index: index,
            seconds,
            source_seconds: seconds,
            picture,
        }));
        Ok(())
    }

    /// A timestamp in seconds since the file's start.
    fn seconds(&mut self, timestamp: Option<i64>, index: usize, info: &mut Info) -> Option<f64> {
        let Some(timestamp) = timestamp else {
            info.note("the stream has frames without timestamps: their times are unknown");
            return None;
        };
        let first = self.latest.is_none();
        // A start after the first frame is none.
        let origin = match self.origin {
            Some(origin) if !first || origin.is_before(timestamp) => origin,
            _ => *self.origin.insert(Origin::at(timestamp)),
        };
        if first {
            info.start_seconds = Some(ticks(origin.ticks) * self.tick_seconds + origin.rest);
        }
        let ticks_after = ticks(timestamp.saturating_sub(origin.ticks));
        let seconds = ticks_after * self.tick_seconds - origin.rest;
        if let Some(step) = self.latest.map(|latest| seconds - latest) {
            if step <= 0.0 && !self.went_back {
                self.went_back = true;
                info.note(format!("times do not always grow, first at frame {index}"));
            }
            let (steps, sum) = self.steps;
            if steps >= FIRST_STEPS && step * steps > LONG_STEP * sum && !self.jumped {
                self.jumped = true;
                info.note(format!(
                    "times jump, first by {step:.3} s before frame {index}"
                ));
            }
            self.steps = (steps + 1.0, sum + step.max(0.0));
        }
        self.latest = Some(seconds);
        Some(seconds)
    }

    fn lose(&mut self, missing: Missing, state: &mut SourceState) {
        if missing.frames > 0 {
            state.errors.reason(missing.reason.clone());
        }
        state.errors.lost += missing.frames;
        state.errors.bytes += missing.bytes;
        for _ in 0..missing.frames {
            let reason = missing.reason.clone();
            self.ready.push_back(Item::Lost(Lost {
                index: self.index,
                reason,
            }));
            self.index += 1;
        }
    }

    /// Accounts for what is missing at the end.
    fn end(&mut self, state: &mut SourceState) {
        self.ended = true;
        let missing = self.tracker.ended();
        self.lose(missing, state);
        if let Some(note) = self.levels().note() {
            state.info.note(note);
        }
        if let Some((frames, reason)) = self.header.missing(&self.progress) {
            state.errors.missing = frames;
            state.errors.reason(reason);
        }
    }
}
