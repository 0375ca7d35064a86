//! Several devices that share one batch.

use std::fmt::Debug;

use crate::norm::Moments;

/// The devices that work on parts of one batch, each part as large as the others, as one of them
/// sees them.
///
/// All of them call the same methods in the same order with as many values, and each call waits
/// for the others. What comes back is the same on all devices, bit for bit. Calls have no
/// error: after a failure they return something, and [`Joint::failure`] tells of it before anybody
/// uses the result.
pub trait Joint: Debug + Send + Sync {
    /// How many devices there are, at least 1.
    fn devices(&self) -> usize;

    /// What each device gave, the first device's first.
    fn gather(&self, own: &[f32]) -> Vec<Vec<f32>>;

    /// Replaces each value by its sum over devices.
    fn sum(&self, values: &mut [f32]);

    /// Why a call, this one's or another device's, did not do what it should; from then on none does.
    fn failure(&self) -> Option<String>;
}

/// Sums over devices, in f64 and in the devices' order.
pub(crate) fn summed(joint: Option<&dyn Joint>, own: &mut [f64]) {
    let Some(joint) = joint else { return };
    let rounded: Vec<f32> = own.iter().map(|&v| v as f32).collect();
    own.fill(0.0);
    for part in joint.gather(&rounded) {
        for (sum, v) in own.iter_mut().zip(part) {
            *sum += f64::from(v);
        }
    }
}

/// The moments of all devices' pixels together.
pub(crate) fn joint_moments(joint: Option<&dyn Joint>, own: Moments) -> Moments {
    let Some(joint) = joint else { return own };
    let channels = own.mean.len();
    let all = joint.gather(&[own.mean, own.variance].concat());
    let share = 1.0 / all.len().max(1) as f64;
    let mean = |c: usize| all.iter().map(|part| f64::from(part[c])).sum::<f64>() * share;
    let mean: Vec<f64> = (0..channels).map(mean).collect();
    let variance = |c: usize| {
        let one = |part: &Vec<f32>| {
            f64::from(part[channels + c]) + (f64::from(part[c]) - mean[c]).powi(2)
        };
        (all.iter().map(one).sum::<f64>() * share) as f32
    };
    Moments {
        variance: (0..channels).map(variance).collect(),
        mean: mean.iter().map(|&m| m as f32).collect(),
    }
}
