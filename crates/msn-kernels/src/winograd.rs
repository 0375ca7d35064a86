//! Winograd's F(4x4, 3x3): 3x3 convolution by tiles of 4x4 outputs.
//!
//! As Lavin and Gray (2016) have it, with other points, a tile of outputs is
//! `A^T [(G g G^T) * (B^T d B)] A` for the kernel g and the 6x6 patch d, where the product in the
//! middle is taken for each of 36 components over all input channels: 36 matrix products of tiles
//! by channels, 2.25 products an output instead of 9.

mod points;
mod weight_gradient;

pub(crate) use weight_gradient::weight_gradient;

use crate::buffers::Scratch;
use crate::conv::Epilogue;
use crate::gather::Gather;
use crate::isa::{Isa, Kernel, Simd};
use crate::pixels::load;
use crate::precision::{Arithmetic, Precision, PrecisionKernel};
use crate::threads::{SharedMut, for_each_task};
use crate::view::{Patch, Shape, SharedView, View, ViewMut};
use crate::weights::{Channels, Panel, Panels, TAPS};
use points::{end, inner_pair, input_side, kernel_side, outer_pair, output_side};

/// Components of a transformed tile.
const PARTS: usize = 36;
/// Outputs along a side of a tile.
const SIDE: usize = 4;

/// Whether this is faster than the direct kernels; measured.
pub(crate) fn pays(channels: Channels) -> bool {
    channels.input >= 16 && channels.output >= 16
}

/// Transformed weights.
#[derive(Clone, Debug)]
pub(crate) struct Winograd {
    panels: Panels,
}

impl Winograd {
    pub(crate) fn zeros(isa: Isa, precision: Precision, channels: Channels) -> Self {
        Self {
            panels: Panels::zeros(isa, precision, channels, PARTS),
        }
    }

    pub(crate) fn precision(&self) -> Precision {
        self.panels.precision()
    }

    /// Replaces the weights.
    pub(crate) fn set(&mut self, hwio: &[f32], order: &[usize; TAPS]) {
        let (isa, channels) = (self.panels.isa(), self.panels.channels());
        self.panels.fill(|panel, wide, block| {
            isa.run(TransformWeights {
                hwio,
                order,
                channels,
                panel,
                wide,
                block,
            });
        });
    }

    pub(crate) fn run(&self, input: View<'_>, epilogue: Epilogue<'_>, mut output: ViewMut<'_>) {
        let shape = input.shape();
        let isa = self.panels.isa();
        let cin = shape.channels;
        let count = TileOrigin::count(shape);
        if count == 0 {
            return;
        }
        let precision = self.panels.precision();
        let stride = precision.floats(cin.next_multiple_of(isa.lanes()));
        let tiles = tiles_of_task(count, stride, 2 * isa.lanes());
        let out = output.shared();
        for_each_task(count.div_ceil(tiles), |task| {
            let first = task * tiles;
            let tiles = tiles.min(count - first);
            let origin = |i: usize| TileOrigin::of(shape, first + i);
            // The extra line keeps the 36 parts of a tile out of one cache set.
            let part = tiles * stride + 16;
            let mut values = Scratch::take(PARTS * part);
            let mut edge = Scratch::take(PARTS * cin);
            for i in 0..tiles {
                let at = origin(i);
                let patch = input.patch(at.image, at.y, at.x, &mut edge);
                let parts = SharedMut::new(&mut values[i * stride..]);
                let transform = TransformInput {
                    patch,
                    channels: cin,
                    parts,
                    part,
                };
                isa.run_in(precision, transform);
            }
            let mut sums = Scratch::take(0);
            for i in 0..self.panels.count() {
                let panel = self.panels.panel(i);
                self.multiply(panel, &values, part, stride, tiles, &mut sums);
                let sum = SumLayout::new(isa, panel, tiles);
                for i in 0..tiles {
                    let at = origin(i);
                    isa.run(TransformOutput {
                        sums: &sums[i * sum.tile..],
                        part: sum.part,
                        panel,
                        bias: epilogue
                            .bias
                            .map(|b| &b[panel.first..panel.first + panel.channels]),
                        relu: epilogue.relu,
                        out,
                        at,
                        rows: SIDE.min(shape.height - at.y),
                        columns: SIDE.min(shape.width - at.x),
                    });
                }
            }
        });
    }

    /// The 36 matrix products of one panel.
    fn multiply(
        &self,
        panel: Panel,
        values: &[f32],
        part: usize,
        stride: usize,
        tiles: usize,
        sums: &mut Scratch,
    ) {
        let isa = self.panels.isa();
        let depth = self.panels.depth();
        let sum = SumLayout::new(isa, panel, tiles);
        sums.resize(PARTS * sum.part);
        let weights = self.panels.weights(panel);
        for k in 0..PARTS {
            let input = &values[k * part..][..tiles * stride];
            let weights = &weights[k * depth * sum.tile..][..depth * sum.tile];
            let output = &mut sums[k * sum.part..][..tiles * sum.tile];
            // SAFETY: the three slices are as long as `tiles` pixels of `stride`, one tap of `depth`
            // and `tiles` pixels of `sum.tile` need; depth <= stride.
            unsafe {
                Gather {
                    input: input.as_ptr(),
                    input_row: 0,
                    input_pixel: stride,
                    taps: &[0],
                    input_channels: depth,
                    precision: self.panels.precision(),
                    weights: weights.as_ptr(),
                    vectors: panel.vectors,
                    channels: sum.tile,
                    bias: None,
                    relu: false,
                    output: output.as_mut_ptr(),
                    output_row: 0,
                    output_pixel: sum.tile,
                    rows: 1,
                    columns: tiles,
                }
                .run(isa);
            }
        }
    }
}

/// Where the products of one panel lie: `[36][tiles][vectors * lanes]` with a gap between parts.
struct SumLayout {
    tile: usize,
    part: usize,
}

impl SumLayout {
    fn new(isa: Isa, panel: Panel, tiles: usize) -> Self {
        let tile = panel.vectors * isa.lanes();
        Self {
            tile,
            part: tiles * tile + 16,
        }
    }
}

/// The upper left output pixel of a tile.
#[derive(Clone, Copy)]
struct TileOrigin {
    image: usize,
    y: usize,
    x: usize,
}

impl TileOrigin {
    /// Tiles of all images.
    fn count(shape: Shape) -> usize {
        shape.batch * shape.height.div_ceil(SIDE) * shape.width.div_ceil(SIDE)
    }

    /// Tile number `index`, row by row.
    fn of(shape: Shape, index: usize) -> Self {
        let (down, across) = (shape.height.div_ceil(SIDE), shape.width.div_ceil(SIDE));
        let per_image = down * across;
        Self {
            image: index / per_image,
            y: index % per_image / across * SIDE,
            x: index % across * SIDE,
        }
    }
}

/// Tiles of a task: as many as leave its values and sums in a core's own cache, in whole register
/// tiles, but not so many that there are fewer than some 16 tasks.
fn tiles_of_task(count: usize, channels: usize, wide: usize) -> usize {
    const CACHED: usize = 128 * 1024;
    let by_cache = CACHED / (PARTS * (channels + wide));
    let by_tasks = count.div_ceil(16);
    (by_cache.min(by_tasks) / 8 * 8).clamp(8, 64)
}

/// G g G^T for one panel, from `[9, Cin, Cout]` to `[36, Cin, wide]`.
struct TransformWeights<'a> {
    hwio: &'a [f32],
    order: &'a [usize; TAPS],
    channels: Channels,
    panel: Panel,
    wide: usize,
    block: &'a mut [f32],
}

impl Kernel for TransformWeights<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Channels { input, output } = self.channels;
        let (plane, part) = (input * output, input * self.wide);
        assert!(self.hwio.len() >= TAPS * plane && self.block.len() >= PARTS * part);
        assert!(
            self.order.iter().all(|&t| t < TAPS)
                && self.panel.first + self.panel.channels <= output
        );
        for ci in 0..input {
            let mut first = 0;
            while first < self.panel.channels {
                let n = S::LANES.min(self.panel.channels - first);
                let from = ci * output + self.panel.first + first;
                let mut columns = [[s.zero(); 3]; 6];
                for j in 0..3 {
                    let mut g = [s.zero(); 3];
                    for i in 0..3 {
                        // SAFETY: `n` of the output channels of this row are left.
                        g[i] = unsafe {
                            load(
                                s,
                                self.hwio.as_ptr().add(self.order[3 * i + j] * plane + from),
                                n,
                            )
                        };
                    }
                    let c = kernel_side(s, g);
                    for i in 0..6 {
                        columns[i][j] = c[i];
                    }
                }
                for i in 0..6 {
                    let row = kernel_side(s, columns[i]);
                    for j in 0..6 {
                        // SAFETY: rows of a panel are whole vectors.
                        unsafe {
                            let to = self
                                .block
                                .as_mut_ptr()
                                .add((6 * i + j) * part + ci * self.wide + first);
                            s.store(to, row[j]);
                        }
                    }
                }
                first += n;
            }
        }
    }
}

/// B^T d B for one tile and all channels. `parts` holds one vector more than the channels need at
/// every multiple of `part` below 36.
struct TransformInput<'a> {
    patch: Patch<'a>,
    channels: usize,
    parts: SharedMut<'a>,
    part: usize,
}

impl PrecisionKernel for TransformInput<'_> {
    #[inline(always)]
    fn run<A: Arithmetic>(self, a: A) {
        let s = a.simd();
        let lanes = <A::S as Simd>::LANES;
        let mut c = 0;
        while c < self.channels {
            let n = lanes.min(self.channels - c);
            // SAFETY: a patch is valid for 6x6 pixels of `channels`; a tile has room for whole
            // vectors of its channels in each part, which `Winograd::run` reserved.
            unsafe {
                if n == lanes {
                    self.channels_at(a, c, |p| s.load(p));
                } else {
                    self.channels_at(a, c, |p| s.load_first(p, n));
                }
            }
            c += n;
        }
    }
}

impl TransformInput<'_> {
    /// # Safety
    /// `load` may read the patch at channels `c..`, and a vector may be written there in each part.
    #[inline(always)]
    unsafe fn channels_at<A: Arithmetic>(
        &self,
        a: A,
        c: usize,
        load: impl Fn(*const f32) -> <A::S as Simd>::V + Copy,
    ) {
        let s = a.simd();
        let from = self.patch.start.wrapping_add(c);
        let d =
            |i: usize, j: usize| load(from.wrapping_add(i * self.patch.row + j * self.patch.pixel));
        // Rows of B^T d two at a time, so that nothing but registers is needed; the patch is
        // in the first level cache after the first pass.
        let zero = [s.zero(); 6];
        let (mut p, mut q) = (zero, zero);
        for j in 0..6 {
            p[j] = end(s, d(0, j), d(2, j), d(4, j));
        }
        // SAFETY: the caller's promise.
        unsafe { self.row(a, c, 0, p) };
        for j in 0..6 {
            (p[j], q[j]) = outer_pair(s, d(1, j), d(2, j), d(3, j), d(4, j));
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.row(a, c, 1, p);
            self.row(a, c, 2, q);
        }
        for j in 0..6 {
            (p[j], q[j]) = inner_pair(s, d(1, j), d(2, j), d(3, j), d(4, j));
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.row(a, c, 3, p);
            self.row(a, c, 4, q);
        }
        for j in 0..6 {
            p[j] = end(s, d(1, j), d(3, j), d(5, j));
        }
        // SAFETY: the caller's promise.
        unsafe { self.row(a, c, 5, p) };
    }

    /// Row `i` of (B^T d) B.
    /// # Safety
    /// A vector may be written at channel `c` in each part.
    #[inline(always)]
    unsafe fn row<A: Arithmetic>(&self, a: A, c: usize, i: usize, d: [<A::S as Simd>::V; 6]) {
        let (s, lanes) = (a.simd(), <A::S as Simd>::LANES);
        let out = input_side(s, d);
        for j in 0..6 {
            // SAFETY: the caller's promise.
            unsafe {
                let to = self.parts.at((6 * i + j) * self.part + c / A::VALUES);
                a.store(to, out[j], lanes);
            }
        }
    }
}

/// A^T m A, bias and ReLU for one tile and panel.
struct TransformOutput<'a> {
    sums: &'a [f32],
    part: usize,
    panel: Panel,
    bias: Option<&'a [f32]>,
    relu: bool,
    out: SharedView<'a>,
    at: TileOrigin,
    rows: usize,
    columns: usize,
}

impl Kernel for TransformOutput<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.sums.len() >= 35 * self.part + self.panel.vectors * S::LANES);
        let mut first = 0;
        while first < self.panel.channels {
            let n = S::LANES.min(self.panel.channels - first);
            let mut half = [[s.zero(); 6]; 4];
            for j in 0..6 {
                let mut m = [s.zero(); 6];
                for i in 0..6 {
                    // SAFETY: within the sums, by the assertion.
                    m[i] =
                        unsafe { s.load(self.sums.as_ptr().add((6 * i + j) * self.part + first)) };
                }
                let column = output_side(s, m);
                for i in 0..4 {
                    half[i][j] = column[i];
                }
            }
            let mut bias = s.zero();
            if let Some(b) = self.bias {
                // SAFETY: the bias of a panel has `channels` values.
                bias = unsafe { s.load_first(b.as_ptr().add(first), n) };
            }
            for i in 0..4 {
                if i >= self.rows {
                    break;
                }
                let row = output_side(s, half[i]);
                for j in 0..4 {
                    if j >= self.columns {
                        break;
                    }
                    let mut v = s.add(row[j], bias);
                    if self.relu {
                        v = s.max(s.zero(), v);
                    }
                    // SAFETY: pixel and channels lie in the output; a tile's outputs are written
                    // by its task alone.
                    unsafe {
                        let to = self.out.ptr(self.at.image, self.at.y + i, self.at.x + j);
                        let to = to.add(self.panel.first + first);
                        if n == S::LANES {
                            s.store(to, v)
                        } else {
                            s.store_first(to, v, n)
                        }
                    }
                }
            }
            first += n;
        }
    }
}
