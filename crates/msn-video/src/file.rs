//! Video files through FFmpeg.

use std::collections::VecDeque;
use std::sync::Once;

use camino::Utf8Path;
use ffmpeg_next::codec::packet::side_data::Type as SideDataType;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Dictionary, Error, Packet, Rational, codec, decoder, format, frame, media};

use crate::ledger::{Ledger, Missing};
use crate::orientation::Orientation;
use crate::planes::Converter;
use crate::reader::Account;
use crate::{Frame, Info, Item, Losses, Lost, Options, Size, SourceKind, VideoError};

/// Demuxers that may open a file. Playlists and the like, which name other files or addresses,
/// and text that FFmpeg would draw, are left out.
const FORMATS: &str = "avi,mov,mp4,matroska,webm,mpegts,mpeg,mpegvideo,asf,flv,ogg,mxf,ivf,\
    yuv4mpegpipe,dv,h264,hevc,m4v,mjpeg,obu,av1,nut,rm,wtv,gif,h261,h263,vc1,vc1test,dirac,bink,\
    smk,swf,film_cpk,roq,amv,r3d,gxf,lxf,mv,nsv,pva,mjpeg_2000,cavsvideo,vivo";

/// Pixels of the largest frame that is decoded: a square of 8192.
const MAX_PIXELS: &str = "67108864";

/// Read or decode errors in a row after which a file counts as ended.
const MAX_ERRORS_IN_A_ROW: u32 = 4096;

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
    /// Timestamp that counts as zero.
    origin: Option<i64>,
    latest: Option<f64>,
    packets: i64,
    /// End of the last packet, in ticks.
    packets_end: i64,
    errors_in_a_row: u32,
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
        let input = open_input(path)?;
        let stream = match input.streams().best(media::Type::Video) {
            Some(stream) if !stream.disposition().contains(Disposition::ATTACHED_PIC) => stream,
            _ => {
                let streams = input.streams().count();
                return Err(VideoError::NoVideoStream {
                    path: path.to_owned(),
                    streams,
                });
            }
        };
        let parameters = stream.parameters();
        let codec = parameters.id().name().to_owned();
        let missing = || VideoError::MissingCodec {
            path: path.to_owned(),
            codec: codec.clone(),
        };
        let found = decoder::find(parameters.id()).ok_or_else(missing)?;
        let fail = |e: Error| VideoError::NotAVideo {
            path: path.to_owned(),
            reason: e.to_string(),
        };
        let mut context = codec::Context::from_parameters(parameters)
            .map_err(fail)?
            .decoder();
        context.set_packet_time_base(stream.time_base());
        let mut settings = Dictionary::new();
        settings.set("threads", &options.threads.min(64).to_string());
        settings.set("max_pixels", MAX_PIXELS);
        let decoder = context
            .open_as_with(found, settings)
            .and_then(|o| o.video())
            .map_err(fail)?;

        let mut info = Info {
            source: path.to_owned(),
            kind: SourceKind::File,
            size: Size::new(decoder.width(), decoder.height()),
            rate_hz: hertz(stream.avg_frame_rate()).or(hertz(stream.rate())),
            frames: None,
            codec: Some(codec),
            start_seconds: None,
            notes: Vec::new(),
        };
        info.frames = announced_frames(&input, &stream, info.rate_hz);
        let videos = input
            .streams()
            .filter(|s| s.parameters().medium() == media::Type::Video)
            .filter(|s| !s.disposition().contains(Disposition::ATTACHED_PIC))
            .count();
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
        let origin = Some(stream.start_time()).filter(|&start| start != i64::MIN);
        let source = Self {
            stream: stream.index(),
            tick_seconds: f64::from(stream.time_base()),
            decoder,
            orientation,
            target: options.size,
            first_size: None,
            converter: Converter::new(options.color),
            frame: frame::Video::empty(),
            ledger: Ledger::default(),
            ready: VecDeque::new(),
            index: 0,
            origin,
            latest: None,
            packets: 0,
            packets_end: 0,
            errors_in_a_row: 0,
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
                    self.errors_in_a_row = 0;
                    self.present(account)?;
                }
                Err(Error::Eof) => self.end(account),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => {
                    if self.draining {
                        self.end(account);
                    } else {
                        self.feed(account);
                    }
                }
                Err(error) => self.fail(0, error, account),
            }
        }
    }

    /// Gives the decoder its next packet, or tells it that there is none.
    fn feed(&mut self, account: &mut Account) {
        loop {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() != self.stream => continue,
                Ok(()) => {
                    self.packets += 1;
                    let timestamp = packet.pts().or(packet.dts());
                    let end = timestamp
                        .unwrap_or(0)
                        .saturating_add(packet.duration().max(0));
                    self.packets_end = self.packets_end.max(end);
                    let bytes = u64::try_from(packet.size()).unwrap_or(u64::MAX);
                    if packet.is_corrupt() {
                        account
                            .losses
                            .reason("the container marks packets as damaged");
                    }
                    if bytes == 0 {
                        // The decoder would take it for the end of the stream.
                        account
                            .info
                            .note("empty packets (frames left out when recording) are passed over");
                        continue;
                    }
                    self.ledger.sent(timestamp, bytes);
                    match self.decoder.send_packet(&packet) {
                        Ok(()) => return,
                        Err(error) => return self.fail(bytes, error, account),
                    }
                }
                Err(Error::Eof) => return self.drain(),
                Err(error) => {
                    account.losses.reason(format!("reading the file: {error}"));
                    self.errors_in_a_row += 1;
                    let goes_on = matches!(error, Error::InvalidData)
                        || error
                            == Error::Other {
                                errno: ffmpeg_next::error::EAGAIN,
                            };
                    if !goes_on || self.errors_in_a_row > MAX_ERRORS_IN_A_ROW {
                        return self.drain();
                    }
                }
            }
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        self.errors_in_a_row = 0;
        // A decoder that refuses has nothing to give, which its next answer shows.
        if self.decoder.send_eof().is_err() {
            self.errors_in_a_row = MAX_ERRORS_IN_A_ROW;
        }
    }

    /// A packet could not be decoded; which frame that costs, the ledger finds out.
    fn fail(&mut self, bytes: u64, error: Error, account: &mut Account) {
        let reason = format!("decoding near frame {}: {error}", self.index);
        account.losses.reason(reason.clone());
        self.ledger.failed(bytes, reason);
        self.errors_in_a_row += 1;
        if self.draining && self.errors_in_a_row > MAX_ERRORS_IN_A_ROW {
            self.end(account);
        }
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
                account.losses.reason(format!(
                    "frames are damaged and partly made up, first frame {index}"
                ));
            }
            account.losses.damaged += 1;
        }
        let info = &mut account.info;
        let seconds = self.seconds(timestamp, info);
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
            info.note(format!(
                "frames differ in size: all are resized alike, the first is {first}"
            ));
        }
        let target = self.target.unwrap_or(first);
        let picture = self
            .converter
            .convert(&mut self.frame, orientation, target)?;
        self.ready.push_back(Item::Frame(Frame {
            index,
            seconds,
            picture,
        }));
        Ok(())
    }

    /// A timestamp in seconds since the stream's start.
    fn seconds(&mut self, timestamp: Option<i64>, info: &mut Info) -> Option<f64> {
        let Some(timestamp) = timestamp else {
            info.note("the stream has frames without timestamps: their times are unknown");
            return None;
        };
        let first = self.latest.is_none();
        // A start after the first frame, or none, is no start.
        let origin = match self.origin {
            Some(origin) if !first || origin <= timestamp => origin,
            _ => *self.origin.insert(timestamp),
        };
        if first {
            info.start_seconds = Some(ticks(origin) * self.tick_seconds);
        }
        let seconds = ticks(timestamp.saturating_sub(origin)) * self.tick_seconds;
        if self.latest.is_some_and(|latest| seconds <= latest) {
            info.note(format!(
                "times do not always grow, first at frame {}",
                self.index - 1
            ));
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
        let Some(stream) = self.input.stream(self.stream) else {
            return;
        };
        // Frames that the header promises and time for them at the end: the file was cut off.
        let Some(rate) = account.info.rate_hz else {
            return;
        };
        let (announced, duration) = (stream.frames(), stream.duration());
        if announced <= self.packets || duration == i64::MIN {
            return;
        }
        let start = Some(stream.start_time())
            .filter(|&s| s != i64::MIN)
            .unwrap_or(0);
        let read = self.packets_end.saturating_sub(start);
        let absent = ticks(duration.saturating_sub(read)) * self.tick_seconds * rate;
        // Half a frame is rounding. The cast saturates.
        let absent = (absent + 0.5) as i64;
        let missing = absent.min(announced - self.packets).max(0);
        if missing > 0 {
            account.losses.missing = usize::try_from(missing).unwrap_or(usize::MAX);
            account.losses.reason(format!(
                "the file ends after {} of the {announced} frames that its header announces",
                self.packets
            ));
        }
    }
}

fn open_input(path: &Utf8Path) -> Result<Input, VideoError> {
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

/// A positive rate, or nothing.
fn hertz(rate: Rational) -> Option<f64> {
    (rate.numerator() > 0 && rate.denominator() > 0).then(|| f64::from(rate))
}

/// The container's count of frames, else its duration times the rate.
fn announced_frames(
    input: &Input,
    stream: &ffmpeg_next::Stream<'_>,
    rate_hz: Option<f64>,
) -> Option<usize> {
    if stream.frames() > 0 {
        return usize::try_from(stream.frames()).ok();
    }
    let seconds = if stream.duration() > 0 {
        ticks(stream.duration()) * f64::from(stream.time_base())
    } else if input.duration() > 0 {
        ticks(input.duration()) / f64::from(ffmpeg_next::ffi::AV_TIME_BASE)
    } else {
        return None;
    };
    // The cast saturates.
    Some((seconds * rate_hz? + 0.5) as usize)
}

/// Ticks as a float; exact below 2^53.
fn ticks(count: i64) -> f64 {
    count as f64
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
    let name = frame.format().descriptor().map_or("", |d| d.name());
    if ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya"]
        .iter()
        .any(|p| name.starts_with(p))
    {
        info.note("transparency is ignored");
    }
}
