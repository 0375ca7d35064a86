//! One memory pool: prototypes of normal features that a network reads while it predicts and
//! writes while it learns.
//!
//! A pool holds M unit vectors of D features, its *items*. A network looks *queries* up in it,
//! unit vectors too. The pool *addresses* (a softmax over items of `cosine / temperature`), *reads*
//! (items averaged by those weights), and, while training, *writes* (queries gathered into the
//! item that they are nearest to). Losses keep queries close to their item (`compactness`), items
//! apart (`separateness`) and addressing sharp and balanced (`information`).
//!
//! The crate knows no video and no network: queries come from anywhere, on any Burn backend.
//!
//! ```
//! use burn::backend::{Autodiff, Flex};
//! use burn::tensor::{Distribution, Tensor};
//! use msn_memory::{Pool, PoolConfig, queries};
//! use rand::SeedableRng;
//!
//! type B = Autodiff<Flex>;
//! let device = Default::default();
//! let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(0);
//! let mut pool = Pool::<B>::new(PoolConfig::new(16), &mut rng, &device)?;
//!
//! let features = Tensor::<B, 4>::random([2, 16, 8, 8], Distribution::Default, &device);
//! let lookup = pool.lookup(queries(features));
//! let read = lookup.read();                          // [128, 16]
//! let loss = lookup.compactness() + lookup.separateness();
//! pool.write(&lookup);                               // after the optimiser's step
//! # assert_eq!(read.dims(), [128, 16]);
//! # let _ = loss;
//! # Ok::<(), msn_memory::MemoryError>(())
//! ```
//!
//! Evaluation can't write: [`Pool::write`] exists on an autodiff backend alone, and a network that
//! is evaluated lives on its inner backend.

mod config;
mod error;
mod health;
mod lookup;
mod pool;
pub mod reference;
mod start;
mod unit;

pub use config::{PoolConfig, Write, WriteMax};
pub use error::MemoryError;
pub use health::{DEAD_AFTER_STEPS, Health, Monitor};
pub use lookup::Lookup;
pub use pool::{Gathered, Pool};
pub use unit::{queries, to_map, unit};
