//! Where decoded frames are stored: in memory within a budget, else in files, else nowhere.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use camino::Utf8PathBuf;

/// Where decoded frames are stored: in memory while the budget lasts, then in a cache of files,
/// and without one nowhere, so that such videos are decoded again whenever a frame is wanted.
///
/// Clones share the budget. A [`LoadedVideo`](crate::LoadedVideo) gives its memory back when the
/// last clone of it is dropped.
#[derive(Clone, Debug)]
pub struct FrameStore {
    pub(crate) budget: MemoryBudget,
    pub(crate) cache: Option<Utf8PathBuf>,
}

impl Default for FrameStore {
    /// Everything in memory.
    fn default() -> Self {
        Self::new(u64::MAX, None)
    }
}

impl FrameStore {
    /// A store with so many bytes of pixels in memory, and a folder for the frames of videos that
    /// do not fit; `None` for no cache.
    #[must_use]
    pub fn new(memory_bytes: u64, cache: Option<Utf8PathBuf>) -> Self {
        Self {
            budget: MemoryBudget::new(memory_bytes),
            cache,
        }
    }

    /// A store that keeps nothing: every frame that is wanted is decoded again.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::new(0, None)
    }

    /// The memory that is left.
    #[must_use]
    pub const fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// The folder of the cache.
    #[must_use]
    pub fn cache(&self) -> Option<&camino::Utf8Path> {
        self.cache.as_deref()
    }
}

/// Bytes of memory that several videos share. Clones share them too.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<AtomicU64>);

impl MemoryBudget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Bytes that are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// A reservation of nothing yet.
    pub(crate) fn reserve_nothing(&self) -> Reservation {
        Reservation {
            budget: self.clone(),
            bytes: 0,
        }
    }
}

/// Bytes taken from a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl Reservation {
    /// Takes so many bytes more, if they are free.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let less = |free: u64| free.checked_sub(bytes);
        let order = Ordering::Relaxed;
        let taken = self.budget.0.fetch_update(order, order, less).is_ok();
        if taken {
            self.bytes += bytes;
        }
        taken
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.bytes, Ordering::Relaxed);
    }
}
