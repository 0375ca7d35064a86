//! Where an engine's time goes.

use std::time::{Duration, Instant};

/// What an engine spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Operation {
    /// 3x3 convolution, with its epilogue.
    Convolution,
    /// Transposed 3x3 convolution.
    UpConvolution,
    /// Statistics of a batch norm, normalisation and ReLU.
    Norm,
    /// 2x2 max-pooling.
    MaxPool,
    /// A memory pool's reading.
    Read,
    /// tanh, and losses where there are any.
    Output,
    /// A memory pool's losses.
    PoolLosses,
    /// Gradient of a convolution's weights.
    WeightGradient,
    /// Gradient of a convolution's input.
    InputGradient,
    /// Gradient of a batch norm with ReLU.
    NormGradient,
    /// Gradient of max-pooling.
    MaxPoolGradient,
    /// Gradient of a memory pool.
    PoolGradient,
    /// Adam, and weights arranged anew.
    Update,
    /// A memory pool's writing.
    Write,
    /// Running statistics, buffers.
    Rest,
}

/// Time by operation and level of the network (1 to 4; 0 for what belongs to none).
///
/// Off until [`Profile::start`], and then two readings of the clock an operation.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    since: Option<Instant>,
    rows: Vec<(Operation, usize, Duration)>,
}

impl Profile {
    /// Begins to measure, from nothing.
    pub fn start(&mut self) {
        self.rows.clear();
        self.since = Some(Instant::now());
    }

    /// Operations with their level and the time they took since [`Profile::start`], in the order of
    /// their first use. Time between two calls of the engine is not counted.
    pub fn rows(&self) -> &[(Operation, usize, Duration)] {
        &self.rows
    }

    /// Forgets the time since the last lap.
    pub(super) fn resume(&mut self) {
        if let Some(since) = &mut self.since {
            *since = Instant::now();
        }
    }

    /// What came since the last lap was `operation`.
    pub(super) fn lap(&mut self, operation: Operation, level: usize) {
        let Some(since) = self.since else { return };
        let now = Instant::now();
        let time = now - since;
        self.since = Some(now);
        let mut rows = self.rows.iter_mut();
        match rows.find(|(o, l, _)| (*o, *l) == (operation, level)) {
            Some((_, _, sum)) => *sum += time,
            None => self.rows.push((operation, level, time)),
        }
    }
}
