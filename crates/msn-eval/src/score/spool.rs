//! Scores of a video of any length: rows wait in a file until the ranges of the whole are known.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use camino::{Utf8Path, Utf8PathBuf};
use msn_events::{Detector, Rules, TimedScore};
use msn_metrics::MinMax;

use super::{
    calibration::Calibration,
    legacy::legacy,
    scorer::FrameScore,
    table::{RowAlarms, RowScore, ScoreTable},
};
use crate::EvalError;

/// The scores of one video, kept in a file without a name, which vanishes with this value or with
/// the process. What stays in memory does not grow.
#[derive(Debug)]
pub struct ScoreSpool {
    folder: Utf8PathBuf,
    file: BufWriter<File>,
    rows: usize,
    pools: usize,
    /// Of -psnr and of each pool's distance.
    ranges: Vec<MinMax>,
}

impl ScoreSpool {
    /// Nothing yet, in a file on the disk of `folder`, for a network with `pools` pools.
    ///
    /// # Errors
    /// [`EvalError::Write`] if no file can be made there.
    pub fn new(folder: &Utf8Path, pools: usize) -> Result<Self, EvalError> {
        let file = tempfile::tempfile_in(folder).map_err(|source| EvalError::Write {
            path: folder.join("temporary scores"),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            file: BufWriter::new(file),
            rows: 0,
            pools,
            ranges: vec![MinMax::default(); 1 + pools],
        })
    }

    /// Scored frames so far.
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether no frame is scored.
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds the next frame.
    ///
    /// # Errors
    /// [`EvalError::Write`] for a full disk.
    ///
    /// # Panics
    /// If the frame has distances of another number of pools.
    pub fn push(&mut self, score: &FrameScore) -> Result<(), EvalError> {
        assert_eq!(score.distances.len(), self.pools, "pools of a frame");
        self.ranges[0].add(-score.psnr);
        for (range, d) in self.ranges[1..].iter_mut().zip(&score.distances) {
            range.add(*d);
        }
        self.rows += 1;
        let frame = u64::try_from(score.frame).unwrap_or(u64::MAX);
        self.put(score, frame).map_err(|e| self.failed(e))
    }

    fn put(&mut self, score: &FrameScore, frame: u64) -> io::Result<()> {
        self.file.write_all(&frame.to_le_bytes())?;
        // A time is no NaN, so that one stands for none.
        let seconds = score.seconds.unwrap_or(f64::NAN);
        let numbers = [seconds, score.psnr, score.patch, score.excess];
        for v in numbers.iter().chain(&score.distances) {
            self.file.write_all(&v.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes what [`scores_csv`](crate::scores_csv) makes of the same frames to `to`: lines of
    /// `video`, after a header where `with_header`.
    ///
    /// # Errors
    /// [`EvalError::Write`] for the file of the scores, and [`EvalError::Write`] naming `video` for
    /// `to`.
    pub fn write_csv(
        mut self,
        video: &str,
        pools: &[usize],
        with_header: bool,
        calibration: Option<&Calibration>,
        to: &mut dyn Write,
    ) -> Result<(), EvalError> {
        let failed = |source| EvalError::Write {
            path: format!("the scores of {video}").into(),
            source,
        };
        let mut table = ScoreTable::new(to);
        if with_header {
            table.header(pools).map_err(failed)?;
        }
        let threshold = calibration.and_then(|c| Some(c.alarm?.threshold));
        let standardised = |score: &FrameScore| Some(calibration?.standardise(score.excess));
        let detector = || Detector::new(Rules::default(), threshold.unwrap_or(0.0));
        // Alarms are known at their end, so that the rows are read twice.
        let mut events = Vec::new();
        let mut first = detector()?;
        self.each(|score| {
            if let Some(fair) = standardised(&score) {
                events.extend(first.push(timed(score.frame, fair))?.ended);
            }
            Ok(())
        })?;
        events.extend(first.finish());
        let alarms = threshold.map(|threshold| RowAlarms {
            threshold,
            events: &events,
        });
        let (ranges, pools) = (self.ranges.clone(), self.pools);
        let mut second = detector()?;
        self.each(|score| {
            let normalised = |i: usize, v: f64| ranges[i].normalise(v);
            let distances = score.distances.iter().enumerate();
            let distances: f64 = distances.map(|(p, &d)| normalised(1 + p, d)).sum();
            let legacy = legacy(normalised(0, -score.psnr), distances, pools);
            let anomaly = match standardised(&score) {
                Some(fair) => Some(RowScore {
                    fair,
                    smoothed: second
                        .push(timed(score.frame, fair))?
                        .smoothed
                        .unwrap_or(fair),
                    alarms,
                }),
                None => None,
            };
            table.row(video, &score, legacy, anomaly).map_err(failed)
        })?;
        table.finish().map_err(failed)
    }

    /// Every score, read again.
    ///
    /// # Errors
    /// [`EvalError::Write`] for the file of the scores.
    pub fn scores(&mut self) -> Result<Vec<FrameScore>, EvalError> {
        let mut all = Vec::with_capacity(self.rows);
        self.each(|score| {
            all.push(score);
            Ok(())
        })?;
        Ok(all)
    }

    /// Goes through all scores, in order.
    fn each(
        &mut self,
        mut visit: impl FnMut(FrameScore) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let rewound = self.file.flush().and_then(|()| self.file.rewind());
        rewound.map_err(|e| self.failed(e))?;
        let mut rows = BufReader::new(self.file.get_ref());
        for _ in 0..self.rows {
            let score = read(&mut rows, self.pools).map_err(|e| self.failed(e))?;
            visit(score)?;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> EvalError {
        EvalError::Write {
            path: self.folder.join("temporary scores"),
            source,
        }
    }
}

/// A score for a detector, whose events do not depend on times.
fn timed(index: usize, score: f64) -> TimedScore {
    TimedScore {
        index,
        seconds: None,
        score: Some(score),
    }
}

/// What `ScoreSpool::put` wrote.
fn read(from: &mut impl Read, pools: usize) -> io::Result<FrameScore> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    let frame = usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX);
    let mut number = || -> io::Result<f64> {
        from.read_exact(&mut bytes)?;
        Ok(f64::from_le_bytes(bytes))
    };
    let seconds = Some(number()?).filter(|t| !t.is_nan());
    let (psnr, patch, excess) = (number()?, number()?, number()?);
    Ok(FrameScore {
        frame,
        seconds,
        psnr,
        patch,
        excess,
        distances: (0..pools).map(|_| number()).collect::<io::Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VideoScores, scores_csv};

    /// Frames of all kinds: with and without a time, gaps, a constant column.
    fn frames(count: u32, pools: usize, constant: bool) -> Vec<FrameScore> {
        let frame = |i: u32| {
            let wave = |k: f64| (f64::from(i) * k).sin();
            FrameScore {
                frame: usize::try_from(i + i / 7).unwrap(),
                seconds: (!i.is_multiple_of(3)).then(|| f64::from(i) / 25.0),
                psnr: if constant { 30.0 } else { 30.0 + wave(0.37) },
                patch: 0.01 + 0.001 * wave(0.11),
                distances: (0..pools)
                    .map(|p| 0.1 + wave(0.05) / (2.0 + p as f64))
                    .collect(),
                excess: -5.0 + wave(0.7),
            }
        };
        (0..count).map(frame).collect()
    }

    #[test]
    fn a_spool_writes_what_a_table_in_memory_does() {
        let folder = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(folder.path()).unwrap();
        let calibration = Calibration {
            window: 8,
            window_stride: 2,
            history: 8,
            baseline: crate::Baseline::default(),
            median: -5.0,
            mad: 0.3,
            frames: 100,
            map_threshold: 3.0,
            alarm: Some(crate::AlarmThreshold {
                threshold: 1.0,
                per_hour: Some(1.0),
                per_thousand_frames: None,
                counted: true,
                hours: None,
            }),
        };
        for (count, pools, constant) in
            [(1, 3, false), (700, 3, false), (50, 0, false), (9, 1, true)]
        {
            for calibration in [None, Some(&calibration)] {
                let all = frames(count, pools, constant);
                let mut spool = ScoreSpool::new(folder, pools).unwrap();
                for score in &all {
                    spool.push(score).unwrap();
                }
                assert_eq!(spool.len(), all.len());
                let numbers: Vec<usize> = (1..=pools).collect();
                let mut csv = Vec::new();
                let name = "a, b.mp4";
                spool
                    .write_csv(name, &numbers, true, calibration, &mut csv)
                    .unwrap();
                let table = VideoScores::new(name, all.len(), all, None, calibration);
                assert_eq!(
                    String::from_utf8(csv).unwrap(),
                    scores_csv(&table, &numbers)
                );
            }
        }
        assert_eq!(
            folder.read_dir_utf8().unwrap().count(),
            0,
            "nothing has a name"
        );
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = ScoreSpool::new("no/such/folder".into(), 1).unwrap_err();
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }
}
