//! Adam (Kingma and Ba, 2015), as PyTorch computes it.

use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::{load, store};
use crate::threads::{SharedMut, for_each_task};

/// Settings of [`Adam::step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients, in 0..1.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, in 0..1.
    pub beta2: f64,
    /// Added to the root of the mean square.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        }
    }
}

impl Adam {
    /// One step, number `step` counted from 1, on `weights` and the two running means.
    ///
    /// # Panics
    /// If the slices' lengths differ or `step` is 0.
    #[allow(clippy::too_many_arguments)]
    pub fn step(
        &self,
        isa: Isa,
        learning_rate: f64,
        step: u32,
        weights: &mut [f32],
        gradient: &[f32],
        mean: &mut [f32],
        mean_square: &mut [f32],
    ) {
        assert!(step > 0, "steps of Adam count from 1");
        let len = weights.len();
        assert!(
            gradient.len() == len && mean.len() == len && mean_square.len() == len,
            "{len} weights, {} gradients, {} and {} means",
            gradient.len(),
            mean.len(),
            mean_square.len()
        );
        let correct = |beta: f64| 1.0 - beta.powf(f64::from(step));
        let (w, m, v) = (
            SharedMut::new(weights),
            SharedMut::new(mean),
            SharedMut::new(mean_square),
        );
        for_each_task(len.div_ceil(SLICE), |task| {
            let at = task * SLICE;
            let len = SLICE.min(len - at);
            // SAFETY: slices of different tasks do not overlap.
            let (weights, mean, mean_square) =
                unsafe { (w.part(at, len), m.part(at, len), v.part(at, len)) };
            isa.run(Step {
                weights,
                gradient: &gradient[at..at + len],
                mean,
                mean_square,
                beta1: self.beta1 as f32,
                one_less_beta1: (1.0 - self.beta1) as f32,
                beta2: self.beta2 as f32,
                one_less_beta2: (1.0 - self.beta2) as f32,
                rate: (learning_rate / correct(self.beta1)) as f32,
                root: correct(self.beta2).sqrt() as f32,
                epsilon: self.epsilon as f32,
            });
        });
    }
}

/// Weights of one task.
const SLICE: usize = 16 * 1024;

struct Step<'a> {
    weights: &'a mut [f32],
    gradient: &'a [f32],
    mean: &'a mut [f32],
    mean_square: &'a mut [f32],
    beta1: f32,
    one_less_beta1: f32,
    beta2: f32,
    one_less_beta2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
}

impl Kernel for Step<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.weights.len();
        let mut i = 0;
        while i < len {
            let n = S::LANES.min(len - i);
            // SAFETY: four slices of length `len`, made so in `Adam::step`; i + n <= len.
            unsafe {
                let g = load(s, self.gradient.as_ptr().add(i), n);
                let m = load(s, self.mean.as_ptr().add(i), n);
                let v = load(s, self.mean_square.as_ptr().add(i), n);
                let m = s.fma(
                    m,
                    s.splat(self.beta1),
                    s.mul(g, s.splat(self.one_less_beta1)),
                );
                let v = s.fma(
                    v,
                    s.splat(self.beta2),
                    s.mul(s.mul(g, g), s.splat(self.one_less_beta2)),
                );
                let root = s.add(s.div(s.sqrt(v), s.splat(self.root)), s.splat(self.epsilon));
                let w = load(s, self.weights.as_ptr().add(i), n);
                let w = s.fnma(s.splat(self.rate), s.div(m, root), w);
                store(s, self.mean.as_mut_ptr().add(i), m, n);
                store(s, self.mean_square.as_mut_ptr().add(i), v, n);
                store(s, self.weights.as_mut_ptr().add(i), w, n);
            }
            i += n;
        }
    }
}
