//! MSN-net: encoder, pools at three scales, decoder.

use burn::{
    module::Module,
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use msn_memory::{Lookup, Pool, queries, to_map};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    ConfigError, NetConfig, Rewrite,
    layers::{BatchStatistics, Block, LastBlock, Mode, Norm, Pass, Training, Up, halve},
    plan::{Plan, SIDE_MULTIPLE},
};

/// Features at four scales, w at full size to 8w at an eighth.
#[derive(Module, Debug)]
struct Encoder<B: Backend> {
    level1: Block<B>,
    level2: Block<B>,
    level3: Block<B>,
    level4: Block<B>,
}

/// From features, rewritten by the pools, back to a frame.
#[derive(Module, Debug)]
struct Decoder<B: Backend> {
    level4: Block<B>,
    up4: Up<B>,
    level3: Block<B>,
    up3: Up<B>,
    level2: Block<B>,
    up2: Up<B>,
    level1: LastBlock<B>,
}

/// The network. Predicts the frame one stride after T past ones, through what its pools hold.
#[derive(Module, Debug)]
pub struct MsnNet<B: Backend> {
    encoder: Encoder<B>,
    decoder: Decoder<B>,
    pools: Vec<Pool<B>>,
    #[module(skip)]
    config: NetConfig,
}

/// The lookup of one pool in a forward pass.
#[derive(Clone, Debug)]
pub struct PoolLookup<B: Backend> {
    /// Pool 1, 2 or 3.
    pub pool: usize,
    /// Queries [N*h*w, D] against the pool's items.
    pub lookup: Lookup<B>,
    /// Clips, rows and columns of the queries, [N, h, w].
    pub shape: [usize; 3],
}

impl<B: Backend> PoolLookup<B> {
    /// Squared distance to the nearest item, mean over features: [N, h, w].
    pub fn distance_map(&self) -> Tensor<B, 3> {
        self.lookup.distance().reshape(self.shape)
    }
}

/// What a forward pass gives.
#[derive(Debug)]
pub struct Output<B: Backend> {
    /// [N, C, H, W] in [-1, 1].
    pub prediction: Tensor<B, 4>,
    /// One entry per pool, ascending.
    pub lookups: Vec<PoolLookup<B>>,
    /// What each batch norm saw, in forward order; empty unless [`Mode::Train`].
    pub statistics: Vec<BatchStatistics<B>>,
}

impl<B: Backend> MsnNet<B> {
    /// A fresh network; the same seed gives the same weights on every device.
    ///
    /// # Errors
    /// [`ConfigError`] for settings out of range.
    pub fn new(config: &NetConfig, seed: u64, device: &B::Device) -> Result<Self, ConfigError> {
        config.check()?;
        // Weights and items draw from streams of their own, so that pools change no weight.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let plan = Plan::new(config);
        let [l1, l2, l3, l4] = &plan.levels;
        let rng = &mut rng;
        let encoder = Encoder {
            level1: Block::new(&l1.encoder, rng, device),
            level2: Block::new(&l2.encoder, rng, device),
            level3: Block::new(&l3.encoder, rng, device),
            level4: Block::new(&l4.encoder, rng, device),
        };
        let decoder = Decoder {
            level4: Block::new(&l4.decoder, rng, device),
            level3: Block::new(&l3.decoder, rng, device),
            level2: Block::new(&l2.decoder, rng, device),
            level1: LastBlock::new(&l1.decoder, &plan.last, rng, device),
            up4: Up::new(&plan.ups[2], rng, device),
            up3: Up::new(&plan.ups[1], rng, device),
            up2: Up::new(&plan.ups[0], rng, device),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(1);
        let pool = |&p: &usize| Pool::new(config.pool(p), &mut rng, device);
        let pools = config.pools.iter().map(pool).collect::<Result<_, _>>()?;
        Ok(Self {
            encoder,
            decoder,
            pools,
            config: config.clone(),
        })
    }

    /// The settings.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// Each pool with its number, ascending.
    pub fn pools(&self) -> impl Iterator<Item = (usize, &Pool<B>)> {
        self.config.pools.iter().copied().zip(&self.pools)
    }

    /// The frame after `frames` [N, T*C, H, W] in [-1, 1], oldest first, channel fastest; H and W
    /// multiples of 8.
    pub fn forward(&self, frames: Tensor<B, 4>, mode: Mode) -> Output<B> {
        self.pass(frames, mode, Training::default())
    }

    /// [`MsnNet::forward`] in [`Mode::Train`], on this device's part of a batch or in another
    /// precision. A backend that does not compute in that panics: see its `supports_dtype`.
    pub fn forward_training(&self, frames: Tensor<B, 4>, training: Training<'_, B>) -> Output<B> {
        self.pass(frames, Mode::Train, training)
    }

    fn pass(&self, frames: Tensor<B, 4>, mode: Mode, training: Training<'_, B>) -> Output<B> {
        debug_assert!(
            frames.dims()[2..]
                .iter()
                .all(|side| side.is_multiple_of(SIDE_MULTIPLE))
        );
        let mut pass = Pass {
            mode,
            training,
            statistics: Vec::new(),
        };
        let d = &self.decoder;
        let ([e1, e2, e3, e4], lookups) = self.encode(frames, &mut pass);

        let x = d.up4.forward(d.level4.forward(e4, &mut pass), &mut pass);
        let x = d.level3.forward(Tensor::cat(vec![e3, x], 1), &mut pass);
        let x = d.up3.forward(x, &mut pass);
        let x = d.level2.forward(Tensor::cat(vec![e2, x], 1), &mut pass);
        let x = d.up2.forward(x, &mut pass);
        let x = if self.config.skip1 {
            Tensor::cat(vec![e1, x], 1)
        } else {
            x
        };
        let prediction = d.level1.forward(x, &mut pass);
        Output {
            prediction,
            lookups,
            statistics: pass.statistics,
        }
    }

    /// The lookups of [`forward`](Self::forward) without its prediction; pools ascending.
    pub fn lookups(&self, frames: Tensor<B, 4>) -> Vec<PoolLookup<B>> {
        let mut pass = Pass {
            mode: Mode::Evaluate,
            training: Training::default(),
            statistics: Vec::new(),
        };
        self.encode(frames, &mut pass).1
    }

    /// The features of levels 1 to 4 that the decoder gets, and the lookups behind them.
    fn encode(
        &self,
        frames: Tensor<B, 4>,
        pass: &mut Pass<'_, B>,
    ) -> ([Tensor<B, 4>; 4], Vec<PoolLookup<B>>) {
        let e = &self.encoder;
        let e1 = e.level1.forward(frames, pass);
        let e2 = e.level2.forward(halve(e1.clone()), pass);
        let e3 = e.level3.forward(halve(e2.clone()), pass);
        let e4 = e.level4.forward(halve(e3.clone()), pass);

        let mut lookups = Vec::new();
        let [e2, e3, e4] =
            [(1, e2), (2, e3), (3, e4)].map(|(p, f)| self.rewritten(p, f, &mut lookups));
        ([e1, e2, e3, e4], lookups)
    }

    /// What the decoder gets in place of a level's `feature`.
    fn rewritten(
        &self,
        number: usize,
        feature: Tensor<B, 4>,
        lookups: &mut Vec<PoolLookup<B>>,
    ) -> Tensor<B, 4> {
        let Some((_, pool)) = self.pools().find(|&(p, _)| p == number) else {
            return feature;
        };
        let [n, _, h, w] = feature.dims();
        let lookup = pool.lookup(queries(feature));
        let read = lookup.read();
        let rows = match self.config.rewrite {
            Rewrite::Replace => read,
            Rewrite::Concat => Tensor::cat(vec![lookup.queries(), read], 1),
        };
        lookups.push(PoolLookup {
            pool: number,
            lookup,
            shape: [n, h, w],
        });
        to_map(rows, [n, h, w])
    }

    /// Moves running statistics by `share` (0.1 in training) towards what a pass saw.
    pub fn update_statistics(&mut self, seen: &[BatchStatistics<B>], share: f64) {
        for (norm, seen) in self.norms().into_iter().zip(seen) {
            norm.update(seen, share);
        }
    }

    /// In forward order.
    fn norms(&mut self) -> Vec<&mut Norm<B>> {
        let (e, d) = (&mut self.encoder, &mut self.decoder);
        let mut all: Vec<&mut Norm<B>> = Vec::new();
        for level in [&mut e.level1, &mut e.level2, &mut e.level3, &mut e.level4] {
            all.extend(level.norms());
        }
        for (level, up) in [
            (&mut d.level4, &mut d.up4),
            (&mut d.level3, &mut d.up3),
            (&mut d.level2, &mut d.up2),
        ] {
            all.extend(level.norms());
            all.push(up.norm());
        }
        all.extend(d.level1.norms());
        all
    }
}

impl<B: AutodiffBackend> MsnNet<B> {
    /// Writes a training step's queries into the pools, after the optimiser's step. Networks that
    /// are evaluated live on the inner backend, where this does not exist.
    pub fn write(&mut self, lookups: &[PoolLookup<B>]) {
        for (pool, at) in self.pools.iter_mut().zip(lookups) {
            pool.write(&at.lookup);
        }
    }

    /// The pools, to be started, written or revived; ascending.
    pub fn pools_mut(&mut self) -> &mut [Pool<B>] {
        &mut self.pools
    }
}
