//! Sine and cosine from additions and multiplications alone, so that a picture has the same bytes
//! on every platform (the platforms' own functions differ in the last bit).

use std::f32::consts::{FRAC_PI_2, TAU};

/// The sine of an angle in radians, to about 4e-6.
pub(crate) fn sin(radians: f32) -> f32 {
    let turns = radians / TAU;
    let turns = turns - (turns + 0.5).floor();
    let folded = if turns > 0.25 {
        0.5 - turns
    } else if turns < -0.25 {
        -0.5 - turns
    } else {
        turns
    };
    let x = folded * TAU;
    let x2 = x * x;
    x * (1.0 - x2 / 6.0 * (1.0 - x2 / 20.0 * (1.0 - x2 / 42.0 * (1.0 - x2 / 72.0))))
}

/// The cosine of an angle in radians, to about 4e-6.
pub(crate) fn cos(radians: f32) -> f32 {
    sin(radians + FRAC_PI_2)
}

/// 0 below `from`, 1 above `to`, a smooth rise between them.
pub(crate) fn smoothstep(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_and_cosine_agree_with_the_standard_library() {
        for step in -2000i16..2000 {
            let angle = f32::from(step) * 0.01;
            assert!((sin(angle) - angle.sin()).abs() < 1e-5, "sin {angle}");
            assert!((cos(angle) - angle.cos()).abs() < 1e-5, "cos {angle}");
        }
    }
}
