//! Tables of scores: `video,frame,seconds,psnr,patch,distance.P...,legacy,fair`, and of alarms
//! `smoothed,threshold,alarm,event`.

use std::io::{self, Write};

use msn_data::table_name;
use msn_events::Event;

use super::scorer::FrameScore;
use crate::VideoScores;

/// Which alarm the frames of a video belong to.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowAlarms<'a> {
    pub threshold: f64,
    /// In rising order.
    pub events: &'a [Event],
}

impl RowAlarms<'_> {
    /// The number of a frame's alarm, from 1; none outside.
    fn event(&self, frame: usize) -> Option<usize> {
        let after = self.events.partition_point(|e| e.end <= frame);
        let within = self.events.get(after).is_some_and(|e| e.start <= frame);
        within.then_some(after + 1)
    }
}

/// The anomaly score of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowScore<'a> {
    pub fair: f64,
    pub smoothed: f64,
    pub alarms: Option<RowAlarms<'a>>,
}

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
        let scores = ["legacy", "fair", "smoothed", "threshold", "alarm", "event"];
        let scores = scores.map(str::to_owned);
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
        anomaly: Option<RowScore<'_>>,
    ) -> io::Result<()> {
        let fixed = [
            table_name(video),
            score.frame.to_string(),
            score.seconds.map(|t| format!("{t:.6}")).unwrap_or_default(),
            score.psnr.to_string(),
            score.patch.to_string(),
        ];
        let distances = score.distances.iter().map(f64::to_string);
        let alarms = anomaly.and_then(|a| a.alarms);
        let event = alarms.map(|alarms| alarms.event(score.frame));
        let text = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
        let scores = [
            legacy.to_string(),
            text(anomaly.map(|a| a.fair)),
            text(anomaly.map(|a| a.smoothed)),
            text(alarms.map(|a| a.threshold)),
            event
                .map_or("", |event| if event.is_some() { "1" } else { "0" })
                .to_owned(),
            event.flatten().map(|n| n.to_string()).unwrap_or_default(),
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
/// distances for each of `pools`; then `smoothed`, the anomaly score that the `threshold` applies to,
/// `alarm` (1 within an alarm, else 0) and `event`, the number of the alarm from 1. What is not known
/// stays empty.
pub fn scores_csv(video: &VideoScores, pools: &[usize]) -> String {
    let mut bytes = Vec::new();
    let mut table = ScoreTable::new(&mut bytes);
    let rows = video.scores.iter().zip(&video.legacy).enumerate();
    // Scores that are not finite are no alarm; whoever makes metrics of them hears of it.
    let smoothed = video.smoothed().ok().flatten();
    let events = video.events().unwrap_or_default();
    let alarms = video.threshold.map(|threshold| RowAlarms {
        threshold,
        events: &events,
    });
    let written = table.header(pools).and_then(|()| {
        for (i, (score, &legacy)) in rows {
            let pair = video.fair.as_ref().zip(smoothed.as_ref());
            let anomaly = pair.map(|(fair, smoothed)| RowScore {
                fair: fair[i],
                smoothed: smoothed[i],
                alarms,
            });
            table.row(&video.name, score, legacy, anomaly)?;
        }
        table.finish()
    });
    debug_assert!(written.is_ok(), "memory takes everything");
    String::from_utf8(bytes).unwrap_or_default()
}
