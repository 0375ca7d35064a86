//! Gradient of the weights by Winograd's algorithm: for each of the 36 components, the product of
//! transformed inputs and transformed gradients summed over tiles, transformed back once.
//!
//! From `Y = A^T [(G g G^T) * V] A` follows `dg = G^T [sum over tiles (A dY A^T) * V] G`.

use super::points::{kernel_back, output_back};
use super::{PARTS, SIDE, TileOrigin, TransformInput};
use crate::buffers::Scratch;
use crate::isa::{Isa, Kernel, Simd};
use crate::outer::{Outer, add_chunks};
use crate::pixels::load;
use crate::precision::Precision;
use crate::threads::{SharedMut, for_each_task};
use crate::view::{Patch, View};
use crate::weights::TAPS;

/// Tasks at least, where there are tiles enough.
const TASKS: usize = 32;
/// Tiles of a chunk at least.
const CHUNK: usize = 128;
/// Tiles that are transformed at a time.
const BLOCK: usize = 48;
/// Input channels of one task.
const GROUP: usize = 32;

/// Overwrites `weights`, `[3, 3, Cin, Cout]`; shapes were checked.
pub(crate) fn weight_gradient(isa: Isa, input: View<'_>, gradient: View<'_>, weights: &mut [f32]) {
    let shape = input.shape();
    let (cin, cout) = (shape.channels, gradient.shape().channels);
    weights.fill(0.0);
    if shape.pixels() == 0 || weights.is_empty() {
        return;
    }
    let wide = 2 * isa.lanes();
    let (groups, panels) = (cin.div_ceil(GROUP), cout.div_ceil(wide));
    let count = TileOrigin::count(shape);
    let chunks = TASKS.div_ceil(groups * panels).min(count / CHUNK).max(1);
    // The first chunk sums in place, the others beside it.
    let size = weights.len();
    let mut others = vec![0.0; (chunks - 1) * size];
    let (first, rest) = (SharedMut::new(weights), SharedMut::new(&mut others));
    for_each_task(chunks * groups * panels, |task| {
        let (chunk, block) = (task / (groups * panels), task % (groups * panels));
        let (i, o) = (block / panels * GROUP, block % panels * wide);
        let a_channels = GROUP.min(cin - i);
        let b_channels = wide.min(cout - o);
        let tiles = Tiles {
            isa,
            input: input.channels(i..i + a_channels),
            gradient: gradient.channels(o..o + b_channels),
            range: chunk * count / chunks..(chunk + 1) * count / chunks,
        };
        let row = b_channels.next_multiple_of(isa.lanes());
        let part = a_channels * row + 16;
        let mut sums = Scratch::take(PARTS * part);
        sums.fill(0.0);
        tiles.sum(&mut sums, row, part);
        let at = i * cout + o;
        isa.run(TransformBack {
            sums: &sums,
            row,
            part,
            a_channels,
            b_channels,
            // SAFETY: this block of this chunk is written by this task alone; `at` and the rows
            // after it lie in the chunk's [9, Cin, Cout] floats.
            output: unsafe {
                if chunk == 0 {
                    first.at(at)
                } else {
                    rest.at((chunk - 1) * size + at)
                }
            },
            output_row: cout,
            output_tap: cin * cout,
        });
    });
    add_chunks(first, &others);
}

/// A range of tiles of some channels of both sides.
struct Tiles<'a> {
    isa: Isa,
    input: View<'a>,
    gradient: View<'a>,
    range: std::ops::Range<usize>,
}

impl Tiles<'_> {
    /// Adds the products to `sums`, `[36][part]` of which each begins with `[a channels][row]`.
    fn sum(&self, sums: &mut [f32], row: usize, part: usize) {
        let shape = self.input.shape();
        let (a_channels, b_channels) = (shape.channels, self.gradient.shape().channels);
        let a_stride = a_channels.next_multiple_of(self.isa.lanes());
        assert!(row >= b_channels && part >= a_channels * row && sums.len() >= PARTS * part);
        // The extra line keeps the 36 parts of a tile out of one cache set.
        let (a_part, b_part) = (BLOCK * a_stride + 16, BLOCK * row + 16);
        let mut a = Scratch::take(PARTS * a_part);
        let mut b = Scratch::take(PARTS * b_part);
        let mut edge = Scratch::take(PARTS * a_channels.max(b_channels));
        let mut from = self.range.start;
        while from < self.range.end {
            let tiles = BLOCK.min(self.range.end - from);
            for t in 0..tiles {
                let at = TileOrigin::of(shape, from + t);
                let patch = self.input.patch(at.image, at.y, at.x, &mut edge);
                let parts = SharedMut::new(&mut a[t * a_stride..]);
                let transform = TransformInput {
                    patch,
                    channels: a_channels,
                    parts,
                    part: a_part,
                };
                self.isa.run_in(Precision::F32, transform);
                let tile = self.gradient.tile(at.image, at.y, at.x, &mut edge);
                let parts = SharedMut::new(&mut b[t * row..]);
                self.isa.run(TransformGradient {
                    tile,
                    channels: b_channels,
                    parts,
                    part: b_part,
                });
            }
            for k in 0..PARTS {
                let (a, b) = (
                    &a[k * a_part..][..tiles * a_stride],
                    &b[k * b_part..][..tiles * row],
                );
                let output = &mut sums[k * part..][..a_channels * row];
                // SAFETY: the three slices hold `tiles` rows of both sides' channels and the
                // products of all channels, filled up to whole vectors on the right side.
                unsafe {
                    Outer {
                        a: a.as_ptr(),
                        a_row: 0,
                        a_pixel: a_stride,
                        a_channels,
                        b: b.as_ptr(),
                        b_row: 0,
                        b_pixel: row,
                        b_channels: row,
                        rows: 1,
                        columns: tiles,
                        output: output.as_mut_ptr(),
                        output_row: row,
                    }
                    .run(self.isa);
                }
            }
            from += tiles;
        }
    }
}

/// A dY A^T for one tile and all channels. `parts` holds one vector more than the channels need at
/// every multiple of `part` below 36.
struct TransformGradient<'a> {
    tile: Patch<'a>,
    channels: usize,
    parts: SharedMut<'a>,
    part: usize,
}

impl Kernel for TransformGradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut c = 0;
        while c < self.channels {
            let n = S::LANES.min(self.channels - c);
            let mut columns = [[s.zero(); SIDE]; 6];
            for j in 0..SIDE {
                let mut g = [s.zero(); SIDE];
                for i in 0..SIDE {
                    // SAFETY: a tile is valid for 4x4 pixels of `channels`.
                    g[i] = unsafe {
                        load(
                            s,
                            self.tile
                                .start
                                .add(i * self.tile.row + j * self.tile.pixel + c),
                            n,
                        )
                    };
                }
                let column = output_back(s, g);
                for i in 0..6 {
                    columns[i][j] = column[i];
                }
            }
            for i in 0..6 {
                let row = output_back(s, columns[i]);
                for j in 0..6 {
                    // SAFETY: a tile has room for whole vectors of its channels in each part.
                    unsafe { s.store(self.parts.at((6 * i + j) * self.part + c), row[j]) };
                }
            }
            c += n;
        }
    }
}

/// G^T s G for all channels of both sides, added to the output.
struct TransformBack<'a> {
    sums: &'a [f32],
    row: usize,
    part: usize,
    a_channels: usize,
    b_channels: usize,
    /// Valid for `b_channels` floats at each `tap * output_tap + i * output_row`.
    output: *mut f32,
    output_row: usize,
    output_tap: usize,
}

impl Kernel for TransformBack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.sums.len() >= PARTS * self.part && self.part >= self.a_channels * self.row);
        assert!(self.row >= self.b_channels.next_multiple_of(S::LANES));
        for i in 0..self.a_channels {
            let mut c = 0;
            while c < self.b_channels {
                let n = S::LANES.min(self.b_channels - c);
                let mut half = [[s.zero(); 6]; 3];
                for j in 0..6 {
                    let mut m = [s.zero(); 6];
                    for k in 0..6 {
                        let at = (6 * k + j) * self.part + i * self.row + c;
                        // SAFETY: within the sums, by the assertions.
                        m[k] = unsafe { s.load(self.sums.as_ptr().add(at)) };
                    }
                    let column = kernel_back(s, m);
                    for k in 0..3 {
                        half[k][j] = column[k];
                    }
                }
                for k in 0..3 {
                    let row = kernel_back(s, half[k]);
                    for j in 0..3 {
                        let tap = 3 * k + j;
                        debug_assert!(tap < TAPS);
                        // SAFETY: the output is valid for these channels.
                        unsafe {
                            let to = self
                                .output
                                .add(tap * self.output_tap + i * self.output_row + c);
                            crate::pixels::store(s, to, row[j], n);
                        }
                    }
                }
                c += n;
            }
        }
    }
}
