//! What can be wrong with a pool's settings or items.

/// A setting out of its range, or items that do not fit the settings.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum MemoryError {
    /// A setting is out of its range.
    #[error("{setting} = {value} is out of range: give {range}")]
    Setting {
        /// Its key, as on the command line.
        setting: &'static str,
        /// As it was given.
        value: String,
        /// The values that it may have, in words.
        range: &'static str,
    },
    /// Items of another shape than the settings say.
    #[error(
        "items of shape {found:?} do not fit a pool of shape {expected:?}: give the items of a pool with the same settings"
    )]
    Shape {
        /// Shape [M, D] of the items given.
        found: [usize; 2],
        /// Shape [M, D] by the settings.
        expected: [usize; 2],
    },
    /// Too few usable queries to start a pool from.
    #[error(
        "{found} non-zero queries can't start {items} items: give at least as many queries as items"
    )]
    TooFewQueries {
        /// Usable queries.
        found: usize,
        /// Items to start.
        items: usize,
    },
}
