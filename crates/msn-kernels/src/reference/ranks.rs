use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};

use crate::Collective;

/// Ranks that are threads of one process: the plain twin of those that are processes.
#[derive(Debug)]
pub struct ThreadRank {
    rank: usize,
    /// What each rank gave last.
    slots: Arc<Mutex<Vec<Vec<f32>>>>,
    barrier: Arc<Barrier>,
}

impl ThreadRank {
    /// Ranks 0 to `world_size` - 1, each for a thread of its own.
    pub fn all(world_size: usize) -> Vec<Self> {
        let slots = Arc::new(Mutex::new(vec![Vec::new(); world_size]));
        let barrier = Arc::new(Barrier::new(world_size));
        let one = |rank| Self {
            rank,
            slots: slots.clone(),
            barrier: barrier.clone(),
        };
        (0..world_size).map(one).collect()
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collective for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.slots().len()
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        let all = self.all_gather(values);
        for (i, v) in values.iter_mut().enumerate() {
            *v = all.iter().map(|part| part[i]).sum();
        }
    }

    fn all_gather(&self, own: &[f32]) -> Vec<Vec<f32>> {
        self.slots()[self.rank] = own.to_vec();
        self.barrier.wait();
        let all = self.slots().clone();
        self.barrier.wait();
        debug_assert!(all.iter().all(|part| part.len() == own.len()));
        all
    }
}
