//! The video stream of a container, its decoder and its packets.

use camino::Utf8Path;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Disposition;
use ffmpeg_next::{Dictionary, Error, Packet, Stream, codec, decoder, media};

use crate::VideoError;
use crate::container::{self, ticks};

/// Pixels of the largest frame that is decoded: a square of 8192.
const MAX_PIXELS: &str = "67108864";

/// Errors in a row, without progress through the file, after which it counts as ended.
pub(crate) const MAX_ERRORS_IN_A_ROW: u32 = 4096;

/// The stream that FFmpeg takes for the main one.
pub(crate) fn best<'a>(input: &'a Input, path: &Utf8Path) -> Result<Stream<'a>, VideoError> {
    match input.streams().best(media::Type::Video) {
        Some(stream) if is_moving(&stream) => Ok(stream),
        _ => Err(VideoError::NoVideoStream {
            path: path.to_owned(),
            streams: input.streams().count(),
        }),
    }
}

/// True for video streams other than cover pictures.
pub(crate) fn is_moving(stream: &Stream<'_>) -> bool {
    stream.parameters().medium() == media::Type::Video
        && !stream.disposition().contains(Disposition::ATTACHED_PIC)
}

/// The timestamp a stream starts at, where the container has it.
pub(crate) fn start_of(stream: &Stream<'_>) -> Option<i64> {
    Some(stream.start_time()).filter(|&start| start != ffmpeg_next::ffi::AV_NOPTS_VALUE)
}

/// Where players start to count, in seconds: the earliest start of picture or sound; subtitles and
/// cover pictures count for nothing.
pub(crate) fn file_start(input: &Input) -> Option<f64> {
    let counts = |stream: &Stream<'_>| {
        is_moving(stream) || stream.parameters().medium() == media::Type::Audio
    };
    let starts = input
        .streams()
        .filter(counts)
        .filter_map(|stream| Some(ticks(start_of(&stream)?) * f64::from(stream.time_base())));
    starts.reduce(f64::min)
}

/// Opens the decoder of a stream.
pub(crate) fn open_decoder(
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
    let mut input = container::open(path)?;
    let stream = best(&input, path)?;
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
