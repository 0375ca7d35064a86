//! Who crosses the plaza when: one plan per clip, drawn from the seed before anything is rendered.

use std::f32::consts::TAU;
use std::ops::Range;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::actor::{Actor, Gait, Look, Luggage};
use super::camera::Camera;
use super::figure::Body;
use super::path::{CROSSING, FAR, MIDDLE, Motion, NEAR, PATHS, Pace, Path, paths};
use super::wardrobe;
use super::{Kind, SynthOptions};
use crate::Size;

/// How long an anomaly is in view, seconds. A little inside the promised 3 to 8, because a body's
/// outline is not its box.
const ODD_SECONDS: Range<f32> = 3.3..7.7;
/// The least time before a test clip's first anomaly, seconds.
const LEAD: f32 = 2.0;
/// Where anomalies happen: the walkways on which people are at least an eighth of the picture's
/// height. Further away they are a few pixels once a picture is resized for a network.
const CLOSE: [usize; 2] = [NEAR, MIDDLE];
/// Room between two actors, metres.
const GAP: f32 = 0.25;

/// One clip: who is in it, when and where. Rendered by [`Renderer`](super::Renderer).
#[derive(Clone, Debug)]
pub struct ClipPlan {
    pub(super) seed: u64,
    pub(super) frames: usize,
    pub(super) rate_hz: u32,
    pub(super) actors: Vec<Actor>,
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
    pub fn kinds(&self) -> Vec<Kind> {
        let mut odd: Vec<_> = self
            .actors
            .iter()
            .filter_map(|actor| actor.anomaly.as_ref())
            .collect();
        odd.sort_by(|a, b| a.1.start.total_cmp(&b.1.start));
        odd.iter().map(|(kind, _)| *kind).collect()
    }

    /// The time of a frame, seconds.
    pub(super) fn seconds(&self, index: usize) -> f32 {
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
        let clip = |stream: u64, kinds: &[Kind]| Planner::new(options, stream).plan(kinds);
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

fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

/// The kinds of every test clip: one, two or none each, every kind once before any comes again.
fn deal(clips: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<Kind>> {
    let counts: &[usize] = match clips {
        0..=2 => &[2, 2],
        3 => &[2, 2, 2],
        4 => &[2, 1, 2, 1],
        _ => &[1, 2, 1, 0, 2, 1],
    };
    let mut deck: Vec<Kind> = Vec::new();
    let mut draw = |held: &[Kind]| {
        if deck.is_empty() {
            deck = Kind::ALL.to_vec();
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

/// The stretch of a walkway that is in view, metres from its start in the direction of travel.
#[derive(Clone, Copy)]
struct View {
    enter: f32,
    leave: f32,
}

/// Everybody who has a part in an anomaly, and when it is in view, seconds.
struct Oddity {
    actors: Vec<Actor>,
    seen: Range<f32>,
}

struct Planner {
    rng: ChaCha8Rng,
    camera: Camera,
    paths: [Path; PATHS],
    size: Size,
    seconds: f32,
    rate_hz: u32,
    actors: Vec<Actor>,
}

impl Planner {
    fn new(options: &SynthOptions, stream: u64) -> Self {
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

    fn plan(mut self, kinds: &[Kind]) -> ClipPlan {
        let share = (self.seconds - LEAD) / kinds.len().max(1) as f32;
        let mut from = LEAD;
        for kind in kinds {
            self.add_anomaly(*kind, from..from + share);
            from += share;
        }
        self.add_walkers();
        ClipPlan {
            seed: self.rng.random(),
            frames: super::frames(f64::from(self.seconds), self.rate_hz),
            rate_hz: self.rate_hz,
            actors: self.actors,
        }
    }

    /// Adds an anomaly that is seen within a slot of time, where it fits into it.
    fn add_anomaly(&mut self, kind: Kind, slot: Range<f32>) {
        let mut best: Option<(u8, Vec<Actor>)> = None;
        for _ in 0..400 {
            let Oddity { actors, seen } = self.anomaly(kind, &slot);
            if !ODD_SECONDS.contains(&(seen.end - seen.start)) {
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

    fn anomaly(&mut self, kind: Kind, slot: &Range<f32>) -> Oddity {
        // Leave room for the anomaly itself where the slot has it.
        let slack = (slot.end - slot.start - 5.5).max(0.5);
        let begin = slot.start + self.rng.random_range(0.0..slack);
        match kind {
            Kind::Cyclist => {
                let body = wardrobe::sporty(&mut self.rng);
                let frame = wardrobe::case(&mut self.rng);
                let path = self.one_of(&CLOSE);
                let speed = self.rng.random_range(3.8..5.2);
                self.passing(kind, Look::Bicycle { body, frame }, path, speed, begin)
            }
            Kind::Cart => {
                let body = wardrobe::body(&mut self.rng);
                let paint = wardrobe::paint(&mut self.rng);
                let path = self.one_of(&CLOSE);
                let speed = self.rng.random_range(2.3..3.6);
                self.passing(kind, Look::Cart { body, paint }, path, speed, begin)
            }
            Kind::Runner => {
                let body = wardrobe::sporty(&mut self.rng);
                let speed = self.rng.random_range(3.0..3.8);
                let gait = wardrobe::run(&mut self.rng, speed);
                let path = self.one_of(&CLOSE);
                let look = Look::OnFoot {
                    body,
                    gait,
                    luggage: None,
                };
                self.passing(kind, look, path, speed, begin)
            }
            Kind::WrongWay => {
                let speed = self.rng.random_range(1.4..1.85);
                let look = self.walker(speed);
                let path = self.one_of(&CLOSE);
                self.passing(kind, look, path, speed, begin)
            }
            Kind::LeftObject => self.left_object(begin),
            Kind::Loiterer => self.loiterer(begin),
        }
    }

    /// An actor that is an anomaly all the way, seen from `begin` on.
    fn passing(&mut self, kind: Kind, look: Look, path: usize, speed: f32, begin: f32) -> Oddity {
        let room = if kind == Kind::Cart { 0.1 } else { 0.6 };
        let mut motion =
            Motion::steady(path, self.rng.random_range(-room..room), begin, 0.0, speed);
        motion.reversed = kind == Kind::WrongWay;
        motion.drift = self.rng.random_range(0.0..TAU);
        let view = self.view(&look, &motion);
        motion.start = view.enter;
        let end = begin + (view.leave - view.enter) / speed;
        // Legs and shadows reach further than boxes.
        let present = begin - 1.2..end + 1.2;
        let anomaly = Some((kind, present.clone()));
        Oddity {
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
    fn left_object(&mut self, drop: f32) -> Oddity {
        let path = self.one_of(&CLOSE);
        let take = drop + self.rng.random_range(ODD_SECONDS);
        let color = wardrobe::case(&mut self.rng);
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
            // The hand hangs beside the body.
            motion: Motion {
                drift,
                ..Motion::steady(path, offset + 0.25, 0.0, place, 0.0)
            },
            present: drop..take,
            anomaly: Some((Kind::LeftObject, drop..take)),
        });
        Oddity {
            actors,
            seen: drop..take,
        }
    }

    /// Somebody stops, hangs about and walks on.
    fn loiterer(&mut self, stop: f32) -> Oddity {
        let path = self.one_of(&CLOSE);
        let speed = self.rng.random_range(1.1..1.4);
        let look = self.walker(speed);
        let go = stop + self.rng.random_range(ODD_SECONDS);
        let pace = |seconds, speed| Pace { seconds, speed };
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
        actor.anomaly = Some((Kind::Loiterer, stop..go));
        Oddity {
            actors: vec![actor],
            seen: stop..go,
        }
    }

    /// Fills the clip with people who walk as everybody does, two to six in view at once.
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
            color: wardrobe::case(&mut self.rng),
            held: -100.0..self.seconds + 100.0,
        });
        Look::OnFoot {
            body,
            gait,
            luggage,
        }
    }

    fn person(&mut self, speed: f32) -> (Body, Gait) {
        let body = wardrobe::body(&mut self.rng);
        let gait = wardrobe::walk(&mut self.rng, &body, speed);
        (body, gait)
    }

    fn one_of(&mut self, paths: &[usize]) -> usize {
        paths[self.rng.random_range(0..paths.len())]
    }

    /// Where on its way an actor is in view.
    fn view(&self, look: &Look, motion: &Motion) -> View {
        let path = &self.paths[motion.path];
        let bulk = look.bulk();
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        let steps = ((path.length() + 8.0) * 10.0) as u16;
        let seen = |step: &u16| {
            // At one metre per second, time is distance.
            let walk = Motion {
                paces: vec![Pace {
                    seconds: 0.0,
                    speed: 1.0,
                }],
                start: -4.0,
                ..motion.clone()
            };
            let place = walk.place(&self.paths, f32::from(*step) * 0.1);
            bulk.is_in_view(&self.camera, place, width, height)
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
            let bulk = actor.look.bulk();
            bulk.half_length.max(bulk.half_width)
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
                let gap = actor.motion.place(&self.paths, now).point
                    - other.motion.place(&self.paths, now).point;
                if gap.length() < apart {
                    return false;
                }
                now += 0.2;
            }
            true
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::camera::Vec3;
    use super::*;

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
                let flat: Vec<Kind> = dealt.iter().flatten().copied().collect();
                assert!(
                    Kind::ALL.iter().all(|kind| flat[..6].contains(kind)),
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
                        let place = actor.motion.place(&paths, seconds);
                        actor.look.bulk().is_in_view(&camera, place, 320.0, 240.0)
                    });
                    counts[people.count()] += 1;
                    frames += 1;
                }
            }
        }
        let usual: u32 = counts[2..=6].iter().sum();
        assert!(f64::from(usual) > 0.97 * f64::from(frames), "{counts:?}");
        assert_eq!(counts[0], 0, "{counts:?}");
    }
}
