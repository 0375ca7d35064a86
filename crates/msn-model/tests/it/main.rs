//! The network on Burn and on the CPU's kernels: against PyTorch's golden cases, against each other,
//! and by laws.
#![allow(missing_docs)]

mod collective;
mod config;
mod network;
mod parity;
mod support;
mod twins;
