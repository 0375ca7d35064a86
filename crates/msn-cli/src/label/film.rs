//! A video that is looked at frame by frame: decoded where it is looked at, nothing kept.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use msn_data::{Color, Size, Video};
use msn_video::{Frame, Item, Options, Reader, SourceKind};
use serde::Serialize;

/// How far ahead a frame is decoded to and not sought, seconds or frames.
const REACH: f64 = 3.0;
/// Positions are rounded on their way to the page and back.
const NEAR: f64 = 2e-5;
/// Of 100.
const QUALITY: u8 = 85;

/// What positions in a video count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Seconds,
    Frames,
}

/// What is known of a video before it is looked at.
#[derive(Clone, Debug, Serialize)]
pub(super) struct FilmInfo {
    pub unit: Unit,
    /// Its length, as its header has it.
    pub length: f64,
    /// From a frame to the next one.
    pub step: f64,
    /// Frames a second at which it plays.
    pub rate_hz: f64,
    pub width: u32,
    pub height: u32,
}

/// A test video as the page needs it.
pub(super) struct Film {
    pub video: Video,
    folder_hz: Option<f64>,
    info: OnceLock<Result<FilmInfo, String>>,
    /// The time of each frame, where spans in frames have to become seconds or the other way round.
    times: OnceLock<Result<Vec<f64>, String>>,
}

impl Film {
    pub fn new(video: Video, folder_hz: Option<f64>) -> Self {
        Self {
            video,
            folder_hz,
            info: OnceLock::new(),
            times: OnceLock::new(),
        }
    }

    fn open(&self) -> Result<Reader> {
        let options = Options {
            size: None,
            color: Color::Rgb,
            threads: 0,
            folder_hz: self.folder_hz,
            ..Options::default()
        };
        Ok(msn_video::open(&self.video.source, &options)?)
    }

    pub fn info(&self) -> Result<FilmInfo> {
        let info = self
            .info
            .get_or_init(|| self.look().map_err(|e| e.to_string()));
        info.clone().map_err(|e| anyhow!(e))
    }

    fn look(&self) -> Result<FilmInfo> {
        let mut reader = self.open()?;
        let info = reader.info().clone();
        let timed = loop {
            match reader.next().transpose()? {
                Some(Item::Frame(frame)) => break frame.seconds.is_some(),
                Some(Item::Lost(_)) => {}
                None => break false,
            }
        };
        let unit = if timed { Unit::Seconds } else { Unit::Frames };
        let rate_hz = info.rate_hz.filter(|hz| *hz > 0.0);
        let frames = match info.frames {
            Some(frames) => frames as f64,
            None => self.times()?.len() as f64,
        };
        let hz = rate_hz.unwrap_or(match unit {
            Unit::Seconds => 25.0,
            Unit::Frames => 10.0,
        });
        Ok(FilmInfo {
            unit,
            length: match unit {
                Unit::Seconds => frames / hz,
                Unit::Frames => frames,
            },
            step: match unit {
                Unit::Seconds => 1.0 / hz,
                Unit::Frames => 1.0,
            },
            rate_hz: hz,
            width: info.size.width,
            height: info.size.height,
        })
    }

    /// The time of each frame, lost ones included: all of the video is decoded once, small.
    pub fn times(&self) -> Result<&[f64]> {
        let times = self
            .times
            .get_or_init(|| self.read_times().map_err(|e| e.to_string()));
        times.as_deref().map_err(|e| anyhow!(e.clone()))
    }

    fn read_times(&self) -> Result<Vec<f64>> {
        let options = Options {
            size: Some(Size::new(8, 8)),
            color: Color::Grey,
            threads: 0,
            folder_hz: self.folder_hz,
            ..Options::default()
        };
        let mut times: Vec<f64> = Vec::new();
        for item in msn_video::open(&self.video.source, &options)? {
            let before = times.last().copied().unwrap_or(0.0);
            match item? {
                Item::Frame(frame) => times.push(frame.seconds.unwrap_or(before).max(before)),
                Item::Lost(_) => times.push(before),
            }
        }
        Ok(times)
    }
}

/// A frame as the page shows it.
pub(super) struct Shown {
    /// Its own position.
    pub at: f64,
    /// Whether no frame comes after it.
    pub last: bool,
    pub jpeg: Vec<u8>,
}

/// Which frame is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// The one on display at a position.
    At(f64),
    /// The one after that.
    After(f64),
    /// The one before that.
    Before(f64),
}

/// A video's decoder and the two frames around where it stands.
pub(super) struct Player {
    reader: Reader,
    unit: Unit,
    step: f64,
    folder: bool,
    folder_hz: Option<f64>,
    shown: Option<Frame>,
    next: Option<Frame>,
}

impl Player {
    pub fn open(film: &Film) -> Result<Self> {
        let info = film.info()?;
        let reader = film.open()?;
        Ok(Self {
            folder: reader.info().kind == SourceKind::Folder,
            folder_hz: film.folder_hz,
            reader,
            unit: info.unit,
            step: info.step,
            shown: None,
            next: None,
        })
    }

    /// The frame that is wanted, or the nearest one that there is.
    pub fn show(&mut self, film: &Film, wanted: Wanted) -> Result<Shown> {
        match wanted {
            Wanted::At(at) => self.go_to(film, at)?,
            Wanted::Before(at) => self.go_to(film, (at - 1e-4).max(0.0))?,
            Wanted::After(at) => {
                self.go_to(film, at)?;
                if self.next.is_some() {
                    self.advance()?;
                }
            }
        }
        let frame = self.shown.as_ref();
        let frame = frame.ok_or_else(|| anyhow!("{} has no frame there", film.video.source))?;
        Ok(Shown {
            at: self.position(frame),
            last: self.next.is_none(),
            jpeg: jpeg(frame)?,
        })
    }

    fn position(&self, frame: &Frame) -> f64 {
        match (self.unit, frame.seconds) {
            (Unit::Seconds, Some(seconds)) => seconds,
            _ => frame.index as f64,
        }
    }

    /// Takes the next frame for the one that is shown, and reads the one after it.
    fn advance(&mut self) -> Result<()> {
        if let Some(frame) = self.next.take() {
            self.shown = Some(frame);
        }
        self.next = loop {
            match self.reader.next().transpose()? {
                Some(Item::Frame(frame)) => break Some(frame),
                Some(Item::Lost(_)) => {}
                None => break None,
            }
        };
        Ok(())
    }

    /// Shows the last frame that is not after `at`, or the first one.
    fn go_to(&mut self, film: &Film, at: f64) -> Result<()> {
        let here = self.shown.as_ref().map(|frame| self.position(frame));
        let sought = self.folder || self.unit == Unit::Seconds;
        let reach = match sought {
            true => REACH.max(5.0 * self.step),
            false => f64::INFINITY,
        };
        let near = here.is_some_and(|here| here <= at + NEAR && at - here < reach);
        if !near {
            let mut back = 2.0 * self.step;
            loop {
                self.jump(film, at - back)?;
                let first = self.next.as_ref().map(|frame| self.position(frame));
                if first.is_some_and(|first| first <= at + NEAR) || at - back <= 0.0 {
                    break;
                }
                // The time is past the end, or its frame came long before it.
                back = (back * 8.0).max(1.0);
            }
            self.advance()?;
        }
        while let Some(next) = &self.next
            && self.position(next) <= at + NEAR
        {
            self.advance()?;
        }
        Ok(())
    }

    /// Stands before the first frame at a position or later.
    fn jump(&mut self, film: &Film, to: f64) -> Result<()> {
        (self.shown, self.next) = (None, None);
        let to = to.max(0.0);
        let found = match (self.unit, self.folder, self.folder_hz) {
            (Unit::Frames, true, None) => {
                // The cast saturates: such a frame is past the end.
                self.reader.seek(to.ceil() as usize, None)?
            }
            (Unit::Seconds, ..) => to > 0.0 && self.reader.seek_time(to)?,
            _ => false,
        };
        if !found {
            self.reader = film.open()?;
        }
        // From the start of what can't be sought, all is read up to there.
        loop {
            self.advance()?;
            let there = self
                .next
                .as_ref()
                .is_none_or(|next| self.position(next) >= to - NEAR);
            if there || found {
                break;
            }
        }
        self.shown = None;
        Ok(())
    }
}

fn jpeg(frame: &Frame) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    let size = frame.picture.size;
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
        &frame.picture.pixels,
        size.width,
        size.height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}
