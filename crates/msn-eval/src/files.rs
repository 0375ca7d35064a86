//! Score tables and other files of a run, written whole or not at all.

use std::fmt::Write as _;

use camino::Utf8Path;

use crate::{EvalError, VideoScores};

/// Writes a file under a temporary name, flushes it, and renames it; folders are made.
///
/// # Errors
/// [`EvalError::Write`].
pub fn write_file(path: &Utf8Path, content: &[u8]) -> Result<(), EvalError> {
    let failed = |source| EvalError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    msn_data::write_whole(path, content).map_err(failed)
}

/// A video's scores as CSV: `video,frame,seconds,psnr,patch,distance.P...,legacy,fair`.
pub fn scores_csv(video: &VideoScores, pools: &[usize]) -> String {
    let mut csv = "video,frame,seconds,psnr,patch".to_owned();
    for p in pools {
        // Writing to a string can't fail.
        let _ = write!(csv, ",distance.{p}");
    }
    csv += ",legacy,fair\n";
    let name = quoted(&video.name);
    for (i, s) in video.scores.iter().enumerate() {
        let seconds = s.seconds.map(|t| format!("{t:.6}")).unwrap_or_default();
        let _ = write!(csv, "{name},{},{seconds},{},{}", s.frame, s.psnr, s.patch);
        for d in &s.distances {
            let _ = write!(csv, ",{d}");
        }
        let fair = video
            .fair
            .as_ref()
            .map(|f| f[i].to_string())
            .unwrap_or_default();
        let _ = writeln!(csv, ",{},{fair}", video.legacy[i]);
    }
    csv
}

fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}
