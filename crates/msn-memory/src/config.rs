//! Settings of a pool.

use serde::{Deserialize, Serialize};

use crate::MemoryError;

/// How gathered queries change an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    /// `m <- unit(m + sum v q)`.
    #[default]
    Sum,
    /// `m <- unit(momentum m + (1 - momentum) sum v q / sum v)`.
    Mean,
}

/// Over which queries a write weight is normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WriteMax {
    /// The largest similarity over all queries of the step.
    #[default]
    All,
    /// The largest similarity over the item's own queries.
    Own,
}

/// Settings of one pool. The defaults are the project's: ten items, plain softmax at temperature 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolConfig {
    /// Number of items M, at least 2.
    pub items: usize,
    /// Number of features D of a query and of an item, at least 1.
    pub features: usize,
    /// Divides the cosine before the softmax, above 0.
    pub temperature: f64,
    /// Address the `top_k` most similar items only, 0 to `items`; 0 means all.
    pub top_k: usize,
    /// Stop the gradient at the addressing weights of a read.
    pub detach_read: bool,
    /// How gathered queries change an item.
    pub write: Write,
    /// Over which queries a write weight is normalised.
    pub write_max: WriteMax,
    /// Share of the old item that [`Write::Mean`] keeps, in [0, 1).
    pub momentum: f64,
}

impl PoolConfig {
    /// The default settings for queries of `features` features.
    pub fn new(features: usize) -> Self {
        Self {
            items: 10,
            features,
            temperature: 1.0,
            top_k: 0,
            detach_read: false,
            write: Write::Sum,
            write_max: WriteMax::All,
            momentum: 0.0,
        }
    }

    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// [`MemoryError::Setting`] names the first setting that is not.
    pub fn check(&self) -> Result<(), MemoryError> {
        let wrong = |setting, value: String, range| {
            Err(MemoryError::Setting {
                setting,
                value,
                range,
            })
        };
        if self.items < 2 {
            return wrong("items", self.items.to_string(), "at least 2");
        }
        if self.features < 1 {
            return wrong("features", self.features.to_string(), "at least 1");
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return wrong("temperature", self.temperature.to_string(), "above 0");
        }
        if self.top_k > self.items {
            return wrong("top_k", self.top_k.to_string(), "0 to the number of items");
        }
        if !(0.0..1.0).contains(&self.momentum) {
            return wrong("momentum", self.momentum.to_string(), "0 <= momentum < 1");
        }
        Ok(())
    }
}
