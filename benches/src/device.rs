//! Backends by name.

use std::{fmt, str::FromStr};

use burn::tensor::backend::AutodiffBackend;

/// A backend of Burn that benches run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// burn-flex.
    Flex,
    /// burn-ndarray.
    NdArray,
    /// burn-cuda, by index.
    Cuda(usize),
    /// burn-wgpu.
    Wgpu,
}

/// A name that is no backend of this build.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceNameError {
    /// No backend has it.
    #[error("there is no device {0}: give flex, ndarray, cuda:0 or wgpu")]
    Unknown(String),
    /// The build lacks the feature of its backend.
    #[error("{name} is not compiled in: add `--features {feature}`")]
    NotCompiledIn {
        /// As it was given.
        name: String,
        /// The cargo feature of benches.
        feature: String,
    },
}

/// Work that is generic over the backend.
pub trait PerDevice {
    /// Does it on a device.
    fn run<B: AutodiffBackend>(&mut self, device: &B::Device);
}

impl Device {
    /// Those that are compiled in.
    pub fn compiled_in() -> Vec<Self> {
        let has = |device: &Self| match device {
            Self::Flex => cfg!(feature = "flex"),
            Self::NdArray => cfg!(feature = "ndarray"),
            Self::Cuda(_) => cfg!(feature = "cuda"),
            Self::Wgpu => cfg!(feature = "wgpu"),
        };
        let mut all = vec![Self::Flex, Self::NdArray, Self::Cuda(0), Self::Wgpu];
        all.retain(has);
        all
    }

    /// Does `work` on this device.
    ///
    /// # Panics
    /// If it is not compiled in; [`Device::from_str`] refuses those.
    pub fn on(self, work: &mut impl PerDevice) {
        use burn::backend::Autodiff;
        match self {
            #[cfg(feature = "flex")]
            Self::Flex => work.run::<Autodiff<burn::backend::Flex>>(&Default::default()),
            #[cfg(feature = "ndarray")]
            Self::NdArray => work.run::<Autodiff<burn::backend::NdArray>>(&Default::default()),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => work
                .run::<Autodiff<burn::backend::Cuda>>(&burn::backend::cuda::CudaDevice::new(index)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => work.run::<Autodiff<burn::backend::Wgpu>>(&Default::default()),
            #[allow(unreachable_patterns, reason = "with every feature there is no other")]
            other => panic!("{other} is not compiled in"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flex => f.write_str("flex"),
            Self::NdArray => f.write_str("ndarray"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu => f.write_str("wgpu"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceNameError;

    fn from_str(s: &str) -> Result<Self, DeviceNameError> {
        let device = match s {
            "flex" => Self::Flex,
            "ndarray" => Self::NdArray,
            "wgpu" => Self::Wgpu,
            _ => {
                let index = s.strip_prefix("cuda").map(|i| i.strip_prefix(':'));
                let index = index.and_then(|i| i.unwrap_or("0").parse().ok());
                Self::Cuda(index.ok_or_else(|| DeviceNameError::Unknown(s.to_owned()))?)
            }
        };
        let kind = |d: &Self| std::mem::discriminant(d);
        if Self::compiled_in().iter().any(|d| kind(d) == kind(&device)) {
            Ok(device)
        } else {
            Err(DeviceNameError::NotCompiledIn {
                name: s.to_owned(),
                feature: s.split(':').next().unwrap_or(s).to_owned(),
            })
        }
    }
}
