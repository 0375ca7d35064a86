//! What a training computes with: one device, or several that share each batch.

use std::sync::Arc;

use anyhow::Result;
use msn_model::{Method, Precision};
use msn_train::{BurnEngine, CpuEngine, DeviceGroup, Engine, Link, Member, Settings, Together};

use crate::{
    args::TrainDeviceArgs,
    device::{GroupJob, on_all, on_all_checkpointing},
};

/// A fresh network on the devices of the command line; with a link they share each batch with those
/// of other processes.
pub(crate) fn engine(
    settings: &Settings,
    place: &TrainDeviceArgs,
    link: Option<Arc<dyn Link>>,
) -> Result<Box<dyn Engine>> {
    let devices = &place.device.0;
    let fresh = Fresh {
        settings,
        method: place.one().method(Precision::F32)?,
        link,
    };
    if settings.train.checkpointing {
        on_all_checkpointing(devices, fresh)
    } else {
        on_all(devices, fresh)
    }
}

struct Fresh<'a> {
    settings: &'a Settings,
    method: Option<Method>,
    link: Option<Arc<dyn Link>>,
}

impl GroupJob for Fresh<'_> {
    type Output = Box<dyn Engine>;

    fn run<B: Together>(self, devices: &[B::Device]) -> Result<Box<dyn Engine>> {
        if let ([device], None) = (devices, &self.link) {
            let burn = BurnEngine::<B>::new(self.settings, device)?;
            return Ok(match self.method {
                Some(method) => Box::new(CpuEngine::new(self.settings, &burn.tensors(), method)?),
                None => Box::new(burn),
            });
        }
        let members = Member::<B::InnerBackend>::group(devices, self.link);
        let first = members[0].clone();
        let mut engines: Vec<Box<dyn Engine + Send>> = Vec::new();
        for (member, device) in members.into_iter().zip(devices) {
            let mut burn = BurnEngine::<B>::new(self.settings, device)?;
            engines.push(match self.method {
                Some(method) => {
                    let mut cpu = CpuEngine::new(self.settings, &burn.tensors(), method)?;
                    cpu.share(Arc::new(member));
                    Box::new(cpu)
                }
                None => {
                    burn.share(member)?;
                    Box::new(burn)
                }
            });
        }
        let fail = Box::new(move |why| first.fail(why));
        Ok(Box::new(DeviceGroup::new(engines, fail)?))
    }
}
