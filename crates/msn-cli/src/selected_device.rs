//! The device and the kernels that the command line asks for.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use msn_kernels::Collective;
use msn_model::{CpuNet, Lookups, Method, Precision, Predictor};
use msn_run::{BurnDevice, DeviceError, Devices, Model};
use msn_train::{DataParallel, Engine, Settings, SingleProcess};

use crate::{
    args::DeviceArgs,
    device::{Job, on},
    engine::engine,
    ranks::Ranks,
};

/// Where networks are computed, and how.
pub(crate) struct SelectedDevice {
    args: DeviceArgs,
    /// How the project's own kernels compute, where they do.
    method: Option<Method>,
    /// Burn's operations there.
    burn: Box<dyn Devices>,
    /// The processes that share each batch of a training.
    collective: Arc<dyn Collective>,
}

impl SelectedDevice {
    /// # Errors
    /// [`crate::Usage`] for a device that is not compiled in, and for kernels or a precision that it lacks.
    pub fn new(args: &DeviceArgs, precision: Precision) -> Result<Self> {
        struct Burn(String);
        impl Job for Burn {
            type Output = Box<dyn Devices>;

            fn run<B: DataParallel>(self, device: &B::Device) -> Result<Box<dyn Devices>> {
                Ok(Box::new(BurnDevice::<B>::new(self.0, device.clone())))
            }
        }
        Ok(Self {
            args: args.clone(),
            method: args.method(precision)?,
            burn: on(args.device, Burn(args.device.to_string()))?,
            collective: Arc::new(SingleProcess),
        })
    }

    /// The device of a process of a training.
    ///
    /// # Errors
    /// Those of [`SelectedDevice::new`].
    pub fn for_training(args: &DeviceArgs, ranks: &Ranks) -> Result<Self> {
        let args = DeviceArgs {
            device: args.device.on_rank(ranks.local_rank),
            ..args.clone()
        };
        Ok(Self {
            collective: ranks.collective.clone(),
            ..Self::new(&args, Precision::F32)?
        })
    }
}

impl Devices for SelectedDevice {
    fn name(&self) -> String {
        self.burn.name()
    }

    fn kernels(&self) -> Option<String> {
        self.args.kernels().map(|kernels| kernels.to_string())
    }

    fn engine(&self, settings: &Settings) -> Result<Box<dyn Engine>, DeviceError> {
        let collective = self.collective.clone();
        Ok(engine(settings, self.args.device, self.method, collective)?)
    }

    fn predictor(&self, model: &Model) -> Result<Box<dyn Predictor>, DeviceError> {
        let Some(method) = self.method else {
            return self.burn.predictor(model);
        };
        let weights = &model.weights;
        let net = CpuNet::new(&weights.meta.config, &weights.tensors, method);
        Ok(Box::new(net.map_err(|e| anyhow!("{}: {e}", model.path))?))
    }

    fn pools(&self, model: &Model) -> Result<Box<dyn Lookups>, DeviceError> {
        self.burn.pools(model)
    }
}
