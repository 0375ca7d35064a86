//! What is not on foot: a bicycle with its rider, a utility cart with its driver, a suitcase.

use std::f32::consts::{PI, TAU};

use crate::angle::{cos, sin};
use crate::camera::{Camera, Vec3};
use crate::canvas::{Part, Rgb};
use crate::person::{Body, Stance, darker, rod, seated};

const TYRE: Rgb = [34.0, 34.0, 36.0];
const WHEEL: f32 = 0.34;

/// A bicycle and its rider; `distance` is how far it has come, metres.
pub(crate) fn bicycle(
    body: &Body,
    frame: Rgb,
    distance: f32,
    stance: Stance,
    parts: &mut Vec<Part>,
) {
    let at = |up: f32, ahead: f32| stance.to_world(0.0, up, ahead);
    for hub in [-0.54, 0.54] {
        ring(hub, distance / WHEEL, stance, parts);
    }
    let (saddle, pedals, head) = ([0.92, -0.22], [0.30, -0.06], [0.92, 0.40]);
    let tube = |a: [f32; 2], b: [f32; 2], r: f32| rod(at(a[0], a[1]), at(b[0], b[1]), r, r, frame);
    parts.push(tube(saddle, pedals, 0.03));
    parts.push(tube(pedals, [0.8, 0.42], 0.03));
    parts.push(tube([0.78, -0.18], [0.8, 0.42], 0.03));
    parts.push(tube([WHEEL, -0.54], pedals, 0.025));
    parts.push(tube([WHEEL, -0.54], [0.78, -0.18], 0.02));
    parts.push(tube([WHEEL, 0.54], [1.0, 0.38], 0.025));
    let handles = [
        stance.to_world(-0.25, 1.02, 0.40),
        stance.to_world(0.25, 1.02, 0.40),
    ];
    parts.push(rod(handles[0], handles[1], 0.02, 0.02, TYRE));
    parts.push(rod(at(0.95, -0.32), at(0.95, -0.1), 0.05, 0.035, TYRE));
    // One turn of the pedals takes the bicycle five metres on.
    let crank = distance * TAU / 5.0;
    let feet = [0.0, PI].map(|half| {
        [
            pedals[0] + 0.17 * cos(crank + half) + 0.04,
            pedals[1] + 0.17 * sin(crank + half) - 0.05,
        ]
    });
    seated(
        body,
        stance,
        [0.98, -0.2],
        0.55,
        feet,
        [head[0] + 0.12, head[1]],
        parts,
    );
}

fn ring(hub: f32, turn: f32, stance: Stance, parts: &mut Vec<Part>) {
    let rim = |i: u8| {
        let angle = f32::from(i) * TAU / 18.0;
        stance.to_world(0.0, WHEEL * (1.0 + cos(angle)), hub + WHEEL * sin(angle))
    };
    for i in 0..18 {
        parts.push(rod(rim(i), rim(i + 1), 0.028, 0.028, TYRE));
    }
    for spoke in 0u8..3 {
        let angle = turn + f32::from(spoke) * PI / 3.0;
        let (up, ahead) = (0.9 * WHEEL * cos(angle), 0.9 * WHEEL * sin(angle));
        parts.push(rod(
            stance.to_world(0.0, WHEEL + up, hub + ahead),
            stance.to_world(0.0, WHEEL - up, hub - ahead),
            0.007,
            0.007,
            [130.0, 130.0, 134.0],
        ));
    }
}

/// An electric utility cart with a cabin, a load bed and a beacon.
pub(crate) fn cart(
    camera: &Camera,
    body: &Body,
    paint: Rgb,
    seconds: f32,
    stance: Stance,
    parts: &mut Vec<Part>,
) {
    const DARK: Rgb = [52.0, 54.0, 58.0];
    let block = |parts: &mut Vec<Part>, x: [f32; 2], y: [f32; 2], z: [f32; 2], color: Rgb| {
        cuboid(camera, stance, x, y, z, color, parts);
    };
    let mut group = |draw: &mut dyn FnMut(&mut Vec<Part>)| {
        let mut own = Vec::new();
        draw(&mut own);
        sort(camera, &mut own);
        parts.append(&mut own);
    };
    group(&mut |own| {
        for side in [-0.56, 0.56] {
            for axle in [-0.85, 0.85] {
                let inner = stance.to_world(side * 0.8, 0.26, axle);
                own.push(rod(
                    inner,
                    stance.to_world(side, 0.26, axle),
                    0.25,
                    0.25,
                    TYRE,
                ));
                let cap = stance.to_world(side * 1.12, 0.26, axle);
                own.push(rod(cap, cap, 0.11, 0.11, [168.0, 168.0, 170.0]));
            }
        }
        block(own, [-0.52, 0.52], [0.3, 0.48], [-1.3, 1.3], DARK);
    });
    group(&mut |own| {
        block(
            own,
            [-0.62, 0.62],
            [0.48, 0.95],
            [-1.35, -0.25],
            darker(paint, 0.8),
        );
        block(own, [-0.6, 0.6], [0.48, 0.85], [0.75, 1.35], paint);
        block(own, [-0.58, 0.58], [0.48, 0.7], [-0.2, 0.3], DARK);
    });
    group(&mut |own| {
        for side in [-0.58, 0.58] {
            let post = |z0: f32, z1: f32| {
                rod(
                    stance.to_world(side, 0.8, z0),
                    stance.to_world(side, 1.85, z1),
                    0.035,
                    0.035,
                    DARK,
                )
            };
            own.push(post(1.0, 0.75));
            own.push(post(-0.25, -0.25));
        }
        let mut driver = Vec::new();
        let feet = [[0.55, 0.62], [0.55, 0.66]];
        seated(
            body,
            stance,
            [0.8, 0.0],
            -0.05,
            feet,
            [1.05, 0.5],
            &mut driver,
        );
        own.append(&mut driver);
    });
    group(&mut |own| {
        block(own, [-0.64, 0.64], [1.85, 1.95], [-0.35, 0.9], paint);
    });
    let beacon = stance.to_world(0.0, 2.04, 0.2);
    let glow = 0.7 + 0.3 * sin(seconds * 9.0);
    parts.push(rod(beacon, beacon, 0.09, 0.09, [250.0, 150.0 * glow, 30.0]));
}

/// Half the width, the height and half the length of a suitcase, metres.
const CASE: [f32; 3] = [0.13, 0.62, 0.24];

/// A suitcase that stands on the ground.
pub(crate) fn suitcase(camera: &Camera, color: Rgb, stance: Stance, parts: &mut Vec<Part>) {
    let [half_width, height, half_length] = CASE;
    let x = [-half_width, half_width];
    let mut own = Vec::new();
    cuboid(
        camera,
        stance,
        x,
        [0.04, height],
        [-half_length, half_length],
        color,
        &mut own,
    );
    cuboid(
        camera,
        stance,
        [-half_width - 0.01, half_width + 0.01],
        [0.3, 0.36],
        [-half_length - 0.01, half_length + 0.01],
        darker(color, 0.55),
        &mut own,
    );
    parts.append(&mut own);
    let grip = |side: f32, up: f32| stance.to_world(0.0, up, side * 0.08);
    parts.push(rod(
        grip(-1.0, height + 0.07),
        grip(1.0, height + 0.07),
        0.018,
        0.018,
        TYRE,
    ));
}

/// The same suitcase in somebody's hand.
pub(crate) fn carried(
    camera: &Camera,
    color: Rgb,
    stance: Stance,
    hand: Vec3,
    parts: &mut Vec<Part>,
) {
    let low = (hand.y - CASE[1] - 0.07).max(0.0);
    let origin = Vec3::new(hand.x, low, hand.z);
    suitcase(camera, color, Stance { origin, ..stance }, parts);
}

/// The faces of a block that the camera sees, lit from the upper left.
fn cuboid(
    camera: &Camera,
    stance: Stance,
    x: [f32; 2],
    y: [f32; 2],
    z: [f32; 2],
    color: Rgb,
    parts: &mut Vec<Part>,
) {
    let corner = |i: usize, j: usize, k: usize| stance.to_world(x[i], y[j], z[k]);
    let middle = (corner(0, 0, 0) + corner(1, 1, 1)) * 0.5;
    let faces = [
        [
            corner(0, 1, 0),
            corner(1, 1, 0),
            corner(1, 1, 1),
            corner(0, 1, 1),
        ],
        [
            corner(0, 0, 0),
            corner(1, 0, 0),
            corner(1, 1, 0),
            corner(0, 1, 0),
        ],
        [
            corner(0, 0, 1),
            corner(1, 0, 1),
            corner(1, 1, 1),
            corner(0, 1, 1),
        ],
        [
            corner(0, 0, 0),
            corner(0, 0, 1),
            corner(0, 1, 1),
            corner(0, 1, 0),
        ],
        [
            corner(1, 0, 0),
            corner(1, 0, 1),
            corner(1, 1, 1),
            corner(1, 1, 0),
        ],
    ];
    for face in faces {
        let centre = (face[0] + face[2]) * 0.5;
        let out = centre - middle;
        let normal = (face[1] - face[0]).cross(face[2] - face[0]);
        let normal =
            normal * (if normal.dot(out) < 0.0 { -1.0 } else { 1.0 } / normal.length().max(1e-6));
        if normal.dot(camera.position() - centre) > 0.0 {
            let light = 0.85 + 0.25 * normal.y - 0.16 * normal.x - 0.05 * normal.z;
            parts.push(Part::Face {
                corners: face.to_vec(),
                color: darker(color, light),
            });
        }
    }
}

/// Orders parts from back to front.
pub(crate) fn sort(camera: &Camera, parts: &mut [Part]) {
    parts.sort_by(|a, b| b.depth(camera).total_cmp(&a.depth(camera)));
}
