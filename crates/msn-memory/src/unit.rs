//! Features as unit queries, and back as maps.

use burn::tensor::{Tensor, backend::Backend};

/// Squared norms below this count as it: 1e-12 squared, so that a zero vector divides by 1e-12.
const SMALLEST_SQUARE: f64 = 1e-24;

/// `x / max(|x|, 1e-12)` along `dim`. Values and gradients are finite for zero vectors and for
/// |x| up to 1e15.
pub fn unit<B: Backend, const N: usize>(x: Tensor<B, N>, dim: usize) -> Tensor<B, N> {
    let norm = x
        .clone()
        .square()
        .sum_dim(dim)
        .clamp_min(SMALLEST_SQUARE)
        .sqrt();
    x / norm
}

/// The queries [N*H*W, D] of features [N, D, H, W]: the feature at each position, L2-normalised.
pub fn queries<B: Backend>(features: Tensor<B, 4>) -> Tensor<B, 2> {
    let [n, d, h, w] = features.dims();
    unit(features.permute([0, 2, 3, 1]).reshape([n * h * w, d]), 1)
}

/// Rows [N*H*W, D] of positions as a map [N, D, H, W]; `shape` is [N, H, W].
pub fn to_map<B: Backend>(rows: Tensor<B, 2>, shape: [usize; 3]) -> Tensor<B, 4> {
    let [n, h, w] = shape;
    let d = rows.dims()[1];
    rows.reshape([n, h, w, d]).permute([0, 3, 1, 2])
}
