//! Channels-last images: borrowed views of slices, and the owned [`FeatureMap`] with its halo.

use std::marker::PhantomData;
use std::ops::Range;

use crate::buffers::{AlignedBuf, Scratch};
use crate::threads::SharedMut;

/// The size of a batch of images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Shape {
    /// A shape from its four sizes in the order of memory.
    pub const fn new(batch: usize, height: usize, width: usize, channels: usize) -> Self {
        Self {
            batch,
            height,
            width,
            channels,
        }
    }

    /// Pixels of all images.
    pub const fn pixels(self) -> usize {
        self.batch * self.height * self.width
    }

    /// Values of all images.
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> usize {
        self.pixels() * self.channels
    }

    /// The same images with another number of channels.
    pub const fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Twice the height and width.
    pub const fn doubled(self) -> Self {
        Self {
            height: 2 * self.height,
            width: 2 * self.width,
            ..self
        }
    }

    /// Half the height and width, rounded down.
    pub const fn halved(self) -> Self {
        Self {
            height: self.height / 2,
            width: self.width / 2,
            ..self
        }
    }
}

/// Where the pixels of a shape lie in a slice: distances in floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layout {
    shape: Shape,
    /// Index of the first value of the first pixel.
    origin: usize,
    image: usize,
    row: usize,
    pixel: usize,
    /// Whether the slice goes on for one pixel around every image, and holds zeros there.
    halo: bool,
}

impl Layout {
    fn dense(shape: Shape) -> Self {
        let row = shape.width * shape.channels;
        Self {
            shape,
            origin: 0,
            image: shape.height * row,
            row,
            pixel: shape.channels,
            halo: false,
        }
    }

    fn channels(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.shape.channels,
            "channels {range:?} of an image with {}",
            self.shape.channels
        );
        let shape = self.shape.with_channels(range.end - range.start);
        Self {
            shape,
            origin: self.origin + range.start,
            ..self
        }
    }

    fn images(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.shape.batch,
            "images {range:?} of a batch of {}",
            self.shape.batch
        );
        let shape = Shape {
            batch: range.end - range.start,
            ..self.shape
        };
        Self {
            shape,
            origin: self.origin + range.start * self.image,
            ..self
        }
    }

    fn at(&self, image: usize, y: usize, x: usize) -> usize {
        debug_assert!(image < self.shape.batch && y < self.shape.height && x < self.shape.width);
        self.origin + image * self.image + y * self.row + x * self.pixel
    }

    /// One past the last value that may be read, halo included; 0 for no pixels.
    fn end(&self) -> usize {
        let s = self.shape;
        if s.len() == 0 {
            return 0;
        }
        let last = self.at(s.batch - 1, s.height - 1, s.width - 1) + s.channels;
        if self.halo {
            last + self.row + self.pixel
        } else {
            last
        }
    }

    fn check(&self, len: usize) {
        let s = self.shape;
        assert!(
            self.end() <= len,
            "a slice of {len} floats for {s:?}, which needs {}",
            self.end()
        );
        assert!(
            self.pixel >= s.channels
                && self.row >= s.width * self.pixel
                && self.image >= s.height * self.row,
            "overlapping pixels: {self:?}"
        );
        assert!(
            !self.halo || self.origin >= self.row + self.pixel,
            "no room for the halo: {self:?}"
        );
    }
}

/// A batch of channels-last images in a slice, perhaps some channels of a wider one.
///
/// What it stands for are the values of its own channels (and the zeros of a halo), so that
/// views of different channels of the same images may be read and written at the same time.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The layout was checked against its length.
    data: *const f32,
    layout: Layout,
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
        Self::new(data, Layout::dense(shape))
    }

    fn new(data: &'a [f32], layout: Layout) -> Self {
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
    layout: Layout,
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
        Self::new(data, Layout::dense(shape))
    }

    fn new(data: &'a mut [f32], layout: Layout) -> Self {
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
    layout: Layout,
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

/// Owned images with a border of one zero pixel around each, which lets a 3x3 convolution read
/// past the edge instead of copying its input.
#[derive(Clone, Debug, Default)]
pub struct FeatureMap {
    data: AlignedBuf,
    layout: Option<Layout>,
}

impl FeatureMap {
    /// Zeros.
    pub fn zeros(shape: Shape) -> Self {
        let mut map = Self::default();
        map.reshape(shape);
        map
    }

    /// A copy of `view`.
    pub fn from_view(view: View<'_>) -> Self {
        let mut map = Self::zeros(view.shape());
        map.copy_from(view);
        map
    }

    /// Makes these images of `shape`, with zero halo and otherwise unspecified values. Memory is
    /// kept: where the shape stays, this costs nothing.
    pub fn reshape(&mut self, shape: Shape) {
        if self.layout.is_some_and(|l| l.shape == shape) {
            return;
        }
        // One column serves as right halo of a row and left halo of the next, one row as lower
        // halo of an image and upper halo of the next.
        let pixel = shape.channels;
        let row = (shape.width + 1) * pixel;
        let image = (shape.height + 1) * row;
        let lead = row + pixel;
        // The first pixel stands on a cache line.
        let origin = lead.next_multiple_of(16);
        let layout = Layout {
            shape,
            origin,
            image,
            row,
            pixel,
            halo: true,
        };
        let len = origin + shape.batch * image + pixel;
        self.data.resize(len);
        self.data.fill(0.0);
        layout.check(len);
        self.layout = Some(layout);
    }

    /// The images' size.
    pub fn shape(&self) -> Shape {
        self.layout.map_or_else(Shape::default, |l| l.shape)
    }

    /// The images for reading.
    pub fn view(&self) -> View<'_> {
        View::new(
            &self.data,
            self.layout
                .unwrap_or_else(|| Layout::dense(Shape::default())),
        )
    }

    /// The images for writing; the halo is out of reach.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let layout = self
            .layout
            .unwrap_or_else(|| Layout::dense(Shape::default()));
        ViewMut::new(&mut self.data, layout)
    }

    /// Sets all values.
    pub fn fill(&mut self, value: f32) {
        let shape = self.shape();
        let mut view = self.view_mut();
        let to = view.shared();
        for n in 0..shape.batch {
            for y in 0..shape.height {
                // SAFETY: rows of an owned map have no gaps and it is borrowed uniquely.
                unsafe {
                    std::slice::from_raw_parts_mut(to.ptr(n, y, 0), shape.width * shape.channels)
                        .fill(value);
                }
            }
        }
    }

    /// Copies the values of `view`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn copy_from(&mut self, view: View<'_>) {
        copy(view, self.view_mut());
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
