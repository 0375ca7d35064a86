//! Hashes of lattice points and the smooth noise made of them: random access, no state.

/// Mixes a counter into 64 well-spread bits (the finaliser of SplitMix64).
pub(crate) fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in [0, 1) for a counter.
pub(crate) fn unit(counter: u64) -> f32 {
    // The upper 24 bits fit an f32 exactly.
    (mix(counter) >> 40) as f32 / 16_777_216.0
}

/// A number in [0, 1) for a point of the integer lattice.
pub(crate) fn lattice(seed: u64, x: i32, y: i32) -> f32 {
    let cell = (u64::from(x.cast_unsigned()) << 32) | u64::from(y.cast_unsigned());
    unit(seed ^ mix(cell))
}

/// Value noise in [0, 1): `lattice` interpolated smoothly, one bump per unit of length.
pub(crate) fn value(seed: u64, x: f32, y: f32) -> f32 {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (ease(x - x0), ease(y - y0));
    let (ix, iy) = (x0 as i32, y0 as i32);
    let top = lerp(lattice(seed, ix, iy), lattice(seed, ix + 1, iy), fx);
    let bottom = lerp(lattice(seed, ix, iy + 1), lattice(seed, ix + 1, iy + 1), fx);
    lerp(top, bottom, fy)
}

/// Three octaves of value noise, in [0, 1), about 0.5 on average.
pub(crate) fn cloud(seed: u64, x: f32, y: f32) -> f32 {
    (4.0 * value(seed, x, y)
        + 2.0 * value(seed ^ 1, x * 2.0 + 17.0, y * 2.0)
        + value(seed ^ 2, x * 4.0, y * 4.0 + 31.0))
        / 7.0
}

fn ease(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_in_its_range_and_varies() {
        let values: Vec<f32> = (0i16..500)
            .map(|i| cloud(9, f32::from(i) * 0.37, f32::from(i) * -0.21))
            .collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f32>() / 500.0;
        assert!((mean - 0.5).abs() < 0.1, "{mean}");
        assert!(values.iter().any(|v| *v < 0.35) && values.iter().any(|v| *v > 0.65));
    }
}
