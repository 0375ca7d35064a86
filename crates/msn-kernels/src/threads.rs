//! Work shared between the threads of the current rayon pool.
//!
//! Tasks are cut by shapes alone, never by the number of threads, and sums over tasks are taken
//! in the order of the tasks: results are bit-equal on any number of threads.

use std::marker::PhantomData;

use rayon::prelude::*;

/// Does `work` on a thread of the current rayon pool: operations in it are then shared out at once,
/// where a thread from outside would be put to sleep and woken for each of them. Not for work that
/// waits for other ranks of the process: theirs may need the same thread.
pub fn enter<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

/// Calls `task(0..count)`, on the threads of the current rayon pool where there are several.
pub(crate) fn for_each_task(count: usize, task: impl Fn(usize) + Send + Sync) {
    if count <= 1 || rayon::current_num_threads() == 1 {
        (0..count).for_each(task);
    } else {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// The results of `task(0..count)` in this order.
pub(crate) fn map_tasks<T: Send>(count: usize, task: impl Fn(usize) -> T + Send + Sync) -> Vec<T> {
    if count <= 1 || rayon::current_num_threads() == 1 {
        (0..count).map(task).collect()
    } else {
        (0..count)
            .into_par_iter()
            .with_max_len(1)
            .map(task)
            .collect()
    }
}

/// A slice that several tasks write to, each its own part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SharedMut<'a, T = f32> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: the pointer is only used through `at` and `part`, whose callers promise disjoint parts.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as for Send.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T: Copy> SharedMut<'a, T> {
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    pub(crate) fn len(self) -> usize {
        self.len
    }

    pub(crate) fn as_ptr(self) -> *const T {
        self.start
    }

    /// A pointer to element `index`.
    /// # Safety
    /// What is written through it is written by one task at a time and lies in the slice.
    #[inline(always)]
    pub(crate) unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index <= self.len);
        // SAFETY: `index` is within the slice, as the caller promises.
        unsafe { self.start.add(index) }
    }

    /// The part `from..from + len`.
    /// # Safety
    /// No other task holds an overlapping part at the same time.
    pub(crate) unsafe fn part(self, from: usize, len: usize) -> &'a mut [T] {
        assert!(
            from <= self.len && len <= self.len - from,
            "part {from}+{len} of {}",
            self.len
        );
        // SAFETY: in bounds by the assertion, unique by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}
