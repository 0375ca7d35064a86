//! Score tables and other files of a run, written whole or not at all.

use std::fmt::Write as _;
use std::io::Read;

use camino::Utf8Path;

use crate::{EvalError, FrameScore, VideoScores};

/// Writes a file under a temporary name, flushes it, and renames it; folders are made.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_file(path: &Utf8Path, content: &[u8]) -> Result<(), EvalError> {
    write_file_from(path, &mut &*content)
}

/// [`write_file`] with all that `content` still has.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_file_from(path: &Utf8Path, content: &mut dyn Read) -> Result<(), EvalError> {
    let failed = |source| EvalError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    msn_data::write_atomically_from(path, content).map_err(|e| failed(e.source))
}

/// A video's scores as CSV: `video,frame,seconds,psnr,patch,distance.P...,legacy,fair`.
pub fn scores_csv(video: &VideoScores, pools: &[usize]) -> String {
    let mut csv = header(pools);
    for (i, score) in video.scores.iter().enumerate() {
        let fair = video.fair.as_ref().map(|f| f[i]);
        row(&mut csv, &video.name, score, video.legacy[i], fair);
    }
    csv
}

/// The first line of a table of scores.
pub(crate) fn header(pools: &[usize]) -> String {
    let mut csv = "video,frame,seconds,psnr,patch".to_owned();
    for p in pools {
        // Writing to a string can't fail.
        let _ = write!(csv, ",distance.{p}");
    }
    csv + ",legacy,fair\n"
}

/// Adds the line of a frame.
pub(crate) fn row(csv: &mut String, video: &str, s: &FrameScore, legacy: f64, fair: Option<f64>) {
    let seconds = s.seconds.map(|t| format!("{t:.6}")).unwrap_or_default();
    let name = quoted(video);
    let _ = write!(csv, "{name},{},{seconds},{},{}", s.frame, s.psnr, s.patch);
    for d in &s.distances {
        let _ = write!(csv, ",{d}");
    }
    let fair = fair.map(|f| f.to_string()).unwrap_or_default();
    let _ = writeln!(csv, ",{legacy},{fair}");
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}
