//! Owned images.

use super::layout::PixelLayout;
use super::{Shape, View, ViewMut, copy};
use crate::buffers::AlignedBuf;

/// Owned images with a border of one zero pixel around each, which lets a 3x3 convolution read
/// past the edge instead of copying its input.
#[derive(Clone, Debug, Default)]
pub struct FeatureMap {
    data: AlignedBuf,
    layout: Option<PixelLayout>,
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
        if shape.len() == 0 {
            self.data.resize(0);
            self.layout = Some(PixelLayout::dense(shape));
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
        let layout = PixelLayout {
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
                .unwrap_or_else(|| PixelLayout::dense(Shape::default())),
        )
    }

    /// The images for writing; the halo is out of reach.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let layout = self
            .layout
            .unwrap_or_else(|| PixelLayout::dense(Shape::default()));
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
