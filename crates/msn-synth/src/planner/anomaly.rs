//! The actors of each kind of anomaly.

use std::f32::consts::TAU;
use std::ops::Range;

use rand::RngExt;

use super::{ANOMALY_SECONDS, CLOSE, PlannedAnomaly, Planner};
use crate::actor::{Actor, Look, Luggage};
use crate::path::{Motion, SpeedPoint};
use crate::{AnomalyKind, appearance};

impl Planner {
    /// Draws the actors of an anomaly that begins within a slot of time, seconds.
    pub(super) fn anomaly(&mut self, kind: AnomalyKind, slot: &Range<f32>) -> PlannedAnomaly {
        // Leave time for the anomaly itself where the slot has it.
        let slack = (slot.end - slot.start - 5.5).max(0.5);
        let begin = slot.start + self.rng.random_range(0.0..slack);
        match kind {
            AnomalyKind::Cyclist => {
                let body = appearance::sporty(&mut self.rng);
                let frame = appearance::case(&mut self.rng);
                let path = self.one_of(&CLOSE);
                let speed = self.rng.random_range(3.8..5.2);
                self.passing(kind, Look::Bicycle { body, frame }, path, speed, begin)
            }
            AnomalyKind::Cart => {
                let body = appearance::body(&mut self.rng);
                let paint = appearance::paint(&mut self.rng);
                let path = self.one_of(&CLOSE);
                let speed = self.rng.random_range(2.3..3.6);
                self.passing(kind, Look::Cart { body, paint }, path, speed, begin)
            }
            AnomalyKind::Runner => {
                let body = appearance::sporty(&mut self.rng);
                let speed = self.rng.random_range(3.0..3.8);
                let gait = appearance::run(&mut self.rng, speed);
                let path = self.one_of(&CLOSE);
                let look = Look::OnFoot {
                    body,
                    gait,
                    luggage: None,
                };
                self.passing(kind, look, path, speed, begin)
            }
            AnomalyKind::WrongWay => {
                let speed = self.rng.random_range(1.4..1.85);
                let look = self.walker(speed);
                let path = self.one_of(&CLOSE);
                self.passing(kind, look, path, speed, begin)
            }
            AnomalyKind::LeftObject => self.left_object(begin),
            AnomalyKind::Loiterer => self.loiterer(begin),
        }
    }

    /// An actor that is an anomaly all the way, seen from `begin` on.
    fn passing(
        &mut self,
        kind: AnomalyKind,
        look: Look,
        path: usize,
        speed: f32,
        begin: f32,
    ) -> PlannedAnomaly {
        let width = if kind == AnomalyKind::Cart { 0.1 } else { 0.6 };
        let mut motion = Motion::steady(
            path,
            self.rng.random_range(-width..width),
            begin,
            0.0,
            speed,
        );
        motion.reversed = kind == AnomalyKind::WrongWay;
        motion.drift = self.rng.random_range(0.0..TAU);
        let view = self.view(&look, &motion);
        motion.start = view.enter;
        let end = begin + (view.leave - view.enter) / speed;
        // Legs and shadows reach further than boxes.
        let present = begin - 1.2..end + 1.2;
        let anomaly = Some((kind, present.clone()));
        PlannedAnomaly {
            actors: vec![Actor {
                look,
                motion,
                present,
                anomaly,
            }],
            seen: begin..end,
        }
    }

    /// Somebody lets go of a suitcase and walks on; somebody else takes it along.
    fn left_object(&mut self, drop: f32) -> PlannedAnomaly {
        let path = self.one_of(&CLOSE);
        let take = drop + self.rng.random_range(ANOMALY_SECONDS);
        let color = appearance::case(&mut self.rng);
        let offset = self.rng.random_range(0.1..0.6);
        let drift = self.rng.random_range(0.0..TAU);
        let share = self.rng.random_range(0.3..0.7);
        let mut actors = Vec::new();
        let mut place = 0.0;
        for (at, held) in [(drop, -100.0..drop), (take, take..self.seconds + 100.0)] {
            let speed = self.rng.random_range(1.15..1.5);
            let (body, gait) = self.person(speed);
            let luggage = Some(Luggage { color, held });
            let look = Look::OnFoot {
                body,
                gait,
                luggage,
            };
            let mut motion = Motion {
                drift,
                ..Motion::steady(path, offset, at, 0.0, speed)
            };
            let view = self.view(&look, &motion);
            if actors.is_empty() {
                place = view.enter + (view.leave - view.enter) * share;
            }
            motion.start = place;
            actors.push(self.ordinary(look, motion, view));
        }
        actors.push(Actor {
            look: Look::Suitcase { color },
            // The hand is off the body's axis.
            motion: Motion {
                drift,
                ..Motion::steady(path, offset + 0.25, 0.0, place, 0.0)
            },
            present: drop..take,
            anomaly: Some((AnomalyKind::LeftObject, drop..take)),
        });
        PlannedAnomaly {
            actors,
            seen: drop..take,
        }
    }

    /// Somebody stops, hangs about and walks on.
    fn loiterer(&mut self, stop: f32) -> PlannedAnomaly {
        let path = self.one_of(&CLOSE);
        let speed = self.rng.random_range(1.1..1.4);
        let look = self.walker(speed);
        let go = stop + self.rng.random_range(ANOMALY_SECONDS);
        let pace = |seconds, speed| SpeedPoint { seconds, speed };
        let offset = self.rng.random_range(0.2..0.7);
        let mut motion = Motion {
            drift: self.rng.random_range(0.0..TAU),
            paces: vec![
                pace(stop - 0.5, speed),
                pace(stop + 0.3, 0.0),
                pace(go - 0.3, 0.0),
                pace(go + 0.5, speed),
            ],
            ..Motion::steady(path, offset, 0.0, 0.0, speed)
        };
        let view = self.view(&look, &motion);
        let place = view.enter + (view.leave - view.enter) * self.rng.random_range(0.25..0.75);
        motion.start = place - motion.distance(stop + 0.3);
        let mut actor = self.ordinary(look, motion, view);
        actor.anomaly = Some((AnomalyKind::Loiterer, stop..go));
        PlannedAnomaly {
            actors: vec![actor],
            seen: stop..go,
        }
    }
}
