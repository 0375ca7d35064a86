//! Devices by name: the one place where backends are.

use std::{fmt, str::FromStr};

use anyhow::Result;
use burn::backend::autodiff::checkpoint::strategy::{
    BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
};
use msn_train::DataParallel;

use crate::Usage;

/// A device to compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Flex,
    NdArray,
    /// The CUDA device of a number; without one that of the process among those of its machine, the
    /// first where it is alone.
    Cuda(Option<usize>),
    Wgpu,
}

impl Default for Device {
    /// The first that is compiled in.
    fn default() -> Self {
        let order = [Self::Flex, Self::Cuda(None), Self::Wgpu, Self::NdArray];
        order
            .into_iter()
            .find(|d| d.compiled_in())
            .unwrap_or(Self::Flex)
    }
}

impl Device {
    /// One of each kind.
    pub const ALL: [Self; 4] = [Self::Flex, Self::NdArray, Self::Cuda(Some(0)), Self::Wgpu];

    /// The cargo feature that brings it.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Cuda(_) => "cuda",
            Self::Wgpu => "wgpu",
        }
    }

    /// The device of a process, by its number among those of its machine.
    pub fn on_rank(self, local_rank: usize) -> Self {
        match self {
            Self::Cuda(None) => Self::Cuda(Some(local_rank)),
            other => other,
        }
    }

    pub fn compiled_in(self) -> bool {
        match self {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
            other => f.write_str(other.feature()),
        }
    }
}

/// What is no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error("give flex, ndarray, cuda, cuda:0 or wgpu")]
    Unknown,
    #[error(
        "a process computes on one device: for {count} start {count} processes, `mpirun -n {count} msn train ... --device {kind}`"
    )]
    Several { count: usize, kind: String },
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(s: &str) -> Result<Self, DeviceError> {
        if s.contains(',') {
            let kind = s.split([',', ':']).next().unwrap_or_default();
            return Err(DeviceError::Several {
                count: s.split(',').count(),
                kind: kind.to_owned(),
            });
        }
        match s {
            "flex" => Ok(Self::Flex),
            "ndarray" => Ok(Self::NdArray),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let index = s.strip_prefix("cuda:").and_then(|i| i.parse().ok());
                let index = index.ok_or(DeviceError::Unknown)?;
                Ok(Self::Cuda(Some(index)))
            }
        }
    }
}

/// Work for any backend.
pub(crate) trait Job {
    type Output;

    fn run<B: DataParallel>(self, device: &B::Device) -> Result<Self::Output>;
}

/// Does a job on a device.
pub(crate) fn on<J: Job>(device: Device, job: J) -> Result<J::Output> {
    with_strategy::<J, NoCheckpointing>(device, job)
}

/// [`on`] with gradient checkpointing: a backward pass computes again what is cheap.
pub(crate) fn on_checkpointing<J: Job>(device: Device, job: J) -> Result<J::Output> {
    with_strategy::<J, BalancedCheckpointing>(device, job)
}

fn with_strategy<J: Job, C: CheckpointStrategy>(device: Device, job: J) -> Result<J::Output> {
    #[cfg(any(
        feature = "flex",
        feature = "ndarray",
        feature = "cuda",
        feature = "wgpu"
    ))]
    use burn::backend::Autodiff;
    match device {
        #[cfg(feature = "flex")]
        Device::Flex => job.run::<Autodiff<burn::backend::Flex, C>>(&Default::default()),
        #[cfg(feature = "ndarray")]
        Device::NdArray => job.run::<Autodiff<burn::backend::NdArray, C>>(&Default::default()),
        #[cfg(feature = "cuda")]
        Device::Cuda(index) => {
            let device = burn::backend::cuda::CudaDevice::new(index.unwrap_or(0));
            job.run::<Autodiff<burn::backend::Cuda, C>>(&device)
        }
        #[cfg(feature = "wgpu")]
        Device::Wgpu => job.run::<Autodiff<burn::backend::Wgpu, C>>(&Default::default()),
        #[allow(unreachable_patterns, reason = "with every feature there is no other")]
        other => {
            let feature = other.feature();
            Err(Usage(format!(
                "device {other} is not compiled in: build with `--features {feature}`"
            ))
            .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuda_is_the_device_of_the_local_rank_and_a_number_stays() {
        let on = |text: &str, rank| text.parse::<Device>().unwrap().on_rank(rank).to_string();
        assert_eq!(
            (on("cuda", 0), on("cuda", 3)),
            ("cuda:0".into(), "cuda:3".into())
        );
        assert_eq!(on("cuda:1", 3), "cuda:1");
        assert_eq!(on("flex", 3), "flex");
        let refused = "cuda:0,cuda:1".parse::<Device>().unwrap_err().to_string();
        assert!(
            refused.contains("`mpirun -n 2 msn train ... --device cuda`"),
            "{refused}"
        );
    }
}
