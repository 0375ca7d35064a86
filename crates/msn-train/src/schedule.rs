//! The learning rate.

/// From `lr` at step 0 to 0 after the last.
pub(crate) fn cosine(lr: f64, step: usize, steps: usize) -> f64 {
    let part = step as f64 / steps as f64;
    lr / 2.0 * (1.0 + (std::f64::consts::PI * part).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_falls_from_lr_to_0() {
        assert_eq!(cosine(0.5, 0, 10), 0.5);
        assert!((cosine(0.5, 5, 10) - 0.25).abs() < 1e-12);
        assert!(cosine(0.5, 10, 10).abs() < 1e-12);
    }
}
