//! From a prediction to a score: everything that a frame's score is made of.
//!
//! [`maps`] turns a prediction and the true frame into error maps and their window means; [`fair`]
//! makes the anomaly score of a causal tube of windows; [`baseline`] holds what normal footage shows
//! and [`calibration`] the file that carries it; [`calibrate`] measures it and [`alarm`] the
//! threshold of events; [`legacy`] is the score that papers print. [`scorer`] and [`stream`] run a
//! predictor over frames, [`spool`] and [`table`] write what they give.

pub(crate) mod alarm;
pub(crate) mod baseline;
mod calibrate;
pub(crate) mod calibration;
pub(crate) mod fair;
pub(crate) mod legacy;
pub(crate) mod maps;
pub(crate) mod scorer;
pub(crate) mod spool;
pub(crate) mod stream;
pub(crate) mod table;
#[cfg(test)]
mod tests;
