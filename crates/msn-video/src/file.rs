//! Decoding video files through FFmpeg.

use std::collections::VecDeque;
use std::sync::Once;

use camino::Utf8Path;
use ffmpeg_next::codec::packet::side_data::Type as SideDataType;
use ffmpeg_next::error::EAGAIN;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Dictionary, Error, Packet, Stream, codec, decoder, frame, media};

use crate::container::{self, Progress, Promise, ticks};
use crate::ledger::{Ledger, Missing};
use crate::orientation::Orientation;
use crate::planes::Converter;
use crate::reader::Account;
use crate::{Frame, Info, Item, Losses, Lost, Options, Size, SourceKind, VideoError};

/// Pixels of the largest frame that is decoded: a square of 8192.
const MAX_PIXELS: &str = "67108864";

/// Errors in a row, without progress through the file, after which it counts as ended.
const MAX_ERRORS_IN_A_ROW: u32 = 4096;

/// Seconds before a frame to seek to, tried in turn: a container without an index may lead to
/// after the last key frame.
const SEEK_SOONER: [f64; 3] = [0.0, 2.0, 10.0];

/// Distance of two frames, in frames of the mean rate, that is worth a note.
const LONG_STEP: f64 = 2.5;

/// FFmpeg writes to stderr on its own; all that matters comes back as errors.
pub(crate) fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
        // Gives errors their texts; what it could fail at is not built in.
        let _ = ffmpeg_next::init();
    });
}

/// Reads and decodes one video stream.
pub(crate) struct FileSource {
    input: Input,
    decoder: decoder::Video,
    stream: usize,
    /// Seconds a tick of the stream's timestamps takes.
    tick_seconds: f64,
    orientation: Orientation,
    target: Option<Size>,
    first_size: Option<Size>,
    converter: Converter,
    frame: frame::Video,
    ledger: Ledger,
    ready: VecDeque<Item>,
    index: usize,
    /// Frames before this timestamp are passed over, unconverted.
    goal: Option<i64>,
    /// Timestamp that counts as zero.
    origin: Option<i64>,
    /// The latest time handed out.
    latest: Option<f64>,
    /// A time was not later than the one before.
    went_back: bool,
    /// A time was much later than the one before.
    jumped: bool,
    promise: Promise,
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
    pub(crate) fn open(path: &Utf8Path, options: &Options) -> Result<(Account, Self), VideoError> {
        quiet();
        let input = container::open(path)?;
        let stream = match input.streams().best(media::Type::Video) {
            Some(stream) if is_moving(&stream) => stream,
            _ => {
                let streams = input.streams().count();
                return Err(VideoError::NoVideoStream {
                    path: path.to_owned(),
                    streams,
                });
            }
        };
        let decoder = open_decoder(path, &stream, options.threads)?;
        let rate_hz = container::hertz(stream.avg_frame_rate()).or(container::hertz(stream.rate()));
        let promise = Promise::of(&input, &stream, rate_hz);
        let mut info = Info {
            source: path.to_owned(),
            kind: SourceKind::File,
            size: Size::new(decoder.width(), decoder.height()),
            rate_hz,
            frames: promise.frames(),
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
        let start_seconds = input
            .streams()
            .filter_map(|s| Some(ticks(start_of(&s)?) * f64::from(s.time_base())))
            .reduce(f64::min)
            .unwrap_or(0.0);
        let source = Self {
            decoder,
            stream: stream.index(),
            tick_seconds: f64::from(stream.time_base()),
            orientation,
            target: options.size,
            first_size: None,
            converter: Converter::new(options.color),
            frame: frame::Video::empty(),
            ledger: Ledger::default(),
            ready: VecDeque::new(),
            index: 0,
            goal: None,
            origin: start_of(&stream),
            latest: None,
            went_back: false,
            jumped: false,
            promise,
            progress: Progress::default(),
            start_seconds,
            read_errors: 0,
            decode_errors: 0,
            draining: false,
            ended: false,
            input,
        };
        Ok((
            Account {
                info,
                losses: Losses::default(),
            },
            source,
        ))
    }

    pub(crate) fn next(&mut self, account: &mut Account) -> Result<Option<Item>, VideoError> {
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
                        self.present(account)?;
                    }
                }
                Err(Error::Eof) => self.end(account),
                Err(Error::Other { errno: EAGAIN }) if self.draining => self.end(account),
                Err(Error::Other { errno: EAGAIN }) => self.feed(account),
                Err(error) => {
                    self.fail(0, error, account);
                    if self.decode_errors > MAX_ERRORS_IN_A_ROW {
                        self.end(account);
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
        account: &mut Account,
    ) -> Result<Option<Item>, VideoError> {
        let Some(origin) = self.origin else {
            return Ok(None);
        };
        // Casts saturate: such a time is not found.
        let goal = origin.saturating_add((seconds / self.tick_seconds).round() as i64);
        let near = self.tick_seconds / 2.0;
        for sooner in SEEK_SOONER {
            // FFmpeg seeks in microseconds; rounded down, a key frame's own time would be before it.
            let micros = ((ticks(goal) * self.tick_seconds - sooner) * 1e6).ceil() as i64;
            if self.input.seek(micros, ..micros).is_err() {
                continue;
            }
            self.decoder.flush();
            self.ledger = Ledger::default();
            self.ready.clear();
            self.index = index;
            self.goal = Some(goal);
            self.latest = None;
            self.draining = false;
            self.ended = false;
            if let Some(Item::Frame(frame)) = self.next(account)?
                && frame.index == index
                && frame.seconds.is_some_and(|at| (at - seconds).abs() < near)
            {
                return Ok(Some(Item::Frame(frame)));
            }
        }
        Ok(None)
    }

    /// Whether the decoder's new frame comes before the one that is sought.
    fn is_before_goal(&mut self) -> bool {
        let timestamp = self.frame.timestamp();
        let before = self.goal.zip(timestamp).is_some_and(|(goal, at)| at < goal);
        if before {
            let _ = self.ledger.presented(timestamp);
        } else {
            self.goal = None;
        }
        before
    }

    /// Gives the decoder its next packet, or tells it that there is none.
    fn feed(&mut self, account: &mut Account) {
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) => self.read_errors = 0,
                Err(Error::Eof) => return self.drain(),
                Err(error) => {
                    account.losses.reason(format!("reading the file: {error}"));
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
                account
                    .losses
                    .reason("the container marks packets as damaged");
            }
            if packet.size() == 0 {
                // The decoder would take it for the end of the stream.
                account
                    .info
                    .note("empty packets, for frames that repeat, are passed over");
                continue;
            }
            let bytes = u64::try_from(packet.size()).unwrap_or(u64::MAX);
            self.ledger.sent(packet.pts().or(packet.dts()), bytes);
            if let Err(error) = self.decoder.send_packet(&packet) {
                self.fail(bytes, error, account);
            }
            self.decode_errors = 0;
            return;
        }
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

    /// A packet could not be decoded; which frame that costs, the ledger finds out.
    fn fail(&mut self, bytes: u64, error: Error, account: &mut Account) {
        let reason = format!("decoding near frame {}: {error}", self.index);
        account.losses.reason(reason.clone());
        self.ledger.failed(bytes, reason);
        self.decode_errors += 1;
    }

    /// Queues what was lost before the decoder's new frame, and the frame.
    fn present(&mut self, account: &mut Account) -> Result<(), VideoError> {
        let timestamp = self.frame.timestamp();
        let missing = self.ledger.presented(timestamp);
        self.lose(missing, account);
        let index = self.index;
        self.index += 1;
        if self.frame.is_corrupt() || self.frame.has_decode_errors() {
            if account.losses.damaged == 0 {
                account
                    .losses
                    .reason(format!("damaged, partly made up frames from {index} on"));
            }
            account.losses.damaged += 1;
        }
        let info = &mut account.info;
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

    /// A timestamp in seconds since the stream's start.
    fn seconds(&mut self, timestamp: Option<i64>, index: usize, info: &mut Info) -> Option<f64> {
        let Some(timestamp) = timestamp else {
            info.note("the stream has frames without timestamps: their times are unknown");
            return None;
        };
        let first = self.latest.is_none();
        // A start after the first frame is none.
        let origin = match self.origin {
            Some(origin) if !first || origin <= timestamp => origin,
            _ => *self.origin.insert(timestamp),
        };
        if first {
            info.start_seconds = Some(ticks(origin) * self.tick_seconds);
        }
        let seconds = ticks(timestamp.saturating_sub(origin)) * self.tick_seconds;
        if let Some(step) = self.latest.map(|latest| seconds - latest) {
            if step <= 0.0 && !self.went_back {
                self.went_back = true;
                info.note(format!("times do not always grow, first at frame {index}"));
            }
            if info.rate_hz.is_some_and(|hz| step * hz > LONG_STEP) && !self.jumped {
                self.jumped = true;
                info.note(format!(
                    "times jump, first by {step:.3} s before frame {index}"
                ));
            }
        }
        self.latest = Some(seconds);
        Some(seconds)
    }

    fn lose(&mut self, missing: Missing, account: &mut Account) {
        account.losses.frames += missing.frames;
        account.losses.bytes += missing.bytes;
        for _ in 0..missing.frames {
            let reason = missing.reason.clone();
            self.ready.push_back(Item::Lost(Lost {
                index: self.index,
                reason,
            }));
            self.index += 1;
        }
    }

    /// Closes the account.
    fn end(&mut self, account: &mut Account) {
        self.ended = true;
        let missing = self.ledger.ended();
        self.lose(missing, account);
        if let Some((frames, reason)) = self.promise.missing(&self.progress) {
            account.losses.missing = frames;
            account.losses.reason(reason);
        }
    }
}

fn open_decoder(
    path: &Utf8Path,
    stream: &Stream<'_>,
    threads: usize,
) -> Result<decoder::Video, VideoError> {
    let parameters = stream.parameters();
    let id = parameters.id();
    let codec = decoder::find(id).ok_or_else(|| VideoError::MissingCodec {
        path: path.to_owned(),
        codec: match id {
            codec::Id::None => "something its container has no name for".to_owned(),
            id => id.name().to_owned(),
        },
    })?;
    let open = || -> Result<decoder::Video, Error> {
        let mut context = codec::Context::from_parameters(parameters)?.decoder();
        context.set_packet_time_base(stream.time_base());
        let mut settings = Dictionary::new();
        settings.set("threads", &threads.min(64).to_string());
        settings.set("max_pixels", MAX_PIXELS);
        context.open_as_with(codec, settings)?.video()
    };
    open().map_err(|error| VideoError::NotAVideo {
        path: path.to_owned(),
        reason: format!("its {} decoder does not start: {error}", id.name()),
    })
}

/// Times of the packets of a file's video stream, in seconds, in the file's order.
pub(crate) fn packet_seconds(path: &Utf8Path) -> Result<Vec<f64>, VideoError> {
    quiet();
    let mut input = container::open(path)?;
    let stream = match input.streams().best(media::Type::Video) {
        Some(stream) if is_moving(&stream) => stream,
        _ => {
            let streams = input.streams().count();
            return Err(VideoError::NoVideoStream {
                path: path.to_owned(),
                streams,
            });
        }
    };
    let (index, tick_seconds) = (stream.index(), f64::from(stream.time_base()));
    let mut seconds = Vec::new();
    let mut errors = 0;
    loop {
        let mut packet = Packet::empty();
        match packet.read(&mut input) {
            Ok(()) => errors = 0,
            Err(Error::InvalidData) if errors < MAX_ERRORS_IN_A_ROW => {
                errors += 1;
                continue;
            }
            Err(_) => return Ok(seconds),
        }
        if packet.stream() == index && packet.size() > 0 {
            let time = packet.pts().or(packet.dts());
            seconds.extend(time.map(|time| ticks(time) * tick_seconds));
        }
    }
}

/// True for video streams other than cover pictures.
fn is_moving(stream: &Stream<'_>) -> bool {
    stream.parameters().medium() == media::Type::Video
        && !stream.disposition().contains(Disposition::ATTACHED_PIC)
}

/// The timestamp a stream starts at, where the container tells.
fn start_of(stream: &Stream<'_>) -> Option<i64> {
    Some(stream.start_time()).filter(|&start| start != ffmpeg_next::ffi::AV_NOPTS_VALUE)
}

fn turn(matrix: &[u8], info: &mut Info) -> Orientation {
    Orientation::from_display_matrix(matrix).unwrap_or_else(|| {
        info.note("a rotation that is no multiple of 90 degrees is ignored");
        Orientation::default()
    })
}

/// Notes what of a frame is not carried over to its picture.
fn note_properties(frame: &frame::Video, info: &mut Info) {
    if frame.is_interlaced() {
        info.note("interlaced: both fields are taken as one picture");
    }
    let aspect = frame.aspect_ratio();
    if aspect.numerator() > 0 && aspect.numerator() != aspect.denominator() {
        info.note(format!(
            "sample aspect ratio {}:{} is ignored: pixels are taken as stored",
            aspect.numerator(),
            aspect.denominator()
        ));
    }
    let name = crate::layout::name(frame.format());
    let alpha = ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya"];
    if alpha.iter().any(|prefix| name.starts_with(prefix)) {
        info.note("transparency is ignored");
    }
}
