//! The spans that lie in `events.csv`, read anew for every page and every save, so that neither a
//! second page nor an edit by hand is lost.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::{Result, anyhow};
use camino::Utf8PathBuf;
use msn_data::{EventTable, Extent, LabelSpan, write_events};
use serde::{Deserialize, Serialize};

use super::film::{Film, Unit};

/// A span as the page has it: seconds or frames, half-open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PageSpan {
    pub start: f64,
    pub end: f64,
    #[serde(default)]
    pub kind: String,
}

/// A video's spans and what the page sends back with them.
#[derive(Clone, Debug, Serialize)]
pub(super) struct VideoSpans {
    /// Changes with the rows of this video.
    pub version: String,
    pub spans: Vec<PageSpan>,
}

/// What becomes of a save.
pub(super) enum Saved {
    /// Written; these are the spans now.
    Done(VideoSpans),
    /// The file has other spans than those that the page started from; nothing is written.
    Conflict(VideoSpans),
}

/// The file of the spans of some videos.
pub(super) struct SpanFile {
    pub path: Utf8PathBuf,
}

impl SpanFile {
    /// The spans of a video as they lie on disk.
    pub fn read(&self, films: &[Film], index: usize) -> Result<VideoSpans> {
        let mut all = self.table(films)?.1;
        self.for_page(&films[index], &all.swap_remove(index))
    }

    /// Writes a video's spans, if those that lie on disk are still of `version`. All other videos'
    /// stay as they lie there.
    pub fn save(
        &self,
        films: &[Film],
        index: usize,
        version: &str,
        spans: &[PageSpan],
    ) -> Result<Saved> {
        let (table, mut all) = self.table(films)?;
        let now = self.for_page(&films[index], &all[index])?;
        if now.version != version {
            return Ok(Saved::Conflict(now));
        }
        all[index] = of_page(&films[index], spans)?;
        let seconds = in_seconds(films)?;
        for (film, spans) in films.iter().zip(&mut all) {
            for span in spans {
                convert(film, span, seconds)?;
            }
        }
        let known = films.iter().map(|film| film.video.name.as_str());
        let known = known.zip(all.iter().map(Vec::as_slice));
        // What the file has of videos that are none of these stays in it.
        write_events(&self.path, known.chain(table.rest()))?;
        Ok(Saved::Done(self.read(films, index)?))
    }

    fn table(&self, films: &[Film]) -> Result<(EventTable, Vec<Vec<LabelSpan>>)> {
        let mut table = EventTable::read(&self.path)?;
        let names: Vec<&str> = films.iter().map(|film| film.video.name.as_str()).collect();
        let all = table.take(&names);
        Ok((table, all))
    }

    fn for_page(&self, film: &Film, spans: &[LabelSpan]) -> Result<VideoSpans> {
        let mut hasher = DefaultHasher::new();
        for span in spans {
            format!("{span:?}").hash(&mut hasher);
        }
        let seconds = film.info()?.unit == Unit::Seconds;
        let mut shown = Vec::new();
        for span in spans {
            let mut span = span.clone();
            convert(film, &mut span, seconds)?;
            let (start, end) = match span.extent {
                Extent::Seconds(seconds) => (seconds.start, seconds.end),
                Extent::Frames(frames) => (frames.start as f64, frames.end as f64),
            };
            let kind = span.kind.unwrap_or_default();
            shown.push(PageSpan { start, end, kind });
        }
        shown.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.end.total_cmp(&b.end)));
        Ok(VideoSpans {
            version: format!("{:016x}", hasher.finish()),
            spans: shown,
        })
    }
}

/// Whether the file is in seconds: all videos have times.
fn in_seconds(films: &[Film]) -> Result<bool> {
    for film in films {
        if film.info()?.unit == Unit::Frames {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Checks what the page sends.
fn of_page(film: &Film, spans: &[PageSpan]) -> Result<Vec<LabelSpan>> {
    let info = film.info()?;
    let mut read = Vec::new();
    for span in spans {
        let extent = match info.unit {
            // A header's length may be an estimate.
            Unit::Seconds if span.start >= 0.0 && span.start < span.end && span.end.is_finite() => {
                Extent::Seconds(span.start..span.end)
            }
            Unit::Frames
                if span.start >= 0.0 && span.start < span.end && span.end <= info.length =>
            {
                // Whole numbers below the number of frames.
                Extent::Frames(span.start.floor() as usize..span.end.ceil() as usize)
            }
            _ => {
                return Err(anyhow!(
                    "the span from {} to {} lies outside of {}",
                    span.start,
                    span.end,
                    film.video.name
                ));
            }
        };
        let kind = Some(span.kind.trim().to_owned()).filter(|kind| !kind.is_empty());
        read.push(LabelSpan { extent, kind });
    }
    read.sort_by(|a, b| start(a).total_cmp(&start(b)));
    Ok(read)
}

fn start(span: &LabelSpan) -> f64 {
    match &span.extent {
        Extent::Seconds(seconds) => seconds.start,
        Extent::Frames(frames) => frames.start as f64,
    }
}

/// Turns a span into seconds or frames of its video, where it is in the other.
fn convert(film: &Film, span: &mut LabelSpan, seconds: bool) -> Result<()> {
    span.extent = match (&span.extent, seconds) {
        (Extent::Frames(frames), true) => {
            let times = film.times()?;
            let half = film.info()?.step / 2.0;
            let last = times.len().saturating_sub(1);
            let at = |frame: usize| times.get(frame.min(last)).copied().unwrap_or(0.0);
            Extent::Seconds((at(frames.start) - half).max(0.0)..at(frames.end - 1) + half)
        }
        (Extent::Seconds(range), false) => {
            let times = film.times()?;
            let first = times.partition_point(|&t| t < range.start);
            let end = times.partition_point(|&t| t < range.end);
            Extent::Frames(first..end.max(first + 1))
        }
        _ => return Ok(()),
    };
    Ok(())
}
