//! FFmpeg's scaler, for pixel formats that are not planar.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::{Error, filter};

use crate::Size;

/// FFmpeg's scaler at the same size, for formats that are not planar.
pub(crate) struct Unpacker {
    pub key: Key,
    graph: filter::Graph,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub size: Size,
    pub from: Pixel,
    pub to: &'static str,
    pub full: bool,
    /// Rows lie from the bottom up, which only a copy puts right.
    pub upright: bool,
}

impl Unpacker {
    pub(crate) fn new(key: Key) -> Result<Self, Error> {
        let name = key.from.descriptor().ok_or(Error::InvalidData)?.name();
        let find = |name| filter::find(name).ok_or(Error::FilterNotFound);
        let mut graph = filter::Graph::new();
        let Size { width, height } = key.size;
        graph.add(
            &find("buffer")?,
            "in",
            &format!("video_size={width}x{height}:pix_fmt={name}:time_base=1/1:pixel_aspect=1/1"),
        )?;
        graph.add(&find("buffersink")?, "out", "")?;
        let range = if key.full { "full" } else { "limited" };
        let out_range = if key.to == "rgb24" { "full" } else { range };
        let copy = if key.upright { "" } else { "copy," };
        graph.output("in", 0)?.input("out", 0)?.parse(&format!(
            "{copy}scale=w=iw:h=ih:flags=bilinear+accurate_rnd+full_chroma_int+full_chroma_inp\
             :in_range={range}:out_range={out_range},format=pix_fmts={}",
            key.to
        ))?;
        graph.validate()?;
        Ok(Self { key, graph })
    }

    pub(crate) fn run(&mut self, frame: &mut Video, out: &mut Video) -> Result<(), Error> {
        self.graph
            .get("in")
            .ok_or(Error::Bug)?
            .source()
            .add(frame)?;
        self.graph.get("out").ok_or(Error::Bug)?.sink().frame(out)
    }
}
