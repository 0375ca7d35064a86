//! Walking over images a row of one vector of channels at a time: what the operations without
//! a kernel matrix share.

use crate::conv::rows_of_task;
use crate::isa::Simd;
use crate::threads::{for_each_task, map_tasks};
use crate::view::{Shape, View};

/// Rows `y..y + rows` of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strip {
    pub(crate) image: usize,
    pub(crate) y: usize,
    pub(crate) rows: usize,
    /// Its number among all strips.
    pub(crate) index: usize,
}

/// The pixels of a strip in one view, all readable.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) start: *const f32,
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) channels: usize,
}

impl Rows {
    pub(crate) fn new(view: &View<'_>, strip: Strip) -> Self {
        Self {
            start: view.ptr(strip.image, strip.y, 0),
            row: view.row_stride(),
            pixel: view.pixel_stride(),
            rows: strip.rows,
            columns: view.shape().width,
            channels: view.shape().channels,
        }
    }
}

/// How a shape is cut into strips; depends on the shape alone.
#[derive(Clone, Copy)]
pub(crate) struct Strips {
    shape: Shape,
    rows: usize,
}

impl Strips {
    pub(crate) fn new(shape: Shape) -> Self {
        let rows = if shape.len() == 0 {
            1
        } else {
            rows_of_task(shape.batch, shape.height, shape.width * shape.channels)
        };
        Self { shape, rows }
    }

    pub(crate) fn count(self) -> usize {
        if self.shape.len() == 0 {
            0
        } else {
            self.shape.batch * self.shape.height.div_ceil(self.rows)
        }
    }

    /// Rows of strip number `index`.
    pub(crate) fn rows(self, index: usize) -> usize {
        self.get(index).rows
    }

    fn get(self, index: usize) -> Strip {
        let per_image = self.shape.height.div_ceil(self.rows);
        let (image, y) = (index / per_image, index % per_image * self.rows);
        Strip {
            image,
            y,
            rows: self.rows.min(self.shape.height - y),
            index,
        }
    }

    pub(crate) fn for_each(self, task: impl Fn(Strip) + Send + Sync) {
        for_each_task(self.count(), |index| task(self.get(index)));
    }

    /// Results in the order of the strips.
    pub(crate) fn map<T: Send>(self, task: impl Fn(Strip) -> T + Send + Sync) -> Vec<T> {
        map_tasks(self.count(), |index| task(self.get(index)))
    }
}

/// Loads a vector of which `n` lanes exist.
/// # Safety
/// `p` is valid for reading `n` floats and `n <= LANES`.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(s: S, p: *const f32, n: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        if n == S::LANES {
            s.load(p)
        } else {
            s.load_first(p, n)
        }
    }
}

/// Stores a vector of which `n` lanes exist.
/// # Safety
/// `p` is valid for writing `n` floats and `n <= LANES`.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if n == S::LANES {
            s.store(p, v)
        } else {
            s.store_first(p, v, n)
        }
    }
}
