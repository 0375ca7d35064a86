//! Tables of scores: `video,frame,seconds,psnr,patch,distance.P...,legacy,fair`.

use std::io::{self, Write};

use msn_data::table_name;

use super::scorer::FrameScore;
use crate::VideoScores;

/// Writes rows of scores as CSV, one a frame.
pub(super) struct ScoreTable<W: Write> {
    csv: csv::Writer<W>,
}

impl<W: Write> ScoreTable<W> {
    pub fn new(to: W) -> Self {
        Self {
            csv: csv::Writer::from_writer(to),
        }
    }

    /// The names of the columns, for a network with these pools.
    pub fn header(&mut self, pools: &[usize]) -> io::Result<()> {
        let fixed = ["video", "frame", "seconds", "psnr", "patch"].map(str::to_owned);
        let distances = pools.iter().map(|p| format!("distance.{p}"));
        let scores = ["legacy", "fair"].map(str::to_owned);
        Ok(self
            .csv
            .write_record(fixed.into_iter().chain(distances).chain(scores))?)
    }

    /// The scores of a frame; what is not known stays empty.
    pub fn row(
        &mut self,
        video: &str,
        score: &FrameScore,
        legacy: f64,
        fair: Option<f64>,
    ) -> io::Result<()> {
        let fixed = [
            table_name(video),
            score.frame.to_string(),
            score.seconds.map(|t| format!("{t:.6}")).unwrap_or_default(),
            score.psnr.to_string(),
            score.patch.to_string(),
        ];
        let distances = score.distances.iter().map(f64::to_string);
        let scores = [
            legacy.to_string(),
            fair.map(|f| f.to_string()).unwrap_or_default(),
        ];
        Ok(self
            .csv
            .write_record(fixed.into_iter().chain(distances).chain(scores))?)
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.csv.flush()
    }
}

/// A video's scores as CSV: `video,frame,seconds,psnr,patch,distance.P...,legacy,fair`, a column of
/// distances for each of `pools`.
pub fn scores_csv(video: &VideoScores, pools: &[usize]) -> String {
    let mut bytes = Vec::new();
    let mut table = ScoreTable::new(&mut bytes);
    let rows = video.scores.iter().zip(&video.legacy).enumerate();
    let written = table.header(pools).and_then(|()| {
        for (i, (score, &legacy)) in rows {
            let fair = video.fair.as_ref().map(|f| f[i]);
            table.row(&video.name, score, legacy, fair)?;
        }
        table.finish()
    });
    debug_assert!(written.is_ok(), "memory takes everything");
    String::from_utf8(bytes).unwrap_or_default()
}
