use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Gamma};

use crate::EventsError;

/// Share of the probability left out on either side of an interval.
const TAIL: f64 = 0.025;

/// A rate of events with its exact 95 % Poisson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Events per unit of exposure.
    pub value: f64,
    /// Lower end; 0 where nothing was seen.
    pub low: f64,
    /// Upper end; positive even where nothing was seen.
    pub high: f64,
}

/// The rate of `count` events in an exposure (hours, say) with the exact 95 % interval of Garwood,
/// "Fiducial limits for the Poisson distribution" (Biometrika 1936): the 2.5 % quantile of
/// Gamma(count) and the 97.5 % quantile of Gamma(count + 1), over the exposure.
///
/// # Errors
/// [`EventsError::Exposure`] unless the exposure is positive and finite.
pub fn poisson_rate(count: usize, exposure: f64) -> Result<Rate, EventsError> {
    let refuse = || EventsError::Exposure { value: exposure };
    if !(exposure.is_finite() && exposure > 0.0) {
        return Err(refuse());
    }
    let count = count as f64;
    let quantile = |shape: f64, share: f64| {
        Gamma::new(shape, 1.0)
            .map(|gamma| gamma.inverse_cdf(share))
            .map_err(|_| refuse())
    };
    let low = if count > 0.0 {
        quantile(count, TAIL)?
    } else {
        0.0
    };
    let high = quantile(count + 1.0, 1.0 - TAIL)?;
    Ok(Rate {
        value: count / exposure,
        low: low / exposure,
        high: high / exposure,
    })
}
