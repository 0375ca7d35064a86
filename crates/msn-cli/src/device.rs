//! Devices by name: the one place where backends are.

use std::{fmt, str::FromStr};

use anyhow::Result;
use burn::{
    backend::autodiff::checkpoint::strategy::{
        BalancedCheckpointing, CheckpointStrategy, NoCheckpointing,
    },
    tensor::backend::AutodiffBackend,
};
use msn_train::Together;

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

/// Devices that share a training: of one kind, several perhaps the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Devices(pub Vec<Device>);

impl Default for Devices {
    fn default() -> Self {
        Self(vec![Device::default()])
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().map(Device::to_string).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let all: Vec<Device> = s.split(',').map(str::parse).collect::<Result<_, _>>()?;
        if all.iter().any(|d| d.feature() != all[0].feature()) {
            return Err("give devices of one kind, such as cuda:0,cuda:1 or flex,flex".to_owned());
        }
        Ok(Self(all))
    }
}

/// Work for any backend.
pub(crate) trait Job {
    type Output;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Self::Output>;
}

/// Work for any backend on several of its devices.
pub(crate) trait GroupJob {
    type Output;

    fn run<B: Together>(self, devices: &[B::Device]) -> Result<Self::Output>;
}

/// Does a job on a device.
pub(crate) fn on<J: Job>(device: Device, job: J) -> Result<J::Output> {
    struct One<J>(J);
    impl<J: Job> GroupJob for One<J> {
        type Output = J::Output;

        fn run<B: Together>(self, devices: &[B::Device]) -> Result<J::Output> {
            self.0.run::<B>(&devices[0])
        }
    }
    on_all(&[device], One(job))
}

/// Does a job on devices of one kind, at least one.
pub(crate) fn on_all<J: GroupJob>(devices: &[Device], job: J) -> Result<J::Output> {
    with_strategy::<J, NoCheckpointing>(devices, job)
}

/// [`on_all`] with gradient checkpointing: a backward pass computes again what is cheap.
pub(crate) fn on_all_checkpointing<J: GroupJob>(devices: &[Device], job: J) -> Result<J::Output> {
    with_strategy::<J, BalancedCheckpointing>(devices, job)
}

fn with_strategy<J: GroupJob, C: CheckpointStrategy>(
    devices: &[Device],
    job: J,
) -> Result<J::Output> {
    #[cfg(any(
        feature = "flex",
        feature = "ndarray",
        feature = "cuda",
        feature = "wgpu"
    ))]
    use burn::backend::Autodiff;
    match devices[0] {
        #[cfg(feature = "flex")]
        Device::Flex => job.run::<Autodiff<burn::backend::Flex, C>>(&same(devices)),
        #[cfg(feature = "ndarray")]
        Device::NdArray => job.run::<Autodiff<burn::backend::NdArray, C>>(&same(devices)),
        #[cfg(feature = "cuda")]
        Device::Cuda(_) => {
            let place = |device: &Device| match *device {
                Device::Cuda(index) => burn::backend::cuda::CudaDevice::new(index),
                _ => Default::default(),
            };
            let places: Vec<_> = devices.iter().map(place).collect();
            job.run::<Autodiff<burn::backend::Cuda, C>>(&places)
        }
        #[cfg(feature = "wgpu")]
        Device::Wgpu => job.run::<Autodiff<burn::backend::Wgpu, C>>(&same(devices)),
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

/// The only device of a kind, for each.
#[cfg(any(feature = "flex", feature = "ndarray", feature = "wgpu"))]
fn same<D: Clone + Default>(devices: &[Device]) -> Vec<D> {
    vec![D::default(); devices.len()]
}
