//! Chance applied to people and things: builds, clothes, gaits, paints.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::actor::Gait;
use crate::canvas::Rgb;
use crate::person::{Body, Load, Pose, darker};

const SHIRTS: [Rgb; 14] = [
    [222.0, 220.0, 214.0],
    [44.0, 46.0, 52.0],
    [52.0, 74.0, 120.0],
    [148.0, 46.0, 44.0],
    [84.0, 112.0, 86.0],
    [180.0, 152.0, 82.0],
    [112.0, 116.0, 124.0],
    [96.0, 62.0, 92.0],
    [64.0, 124.0, 142.0],
    [196.0, 112.0, 74.0],
    [170.0, 184.0, 204.0],
    [96.0, 74.0, 56.0],
    [204.0, 150.0, 160.0],
    [36.0, 58.0, 52.0],
];
const TROUSERS: [Rgb; 7] = [
    [44.0, 50.0, 72.0],
    [32.0, 32.0, 34.0],
    [92.0, 82.0, 68.0],
    [70.0, 74.0, 80.0],
    [142.0, 130.0, 108.0],
    [56.0, 66.0, 96.0],
    [52.0, 44.0, 40.0],
];
const SKINS: [Rgb; 5] = [
    [228.0, 188.0, 162.0],
    [210.0, 164.0, 132.0],
    [176.0, 126.0, 94.0],
    [132.0, 90.0, 66.0],
    [92.0, 62.0, 48.0],
];
const HAIRS: [Rgb; 6] = [
    [32.0, 26.0, 24.0],
    [62.0, 44.0, 32.0],
    [108.0, 78.0, 48.0],
    [176.0, 146.0, 92.0],
    [150.0, 148.0, 146.0],
    [46.0, 36.0, 34.0],
];
const SHOES: [Rgb; 4] = [
    [36.0, 34.0, 34.0],
    [78.0, 58.0, 44.0],
    [208.0, 206.0, 204.0],
    [52.0, 54.0, 60.0],
];
const BAGS: [Rgb; 5] = [
    [40.0, 44.0, 58.0],
    [122.0, 50.0, 46.0],
    [86.0, 92.0, 62.0],
    [150.0, 118.0, 80.0],
    [58.0, 58.0, 60.0],
];
const CASES: [Rgb; 4] = [
    [142.0, 34.0, 40.0],
    [28.0, 58.0, 110.0],
    [30.0, 30.0, 34.0],
    [30.0, 96.0, 84.0],
];
const PAINTS: [Rgb; 4] = [
    [226.0, 224.0, 216.0],
    [214.0, 184.0, 66.0],
    [88.0, 132.0, 96.0],
    [204.0, 212.0, 222.0],
];

pub(crate) fn body(rng: &mut ChaCha8Rng) -> Body {
    let shirt = SHIRTS[rng.random_range(0..SHIRTS.len())];
    let shirt = darker(shirt, rng.random_range(0.88..1.08));
    let bag = BAGS[rng.random_range(0..BAGS.len())];
    Body {
        height: rng.random_range(1.54..1.94),
        girth: rng.random_range(0.88..1.2),
        shirt,
        trousers: TROUSERS[rng.random_range(0..TROUSERS.len())],
        skin: SKINS[rng.random_range(0..SKINS.len())],
        hair: HAIRS[rng.random_range(0..HAIRS.len())],
        shoes: SHOES[rng.random_range(0..SHOES.len())],
        long: rng.random_bool(0.18),
        load: match rng.random_range(0..10u32) {
            0..3 => Load::Backpack(bag),
            3..5 => Load::Shoulder(bag),
            _ => Load::Nothing,
        },
    }
}

/// Shirts that stand out from the paving in grey pictures too.
const SPORTS_SHIRTS: [Rgb; 4] = [
    [150.0, 24.0, 30.0],
    [208.0, 226.0, 60.0],
    [22.0, 52.0, 140.0],
    [232.0, 232.0, 232.0],
];

/// The clothes of somebody who runs or rides: easily seen, nothing in the hands.
pub(crate) fn sporty(rng: &mut ChaCha8Rng) -> Body {
    let plain = body(rng);
    Body {
        shirt: SPORTS_SHIRTS[rng.random_range(0..SPORTS_SHIRTS.len())],
        trousers: [34.0, 34.0, 40.0],
        girth: plain.girth.min(1.0),
        height: plain.height.max(1.65),
        long: false,
        load: Load::Nothing,
        ..plain
    }
}

pub(crate) fn walk(rng: &mut ChaCha8Rng, body: &Body, speed: f32) -> Gait {
    // Tall people take longer steps.
    let cadence = rng.random_range(1.75..2.1) * 1.75 / body.height;
    let step = speed / cadence;
    let swing = swing(step, body.height).min(0.5);
    Gait {
        speed,
        step,
        pose: Pose {
            phase: 0.0,
            swing,
            knee: rng.random_range(0.6..0.9),
            arms: rng.random_range(0.2..0.55),
            elbow: rng.random_range(0.1..0.45),
            lean: rng.random_range(0.0..0.09),
            bounce: 0.0,
            hand_full: false,
        },
    }
}

pub(crate) fn run(rng: &mut ChaCha8Rng, speed: f32) -> Gait {
    Gait {
        speed,
        step: speed / rng.random_range(2.7..3.0),
        pose: Pose {
            phase: 0.0,
            swing: rng.random_range(0.72..0.85),
            knee: rng.random_range(1.5..1.8),
            arms: rng.random_range(0.75..0.95),
            elbow: rng.random_range(1.5..1.8),
            lean: rng.random_range(0.18..0.26),
            bounce: rng.random_range(0.07..0.11),
            hand_full: false,
        },
    }
}

/// The swing of the thighs that makes a step of this length: the arcsine of its share of the legs.
fn swing(step: f32, height: f32) -> f32 {
    let share = step / (0.98 * height);
    share * (1.0 + share * share / 6.0)
}

pub(crate) fn case(rng: &mut ChaCha8Rng) -> Rgb {
    CASES[rng.random_range(0..CASES.len())]
}

pub(crate) fn paint(rng: &mut ChaCha8Rng) -> Rgb {
    PAINTS[rng.random_range(0..PAINTS.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::background::{SLABS, WALKWAY_PAVING};

    #[test]
    fn sports_shirts_stand_out_from_the_paving_in_grey() {
        let luma = |[r, g, b]: Rgb| 0.299 * r + 0.587 * g + 0.114 * b;
        for shirt in SPORTS_SHIRTS {
            for ground in [WALKWAY_PAVING, SLABS] {
                let contrast = (luma(shirt) - luma(ground)).abs();
                assert!(contrast >= 45.0, "{shirt:?}: {contrast}");
            }
        }
    }
}
