//! A limit in hours.

use std::time::Duration;

use crate::Progress;

/// Steps, after the first, by whose pace a limit in hours is planned.
const PACE_STEPS: u32 = 20;

/// Fits a training into a number of hours.
pub(crate) struct Budget {
    /// Time for all steps; `None` without a limit.
    limit: Option<Duration>,
    /// Where the pace begins, in the training's own time.
    began: Duration,
    steps: u32,
}

impl Budget {
    /// `hours` of 0 are no limit.
    pub fn new(hours: f64) -> Self {
        Self {
            limit: (hours > 0.0).then(|| Duration::from_secs_f64(hours * 3600.0)),
            began: Duration::ZERO,
            steps: 0,
        }
    }

    /// Plans, after a step, the number of steps by the pace, once it is known, and again where the
    /// plan would end too late: however the pace changes, the learning rate, which follows the plan,
    /// has room to fall.
    pub fn plan(&mut self, progress: &mut Progress, steps: usize) {
        let Some(limit) = self.limit else {
            return;
        };
        if self.steps == 0 {
            // The first step makes room in memory.
            self.began = progress.elapsed;
        }
        self.steps += 1;
        let left = limit.saturating_sub(progress.elapsed);
        if self.steps <= PACE_STEPS {
            if left.is_zero() {
                progress.planned = Some(progress.steps);
            }
            return;
        }
        let pace = progress.elapsed.saturating_sub(self.began) / (self.steps - 1);
        let fits = left.as_secs_f64() / pace.as_secs_f64().max(1e-9);
        let now = progress.planned.unwrap_or(steps);
        if now.saturating_sub(progress.steps) as f64 > fits {
            // A little less than fits: the machine may slow down.
            let fits = (fits * 0.98) as usize;
            progress.planned = Some(progress.steps + fits);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::cosine;

    /// The training's time and the last rate, of 1 at the start, of steps that take so many
    /// seconds each.
    fn run(limit: f64, steps: usize, mut seconds: impl FnMut(usize) -> f64) -> (f64, f64, usize) {
        let mut budget = Budget::new(limit / 3600.0);
        let mut progress = Progress::default();
        let mut rate = 1.0;
        while progress.steps < progress.planned.unwrap_or(steps) {
            rate = cosine(1.0, progress.steps, progress.planned.unwrap_or(steps));
            progress.elapsed += Duration::from_secs_f64(seconds(progress.steps));
            progress.steps += 1;
            budget.plan(&mut progress, steps);
        }
        (progress.elapsed.as_secs_f64(), rate, progress.steps)
    }

    proptest! {
        #[test]
        fn a_training_ends_in_time_and_its_rate_falls(
            limit in 100.0..1000.0,
            turn in 0.0..0.9,
            slower in 0.2..5.0,
        ) {
            let mut elapsed = 0.0;
            let (time, rate, _) = run(limit, 1_000_000, |_| {
                let step = if elapsed < turn * limit { 0.1 } else { 0.1 * slower };
                elapsed += step;
                step
            });
            prop_assert!(time < limit + 0.1 * slower, "{time} s of {limit}");
            prop_assert!(rate < 0.01, "rate {rate}");
        }
    }

    #[test]
    fn what_fits_is_left_whole() {
        let (_, _, steps) = run(100.0, 900, |_| 0.1);
        assert_eq!(steps, 900);
    }

    #[test]
    fn too_few_steps_for_a_pace_still_end() {
        let (time, _, steps) = run(10.0, 900, |_| 3.0);
        assert_eq!((time, steps), (12.0, 4));
    }
}
