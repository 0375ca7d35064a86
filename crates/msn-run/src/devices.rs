//! Where networks are computed: the program knows backends, this crate does not.

use burn::tensor::backend::{AutodiffBackend, Backend};
use msn_model::{Lookups, OnDevice, Predictor};
use msn_train::{BurnEngine, Engine, Settings};

use crate::Model;

/// Why a network can't be made on a device.
pub type DeviceError = Box<dyn std::error::Error + Send + Sync>;

/// Makes networks where the caller wants them computed.
pub trait Devices {
    /// Name of the device for `run.json`, such as `flex` or `cuda:0`.
    fn name(&self) -> String;

    /// Name of the CPU kernels for `run.json`, where they compute.
    fn kernels(&self) -> Option<String> {
        None
    }

    /// A fresh network in training, drawn from the settings' seed.
    ///
    /// # Errors
    /// The device's reason.
    fn engine(&self, settings: &Settings) -> Result<Box<dyn Engine>, DeviceError>;

    /// A trained network, ready to predict.
    ///
    /// # Errors
    /// The device's reason, or which tensor of the model does not fit.
    fn predictor(&self, model: &Model) -> Result<Box<dyn Predictor>, DeviceError>;

    /// A trained network whose pools can be looked into.
    ///
    /// # Errors
    /// As [`Devices::predictor`].
    fn pools(&self, model: &Model) -> Result<Box<dyn Lookups>, DeviceError>;
}

/// A device of any backend of Burn, with Burn's own operations.
#[derive(Debug)]
pub struct BurnDevice<B: AutodiffBackend> {
    name: String,
    device: B::Device,
}

impl<B: AutodiffBackend> BurnDevice<B> {
    /// The device under the name that `run.json` has for it.
    pub fn new(name: impl Into<String>, device: B::Device) -> Self {
        Self {
            name: name.into(),
            device,
        }
    }

    fn load(&self, model: &Model) -> Result<OnDevice<B::InnerBackend>, DeviceError> {
        fn load<B: Backend>(model: &Model, device: &B::Device) -> Result<OnDevice<B>, DeviceError> {
            Ok(OnDevice {
                net: model.weights.net(&model.path, device)?,
                device: device.clone(),
            })
        }
        load::<B::InnerBackend>(model, &self.device)
    }
}

impl<B: AutodiffBackend> Devices for BurnDevice<B> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn engine(&self, settings: &Settings) -> Result<Box<dyn Engine>, DeviceError> {
        Ok(Box::new(BurnEngine::<B>::new(settings, &self.device)?))
    }

    fn predictor(&self, model: &Model) -> Result<Box<dyn Predictor>, DeviceError> {
        Ok(Box::new(self.load(model)?))
    }

    fn pools(&self, model: &Model) -> Result<Box<dyn Lookups>, DeviceError> {
        Ok(Box::new(self.load(model)?))
    }
}
