//! Who crosses the plaza when: one plan per clip, drawn from the seed before anything is rendered.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::actor::Actor;
use crate::planner::Planner;
use crate::{AnomalyKind, SynthOptions};

/// One clip: who is in it, when and where. Rendered by [`Renderer`](crate::Renderer).
#[derive(Clone, Debug)]
pub struct ClipPlan {
    pub(crate) seed: u64,
    pub(crate) frames: usize,
    pub(crate) rate_hz: u32,
    pub(crate) actors: Vec<Actor>,
}

impl ClipPlan {
    /// Frames of the clip.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Frames per second.
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// The anomalies of the clip in order of their planned beginning.
    pub fn kinds(&self) -> Vec<AnomalyKind> {
        let mut anomalies: Vec<_> = self
            .actors
            .iter()
            .filter_map(|actor| actor.anomaly.as_ref())
            .collect();
        anomalies.sort_by(|a, b| a.1.start.total_cmp(&b.1.start));
        anomalies.iter().map(|(kind, _)| *kind).collect()
    }

    /// The time of a frame, seconds.
    pub(crate) fn seconds(&self, index: usize) -> f32 {
        (index as f64 / f64::from(self.rate_hz)) as f32
    }
}

/// The clips of a data set.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Training clips, without anomalies.
    pub train: Vec<ClipPlan>,
    /// Test clips.
    pub test: Vec<ClipPlan>,
}

impl Plan {
    /// Plans every clip. Clips do not depend on how many others there are, but which anomalies a
    /// test clip holds depends on the number of test clips.
    pub fn new(options: &SynthOptions) -> Self {
        let clip = |stream: u64, kinds: &[AnomalyKind]| Planner::new(options, stream).plan(kinds);
        let mut rng = rng(options.seed, 1);
        let dealt = deal(options.test_clips, &mut rng);
        Self {
            train: (0..options.train_clips)
                .map(|i| clip(2 * i as u64 + 100, &[]))
                .collect(),
            test: dealt
                .iter()
                .enumerate()
                .map(|(i, kinds)| clip(2 * i as u64 + 101, kinds))
                .collect(),
        }
    }
}

/// The generator of one purpose: streams of a seed are independent.
pub(crate) fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// The kinds of every test clip: one, two or none each, every kind once before any comes again.
fn deal(clips: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<AnomalyKind>> {
    let counts: &[usize] = match clips {
        0..=2 => &[2, 2],
        3 => &[2, 2, 2],
        4 => &[2, 1, 2, 1],
        _ => &[1, 2, 1, 0, 2, 1],
    };
    let mut deck: Vec<AnomalyKind> = Vec::new();
    let mut draw = |held: &[AnomalyKind]| {
        if deck.is_empty() {
            deck = AnomalyKind::ALL.to_vec();
            deck.shuffle(rng);
        }
        // A new deck may end with what the clip holds already.
        let other = deck.iter().rposition(|kind| !held.contains(kind));
        deck.remove(other.unwrap_or(deck.len() - 1))
    };
    (0..clips)
        .map(|clip| {
            let mut kinds = Vec::new();
            for _ in 0..counts[clip % counts.len()] {
                let kind = draw(&kinds);
                kinds.push(kind);
            }
            kinds
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::camera::{Camera, Vec3};
    use crate::path::paths;
    use crate::planner::CLOSE;

    fn options(seed: u64) -> SynthOptions {
        SynthOptions {
            seed,
            ..SynthOptions::default()
        }
    }

    #[test]
    fn every_kind_comes_once_before_any_comes_again() {
        for clips in 3..12 {
            for seed in 0..20 {
                let dealt = deal(clips, &mut rng(seed, 1));
                let flat: Vec<AnomalyKind> = dealt.iter().flatten().copied().collect();
                assert!(
                    AnomalyKind::ALL.iter().all(|kind| flat[..6].contains(kind)),
                    "{dealt:?}"
                );
                assert!(
                    dealt
                        .iter()
                        .all(|kinds| kinds.len() < 2 || kinds[0] != kinds[1])
                );
            }
        }
    }

    #[test]
    fn only_test_clips_hold_anomalies() {
        for seed in 0..5 {
            let plan = Plan::new(&options(seed));
            assert!(plan.train.iter().all(|clip| clip.kinds().is_empty()));
            assert_eq!(
                plan.test
                    .iter()
                    .map(|clip| clip.kinds().len())
                    .sum::<usize>(),
                10
            );
            assert!(plan.test.iter().any(|clip| clip.kinds().is_empty()));
            assert!(plan.test.iter().any(|clip| clip.kinds().len() == 2));
        }
    }

    #[test]
    fn anomalies_happen_where_people_are_an_eighth_of_the_picture() {
        let options = options(0);
        let (camera, paths) = (Camera::new(options.size), paths());
        for path in CLOSE {
            let length = paths[path].length();
            for share in [0.2, 0.5, 0.8] {
                let foot = paths[path].at(length * share).point;
                let head = foot + Vec3::new(0.0, 1.54, 0.0);
                let height = (camera.project(foot).v - camera.project(head).v).abs();
                let share = height / options.size.height as f32;
                assert!(share >= 0.125, "{path}: {share}");
            }
        }
    }

    #[test]
    fn two_to_six_people_are_in_view() {
        let (camera, paths) = (Camera::new(options(0).size), paths());
        let (mut counts, mut frames) = ([0u32; 12], 0);
        for seed in 0..4 {
            for clip in Plan::new(&options(seed)).train {
                for index in (0..clip.frames()).step_by(3) {
                    let seconds = clip.seconds(index);
                    let people = clip.actors.iter().filter(|actor| {
                        let position = actor.motion.position(&paths, seconds);
                        actor
                            .look
                            .bounding_box()
                            .is_in_view(&camera, position, 320.0, 240.0)
                    });
                    counts[people.count()] += 1;
                    frames += 1;
                }
            }
        }
        let expected: u32 = counts[2..=6].iter().sum();
        assert!(f64::from(expected) > 0.97 * f64::from(frames), "{counts:?}");
        assert_eq!(counts[0], 0, "{counts:?}");
    }
}
