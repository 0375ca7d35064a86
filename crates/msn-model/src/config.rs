//! Settings of the network.

use msn_memory::{MemoryError, PoolConfig, Write, WriteMax};
use serde::{Deserialize, Serialize};

/// What the decoder gets from a level with a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rewrite {
    /// What the pool reads, alone.
    #[default]
    Replace,
    /// The unit query, then what the pool reads.
    Concat,
}

/// Settings of the network and its pools; the names are those of weights files and of the command
/// line. Defaults are the project's, with `width` 16.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetConfig {
    /// Past frames T that a clip holds, 1 to 1024.
    pub frames: usize,
    /// Channels C of a frame: 1 grey, 3 RGB.
    pub channels: usize,
    /// Features of the first level, 1 to 1024; levels 2 to 4 have two, four and eight times as many.
    pub width: usize,
    /// Which of the pools 1, 2, 3 (at levels 2, 3, 4) there are, ascending.
    pub pools: Vec<usize>,
    /// Items of each pool, 2 to 65536.
    pub items: usize,
    /// Whether the decoder gets the feature of level 1.
    pub skip1: bool,
    /// What the decoder gets from a level with a pool.
    pub rewrite: Rewrite,
    /// Divides cosines before the softmax, above 0.
    pub temperature: f64,
    /// Read with the k nearest items only; 0 means all.
    pub top_k: usize,
    /// Stop the gradient at the addressing weights of a read.
    pub detach_read: bool,
    /// How gathered queries change an item.
    pub write: Write,
    /// Over which queries a write weight is normalised.
    pub write_max: WriteMax,
    /// Share of the old item that mean writes keep, in [0, 1).
    pub momentum: f64,
}

impl Default for NetConfig {
    fn default() -> Self {
        Self {
            frames: 4,
            channels: 1,
            width: 16,
            pools: vec![1, 2, 3],
            items: 10,
            skip1: true,
            rewrite: Rewrite::Replace,
            temperature: 1.0,
            top_k: 0,
            detach_read: false,
            write: Write::Sum,
            write_max: WriteMax::All,
            momentum: 0.0,
        }
    }
}

/// A network's settings that contradict themselves.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A setting of the network is out of its range.
    #[error("{setting} = {value} is out of range: give {range}")]
    Setting {
        /// Its key, as on the command line.
        setting: &'static str,
        /// As it was given.
        value: String,
        /// The values that it may have, in words.
        range: &'static str,
    },
    /// One of those that pools check themselves.
    #[error(transparent)]
    Pool(#[from] MemoryError),
}

/// Bounds far beyond what trains, within which sizes of tensors fit into 64 bits and an item's
/// index into an f32.
const LARGEST_FRAMES: usize = 1024;
const LARGEST_WIDTH: usize = 1024;
const LARGEST_ITEMS: usize = 65536;

impl NetConfig {
    /// Features of encoder level 1 to 4.
    pub fn features(&self, level: usize) -> usize {
        self.width << (level - 1)
    }

    /// Whether `pool` (1 to 3) exists.
    pub fn has_pool(&self, pool: usize) -> bool {
        self.pools.contains(&pool)
    }

    /// The temperature as the network computes with it.
    pub(crate) fn temperature_f32(&self) -> f32 {
        self.temperature as f32
    }

    /// Settings of pool 1, 2 or 3, which sits at the next level.
    pub fn pool(&self, pool: usize) -> PoolConfig {
        PoolConfig {
            items: self.items,
            features: self.features(pool + 1),
            temperature: self.temperature,
            top_k: self.top_k,
            detach_read: self.detach_read,
            write: self.write,
            write_max: self.write_max,
            momentum: self.momentum,
        }
    }

    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// [`ConfigError`] names the first that is not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |setting, value: String, range| {
            Err(ConfigError::Setting {
                setting,
                value,
                range,
            })
        };
        if !(1..=LARGEST_FRAMES).contains(&self.frames) {
            return wrong("frames", self.frames.to_string(), "1 to 1024");
        }
        if self.channels != 1 && self.channels != 3 {
            return wrong("channels", self.channels.to_string(), "1 (grey) or 3 (RGB)");
        }
        if !(1..=LARGEST_WIDTH).contains(&self.width) {
            return wrong("width", self.width.to_string(), "1 to 1024");
        }
        let ascending = self.pools.windows(2).all(|w| w[0] < w[1]);
        if !ascending || self.pools.iter().any(|p| !(1..=3).contains(p)) {
            return wrong(
                "pools",
                format!("{:?}", self.pools),
                "some of 1,2,3, ascending, or none",
            );
        }
        if self.items > LARGEST_ITEMS {
            return wrong("items", self.items.to_string(), "2 to 65536");
        }
        if !(f32::MIN_POSITIVE..=f32::MAX).contains(&self.temperature_f32()) {
            let range = "above 0, and a number that f32 holds";
            return wrong("temperature", self.temperature.to_string(), range);
        }
        // The pools' own settings are checked even where there are no pools: a file that says
        // top_k = 99 is wrong either way.
        self.pool(1).check()?;
        Ok(())
    }
}
