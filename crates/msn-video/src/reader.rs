//! Opening a source and walking through it.

use std::collections::VecDeque;

use camino::Utf8Path;

use crate::folder::FolderSource;
use crate::resample::check_rate;
use crate::{Color, DecodeErrors, Info, Item, Levels, Resampled, Size, Stretch, VideoError};

/// How frames are to come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Size of all frames; `None` for the size of the source's first frame.
    pub size: Option<Size>,
    /// Their colour.
    pub color: Color,
    /// Threads of FFmpeg's decoder; 0 for its own choice. Frame folders use one.
    pub threads: usize,
    /// Frames a second of a frame folder, which has no times of its own: frame `i` is at `i`
    /// divided by this, seconds.
    pub folder_hz: Option<f64>,
    /// What becomes black and white in pictures of more than 8 bits; `None` for the whole range of
    /// their kind.
    pub stretch: Option<Stretch>,
}

/// What a source updates while it reads, and the reader shows.
#[derive(Debug)]
pub(crate) struct SourceState {
    pub info: Info,
    pub errors: DecodeErrors,
}

#[derive(Debug)]
enum Source {
    Folder(Box<FolderSource>),
    #[cfg(feature = "ffmpeg")]
    File(Box<crate::file::FileSource>),
}

/// Iterator over the frames of a source, in order of presentation.
///
/// An `Err` ends it, and after the end it stays at its end. All frames have one size.
#[derive(Debug)]
pub struct Reader {
    state: SourceState,
    source: Source,
    /// Items read ahead while opening.
    ahead: VecDeque<Item>,
    /// Frames of the source so far, lost ones included.
    frames: usize,
    done: bool,
}

/// Opens a video file or a folder of frames.
///
/// Reads up to the first frame that can be decoded, so that [`Reader::info`] is true of it and a
/// source that gives nothing is an error here.
///
/// # Errors
/// Any of [`VideoError`] about reading: each names the path.
pub fn open(path: &Utf8Path, options: &Options) -> Result<Reader, VideoError> {
    if let Some(size) = options.size {
        crate::picture::bytes(size, options.color)?;
    }
    let unreadable = |reason| VideoError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    let (state, source) = if metadata.is_dir() {
        let (state, folder) = FolderSource::open(path, options)?;
        (state, Source::Folder(Box::new(folder)))
    } else if !metadata.is_file() {
        return Err(VideoError::NotAFile {
            path: path.to_owned(),
        });
    } else if metadata.len() == 0 {
        return Err(VideoError::EmptyFile {
            path: path.to_owned(),
        });
    } else {
        // Asks the system for its reason before FFmpeg can blur it.
        std::fs::File::open(path).map_err(unreadable)?;
        open_file(path, options)?
    };
    let mut reader = Reader {
        state,
        source,
        ahead: VecDeque::new(),
        frames: 0,
        done: false,
    };
    reader.read_ahead()?;
    Ok(reader)
}

#[cfg(feature = "ffmpeg")]
fn open_file(path: &Utf8Path, options: &Options) -> Result<(SourceState, Source), VideoError> {
    if crate::folder::is_frame_file(path) {
        return Err(VideoError::SinglePicture {
            path: path.to_owned(),
        });
    }
    let (state, file) = crate::file::FileSource::open(path, options)?;
    Ok((state, Source::File(Box::new(file))))
}

#[cfg(not(feature = "ffmpeg"))]
fn open_file(path: &Utf8Path, _: &Options) -> Result<(SourceState, Source), VideoError> {
    if crate::folder::is_frame_file(path) {
        return Err(VideoError::SinglePicture {
            path: path.to_owned(),
        });
    }
    Err(VideoError::WithoutFfmpeg {
        path: path.to_owned(),
    })
}

impl Reader {
    /// The source's properties. Notes may be added while reading.
    pub fn info(&self) -> &Info {
        &self.state.info
    }

    /// What was lost so far; complete at the end.
    pub fn decode_errors(&self) -> &DecodeErrors {
        &self.state.errors
    }

    /// Frames read from the source so far, lost ones included.
    pub(crate) fn frames_read(&self) -> usize {
        self.frames
    }

    /// The values of more than 8 bits in the pictures read so far.
    pub fn levels(&self) -> &Levels {
        match &self.source {
            Source::Folder(folder) => folder.levels(),
            #[cfg(feature = "ffmpeg")]
            Source::File(file) => file.levels(),
        }
    }

    /// The frames at a fixed rate instead: at each step of `1 / rate_hz` seconds the frame that is
    /// on display then. See [`Resampled`]. The source's pace is measured first
    /// ([`pace`](crate::pace)).
    ///
    /// # Errors
    /// [`VideoError::BadRate`] unless `rate_hz` is positive and at most 1000,
    /// [`VideoError::NoTimes`] for frame folders, and those of [`pace`](crate::pace).
    pub fn resampled(self, rate_hz: f64) -> Result<Resampled, VideoError> {
        check_rate(rate_hz)?;
        let pace = crate::pace(&self.state.info.source)?;
        Resampled::new(self, rate_hz, pace)
    }

    /// Goes to a frame that an earlier reading found at `index` and `seconds`, forwards or back: it
    /// is the next item, and indices go on from there.
    ///
    /// In a video file, frames from the last key frame before it are decoded. That needs times
    /// that grow and an index that is true of the file: `false` means that it did not lead there,
    /// and nothing more can be read. In a damaged file, or one whose key frames are none, the
    /// picture may be another than the earlier reading's. What is passed over, and anything lost
    /// from here on, is not part of [`Reader::decode_errors`] in any useful way.
    ///
    /// # Errors
    /// Any of [`VideoError`] about reading.
    pub fn seek(&mut self, index: usize, seconds: Option<f64>) -> Result<bool, VideoError> {
        // Pictures have places alone.
        #[cfg(not(feature = "ffmpeg"))]
        let _ = seconds;
        self.ahead.clear();
        self.done = match &mut self.source {
            Source::Folder(folder) => {
                folder.seek(index);
                false
            }
            #[cfg(feature = "ffmpeg")]
            Source::File(file) => {
                let found = match seconds {
                    Some(seconds) => file.seek(index, seconds, &mut self.state)?,
                    None => None,
                };
                self.ahead.extend(found);
                self.ahead.is_empty()
            }
        };
        Ok(!self.done)
    }

    /// Goes to a time, forwards or back: the next item is the first frame at `seconds` or later, and
    /// indices count from it. `false` where the source can't be gone through so: a stream without
    /// times, a folder without a rate, a container that does not find its way. Then it is to be
    /// opened again. After a time past the end no item follows.
    ///
    /// Unlike [`Reader::seek`] it needs no earlier reading, and it is as near to the time as the
    /// container's index is right.
    ///
    /// # Errors
    /// Any of [`VideoError`] about reading.
    pub fn seek_time(&mut self, seconds: f64) -> Result<bool, VideoError> {
        self.ahead.clear();
        self.done = false;
        match &mut self.source {
            Source::Folder(folder) => Ok(folder.seek_time(seconds)),
            #[cfg(feature = "ffmpeg")]
            Source::File(file) => {
                let found = file.seek_time(seconds, &mut self.state)?;
                let possible = found.is_some();
                self.ahead.extend(found.flatten());
                self.done = self.ahead.is_empty();
                Ok(possible)
            }
        }
    }

    fn read_ahead(&mut self) -> Result<(), VideoError> {
        let mut lost = 0;
        while let Some(item) = self.advance()? {
            lost += usize::from(matches!(item, Item::Lost(_)));
            let found = matches!(item, Item::Frame(_));
            self.ahead.push_back(item);
            if found {
                return Ok(());
            }
        }
        let reasons = &self.state.errors.reasons;
        Err(VideoError::NothingDecoded {
            path: self.state.info.source.clone(),
            lost,
            reason: reasons
                .first()
                .cloned()
                .unwrap_or_else(|| "no picture data".to_owned()),
        })
    }

    fn advance(&mut self) -> Result<Option<Item>, VideoError> {
        let item = match &mut self.source {
            Source::Folder(folder) => folder.next(&mut self.state),
            #[cfg(feature = "ffmpeg")]
            Source::File(file) => file.next(&mut self.state),
        }?;
        if let Some(item) = &item {
            self.frames = self.frames.max(item.index() + 1);
        }
        Ok(item)
    }
}

impl Iterator for Reader {
    type Item = Result<Item, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(item) = self.ahead.pop_front() {
            return Some(Ok(item));
        }
        if self.done {
            return None;
        }
        let next = self.advance().transpose();
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::iter::FusedIterator for Reader {}

/// The values of more than 8 bits in a source's pictures, for [`Levels::stretch`]: all of it is
/// read. `None` where its first picture has 8 bits.
///
/// # Errors
/// Those of [`open`] and of reading.
pub fn measure_levels(path: &Utf8Path, threads: usize) -> Result<Option<Levels>, VideoError> {
    let options = Options {
        size: Some(Size::new(8, 8)),
        threads,
        // Whatever it is, numbers of any range are read with it.
        stretch: Some(Stretch::new(0.0, 65_535.0)?),
        ..Options::default()
    };
    let mut reader = open(path, &options)?;
    if reader.levels().is_empty() {
        return Ok(None);
    }
    for item in reader.by_ref() {
        item?;
    }
    Ok(Some(reader.levels().clone()))
}
