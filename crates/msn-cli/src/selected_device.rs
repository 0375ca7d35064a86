//! The device and the kernels that the command line asks for.

use anyhow::{Result, anyhow};
use burn::tensor::backend::AutodiffBackend;
use msn_model::{Ask, CpuNet, Method, Precision, Predictor};
use msn_run::{BurnDevice, DeviceError, Devices, Model};
use msn_train::{Engine, Settings};

use crate::{
    Usage,
    args::DeviceArgs,
    device::{Job, on},
    engine::engine,
};

/// Where networks are computed, and how.
pub(crate) struct SelectedDevice {
    args: DeviceArgs,
    /// How the project's own kernels compute, where they do.
    method: Option<Method>,
    /// Burn's operations there.
    burn: Box<dyn Devices>,
}

impl SelectedDevice {
    /// # Errors
    /// [`Usage`] for a device that is not compiled in, and for kernels or a precision that it lacks.
    pub fn new(args: &DeviceArgs, precision: Precision) -> Result<Self> {
        struct Burn(String);
        impl Job for Burn {
            type Output = Box<dyn Devices>;

            fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Box<dyn Devices>> {
                Ok(Box::new(BurnDevice::<B>::new(self.0, device.clone())))
            }
        }
        Ok(Self {
            args: args.clone(),
            method: args.method(precision)?,
            burn: on(args.device, Burn(args.device.to_string()))?,
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
        Ok(engine(settings, &self.args, self.method)?)
    }

    fn predictor(&self, model: &Model) -> Result<Box<dyn Predictor>, DeviceError> {
        let Some(method) = self.method else {
            return self.burn.predictor(model);
        };
        let weights = &model.weights;
        let net = CpuNet::new(&weights.meta.config, &weights.tensors, method);
        Ok(Box::new(net.map_err(|e| anyhow!("{}: {e}", model.path))?))
    }

    fn pools(&self, model: &Model) -> Result<Box<dyn Ask>, DeviceError> {
        self.burn.pools(model)
    }
}
