//! People: bodies of varied build that walk, run, stand, ride and drive.

use std::f32::consts::PI;

use crate::angle::{cos, sin};
use crate::camera::Vec3;
use crate::canvas::{Part, Rgb};
use crate::path::{Position, right_of};

/// What somebody carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    Nothing,
    Backpack(Rgb),
    Shoulder(Rgb),
}

/// Build and clothes.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// Metres.
    pub height: f32,
    /// Relative to an average build of the same height: 1 is average.
    pub girth: f32,
    pub shirt: Rgb,
    pub trousers: Rgb,
    pub skin: Rgb,
    pub hair: Rgb,
    pub shoes: Rgb,
    /// A coat or dress in the colour of the shirt, down to the knees.
    pub long: bool,
    pub load: Load,
}

/// How somebody moves at one moment. Angles are radians.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pose {
    /// Phase of the cycle of two steps, 0 to 2 pi.
    pub phase: f32,
    /// How far the thighs swing.
    pub swing: f32,
    /// How far the knee bends on the way forward.
    pub knee: f32,
    /// How far the arms swing, and the bend of the elbows.
    pub arms: f32,
    pub elbow: f32,
    /// How far the trunk leans forward.
    pub lean: f32,
    /// Height of the jump in every step, metres.
    pub bounce: f32,
    /// The right arm hangs down with something in it.
    pub hand_full: bool,
}

/// Axes at an actor's feet: to its right, up, ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stance {
    pub origin: Vec3,
    pub right: Vec3,
    pub forward: Vec3,
}

impl Stance {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            origin: position.point,
            right: right_of(position.forward),
            forward: position.forward,
        }
    }

    /// The same place, turned to the right by an angle in radians.
    pub(crate) fn turned(self, angle: f32) -> Self {
        let forward = self.forward * cos(angle) + self.right * sin(angle);
        Self {
            origin: self.origin,
            right: right_of(forward),
            forward,
        }
    }

    /// From metres right, up and ahead to the world.
    pub(crate) fn to_world(self, right: f32, up: f32, ahead: f32) -> Vec3 {
        self.origin + self.right * right + Vec3::new(0.0, up, 0.0) + self.forward * ahead
    }
}

/// A joint in the plane of walking: metres up and ahead.
#[derive(Clone, Copy)]
struct Joint {
    up: f32,
    ahead: f32,
}

impl Joint {
    /// The end of a bone that hangs from here; the angle is from straight down, forwards.
    fn hang(self, length: f32, angle: f32) -> Self {
        Self {
            up: self.up - length * cos(angle),
            ahead: self.ahead + length * sin(angle),
        }
    }
}

struct Leg {
    knee: Joint,
    ankle: Joint,
    toe: Joint,
}

/// Somebody on foot. Returns where the right hand is.
pub(crate) fn on_foot(body: &Body, pose: &Pose, stance: Stance, parts: &mut Vec<Part>) -> Vec3 {
    let h = body.height;
    let legs = [-1.0, 1.0].map(|side| leg(h, pose, side));
    let lowest = legs
        .iter()
        .map(|leg| leg.ankle.up.min(leg.toe.up))
        .fold(f32::INFINITY, f32::min);
    let lift = 0.5 * pose.bounce * (1.0 - cos(2.0 * pose.phase));
    let hip_up = 0.02 * h - lowest + lift;
    for (leg, side) in legs.iter().zip([-1.0, 1.0]) {
        let x = side * 0.052 * h;
        let at = |joint: Joint| stance.to_world(x, hip_up + joint.up, joint.ahead);
        let hip = stance.to_world(x, hip_up, 0.0);
        draw_leg(body, hip, at(leg.knee), at(leg.ankle), at(leg.toe), parts);
    }
    upper_body(
        body,
        pose,
        stance,
        Joint {
            up: hip_up,
            ahead: 0.0,
        },
        parts,
    )
}

/// Somebody whose hips rest at a height and whose feet and hands are held elsewhere.
pub(crate) fn seated(
    body: &Body,
    stance: Stance,
    seat: [f32; 2],
    lean: f32,
    feet: [[f32; 2]; 2],
    hands: [f32; 2],
    parts: &mut Vec<Part>,
) {
    let h = body.height;
    let [seat_up, seat_ahead] = seat;
    for (foot, side) in feet.iter().zip([-1.0f32, 1.0]) {
        let x = side * 0.06 * h;
        let [up, ahead] = *foot;
        let [knee_up, knee_ahead] = bend([seat_up, seat_ahead], [up, ahead], 0.245 * h);
        draw_leg(
            body,
            stance.to_world(x, seat_up, seat_ahead),
            stance.to_world(x, knee_up, knee_ahead),
            stance.to_world(x, up, ahead),
            stance.to_world(x, up - 0.02, ahead + 0.08 * h),
            parts,
        );
    }
    let shoulder_up = seat_up + 0.31 * h * cos(lean);
    let shoulder_ahead = seat_ahead + 0.31 * h * sin(lean);
    trunk(
        body,
        stance,
        Joint {
            up: seat_up,
            ahead: seat_ahead,
        },
        lean,
        parts,
    );
    for side in [-1.0f32, 1.0] {
        let shoulder = stance.to_world(side * 0.11 * h, shoulder_up, shoulder_ahead);
        let hand = stance.to_world(side * 0.2, hands[0], hands[1]);
        let middle = (shoulder + hand) * 0.5 + Vec3::new(0.0, -0.04 * h, 0.0);
        draw_arm(body, shoulder, middle, hand, parts);
    }
}

fn leg(h: f32, pose: &Pose, side: f32) -> Leg {
    let phase = if side > 0.0 {
        pose.phase
    } else {
        pose.phase + PI
    };
    let thigh = pose.swing * sin(phase) + 0.3 * pose.knee * cos(phase).max(0.0);
    let bend = 0.08 + pose.knee * cos(phase + 0.35).max(0.0);
    let shin = thigh - bend;
    let knee = Joint {
        up: 0.0,
        ahead: 0.0,
    }
    .hang(0.245 * h, thigh);
    let ankle = knee.hang(0.235 * h, shin);
    // The foot stands at about a right angle to the shin and rolls off the toes.
    let toe = ankle.hang(0.085 * h, (shin + 1.45).max(0.9));
    Leg { knee, ankle, toe }
}

fn draw_leg(body: &Body, hip: Vec3, knee: Vec3, ankle: Vec3, toe: Vec3, parts: &mut Vec<Part>) {
    let (h, g) = (body.height, body.girth);
    parts.push(rod(hip, knee, 0.050 * h * g, 0.036 * h * g, body.trousers));
    parts.push(rod(knee, ankle, 0.034 * h * g, 0.024 * h, body.trousers));
    parts.push(rod(ankle, toe, 0.024 * h, 0.018 * h, body.shoes));
}

fn draw_arm(body: &Body, shoulder: Vec3, elbow: Vec3, hand: Vec3, parts: &mut Vec<Part>) {
    let h = body.height;
    parts.push(rod(
        shoulder,
        elbow,
        0.032 * h,
        0.026 * h,
        darker(body.shirt, 0.9),
    ));
    parts.push(rod(
        elbow,
        hand,
        0.025 * h,
        0.019 * h,
        darker(body.shirt, 0.86),
    ));
    parts.push(rod(hand, hand, 0.024 * h, 0.024 * h, body.skin));
}

fn upper_body(body: &Body, pose: &Pose, stance: Stance, hip: Joint, parts: &mut Vec<Part>) -> Vec3 {
    let h = body.height;
    trunk(body, stance, hip, pose.lean, parts);
    if body.long {
        let low = hip.up - 0.2 * h;
        let waist = stance.to_world(0.0, hip.up + 0.05 * h, hip.ahead);
        let sway = 0.04 * sin(pose.phase);
        let hem = stance.to_world(sway, low, hip.ahead);
        parts.push(rod(
            waist,
            hem,
            0.085 * h * body.girth,
            0.105 * h * body.girth,
            body.shirt,
        ));
    }
    let shoulder = Joint {
        up: hip.up + 0.30 * h * cos(pose.lean),
        ahead: hip.ahead + 0.30 * h * sin(pose.lean),
    };
    let mut right_hand = stance.origin;
    for side in [-1.0f32, 1.0] {
        let holds = pose.hand_full && side > 0.0;
        // Arms swing against the leg of their side.
        let phase = if side > 0.0 {
            pose.phase + PI
        } else {
            pose.phase
        };
        let swing = if holds { 0.0 } else { pose.arms * sin(phase) };
        let bend = if holds { 0.05 } else { pose.elbow };
        let elbow = shoulder.hang(0.165 * h, swing - 0.4 * bend.min(0.5));
        let hand = elbow.hang(0.16 * h, swing + bend);
        let x = side * 0.118 * h * (0.5 + 0.5 * body.girth);
        let at = |joint: Joint, out: f32| stance.to_world(x * out, joint.up, joint.ahead);
        draw_arm(
            body,
            at(shoulder, 0.92),
            at(elbow, 1.15),
            at(hand, 1.1),
            parts,
        );
        if side > 0.0 {
            right_hand = at(hand, 1.1);
        }
    }
    right_hand
}

/// Trunk, head and what is carried on the back, from the hips up.
fn trunk(body: &Body, stance: Stance, hip: Joint, lean: f32, parts: &mut Vec<Part>) {
    let (h, g) = (body.height, body.girth);
    let at = |along: f32, side: f32, front: f32| {
        stance.to_world(
            side * h,
            hip.up + h * (along * cos(lean) - front * sin(lean)),
            hip.ahead + h * (along * sin(lean) + front * cos(lean)),
        )
    };
    parts.push(rod(
        at(0.0, -0.03, 0.0),
        at(0.0, 0.03, 0.0),
        0.066 * h * g,
        0.066 * h * g,
        body.trousers,
    ));
    parts.push(rod(
        at(0.04, 0.0, 0.0),
        at(0.24, 0.0, 0.0),
        0.078 * h * g,
        0.088 * h * g,
        body.shirt,
    ));
    parts.push(rod(
        at(0.27, -0.07, 0.0),
        at(0.27, 0.07, 0.0),
        0.055 * h,
        0.055 * h,
        body.shirt,
    ));
    parts.push(rod(
        at(0.32, 0.0, 0.0),
        at(0.38, 0.0, 0.01),
        0.028 * h,
        0.028 * h,
        darker(body.skin, 0.9),
    ));
    parts.push(rod(
        at(0.405, 0.0, 0.022),
        at(0.43, 0.0, 0.02),
        0.052 * h,
        0.054 * h,
        body.skin,
    ));
    parts.push(rod(
        at(0.425, 0.0, -0.002),
        at(0.455, 0.0, 0.008),
        0.056 * h,
        0.05 * h,
        body.hair,
    ));
    match body.load {
        Load::Nothing => {}
        Load::Backpack(color) => {
            parts.push(rod(
                at(0.1, 0.0, -0.11),
                at(0.23, 0.0, -0.11),
                0.075 * h,
                0.07 * h,
                color,
            ));
        }
        Load::Shoulder(color) => {
            parts.push(rod(
                at(-0.02, 0.12, 0.0),
                at(0.03, 0.12, 0.0),
                0.062 * h,
                0.05 * h,
                color,
            ));
            parts.push(rod(
                at(0.03, 0.12, 0.0),
                at(0.3, 0.05, 0.0),
                0.012,
                0.012,
                color,
            ));
        }
    }
}

/// The knee of a leg with two equal bones between hip and foot, bent forwards.
fn bend(hip: [f32; 2], foot: [f32; 2], bone: f32) -> [f32; 2] {
    let (up, ahead) = (foot[0] - hip[0], foot[1] - hip[1]);
    let square = up * up + ahead * ahead;
    let out = (bone * bone - square / 4.0).max(0.0).sqrt();
    let length = square.sqrt().max(1e-3);
    [
        hip[0] + up / 2.0 + ahead / length * out,
        hip[1] + ahead / 2.0 - up / length * out,
    ]
}

pub(crate) fn rod(a: Vec3, b: Vec3, ra: f32, rb: f32, color: Rgb) -> Part {
    Part::Limb {
        a,
        b,
        ra,
        rb,
        color,
    }
}

pub(crate) fn darker(color: Rgb, factor: f32) -> Rgb {
    color.map(|c| c * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Body {
        Body {
            height: 1.8,
            girth: 1.0,
            shirt: [90.0; 3],
            trousers: [60.0; 3],
            skin: [200.0; 3],
            hair: [30.0; 3],
            shoes: [20.0; 3],
            long: false,
            load: Load::Nothing,
        }
    }

    fn extent(parts: &[Part]) -> (f32, f32) {
        let mut range = (f32::INFINITY, f32::NEG_INFINITY);
        for part in parts {
            if let Part::Limb { a, b, ra, rb, .. } = part {
                range.0 = range.0.min(a.y - ra).min(b.y - rb);
                range.1 = range.1.max(a.y + ra).max(b.y + rb);
            }
        }
        range
    }

    #[test]
    fn a_walker_stands_on_the_ground_and_is_as_tall_as_said() {
        let place = Position {
            point: Vec3::new(1.0, 0.0, 9.0),
            forward: Vec3::new(1.0, 0.0, 0.0),
        };
        for step in 0u8..32 {
            let pose = Pose {
                phase: f32::from(step) * 0.2,
                swing: 0.4,
                knee: 0.7,
                arms: 0.4,
                elbow: 0.2,
                lean: 0.03,
                bounce: 0.0,
                hand_full: false,
            };
            let mut parts = Vec::new();
            on_foot(&body(), &pose, Stance::new(place), &mut parts);
            let (low, high) = extent(&parts);
            assert!(low.abs() < 0.03, "{low}");
            assert!((high - 1.8).abs() < 0.12, "{high}");
        }
    }

    #[test]
    fn a_bent_leg_keeps_its_bones() {
        let knee = bend([1.0, 0.0], [0.3, 0.2], 0.43);
        for end in [[1.0, 0.0], [0.3, 0.2]] {
            let length = ((knee[0] - end[0]).powi(2) + (knee[1] - end[1]).powi(2)).sqrt();
            assert!((length - 0.43f32).abs() < 1e-4);
        }
        assert!(knee[1] > 0.1, "knees bend forwards");
    }
}
