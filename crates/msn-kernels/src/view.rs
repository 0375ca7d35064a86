//! Channels-last images: borrowed views of slices, and the owned [`FeatureMap`] with its halo.

mod feature_map;
mod layout;

pub use feature_map::FeatureMap;
pub use layout::Shape;

use std::marker::PhantomData;
use std::ops::Range;

use layout::PixelLayout;

use crate::buffers::Scratch;
use crate::isa::Isa;
use crate::precision::{Precision, Round};
use crate::threads::SharedMut;

/// A batch of channels-last images in a slice, perhaps some channels of a wider one.
///
/// What it stands for are the values of its own channels (and the zeros of a halo), so that
/// views of different channels of the same images may be read and written at the same time.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The layout was checked against its length.
    data: *const f32,
    layout: PixelLayout,
    life: PhantomData<&'a [f32]>,
}

// SAFETY: a view is a shared slice but for the way it is addressed.
unsafe impl Send for View<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for View<'_> {}

impl<'a> View<'a> {
    /// Images that follow each other without gaps.
    ///
    /// # Panics
    /// If `data` is not as long as `shape`.
    pub fn dense(data: &'a [f32], shape: Shape) -> Self {
        assert_eq!(
            data.len(),
            shape.len(),
            "the length of the slice and of {shape:?}"
        );
        Self::new(data, PixelLayout::dense(shape))
    }

    fn new(data: &'a [f32], layout: PixelLayout) -> Self {
        layout.check(data.len());
        Self {
            data: data.as_ptr(),
            layout,
            life: PhantomData,
        }
    }

    /// The images' size.
    pub const fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// Some of the channels of every pixel.
    ///
    /// # Panics
    /// If there are not as many channels.
    pub fn channels(self, range: Range<usize>) -> Self {
        Self {
            layout: self.layout.channels(range),
            ..self
        }
    }

    /// Some of the images.
    ///
    /// # Panics
    /// If there are not as many images.
    pub fn images(self, range: Range<usize>) -> Self {
        Self {
            layout: self.layout.images(range),
            ..self
        }
    }

    /// The channels of one pixel.
    ///
    /// # Panics
    /// If there is no such pixel.
    pub fn pixel(&self, image: usize, y: usize, x: usize) -> &'a [f32] {
        let s = self.layout.shape;
        assert!(
            image < s.batch && y < s.height && x < s.width,
            "pixel {image}, {y}, {x} of {s:?}"
        );
        // SAFETY: a pixel of the shape lies in the slice, and nobody writes to its channels as
        // long as the view lives.
        unsafe { std::slice::from_raw_parts(self.ptr(image, y, x), s.channels) }
    }

    /// The values of a row of pixels, if they have no gaps.
    fn row(&self, image: usize, y: usize) -> Option<&'a [f32]> {
        let s = self.layout.shape;
        assert!(image < s.batch && y < s.height, "row {image}, {y} of {s:?}");
        if self.layout.pixel != s.channels || s.width == 0 {
            return None;
        }
        // SAFETY: as for `pixel`: these are pixels of the shape with no others between them.
        Some(unsafe { std::slice::from_raw_parts(self.ptr(image, y, 0), s.width * s.channels) })
    }

    /// The values without gaps.
    pub fn to_vec(&self) -> Vec<f32> {
        let s = self.layout.shape;
        let mut out = Vec::with_capacity(s.len());
        for n in 0..s.batch {
            for y in 0..s.height {
                for x in 0..s.width {
                    out.extend_from_slice(self.pixel(n, y, x));
                }
            }
        }
        out
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.layout.row
    }

    pub(crate) fn pixel_stride(&self) -> usize {
        self.layout.pixel
    }

    /// The first value of a pixel.
    #[inline(always)]
    pub(crate) fn ptr(&self, image: usize, y: usize, x: usize) -> *const f32 {
        self.data.wrapping_add(self.layout.at(image, y, x))
    }

    /// The 6x6 pixels around the 4x4 from `y`, `x` on, zero outside of the image: the image itself
    /// where they lie in it or its halo, else a copy in `edge` (36 pixels).
    pub(crate) fn patch<'s>(
        &self,
        image: usize,
        y: usize,
        x: usize,
        edge: &'s mut [f32],
    ) -> Patch<'s>
    where
        'a: 's,
    {
        self.square::<6>(image, y, x, 1, edge)
    }

    /// The 4x4 pixels from `y`, `x` on, likewise; `edge` has room for 16 pixels.
    pub(crate) fn tile<'s>(
        &self,
        image: usize,
        y: usize,
        x: usize,
        edge: &'s mut [f32],
    ) -> Patch<'s>
    where
        'a: 's,
    {
        self.square::<4>(image, y, x, 0, edge)
    }

    /// `SIDE` squared pixels from `y - before`, `x - before` on.
    fn square<'s, const SIDE: usize>(
        &self,
        image: usize,
        y: usize,
        x: usize,
        before: usize,
        edge: &'s mut [f32],
    ) -> Patch<'s>
    where
        'a: 's,
    {
        let (s, l) = (self.layout.shape, &self.layout);
        assert!(
            image < s.batch
                && y < s.height
                && x < s.width
                && edge.len() >= SIDE * SIDE * s.channels
        );
        let border = usize::from(l.halo);
        let inside = |from: usize, size: usize| {
            from + border >= before && from + SIDE <= size + border + before
        };
        if inside(y, s.height) && inside(x, s.width) {
            let start =
                l.origin + image * l.image + y * l.row + x * l.pixel - before * (l.row + l.pixel);
            return Patch {
                start: self.data.wrapping_add(start),
                row: l.row,
                pixel: l.pixel,
                life: PhantomData,
            };
        }
        let c = s.channels;
        for (i, to) in edge.chunks_exact_mut(c).take(SIDE * SIDE).enumerate() {
            let (y, x) = (y + i / SIDE, x + i % SIDE);
            if (before..s.height + before).contains(&y) && (before..s.width + before).contains(&x) {
                to.copy_from_slice(self.pixel(image, y - before, x - before));
            } else {
                to.fill(0.0);
            }
        }
        Patch {
            start: edge.as_ptr(),
            row: SIDE * c,
            pixel: c,
            life: PhantomData,
        }
    }

    /// Rows `y - 1 ..= y + rows` of an image with columns `-1 ..= width`, all readable, zero
    /// outside of the image: the image itself where it has a halo, else a copy.
    pub(crate) fn window(&self, image: usize, y: usize, rows: usize) -> Window {
        let s = self.layout.shape;
        assert!(rows > 0 && image < s.batch && y + rows <= s.height);
        if self.layout.halo {
            let start = self.layout.at(image, y, 0) - self.layout.row - self.layout.pixel;
            let start = self.data.wrapping_add(start);
            return Window {
                start,
                row: self.layout.row,
                pixel: self.layout.pixel,
                _copy: None,
            };
        }
        let (c, row) = (s.channels, (s.width + 2) * s.channels);
        let mut copy = Scratch::take((rows + 2) * row);
        for (i, to) in copy.chunks_exact_mut(row).enumerate() {
            if y + i < 1 || y + i > s.height {
                to.fill(0.0);
                continue;
            }
            to[..c].fill(0.0);
            to[row - c..].fill(0.0);
            let inner = &mut to[c..row - c];
            if let Some(from) = self.row(image, y + i - 1) {
                inner.copy_from_slice(from);
            } else {
                for (x, to) in inner.chunks_exact_mut(c).enumerate() {
                    to.copy_from_slice(self.pixel(image, y + i - 1, x));
                }
            }
        }
        Window {
            start: copy.as_ptr(),
            row,
            pixel: c,
            _copy: Some(copy),
        }
    }

    /// [`View::window`] with values as `precision` has them; `pixel` is then in floats.
    pub(crate) fn window_in(
        &self,
        isa: Isa,
        precision: Precision,
        image: usize,
        y: usize,
        rows: usize,
    ) -> Window {
        let window = self.window(image, y, rows);
        if precision == Precision::F32 {
            return window;
        }
        let s = self.layout.shape;
        let (rows, columns) = (rows + 2, s.width + 2);
        let rounded = Round {
            from: window.start,
            row: window.row,
            pixel: window.pixel,
            rows,
            columns,
            channels: s.channels,
        };
        // SAFETY: a window is readable for one pixel around its rows.
        let copy = unsafe { rounded.run(isa) };
        let pixel = precision.floats(s.channels);
        Window {
            start: copy.as_ptr(),
            row: columns * pixel,
            pixel,
            _copy: Some(copy),
        }
    }
}

/// What [`View::patch`] and [`View::tile`] give: pixels, readable at `start + i * row + j * pixel`.
pub(crate) struct Patch<'a> {
    pub(crate) start: *const f32,
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    life: PhantomData<&'a [f32]>,
}

/// What [`View::window`] gives; `start` is the pixel above and left of the first one.
pub(crate) struct Window {
    pub(crate) start: *const f32,
    pub(crate) row: usize,
    pub(crate) pixel: usize,
    /// Keeps the copied values in place while the window is used.
    _copy: Option<Scratch>,
}

/// A batch of channels-last images in a mutable slice, perhaps some channels of a wider one.
#[derive(Debug)]
pub struct ViewMut<'a> {
    /// The layout was checked against its length.
    data: SharedMut<'a>,
    layout: PixelLayout,
}

impl<'a> ViewMut<'a> {
    /// Images that follow each other without gaps.
    ///
    /// # Panics
    /// If `data` is not as long as `shape`.
    pub fn dense(data: &'a mut [f32], shape: Shape) -> Self {
        assert_eq!(
            data.len(),
            shape.len(),
            "the length of the slice and of {shape:?}"
        );
        Self::new(data, PixelLayout::dense(shape))
    }

    fn new(data: &'a mut [f32], layout: PixelLayout) -> Self {
        layout.check(data.len());
        Self {
            data: SharedMut::new(data),
            layout,
        }
    }

    /// The images' size.
    pub const fn shape(&self) -> Shape {
        self.layout.shape
    }

    /// Some of the channels of every pixel.
    ///
    /// # Panics
    /// If there are not as many channels.
    pub fn channels(self, range: Range<usize>) -> Self {
        Self {
            layout: self.layout.channels(range),
            data: self.data,
        }
    }

    /// Some of the images.
    ///
    /// # Panics
    /// If there are not as many images.
    pub fn images(self, range: Range<usize>) -> Self {
        Self {
            layout: self.layout.images(range),
            data: self.data,
        }
    }

    /// The first `at` channels, and the others.
    ///
    /// # Panics
    /// If there are fewer than `at` channels.
    pub fn split(self, at: usize) -> (ViewMut<'a>, ViewMut<'a>) {
        let all = self.layout.shape.channels;
        let (first, others) = (self.layout.channels(0..at), self.layout.channels(at..all));
        // No value is in both.
        (
            ViewMut {
                data: self.data,
                layout: first,
            },
            ViewMut {
                data: self.data,
                layout: others,
            },
        )
    }

    /// The same images for a shorter time.
    pub fn reborrow(&mut self) -> ViewMut<'_> {
        ViewMut {
            data: self.data,
            layout: self.layout,
        }
    }

    /// The same images for reading.
    pub fn as_view(&self) -> View<'_> {
        View {
            data: self.data.as_ptr(),
            layout: self.layout,
            life: PhantomData,
        }
    }

    pub(crate) fn shared(&mut self) -> SharedView<'_> {
        SharedView {
            data: self.data,
            layout: self.layout,
        }
    }
}

/// Images that several tasks write to, each its own pixels or channels.
#[derive(Clone, Copy)]
pub(crate) struct SharedView<'a> {
    data: SharedMut<'a>,
    layout: PixelLayout,
}

impl SharedView<'_> {
    pub(crate) fn row_stride(&self) -> usize {
        self.layout.row
    }

    pub(crate) fn pixel_stride(&self) -> usize {
        self.layout.pixel
    }

    /// The first value of a pixel.
    /// # Safety
    /// Tasks that run at the same time write to different values of the shape.
    #[inline(always)]
    pub(crate) unsafe fn ptr(&self, image: usize, y: usize, x: usize) -> *mut f32 {
        // SAFETY: in bounds, since the layout was checked; the rest is the caller's promise.
        unsafe { self.data.at(self.layout.at(image, y, x)) }
    }
}

/// Copies images.
///
/// # Panics
/// If the shapes differ.
pub fn copy(from: View<'_>, mut to: ViewMut<'_>) {
    let s = from.shape();
    assert_eq!(s, to.shape(), "the shapes of a copy");
    let (layout, to) = (to.layout, to.shared());
    for n in 0..s.batch {
        for y in 0..s.height {
            if let (Some(row), true) = (from.row(n, y), layout.pixel == s.channels) {
                // SAFETY: `to` is borrowed uniquely and has a row of this length without gaps.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), to.ptr(n, y, 0), row.len()) };
                continue;
            }
            for x in 0..s.width {
                let pixel = from.pixel(n, y, x);
                // SAFETY: `to` is borrowed uniquely and has this pixel.
                unsafe {
                    std::ptr::copy_nonoverlapping(pixel.as_ptr(), to.ptr(n, y, x), pixel.len())
                };
            }
        }
    }
}
