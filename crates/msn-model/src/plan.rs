//! The network's levels and convolutions, by PyTorch's names: what Burn's network and the CPU's are
//! built from.

use msn_kernels::Channels;

use crate::{NetConfig, Rewrite};

/// Scales of the network; each halves height and width of the one before.
pub(crate) const LEVELS: usize = 4;
/// Height and width of a frame are multiples of this.
pub(crate) const SIDE_MULTIPLE: usize = 1 << (LEVELS - 1);
/// Added to the variance by batch norms.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

/// A 3x3 convolution with its batch norm and ReLU, if any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ConvPlan {
    /// Name, as `encoder.level1.conv1`.
    pub name: String,
    /// Name of the batch norm behind it; ReLU follows.
    pub norm: Option<String>,
    pub channels: Channels,
    /// Level of its output, 1 to 4.
    pub level: usize,
    /// Whether it is a transposed convolution, to twice the size.
    pub transposed: bool,
}

/// One scale of the network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LevelPlan {
    /// 1 to 4.
    pub number: usize,
    /// Channels of the encoder's and the decoder's feature.
    pub features: usize,
    /// The pool that rewrites the encoder's feature.
    pub pool: Option<usize>,
    /// Whether the rewritten feature is [unit query, read], not the read alone.
    pub concat: bool,
    /// Channels that the decoder gets from the encoder.
    pub skip: usize,
    /// Channels that the decoder reads: `skip`, then those from the level below.
    pub decoder_input: usize,
    pub encoder: [ConvPlan; 2],
    pub decoder: [ConvPlan; 2],
}

impl LevelPlan {
    fn new(config: &NetConfig, number: usize) -> Self {
        let features = config.features(number);
        let pool = number.checked_sub(1).filter(|&p| config.has_pool(p));
        let concat = pool.is_some() && config.rewrite == Rewrite::Concat;
        let skip = match number {
            1 if !config.skip1 => 0,
            _ if concat => 2 * features,
            _ => features,
        };
        let from_below = if number < LEVELS { features } else { 0 };
        let input = if number == 1 {
            config.frames * config.channels
        } else {
            config.features(number - 1)
        };
        let conv = |part: &str, i: usize, norm: bool, input: usize| {
            let block = format!("{part}.level{number}");
            ConvPlan {
                name: format!("{block}.conv{i}"),
                norm: norm.then(|| format!("{block}.norm{i}")),
                channels: Channels::new(input, features),
                level: number,
                transposed: false,
            }
        };
        Self {
            number,
            features,
            pool,
            concat,
            skip,
            decoder_input: skip + from_below,
            encoder: [
                conv("encoder", 1, true, input),
                conv("encoder", 2, number < LEVELS, features),
            ],
            decoder: [
                conv("decoder", 1, true, skip + from_below),
                conv("decoder", 2, true, features),
            ],
        }
    }

    /// Whether the encoder's feature is itself the beginning of what the decoder reads.
    pub fn feature_is_skip(&self) -> bool {
        self.pool.is_none() && self.skip > 0
    }
}

/// The whole network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Level 1 first.
    pub levels: [LevelPlan; LEVELS],
    /// From the decoder's level 2, 3, 4 to the next finer one.
    pub ups: [ConvPlan; LEVELS - 1],
    /// To the frame, before tanh.
    pub last: ConvPlan,
}

impl Plan {
    /// Of settings that are within their ranges.
    pub fn new(config: &NetConfig) -> Self {
        Self {
            levels: std::array::from_fn(|i| LevelPlan::new(config, i + 1)),
            ups: std::array::from_fn(|i| ConvPlan::up(config, i + 1)),
            last: ConvPlan {
                name: "decoder.level1.conv3".to_owned(),
                norm: None,
                channels: Channels::new(config.width, config.channels),
                level: 1,
                transposed: false,
            },
        }
    }

    /// All convolutions: the encoder's, the decoder's, those between the decoder's levels, the last.
    pub fn convs(&self) -> impl Iterator<Item = &ConvPlan> {
        let encoder = self.levels.iter().flat_map(|level| &level.encoder);
        let decoder = self.levels.iter().flat_map(|level| &level.decoder);
        encoder.chain(decoder).chain(&self.ups).chain([&self.last])
    }
}

impl ConvPlan {
    /// From the next coarser level to `level`.
    fn up(config: &NetConfig, level: usize) -> Self {
        let from = level + 1;
        Self {
            name: format!("decoder.up{from}.conv"),
            norm: Some(format!("decoder.up{from}.norm")),
            channels: Channels::new(config.features(from), config.features(level)),
            level,
            transposed: true,
        }
    }

    /// Shape of the weights in PyTorch's files.
    pub fn weight_shape(&self) -> Vec<usize> {
        let Channels { input, output } = self.channels;
        if self.transposed {
            vec![input, output, 3, 3]
        } else {
            vec![output, input, 3, 3]
        }
    }
}

/// Name of the items of a pool.
pub(crate) fn items_name(pool: usize) -> String {
    format!("pools.{pool}.items")
}

impl NetConfig {
    /// Name and shape of every tensor of the network: parameters, running statistics and items, as
    /// in PyTorch's `state_dict` (without `num_batches_tracked`). The settings are within their
    /// ranges ([`NetConfig::check`]).
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let plan = Plan::new(self);
        let mut all = Vec::new();
        for conv in plan.convs() {
            let channels = vec![conv.channels.output];
            all.push((format!("{}.weight", conv.name), conv.weight_shape()));
            all.push((format!("{}.bias", conv.name), channels.clone()));
            if let Some(norm) = &conv.norm {
                for part in ["weight", "bias", "running_mean", "running_var"] {
                    all.push((format!("{norm}.{part}"), channels.clone()));
                }
            }
        }
        for level in &plan.levels {
            if let Some(pool) = level.pool {
                all.push((items_name(pool), vec![self.items, level.features]));
            }
        }
        all
    }
}
