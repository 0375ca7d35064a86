//! Devices by name: the one place where backends are.

use std::{fmt, str::FromStr};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;

use crate::Usage;

/// A device to compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    Flex,
    NdArray,
    Cuda(usize),
    Wgpu,
}

impl Default for Device {
    /// The first that is compiled in.
    fn default() -> Self {
        let order = [Self::Flex, Self::Cuda(0), Self::Wgpu, Self::NdArray];
        order
            .into_iter()
            .find(|d| d.compiled_in())
            .unwrap_or(Self::Flex)
    }
}

impl Device {
    /// One of each kind.
    pub const ALL: [Self; 4] = [Self::Flex, Self::NdArray, Self::Cuda(0), Self::Wgpu];

    /// The cargo feature that brings it.
    pub fn feature(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::NdArray => "ndarray",
            Self::Cuda(_) => "cuda",
            Self::Wgpu => "wgpu",
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
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            other => f.write_str(other.feature()),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "flex" => Ok(Self::Flex),
            "ndarray" => Ok(Self::NdArray),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let index = s.strip_prefix("cuda:").and_then(|i| i.parse().ok());
                index
                    .map(Self::Cuda)
                    .ok_or_else(|| "give flex, ndarray, cuda:0 or wgpu".to_owned())
            }
        }
    }
}

/// Work for any backend.
pub(crate) trait Job {
    type Output;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Self::Output>;
}

/// Does a job on a device.
pub(crate) fn on<J: Job>(device: Device, job: J) -> Result<J::Output> {
    #[cfg(any(
        feature = "flex",
        feature = "ndarray",
        feature = "cuda",
        feature = "wgpu"
    ))]
    use burn::backend::Autodiff;
    match device {
        #[cfg(feature = "flex")]
        Device::Flex => job.run::<Autodiff<burn::backend::Flex>>(&Default::default()),
        #[cfg(feature = "ndarray")]
        Device::NdArray => job.run::<Autodiff<burn::backend::NdArray>>(&Default::default()),
        #[cfg(feature = "cuda")]
        Device::Cuda(index) => {
            job.run::<Autodiff<burn::backend::Cuda>>(&burn::backend::cuda::CudaDevice::new(index))
        }
        #[cfg(feature = "wgpu")]
        Device::Wgpu => job.run::<Autodiff<burn::backend::Wgpu>>(&Default::default()),
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
