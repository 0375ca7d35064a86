//! The labels of a scene: `events.csv`.

use serde::Serialize;

use crate::{AnomalyKind, ClipFormat, SynthOptions};

/// An unbroken run of frames that show an anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelledAnomaly {
    /// The clip's path under `test/`: `03.mp4`, or `03` for a frame folder.
    pub video: String,
    /// The first frame, 0-based.
    pub start_frame: usize,
    /// One past the last frame.
    pub end_frame: usize,
    /// What it shows.
    pub kind: AnomalyKind,
}

/// Unbroken runs of every kind, in order of their first frame.
pub(crate) fn runs(video: &str, seen: &[Vec<AnomalyKind>]) -> Vec<LabelledAnomaly> {
    let mut events = Vec::new();
    for kind in AnomalyKind::ALL {
        let mut start_frame = None;
        for (index, kinds) in seen.iter().map(Vec::as_slice).chain([&[][..]]).enumerate() {
            match (start_frame, kinds.contains(&kind)) {
                (None, true) => start_frame = Some(index),
                (Some(first), false) => {
                    let video = video.to_owned();
                    events.push(LabelledAnomaly {
                        video,
                        start_frame: first,
                        end_frame: index,
                        kind,
                    });
                    start_frame = None;
                }
                _ => {}
            }
        }
    }
    events.sort_by_key(|event| (event.start_frame, event.end_frame, event.kind));
    events
}

/// The bytes of `events.csv`: in seconds for videos, in frames for folders.
pub(crate) fn table(anomalies: &[LabelledAnomaly], options: &SynthOptions) -> csv::Result<Vec<u8>> {
    let seconds = |frame: usize| {
        let seconds = ((frame as f64 - 0.5) / f64::from(options.rate_hz)).max(0.0);
        format!("{seconds:.4}")
    };
    let (columns, position): (_, &dyn Fn(usize) -> String) = match options.output {
        ClipFormat::Videos => (["video", "start", "end", "kind"], &seconds),
        ClipFormat::Frames => (["video", "start_frame", "end_frame", "kind"], &|frame| {
            frame.to_string()
        }),
    };
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(columns)?;
    for anomaly in anomalies {
        let video = match options.output {
            ClipFormat::Videos => anomaly.video.clone(),
            // Folders are called 01, which readers of tables would take for the number 1.
            ClipFormat::Frames => format!("./{}", anomaly.video),
        };
        table.write_record([
            &video,
            &position(anomaly.start_frame),
            &position(anomaly.end_frame),
            &anomaly.kind.to_string(),
        ])?;
    }
    table.into_inner().map_err(|e| e.into_error().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(events: &[LabelledAnomaly], options: &SynthOptions) -> String {
        String::from_utf8(table(events, options).unwrap()).unwrap()
    }

    const SEEN: [&[AnomalyKind]; 6] = [
        &[],
        &[AnomalyKind::Runner],
        &[AnomalyKind::Cart, AnomalyKind::Runner],
        &[AnomalyKind::Cart],
        &[],
        &[AnomalyKind::Runner],
    ];

    #[test]
    fn runs_are_unbroken_and_half_open() {
        let events = runs("03.mp4", &SEEN.map(<[AnomalyKind]>::to_vec));
        let short: Vec<_> = events
            .iter()
            .map(|event| (event.start_frame, event.end_frame, event.kind))
            .collect();
        assert_eq!(
            short,
            [
                (1, 3, AnomalyKind::Runner),
                (2, 4, AnomalyKind::Cart),
                (5, 6, AnomalyKind::Runner)
            ]
        );
    }

    #[test]
    fn seconds_lie_between_frames_and_frames_are_exact() {
        let events = runs(
            "03",
            &[vec![AnomalyKind::Cart], vec![], vec![AnomalyKind::WrongWay]],
        );
        let mut options = SynthOptions {
            output: ClipFormat::Frames,
            ..SynthOptions::default()
        };
        assert_eq!(
            text(&events, &options),
            "video,start_frame,end_frame,kind\n./03,0,1,cart\n./03,2,3,wrong-way\n"
        );
        options.output = ClipFormat::Videos;
        assert_eq!(
            text(&events, &options),
            "video,start,end,kind\n03,0.0000,0.0500,cart\n03,0.1500,0.2500,wrong-way\n"
        );
    }
}
