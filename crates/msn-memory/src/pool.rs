//! A pool of items and the one way to change it.

use burn::{
    module::{Module, Param, ParamId},
    tensor::{
        Tensor, TensorData,
        backend::{AutodiffBackend, Backend},
    },
};
use rand::{Rng, RngExt};

use crate::{Lookup, MemoryError, PoolConfig, Write, unit};

/// A new item shorter than this is not written.
const SHORTEST: f64 = 1e-6;

/// Prototypes of normal features: M items of D features, unit rows.
///
/// Items are no parameters: gradients never reach them. Only [`Pool::write`] and its kin change
/// them, and those exist on an [`AutodiffBackend`] alone: the pool of an evaluated network
/// (`network.valid()`) has no way to be written.
#[derive(Module, Debug)]
pub struct Pool<B: Backend> {
    /// Held as a frozen parameter, so that it travels with the module; it has no gradient.
    items: Param<Tensor<B, 2>>,
    #[module(skip)]
    config: PoolConfig,
}

impl<B: Backend> Pool<B> {
    /// A pool of unit-normalised uniform [0, 1) draws.
    ///
    /// # Errors
    /// [`MemoryError::Setting`] for settings out of range.
    pub fn new(
        config: PoolConfig,
        rng: &mut impl Rng,
        device: &B::Device,
    ) -> Result<Self, MemoryError> {
        config.check()?;
        let shape = [config.items, config.features];
        let draws: Vec<f32> = (0..shape[0] * shape[1]).map(|_| rng.random()).collect();
        let items = Tensor::from_data(TensorData::new(draws, shape), device);
        Ok(Self {
            items: frozen(unit(items, 1)),
            config,
        })
    }

    /// A pool of given items [M, D], taken bit for bit.
    ///
    /// # Errors
    /// [`MemoryError::Setting`] for settings out of range, [`MemoryError::Shape`] for items of
    /// another shape.
    pub fn from_items(config: PoolConfig, items: Tensor<B, 2>) -> Result<Self, MemoryError> {
        config.check()?;
        let expected = [config.items, config.features];
        if items.dims() != expected {
            return Err(MemoryError::Shape {
                found: items.dims(),
                expected,
            });
        }
        Ok(Self {
            items: frozen(items),
            config,
        })
    }

    /// The settings.
    pub fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// The items [M, D], unit rows.
    pub fn items(&self) -> Tensor<B, 2> {
        self.items.val()
    }

    /// Asks the items, as they stand, for unit queries [K, D] (see [`crate::queries`]).
    pub fn lookup(&self, queries: Tensor<B, 2>) -> Lookup<B> {
        Lookup::new(self.config.clone(), self.items(), queries)
    }

    /// Largest cosine of two different items, `[1]`, in [-1, 1].
    pub fn largest_cosine(&self) -> Tensor<B, 1> {
        let items = self.items();
        let m = self.config.items;
        let cosine = items.clone().matmul(items.transpose());
        let itself = Tensor::<B, 2>::eye(m, &cosine.device()).bool();
        cosine.mask_fill(itself, -1.0).max()
    }

    /// The items after a write of `gathered` queries, without changing this pool.
    pub fn written(&self, gathered: Gathered<B>) -> Tensor<B, 2> {
        let items = self.items();
        let new = match self.config.write {
            Write::Sum => items.clone() + gathered.sum,
            Write::Mean => {
                let mean = gathered.sum / gathered.weight.clamp_min(1e-12);
                let momentum = self.config.momentum;
                items.clone().mul_scalar(momentum) + mean.mul_scalar(1.0 - momentum)
            }
        };
        let norm = new.clone().square().sum_dim(1).sqrt();
        let keep = gathered
            .count
            .equal_elem(0.0)
            .bool_or(norm.lower_elem(SHORTEST));
        let [m, d] = items.dims();
        unit(new, 1).mask_where(keep.expand([m, d]), items)
    }
}

impl<B: AutodiffBackend> Pool<B> {
    /// Writes the queries of a training step into the items. Call it after the optimiser's step,
    /// with the lookup of that step's forward pass.
    pub fn write(&mut self, lookup: &Lookup<B>) {
        self.write_gathered(lookup.gather());
    }

    /// Writes what was gathered on one or several ranks ([`Gathered::merge`]).
    pub fn write_gathered(&mut self, gathered: Gathered<B>) {
        let new = self.written(gathered);
        self.replace(new);
    }

    pub(crate) fn replace(&mut self, items: Tensor<B, 2>) {
        self.items = Param::initialized(self.items.id, items.detach()).set_require_grad(false);
    }
}

fn frozen<B: Backend>(items: Tensor<B, 2>) -> Param<Tensor<B, 2>> {
    Param::initialized(ParamId::new(), items.detach()).set_require_grad(false)
}

/// The sums over queries that a write needs; those of several ranks merge into those of the
/// whole batch.
#[derive(Clone, Debug)]
pub struct Gathered<B: Backend> {
    /// Largest similarity that an item's write weights were taken against, [M, 1].
    pub top: Tensor<B, 2>,
    /// Queries nearest to each item, [M, 1].
    pub count: Tensor<B, 2>,
    /// Sum of write weights, [M, 1].
    pub weight: Tensor<B, 2>,
    /// Sum of weighted queries, [M, D].
    pub sum: Tensor<B, 2>,
}

impl<B: Backend> Gathered<B> {
    /// All of it as one matrix [M, 3 + D], to travel between ranks.
    pub fn rows(self) -> Tensor<B, 2> {
        Tensor::cat(vec![self.top, self.count, self.weight, self.sum], 1)
    }

    /// From [`Gathered::rows`].
    pub fn from_rows(rows: Tensor<B, 2>) -> Self {
        let features = rows.dims()[1] - 3;
        let column = |i| rows.clone().narrow(1, i, 1);
        Self {
            top: column(0),
            count: column(1),
            weight: column(2),
            sum: rows.clone().narrow(1, 3, features),
        }
    }

    /// The sums of both batches together.
    pub fn merge(self, other: Self) -> Self {
        let top = self.top.clone().max_pair(other.top.clone());
        let a = (self.top - top.clone()).exp();
        let b = (other.top - top.clone()).exp();
        Self {
            top,
            count: self.count + other.count,
            weight: self.weight * a.clone() + other.weight * b.clone(),
            sum: self.sum * a + other.sum * b,
        }
    }
}
