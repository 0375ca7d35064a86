//! Queries against the items of a pool: addressing weights, reads, losses, distances.

use burn::tensor::{
    Bool, Int, Tensor,
    activation::{relu, softmax},
    backend::Backend,
};

use crate::{Gathered, PoolConfig, WriteMax};

/// Stands for minus infinity where infinities would breed NaN.
pub(crate) const LOWEST: f64 = -1e30;

/// The queries of one forward pass against the items as they stood then.
///
/// Similarities are computed once and shared by every call. A lookup can't change the pool.
#[derive(Clone, Debug)]
pub struct Lookup<B: Backend> {
    config: PoolConfig,
    items: Tensor<B, 2>,
    queries: Tensor<B, 2>,
    similarity: Tensor<B, 2>,
    nearest: Tensor<B, 2, Int>,
}

impl<B: Backend> Lookup<B> {
    pub(crate) fn new(config: PoolConfig, items: Tensor<B, 2>, queries: Tensor<B, 2>) -> Self {
        let similarity = queries
            .clone()
            .matmul(items.clone().transpose())
            .div_scalar(config.temperature);
        let nearest = first_largest(similarity.clone().detach());
        Self {
            config,
            items,
            queries,
            similarity,
            nearest,
        }
    }

    /// The queries [K, D], unit rows.
    pub fn queries(&self) -> Tensor<B, 2> {
        self.queries.clone()
    }

    /// `cosine / temperature` of each query and item, [K, M].
    pub fn similarity(&self) -> Tensor<B, 2> {
        self.similarity.clone()
    }

    /// Index of each query's most similar item, `[K]`; the lowest index on a tie.
    pub fn nearest(&self) -> Tensor<B, 1, Int> {
        self.nearest.clone().squeeze_dim(1)
    }

    /// Reading weights [K, M], rows that sum to 1: a softmax over items, over the `top_k` most
    /// similar only where that is set (equals at the k-th place all stay).
    pub fn address(&self) -> Tensor<B, 2> {
        let k = self.config.top_k;
        let mut s = self.similarity.clone();
        if k > 0 && k < self.config.items {
            let kth = s.clone().detach().sort_descending(1).narrow(1, k - 1, 1);
            let far = s.clone().detach().lower(kth);
            s = s.mask_fill(far, f64::NEG_INFINITY);
        }
        softmax(s, 1)
    }

    /// What the queries read, [K, D]: items averaged by the reading weights. The gradient flows
    /// through the weights to the queries unless `detach_read`.
    pub fn read(&self) -> Tensor<B, 2> {
        let a = self.address();
        let a = if self.config.detach_read {
            a.detach()
        } else {
            a
        };
        a.matmul(self.items.clone())
    }

    /// Mean over queries and features of (query - nearest item)^2, `[1]`, in [0, 4 / D].
    pub fn compactness(&self) -> Tensor<B, 1> {
        (self.queries.clone() - self.nearest_items())
            .square()
            .mean()
    }

    /// Mean of max(0, |q - nearest| - |q - second nearest| + 1), `[1]`, in [0, 1]; PyTorch's triplet
    /// margin loss, with 1e-6 added to each difference.
    pub fn separateness(&self) -> Tensor<B, 1> {
        let rest = self
            .similarity
            .clone()
            .detach()
            .mask_fill(self.own(), LOWEST);
        let second = self
            .items
            .clone()
            .select(0, first_largest(rest).squeeze_dim(1));
        let distance = |to: Tensor<B, 2>| {
            // The floor keeps the root's gradient finite where a query equals an item.
            let difference = self.queries.clone() - to + 1e-6;
            difference.square().sum_dim(1).clamp_min(1e-30).sqrt()
        };
        relu(distance(self.nearest_items()) - distance(second) + 1.0).mean()
    }

    /// (mean entropy of the addressing - entropy of its mean) / log M, `[1]`, in [-1, 0]: minus the
    /// mutual information of query and item. Lowest for sharp and balanced addressing.
    pub fn information(&self) -> Tensor<B, 1> {
        let a = self.address();
        let mean = a.clone().mean_dim(0);
        self.information_about(a, mean)
    }

    /// [`Lookup::information`] where these queries are this rank's equal part of a batch:
    /// `mean_over_ranks` takes the part's mean address [1, M], a constant, to its mean over all
    /// ranks. The gradients of all parts average to that of the whole batch.
    pub fn information_over_ranks(
        &self,
        mean_over_ranks: impl FnOnce(Tensor<B, 2>) -> Tensor<B, 2>,
    ) -> Tensor<B, 1> {
        let a = self.address();
        let own = a.clone().mean_dim(0);
        let constant = own.clone().detach();
        // The value of the whole batch, the gradient of this part.
        let mean = own + (mean_over_ranks(constant.clone()) - constant);
        self.information_about(a, mean)
    }

    fn information_about(&self, a: Tensor<B, 2>, mean: Tensor<B, 2>) -> Tensor<B, 1> {
        let entropy = |p: Tensor<B, 2>| -(p.clone() * p.clamp_min(1e-12).log()).sum_dim(1);
        let of_mean = entropy(mean).squeeze_dim(1);
        (entropy(a).mean() - of_mean).div_scalar(log_items(self.config.items))
    }

    /// Squared distance to the nearest item, mean over features, `[K]`, in [0, 4 / D].
    pub fn distance(&self) -> Tensor<B, 1> {
        (self.queries.clone() - self.nearest_items())
            .square()
            .mean_dim(1)
            .squeeze_dim(1)
    }

    /// How many queries are nearest to each item, `[M]`.
    pub fn usage(&self) -> Tensor<B, 1> {
        self.own().float().sum_dim(0).squeeze_dim(0)
    }

    /// What a write needs of these queries, without gradient.
    pub fn gather(&self) -> Gathered<B> {
        let s = self.similarity.clone().detach();
        let own = self.own();
        let foreign = own.clone().bool_not();
        let top = match self.config.write_max {
            WriteMax::All => s.clone().max_dim(0),
            WriteMax::Own => s.clone().mask_fill(foreign.clone(), LOWEST).max_dim(0),
        };
        let v = (s - top.clone()).exp().mask_fill(foreign, 0.0);
        Gathered {
            top: top.transpose(),
            count: own.float().sum_dim(0).transpose(),
            weight: v.clone().sum_dim(0).transpose(),
            sum: v.transpose().matmul(self.queries.clone().detach()),
        }
    }

    /// [K, M]: whether the item is the query's nearest.
    fn own(&self) -> Tensor<B, 2, Bool> {
        let [k, m] = self.similarity.dims();
        columns(k, m, &self.similarity.device()).equal(self.nearest.clone().expand([k, m]))
    }

    fn nearest_items(&self) -> Tensor<B, 2> {
        self.items.clone().select(0, self.nearest())
    }
}

/// ln M, the largest entropy of M items.
pub(crate) fn log_items(items: usize) -> f64 {
    (items as f64).ln()
}

/// [K, M] with each column's index.
fn columns<B: Backend>(k: usize, m: usize, device: &B::Device) -> Tensor<B, 2, Int> {
    let m_end = i64::try_from(m).unwrap_or(i64::MAX);
    Tensor::<B, 1, Int>::arange(0..m_end, device)
        .reshape([1, m])
        .expand([k, m])
}

/// Index [K, 1] of each row's largest value, the lowest on a tie: `argmax` leaves ties to the
/// backend.
fn first_largest<B: Backend>(s: Tensor<B, 2>) -> Tensor<B, 2, Int> {
    let [k, m] = s.dims();
    let below = s.clone().lower(s.clone().max_dim(1));
    let last = i64::try_from(m).unwrap_or(i64::MAX) - 1;
    columns::<B>(k, m, &s.device())
        .mask_fill(below, last)
        .min_dim(1)
}
