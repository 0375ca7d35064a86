//! The frames of an evaluation that are worth a look.

use msn_data::{FrameLabels, LoadedVideo};
use msn_eval::{Calibration, ScoredFrame};
use msn_model::push_planes;

use crate::{RunError, picture::Grid};

/// The anomaly with the highest score, the one with the lowest, and the normal frame with the
/// highest.
#[derive(Default)]
pub(crate) struct Highlights([Option<Pick>; 3]);

struct Pick {
    video: String,
    /// The frame as planes in -1..=1.
    truth: Vec<f32>,
    frame: ScoredFrame,
}

const TITLES: [&str; 3] = [
    "The anomalous frame with the highest score",
    "The anomalous frame with the lowest score",
    "The normal frame with the highest score",
];

impl Highlights {
    /// Looks at a frame, by its anomaly score before it is standardised.
    pub fn see(
        &mut self,
        video: &LoadedVideo,
        labels: &FrameLabels,
        frame: &ScoredFrame,
    ) -> Result<(), msn_data::DataError> {
        let at = frame.score.frame;
        let anomalous = labels.anomalous[at];
        let score = |pick: &Option<Pick>| pick.as_ref().map(|p| p.frame.score.excess);
        let [most, least, normal] = self.0.each_ref().map(score);
        let new = frame.score.excess;
        let chosen = [
            anomalous && most.is_none_or(|old| new > old),
            anomalous && least.is_none_or(|old| new < old),
            !anomalous && normal.is_none_or(|old| new > old),
        ];
        for (slot, _) in self.0.iter_mut().zip(chosen).filter(|(_, chosen)| *chosen) {
            let mut truth = Vec::new();
            push_planes(&video.frame(at)?, video.color.channels(), &mut truth);
            *slot = Some(Pick {
                video: video.name.clone(),
                truth,
                frame: frame.clone(),
            });
        }
        Ok(())
    }

    /// A row a frame: truth, prediction, error, each pool's distances; and what they are. `None`
    /// where there is nothing to show.
    pub fn draw(
        &self,
        calibration: Option<&Calibration>,
    ) -> Result<Option<(Vec<u8>, String)>, RunError> {
        let named = TITLES.iter().zip(&self.0);
        let picks: Vec<_> = named.filter_map(|(t, p)| Some((t, p.as_ref()?))).collect();
        let Some((_, first)) = picks.first() else {
            return Ok(None);
        };
        let pools = first.frame.maps.prediction.distances.len();
        let error = &first.frame.maps.error;
        let mut grid = Grid::new([picks.len(), 3 + pools], [error.height, error.width]);
        let mut caption = String::new();
        for (row, (title, pick)) in picks.iter().enumerate() {
            let maps = &pick.frame.maps;
            grid.put_frame([row, 0], &pick.truth);
            grid.put_frame([row, 1], &maps.prediction.planes);
            grid.put_error([row, 2], &maps.error);
            for (i, (_, map)) in maps.prediction.distances.iter().enumerate() {
                // One scale for all rows.
                let all = picks
                    .iter()
                    .flat_map(|(_, p)| &p.frame.maps.prediction.distances[i].1.values);
                let white = all.fold(0f32, |most, value| most.max(*value));
                grid.put_map([row, 3 + i], map, white);
            }
            let score = &pick.frame.score;
            caption += &format!("{title}: {}, frame {}", pick.video, score.frame);
            if let Some(calibration) = calibration {
                let fair = calibration.standardise(score.excess);
                caption += &format!(", anomaly score {fair:.2}");
            }
            caption += ". ";
        }
        caption += "A row each: the frame, its prediction, the error (white: a quarter of the \
            brightness range or more)";
        if pools > 0 {
            caption += ", and the distance to the nearest item of each pool, finest first (white: \
                the largest of these frames)";
        }
        caption += ". Chosen by the anomaly score.";
        Ok(Some((grid.png()?, caption)))
    }
}
