//! Writing a video file.

use std::fs::File;

use camino::{Utf8Path, Utf8PathBuf};
use ffmpeg_next::codec;
use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::context::Output;
use ffmpeg_next::{Dictionary, Error, Packet, Rational, color, encoder, format, frame};
use tempfile::TempPath;

use crate::{Color, Picture, Size, VideoError};

/// Quantiser of MPEG-4 from 1 (best) to 31; 2 is visually lossless.
const QUANTISER: usize = 2;
/// FFmpeg counts quantisers in units of this (`FF_QP2LAMBDA`).
const LAMBDA: usize = 118;
/// Frames from one that stands alone to the next.
const GROUP: u32 = 12;
/// Bits of a pixel for encoders that can't be told a quality.
const BITS_PER_PIXEL: f64 = 0.15;

/// How pictures are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// MPEG-4 Part 2 of good quality, by FFmpeg itself: the same bytes everywhere, for tests and
    /// demos. Browsers don't play it.
    Mpeg4,
    /// H.264 in .mp4, its index in front: browsers, phones and office programs play it.
    H264,
    /// VP9 in .webm: browsers play it.
    Vp9,
}

impl Coding {
    /// What browsers play and the local FFmpeg has an encoder for: H.264, else VP9.
    pub fn for_browsers() -> Option<Self> {
        crate::container::quiet();
        let works = |coding: &Self| {
            let tick = Rational::new(1, 25);
            open_encoder(*coding, Size::new(320, 240), 25, tick, true).is_ok()
        };
        [Self::H264, Self::Vp9].into_iter().find(works)
    }

    /// The ending of its files, without a dot.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Mpeg4 | Self::H264 => "mp4",
            Self::Vp9 => "webm",
        }
    }

    /// FFmpeg's encoders for it, the best first. Those that some systems name and none of their
    /// devices has do not open.
    const fn encoders(self) -> &'static [&'static str] {
        match self {
            Self::Mpeg4 => &["mpeg4"],
            Self::H264 => &["libx264", "libopenh264", "h264_videotoolbox", "h264_mf"],
            Self::Vp9 => &["libvpx-vp9"],
        }
    }
}

/// Writes pictures of one size as a video.
///
/// The container goes by the name: .mp4, .mov, .avi, .mkv, .ts or .webm. Pictures become
/// limited-range BT.601 YUV 4:2:0, so grey comes back within a few levels and fine colour detail is
/// halved. In [`Coding::Mpeg4`] the same pictures give the same bytes. The file gets its name in
/// [`finish`](Self::finish); dropped before, nothing remains.
///
/// ```
/// use msn_video::{Color, Options, Picture, Size, VideoWriter, open};
/// # let folder = tempfile::tempdir()?;
/// # let path = camino::Utf8Path::from_path(folder.path()).unwrap().join("grey.mp4");
/// let size = Size::new(32, 16);
/// let mut writer = VideoWriter::create(&path, size, 25)?;
/// for value in [10, 90, 200] {
///     writer.write(&Picture::filled(size, Color::Grey, value)?)?;
/// }
/// writer.finish()?;
/// assert_eq!(open(&path, &Options::default())?.count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VideoWriter {
    // Before the temporary file, so that the file is closed when it is removed.
    output: Output,
    encoder: encoder::Video,
    temporary: TempPath,
    path: Utf8PathBuf,
    size: Size,
    tick: Rational,
    frame: frame::Video,
    frames: i64,
    bytes: u64,
}

impl std::fmt::Debug for VideoWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoWriter")
            .field("path", &self.path)
            .field("size", &self.size)
            .field("frames", &self.frames)
            .finish_non_exhaustive()
    }
}

impl VideoWriter {
    /// Starts a video of `size` pixels at `rate_hz` frames a second, in [`Coding::Mpeg4`].
    ///
    /// # Errors
    /// [`VideoError::BadSize`] for an empty size or a side above 8191 pixels,
    /// [`VideoError::BadRate`] for a rate outside 1 to 65535, [`VideoError::Unwritable`] for
    /// another ending than those above, a missing folder, or what FFmpeg refuses.
    pub fn create(path: &Utf8Path, size: Size, rate_hz: u32) -> Result<Self, VideoError> {
        Self::create_as(path, size, rate_hz, Coding::Mpeg4)
    }

    /// [`VideoWriter::create`] in another coding. H.264 and VP9 want even sides.
    ///
    /// # Errors
    /// Those of [`VideoWriter::create`]; [`VideoError::Unwritable`] also where FFmpeg has no encoder.
    pub fn create_as(
        path: &Utf8Path,
        size: Size,
        rate_hz: u32,
        coding: Coding,
    ) -> Result<Self, VideoError> {
        crate::container::quiet();
        let fail = |reason: String| VideoError::Unwritable {
            path: path.to_owned(),
            reason,
        };
        let muxer = match path.extension().map(str::to_ascii_lowercase).as_deref() {
            Some("mp4") => "mp4",
            Some("mov") => "mov",
            Some("avi") => "avi",
            Some("mkv") => "matroska",
            Some("ts") => "mpegts",
            Some("webm") => "webm",
            _ => {
                let endings = "name it .mp4, .mov, .avi, .mkv, .ts or .webm";
                return Err(fail(endings.to_owned()));
            }
        };
        if size.is_empty() || size.width > 8191 || size.height > 8191 {
            return Err(VideoError::BadSize { size });
        }
        let rate = i32::try_from(rate_hz)
            .ok()
            .filter(|rate| (1..=65535).contains(rate))
            .ok_or(VideoError::BadRate {
                rate_hz: f64::from(rate_hz),
                range: "from 1 to 65535",
            })?;
        let temporary = temporary_beside(path).map_err(|e| fail(e.to_string()))?;
        let place = temporary
            .to_str()
            .ok_or_else(|| fail("its folder is not UTF-8".to_owned()))?;
        let fail = |e: Error| fail(e.to_string());
        let mut output = format::output_as(&format!("file:{place}"), muxer).map_err(fail)?;
        let tick = Rational::new(1, rate);
        let global = output
            .format()
            .flags()
            .contains(format::Flags::GLOBAL_HEADER);
        let encoder = open_encoder(coding, size, rate, tick, global).map_err(fail)?;
        let mut stream = output.add_stream_with(&encoder).map_err(fail)?;
        stream.set_time_base(tick);
        stream.set_avg_frame_rate(tick.invert());
        let mut settings = Dictionary::new();
        settings.set("fflags", "+bitexact");
        if coding == Coding::H264 && ["mp4", "mov"].contains(&muxer) {
            // The index in front, so that playing begins before all has arrived.
            settings.set("movflags", "+faststart");
        }
        output.write_header_with(settings).map_err(fail)?;
        Ok(Self {
            output,
            encoder,
            temporary,
            path: path.to_owned(),
            size,
            tick,
            frame: frame::Video::new(Pixel::YUV420P, size.width, size.height),
            frames: 0,
            bytes: 0,
        })
    }

    /// Appends a picture, grey or RGB, of the video's size.
    ///
    /// # Errors
    /// [`VideoError::WrongSize`], [`VideoError::BadPicture`], or [`VideoError::Unwritable`] with
    /// FFmpeg's reason (a full disk).
    pub fn write(&mut self, picture: &Picture) -> Result<(), VideoError> {
        picture.check()?;
        if picture.size != self.size {
            return Err(VideoError::WrongSize {
                path: self.path.clone(),
                wanted: self.size,
                got: picture.size,
            });
        }
        // The encoder may still read the last frame: a fresh one each time.
        self.frame = frame::Video::new(Pixel::YUV420P, self.size.width, self.size.height);
        fill(&mut self.frame, picture);
        self.frame.set_pts(Some(self.frames));
        self.frames += 1;
        self.encoder
            .send_frame(&self.frame)
            .map_err(|e| self.fail(e))?;
        self.take_packets()
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// [`VideoError::Unwritable`], also for a video without pictures; nothing remains then.
    pub fn finish(mut self) -> Result<(), VideoError> {
        if self.frames == 0 {
            let reason = "no picture was written to it".to_owned();
            return Err(VideoError::Unwritable {
                path: self.path,
                reason,
            });
        }
        self.encoder.send_eof().map_err(|e| self.fail(e))?;
        self.take_packets()?;
        self.output.write_trailer().map_err(|e| self.fail(e))?;
        let Self {
            output,
            temporary,
            path,
            bytes,
            ..
        } = self;
        let fail = |reason: String| VideoError::Unwritable {
            path: path.clone(),
            reason,
        };
        drop(output);
        let file = File::open(&temporary).map_err(|e| fail(e.to_string()))?;
        file.sync_all().map_err(|e| fail(e.to_string()))?;
        // Closing flushes, and FFmpeg does not report whether that worked.
        let length = file.metadata().map_err(|e| fail(e.to_string()))?.len();
        if length < bytes {
            return Err(fail(format!(
                "only {length} of {bytes} bytes arrived: is the disk full?"
            )));
        }
        temporary
            .persist(&path)
            .map_err(|e| fail(e.error.to_string()))
    }

    fn take_packets(&mut self) -> Result<(), VideoError> {
        let mut packet = Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof) => return Ok(()),
                Err(Error::Other { errno }) if errno == ffmpeg_next::error::EAGAIN => return Ok(()),
                Err(error) => return Err(self.fail(error)),
            }
            self.bytes += u64::try_from(packet.size()).unwrap_or(0);
            let stream_tick = match self.output.stream(0) {
                Some(stream) => stream.time_base(),
                None => self.tick,
            };
            packet.set_stream(0);
            packet.rescale_ts(self.tick, stream_tick);
            packet
                .write_interleaved(&mut self.output)
                .map_err(|e| self.fail(e))?;
        }
    }

    fn fail(&self, error: Error) -> VideoError {
        VideoError::Unwritable {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}

fn temporary_beside(path: &Utf8Path) -> std::io::Result<TempPath> {
    let folder = path
        .parent()
        .filter(|p| !p.as_str().is_empty())
        .unwrap_or(Utf8Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".msn-video-").suffix(".tmp");
    #[cfg(unix)]
    {
        // As for any new file, less what the umask takes.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}

/// The first encoder of a coding that opens.
fn open_encoder(
    coding: Coding,
    size: Size,
    rate: i32,
    tick: Rational,
    global_header: bool,
) -> Result<encoder::Video, Error> {
    let mut refused = Error::EncoderNotFound;
    for name in coding.encoders() {
        match open_named(name, size, rate, tick, global_header) {
            Ok(encoder) => return Ok(encoder),
            // One that is not there says less than one that is and refuses.
            Err(Error::EncoderNotFound) => {}
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn open_named(
    name: &str,
    size: Size,
    rate: i32,
    tick: Rational,
    global_header: bool,
) -> Result<encoder::Video, Error> {
    let codec = encoder::find_by_name(name).ok_or(Error::EncoderNotFound)?;
    let mut encoder = codec::Context::new_with_codec(codec).encoder().video()?;
    encoder.set_width(size.width);
    encoder.set_height(size.height);
    encoder.set_format(Pixel::YUV420P);
    encoder.set_time_base(tick);
    encoder.set_frame_rate(Some(Rational::new(rate, 1)));
    encoder.set_max_b_frames(0);
    encoder.set_colorspace(color::Space::SMPTE170M);
    encoder.set_color_range(color::Range::MPEG);
    let mut flags = codec::Flags::BITEXACT;
    flags.set(codec::Flags::GLOBAL_HEADER, global_header);
    let mut settings = Dictionary::new();
    // A player can go to any place within two seconds.
    encoder.set_gop(u32::try_from(rate).map_or(GROUP, |rate| 2 * rate));
    match name {
        "mpeg4" => {
            encoder.set_gop(GROUP);
            encoder.set_quality(QUANTISER * LAMBDA);
            flags |= codec::Flags::QSCALE;
            settings.set("threads", "1");
        }
        "libx264" => {
            settings.set("preset", "veryfast");
            settings.set("crf", "21");
            settings.set("threads", "auto");
        }
        "libvpx-vp9" => {
            encoder.set_bit_rate(0);
            settings.set("crf", "32");
            settings.set("deadline", "realtime");
            settings.set("cpu-used", "6");
            settings.set("row-mt", "1");
            settings.set("threads", "auto");
        }
        _ => {
            let pixels = f64::from(size.width) * f64::from(size.height);
            let bits = pixels * f64::from(rate) * BITS_PER_PIXEL;
            encoder.set_bit_rate(bits as usize);
        }
    }
    encoder.set_flags(flags);
    encoder.open_with(settings)
}

/// Limited-range BT.601 of a picture; chroma is the mean of up to four pixels.
fn fill(frame: &mut frame::Video, picture: &Picture) {
    let width = usize::try_from(picture.size.width).unwrap_or(0);
    let height = usize::try_from(picture.size.height).unwrap_or(0);
    let channels = picture.color.channels();
    let rgb = |x: usize, y: usize| -> [f32; 3] {
        let at = (y * width + x) * channels;
        match picture.color {
            Color::Grey => [f32::from(picture.pixels[at]); 3],
            Color::Rgb => [0, 1, 2].map(|c| f32::from(picture.pixels[at + c])),
        }
    };
    let stride = frame.stride(0);
    for (y, row) in frame
        .data_mut(0)
        .chunks_mut(stride)
        .take(height)
        .enumerate()
    {
        for (x, out) in row.iter_mut().take(width).enumerate() {
            let [r, g, b] = rgb(x, y);
            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
            *out = to_byte(16.0 + luma * 219.0 / 255.0);
        }
    }
    for plane in [1, 2] {
        let stride = frame.stride(plane);
        let rows = height.div_ceil(2);
        for (y, row) in frame
            .data_mut(plane)
            .chunks_mut(stride)
            .take(rows)
            .enumerate()
        {
            for (x, out) in row.iter_mut().take(width.div_ceil(2)).enumerate() {
                *out = match picture.color {
                    Color::Grey => 128,
                    Color::Rgb => {
                        let mut sum = 0.0;
                        for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                            let (x, y) =
                                ((2 * x + dx).min(width - 1), (2 * y + dy).min(height - 1));
                            let [r, g, b] = rgb(x, y);
                            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
                            sum += if plane == 1 {
                                (b - luma) / 1.772
                            } else {
                                (r - luma) / 1.402
                            };
                        }
                        to_byte(128.0 + sum / 4.0 * 224.0 / 255.0)
                    }
                };
            }
        }
    }
}

/// Rounds to nearest and clips; the cast saturates.
fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}
