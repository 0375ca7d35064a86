//! What a training computes with: a network on a device, alone or sharing each batch with other
//! ranks.

use std::sync::Arc;

use anyhow::Result;
use msn_kernels::Collective;
use msn_model::Method;
use msn_train::{BurnEngine, CpuEngine, DataParallel, Engine, Settings};

use crate::device::{Device, Job, on, on_checkpointing};

/// A fresh network on a device, on the project's own kernels where there is a method for them.
pub(crate) fn engine(
    settings: &Settings,
    device: Device,
    method: Option<Method>,
    collective: Arc<dyn Collective>,
) -> Result<Box<dyn Engine>> {
    let fresh = Fresh {
        settings,
        method,
        collective,
    };
    if settings.train.checkpointing {
        on_checkpointing(device, fresh)
    } else {
        on(device, fresh)
    }
}

struct Fresh<'a> {
    settings: &'a Settings,
    method: Option<Method>,
    collective: Arc<dyn Collective>,
}

impl Job for Fresh<'_> {
    type Output = Box<dyn Engine>;

    fn run<B: DataParallel>(self, device: &B::Device) -> Result<Box<dyn Engine>> {
        let burn = BurnEngine::<B>::new(self.settings, device)?;
        Ok(match self.method {
            Some(method) => {
                let cpu = CpuEngine::new(self.settings, &burn.tensors(), method)?;
                Box::new(cpu.with_collective(self.collective))
            }
            None => Box::new(burn.with_collective(self.collective)?),
        })
    }
}
