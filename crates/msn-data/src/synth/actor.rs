//! Everything that moves: who it is, how it moves, when it is there and when it is an anomaly.

use std::f32::consts::PI;
use std::ops::Range;

use super::Kind;
use super::angle::{cos, sin};
use super::camera::{Camera, Vec3};
use super::canvas::{Part, Rgb};
use super::figure::{Body, Pose, Stance, on_foot};
use super::path::{Motion, PATHS, Path, Place};
use super::vehicle::{bicycle, carried, cart, sort, suitcase};

/// How somebody goes at their usual speed.
#[derive(Clone, Debug)]
pub(super) struct Gait {
    /// Usual speed, metres per second.
    pub speed: f32,
    /// Length of a step at that speed, metres.
    pub step: f32,
    pub pose: Pose,
}

/// A suitcase in somebody's hand.
#[derive(Clone, Debug)]
pub(super) struct Luggage {
    pub color: Rgb,
    /// Seconds in which it is in the hand.
    pub held: Range<f32>,
}

/// What an actor looks like.
#[derive(Clone, Debug)]
pub(super) enum Look {
    OnFoot {
        body: Body,
        gait: Gait,
        luggage: Option<Luggage>,
    },
    Bicycle {
        body: Body,
        frame: Rgb,
    },
    Cart {
        body: Body,
        paint: Rgb,
    },
    Suitcase {
        color: Rgb,
    },
}

/// Something in the scene.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub look: Look,
    pub motion: Motion,
    /// Seconds in which it exists.
    pub present: Range<f32>,
    /// What is odd about it, and in which seconds.
    pub anomaly: Option<(Kind, Range<f32>)>,
}

/// Room that an actor takes: half its length and width, and its height, metres.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bulk {
    pub half_length: f32,
    pub half_width: f32,
    pub height: f32,
}

impl Look {
    pub(super) fn bulk(&self) -> Bulk {
        let (half_length, half_width, height) = match self {
            Self::OnFoot { body, .. } => (0.3, 0.3, body.height),
            Self::Bicycle { .. } => (0.9, 0.3, 1.75),
            Self::Cart { .. } => (1.4, 0.65, 2.1),
            Self::Suitcase { .. } => (0.25, 0.14, 0.65),
        };
        Bulk {
            half_length,
            half_width,
            height,
        }
    }
}

impl Bulk {
    /// Whether a box of this size at a place lies in the picture, wholly or in part.
    pub(super) fn is_in_view(self, camera: &Camera, place: Place, width: f32, height: f32) -> bool {
        let stance = Stance::new(place);
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for right in [-self.half_width, self.half_width] {
            for ahead in [-self.half_length, self.half_length] {
                for up in [0.0, self.height] {
                    let spot = camera.project(stance.to_world(right, up, ahead));
                    low = [low[0].min(spot.u), low[1].min(spot.v)];
                    high = [high[0].max(spot.u), high[1].max(spot.v)];
                }
            }
        }
        high[0] > 0.5 && high[1] > 0.5 && low[0] < width - 0.5 && low[1] < height - 0.5
    }
}

impl Actor {
    /// Distance from the camera at a time, by which actors are drawn from back to front.
    pub(super) fn depth(&self, camera: &Camera, paths: &[Path; PATHS], seconds: f32) -> f32 {
        camera.depth(self.motion.place(paths, seconds).point)
    }

    /// What to draw at a time, from back to front.
    pub(super) fn parts(&self, camera: &Camera, paths: &[Path; PATHS], seconds: f32) -> Vec<Part> {
        let stance = Stance::new(self.motion.place(paths, seconds));
        let distance = self.motion.distance(seconds);
        let mut parts = Vec::new();
        match &self.look {
            Look::OnFoot {
                body,
                gait,
                luggage,
            } => {
                let effort = (self.motion.speed(seconds) / gait.speed).clamp(0.0, 1.0);
                let luggage = luggage
                    .as_ref()
                    .filter(|luggage| luggage.held.contains(&seconds));
                // Who stands looks around.
                let idle = 1.0 - effort;
                let turn = idle * (1.3 * sin(0.9 * seconds) + 0.5 * sin(2.3 * seconds));
                let stance = stance.turned(turn);
                let pose = Pose {
                    phase: PI * distance / gait.step,
                    swing: gait.pose.swing * effort,
                    knee: gait.pose.knee * effort,
                    arms: gait.pose.arms * effort,
                    elbow: gait.pose.elbow + idle * 0.25 * (1.0 + cos(0.7 * seconds)),
                    lean: gait.pose.lean,
                    bounce: gait.pose.bounce * effort,
                    hand_full: luggage.is_some(),
                };
                let hand: Vec3 = on_foot(body, &pose, stance, &mut parts);
                if let Some(luggage) = luggage {
                    carried(camera, luggage.color, stance, hand, &mut parts);
                }
                sort(camera, &mut parts);
            }
            Look::Bicycle { body, frame } => {
                bicycle(body, *frame, distance, stance, &mut parts);
                sort(camera, &mut parts);
            }
            Look::Cart { body, paint } => {
                cart(camera, body, *paint, seconds, stance, &mut parts);
            }
            Look::Suitcase { color } => suitcase(camera, *color, stance, &mut parts),
        }
        parts
    }
}
