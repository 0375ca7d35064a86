//! A limit in hours.

use std::time::{Duration, Instant};

use crate::{Progress, train::count};

/// Steps, after the first, by whose pace a limit in hours is planned.
const PACE_STEPS: u32 = 20;

/// Fits a training into a number of hours.
pub(crate) struct Budget {
    /// Time for all steps; `None` without a limit.
    limit: Option<Duration>,
    began: Instant,
    steps: u32,
}

impl Budget {
    /// `hours` of 0 are no limit.
    pub fn new(hours: f64) -> Self {
        Self {
            limit: (hours > 0.0).then(|| Duration::from_secs_f64(hours * 3600.0)),
            began: Instant::now(),
            steps: 0,
        }
    }

    /// Plans the number of steps by the pace, once it is known, and again where the plan would end
    /// too late. The learning rate follows the plan.
    pub fn plan(&mut self, progress: &mut Progress, steps: usize, epoch_done: bool) {
        let Some(limit) = self.limit else {
            return;
        };
        if self.steps == 0 {
            // The first step makes room in memory.
            self.began = Instant::now();
        }
        self.steps += 1;
        let left = limit.saturating_sub(progress.elapsed);
        if self.steps <= PACE_STEPS {
            if left.is_zero() {
                progress.planned = Some(progress.steps);
            }
            return;
        }
        let pace = self.began.elapsed() / (self.steps - 1);
        let fits = left.as_secs_f64() / pace.as_secs_f64().max(1e-9);
        let now = progress.planned.unwrap_or(steps);
        let late = count(now.saturating_sub(progress.steps)) > fits;
        let review = progress.planned.is_none() || epoch_done || left.is_zero();
        if review && late {
            // A little less than fits: the machine may slow down.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let fits = (fits * 0.98) as usize;
            progress.planned = Some(progress.steps + fits);
        }
    }
}
