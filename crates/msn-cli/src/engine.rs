//! What a training computes with: one device, or several that share each batch.

use std::sync::Arc;

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use msn_model::{Method, Precision};
use msn_train::{BurnEngine, CpuEngine, DeviceGroup, Engine, Link, Member, Settings, Together};

use crate::{
    args::TrainPlaceArgs,
    device::{GroupJob, Job, on, on_all},
};

/// A fresh network on the devices of the command line; with a link they share each batch with those
/// of other processes.
pub(crate) fn engine(
    settings: &Settings,
    place: &TrainPlaceArgs,
    link: Option<Arc<dyn Link>>,
) -> Result<Box<dyn Engine>> {
    let method = place.one().method(Precision::F32)?;
    if link.is_some() || place.device.0.len() > 1 {
        let group = Group {
            settings,
            method,
            link,
        };
        return on_all(&place.device.0, group);
    }
    let engine = on(place.device.0[0], Fresh(settings))?;
    Ok(match method {
        Some(method) => Box::new(CpuEngine::new(settings, &engine.tensors(), method)?),
        None => engine,
    })
}

struct Fresh<'a>(&'a Settings);

impl Job for Fresh<'_> {
    type Output = Box<dyn Engine>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Result<Box<dyn Engine>> {
        Ok(Box::new(BurnEngine::<B>::new(self.0, device)?))
    }
}

struct Group<'a> {
    settings: &'a Settings,
    method: Option<Method>,
    link: Option<Arc<dyn Link>>,
}

impl GroupJob for Group<'_> {
    type Output = Box<dyn Engine>;

    fn run<B: Together>(self, devices: &[B::Device]) -> Result<Box<dyn Engine>> {
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
