//! Everything that moves: who it is, how it moves, when it is there and when it is an anomaly.

use std::f32::consts::PI;
use std::ops::Range;

use crate::AnomalyKind;
use crate::angle::{cos, sin};
use crate::camera::{Camera, Vec3};
use crate::canvas::{Part, Rgb};
use crate::path::{Motion, PATHS, Path, Position};
use crate::person::{Body, Pose, Stance, on_foot};
use crate::vehicle::{bicycle, carried, cart, sort, suitcase};

/// How somebody walks or runs at their own speed.
#[derive(Clone, Debug)]
pub(crate) struct Gait {
    /// Speed to which step and pose belong, metres per second.
    pub speed: f32,
    /// Length of a step at that speed, metres.
    pub step: f32,
    pub pose: Pose,
}

/// A suitcase in somebody's hand.
#[derive(Clone, Debug)]
pub(crate) struct Luggage {
    pub color: Rgb,
    /// Seconds in which it is in the hand.
    pub held: Range<f32>,
}

/// What an actor looks like.
#[derive(Clone, Debug)]
pub(crate) enum Look {
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
pub(crate) struct Actor {
    pub look: Look,
    pub motion: Motion,
    /// Seconds in which it exists.
    pub present: Range<f32>,
    /// The kind of anomaly that it is, and in which seconds.
    pub anomaly: Option<(AnomalyKind, Range<f32>)>,
}

/// Bounding box of an actor: half its length and width, and its height, metres.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoundingBox {
    pub half_length: f32,
    pub half_width: f32,
    pub height: f32,
}

impl Look {
    pub(crate) fn bounding_box(&self) -> BoundingBox {
        let (half_length, half_width, height) = match self {
            Self::OnFoot { body, .. } => (0.3, 0.3, body.height),
            Self::Bicycle { .. } => (0.9, 0.3, 1.75),
            Self::Cart { .. } => (1.4, 0.65, 2.1),
            Self::Suitcase { .. } => (0.25, 0.14, 0.65),
        };
        BoundingBox {
            half_length,
            half_width,
            height,
        }
    }
}

impl BoundingBox {
    /// Whether a box of this size at a position lies in the picture, wholly or in part.
    pub(crate) fn is_in_view(
        self,
        camera: &Camera,
        position: Position,
        width: f32,
        height: f32,
    ) -> bool {
        let stance = Stance::new(position);
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
    pub(crate) fn depth(&self, camera: &Camera, paths: &[Path; PATHS], seconds: f32) -> f32 {
        camera.depth(self.motion.position(paths, seconds).point)
    }

    /// What to draw at a time, from back to front.
    pub(crate) fn parts(&self, camera: &Camera, paths: &[Path; PATHS], seconds: f32) -> Vec<Part> {
        let stance = Stance::new(self.motion.position(paths, seconds));
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
