//! The network's convolutions by name.

use super::{LEVELS, NetworkConfig};
use crate::weights::Channels;

/// A convolution of the network.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// Name of the convolution, `encoder.level1.conv1`.
    pub(crate) name: String,
    /// Name of the batch norm behind it.
    pub(crate) norm: Option<String>,
    pub(crate) channels: Channels,
    /// Level of its output.
    pub(crate) level: usize,
    /// Whether it is a transposed convolution.
    pub(crate) up: bool,
}

impl Layer {
    fn conv(block: &str, level: usize, number: usize, norm: bool, channels: Channels) -> Self {
        Self {
            name: format!("{block}.conv{number}"),
            norm: norm.then(|| format!("{block}.norm{number}")),
            channels,
            level,
            up: false,
        }
    }

    /// Block `level` of the encoder.
    pub(crate) fn encoder(config: &NetworkConfig, level: usize) -> [Self; 2] {
        let block = format!("encoder.level{level}");
        let input = if level == 1 {
            config.frames * config.channels
        } else {
            config.features(level - 1)
        };
        let features = config.features(level);
        [
            Self::conv(&block, level, 1, true, Channels::new(input, features)),
            Self::conv(
                &block,
                level,
                2,
                level < LEVELS,
                Channels::new(features, features),
            ),
        ]
    }

    /// Block `level` of the decoder.
    pub(crate) fn decoder(config: &NetworkConfig, level: usize) -> [Self; 2] {
        let block = format!("decoder.level{level}");
        let features = config.features(level);
        [
            Self::conv(
                &block,
                level,
                1,
                true,
                Channels::new(config.joined(level), features),
            ),
            Self::conv(&block, level, 2, true, Channels::new(features, features)),
        ]
    }

    /// What leads from decoder level `level` (2..=4) to the one below.
    pub(crate) fn up(config: &NetworkConfig, level: usize) -> Self {
        Self {
            name: format!("decoder.up{level}.conv"),
            norm: Some(format!("decoder.up{level}.norm")),
            channels: Channels::new(config.features(level), config.features(level - 1)),
            level: level - 1,
            up: true,
        }
    }

    /// The last convolution.
    pub(crate) fn last(config: &NetworkConfig) -> Self {
        let channels = Channels::new(config.width, config.channels);
        Self::conv("decoder.level1", 1, 3, false, channels)
    }
}

/// Name of the items of a pool.
pub(crate) fn items_name(pool: usize) -> String {
    format!("pools.{pool}.items")
}
