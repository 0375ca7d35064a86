//! Decoding of videos.

use std::sync::{Arc, Mutex};

use msn_video::{Color, Item, Options, Size, SourceKind, Stretch};
use rayon::prelude::*;

use crate::{
    DataError, FrameStore, LoadedVideo, Resampling, Video,
    cache::{CachedFrames, Head, file_of},
    loading::{Loading, Sink, runs},
    pixels::{MemoryFrames, Pixels},
    redecode::SourceFrames,
    video::frame_bytes,
};

/// How frames are to be stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadOptions {
    /// Size to which whole pictures are squashed.
    pub size: Size,
    /// Grey (1 byte a pixel) or RGB (3).
    pub color: Color,
    /// Frames a second at which video files are to be taken; `None` for each file's own. Files of
    /// an even pace and that rate (to 2 %) are taken frame by frame, others by sample and hold
    /// ([`msn_video::Resampled`]). Frame folders are taken as they are.
    pub rate_hz: Option<f64>,
    /// Frames a second of frame folders, which have no times of their own.
    pub folder_hz: Option<f64>,
    /// What becomes black and white in pictures of more than 8 bits.
    pub stretch: Option<Stretch>,
}

impl LoadOptions {
    /// Frames of this size and colour at each file's own rate.
    #[must_use]
    pub const fn new(size: Size, color: Color) -> Self {
        Self {
            size,
            color,
            rate_hz: None,
            folder_hz: None,
            stretch: None,
        }
    }

    fn reading(&self, threads: usize) -> Options {
        Options {
            size: Some(self.size),
            color: self.color,
            threads,
            folder_hz: self.folder_hz,
            stretch: self.stretch,
        }
    }
}

impl LoadedVideo {
    /// Decodes a video into memory.
    ///
    /// # Errors
    /// Those of [`msn_video::open`] and of its reader; [`DataError::TooManyLost`] for a folder
    /// with over 5 % of its frames unreadable; [`DataError::Empty`] where nothing decodes.
    pub fn load(video: &Video, options: &LoadOptions) -> Result<Self, DataError> {
        let threads = rayon::current_num_threads();
        load(video, options, &FrameStore::default(), threads)
    }
}

/// Decodes videos into memory, in parallel; the order stays.
///
/// # Errors
/// The first error of [`LoadedVideo::load`], in order of videos.
pub fn load_all(videos: &[Video], options: &LoadOptions) -> Result<Vec<LoadedVideo>, DataError> {
    FrameStore::default().load(videos, options)
}

impl FrameStore {
    /// Decodes videos in parallel and stores their frames; the order stays. Frames are the same
    /// wherever they are stored.
    ///
    /// # Errors
    /// The first error of [`LoadedVideo::load`], in order of videos. A cache that can't be written
    /// is a warning, and the videos are decoded on the fly.
    pub fn load(
        &self,
        videos: &[Video],
        options: &LoadOptions,
    ) -> Result<Vec<LoadedVideo>, DataError> {
        // Videos in parallel keep all cores busy; a single one has them for its decoder.
        let threads = match videos.len() {
            0 | 1 => rayon::current_num_threads(),
            _ => 1,
        };
        let loaded: Vec<_> = videos
            .par_iter()
            .map(|video| load(video, options, self, threads))
            .collect();
        loaded.into_iter().collect()
    }
}

/// The median rate of the videos that have one, frames a second. Packets are read, nothing is
/// decoded; a file that can't be opened has none.
#[must_use]
pub fn median_rate_hz(videos: &[Video]) -> Option<f64> {
    let pace = |video: &Video| msn_video::pace(&video.source).ok().flatten();
    let mut rates: Vec<f64> = videos
        .par_iter()
        .filter_map(|video| Some(pace(video)?.rate_hz()))
        .collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

/// The stretch of a camera whose training videos have pictures of more than 8 bits
/// ([`msn_video::Levels::stretch`]); `None` where they have 8. Every picture is read.
///
/// # Errors
/// [`DataError::Video`] for a source that can't be opened.
pub fn measure_stretch(videos: &[Video]) -> Result<Option<Stretch>, DataError> {
    let measure = |video: &Video| msn_video::measure_levels(&video.source, 1);
    let measured: Vec<_> = videos.par_iter().map(measure).collect();
    let mut all: Option<msn_video::Levels> = None;
    for levels in measured {
        match (&mut all, levels?) {
            (Some(all), Some(levels)) => all.merge(&levels),
            (all, Some(levels)) => *all = Some(levels),
            (_, None) => {}
        }
    }
    Ok(all.and_then(|levels| levels.stretch()))
}

fn load(
    video: &Video,
    options: &LoadOptions,
    store: &FrameStore,
    threads: usize,
) -> Result<LoadedVideo, DataError> {
    // Says what is wrong with a file better than its packets could.
    let reader = msn_video::open(&video.source, &options.reading(threads))?;
    let pace = match reader.info().kind {
        SourceKind::Folder => None,
        SourceKind::File => msn_video::pace(&video.source)?,
    };
    let rate_hz = pace.and_then(|pace| pace.resample_hz(options.rate_hz));
    let bytes = frame_bytes(options.size, options.color);
    let file = match &store.cache {
        Some(folder) => Some(file_of(folder, video, options, rate_hz)?),
        None => None,
    };
    if let Some((cached, head)) = file.as_ref().and_then(|f| CachedFrames::open(f, bytes)) {
        return Ok(loaded(
            video,
            options,
            head,
            Pixels::Cached(Arc::new(cached)),
        ));
    }
    let mut loading = Loading::new(bytes, &store.budget, file.as_deref());
    let reader = loading.drain(reader.paced(rate_hz, pace)?)?;
    let info = reader.info();
    let named = |note: &String| format!("{}: {note}", video.source);
    let mut warnings: Vec<String> = info.notes.iter().map(named).collect();
    if let (SourceKind::Folder, Some(own), Some(wanted)) =
        (info.kind, options.folder_hz, options.rate_hz)
        && !msn_video::same_rate(own, wanted)
    {
        warnings.push(format!(
            "{}: a folder of {own:.3} Hz is taken frame by frame, where {wanted:.3} Hz are wanted",
            video.source
        ));
    }
    if let Some(hz) = rate_hz {
        warnings.push(format!(
            "{}: {} frames of an uneven pace or another rate are taken as {} at {hz:.3} Hz",
            video.source,
            reader.source_frames(),
            loading.present.len()
        ));
    }
    loading.check(video, info.kind, reader.decode_errors(), &mut warnings)?;
    // What was resampled has its cuts as losses.
    let step = pace.filter(|_| rate_hz.is_none()).map(|p| p.step_seconds);
    let runs = runs(&loading.present, &loading.seconds, step);
    let touching = runs.windows(2).filter(|pair| pair[0].end == pair[1].start);
    match touching.count() + reader.cuts() {
        0 => {}
        1 => warnings.push(format!(
            "{}: time is cut once: two takes, and no clip runs across",
            video.source
        )),
        cuts => warnings.push(format!(
            "{}: time is cut {cuts} times: {} takes, and no clip runs across",
            video.source,
            cuts + 1
        )),
    }
    let mut head = Head {
        source_size: [info.size.width, info.size.height],
        runs,
        lost: reader.decode_errors().lost,
        rate_hz: rate_hz
            .or(pace.map(|pace| pace.rate_near(info.rate_hz)))
            .or(info.rate_hz),
        resampled: rate_hz.map(|_| Resampling {
            source_frames: reader.source_frames(),
            source_index: loading.source_index.clone(),
        }),
        seconds: std::mem::take(&mut loading.seconds),
        warnings,
    };
    let exact = info.kind == SourceKind::Folder || reader.decode_errors().is_empty();
    let frames = loading.source_frames();
    let failed = match loading.pixels {
        Sink::Memory(frames, reservation) => {
            let memory = MemoryFrames {
                frames,
                reservation: Some(reservation),
            };
            let pixels = Pixels::Memory(Arc::new(memory));
            return Ok(loaded(video, options, head, pixels));
        }
        Sink::File(writer) => match writer.finish(&head) {
            Ok(cached) => {
                return Ok(loaded(
                    video,
                    options,
                    head,
                    Pixels::Cached(Arc::new(cached)),
                ));
            }
            Err(error) => Some(error),
        },
        Sink::Nowhere(error) => error,
    };
    head.warnings.push(match failed {
        Some(error) => format!("{}: no cache ({error}), so frames are decoded again and again", video.source),
        None => format!("{}: does not fit into memory and there is no cache, so frames are decoded again and again", video.source),
    });
    // One thread: what a decoder makes up for damaged parts is the same each time then.
    let source = SourceFrames {
        path: video.source.clone(),
        options: options.reading(1),
        frames,
        exact,
        cursor: Mutex::default(),
    };
    Ok(loaded(
        video,
        options,
        head,
        Pixels::Source(Arc::new(source)),
    ))
}

fn loaded(video: &Video, options: &LoadOptions, head: Head, pixels: Pixels) -> LoadedVideo {
    LoadedVideo {
        name: video.name.clone(),
        source: video.source.clone(),
        size: options.size,
        color: options.color,
        source_size: head.source_size(),
        seconds: head.seconds,
        runs: head.runs,
        lost: head.lost,
        rate_hz: head.rate_hz,
        resampled: head.resampled,
        stretch: options.stretch,
        warnings: head.warnings,
        pixels,
    }
}

/// Frames of a video: files of a folder, or what decodes of a file.
pub(crate) fn count_frames(video: &Video) -> Result<usize, DataError> {
    if video.source.is_dir() {
        return Ok(msn_video::frame_files(&video.source)?.len());
    }
    let reader = msn_video::open(
        &video.source,
        &Options {
            size: Some(Size {
                width: 8,
                height: 8,
            }),
            color: Color::Grey,
            threads: rayon::current_num_threads(),
            ..Options::default()
        },
    )?;
    let mut frames = 0;
    for item in reader {
        let index = match item? {
            Item::Frame(frame) => frame.index,
            Item::Lost(lost) => lost.index,
        };
        frames = frames.max(index + 1);
    }
    Ok(frames)
}
