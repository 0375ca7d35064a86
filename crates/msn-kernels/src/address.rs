//! Memory pools: addressing, reading and distances of unit queries against unit items, in one pass
//! over the features and without storing the queries.

mod gradient;
mod lookup;
mod reading;
mod write;

pub use gradient::{PoolLossWeights, ReadGradient};
pub use lookup::{PoolLosses, TrainingLookup};
pub use write::{GatheredQueries, WriteRule, write_items};

use reading::{Pixels, Reading};

use crate::buffers::{AlignedBuf, Scratch};
use crate::isa::Isa;
use crate::pixels::Strips;
use crate::precision::Precision;
use crate::threads::SharedMut;
use crate::view::{Shape, SharedView, View, ViewMut};
use crate::weights::{Channels, Panels};

/// Norms below this count as this: unit queries are `x / max(|x|, 1e-12)`.
const SMALLEST_NORM: f32 = 1e-12;

/// How queries address items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Addressing {
    /// Similarities are divided by this, > 0.
    pub temperature: f32,
    /// Only the items at least as similar as the `top_k`-th count; 0 = all.
    pub top_k: usize,
}

/// The items of one pool, `[M, D]`, arranged for one instruction set.
#[derive(Clone, Debug)]
pub struct PackedItems {
    isa: Isa,
    count: usize,
    features: usize,
    /// `[count, features]`.
    rows: AlignedBuf,
    /// From features to similarities.
    compare: Panels,
    /// From addresses to features.
    read: Panels,
    squared_norms: Vec<f32>,
}

impl PackedItems {
    /// Packs `items`, `count` rows of `features`.
    ///
    /// # Panics
    /// If the length is not `count * features`, or one of them is 0.
    pub fn new(isa: Isa, items: &[f32], count: usize, features: usize) -> Self {
        assert!(
            count > 0 && features > 0,
            "a pool of {count} items with {features} features"
        );
        assert_eq!(
            items.len(),
            count * features,
            "the length of {count} items with {features} features"
        );
        let mut turned = vec![0.0; items.len()];
        for (i, item) in items.chunks_exact(features).enumerate() {
            for (d, v) in item.iter().enumerate() {
                turned[d * count + i] = *v;
            }
        }
        let squared = |item: &[f32]| item.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() as f32;
        Self {
            isa,
            count,
            features,
            rows: AlignedBuf::from(items),
            compare: Panels::new(
                isa,
                Precision::F32,
                &turned,
                Channels::new(features, count),
                &[0],
            ),
            read: Panels::new(
                isa,
                Precision::F32,
                items,
                Channels::new(count, features),
                &[0],
            ),
            squared_norms: items.chunks_exact(features).map(squared).collect(),
        }
    }

    /// The items, `[M, D]`.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Items.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Features of an item.
    pub const fn features(&self) -> usize {
        self.features
    }

    /// Values of a row of the table, whole vectors.
    fn wide(&self) -> usize {
        self.count.next_multiple_of(self.isa.lanes())
    }

    /// Room for the similarities of a row of pixels: rows of whole vectors, whole blocks of them.
    fn table(&self, columns: usize) -> Scratch {
        Scratch::take(columns.next_multiple_of(self.isa.lanes()) * self.wide())
    }
}

/// Where [`read_items`] writes; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct Readings<'a> {
    /// Unit queries, `[N, h, w, D]`.
    pub queries: Option<ViewMut<'a>>,
    /// What is read, `[N, h, w, D]`.
    pub read: Option<ViewMut<'a>>,
    /// Weights of the items, `[N, h, w, M]`.
    pub addresses: Option<ViewMut<'a>>,
    /// `q . m` (not divided by the temperature), `[N, h, w, M]`.
    pub similarities: Option<ViewMut<'a>>,
    /// Squared distance to the most similar item, mean over features, `[N, h, w]`.
    pub distances: Option<&'a mut [f32]>,
}

/// Normalises each pixel of `features` to a unit query, addresses `items` by a softmax over
/// similarities, and reads their mean.
///
/// A pixel of zeros is the query 0: it addresses all items alike.
///
/// # Panics
/// If shapes do not fit together, the temperature is not positive, or `top_k` exceeds the items.
pub fn read_items(features: View<'_>, items: &PackedItems, how: Addressing, to: Readings<'_>) {
    let shape = features.shape();
    check(shape, items, how);
    let Readings {
        mut queries,
        mut read,
        mut addresses,
        mut similarities,
        mut distances,
    } = to;
    let by_item = shape.with_channels(items.count);
    for (view, expected) in [
        (&queries, shape),
        (&read, shape),
        (&addresses, by_item),
        (&similarities, by_item),
    ] {
        assert!(
            view.as_ref().is_none_or(|v| v.shape() == expected),
            "an output that is not {expected:?}"
        );
    }
    assert!(
        distances.as_ref().is_none_or(|d| d.len() == shape.pixels()),
        "distances for {shape:?}"
    );

    let queries = queries.as_mut().map(ViewMut::shared);
    let read = read.as_mut().map(ViewMut::shared);
    let addresses = addresses.as_mut().map(ViewMut::shared);
    let similarities = similarities.as_mut().map(ViewMut::shared);
    let distances = distances.as_mut().map(|d| SharedMut::new(d));

    Strips::new(shape).for_each(|strip| {
        let mut table = items.table(shape.width);
        for y in strip.y..strip.y + strip.rows {
            let first = (strip.image * shape.height + y) * shape.width;
            // SAFETY: the rows of a strip are written by its task alone; shapes were compared.
            unsafe {
                let start = |view: SharedView<'_>| Pixels {
                    start: view.ptr(strip.image, y, 0),
                    pixel: view.pixel_stride(),
                };
                Reading {
                    features: features.ptr(strip.image, y, 0),
                    pixel: features.pixel_stride(),
                    columns: shape.width,
                    items,
                    how,
                    table: &mut table,
                    queries: queries.map(start),
                    read: read.map(start),
                    addresses: addresses.map(start),
                    similarities: similarities.map(start),
                    distances: distances.map(|d| d.part(first, shape.width)),
                    traces: None,
                }
                .run();
            }
        }
    });
}

fn check(shape: Shape, items: &PackedItems, how: Addressing) {
    assert_eq!(
        shape.channels, items.features,
        "features of {shape:?} and of the items"
    );
    assert!(
        how.temperature > 0.0,
        "the temperature is {}",
        how.temperature
    );
    assert!(
        how.top_k <= items.count,
        "top_k is {} of {} items",
        how.top_k,
        items.count
    );
}
