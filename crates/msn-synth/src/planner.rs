//! Draws the actors of one clip and their motion: anomalies first, then those who walk normally.

mod anomaly;

use std::f32::consts::TAU;
use std::ops::Range;

use msn_video::Size;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::actor::{Actor, Gait, Look, Luggage};
use crate::appearance;
use crate::camera::Camera;
use crate::path::{CROSSING, FAR, MIDDLE, Motion, NEAR, PATHS, Path, SpeedPoint, paths};
use crate::person::Body;
use crate::plan::{ClipPlan, rng};
use crate::{AnomalyKind, SynthOptions};

/// How long an anomaly is in view, seconds. A little inside the promised 3 to 8, because a body's
/// outline is not its box.
const ANOMALY_SECONDS: Range<f32> = 3.3..7.7;
/// The least time before a test clip's first anomaly, seconds.
const LEAD: f32 = 2.0;
/// Where anomalies happen: the walkways on which people are at least an eighth of the picture's
/// height. Further away they are a few pixels once a picture is resized for a network.
pub(crate) const CLOSE: [usize; 2] = [NEAR, MIDDLE];
/// Room between two actors, metres.
const GAP: f32 = 0.25;

/// The stretch of a walkway that is in view, metres from its start in the direction of travel.
#[derive(Clone, Copy)]
struct View {
    enter: f32,
    leave: f32,
}

/// Everybody who has a part in an anomaly, and when it is in view, seconds.
struct PlannedAnomaly {
    actors: Vec<Actor>,
    seen: Range<f32>,
}

/// Fills one clip with actors.
pub(crate) struct Planner {
    rng: ChaCha8Rng,
    camera: Camera,
    paths: [Path; PATHS],
    size: Size,
    seconds: f32,
    rate_hz: u32,
    actors: Vec<Actor>,
}

impl Planner {
    pub(crate) fn new(options: &SynthOptions, stream: u64) -> Self {
        Self {
            rng: rng(options.seed, stream),
            camera: Camera::new(options.size),
            paths: paths(),
            size: options.size,
            seconds: options.seconds as f32,
            rate_hz: options.rate_hz,
            actors: Vec::new(),
        }
    }

    pub(crate) fn plan(mut self, kinds: &[AnomalyKind]) -> ClipPlan {
        let share = (self.seconds - LEAD) / kinds.len().max(1) as f32;
        let mut from = LEAD;
        for kind in kinds {
            self.add_anomaly(*kind, from..from + share);
            from += share;
        }
        self.add_walkers();
        ClipPlan {
            seed: self.rng.random(),
            frames: (f64::from(self.seconds) * f64::from(self.rate_hz)).round() as usize,
            rate_hz: self.rate_hz,
            actors: self.actors,
        }
    }

    /// Adds an anomaly that is seen within a slot of time, where it fits into it.
    fn add_anomaly(&mut self, kind: AnomalyKind, slot: Range<f32>) {
        let mut best: Option<(u8, Vec<Actor>)> = None;
        for _ in 0..400 {
            let PlannedAnomaly { actors, seen } = self.anomaly(kind, &slot);
            if !ANOMALY_SECONDS.contains(&(seen.end - seen.start)) {
                continue;
            }
            // In short clips and crowded moments better cut off or too near than missing.
            let fits = seen.end <= slot.end;
            let clear = actors.iter().all(|actor| self.is_clear(actor));
            let merit = 2 * u8::from(fits) + u8::from(clear);
            if best.as_ref().is_none_or(|(most, _)| merit > *most) {
                best = Some((merit, actors));
            }
            if merit == 3 {
                break;
            }
        }
        self.actors
            .extend(best.into_iter().flat_map(|(_, actors)| actors));
    }

    /// Fills the clip with people who walk normally, two to six in view at once.
    fn add_walkers(&mut self) {
        let mut now = -16.0;
        let (mut wanted, mut until) = (4, 0.0);
        while now < self.seconds {
            if now >= until {
                wanted = self.rng.random_range(3..=6);
                until = now + self.rng.random_range(4.0..9.0);
            }
            let in_view = self
                .actors
                .iter()
                .filter(|actor| matches!(actor.look, Look::OnFoot { .. }))
                .filter(|actor| actor.present.start < now + 0.9 && actor.present.end > now)
                .count();
            if in_view < wanted {
                self.add_walker(now, wanted - in_view > 1);
            }
            now += 0.4;
        }
    }

    fn add_walker(&mut self, now: f32, with_company: bool) {
        for _ in 0..25 {
            let path = self.one_of(&[NEAR, NEAR, MIDDLE, MIDDLE, FAR, CROSSING]);
            let speed = self.rng.random_range(1.0..1.6);
            let look = self.walker(speed);
            let offset = self.rng.random_range(-0.85..0.85);
            let enter = now + self.rng.random_range(0.0..0.8);
            let drift = self.rng.random_range(0.0..TAU);
            let mut motion = Motion {
                drift,
                ..Motion::steady(path, offset, enter, 0.0, speed)
            };
            let view = self.view(&look, &motion);
            motion.start = view.enter;
            let actor = self.ordinary(look, motion.clone(), view);
            if !self.is_clear(&actor) {
                continue;
            }
            self.actors.push(actor);
            if with_company && self.rng.random_bool(0.25) {
                let look = self.walker(speed);
                let side = if offset > 0.0 { -0.62 } else { 0.62 };
                let motion = Motion {
                    offset: offset + side,
                    ..motion
                };
                let companion = self.ordinary(look, motion, view);
                if self.is_clear(&companion) {
                    self.actors.push(companion);
                }
            }
            return;
        }
    }

    /// An actor that is there for as long as it is in view.
    fn ordinary(&self, look: Look, motion: Motion, view: View) -> Actor {
        let when = |distance: f32| {
            // Every motion gets everywhere, so that bisection finds the time.
            let (mut early, mut late) = (-200.0f32, self.seconds + 200.0);
            for _ in 0..40 {
                let middle = 0.5 * (early + late);
                if motion.distance(middle) < distance {
                    early = middle
                } else {
                    late = middle
                }
            }
            early
        };
        // Shadows are seen a little longer than those who cast them.
        let present = when(view.enter) - 1.5..when(view.leave) + 1.5;
        Actor {
            look,
            motion,
            present,
            anomaly: None,
        }
    }

    fn walker(&mut self, speed: f32) -> Look {
        let (body, gait) = self.person(speed);
        let luggage = self.rng.random_bool(0.1).then(|| Luggage {
            color: appearance::case(&mut self.rng),
            held: -100.0..self.seconds + 100.0,
        });
        Look::OnFoot {
            body,
            gait,
            luggage,
        }
    }

    fn person(&mut self, speed: f32) -> (Body, Gait) {
        let body = appearance::body(&mut self.rng);
        let gait = appearance::walk(&mut self.rng, &body, speed);
        (body, gait)
    }

    fn one_of(&mut self, paths: &[usize]) -> usize {
        paths[self.rng.random_range(0..paths.len())]
    }

    /// Where on its way an actor is in view.
    fn view(&self, look: &Look, motion: &Motion) -> View {
        let path = &self.paths[motion.path];
        let bounds = look.bounding_box();
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        let steps = ((path.length() + 8.0) * 10.0) as u16;
        let seen = |step: &u16| {
            // At one metre per second, time is distance.
            let walk = Motion {
                paces: vec![SpeedPoint {
                    seconds: 0.0,
                    speed: 1.0,
                }],
                start: -4.0,
                ..motion.clone()
            };
            let position = walk.position(&self.paths, f32::from(*step) * 0.1);
            bounds.is_in_view(&self.camera, position, width, height)
        };
        let enter = (0..steps).find(seen).unwrap_or(0);
        let leave = (0..steps).rev().find(seen).unwrap_or(steps);
        View {
            enter: f32::from(enter) * 0.1 - 4.1,
            leave: f32::from(leave) * 0.1 - 3.9,
        }
    }

    /// Whether an actor keeps its distance from all others.
    fn is_clear(&self, actor: &Actor) -> bool {
        let reach = |actor: &Actor| {
            let bounds = actor.look.bounding_box();
            bounds.half_length.max(bounds.half_width)
        };
        self.actors.iter().all(|other| {
            let apart = reach(actor)
                + reach(other)
                + if reach(actor).max(reach(other)) > 0.5 {
                    GAP
                } else {
                    -0.05
                };
            let mut now = actor.present.start.max(other.present.start).max(-1.0);
            let end = actor
                .present
                .end
                .min(other.present.end)
                .min(self.seconds + 1.0);
            while now < end {
                let gap = actor.motion.position(&self.paths, now).point
                    - other.motion.position(&self.paths, now).point;
                if gap.length() < apart {
                    return false;
                }
                now += 0.2;
            }
            true
        })
    }
}
